"""Parquet and Arrow files: a part at a time, of any size.

Parquet is decoded by row groups in batches of a few MiB, going forward from where the last row was. Arrow files and
streams are mapped into memory, so only what is looked at is read; a compressed batch is unpacked when a row of it is.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from workbench.errors import DataError
from workbench.rows.files.damage import Read, no_rows
from workbench.rows.files.lazy import Lazy
from workbench.rows.files.streams import Stored
from workbench.rows.files.tables import chunk_of, without_null_keys

Row = Mapping[str, Any]

BATCH_BYTES = 4 << 20
"""Bytes of a Parquet row group that are decoded at a time, by its own account of its size."""
BATCH_ROWS = 1024


class _Batches(Lazy[Row]):
    """Rows that come in batches, of which one is held.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path, ends: Sequence[int], limit: int | None) -> None:
        self.path = path
        self._source, self._ends, self._limit = Stored(path), ends, limit
        length = ends[-1] if ends else 0
        self._length = length if limit is None else min(length, limit)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._length

    def item(self, at: int) -> Row:
        """See `Lazy.item`."""
        self._source.open().close()  # refuses when the file has changed
        with self._lock:
            start, batch = self._batch_of(at)
        return without_null_keys(batch.slice(at - start, 1).to_pylist()[0])

    def __iter__(self) -> Iterator[Row]:
        left = len(self)
        for batch in self._all():
            step = chunk_of(batch)
            for start in range(0, min(left, batch.num_rows), step):
                for row in batch.slice(start, min(step, left - start)).to_pylist():
                    yield without_null_keys(row)
            left -= batch.num_rows
            if left <= 0:
                return

    def _batch_of(self, at: int) -> tuple[int, Any]:
        """(first row, record batch) of the batch with that row."""
        raise NotImplementedError

    def _all(self) -> Iterator[Any]:
        """Every record batch."""
        raise NotImplementedError

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self._limit)


class ParquetRows(_Batches):
    """Rows of a Parquet file."""

    def __init__(self, path: Path, limit: int | None) -> None:
        import pyarrow.parquet

        self._file = pyarrow.parquet.ParquetFile(path, buffer_size=1 << 20)
        groups = [self._file.metadata.row_group(i) for i in range(self._file.metadata.num_row_groups)]
        super().__init__(path, list(accumulate(group.num_rows for group in groups)), limit)
        bytes_a_row = max((g.total_byte_size // g.num_rows for g in groups if g.num_rows), default=0)
        self._step = max(1, min(BATCH_ROWS, BATCH_BYTES // max(1, bytes_a_row)))
        self._group, self._start, self._batch = -1, 0, None
        self._coming: Iterator[Any] = iter(())

    def _batch_of(self, at: int) -> tuple[int, Any]:
        group = bisect_right(self._ends, at)
        if group != self._group or at < self._start:
            self._group, self._start, self._batch = group, self._ends[group - 1] if group else 0, None
            self._coming = self._file.iter_batches(self._step, row_groups=[group])
        with _Readable(self.path):
            while self._batch is None or at >= self._start + self._batch.num_rows:
                self._start += 0 if self._batch is None else self._batch.num_rows
                self._batch = next(self._coming)
        return self._start, self._batch

    def _all(self) -> Iterator[Any]:
        with _Readable(self.path):
            # NOTE(pyarrow 26 keeps what it has read until an iterator ends, so one iterator goes over one group)
            for group in range(len(self._ends)):
                yield from self._file.iter_batches(self._step, row_groups=[group])


class ArrowFileRows(_Batches):
    """Rows of an Arrow IPC file or stream, Feather included."""

    def __init__(self, path: Path, limit: int | None) -> None:
        import pyarrow

        mapped = pyarrow.memory_map(str(path))
        with path.open("rb") as file:
            whole = file.read(6) == b"ARROW1"
        self._parts: Sequence[Any]
        if whole:
            self._file = pyarrow.ipc.open_file(mapped)
            self._parts = range(self._file.num_record_batches)
        else:
            self._parts = _messages(mapped)
        ends: list[int] = []
        for part in self._parts:
            ends.append((ends[-1] if ends else 0) + self._read(part).num_rows)
            if limit is not None and ends[-1] >= limit:
                break
        self._at, self._batch = -1, None
        super().__init__(path, ends, limit)

    def _read(self, part: Any) -> Any:
        return self._file.get_batch(part) if isinstance(part, int) else part()

    def _batch_of(self, at: int) -> tuple[int, Any]:
        number = bisect_right(self._ends, at)
        if number != self._at:
            with _Readable(self.path):
                self._at, self._batch = number, self._read(self._parts[number])
        return (self._ends[number - 1] if number else 0), self._batch

    def _all(self) -> Iterator[Any]:
        with _Readable(self.path):
            for part in self._parts[: len(self._ends)]:
                yield self._read(part)


def read_arrow(path: Path, parquet: bool, limit: int | None) -> Read:
    """Open a Parquet file, or an Arrow file or stream.

    Raises:
        DataError: For a file that is damaged or of another format (WB554).
    """
    with _Readable(path):
        rows = ParquetRows(path, limit) if parquet else ArrowFileRows(path, limit)
    return Read(rows, None, () if len(rows) else (no_rows(path.name),))


class _Readable:
    """What pyarrow says about a damaged file, as a `DataError`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        import pyarrow

        if isinstance(error, pyarrow.ArrowException | OSError | StopIteration) and not isinstance(error, DataError):
            what = str(error).splitlines()[0] if str(error) else kind.__name__ if kind else ""
            message = f"{self._path} is not readable as Parquet or Arrow: {what}."
            raise DataError(message, remedy="Copy it anew.", code="WB554") from error


def _messages(mapped: Any) -> Sequence[Any]:
    """What reads each record batch of a stream; each batch is a view of the mapped file until it is read."""
    import pyarrow

    messages = list(pyarrow.ipc.MessageReader.open_stream(mapped))
    if not messages:
        raise pyarrow.ArrowInvalid("there is no schema in it")
    if any(message.type == "dictionary" for message in messages):
        mapped.seek(0)
        return [lambda batch=batch: batch for batch in pyarrow.ipc.open_stream(mapped)]
    schema = pyarrow.ipc.read_schema(messages[0])
    return [lambda message=message: pyarrow.ipc.read_record_batch(message, schema) for message in messages[1:]]
