"""Rows -> compact arrays of ids and labels, chunk by chunk: what `data.encode` keeps of every row.

    for chunk in encode_rows(data, setting, workers=2):
        for row, part, input_ids, labels in chunk.sequences(): …

A chunk is a pure function of its rows, so it does not matter which process makes it: several workers give the same
chunks in the same order as one process (encode_workers.py).
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from workbench.api.data import Data
from workbench.checks.parts import check_parts
from workbench.options import RowOptions
from workbench.rows.convert import convert
from workbench.tokens.encode import special_ids
from workbench.tokens.sequences import Parts, sequences
from workbench.tokens.setting import Setting
from workbench.types import Example, Finding

CHUNK_ROWS = 512
"""Rows of a chunk: some 40,000 tokens, 1 MB with everything that is known of them."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reading:
    """How rows become examples.

    Attributes:
        type: Name in `workbench.rows.formats.FORMATS`.
        columns: Our column name -> column of the data.
        left_out: Rows left out by hand.
    """

    type: str
    columns: Mapping[str, str]
    options: RowOptions = field(default_factory=RowOptions)
    left_out: frozenset[int] = frozenset()

    @classmethod
    def of(cls, data: Data) -> Reading:
        """How `data` reads its rows.

        Raises:
            DataError: WB559 where no type fits the rows.
        """
        type, columns = data._reading
        return cls(type, columns, data.options, frozenset(data.left_out))


@dataclass(frozen=True, slots=True)
class Chunk:
    """Sequences of consecutive rows. S sequences have T tokens together; arrays are of C ints unless said otherwise.

    Attributes:
        first: Data row of the first row of the chunk.
        count: Rows of the chunk, usable or not.
        rows: Data row of each sequence, (S,), 64-bit.
        parts: Which sequence of its row each is (`chosen`, `2/3`, empty for the only one), (S,).
        lengths: Tokens of each sequence, (S,).
        input_ids: All sequences one behind the other, (T,).
        labels: The same for labels; token id where trained, else -100, not shifted, (T,).
        truncated: Tokens cut off by max_length, (S,).
        findings: What there is to say about the rows, in their order; of each row first what its conversion says.
    """

    first: int
    count: int
    rows: array[int]
    parts: tuple[str, ...]
    lengths: array[int]
    input_ids: array[int]
    labels: array[int]
    truncated: array[int]
    findings: tuple[Finding, ...] = ()

    def sequences(self) -> Iterator[tuple[int, str, array[int], array[int]]]:
        """Data row, part, ids and labels of every sequence, in order."""
        at = 0
        for row, part, length in zip(self.rows, self.parts, self.lengths, strict=True):
            yield row, part, self.input_ids[at : at + length], self.labels[at : at + length]
            at += length


Made = tuple[int, Parts, tuple[Finding, ...]]
"""Data row, its sequences (none where it cannot be used), and what there is to say about it."""


def encode_chunk(rows: Sequence[Row], first: int, reading: Reading, setting: Setting) -> Chunk:
    """Encode consecutive rows.

    Args:
        rows: The rows.
        first: Data row of the first.
        reading: How they become examples.
        setting: How those become tokens and labels.

    Raises:
        MaskError: WB112, WB113 for eot tokens that cannot be.
        DataError: WB556 for an unknown type.
    """
    return _packed(_made(rows, first, reading, setting), first, len(rows))


def encode_rows(data: Data, setting: Setting, workers: int = 1) -> Iterator[Chunk]:
    """Encode all rows of `data`, chunk by chunk, in order; findings know their line of the file.

    Args:
        data: The rows and how they are read.
        setting: How they become tokens and labels.
        workers: Processes that encode; 1 encodes in this one.

    Raises:
        DataError: WB559 where no type fits the rows.
        MaskError: WB112, WB113 for eot tokens that cannot be.
        RunError: WB134 for a worker that ended, naming its rows.
        TokenizerError: WB133 for a tokenizer that cannot be handed to another process.
    """
    if not len(data):
        return
    reading = Reading.of(data)
    if workers > 1 and len(data) > CHUNK_ROWS:
        from workbench.api.encode_workers import Pool

        with Pool(data.source.rows, reading, setting, min(workers, -(-len(data) // CHUNK_ROWS))) as pool:
            for chunk in pool.chunks():
                yield _with_lines(chunk, data)
        return
    made = _made(data.source.rows, 0, reading, setting)
    for first in range(0, len(data), CHUNK_ROWS):
        count = min(CHUNK_ROWS, len(data) - first)
        yield _with_lines(_packed(islice(made, count), first, count), data)


def _with_lines(chunk: Chunk, data: Data) -> Chunk:
    if not chunk.findings or data.source.lines is None:
        return chunk
    lines = [data.source.line_of(finding.row or 0) for finding in chunk.findings]
    return replace(
        chunk,
        findings=tuple(replace(item, line=line) for item, line in zip(chunk.findings, lines, strict=True)),
    )


def _made(rows: Iterable[Row], first: int, reading: Reading, setting: Setting) -> Iterator[Made]:
    """Every row, in order, with what became of it."""
    notes: deque[tuple[int, Example | None, tuple[Finding, ...]]] = deque()

    def usable() -> Iterator[Example]:
        for index, row in enumerate(rows, start=first):
            if index in reading.left_out:
                notes.append((index, None, ()))
                continue
            example, found = convert(row, index, reading.type, reading.columns, reading.options)
            notes.append((index, example, found))
            if example is not None:
                yield example

    special = special_ids(setting.tokenizer)
    for made in sequences(usable(), setting):
        while notes[0][1] is None:
            row, _, found = notes.popleft()
            yield row, (), found
        row, example, found = notes.popleft()
        assert example is not None
        if isinstance(made, Finding):
            yield row, (), (*found, made)
        else:
            yield row, made, (*found, *check_parts(example, made, special))
    for row, _, found in notes:
        yield row, (), found


def _packed(made: Iterable[Made], first: int, count: int) -> Chunk:
    """The arrays of a chunk; a row's own values are let go before the next is looked at."""
    chunk = Chunk(first, count, array("q"), (), *(array("i") for _ in range(4)))
    parts: list[str] = []
    notes: list[Finding] = []
    for row, sequences_made, found in made:
        notes.extend(found)
        for part in sequences_made:
            chunk.rows.append(row)
            parts.append(part.part)
            chunk.lengths.append(len(part.input_ids))
            chunk.input_ids.extend(part.input_ids)
            chunk.labels.extend(part.labels)
            chunk.truncated.append(part.truncated)
    return replace(chunk, parts=tuple(parts), findings=tuple(notes))
