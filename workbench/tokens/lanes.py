"""A collated batch as lanes: where each document stands in the arrays, and what may be said of it in numbers.

    lanes(batch, rows) -> [Lane(documents=[Document(row=14, start=0, at=0, length=417, trained=260, …)], …), …]

A padding-free batch is one line (1, T) of packed rows; each packed row is a lane. A padded batch is (B, T); each of its
rows is a lane with one document.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from workbench.tokens.pack import TrainRow
from workbench.types import IGNORE, Batch

Grid = Sequence[Sequence[int]]


class Document(NamedTuple):
    """A document of a lane.

    Attributes:
        row: Data row.
        start: First token, counted in the lane.
        line: Row of the batch's arrays it stands in.
        at: First column there.
        length: Tokens.
        trained: Labels that are trained, as the collator leaves them.
        spans: Trained stretches, (start, end) counted in the document.
        first_masked: Whether the collator masked a first label that the row has.
    """

    row: int
    start: int
    line: int
    at: int
    length: int
    trained: int
    spans: tuple[tuple[int, int], ...]
    first_masked: bool


class Lane(NamedTuple):
    """A packed row, or a row of a padded batch.

    Attributes:
        documents: In order.
        tokens: Tokens of its documents.
        padding: Padding tokens that the model gets.
    """

    documents: tuple[Document, ...]
    tokens: int
    padding: int


def lanes(batch: Batch, rows: Sequence[TrainRow]) -> list[Lane]:
    """The lanes of a batch.

    Args:
        batch: What the collator makes of `rows`.
        rows: The training rows in it, in order.
    """
    width = len(batch.arrays["input_ids"][0])
    if "position_ids" not in batch.arrays:
        return [
            Lane((_document(batch, row, line, 0, line),), len(row.input_ids), width - len(row.input_ids))
            for line, row in enumerate(rows)
        ]
    out: list[Lane] = []
    index = 0
    for row in rows:
        documents: list[Document] = []
        start = 0
        for _, length in row.documents:
            documents.append(_document(batch, row, 0, start, index))
            start += length
            index += 1
        out.append(Lane(tuple(documents), start, 0))
    return out


def _document(batch: Batch, row: TrainRow, line: int, start: int, index: int) -> Document:
    """Document `index` of the batch; in a padded batch a line holds one."""
    is_packed = "position_ids" in batch.arrays
    data_row, at, end = batch.documents[0][index] if is_packed else batch.documents[line][0]
    labels = batch.arrays["labels"][line][at:end]
    spans = trained_spans(labels)
    had_first = row.labels[start : start + 1] != [] and row.labels[start] != IGNORE
    return Document(
        data_row, start, line, at, end - at, sum(stop - first for first, stop in spans), spans,
        had_first and labels[0] == IGNORE,
    )  # fmt: skip


def trained_spans(labels: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Stretches of labels that are trained, as (start, end)."""
    marks = [label != IGNORE for label in labels]
    edges = [i for i, (one, other) in enumerate(pairwise([False, *marks, False])) if one != other]
    return tuple(zip(edges[::2], edges[1::2], strict=True))


def cumulative_lengths(position_ids: Grid) -> list[int]:
    """`cu_seqlens` of a padding-free batch: where its documents begin in the line, and its length.

    Source: flash attention's variable-length kernels; TRL's collator passes the same as `cu_seq_lens_q`.
    """
    (line,) = position_ids
    return [*(i for i, position in enumerate(line) if position == 0), len(line)]


def differing_columns(ours: Mapping[str, Grid], theirs: Mapping[str, Grid], lines: Sequence[str]) -> dict[str, Grid]:
    """Columns whose values differ, by array and row of the arrays; an array of another shape is left out.

    Args:
        ours: The preview's arrays.
        theirs: What `forward()` received.
        lines: Arrays to look at.
    """
    out: dict[str, Grid] = {}
    for key in lines:
        if key in ours and key in theirs and same_shape(ours[key], theirs[key]):
            out[key] = [
                [i for i, (one, other) in enumerate(zip(a, b, strict=True)) if one != other]
                for a, b in zip(ours[key], theirs[key], strict=True)
            ]
    return out


def same_shape(ours: Grid, theirs: Grid) -> bool:
    """Whether two arrays have as many rows of the same lengths."""
    return len(ours) == len(theirs) and all(len(a) == len(b) for a, b in zip(ours, theirs, strict=True))
