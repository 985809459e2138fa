"""One tokenized row as parallel columns: the `Row` of docs/wire.md section 4."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
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
    tables = {name: Table() for name in ("reason", "field", "line", "role")}
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    text = str.__str__(tokens.rendered.text)
    partial = partial_tokens(tokens.offsets, shown)
    segments: list[dict[str, Any]] = []
    for index in shown:
        token, (start, end) = tokens.input_ids[index], tokens.offsets[index]
        origin, line = places.origin(start, end)
        turn = places.turn(start, end)
        trained = tokens.labels[index] != IGNORE
        raw = vocabulary.bytes_of(token) if index in partial else None
        columns["id"].append(token)
        columns["text"].append("" if raw is not None else text[start:end])
        columns["bytes"].append(raw.hex(" ") if raw is not None else None)
        columns["start"].append(start)
        columns["end"].append(end)
        columns["trained"].append(int(trained))
        columns["special"].append(int(token in vocabulary.special_ids))
        columns["reason"].append(tables["reason"].index(str(tokens.reasons[index])))
        columns["field"].append(tables["field"].index(origin.field if origin else None))
        columns["line"].append(tables["line"].index(line))
        columns["role"].append(tables["role"].index(turn.role if turn else None))
        columns["position"].append(index)
        _extend(segments, turn, index - shown.start, trained)
    edges = (columns["start"][0], columns["end"][-1]) if shown else (0, 0)
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


def _extend(segments: list[dict[str, Any]], turn: Turn | None, index: int, trained: bool) -> None:
    """Put a token into the last segment, or begin one: a segment is a stretch of one message."""
    role, message = (turn.role, turn.message) if turn else ("template", None)
    if not segments or (segments[-1]["role"], segments[-1]["message"]) != (role, message):
        segments.append({"role": role, "message": message, "start": index, "end": index, "trained": 0})
    segments[-1]["end"] = index + 1
    segments[-1]["trained"] += int(trained)


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
