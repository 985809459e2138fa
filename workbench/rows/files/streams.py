"""Where the bytes of rows come from: a file in place, a compressed file unpacked once, rows that arrive one by one.

    with Stored(path).open() as file: ...        # the file itself; refuses when it was written to meanwhile
    with Unpacked(path, "gz").open() as file: ...  # unpacked as far as it is read

Nothing here holds more than a piece of a source in memory. Temporary files have no name: they vanish with the
object, and when the process is killed.
"""

from __future__ import annotations

import base64
import gzip
import importlib
import io
import json
import os
import sys
import tempfile
import threading
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast, overload

from workbench.errors import DataError

Row = Mapping[str, Any]

PIECE = 1 << 20
"""Bytes unpacked at a time."""

MAGIC = {b"\x1f\x8b": "gz", b"\x28\xb5\x2f\xfd": "zst"}
"""First bytes of compressed files."""


def packing_of(head: bytes) -> str | None:
    """How a file is compressed, by its first bytes; None where it is not."""
    return next((name for magic, name in MAGIC.items() if head.startswith(magic)), None)


class Stored:
    """A file read in place.

    Args:
        path: The file.

    Raises:
        DataError: From `open`, when the file was written to since (WB555).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp = _stamp(path)

    def open(self) -> BinaryIO:
        """The bytes, from the start."""
        if _stamp(self.path) != self._stamp:
            raise DataError(f"{self.path} has changed since it was opened.", remedy="Open it again.", code="WB555")
        return self.path.open("rb")


class Unpacked:
    """A compressed file, unpacked into a nameless temporary file as far as it is read.

    Args:
        path: The file.
        packing: `gz` or `zst`.

    Raises:
        DataError: From `open` and from reading: damaged (WB554), no module for it (WB561), no room (WB562).
    """

    def __init__(self, path: Path, packing: str) -> None:
        self.path, self._packing = path, packing
        self._source = Stored(path)
        self._coming: _Reading | None = None
        self._unpacked: BinaryIO | None = None
        self._reached = 0
        self._ended = False
        self._lock = threading.Lock()

    def open(self) -> BinaryIO:
        """The unpacked bytes, from the start."""
        with self._lock:
            if self._unpacked is None:
                self._coming = _Reading(self._source.open(), self.path, self._packing)
                self._unpacked = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 - lives as long as this
        return cast("BinaryIO", io.BufferedReader(_At(self), PIECE // 16))

    def read_at(self, buffer: Any, offset: int) -> int:
        """Fill a buffer from a byte offset on; how many bytes there were."""
        self._reach(offset + len(buffer))
        return os.preadv(cast("BinaryIO", self._unpacked).fileno(), [buffer], offset)

    def size(self) -> int:
        """All its bytes, unpacked."""
        self._reach(None)
        return self._reached

    def _reach(self, offset: int | None) -> None:
        """Unpack up to there, or to the end."""
        with self._lock:
            while not self._ended and (offset is None or self._reached < offset):
                coming = cast("_Reading", self._coming)
                piece = coming.read(PIECE)
                self._ended = not piece
                if self._ended:
                    coming.close()
                self._write(piece)

    def _write(self, piece: bytes) -> None:
        try:
            while piece:
                written = os.pwrite(cast("BinaryIO", self._unpacked).fileno(), piece, self._reached)
                self._reached, piece = self._reached + written, piece[written:]
        except OSError as error:
            message = f"{self.path} cannot be unpacked into {tempfile.gettempdir()}: {error.strerror}."
            raise DataError(message, remedy="Free space there, or set TMPDIR.", code="WB562") from error

    def __reduce__(self) -> tuple[Any, ...]:
        return Unpacked, (self.path, self._packing)


class _Reading:
    """A compressed file as an open one, whose damage is a `DataError`."""

    def __init__(self, file: BinaryIO, path: Path, packing: str) -> None:
        self._file, self._path = file, path
        kind = cast("Any", gzip.GzipFile(fileobj=file) if packing == "gz" else _zstd(path)(file))
        self._unpacking: BinaryIO = kind

    def read(self, length: int = -1) -> bytes:
        try:
            return self._unpacking.read(length)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self._damaged(error) from error
        except Exception as error:
            if type(error).__name__ not in ("ZstdError",):
                raise
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> DataError:
        remedy = "Copy it anew; it may have been cut off."
        return DataError(f"{self._path} is damaged: {error}.", remedy=remedy, code="WB554")

    def close(self) -> None:
        self._file.close()


def _zstd(path: Path) -> Callable[[BinaryIO], Any]:
    """What opens Zstandard: Python's own from 3.14 on, or the `zstandard` package."""
    if sys.version_info >= (3, 14):
        return importlib.import_module("compression.zstd").ZstdFile
    try:
        zstandard = importlib.import_module("zstandard")
    except ImportError as error:
        message = f"{path} is compressed with Zstandard, which this Python cannot read."
        remedy = f"pip install zstandard, or unpack it: zstd -d {path.name}."
        raise DataError(message, remedy=remedy, code="WB561") from error
    return lambda file: zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)


