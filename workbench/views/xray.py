"""The template card's payload: which template line made which characters and tokens (docs/wire.md section 4)."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from workbench.errors import TemplateError
from workbench.templates.cutting import Cut
from workbench.tracked import Run, runs_of
from workbench.types import IGNORE, Encoding, Rendered, TemplateInfo
from workbench.views.columns import Table, Vocabulary, partial_tokens

SAVED_TOKENS = 10_000
"""Tokens that a saved output holds; the counts are those of the whole text."""

ASKED_TOKENS = 100_000
"""Tokens that the kernel sends when the page asks."""

CHARACTERS_A_TOKEN = 4
"""Characters that go with one token where no tokenizer says more."""

NEWLINE = re.compile(r"\r\n|\r|\n")
"""What Jinja counts as the end of a line."""


@dataclass(frozen=True, slots=True)
class Examined:
    """One template over one conversation: everything the card is made of.

    Attributes:
        template: The template.
        rendered: The text; None where the template does not give one.
        cuts: Characters of the data that are not in the text.
        prompt_start: Character where the generation prompt begins; None where there is none.
        encoding: Tokens; None where no tokenizer is known.
        labels: Token id where trained, else -100, one a token.
        error: Why there is no text.
    """

    template: TemplateInfo
    rendered: Rendered | None = None
    cuts: tuple[Cut, ...] = ()
    prompt_start: int | None = None
    encoding: Encoding | None = None
    labels: tuple[int, ...] = ()
    error: TemplateError | None = None
    notes: tuple[str, ...] = field(default=())


def source_lines(source: str) -> list[str]:
    """Lines of a template as Jinja counts them."""
    return NEWLINE.split(source)


def lines_of_tokens(examined: Examined) -> list[tuple[int, ...]]:
    """Template lines that made the characters of each token, in text order."""
    if examined.rendered is None or examined.encoding is None:
        return []
    runs = runs_of(examined.rendered.text)
    starts = _starts(runs)
    made: list[tuple[int, ...]] = []
    for start, end in examined.encoding.offsets:
        first = bisect_right(starts, start) - 1
        lines: list[int] = []
        for index in range(max(0, first), len(runs)):
            if starts[index] >= max(end, start + 1):
                break
            if runs[index].line and runs[index].line not in lines:
                lines.append(runs[index].line)
        made.append(tuple(lines))
    return made


def _starts(runs: Sequence[Run]) -> list[int]:
    starts: list[int] = []
    at = 0
    for run in runs:
        starts.append(at)
        at += run.length
    return starts


def made_by_line(examined: Examined) -> dict[str, list[int]]:
    """Tokens, characters and places each line made, and characters it left out; one item a line.

    A place is a stretch of neighbouring characters of one message. A token of two lines counts for both.
    """
    count = len(source_lines(examined.template.source))
    made = {name: [0] * count for name in ("tokens", "characters", "places", "removed")}
    last = None
    for run in runs_of(examined.rendered.text) if examined.rendered else ():
        here = run.line, run.origin.message if run.origin else None
        if 0 < run.line <= count:
            made["characters"][run.line - 1] += run.length
            made["places"][run.line - 1] += int(here != last)
        last = here
    for lines in lines_of_tokens(examined):
        for line in lines:
            if line <= count:
                made["tokens"][line - 1] += 1
    for item in examined.cuts:
        if item.line is not None and 0 < item.line <= count:
            made["removed"][item.line - 1] += item.end - item.start
    return made


def rendering_view(
    examined: Examined, vocabulary: Vocabulary | None, most: int = SAVED_TOKENS
) -> dict[str, Any] | None:
    """The text as runs, and its tokens; at most `most` tokens, and the characters that they cover.

    Args:
        examined: What was rendered.
        vocabulary: Special ids and bytes; None without a tokenizer.
        most: Tokens that are sent.
    """
    if examined.rendered is None:
        return None
    text = str.__str__(examined.rendered.text)
    encoding = examined.encoding
    shown = len(text)
    if encoding is not None and len(encoding.input_ids) > most:
        shown = encoding.offsets[most - 1][1]
    shown = min(shown, most * CHARACTERS_A_TOKEN * 2)
    fields = Table()
    runs = _shown_runs(runs_of(examined.rendered.text), shown)
    return {
        "text": text[:shown],
        "characters": len(text),
        "runs": {
            "length": [run.length for run in runs],
            "line": [run.line for run in runs],
            "start": [run.start for run in runs],
            "field": [fields.index(run.origin.field if run.origin else None) for run in runs],
            "role": [int(bool(run.origin and run.origin.key == "role")) for run in runs],
        },
        "fields": fields.values,
        "turns": [
            {"message": turn.message, "role": turn.role, "start": turn.start, "end": min(turn.end, shown)}
            for turn in examined.rendered.turns
            if turn.start < shown
        ],
        "cuts": [asdict(item) for item in examined.cuts if item.at <= shown],
        "prompt_start": examined.prompt_start,
        "tokens": _tokens_view(examined, vocabulary, shown) if vocabulary else None,
        "token_count": len(encoding.input_ids) if encoding else None,
    }


def _shown_runs(runs: Sequence[Run], shown: int) -> list[Run]:
    """Runs up to a character; neighbours of one origin and line that follow on each other are one."""
    out: list[Run] = []
    at = 0
    for run in runs:
        if at >= shown:
            break
        run = run._replace(length=min(run.length, shown - at))
        at += run.length
        before = out[-1] if out else None
        if before and _continues(before, run):
            out[-1] = before._replace(length=before.length + run.length)
        else:
            out.append(run)
    return out


def _continues(before: Run, run: Run) -> bool:
    field, other = (item.origin.field if item.origin else None for item in (before, run))
    if before.line != run.line or field != other:
        return False
    return field is None or before.start + before.length == run.start


def _tokens_view(examined: Examined, vocabulary: Vocabulary, shown: int) -> dict[str, list[Any]] | None:
    encoding = examined.encoding
    if encoding is None:
        return None
    count = bisect_right([start for start, _ in encoding.offsets], max(shown - 1, 0))
    partial = partial_tokens(encoding.offsets, range(count))
    ids = encoding.input_ids[:count]
    raw = [vocabulary.bytes_of(token) if index in partial else None for index, token in enumerate(ids)]
    return {
        "id": list(ids),
        "start": [start for start, _ in encoding.offsets[:count]],
        "end": [min(end, shown) for _, end in encoding.offsets[:count]],
        "special": [int(token in vocabulary.special_ids) for token in ids],
        "trained": [int(label != IGNORE) for label in examined.labels[:count]],
        "bytes": [None if item is None else item.hex(" ") for item in raw],
    }


def error_view(error: TemplateError | None) -> dict[str, Any] | None:
    """Why there is no text, and at which line."""
    if error is None:
        return None
    return {"code": error.code, "message": error.message, "remedy": error.remedy, "line": error.line}


def examined_view(examined: Examined, vocabulary: Vocabulary | None, most: int = SAVED_TOKENS) -> dict[str, Any]:
    """The part of the payload that changes with every edit."""
    return {
        "source": examined.template.source,
        "made": made_by_line(examined),
        "rendering": rendering_view(examined, vocabulary, most),
        "error": error_view(examined.error),
        "notes": list(examined.notes),
    }


def sentence(made: Mapping[str, Sequence[int]], line: int) -> str:
    """`Line 7 made 149 characters in 2 places, 40 tokens`."""
    index = line - 1
    said: list[str] = []
    if made["characters"][index]:
        places = made["places"][index]
        said.append(
            f"made {made['characters'][index]:,} characters in {places:,} place{'' if places == 1 else 's'}"
            + (f", {made['tokens'][index]:,} tokens" if made["tokens"][index] else "")
        )
    if made["removed"][index]:
        said.append(f"left out {made['removed'][index]:,} characters of the data")
    return f"Line {line} {' and '.join(said) or 'writes nothing itself'}"
