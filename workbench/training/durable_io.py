"""The only writer of run directories: event lines, published files, locks.

    lock = Lock(run_dir / "run.lock"); lock.take()
    EventWriter(run_dir, lock).emit("state", state="queued")      # one os.write, sequence number and CRC in the line

A process that dies at any instruction leaves either nothing of an event, or a torn last line that the next writer
moves to `events.torn`; a published file is whole or absent. Standard library only: the supervisor loads it.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import uuid
import weakref
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from workbench.errors import RunError

try:
    import fcntl
except ImportError:  # Windows has no flock; `Lock` says so when one is needed
    fcntl = None  # type: ignore[assignment]

SYNCED_KINDS = frozenset({"state", "checkpoint", "ack", "sample"})
"""Events that are on the disk, not only in the page cache, before `emit` returns."""

SYNC_EVERY_S = 1.0
"""Other events reach the disk at the latest with the first event after this long (measured: 1.8 ms a sync)."""

TAIL_BYTES = 1 << 16
_RETRY_S = 0.01


class Lock:
    """An flock on a file; whoever holds it is alive and may write.

    Forked children (dataloader workers) close it at once: a worker that outlives a killed trainer would otherwise keep
    the run "alive" (measured: 5 s).
    """

    def __init__(self, path: Path) -> None:
        if fcntl is None:
            raise RunError(
                "Runs need file locks (flock), which this system lacks.",
                remedy="Use Linux or macOS; on Windows, WSL.",
                code="WB690",
            )
        self.path = path
        self._fd: int | None = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self.taken = False
        this = weakref.ref(self)

        def drop_in_child() -> None:
            lock = this()
            if lock is not None:
                lock.release()

        os.register_at_fork(after_in_child=drop_in_child)

    def take(self, timeout: float = 0.5) -> bool:
        """Take the lock, trying for `timeout` seconds (a reader's look at the lock holds it for microseconds)."""
        end = time.monotonic() + timeout
        while self._fd is not None:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= end:
                    return False
                time.sleep(_RETRY_S)
            else:
                self.taken = True
                return True
        return False

    def release(self) -> None:
        """Give the lock up; it cannot be taken again through this object."""
        self.taken = False
        if self._fd is not None:
            fd, self._fd = self._fd, None
            with contextlib.suppress(OSError):
                os.close(fd)

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def held(path: Path) -> bool:
    """Whether some process holds the lock of this file."""
    if fcntl is None:
        return False
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def encode_event(members: Mapping[str, Any]) -> bytes:
    """One event as its line, with the CRC-32 of the line without its `crc` member at the end."""
    body = json.dumps(members, separators=(",", ":"), ensure_ascii=False, default=str).encode("utf-8", "replace")
    return b'%s,"crc":"%08x"}\n' % (body[:-1], zlib.crc32(body))


def decode_event(line: bytes) -> dict[str, Any]:
    """The event of a line (with or without its newline).

    Raises:
        ValueError: When the CRC or the JSON is wrong.
    """
    line = line.rstrip(b"\n")
    body, found, mark = line[:-18] + b"}", line[-18:-10], line[-10:-2]
    if found != b',"crc":"' or line[-2:] != b'"}':
        raise ValueError("no CRC at the end of the line")
    if b"%08x" % zlib.crc32(body) != mark:
        raise ValueError(f"CRC is {zlib.crc32(body):08x}, the line says {mark.decode('ascii', 'replace')}")
    event = json.loads(body)
    if not isinstance(event, dict):
        raise ValueError("not an object")
    return event


class EventWriter:
    """Appends to `events.jsonl`; made only by the holder of `run.lock`.

    A torn last line, left by a writer that was killed or a disk that was full, is moved to `events.torn` first.
    """

    def __init__(self, run_dir: Path, lock: Lock) -> None:
        if not lock.taken or lock.path.name != "run.lock":
            raise RunError(
                f"{run_dir.name}: events may be written only while run.lock is held.",
                remedy="Another process trains this run; send it commands instead.",
                code="WB691",
            )
        self._lock = lock
        self._fd = os.open(run_dir / "events.jsonl", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._threads = threading.Lock()
        self._synced_at = 0.0
        self._mend(run_dir / "events.torn")
        self.seq = self._next_seq()

    def emit(self, kind: str, **members: Any) -> int:
        """Append one event and return its sequence number.

        Raises:
            OSError: When the line could not be written whole (a full disk); nothing of it stays.
        """
        with self._threads:
            now = time.monotonic()
            line = encode_event({"seq": self.seq, "t": time.time(), "m": now, "kind": kind, **members})
            self._append(line)
            self.seq += 1
            if kind in SYNCED_KINDS or now - self._synced_at >= SYNC_EVERY_S:
                _sync_data(self._fd)
                self._synced_at = now
            return self.seq - 1

    def close(self) -> None:
        """Close the file; the lock stays with its owner."""
        with self._threads:
            os.close(self._fd)

    def _append(self, line: bytes) -> None:
        if not self._lock.taken:
            raise RunError("run.lock was given up.", remedy="Take it again to write.", code="WB691")
        before = os.fstat(self._fd).st_size
        try:
            written = os.write(self._fd, line)
        except OSError:
            os.ftruncate(self._fd, before)
            raise
        if written != len(line):
            os.ftruncate(self._fd, before)
            raise OSError(f"only {written} of {len(line)} bytes of an event could be written: is the disk full?")

    def _mend(self, torn: Path) -> None:
        size = os.fstat(self._fd).st_size
        end = size
        tail = b""
        while end > 0 and b"\n" not in tail:
            start = max(0, end - TAIL_BYTES)
            tail = os.pread(self._fd, end - start, start) + tail
            end = start
        left = tail[tail.rfind(b"\n") + 1 :]
        if left:
            append(torn, left + b"\n")
            os.ftruncate(self._fd, size - len(left))

    def _next_seq(self) -> int:
        """One more than the newest good line's number; bad lines after it count too, so that numbers never repeat."""
        end = os.fstat(self._fd).st_size
        tail, bad = b"", 0
        while end > 0:
            start = max(0, end - TAIL_BYTES)
            tail = os.pread(self._fd, end - start, start) + tail
            lines = tail.split(b"\n")
            whole = lines[:-1] if start == 0 else lines[1:-1]
            bad = 0
            for line in reversed(whole):
                with contextlib.suppress(ValueError, KeyError):
                    return int(decode_event(line)["seq"]) + 1 + bad
                bad += 1
            end = start
        return bad


def publish(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the whole of it or nothing."""
    publish_with(path, lambda temporary: temporary.write_bytes(content))


def publish_json(path: Path, value: Any) -> None:
    """Publish a value as JSON."""
    publish(path, json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace"))


def publish_with(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in place by rename, readable by its owner only."""
    temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}.tmp")
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        write(temporary)
        sync_file(temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_file(path.parent)


def append(path: Path, content: bytes) -> None:
    """Append bytes in one write (torn lines, the register of roots)."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(fd, content)
    finally:
        os.close(fd)


def open_log(path: Path) -> int:
    """A descriptor that appends to a log file, for a child's stdout and stderr; the caller closes it."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def private_folder(path: Path) -> Path:
    """Make a folder (and its parents) that only its owner may enter, and return it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def remove(path: Path) -> None:
    """Remove a file that may be gone already."""
    path.unlink(missing_ok=True)


def sync_file(path: Path) -> None:
    """Bring a file's or a folder's content to the disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _sync_data(fd: int) -> None:
    """Like os.fdatasync, which macOS lacks."""
    getattr(os, "fdatasync", os.fsync)(fd)
