"""CSV and TSV with a header: where each record stands, and its cells when they are asked for.

Every cell is text, an empty cell is empty text. Records may span lines inside quotes.
"""

from __future__ import annotations

import csv
import io
import threading
from array import array
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from workbench.rows.files.damage import BOM, Damage, Read, Row, first_bad, no_rows, size_of, wide_encoding
from workbench.rows.files.records import Records, Store
from workbench.types import Finding

LONGEST_CELL = 1 << 26
"""Characters a cell may have; a quote that is never closed would take the rest of the file otherwise."""

_LIMIT = threading.Lock()


@dataclass(frozen=True, slots=True)
class Header:
    """Column names, which make the bytes of a record a row."""

    names: tuple[str, ...]
    delimiter: str

    def __call__(self, raw: bytes) -> Row:
        """The row in the bytes of one record."""
        with _long_cells():
            cells = next(csv.reader(io.StringIO(raw.decode(), newline=""), delimiter=self.delimiter, strict=True))
        return dict(zip(self.names, cells, strict=True))


class _Lines:
    """Lines of a file for `csv.reader`, with the place behind the last one that was taken.

    Attributes:
        offset: Byte offset.
        taken: Lines since `start` was called, decoded with `surrogateescape`.
    """

    def __init__(self, file: BinaryIO) -> None:
        file.seek(0)
        mark = file.read(len(BOM)) == BOM
        self.offset = len(BOM) if mark else 0
        file.seek(self.offset)
        self._lines = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
        self.taken: list[str] = []

    def start(self) -> int:
        """Byte offset of the record that comes next."""
        self.taken.clear()
        return self.offset

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.offset += size_of(line)
            self.taken.append(line)
            yield line
        self._lines.detach()


@contextmanager
def _long_cells() -> Generator[None]:
    """Let cells be as long as they are; the limit of `csv` is one for the whole process."""
    with _LIMIT:
        before = csv.field_size_limit(LONGEST_CELL)
        try:
            yield
        finally:
            csv.field_size_limit(before)


def read_delimited(store: Store, delimiter: str, limit: int | None) -> Read:
    """Find the records of a CSV or TSV file.

    Args:
        store: The file.
        delimiter: Between cells.
        limit: Most rows to find; nothing is read behind the last of them.
    """
    with store.open() as file:
        wide = wide_encoding(file.read(4096))
        if wide is not None:
            return Read([], None, (wide,))
        with _long_cells():
            return _read_records(store, _Lines(file), delimiter, limit)


def _read_records(store: Store, lines: _Lines, delimiter: str, limit: int | None) -> Read:
    damage = Damage()
    spans, starts = array("Q"), array("Q")
    names: tuple[str, ...] | None = None
    for start, line, cells in _records(lines, delimiter, damage):
        if not cells:
            continue
        if names is None:
            names = _header(cells, damage)
        elif len(cells) != len(names):
            damage.note(_wrong_width(line, cells, names))
        else:
            spans.extend((start, lines.offset))
            starts.append(line)
            if len(starts) == limit:
                break
    if not starts and not damage.findings():
        damage.note(no_rows(store.path.name))
    return Read(Records(store, spans, Header(names or (), delimiter)), starts, damage.findings())


def _records(lines: _Lines, delimiter: str, damage: Damage) -> Iterator[tuple[int, int, list[str]]]:
    """(byte offset, first line, cells) of each record; goes on behind a damaged one, which it notes."""
    reader: Any = csv.reader(iter(lines), delimiter=delimiter, strict=True)
    while True:
        start, line = lines.start(), reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            message = f"The record that starts on line {line} is damaged ({error}) and was left out."
            remedy = 'Write a quote inside a quoted cell twice: "".'
            damage.note(Finding("WB501", "error", message, remedy=remedy, line=line))
            continue
        bad = first_bad("".join(lines.taken), line, start)
        if bad is None:
            yield start, line, cells
        else:
            damage.note(bad)


def _header(cells: list[str], damage: Damage) -> tuple[str, ...]:
    for name in sorted({name for name in cells if cells.count(name) > 1}):
        message = f"Column `{name}` occurs twice in the header; the last one counts."
        damage.note(Finding("WB505", "warning", message, field=name, remedy="Rename one of them.", line=1))
    return tuple(cells)


def _wrong_width(line: int, cells: list[str], names: tuple[str, ...]) -> Finding:
    message = f"The record on line {line} has {len(cells)} cells, the header has {len(names)}. It was left out."
    return Finding("WB507", "error", message, remedy="Quote cells that hold the separator.", line=line)
