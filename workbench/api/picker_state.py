"""What the picker shows, as the page gets it (docs/wire.md, section 4): plain values made of data and sample."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from workbench.api.data import Data
from workbench.api.picker_cells import cell, named, roles_in, whole
from workbench.api.picker_sample import PREVIEW_ROWS, Reading, Sample
from workbench.api.template import templates
from workbench.rows.columns import ROLES, TOOL_CALL, Shapes, guess_columns, role_of
from workbench.rows.formats import FORMATS
from workbench.types import Finding, FormatMatch

BINS = 32
SKEWED = 8
"""How many times the length that 90 % of rows keep under the longest row must be for a logarithmic axis."""
MISFITS = 20
"""Rows that do not fit which are sent to the page."""
NEAR = 3
"""Types beside the chosen one whose evidence is sent to the page."""
QUESTION = "WB513"
NO_TYPE = "WB512"
COLUMN = re.compile(r"`([^`]+)`")


def source_view(data: Data, sample: Sample) -> dict[str, Any]:
    """Header: which file, how big."""
    return {
        "title": data.source.title,
        "rows": sample.count,
        "columns": len(sample.names),
        "bytes": data.source.bytes,
        "read": "limited" if data.given.get("limit") else "all" if sample.complete else "first",
    }


# Types and their evidence


def types_view(data: Data, sample: Sample) -> list[dict[str, Any]]:
    """Candidates with their evidence, best first; then every other type, so that it can still be chosen."""
    used = {name for name in data.columns.values() if name}
    shown = [match for i, match in enumerate(data.matches) if i < NEAR or match.type == data.type]
    views = [_match_view(match, data, sample, used) for match in shown]
    taken = {view["name"] for view in views}
    blank: dict[str, Any] = {"rows": 0, "total": 0, "evidence": [], "missing": [], "loses": []}
    for entry in FORMATS.values():
        if entry.name not in taken:
            view = {"name": entry.name, "label": entry.label, **blank}
            if entry.name == data.type:
                view["evidence"] = _by_hand(data, sample)
            views.append(view)
    return views


def _match_view(match: FormatMatch, data: Data, sample: Sample, used: set[str]) -> dict[str, Any]:
    is_chosen = match.type == data.type
    own = set(match.columns.values())
    return {
        "name": match.type,
        "label": FORMATS[match.type].label,
        "rows": match.rows,
        "total": match.total,
        "evidence": _kept(_evidence(match), data, sample) if is_chosen else _evidence(match),
        "missing": list(match.missing),
        "loses": [] if is_chosen else sorted(used - own, key=sample.names.index) if used <= set(sample.names) else [],
    }


def _evidence(match: FormatMatch) -> list[dict[str, Any]]:
    """Sentences for the type, each with the role its column got; sentences about single rows are told elsewhere."""
    roles = {theirs: ours for ours, theirs in match.columns.items()}
    found: list[dict[str, Any]] = []
    for sentence in match.evidence:
        if not sentence.startswith("row "):
            column = COLUMN.match(sentence)
            found.append({"text": sentence, "role": roles.get(column[1]) if column else None})
    return found


def _kept(evidence: list[dict[str, Any]], data: Data, sample: Sample) -> list[dict[str, Any]]:
    """Evidence as far as the columns still have the roles they were detected with, and what the others hold."""
    given = {ours: f"`{name}`" for ours, name in data.columns.items() if name}
    kept = [item for item in evidence if item["role"] is None or item["text"].startswith(given.get(item["role"], "\0"))]
    told = {item["role"] for item in kept}
    return kept + [item for item in _by_hand(data, sample) if item["role"] not in told]


def _by_hand(data: Data, sample: Sample) -> list[dict[str, Any]]:
    """What the columns chosen by hand hold."""
    columns = [(ours, name) for ours, name in data.columns.items() if name in sample.kinds]
    return [{"text": f"`{name}` is {sample.kinds[name]}", "role": ours} for ours, name in columns]


def fit_view(reading: Reading, scanned: tuple[int, int] | None) -> dict[str, int]:
    """How many rows fit, of how many.

    Args:
        reading: The sample of the rows.
        scanned: Rows that fit and rows in all, where the whole file was read.
    """
    rows, total = scanned or (sum(row not in reading.misfits for row in reading.looked), len(reading.looked))
    return {"rows": rows, "total": total}


def question_view(data: Data) -> tuple[dict[str, Any] | None, dict[str, dict[str, str]]]:
    """The question where two types fit alike, and the columns that go with each answer.

    The finding names both types in its message, and in its remedy the columns as the call needs them.
    """
    asked = next((item for item in data.findings if item.code == QUESTION), None)
    if asked is None or data.chosen_by == "you":
        return None, {}
    choices = [name for name in dict.fromkeys(COLUMN.findall(asked.message)) if name in FORMATS][:2]
    columns = _columns_in(asked.remedy)
    return {"finding": asdict(asked), "choices": choices}, ({choices[1]: columns} if len(choices) > 1 else {})


def _columns_in(remedy: str) -> dict[str, str]:
    found = re.search(r"columns=(\{.*?\})", remedy)
    try:
        columns: Any = json.loads(found[1]) if found else {}
    except ValueError:
        return {}
    return {ours: theirs for ours, theirs in columns.items() if theirs != "…"}


def notices_view(data: Data) -> list[dict[str, Any]]:
    """What there is to say about the file as a whole, beside what the picker shows in other ways."""
    return [asdict(item) for item in data.findings if item.row is None and item.code not in (QUESTION, NO_TYPE)]


# Columns and rows


def columns_view(data: Data, sample: Sample) -> list[dict[str, Any]]:
    """Columns with what they hold and the role they have."""
    roles = {theirs: ours for ours, theirs in data.columns.items() if theirs}
    return [{"name": name, "kind": sample.kinds[name], "role": roles.get(name)} for name in sample.names]


def said_columns(shapes: Shapes, name: str, columns: Mapping[str, str]) -> dict[str, str | None]:
    """The column mapping a call needs, so that `wb.data` reads these columns and no others.

    Args:
        shapes: What the call guesses columns by.
        name: Dataset type.
        columns: Our column name -> column of the data.

    Returns:
        Names that are not their own; None for a column that would be guessed and is not to be used.
    """
    wanted = {ours: theirs for ours, theirs in columns.items() if theirs}
    other: dict[str, str | None] = {ours: theirs for ours, theirs in wanted.items() if ours != theirs}
    guessed = guess_columns(shapes, name, {ours: theirs or "" for ours, theirs in other.items()})
    unused = {ours: None for ours, theirs in guessed.items() if theirs and ours not in wanted}
    said = {**other, **unused}
    again = guess_columns(shapes, name, {ours: theirs or "" for ours, theirs in said.items()})
    agrees = {ours: theirs for ours, theirs in again.items() if theirs} == wanted
    return said if agrees else {**wanted, **unused}


def absent_roles(data: Data, sample: Sample) -> list[str]:
    """Required roles that no column of the data has."""
    entry = data.entry
    if entry is None or entry.joined:
        return []
    return [column.name for column in entry.required if data.columns.get(column.name) not in sample.names]


def preview_rows(data: Data, sample: Sample) -> list[int]:
    """Numbers of the first rows that are not left out."""
    out: list[int] = []
    for row in range(sample.count):
        if row not in data.left_out:
            out.append(row)
        if len(out) == PREVIEW_ROWS:
            break
    return out


def misfits_view(data: Data, reading: Reading) -> dict[str, Any]:
    """Rows that do not fit, with their values; the value at fault is marked."""
    left = {row: item for row, item in reading.misfits.items() if row not in data.left_out}
    rows = [
        {"row": row, "finding": asdict(item), "values": values_view(data, row, item, full=False)}
        for row, item in list(left.items())[:MISFITS]
    ]
    return {"rows": rows, "total": len(left), "looked": len(reading.looked)}


def values_view(data: Data, row: int, item: Finding | None, *, full: bool) -> list[dict[str, Any]]:
    """Values of a row; only those that have a role, unless it is shown whole."""
    values = named(data[row])
    at_fault = _column_of(item, list(values)) if item else None
    used = [name for name in data.columns.values() if name]
    names = list(values) if full or not used else used
    if at_fault and at_fault not in names:
        names = [*names, at_fault]
    show = whole if full else cell
    order = {name: i for i, name in enumerate(values)}
    return [
        {"name": name, "cell": show(values.get(name)), "bad": name == at_fault}
        for name in sorted(dict.fromkeys(names), key=lambda name: order.get(name, len(order)))
    ]


def _column_of(item: Finding, names: Sequence[str]) -> str | None:
    """The column a finding is about; its field is a path such as `messages[1].content`."""
    field = item.field or ""
    fitting = [name for name in names if field == name or field.startswith((f"{name}.", f"{name}["))]
    return max(fitting, key=len) if fitting else (field or None)


def speakers_view(data: Data, sample: Sample) -> dict[str, Any]:
    """Spellings of roles in the used columns, unknown ones first, and the roles they may mean."""
    used = [name for name in data.columns.values() if name]
    if data.entry is None or (not used and not data.entry.joined):
        return {"roles": [], "found": []}
    names = used or sample.names
    counts = roles_in(row.get(name) for row in sample.rows.values() for name in names)
    found: list[dict[str, Any]] = []
    for spelling, count in counts.most_common(40):
        known = role_of(spelling)
        role = data.options.roles.get(spelling, known)
        found.append({"spelling": spelling[:80], "count": count, "role": role, "known": known is not None})
    found.sort(key=lambda item: (item["known"], -item["count"]))
    roles = [role for role in ROLES if role != TOOL_CALL or any(item["role"] == TOOL_CALL for item in found)]
    return {"roles": roles, "found": found}


# Templates and lengths


def template_groups(data: Data, template: str | None, tokenizer: str) -> list[dict[str, Any]]:
    """Templates to choose from: the tokenizer's own, the one with the type's wording, then the registry."""
    if template is None:
        return []
    known = templates()
    own = [data.entry.template] if data.entry and data.entry.template in known else []
    chosen = [] if template in (tokenizer, *known) else [template]
    groups = {"tokenizer": [tokenizer], "chosen": chosen, "type": own}
    groups["shipped"] = [name for name in known if name not in own]
    return [{"of": of, "names": names} for of, names in groups.items() if names]


def lengths_view(measured: Mapping[int, int], rows: int, long: str) -> dict[str, Any] | None:
    """Lengths in tokens, sorted, and the bars to draw them by; None where nothing was measured."""
    values = sorted(measured.values())
    if not values:
        return None
    skewed = values[-1] > SKEWED * max(32, values[int(0.9 * (len(values) - 1))])
    edges = _log_edges(values) if skewed else _even_edges(values[-1])
    counts = [0] * (len(edges) - 1)
    bin = 0
    for value in values:
        while bin < len(counts) - 1 and value > edges[bin + 1]:
            bin += 1
        counts[bin] += 1
    scale = "log" if skewed else "linear"
    return {"values": values, "edges": edges, "counts": counts, "scale": scale, "rows": rows, "long": long}


def _even_edges(longest: int) -> list[int]:
    """Edges at multiples of a power of two: round numbers to stop at."""
    width = 1
    while width * BINS < longest:
        width *= 2
    return [i * width for i in range(-(-max(longest, 1) // width) + 1)]


def _log_edges(values: Sequence[int]) -> list[int]:
    """Edges a third of a doubling apart, from the shortest row to the longest."""
    edges = [1]
    step = 0
    while edges[-1] < values[-1]:
        step += 1
        edge = round(2 ** (step / 3))
        if edge > edges[-1]:
            edges.append(edge)
    below = max(0, sum(edge < values[0] for edge in edges) - 1)
    return edges[below:]


def cut_view(measured: Mapping[int, int], limit: int | None) -> dict[str, Any]:
    """How many of the measured rows are longer than the limit."""
    over = sum(length > limit for length in measured.values()) if limit else 0
    return {"rows": over, "share": over / len(measured) if measured else 0.0}
