"""Which dataset type the rows are of, with the evidence.

    detect(rows)[0]  ->  FormatMatch("alpaca", {"instruction": "question", …}, 100 of 100, ("`question` is text in …",))
    mixture(rows)    ->  {"messages": 900, "alpaca": 100}

A type is never chosen by column names alone: a row fits when the values look right too. Nothing is chosen silently:
mixtures, types that are only recognised, and data that fits no type come back as findings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from workbench.rows.columns import guess_columns
from workbench.rows.formats import FORMATS, Format
from workbench.rows.shapes import SHAPES, fits, kind_of, shapes_of
from workbench.types import Finding, FormatMatch

UNKNOWN = "unknown"
"""Name under which `mixture` counts rows that fit no type."""

Row = Mapping[str, Any]
Signature = tuple[tuple[str, frozenset[str]], ...]


def detect(rows: Sequence[Row], sample: int = 1000) -> list[FormatMatch]:
    """Rank the dataset types by how many rows are best read as each.

    Args:
        rows: Data rows.
        sample: Rows to look at, spread evenly over the data.

    Returns:
        Best first. Where no row fits any type: the near misses, with `rows == 0`; `missing` says what they lack.
    """
    indices = _spread(len(rows), sample)
    looked = [(i, rows[i]) for i in indices]
    signatures = [_signature(row) for _, row in looked]
    claims = _claims(signatures)
    kinds = Counter(signatures)
    seen = _columns_seen(kinds)
    matches = [_match(entry, looked, signatures, seen) for entry in FORMATS.values()]
    found = [match for match in matches if match is not None]
    fitting = [match for match in found if match.rows]
    order = list(FORMATS)
    return sorted(fitting or found, key=lambda m: (-claims[m.type], -m.rows, len(m.missing), order.index(m.type)))


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
    return dict(_claims(_signature(row) for row in rows).most_common())


def detection_findings(rows: Sequence[Row], sample: int = 1000) -> tuple[Finding, ...]:
    """What to know about the choice of type: a mixture (WB510), none (WB512)."""
    if not len(rows):
        return ()
    matches = detect(rows, sample)
    best = choose(matches)
    found: list[Finding] = []
    if best is None:
        found.append(_no_type(rows, matches))
    counts = mixture(rows[i] for i in _spread(len(rows), sample))
    if sum(name != UNKNOWN for name in counts) > 1:
        parts = ", ".join(f"{name} in {count}" for name, count in counts.items())
        message = f"The rows are of several types: {parts} of {sum(counts.values())} rows looked at."
        found.append(Finding("WB510", "warning", message, remedy="Split the data by type, or name one with type=…."))
    return tuple(found)


def _spread(length: int, sample: int) -> list[int]:
    if length <= sample:
        return list(range(length))
    return [i * length // sample for i in range(sample)]


def _signature(row: object) -> Signature:
    if not isinstance(row, Mapping):
        return ()
    return tuple(sorted(((str(name), shapes_of(value)) for name, value in row.items()), key=lambda item: item[0]))


def _columns_seen(kinds: Mapping[Signature, int]) -> dict[str, list[frozenset[str]]]:
    seen: dict[str, list[frozenset[str]]] = {}
    for signature, count in kinds.items():
        for name, shapes in signature:
            seen.setdefault(name, []).extend([shapes] * count)
    return seen


def _claims(signatures: Iterable[Signature]) -> Counter[str]:
    """Rows a type, each row counted for the one type that reads it best."""
    known: dict[Signature, str] = {}
    claims: Counter[str] = Counter()
    for signature in signatures:
        if signature not in known:
            known[signature] = _type_of(signature)
        claims[known[signature]] += 1
    return claims


def _type_of(signature: Signature) -> str:
    seen = {name: [shapes] for name, shapes in signature}
    best, best_rank = UNKNOWN, (-1, False, 0)
    for entry in FORMATS.values():
        columns = guess_columns(seen, entry.name)
        if _misfit(dict(signature), entry, columns) is None:
            rank = (entry.precedence, _named(entry, columns), len(entry.required))
            if rank > best_rank:
                best, best_rank = entry.name, rank
    return best


def _named(entry: Format, columns: Mapping[str, str]) -> bool:
    """Whether every required column was found by its name rather than by its shape."""
    return all(columns[column.name].lower() in (column.name, *column.aliases) for column in entry.required)


def _misfit(row: Mapping[str, frozenset[str]], entry: Format, columns: Mapping[str, str]) -> str | None:
    """Our name of the first required column that a row lacks or has in another shape."""
    for column in entry.required:
        name = columns.get(column.name)
        if name is None or name not in row or not fits(row[name], column.shapes):
            return column.name
    return None


def _match(
    entry: Format, looked: list[tuple[int, Row]], signatures: list[Signature], seen: dict[str, list[frozenset[str]]]
) -> FormatMatch | None:
    """Evidence for one type; None where the data has nothing of it."""
    columns = guess_columns(seen, entry.name)
    missing: list[str] = []
    for column in entry.required:
        name = columns.get(column.name)
        if name is None or not any(fits(shapes, column.shapes) for shapes in seen[name]):
            missing.append(f"`{column.name}` as {_or(column.shapes)}")
    present = [column for column in entry.required if column.name in columns]
    if not present or (missing and len(missing) == len(entry.required) and len(present) < len(entry.required)):
        return None
    misfits = [_misfit(dict(signature), entry, columns) for signature in signatures]
    against = [(i, row, misfit) for (i, row), misfit in zip(looked, misfits, strict=True) if misfit is not None]
    return FormatMatch(
        type=entry.name,
        columns=columns,
        rows=len(looked) - len(against),
        total=len(looked),
        evidence=(*_evidence(entry, columns, seen, len(looked)), *_against(against, columns)),
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
            sentences.append(f"`{name}` is {SHAPES[shape]} in {count} of {total} rows")
        if not counts:
            sentences.append(f"`{name}` is {_or(column.shapes)} in 0 of {total} rows")
    return sentences


def _against(against: list[tuple[int, Row, str]], columns: Mapping[str, str]) -> list[str]:
    sentences: list[str] = []
    for i, row, misfit in against[:3]:
        name = columns.get(misfit, misfit)
        what = f"is {kind_of(row[name])}" if name in row else "is missing"
        sentences.append(f"row {i}: `{name}` {what}")
    return sentences


def _or(shapes: tuple[str, ...]) -> str:
    return " or ".join(SHAPES[shape] for shape in shapes)


def _no_type(rows: Sequence[Row], matches: Sequence[FormatMatch]) -> Finding:
    first = rows[0]
    shown = ", ".join(f"`{name}` is {kind_of(value)}" for name, value in list(first.items())[:6])
    near = f" Nearest: {matches[0].type}, which also needs {', '.join(matches[0].missing)}." if matches else ""
    message = f"The rows fit no known dataset type. In row 0 {shown or 'there is no column'}.{near}"
    remedy = (
        "Rename the columns, or pass type=… and columns={our name: your column}; docs/dataset-types.md lists the types."
    )
    return Finding("WB512", "error", message, remedy=remedy)
