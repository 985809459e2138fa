"""Planned batch beside received batch, in words and a small table: the `verdict` of docs/wire.md section 4.

UNCHECKED                                       nothing was captured yet
verdict(compared, lanes, Place(120), spell)     agrees, or differs with the first difference, counts, cause, fix
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from workbench.checks.batches import Cause, Compared, cause_of
from workbench.tokens.diff import COMPARED
from workbench.tokens.lanes import Document, Grid, Lane, differing_columns
from workbench.types import Difference

BEFORE, COLUMNS = 2, 6
"""Columns of the small table before the first difference, and in all."""

UNCHECKED: Mapping[str, Any] = {
    "state": "unchecked", "step": None, "micro": 0, "arrays": [], "values": 0, "difference": None, "counts": {},
    "equal": [], "cause": None, "effect": "", "fix": "", "where": None, "window": None,
}  # fmt: skip


class Place(NamedTuple):
    """Which forward it was: 1-based optimiser step (None where no run is known) and 0-based micro batch."""

    step: int | None = None
    micro: int = 0


def agreed(arrays: Mapping[str, Grid], place: Place) -> dict[str, Any]:
    """The verdict where nothing differs."""
    keys = [key for key in COMPARED if key in arrays]
    values = sum(len(row) for row in arrays["input_ids"])
    members = {"arrays": keys, "equal": keys, "values": values}
    return {**UNCHECKED, **members, "state": "agrees", "step": place.step, "micro": place.micro}


def verdict(compared: Compared, lanes: Sequence[Lane], place: Place, spell: Callable[[int], str]) -> dict[str, Any]:
    """The verdict where something differs.

    Args:
        compared: Both sides and their first difference.
        lanes: Of the planned batch.
        place: Which forward it was.
        spell: Text of a token id.
    """
    planned, received, found = compared.planned, compared.received, compared.found
    columns = differing_columns(planned, received, COMPARED)
    cause: Cause = cause_of(compared)
    spot = _spot(compared)
    return {
        **agreed(planned, place),
        "state": "differs",
        "difference": asdict(found),
        "counts": {key: count for key, rows in columns.items() if (count := sum(map(len, rows)))},
        "equal": [key for key in COMPARED if compared.equal(key)],
        "cause": asdict(cause.finding),
        "effect": cause.effect,
        "fix": cause.fix,
        "where": None if spot is None else where(lanes, *spot),
        "window": None if spot is None else window(found, planned, received, spot, spell),
        "columns": columns,
    }


def _spot(compared: Compared) -> tuple[int, int] | None:
    """Row and column of the arrays for the table; where positions are missing, where the second document starts."""
    found = compared.found
    if len(found.index) == 2:
        return found.index[0], found.index[1]
    documents = compared.batch.documents[0]
    if found.key in ("position_ids", "input_ids") and compared.is_packed and len(documents) > 1:
        return 0, documents[1][1]
    return None


def where(lanes: Sequence[Lane], line: int, column: int) -> dict[str, int] | None:
    """Lane and document at a place of the arrays; None in padding."""
    for number, lane in enumerate(lanes):
        for index, document in enumerate(lane.documents):
            if document.line == line and document.at <= column < document.at + document.length:
                return {"lane": number, "document": index}
    return None


def window(
    found: Difference,
    planned: Mapping[str, Grid],
    received: Mapping[str, Grid],
    spot: tuple[int, int],
    spell: Callable[[int], str],
) -> dict[str, Any] | None:
    """A few columns around a place: index, text, planned and received value; null where a side has none.

    Args:
        found: The first difference; its array is shown, of missing tokens the positions.
        planned: The preview's arrays.
        received: What came.
        spot: Row and column of the arrays.
        spell: Text of a token id.
    """
    line, column = spot
    key = found.key if found.key in planned and len(found.index) == 2 else "position_ids"
    if key not in planned:
        return None
    ids, ours = planned["input_ids"][line], planned[key][line]
    theirs = _line(received, key, line)
    start = max(0, min(column, len(ours)) - BEFORE)
    index = range(start, min(len(ours), start + COLUMNS))
    if not index:
        return None
    return {
        "key": key,
        "index": list(index),
        "text": [spell(ids[i]) for i in index],
        "ours": [ours[i] for i in index],
        "theirs": [theirs[i] if i < len(theirs) else None for i in index],
    }


def _line(received: Mapping[str, Grid], key: str, line: int) -> Sequence[int]:
    rows = received.get(key)
    return rows[line] if rows is not None and line < len(rows) else ()


def differing_tokens(
    document: Document, planned: Mapping[str, Grid], received: Mapping[str, Grid] | None, most: int = 200
) -> list[dict[str, Any]]:
    """Tokens of a document at which an array differs: `{"token", "key", "ours", "theirs"}`.

    Args:
        document: Of the planned batch.
        planned: Its arrays.
        received: What came; None where nothing was captured.
        most: How many are told.
    """
    out: list[dict[str, Any]] = []
    for key, rows in differing_columns(planned, received or {}, COMPARED).items():
        for column in rows[document.line]:
            if document.at <= column < document.at + document.length:
                ours, theirs = planned[key][document.line][column], (received or {})[key][document.line][column]
                out.append({"token": column - document.at, "key": key, "ours": ours, "theirs": theirs})
    return sorted(out, key=lambda item: (item["token"], item["key"]))[:most]
