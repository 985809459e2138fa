"""CSV, TSV, Parquet, Arrow, and table objects as rows."""

from __future__ import annotations

import csv
import io
import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast, overload

from workbench.errors import DataError
from workbench.rows.json_files import Damage, Read, bad_lines, no_rows, wide_encoding
from workbench.types import Finding

Row = Mapping[str, Any]

CHUNK = 256
"""Rows of an Arrow table made into Python values at a time while iterating."""


class ArrowRows(Sequence[Row]):
    """Rows of a `pyarrow.Table`, made when asked for.

    Arrow gives every object of a column the keys of all of them; keys that are null inside a column are left out
    again, or every message would have every other message's keys.
    """

    def __init__(self, table: Any) -> None:
        self._table = table

    def __len__(self) -> int:
        return self._table.num_rows

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        at = range(len(self))[index]
        return without_null_keys(self._table.slice(at, 1).to_pylist()[0])

    def __iter__(self) -> Iterator[Row]:
        for batch in self._table.to_batches(max_chunksize=CHUNK):
            for row in batch.to_pylist():
                yield without_null_keys(row)


class DatasetRows(Sequence[Row]):
    """Rows of a `datasets.Dataset`, made when asked for; null keys are left out as in `ArrowRows`."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return without_null_keys(self._dataset[range(len(self))[index]])

    def __iter__(self) -> Iterator[Row]:
        for row in self._dataset:
            yield without_null_keys(row)


class FrameRows(Sequence[Row]):
    """Rows of a `pandas.DataFrame`, made when asked for; missing values become None, NumPy values Python ones."""

    def __init__(self, frame: Any) -> None:
        self._frame = frame
        self._names = [str(name) for name in frame.columns]

    def __len__(self) -> int:
        return len(self._frame)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        at = range(len(self))[index]
        return {name: _plain(self._frame.iat[at, i]) for i, name in enumerate(self._names)}


def without_null_keys(row: Mapping[str, Any]) -> Row:
    """The row without null keys inside its columns; a column that is null stays."""
    return {name: _pruned(value) for name, value in row.items()}


def read_delimited(path: Path, raw: bytes, delimiter: str, limit: int | None) -> Read:
    """Read CSV or TSV with a header; every cell is text, an empty cell is empty text.

    Args:
        path: The file, for messages.
        raw: Its content.
        delimiter: Between cells.
        limit: Most rows to read.
    """
    wide = wide_encoding(raw[:4096])
    if wide is not None:
        return Read([], None, (wide,))
    text = raw.decode("utf-8", "surrogateescape")
    bad = bad_lines(text)
    text = text.removeprefix("\ufeff")
    before = csv.field_size_limit(max(len(text), csv.field_size_limit()))
    try:
        return _read_records(path, text, delimiter, bad, limit)
    finally:
        csv.field_size_limit(before)


def read_arrow(path: Path, limit: int | None) -> Read:
    """Read an Arrow file or stream, or a Parquet file.

    Raises:
        DataError: For a file that is damaged or of another format (WB554).
    """
    import pyarrow
    import pyarrow.parquet

    with path.open("rb") as file:
        magic = file.read(6)
    try:
        if magic.startswith(b"PAR1"):
            table = pyarrow.parquet.read_table(path)
        elif magic == b"ARROW1":
            table = pyarrow.ipc.open_file(pyarrow.memory_map(str(path))).read_all()
        else:
            table = pyarrow.ipc.open_stream(pyarrow.memory_map(str(path))).read_all()
    except (pyarrow.ArrowException, OSError) as error:
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{path} is not readable as Parquet or Arrow: {what}.", remedy="Copy it anew.", code="WB554"
        ) from error
    rows = ArrowRows(table if limit is None else table.slice(0, limit))
    return Read(rows, None, () if len(rows) else (no_rows(path.name),))


def _read_records(path: Path, text: str, delimiter: str, bad: dict[int, Finding], limit: int | None) -> Read:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    damage = Damage()
    rows: list[Row] = []
    lines = array("Q")
    header: list[str] | None = None
    for line, last, cells in _records(reader, damage):
        if limit is not None and len(rows) >= limit:
            break
        damaged = [bad[number] for number in range(line, last + 1) if number in bad]
        if damaged:
            damage.note(damaged[0])
        elif not cells:
            continue
        elif header is None:
            header = _header(cells, damage)
        elif len(cells) != len(header):
            damage.note(_wrong_width(line, cells, header))
        else:
            rows.append(dict(zip(header, cells, strict=True)))
            lines.append(line)
    if not rows and not damage.findings():
        damage.note(no_rows(path.name))
    return Read(rows, lines, damage.findings())


def _records(reader: Any, damage: Damage) -> Iterator[tuple[int, int, list[str]]]:
    """(first line, last line, cells) of each record; goes on behind a damaged one."""
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            message = f"The record that starts on line {line} is damaged ({error}) and was left out."
            remedy = 'Write a quote inside a quoted cell twice: "".'
            damage.note(Finding("WB501", "error", message, remedy=remedy, line=line))
            continue
        yield line, reader.line_num, cells


def _header(cells: list[str], damage: Damage) -> list[str]:
    for name in sorted({name for name in cells if cells.count(name) > 1}):
        message = f"Column `{name}` occurs twice in the header; the last one counts."
        damage.note(Finding("WB505", "warning", message, field=name, remedy="Rename one of them.", line=1))
    return cells


def _wrong_width(line: int, cells: list[str], header: list[str]) -> Finding:
    message = f"The record on line {line} has {len(cells)} cells, the header has {len(header)}. It was left out."
    return Finding("WB507", "error", message, remedy="Quote cells that hold the separator.", line=line)


def _pruned(value: Any) -> Any:
    if isinstance(value, Mapping):
        mapping = cast("Mapping[str, Any]", value)
        return {key: _pruned(item) for key, item in mapping.items() if item is not None}
    if isinstance(value, list):
        return [_pruned(item) for item in cast("list[Any]", value)]
    return value


def _plain(value: Any) -> Any:
    """A pandas cell as a Python value."""
    import numpy
    import pandas

    if isinstance(value, numpy.ndarray | numpy.generic):
        value = value.tolist()
    if isinstance(value, list):
        return [_plain(item) for item in cast("list[Any]", value)]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    missing = value is pandas.NA or value is pandas.NaT or (isinstance(value, float) and math.isnan(value))
    return None if missing else value
