"""Checks of one tokenized row.

    check_row(example, tokenized, special_ids) -> [Finding]

WB120 nothing trained · WB121 a trained token reaches into masked text · WB122 special token typed in the data ·
WB123 a list printed as text · WB124 text lost by the template · WB125 white space lost · WB126 answer cut off ·
WB127 no stop token trained · WB128 characters dropped by the tokenizer · WB129 null printed as None ·
WB135 cut outside an answer · WB136 padding or media trained
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import ge
from typing import Any

from workbench.checks.ends import cut_answer, cut_elsewhere, no_stop, supervised_filler
from workbench.checks.row import Row
from workbench.tokens.offsets import columns
from workbench.tracked import Run, Tracked, runs_of
from workbench.types import Conversation, Example, Finding, Segments, TokenizedExample


def check_row(example: Example, tokens: TokenizedExample, special_ids: frozenset[int]) -> tuple[Finding, ...]:
    """Everything there is to say about one row, errors first."""
    row = Row(example, tokens, special_ids, *columns(tokens.offsets))
    found = [finding for check in CHECKS for finding in check(row)]
    if len(found) > 1:
        found.sort(key=lambda finding: ("error", "warning", "info").index(finding.severity))
    return tuple(found)


def nothing_trained(row: Row) -> Iterator[Finding]:
    """WB120: a row without a trained token teaches nothing, and fails silently in every trainer."""
    if not row.tokens.trained:
        why = "all of it was cut off by max_length" if row.tokens.truncated else "no text of it is the assistant's"
        yield Finding(
            "WB120",
            "error",
            f"No token of row {row.tokens.row} is trained: {why}.",
            row=row.tokens.row,
            remedy="Leave the row out, raise max_length, or choose another train_on.",
        )


def straddling(row: Row) -> Iterator[Finding]:
    """WB121: a token that stands for trained and masked characters at once never occurs so at inference."""
    found = _over_edges(row)
    if found:
        start, end = row.tokens.offsets[found[0]]
        yield Finding(
            "WB121",
            "warning",
            f"Token {found[0]} ({str.__str__(row.tokens.rendered.text)[start:end]!r}) joins the end of the prompt with "
            "the beginning of the answer; at inference the prompt ends inside it.",
            row=row.tokens.row,
            remedy="End the prompt where a token ends, such as at a line break.",
            token=found[0],
        )


def _over_edges(row: Row) -> list[int]:
    """Tokens that begin before an answer does and end behind its beginning."""
    bounds = _trained_edges(row.tokens)  # ascending, as turns are
    if any(map(ge, row.starts, row.ends)):  # a token of no characters is reported anywhere
        tokens = enumerate(row.tokens.offsets)
        return [i for i, (start, end) in tokens if bisect_left(bounds, end) > bisect_right(bounds, start)]
    return [i for bound in bounds for i in range(bisect_right(row.ends, bound), bisect_left(row.starts, bound))]


def _trained_edges(tokens: TokenizedExample) -> list[int]:
    """Characters where an assistant's own text begins."""
    turns = tokens.rendered.turns
    return [turn.body for turn in turns if turn.role in ("assistant", "completion") and turn.body > 0]


def special_in_data(row: Row) -> Iterator[Finding]:
    """WB122: text of the row that the tokenizer turns into a control token."""
    if isinstance(row.example, Segments):
        return  # template-free rows write their special tokens themselves
    special = row.special_ids
    found = [i for i, token in enumerate(row.tokens.input_ids) if token in special]
    if not found or _outside_data(row, found):
        return
    text = row.tokens.rendered.text
    fields = _field_at(text)
    for index in found:
        token, (start, end) = row.tokens.input_ids[index], row.tokens.offsets[index]
        field = fields(start) if end > start else None
        if field:
            yield Finding(
                "WB122",
                "error",
                f"{field} contains {str.__str__(text)[start:end]!r}, which becomes the control token {token} "
                f"(token {index}).",
                row=row.tokens.row,
                field=field,
                remedy="Remove or spell out the token in the data; the model cannot tell it from the template's own.",
                token=index,
            )