class _At(io.RawIOBase):
    """A reader with its own position in an unpacked file that others read too, in threads and forked processes."""

    def __init__(self, unpacked: Unpacked) -> None:
        self._unpacked, self._position = unpacked, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        got = self._unpacked.read_at(buffer, self._position)
        self._position += got
        return got

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position}.get(whence)
        self._position = offset + (self._unpacked.size() if start is None else start)
        return self._position


class StreamRows(Sequence[Row]):
    """Rows that arrive one by one, kept in a nameless temporary file as they come.

    Asking for row 10 takes eleven rows off the stream; asking for the length takes all of them, so `first` and
    iteration are for streams that may not end.

    Args:
        rows: The stream; it is gone through once.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        self._coming = iter(rows)
        self._kept = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 - it lives as long as this object
        self._ends = array("Q", [0])
        self._objects: list[object] = []
        self._lock = threading.RLock()
        self._ended = False

    @property
    def known(self) -> int:
        """Rows that have arrived."""
        return len(self._ends) - 1

    @property
    def ended(self) -> bool:
        """Whether the last row has arrived."""
        return self._ended

    def first(self, count: int) -> list[Row]:
        """The first rows; fewer where there are no more."""
        self._take(count)
        return [self._read(i) for i in range(min(count, self.known))]

    def __len__(self) -> int:
        self._take(None)
        return self.known

    def __bool__(self) -> bool:
        self._take(1)
        return self.known > 0

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        if isinstance(index, slice):
            start, stop, step = index.start or 0, index.stop, index.step or 1
            if stop is not None and min(start, stop, step) >= 0:
                self._take(stop)
                return [self._read(i) for i in range(*index.indices(self.known))]
            return [self._read(i) for i in range(*index.indices(len(self)))]
        if index >= 0:
            self._take(index + 1)
            if index >= self.known:
                raise IndexError(f"row {index} of {self.known}")
            return self._read(index)
        return self._read(range(len(self))[index])

    def __iter__(self) -> Iterator[Row]:
        at = 0
        while True:
            self._take(at + 1)
            if at >= self.known:
                return
            yield self._read(at)
            at += 1

    def _take(self, count: int | None) -> None:
        """Take rows off the stream until that many, or all, have arrived."""
        with self._lock:
            while not self._ended and (count is None or self.known < count):
                try:
                    row = next(self._coming)
                except StopIteration:
                    self._ended = True
                    return
                except OSError as error:
                    message = f"The stream broke off after row {self.known - 1}: {error}."
                    raise DataError(message, remedy="Open it again, or pass limit=….", code="WB563") from error
                line = json.dumps(row, default=self._keep).encode()
                os.pwrite(self._kept.fileno(), line, self._ends[-1])
                self._ends.append(self._ends[-1] + len(line))

    def _read(self, at: int) -> Row:
        start, end = self._ends[at], self._ends[at + 1]
        return json.loads(os.pread(self._kept.fileno(), end - start, start), object_hook=self._found)

    def _keep(self, value: object) -> dict[str, Any]:
        """What JSON cannot write: bytes as text, any other object as its place in memory."""
        if isinstance(value, bytes | bytearray):
            return {_BYTES: base64.b64encode(value).decode()}
        self._objects.append(value)
        return {_OBJECT: len(self._objects) - 1}

    def _found(self, item: dict[str, Any]) -> Any:
        if _BYTES in item:
            return base64.b64decode(item[_BYTES])
        return self._objects[item[_OBJECT]] if _OBJECT in item else item


_BYTES, _OBJECT = "\0bytes", "\0object"


def _stamp(path: Path) -> tuple[int, int]:
    """What tells whether a file was written to."""
    status = os.stat(path)
    return status.st_mtime_ns, status.st_size
