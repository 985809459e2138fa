"""A warm spare: a training process whose imports are done, waiting for its run.

    python -m workbench.training.spare        child of a supervisor; one line {"run": DIR} on stdin, EOF ends it

The main thread, where the model will train, only waits. The imports run in a side thread that is niced on Linux (where
niceness is a thread's own and cannot be taken back), so that they disturb the notebook little (measured with nice 10:
tokenising beside it loses 2 % instead of 9 %) and the training keeps its full priority. Nothing of torch is used before
a run comes, and nothing forks.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from pathlib import Path

from workbench.training.attempt import Attempt, StopStarting, listen, redirect_output, stop_starting
from workbench.training.worker import heavy_imports, leave, train_run

NICENESS = 5
"""Enough to yield to a busy cell; not more, because a run may be handed over while the imports still go on."""


class Spare:
    """Waits for a run while it imports."""

    def __init__(self) -> None:
        self.attempt: Attempt | None = None
        self.problem: BaseException | None = None
        self._handed = threading.Event()
        self._imported = threading.Event()
        self._supervisor = os.dup(1)  # stays the pipe when stdout becomes the run's log

    def run(self) -> int:
        """Import, wait for a run, train it; returns the exit status."""
        threading.Thread(target=self._import, name="imports", daemon=True).start()
        threading.Thread(target=self._await_run, name="handover", daemon=True).start()
        try:
            self._handed.wait()
        except StopStarting as stop:
            if self.attempt is not None:
                self.attempt.stopped_starting(str(stop))
                self.attempt.close()
            return 0
        if self.attempt is None:
            print(self.problem, file=sys.stderr)
            return 1
        return train_run(self.attempt, self._wait_for_imports)

    def _import(self) -> None:
        if sys.platform == "linux":
            os.nice(NICENESS)
        try:
            heavy_imports()
        except BaseException as error:  # noqa: BLE001  # raised again in the main thread, where the run reports it
            self.problem = error
        finally:
            self._imported.set()
        word = b"ready\n" if self.problem is None else b"broken\n"
        with contextlib.suppress(OSError):  # the supervisor may be gone, or done with reading
            os.write(self._supervisor, word)

    def _wait_for_imports(self) -> None:
        self._imported.wait()
        if self.problem is not None:
            raise self.problem

    def _await_run(self) -> None:
        line = sys.stdin.readline()
        if not line:
            os._exit(0)  # the supervisor, and with it the owner, is gone; imports in flight do not matter
        try:
            run_dir = Path(json.loads(line)["run"])
            redirect_output(run_dir / "train.log")
            os.chdir(run_dir)
            self.attempt = Attempt(run_dir)
        except BaseException as error:  # noqa: BLE001  # raised again in the main thread
            self.problem = error
        finally:
            self._handed.set()


if __name__ == "__main__":
    listen(stop_starting)
    leave(Spare().run())
