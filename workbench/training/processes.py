"""Signals to a run's trainer, and the escalation of a stop that it does not take.

    command file -> grace (20 s) -> SIGTERM -> half the grace -> SIGKILL of the process group

`proc.json` names the process by pid, start time and boot, so that a reused pid is never signalled. Whether a run lives
is not answered here: only the locks tell (status.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.training import commands
from workbench.training.durable_io import publish_json

GRACE_S = 20.0
"""How long a stop may stay untaken before it is pressed (kernel design; a step or a save may take this long)."""

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def publish_identity(run_dir: Path, pid: int) -> None:
    """Write `proc.json` for the trainer `pid`, whose parent and supervisor is this process."""
    identity = {"pid": pid, "started": started(pid), "boot": boot_id(), "supervisor": os.getpid()}
    publish_json(run_dir / "proc.json", identity)


def identity(run_dir: Path) -> dict[str, Any] | None:
    """What `proc.json` says, or None when there is no trainer yet."""
    try:
        return json.loads((run_dir / "proc.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def trainer_pid(run_dir: Path) -> int | None:
    """Pid of the run's trainer if that very process still exists."""
    known = identity(run_dir)
    if known is None or known["boot"] != boot_id() or started(known["pid"]) != known["started"]:
        return None
    return int(known["pid"])


def signal_trainer(run_dir: Path, number: signal.Signals, *, group: bool = False) -> bool:
    """Signal the trainer, or with `group` all of its processes; False when it is gone."""
    pid = trainer_pid(run_dir)
    if pid is None:
        return False
    try:
        os.killpg(pid, number) if group else os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def started(pid: int) -> str | None:
    """When a process started, in a form that is only good for comparing; None when there is no such process."""
    if BOOT_ID.exists():
        with contextlib.suppress(OSError, IndexError):
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        return None
    import psutil

    with contextlib.suppress(psutil.Error):
        return str(psutil.Process(pid).create_time())
    return None


def boot_id() -> str | None:
    """Which boot of this machine we are in, where it says (Linux)."""
    with contextlib.suppress(OSError):
        return BOOT_ID.read_text().strip()
    return None


@dataclass(slots=True)
class Escalation:
    """Presses a stop command that the trainer does not take.

    Call `press` every now and then; time is measured from the first call that saw the command, so that a clock that
    jumps cannot kill a run.

    Attributes:
        reason: What was done, once something was.
    """

    run_dir: Path
    command: str | None = None
    since: float = 0.0
    grace_s: float = GRACE_S
    pressed: int = 0
    reason: str = ""

    def press(self) -> None:
        """Look for a waiting stop and do what its age asks for."""
        stops = [command for command in commands.read(self.run_dir) if command.op == "stop"]
        now = time.monotonic()
        if not stops:
            self.command = None if not self.pressed else self.command
        elif self.command is None:
            self.command, self.since, self.pressed = stops[0].id, now, 0
            self.grace_s = float(stops[0].members.get("grace_s", GRACE_S))
        if self.command is None or (not stops and self.pressed == 0):
            return
        age = now - self.since
        if self.pressed == 0 and age >= self.grace_s:
            self._signal(signal.SIGTERM, f"stop was not taken within {self.grace_s:g} s; SIGTERM sent")
        elif self.pressed == 1 and stops and age >= 1.5 * self.grace_s:
            self._signal(signal.SIGKILL, f"stop was not taken within {1.5 * self.grace_s:g} s; SIGKILL sent")

    def _signal(self, number: signal.Signals, reason: str) -> None:
        self.pressed += 1
        if signal_trainer(self.run_dir, number, group=number == signal.SIGKILL):
            self.reason = reason
