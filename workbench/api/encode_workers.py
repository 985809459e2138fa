"""Processes that encode chunks of rows: fresh interpreters that are sent rows and answer with arrays.

    parent  -- rows as JSON -->  python -m workbench.api.encode_workers  -- arrays as bytes -->  parent

Nothing is forked, nothing is pickled, and the caller's script is not imported again, so it works from a notebook, from
a script without a main guard and from the command line. Rows that JSON cannot hold (a picture, a date) are encoded in
the parent. A worker that ends is an error that names its rows.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import struct
import subprocess
import sys
import tempfile
import threading
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, Self

from workbench import errors
from workbench.api.encode_rows import CHUNK_ROWS, Chunk, Reading, Row, encode_chunk
from workbench.errors import RunError, WorkbenchError
from workbench.options import MaskOptions, RowOptions
from workbench.tokens.handing import hand_over, take_over
from workbench.tokens.setting import Setting
from workbench.training.launchers import clean_environment
from workbench.types import Finding, TemplateInfo

AHEAD = 4
"""Chunks a worker may be ahead of the one that is read next; holds memory flat."""

WORKER = ("-P", "-m", "workbench.api.encode_workers")
"""What the interpreter is started with."""

_LENGTH = struct.Struct("<Q")
_ARRAYS = {"rows": "q", "lengths": "i", "input_ids": "i", "labels": "i", "truncated": "i"}


class Pool:
    """Workers of one encoding; leaving the `with` block ends them."""

    def __init__(self, rows: Sequence[Row], reading: Reading, setting: Setting, workers: int) -> None:
        self.rows, self.reading, self.setting = rows, reading, setting
        self.starts = list(range(0, len(rows), CHUNK_ROWS))
        self.size = workers
        self.home = tempfile.TemporaryDirectory(prefix="workbench-encode-")
        self._ready = threading.Condition()
        self._local = threading.Lock()  # one tokenizer, one thread at a time
        self._done: dict[int, Chunk] = {}
        self._error: BaseException | None = None
        self._next = self._wanted = 0
        self._closed = False
        self.processes: list[subprocess.Popen[bytes]] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        try:
            first = _job(self.reading, self.setting, Path(self.home.name))
            for number in range(self.size):
                log = Path(self.home.name) / f"{number}.log"
                self.processes.append(_started(log, self.size))
                args = (self.processes[number], log, first)
                self._threads.append(threading.Thread(target=self._serve, args=args, daemon=True))
                self._threads[number].start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with self._ready:
            self._closed = True
            self._ready.notify_all()
        for process in self.processes:
            process.kill()
        for thread in self._threads:
            thread.join()
        for process in self.processes:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    _close(pipe)
        self.home.cleanup()

    def chunks(self) -> Iterator[Chunk]:
        """Chunks in row order.

        Raises:
            RunError: WB134 for a worker that ended.
            WorkbenchError: As one process raises.
        """
        for start in self.starts:
            with self._ready:
                self._wanted = start
                self._ready.notify_all()
                self._ready.wait_for(lambda start=start: start in self._done or self._error is not None)
                if start not in self._done and self._error is not None:
                    raise self._error
                chunk = self._done.pop(start)
            yield chunk

    def _serve(self, process: subprocess.Popen[bytes], log: Path, first: bytes) -> None:
        """Hand chunks to one worker until there are none; runs in a thread of its own."""
        start = -1
        try:
            _send(_pipe(process.stdin), first)
            while (taken := self._taken()) is not None:
                start, rows = taken
                made = self._made(process, start, rows)
                with self._ready:
                    self._done[start] = made
                    self._ready.notify_all()
        except (OSError, EOFError):
            self._fail(_ended(process, log, start, min(start + CHUNK_ROWS, len(self.rows))))
        except BaseException as error:  # noqa: BLE001  # a thread's failure belongs to the caller, who raises it
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        with self._ready:
            self._error = self._error or error
            self._ready.notify_all()

    def _taken(self) -> tuple[int, list[Row]] | None:
        """The next chunk that nobody has taken, once it is not too far ahead."""
        ahead = AHEAD * self.size * CHUNK_ROWS
        with self._ready:
            if self._next >= len(self.starts):
                return None
            self._ready.wait_for(lambda: self._closed or self._error or self._coming(ahead))
            if self._closed or self._error or self._next >= len(self.starts):
                return None
            start = self.starts[self._next]
            self._next += 1
            return start, [self.rows[i] for i in range(start, min(start + CHUNK_ROWS, len(self.rows)))]

    def _coming(self, ahead: int) -> bool:
        return self._next >= len(self.starts) or self.starts[self._next] <= self._wanted + ahead

    def _made(self, process: subprocess.Popen[bytes], start: int, rows: list[Row]) -> Chunk:
        sent = _as_json(rows)
        if sent is None:
            with self._local:
                return encode_chunk(rows, start, self.reading, self.setting)
        _send(_pipe(process.stdin), _LENGTH.pack(start) + sent)
        return chunk_from(_received(_pipe(process.stdout)))


def _job(reading: Reading, setting: Setting, home: Path) -> bytes:
    """What a worker needs to know once."""
    template = setting.template
    job = {
        "reading": {
            "type": reading.type,
            "columns": dict(reading.columns),
            "options": _plain(reading.options.changed()),
            "left_out": sorted(reading.left_out),
        },
        "tokenizer": hand_over(setting.tokenizer, home),
        "template": None if template is None else {**asdict(template), "special_tokens": dict(template.special_tokens)},
        "train_on": setting.train_on,
        "max_length": setting.max_length,
        "variables": dict(setting.variables),
        "options": setting.options.changed(),
    }
    return json.dumps(job).encode()


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in options.items()}


def _started(log: Path, workers: int) -> subprocess.Popen[bytes]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = max(1, cores // workers)
    environment = clean_environment() | {
        "TOKENIZERS_PARALLELISM": "true" if threads > 1 else "false",
        "RAYON_NUM_THREADS": str(threads),
        "HF_HUB_OFFLINE": "1",
    }
    with log.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, *WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            env=environment,
            start_new_session=True,  # Ctrl-C in a notebook or terminal is the parent's to handle
        )


def _ended(process: subprocess.Popen[bytes], log: Path, start: int, stop: int) -> WorkbenchError:
    """The error for a worker that is gone."""
    process.kill()
    code = process.wait()
    lines = log.read_text(errors="replace").strip().splitlines()
    said = f" It said: {lines[-1][:300]}" if lines else ""
    how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
    where = f"while it encoded rows {start} to {stop - 1}" if start >= 0 else "before its first row"
    return RunError(
        f"A worker process {how} {where}.{said}",
        remedy="Look whether memory ran out; with workers=1 the same rows are encoded in this process.",
        code="WB134",
        row=max(start, 0),
    )


def _as_json(rows: list[Row]) -> bytes | None:
    """The rows as JSON, None where they would not come back as they are."""
    try:
        text = json.dumps(rows)
        return text.encode() if json.loads(text) == rows else None
    except (TypeError, ValueError, RecursionError):
        return None


def _pipe(pipe: Any) -> BinaryIO:
    assert pipe is not None
    return pipe


def _close(pipe: Any) -> None:
    with contextlib.suppress(OSError):  # what was not yet written is for a process that is gone
        pipe.close()


def _send(pipe: BinaryIO, message: bytes) -> None:
    pipe.write(_LENGTH.pack(len(message)))
    pipe.write(message)
    pipe.flush()


def _received(pipe: BinaryIO) -> bytes:
    """The next message.

    Raises:
        EOFError: Where the other side is gone.
    """
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    size = _LENGTH.unpack(head)[0]
    message = pipe.read(size)
    if len(message) < size:
        raise EOFError
    return message


def bytes_of(chunk: Chunk) -> bytes:
    """A chunk as bytes: a JSON head with its length, then the arrays."""
    arrays = [getattr(chunk, name).tobytes() for name in _ARRAYS]
    head = {
        "first": chunk.first,
        "count": chunk.count,
        "parts": chunk.parts,
        "bytes": [len(part) for part in arrays],
        "findings": [asdict(finding) for finding in chunk.findings],
    }
    text = json.dumps(head).encode()
    return b"".join((_LENGTH.pack(len(text)), text, *arrays))


def chunk_from(message: bytes) -> Chunk:
    """The chunk a worker answered with.

    Raises:
        WorkbenchError: What the worker raised.
    """
    at = _LENGTH.size + _LENGTH.unpack_from(message)[0]
    head = json.loads(message[_LENGTH.size : at])
    if "error" in head:
        raise _error_from(head["error"])
    arrays: dict[str, array[int]] = {}
    for (name, kind), size in zip(_ARRAYS.items(), head["bytes"], strict=True):
        arrays[name] = array(kind)
        arrays[name].frombytes(message[at : at + size])
        at += size
    findings = tuple(Finding(**finding) for finding in head["findings"])
    return Chunk(head["first"], head["count"], parts=tuple(head["parts"]), findings=findings, **arrays)


def _error_bytes(error: WorkbenchError) -> bytes:
    said = [type(error).__name__, error.message, error.remedy, error.code, error.row]
    text = json.dumps({"error": said}).encode()
    return _LENGTH.pack(len(text)) + text


def _error_from(said: list[Any]) -> WorkbenchError:
    name, message, remedy, code, row = said
    kinds = {kind.__name__: kind for kind in vars(errors).values() if isinstance(kind, type)}
    return kinds.get(name, RunError)(message, remedy=remedy, code=code, row=row)


# The worker's side


def _setting_of(job: Mapping[str, Any]) -> Setting:
    tokenizer = take_over(job["tokenizer"])
    template = None if job["template"] is None else TemplateInfo(**job["template"])
    options = MaskOptions.from_keywords(job["options"])
    return Setting(tokenizer, template, job["train_on"], job["max_length"], job["variables"], options)


def _work(asked: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the parent closes the pipe."""
    job = json.loads(_received(asked))
    read = job["reading"]
    options = RowOptions.from_keywords(read["options"])
    reading = Reading(read["type"], read["columns"], options, frozenset(read["left_out"]))
    setting: Setting | None = None
    while True:
        try:
            message = _received(asked)
        except EOFError:
            return
        start = _LENGTH.unpack_from(message)[0]
        try:
            if setting is None:
                setting = _setting_of(job)
                gc.freeze()  # a process of our own: what it imported need not be looked through again and again,
                gc.disable()  # and one look behind each chunk is enough, for rows leave next to no cycles
            answer = bytes_of(encode_chunk(json.loads(message[_LENGTH.size :]), start, reading, setting))
        except WorkbenchError as error:
            answer = _error_bytes(error)
        _send(answers, answer)
        gc.collect()


def main() -> None:
    """Encode what the parent sends; whatever prints to standard output meanwhile goes to the log."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _work(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
