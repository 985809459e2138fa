"""Rows of a file by their place in it: found once, read when they are asked for.

Records(Stored(path), array("Q", [0, 17, 18, 40]), json.loads)[1]  ->  the row in bytes 18 to 39
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

from workbench.rows.files.lazy import Lazy
from workbench.rows.files.streams import Stored, Unpacked

Row = Mapping[str, Any]
Store = Stored | Unpacked


class Records(Lazy[Row]):
    """Rows that lie in a file one after the other.

    Args:
        store: Where the bytes are.
        spans: Byte offsets of the rows: start, end, start, end, ….
        parse: Bytes of a row -> the row.
    """

    def __init__(self, store: Store, spans: array[int], parse: Callable[[bytes], Row]) -> None:
        self._store, self._spans, self._parse = store, spans, parse

    def __len__(self) -> int:
        return len(self._spans) // 2

    def item(self, at: int) -> Row:
        """See `Lazy.item`."""
        with self._store.open() as file:
            return self._read(file, at)

    def __iter__(self) -> Iterator[Row]:
        with self._store.open() as file:
            for at in range(len(self)):
                yield self._read(file, at)

    def _read(self, file: BinaryIO, at: int) -> Row:
        start, end = self._spans[2 * at], self._spans[2 * at + 1]
        file.seek(start)
        return self._parse(file.read(end - start))