def _outside_data(row: Row, tokens: list[int]) -> bool:
    """Whether tokens stand where no row's text can, decided without looking at the origins of every character.

    The text of a conversation's messages stands between `body` and `data_end` of its turns; tools stand outside.
    """
    if not isinstance(row.example, Conversation) or row.example.tools:
        return False
    turns = row.tokens.rendered.turns
    if not row.tokens.rendered.whole:
        return False
    bodies = [turn.body for turn in turns]
    for index in tokens:
        start = row.starts[index]
        turn = bisect_right(bodies, start) - 1
        if turn >= 0 and start < turns[turn].data_end:
            return False
    return True


def _field_at(text: str) -> Callable[[int], str | None]:
    spans: list[tuple[int, int, str]] = []
    at = 0
    for run in runs_of(text):
        if run.origin and run.origin.field and run.origin.key != "role":
            spans.append((at, at + run.length, run.origin.field))
        at += run.length
    lows = [low for low, _, _ in spans]

    def at_character(start: int) -> str | None:
        index = bisect_right(lows, start) - 1
        return spans[index][2] if index >= 0 and start < spans[index][1] else None

    return at_character


def lossy_tokens(row: Row) -> Iterator[Finding]:
    """WB128: characters that the vocabulary cannot spell and silently drops."""
    whole = len(row.tokens.rendered.text)
    gapless = bool(row.ends) and row.ends[-1] == whole and row.starts[0] == 0 and row.starts[1:] == row.ends[:-1]
    lost = 0 if row.tokens.truncated or gapless else _uncovered(row.tokens.offsets, whole)
    if lost:
        yield Finding(
            "WB128",
            "warning",
            f"The tokenizer has no token for {lost} of {whole} characters of row {row.tokens.row}; "
            "they are dropped, and the model never sees them.",
            row=row.tokens.row,
            remedy="Use a tokenizer whose vocabulary covers all bytes.",
        )


def _uncovered(offsets: tuple[tuple[int, int], ...], whole: int) -> int:
    """Characters that no token stands for."""
    lost = reached = 0
    for start, end in offsets:
        if start > reached:
            lost += start - reached
        if end > reached:
            reached = end
    return lost + whole - reached


def printed_list(row: Row) -> Iterator[Finding]:
    """WB123: a template for plain text was given typed content and printed the list itself."""
    if not isinstance(row.example, Conversation):
        return
    text = str.__str__(row.tokens.rendered.text)
    for i, message in enumerate(row.example.messages):
        content = message.get("content")
        if isinstance(content, list) and content and any(shape in text for shape in _printed(content)):
            yield Finding(
                "WB123",
                "error",
                f"The template prints the list of content parts of message {i} as text ([{{'type': …).",
                row=row.tokens.row,
                field=f"messages[{i}].content",
                remedy="Use a template that knows typed content, or give the content as one string.",
            )


def _printed(content: Sequence[Any]) -> tuple[str, str]:
    """A list of parts as Python and as JSON would print it."""
    return repr(content), json.dumps(content, ensure_ascii=False, default=str)


def printed_none(row: Row) -> Iterator[Finding]:
    """WB129: a value of the message is null, and the template printed it."""
    if not isinstance(row.example, Conversation) or not _has_null(row.example):
        return
    at = 0
    for run in runs_of(row.tokens.rendered.text):
        start, at = at, at + run.length
        index = run.origin.message if run.origin and run.origin.key == "computed" else None
        if index is None or str.__str__(row.tokens.rendered.text)[start:at].strip() != "None":
            continue
        nulls = [str(name) for name, value in row.example.messages[index].items() if value is None]
        if nulls:
            field = f"messages[{index}].{'content' if 'content' in nulls else nulls[0]}"
            yield Finding(
                "WB129",
                "error",
                f"{field} is null, and the template prints it as the text 'None' (character {start}).",
                row=row.tokens.row,
                field=field,
                remedy="Give an empty text instead of null, or use a template that looks before it prints.",
                token=_token_at(row, start),
            )


