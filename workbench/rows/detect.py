"""Which dataset type the rows are of, with the evidence.

    detect(rows)[0]  ->  FormatMatch("alpaca", {"instruction": "question", …}, 100 of 100, ("`question` is text in …",))
    mixture(rows)    ->  {"messages": 900, "alpaca": 100}
    examine(rows)    ->  both, and the findings, from one look at the rows

A type is never chosen by column names alone: a row fits when the values look right too. Nothing is chosen silently:
mixtures, choices only a person can make, odd rows within a type, and data that fits no type come back as findings.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from workbench.rows.columns import guess_columns, takes
from workbench.rows.doubts import doubt
from workbench.rows.files.streams import StreamRows
from workbench.rows.formats import FORMATS, Format
from workbench.rows.shapes import SHAPES, fits, kind_of
from workbench.rows.signatures import UNKNOWN, Claims, Looked, Signature, look_at, misfit, proved
from workbench.rows.structures import Structures, structure_of
from workbench.types import Finding, FormatMatch

__all__ = ["SAMPLE", "UNKNOWN", "Detection", "choose", "detect", "detection_findings", "examine", "mixture"]

SAMPLE = 2000
"""Rows that are looked at before all of them are, in the background."""

BUDGET = 64_000_000
"""Characters of rows that a sample holds at most; of long rows fewer are looked at."""
PROBED = 16
"""Rows the length of rows is estimated from."""

Row = Mapping[str, Any]

_PRINTED = re.compile(r"\s*\[\s*\{\s*'")
"""A list of objects that was turned into text with `str`, as a data frame does when it writes CSV."""


@dataclass(frozen=True, slots=True)
class Detection:
    """What a sample of the rows says.

    Attributes:
        matches: Candidate types, best first.
        counts: Rows looked at, by the type that reads each best; `unknown` for none.
        looked: Rows looked at.
        findings: What to know about the choice: a mixture (WB510), none (WB512), two readings (WB513),
            odd rows (WB514), lists as Python prints them (WB516).
    """

    matches: tuple[FormatMatch, ...]
    counts: Mapping[str, int]
    looked: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Sample:
    """Rows that were looked at."""

    indices: Sequence[int]
    rows: Sequence[Row]
    seen: Sequence[Looked]
    claims: Claims

    def columns(self) -> dict[str, list[frozenset[str]]]:
        """Columns with the shapes of their values, one entry a row."""
        out: dict[str, list[frozenset[str]]] = {}
        for signature, count in self.claims.kinds.items():
            for name, shapes in signature:
                out.setdefault(name, []).extend([shapes] * count)
        return out


CANDIDATES = tuple(entry for entry in FORMATS.values() if entry.name != "user_defined")
"""Types that rows can be told to be; a user-defined one has alpaca's columns, and only its author can mean it."""


def examine(rows: Sequence[Row], sample: int = SAMPLE) -> Detection:
    """Look at a sample of the rows once, and say everything there is to say about their type.

    Args:
        rows: Data rows.
        sample: Rows to look at, spread evenly over the data; of a stream the first ones.
    """
    taken = _sample(rows, sample)
    if not taken.rows:
        return Detection((), {}, 0, ())
    seen, counts = taken.columns(), taken.claims.counts()
    found = [match for entry in CANDIDATES if (match := _match(entry, taken, seen)) is not None]
    matches = _ranked(found, counts)
    best = choose(matches)
    findings = [] if best is None else _mixed(best, counts, len(taken.rows))
    findings += _printed(taken, best)
    structures = Structures()
    if best is None:
        findings.append(_no_type(taken.rows[0], matches))
    else:
        question = doubt(matches, seen)
        findings += [question] if question else []
        for index, looked in zip(taken.indices, taken.seen, strict=True):
            if misfit(looked.signature, FORMATS[best.type], best.columns) is None:
                structures.add(index, structure_of(looked.values, best.type, best.columns))
        findings += structures.findings(best.type)
        evidence = (*best.evidence, *structures.sentences())
        matches = [replace(match, evidence=evidence) if match is best else match for match in matches]
    return Detection(tuple(matches), dict(counts.most_common()), len(taken.rows), tuple(findings))


