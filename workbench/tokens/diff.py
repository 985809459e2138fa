"""The first difference between two batches: what the "agrees with step N" badge says.

first_difference(preview.arrays, captured) -> None | Difference("labels", (0, 17), -100, 151645)
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.types import Difference

COMPARED = ("input_ids", "labels", "attention_mask", "position_ids")
"""Arrays of a batch that decide what is learned; kernels' own helpers (cu_seq_lens) follow from them."""

Grid = Sequence[Sequence[int]]


def first_difference(ours: Mapping[str, Grid], theirs: Mapping[str, Grid]) -> Difference | None:
    """Compare in the order of COMPARED, row by row.

    Args:
        ours: Arrays (B, T) of the preview.
        theirs: Arrays (B, T) that `forward()` received.
    """
    for key in COMPARED:
        if (key in ours) != (key in theirs):
            return Difference(key, (), None, None, f"only {'the preview' if key in ours else 'forward()'} has {key}")
        if key in ours and (found := _first_in(key, ours[key], theirs[key])):
            return found
    return None


def _first_in(key: str, ours: Grid, theirs: Grid) -> Difference | None:
    if len(ours) != len(theirs):
        return Difference(key, (min(len(ours), len(theirs)),), None, None, f"{len(ours)} rows against {len(theirs)}")
    for row, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        if list(one) == list(other):
            continue
        at = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
        value, their = (seq[at] if at < len(seq) else None for seq in (one, other))
        return Difference(key, (row, at), value, their, f"{len(one)} tokens against {len(other)}")
    return None


def digest(arrays: Mapping[str, Any]) -> str:
    """SHA-256 over the compared arrays, the same for the same numbers in any container."""
    made = hashlib.sha256()
    for key in COMPARED:
        if key in arrays:
            made.update(key.encode())
            for row in arrays[key]:
                made.update((",".join(map(str, map(int, row))) + ";").encode())
    return made.hexdigest()