def lost_calls(row: Row) -> Iterator[Finding]:
    """WB124: a tool call that the template left out; its name stands nowhere in the text."""
    if not isinstance(row.example, Conversation):
        return
    text = str.__str__(row.tokens.rendered.text)
    for i, message in enumerate(row.example.messages):
        calls = message.get("tool_calls")
        for k, call in enumerate(calls if isinstance(calls, list) else []):
            name = _called(call)
            if name and name not in text:
                field = f"messages[{i}].tool_calls[{k}]"
                yield Finding(
                    "WB124",
                    "warning",
                    f"The template leaves out the call of {name!r} in {field}.",
                    row=row.tokens.row,
                    field=field,
                    remedy="Use a template that writes tool calls: this one trains an answer without its call.",
                )


def _called(call: Any) -> str | None:
    """Name of the function that a tool call calls."""
    inner = call.get("function", call) if isinstance(call, Mapping) else None
    name = inner.get("name") if isinstance(inner, Mapping) else None
    return str.__str__(name) if isinstance(name, str) else None


def _has_null(talk: Conversation) -> bool:
    return any([None in message.values() for message in talk.messages])


def lost_text(row: Row) -> Iterator[Finding]:
    """WB124 and WB125: characters of a message that the template left out."""
    if not isinstance(row.example, Conversation) or not isinstance(row.tokens.rendered.text, Tracked):
        return
    if row.tokens.rendered.whole or _all_there(row.example, row.tokens.rendered.text):
        return
    kept = _kept_characters(row.tokens.rendered.text)
    for message in row.example.messages:
        content = message.get("content")
        if type(content) is not Tracked or not content.runs or not message.get("role"):
            continue
        yield from _lost_in(content, kept, row.tokens.row, str(message["role"]))


def _all_there(talk: Conversation, text: Tracked) -> bool:
    """Whether as many characters come out of the messages as went in: the common case, decided cheaply."""
    contents = [message.get("content") for message in talk.messages]
    given = sum(run.length for item in contents if type(item) is Tracked for run in item.runs if _named(run))
    written = sum(run.length for run in text.runs if _named(run) and run.origin and run.origin.key == "content")
    return given == written


def _named(run: Run) -> bool:
    return run.origin is not None and run.origin.field is not None


def _lost_in(content: Tracked, kept: Mapping[str, set[int]], row: int, role: str) -> Iterator[Finding]:
    lost: dict[str, list[str]] = {}
    at = 0
    for run in content.runs:
        if run.origin and run.origin.field:
            there = kept.get(run.origin.field, set())
            gone = [i for i in range(run.length) if run.start + i not in there]
            lost.setdefault(run.origin.field, []).extend(str.__getitem__(content, at + i) for i in gone)
        at += run.length
    for field, chars in lost.items():
        text = "".join(chars)
        if not text:
            continue
        blank = not text.strip()
        yield Finding(
            "WB125" if blank else "WB124",
            "info" if blank else "warning",
            f"The template leaves out {len(text)} characters of {field}{', white space' * blank}: {text[:40]!r}.",
            row=row,
            field=field,
            remedy="Look whether that is meant: what is left out is not trained and not seen."
            if role == "assistant"
            else "Look whether that is meant: the model will not see it.",
        )


def _kept_characters(text: Tracked) -> dict[str, set[int]]:
    kept: dict[str, set[int]] = {}
    for run in text.runs:
        if run.origin and run.origin.field:
            kept.setdefault(run.origin.field, set()).update(range(run.start, run.start + run.length))
    return kept


def _token_at(row: Row, character: int) -> int | None:
    """The token that holds a character; None where it was cut off."""
    index = bisect_right(row.ends, character)
    return index if index < len(row.ends) else None


Check = Callable[[Row], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (
    nothing_trained,
    special_in_data,
    lossy_tokens,
    printed_list,
    printed_none,
    lost_text,
    lost_calls,
    straddling,
    cut_answer,
    cut_elsewhere,
    no_stop,
    supervised_filler,
)


def summary(findings: tuple[Finding, ...]) -> dict[str, int]:
    """How many findings of each code."""
    counts: dict[str, int] = {}
    for finding in findings:
        counts[finding.code] = counts.get(finding.code, 0) + 1
    return counts