def detect(rows: Sequence[Row], sample: int = SAMPLE) -> list[FormatMatch]:
    """Rank the dataset types by how many rows are best read as each.

    Args:
        rows: Data rows.
        sample: Rows to look at, spread evenly over the data; of a stream the first ones.

    Returns:
        Best first. Where no row fits any type: the near misses, with `rows == 0`; `missing` says what they lack.
    """
    return list(examine(rows, sample).matches)


def choose(matches: Sequence[FormatMatch]) -> FormatMatch | None:
    """The match to go on with, or None where no type fits.

    Where no row fits any type, a type is still chosen when the data has all its columns: conversion then says of every
    row what is wrong with its values.
    """
    if matches and matches[0].rows:
        return matches[0]
    complete = [m for m in matches if all(column.name in m.columns for column in FORMATS[m.type].required)]
    return complete[0] if complete else None


def mixture(rows: Iterable[Row]) -> dict[str, int]:
    """How many rows are best read as each type, most frequent first; `unknown` counts rows that fit none."""
    claims = Claims()
    for row in rows:
        claims.add(look_at(row).signature)
    return dict(claims.counts().most_common())


def detection_findings(rows: Sequence[Row], sample: int = SAMPLE) -> tuple[Finding, ...]:
    """What to know about the choice of type, as `examine` finds it."""
    return examine(rows, sample).findings


def _sample(rows: Sequence[Row], sample: int) -> _Sample:
    if isinstance(rows, StreamRows):
        chosen: Sequence[Row] = rows.first(_affordable(rows.first(PROBED), sample))
        indices = list(range(len(chosen)))
    else:
        if len(rows) > PROBED:
            sample = _affordable([rows[i] for i in _spread(len(rows), PROBED)], sample)
        indices = _spread(len(rows), sample)
        chosen = [rows[i] for i in indices]
    seen = [look_at(row) for row in chosen]
    claims = Claims()
    for looked in seen:
        claims.add(looked.signature)
    return _Sample(indices, chosen, seen, claims)


