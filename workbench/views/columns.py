"""One tokenized row as parallel columns: the `Row` of docs/wire.md section 4."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, NamedTuple

from workbench.tracked import Run, runs_of
from workbench.types import IGNORE, Finding, Origin, Reason, TokenizedExample, Turn
from workbench.views.sources import Source, sources_of

Bytes = Callable[[int], bytes | None]
"""Bytes of a token id, None where the tokenizer does not say."""


class Vocabulary(NamedTuple):
    """What the view needs to know of the tokenizer."""

    special_ids: frozenset[int]
    bytes_of: Bytes


class Table:
    """Distinct values in order of appearance; columns hold indices into it."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._index: dict[Any, int] = {}

    def index(self, value: Any) -> int:
        """Where the value stands, added if new."""
        if value not in self._index:
            self._index[value] = len(self.values)
            self.values.append(value)
        return self._index[value]


class _Places:
    """Finds the run and the turn at a character."""

    def __init__(self, tokens: TokenizedExample) -> None:
        self.runs: Sequence[Run] = runs_of(tokens.rendered.text)
        self.turns: Sequence[Turn] = tokens.rendered.turns
        self.run_starts = [0]
        for run in self.runs:
            self.run_starts.append(self.run_starts[-1] + run.length)
        self.turn_starts = [turn.start for turn in self.turns]

    def origin(self, start: int, end: int) -> tuple[Origin | None, int | None]:
        """Origin and template line of a token: of its first character from the row, else of its first character."""
        first = bisect_right(self.run_starts, start) - 1
        chosen = None
        for i in range(first, len(self.runs)):
            if self.run_starts[i] >= max(end, start + 1):
                break
            run = self.runs[i]
            chosen = chosen or run
            if run.origin and run.origin.field and run.origin.key != "role":
                chosen = run
                break
        return (chosen.origin, chosen.line or None) if chosen else (None, None)

    def turn(self, start: int, end: int) -> Turn | None:
        """The turn a token stands in, going by its last character."""
        at = bisect_right(self.turn_starts, max(start, end - 1)) - 1
        return self.turns[at] if at >= 0 and start < self.turns[at].end else None


def row_view(
    tokens: TokenizedExample,
    vocabulary: Vocabulary,
    *,
    position: int,
    type: str,
    findings: Sequence[Finding] = (),
    shown: range | None = None,
) -> dict[str, Any]:
    """A row of a rows view.

    Args:
        tokens: The row.
        vocabulary: Special ids and bytes of tokens.
        position: Place among the rows that can be asked for.
        type: Dataset type, shown beside the title.
        findings: What there is to say about the row.
        shown: Which of its tokens; None takes all. Segments are counted from the first of them.
    """
    places = _Places(tokens)
    shown = range(len(tokens.input_ids)) if shown is None else shown
    span = slice(shown.start, shown.stop)
    tables = {name: Table() for name in ("reason", "field", "line", "role")}
    text, spans = str.__str__(tokens.rendered.text), tokens.offsets[span]
    turns = [places.turn(start, end) for start, end in spans]
    columns = _columns(tokens, span, text, vocabulary)
    columns["reason"] = [tables["reason"].index(str(reason)) for reason in tokens.reasons[span]]
    columns["field"], columns["line"] = _origins(spans, places, tables)
    columns["role"] = [tables["role"].index(turn.role if turn else None) for turn in turns]
    columns = {name: columns[name] for name in COLUMNS}
    edges = (spans[0][0], spans[-1][1]) if spans else (0, 0)
    segments = _segments(turns, columns["trained"])
    sources = sources_of(places.runs, edges, tables["field"].index)
    return {
        "position": position,
        "row": tokens.row,
        "title": f"Row {tokens.row}",
        "type": type,
        "characters": len(text),
        "truncated": tokens.truncated,
        "tokens": columns,
        "tables": {name: table.values for name, table in tables.items()},
        "segments": segments,
        "sources": sources,
        "documents": [],
        "findings": [asdict(placed(finding, -shown.start, len(shown))) for finding in findings],
    }


def _columns(tokens: TokenizedExample, span: slice, text: str, vocabulary: Vocabulary) -> dict[str, list[Any]]:
    """The columns that need no table."""
    ids, spans, special = tokens.input_ids[span], tokens.offsets[span], vocabulary.special_ids
    partial = partial_tokens(tokens.offsets, range(span.start, span.stop))
    raw = {i - span.start: vocabulary.bytes_of(tokens.input_ids[i]) for i in partial if span.start <= i < span.stop}
    spelled = {i: value.hex(" ") for i, value in raw.items() if value is not None}
    return {
        "id": list(ids),
        "text": ["" if i in spelled else text[start:end] for i, (start, end) in enumerate(spans)],
        "bytes": [spelled.get(i) for i in range(len(ids))],
        "start": [start for start, _ in spans],
        "end": [end for _, end in spans],
        "trained": [int(label != IGNORE) for label in tokens.labels[span]],
        "special": [int(token in special) for token in ids],
        "position": list(range(span.start, span.stop)),
    }


