"""One process's hold on a run: the lock, the log, the inbox, and the ways to end before training begins.

    attempt = Attempt(run_dir)        # takes run.lock; from here on stop commands and signals are heard
    ... imports, model, trainer ...   # StopStarting may be raised at any point of the main thread
    attempt.training_begins()         # from here on the callback hears them, at step ends

Standard library only: it runs before torch is imported.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from workbench.errors import RunError
from workbench.training import commands
from workbench.training.commands import Command, Inbox
from workbench.training.durable_io import EventWriter, Lock, open_log

LOOK_EVERY_S = 0.1
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopStarting(BaseException):
    """Raised in the main thread to leave imports or model loading; not an Exception, so that no library swallows it."""


class Attempt:
    """Holds `run.lock` from construction to `close`.

    Attributes:
        job: job.json.
        log: Where events go.
        stop: The stop command that ended the start, if one did.
    """

    def __init__(self, run_dir: Path) -> None:
        self.dir = run_dir
        self.began = time.monotonic()
        self._lock = Lock(run_dir / "run.lock")
        if not self._lock.take(timeout=10):
            raise RunError(f"Run {run_dir.name} is already being trained.", remedy="Attach to it.", code="WB692")
        self.log = EventWriter(run_dir, self._lock)
        self.inbox = Inbox(run_dir)
        self.stop: Command | None = None
        self.job: dict[str, Any] = json.loads((run_dir / "job.json").read_bytes())
        self._started = threading.Event()
        self.phase("process", pid=os.getpid())

    def phase(self, name: str, **members: Any) -> None:
        """Log a step of the start, with the seconds since this process took the run."""
        self.log.emit("phase", name=name, s=round(time.monotonic() - self.began, 3), **members)

    def hear_stops(self) -> None:
        """Watch for stop commands until training begins; one raises `StopStarting` in the main thread."""
        threading.Thread(target=self._watch, name="hear stops", daemon=True).start()

    def training_begins(self, on_signal: Callable[[int, FrameType | None], None]) -> None:
        """Hand signals over to the training loop; from here on it polls the inbox."""
        self._started.set()
        listen(on_signal)

    def stopped_starting(self, reason: str) -> None:
        """Log the end of a start that was stopped."""
        self._started.set()
        by_command = f"stop command while starting (cmd {self.stop.id})" if self.stop else f"{reason} while starting"
        self.log.emit("state", state="stopped", step=0, reason=by_command)
        if self.stop is not None:
            self.log.emit("ack", cmd=self.stop.id, op="stop", status="done", step=0)
            self.inbox.done(self.stop)

    def close(self) -> None:
        """Refuse what is left in the inbox and let go of the run."""
        self._started.set()
        commands.refuse_open(self.dir, self.log, "the run has ended")
        self._lock.release()

    def _watch(self) -> None:
        while not self._started.wait(LOOK_EVERY_S):
            stop = next((command for command in commands.read(self.dir) if command.op == "stop"), None)
            if stop is not None and not self._started.is_set():
                self.stop = stop
                self.log.emit("ack", cmd=stop.id, op="stop", status="accepted", step=0)
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
                return


def listen(handler: Callable[[int, FrameType | None], None]) -> None:
    """Set SIGINT and SIGTERM explicitly: an ignored SIGINT crosses exec and would leave the trainer deaf."""
    for number in SIGNALS:
        signal.signal(number, handler)


def stop_starting(number: int, _frame: FrameType | None) -> None:
    """Signal handler of the time before training begins."""
    raise StopStarting(signal.Signals(number).name)


def redirect_output(path: Path) -> None:
    """Send this process's stdout and stderr, C libraries included, to a log file."""
    fd = open_log(path)
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    os.close(fd)
