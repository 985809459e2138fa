"""What a run is doing, derived from its last `state` event and its two locks; never stored.

    queued -> starting -> running <-> pausing/paused -> stopping -> stopped | completed | failed;  died is derived
    until the supervisor has written it

A field that says "running" would go on saying so after a kill -9; a lock cannot.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.training import events
from workbench.training.durable_io import held
from workbench.training.events import Newest

TERMINAL = frozenset({"stopped", "completed", "failed", "died"})
STALL_AFTER_S = 10.0
STALL_AFTER_STEPS = 10


@dataclass(frozen=True, slots=True)
class Status:
    """A run's state at one moment.

    Attributes:
        state: As in docs/wire.md section 2.
        stalled: Running and locked, but silent for max(10 s, 10 median steps).
        event: The last `state` event; empty when there is none.
    """

    state: str
    stalled: bool
    event: dict[str, Any]

    @property
    def over(self) -> bool:
        """Whether nothing will be written to this run any more."""
        return self.state in TERMINAL


class Watch:
    """Reads a run's status again and again; each look reads only what is new in the log."""

    def __init__(self, run_dir: Path) -> None:
        self._dir = run_dir
        self._newest = Newest(run_dir, "state")

    def read(self) -> Status:
        """The status now."""
        last = self._newest.read() or {}
        while True:
            state = last.get("state", "queued")
            if state in TERMINAL:
                return Status(state, False, last)
            if alive(self._dir):
                return Status(state, state == "running" and _silent(self._dir), last)
            # The trainer may have ended between the two looks; its last event precedes the release of the lock.
            again = self._newest.read() or {}
            if again.get("seq") == last.get("seq"):
                return Status("queued" if state == "queued" else "died", False, last)
            last = again


def read(run_dir: Path) -> Status:
    """One look at a run's status."""
    return Watch(run_dir).read()


def alive(run_dir: Path) -> bool:
    """Whether a trainer or its supervisor holds the run."""
    return held(run_dir / "run.lock") or held(run_dir / "sup.lock")


def _silent(run_dir: Path) -> bool:
    recent = events.tail(run_dir)
    if not recent:
        return False
    steps = [event["dt"] for event in recent if event["kind"] == "step" and event.get("dt")]
    patience = max(STALL_AFTER_S, STALL_AFTER_STEPS * statistics.median(steps) if steps else 0.0)
    return held(run_dir / "run.lock") and time.time() - recent[-1]["t"] > patience