def _origins(
    spans: Sequence[tuple[int, int]], places: _Places, tables: Mapping[str, Table]
) -> tuple[list[int], list[int]]:
    """Field and template line of each token; those inside one run share its answer."""
    found: list[tuple[int, int]] = []
    known: dict[int, tuple[int, int]] = {}
    starts = places.run_starts
    for start, end in spans:
        run = bisect_right(starts, start) - 1
        inside = start < end and run + 1 < len(starts) and end <= starts[run + 1]
        at = known.get(run) if inside else None
        if at is None:
            origin, line = places.origin(start, end)
            at = tables["field"].index(origin.field if origin else None), tables["line"].index(line)
            if inside:
                known[run] = at
        found.append(at)
    return [field for field, _ in found], [line for _, line in found]


def placed(finding: Finding, by: int, length: int) -> Finding:
    """A finding whose token is counted from another first token; one outside the tokens shown is about the row."""
    if finding.token is None:
        return finding
    token = finding.token + by
    return replace(finding, token=token if 0 <= token < length else None)


COLUMNS = ("id", "text", "bytes", "start", "end", "trained", "special", "reason", "field", "line", "role", "position")


def partial_tokens(offsets: Sequence[tuple[int, int]], shown: range) -> frozenset[int]:
    """Tokens that share a character with a neighbour: each is only some bytes of it."""
    found: set[int] = set()
    for i in range(max(1, shown.start), min(len(offsets), shown.stop + 1)):
        if offsets[i][0] < offsets[i - 1][1] and offsets[i][1] > offsets[i][0]:
            found.update((i - 1, i))
    return frozenset(found)


def _segments(turns: Sequence[Turn | None], trained: Sequence[int]) -> list[dict[str, Any]]:
    """Stretches of one message each."""
    segments: list[dict[str, Any]] = []
    start = 0
    for end in range(1, len(turns) + 1):
        turn = turns[start]
        if end < len(turns) and turns[end] is turn:
            continue
        role, message = (turn.role, turn.message) if turn else ("template", None)
        if segments and (segments[-1]["role"], segments[-1]["message"]) == (role, message):
            segments[-1]["end"] = end
            segments[-1]["trained"] += sum(trained[start:end])
        else:
            count = sum(trained[start:end])
            segments.append({"role": role, "message": message, "start": start, "end": end, "trained": count})
        start = end
    return segments


def joined_view(parts: Sequence[dict[str, Any]], *, position: int, title: str) -> dict[str, Any]:
    """Several row views behind one another: one row of a packed batch.

    Positions restart with every document, and its first token is masked, as the collator masks it.
    """
    tables = {name: Table() for name in ("reason", "field", "line", "role")}
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    segments: list[dict[str, Any]] = []
    documents: list[dict[str, int]] = []
    sources: list[Source] = []
    findings: list[dict[str, Any]] = []
    start_reason = tables["reason"].index(str(Reason.DOCUMENT_START))
    characters = 0
    for part in parts:
        at = len(columns["id"])
        tokens = part["tokens"]
        for name in COLUMNS:
            values = tokens[name]
            if name in tables:
                values = [tables[name].index(part["tables"][name][value]) for value in values]
            elif name in ("start", "end"):
                values = [value + characters for value in values]
            columns[name].extend(values)
        was_trained = columns["trained"][at]
        columns["trained"][at], columns["reason"][at] = 0, start_reason
        moved = [
            {**segment, "start": segment["start"] + at, "end": segment["end"] + at} for segment in part["segments"]
        ]
        moved[0]["trained"] -= was_trained
        segments.extend(moved)
        documents.append({"row": part["row"], "start": at, "end": len(columns["id"])})
        fields = [tables["field"].index(value) for value in part["tables"]["field"]]
        sources += [
            [low + characters, high + characters, fields[k], offset] for low, high, k, offset in part["sources"]
        ]
        findings += [
            item if item["token"] is None else {**item, "token": item["token"] + at} for item in part["findings"]
        ]
        characters += part["characters"]
    return {
        "position": position,
        "row": None,
        "title": title,
        "type": "packed",
        "characters": characters,
        "truncated": 0,
        "tokens": columns,
        "tables": {name: table.values for name, table in tables.items()},
        "segments": segments,
        "sources": sources,
        "documents": documents,
        "findings": findings,
    }


def padded_view(row: dict[str, Any], width: int, pad_id: int, pad_text: str) -> dict[str, Any]:
    """A row view with padding to the width of its batch."""
    gap = width - len(row["tokens"]["id"])
    if gap <= 0:
        return row
    tables = {name: list(values) for name, values in row["tables"].items()}
    fill: dict[str, Any] = {"id": pad_id, "text": pad_text, "bytes": None, "trained": 0, "special": 1}
    for name, value in (("reason", str(Reason.PADDING)), ("field", None), ("line", None), ("role", None)):
        if value not in tables[name]:
            tables[name].append(value)
        fill[name] = tables[name].index(value)
    end = row["characters"]
    columns = {name: list(values) for name, values in row["tokens"].items()}
    length = len(columns["id"])
    for name in COLUMNS:
        if name == "position":
            columns[name] += range(length, width)
        else:
            columns[name] += [end if name in ("start", "end") else fill[name]] * gap
    padding = {"role": "padding", "message": None, "start": length, "end": width, "trained": 0}
    return {**row, "tokens": columns, "tables": tables, "segments": [*row["segments"], padding]}
