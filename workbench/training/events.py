"""Reading `events.jsonl` by byte offset, from any process, while it grows.

    reader = EventReader(run_dir, offset)
    for event in reader.new(): ...            # whole lines only; reader.offset moves past them

A line whose CRC or JSON is wrong is counted in `reader.bad_lines` and skipped: one bad line never hides a run. The
reader holds no handle between calls and at most `limit` bytes (or one line, if that is longer) in a call.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from workbench.training.durable_io import decode_event

CHUNK_BYTES = 1 << 20
KEPT_BAD_LINES = 20


class BadLine(NamedTuple):
    """A line that could not be read: its byte offset and what is wrong with it."""

    offset: int
    reason: str


class EventReader:
    """Reads a run's events from a byte offset on.

    Attributes:
        offset: Bytes consumed; a later reader may start there.
        bad_lines: The first bad lines met; `bad_count` counts all of them.
    """

    def __init__(self, run_dir: Path, offset: int = 0) -> None:
        self.path = run_dir / "events.jsonl"
        self.offset = offset
        self.bad_lines: list[BadLine] = []
        self.bad_count = 0

    def lines(self, limit: int = CHUNK_BYTES) -> list[bytes]:
        """New whole lines without their newline, about `limit` bytes of them, undecoded."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                data = file.read(limit)
                while len(data) >= limit and b"\n" not in data:  # a single line longer than the limit
                    more = file.read(limit)
                    if not more:
                        break
                    data += more
        except FileNotFoundError:
            return []
        end = data.rfind(b"\n") + 1
        self.offset += end
        return data[:end].splitlines() if b"\r" not in data else data[:end].split(b"\n")[:-1]

    def new(self, limit: int = CHUNK_BYTES) -> list[dict[str, Any]]:
        """New events, about `limit` bytes of them; an empty list when there are none."""
        at = self.offset
        lines = self.lines(limit)
        decoded = (self.decode_one(lines, index, at) for index in range(len(lines)))
        return [event for event in decoded if event is not None]

    def all(self) -> Iterator[dict[str, Any]]:
        """Events up to the present end of the file, a chunk at a time."""
        while True:
            before = self.offset
            yield from self.new()
            if self.offset == before:
                return

    def decode_one(self, lines: list[bytes], index: int, at: int) -> dict[str, Any] | None:
        """The event of one of consecutive `lines` that begin at byte `at`, or None for a bad line, which is noted."""
        try:
            return decode_event(lines[index])
        except ValueError as error:
            self.bad_count += 1
            if len(self.bad_lines) < KEPT_BAD_LINES:
                offset = at + sum(len(line) + 1 for line in lines[:index])
                self.bad_lines.append(BadLine(offset, str(error)))
            return None


def kind_of(line: bytes) -> bytes:
    """The kind of an undecoded line; `kind` is always the fourth member, behind three numbers."""
    start = line.find(b'"kind":"') + 8
    return line[start : line.find(b'"', start)]


class Newest:
    """The newest good event of a kind, kept up to date: each look reads only what was appended since the last.

    Args:
        run_dir: The run.
        kind: Kind of event.
        member: Only events that have this member.
    """

    def __init__(self, run_dir: Path, kind: str, member: str | None = None) -> None:
        self._path = run_dir / "events.jsonl"
        self._kind, self._member = kind.encode(), member
        self._read_to = 0
        self._event: dict[str, Any] | None = None

    def read(self) -> dict[str, Any] | None:
        """The newest such event now, or None; searched backwards from the end."""
        try:
            with self._path.open("rb") as file:
                end = _end_of_lines(file, self._read_to)
                found = self._search(file, end)
        except FileNotFoundError:
            return None
        self._event, self._read_to = found or self._event, end
        return self._event

    def _search(self, file: BinaryIO, end: int) -> dict[str, Any] | None:
        for line in _lines_backwards(file, self._read_to, end, b'"kind":"%s"' % self._kind):
            if kind_of(line) == self._kind:
                with contextlib.suppress(ValueError):
                    event = decode_event(line)
                    if self._member is None or self._member in event:
                        return event
        return None


def newest(run_dir: Path, kind: str, member: str | None = None) -> dict[str, Any] | None:
    """One look of `Newest`."""
    return Newest(run_dir, kind, member).read()


def tail(run_dir: Path, limit: int = 1 << 16) -> list[dict[str, Any]]:
    """The good events among the last `limit` bytes, oldest first."""
    path = run_dir / "events.jsonl"
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return []
    return EventReader(run_dir, max(0, size - limit)).new(limit + 1)


def _end_of_lines(file: BinaryIO, floor: int) -> int:
    """Byte behind the last newline at or after `floor`; `floor`, itself a line's start, where there is none."""
    end = file.seek(0, 2)
    while end > floor:
        start = max(floor, end - CHUNK_BYTES)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return floor


def _lines_backwards(file: BinaryIO, floor: int, end: int, mark: bytes) -> Iterator[bytes]:
    """Lines of [floor, end) with `mark` in them, from the last to the first; blocks without it are not even split."""
    carry = b""  # the end of a line that begins in the block before
    while end > floor:
        start = max(floor, end - CHUNK_BYTES)
        file.seek(start)
        block = file.read(end - start) + carry
        head = block.find(b"\n") + 1 if start > floor else 0  # a line that begins before this block is not whole yet
        if start > floor and head == 0:
            head = len(block)
        carry = block[:head]
        if block.find(mark, head) >= 0:
            yield from (line for line in reversed(block[head:].split(b"\n")) if mark in line)
        end = start