def _spread(length: int, sample: int) -> list[int]:
    if length <= sample:
        return list(range(length))
    return [i * length // sample for i in range(sample)]


def _affordable(probed: Sequence[Row], sample: int) -> int:
    """How many of the rows may be looked at, going by the length of some; at least as many as were probed."""
    length = sum(_length(value) for row in probed for value in row.values())
    return sample if not length else max(min(sample, BUDGET * len(probed) // length), min(sample, PROBED))


def _length(value: object) -> int:
    """Characters of a value, about: of a list, those of its first item times its length."""
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, Mapping):
        return sum(map(_length, value.values()))
    if isinstance(value, list | tuple) and value:
        return len(value) * _length(value[0])
    return 8


def _ranked(found: list[FormatMatch], counts: Counter[str]) -> list[FormatMatch]:
    """Best first: by the rows that each type reads best.

    A type that some rows prove and all rows fit (chats of which some have images) is counted for all of them.
    """
    fitting = [match for match in found if match.rows]
    order = list(FORMATS)

    def lead(match: FormatMatch) -> int:
        covers = FORMATS[match.type].proofs and counts[match.type] and match.rows == match.total
        return match.rows if covers else counts[match.type]

    def key(match: FormatMatch) -> tuple[int, ...]:
        entry = FORMATS[match.type]
        absent = sum(column.name not in match.columns for column in entry.required)
        return (
            -lead(match),
            -match.rows,
            absent,
            len(match.missing),
            -entry.precedence if match.rows else 0,
            order.index(match.type),
        )

    return sorted(fitting or found, key=key)


def _match(entry: Format, taken: _Sample, seen: dict[str, list[frozenset[str]]]) -> FormatMatch | None:
    """Evidence for one type; None where the data has nothing of it."""
    columns = guess_columns(seen, entry.name)
    missing: list[str] = []
    for column in entry.required:
        name = columns.get(column.name)
        if name is None or not any(takes(column, name, shapes) for shapes in seen[name]):
            missing.append(f"`{column.name}` as {_or(column.shapes)}")
    present = [column for column in entry.required if column.name in columns]
    if not present or (missing and len(missing) == len(entry.required) and len(present) < len(entry.required)):
        return None
    if not any(proved(signature, entry, columns) for signature in taken.claims.kinds):
        return None
    misfits: dict[Signature, str | None] = {s: misfit(s, entry, columns) for s in taken.claims.kinds}
    against: list[tuple[int, Row, str]] = []
    for index, row, looked in zip(taken.indices, taken.rows, taken.seen, strict=True):
        wrong = misfits[looked.signature]
        if wrong is not None:
            against.append((index, row, wrong))
    return FormatMatch(
        type=entry.name,
        columns=columns,
        rows=len(taken.rows) - len(against),
        total=len(taken.rows),
        evidence=(*_evidence(entry, columns, seen, len(taken.rows)), *_against(against, columns)),
        counter_examples=tuple(i for i, _, _ in against[:10]),
        missing=tuple(missing),
    )


def _evidence(
    entry: Format, columns: Mapping[str, str], seen: Mapping[str, list[frozenset[str]]], total: int
) -> list[str]:
    sentences: list[str] = []
    for column in entry.columns:
        name = columns.get(column.name)
        if name is None or name not in seen:
            continue
        counts = Counter(shape for shapes in seen[name] for shape in column.shapes if fits(shapes, (shape,)))
        for shape, count in counts.most_common(2):
            sentences.append(f"`{name}` is {SHAPES[shape]} in {count:,} of {total:,} rows")
        if not counts:
            sentences.append(f"`{name}` is {_or(column.shapes)} in 0 of {total:,} rows")
    return sentences


def _against(against: list[tuple[int, Row, str]], columns: Mapping[str, str]) -> list[str]:
    sentences: list[str] = []
    for i, row, wrong in against[:3]:
        name = columns.get(wrong, wrong)
        what = f"is {kind_of(row[name])}" if name in row else "is missing"
        sentences.append(f"row {i}: `{name}` {what}")
    return sentences


def _or(shapes: tuple[str, ...]) -> str:
    return " or ".join(SHAPES[shape] for shape in shapes)


def _mixed(best: FormatMatch, counts: Counter[str], total: int) -> list[Finding]:
    """WB510 where rows are of several types; only for information where the chosen one reads them all."""
    if sum(name != UNKNOWN for name in counts) < 2:
        return []
    parts = ", ".join(f"{name} in {count}" for name, count in counts.most_common())
    message = f"The rows are of several types: {parts} of {total:,} rows looked at."
    if best.rows == best.total and FORMATS[best.type].proofs:
        return [Finding("WB510", "info", f"{message} `{best.type}` reads all of them.")]
    return [Finding("WB510", "warning", message, remedy="Split the data by type, or name one with type=….")]


def _printed(taken: _Sample, best: FormatMatch | None) -> list[Finding]:
    """WB516 for columns that hold lists as Python prints them, in rows that do not fit for it."""
    found: Counter[str] = Counter()
    for row, looked in zip(taken.rows, taken.seen, strict=True):
        if best is None or misfit(looked.signature, FORMATS[best.type], best.columns) is not None:
            found.update(name for name, value in row.items() if isinstance(value, str) and _PRINTED.match(value))
    return [
        Finding(
            "WB516",
            "error",
            f"`{name}` is a list as Python prints it, not JSON, in {count} of {len(taken.rows)} rows.",
            field=name,
            remedy=f"Write the column with json.dumps, or read it: row[{name!r}] = ast.literal_eval(row[{name!r}]).",
        )
        for name, count in found.items()
    ]


def _no_type(first: Row, matches: Sequence[FormatMatch]) -> Finding:
    shown = ", ".join(f"`{name}` is {kind_of(value)}" for name, value in list(first.items())[:6])
    near = f" Nearest: {matches[0].type}, which also needs {', '.join(matches[0].missing)}." if matches else ""
    message = f"The rows fit no known dataset type. In row 0 {shown or 'there is no column'}.{near}"
    remedy = (
        "Rename the columns, or pass type=… and columns={our name: your column}; docs/dataset-types.md lists the types."
    )
    return Finding("WB512", "error", message, remedy=remedy)
