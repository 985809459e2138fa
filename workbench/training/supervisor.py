"""The trainer's parent: starts it, waits for it, and writes the last event when the trainer could not.

    python -m workbench.training.supervisor run RUN      starts a trainer for a run directory
    python -m workbench.training.supervisor spare PID    keeps a warm spare for the process PID

With `spare` it is the spare's real parent from the beginning, so that it can wait for it whatever becomes of the owner.
Its stdin is a pipe from the owner: one line {"run": DIR} hands over a run, and from then on neither process needs the
owner; an end of file before that line, or an owner that is gone, ends both. stdout tells the owner `ready`, `broken`
and `taken`.

Standard library only, in a session of its own, and not in the data path: kill it and the training goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from workbench.training import commands, events, processes, status
from workbench.training.attempt import redirect_output
from workbench.training.durable_io import EventWriter, Lock, open_log

LOOK_EVERY_S = 0.5
LOG_TAIL_BYTES = 2000


class ChildBell:
    """Becomes readable when a child ends, so that waiting costs nothing."""

    def __init__(self) -> None:
        self.fd, write = os.pipe()
        for fd in (self.fd, write):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        # Handlers, not SIG_IGN: what is ignored stays ignored across exec and would make the trainer deaf.
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)

    def wait(self, *others: int, timeout: float = LOOK_EVERY_S) -> list[int]:
        """Wait for a child's end or input on `others`; returns those of `others` that are readable."""
        readable, _, _ = select.select([self.fd, *others], [], [], timeout)
        with contextlib.suppress(BlockingIOError):
            os.read(self.fd, 4096)
        return [fd for fd in readable if fd != self.fd]


class Supervisor:
    """Holds `sup.lock` of a run and its trainer's end."""

    def __init__(self, run_dir: Path, bell: ChildBell) -> None:
        self.dir, self._bell = run_dir, bell
        self._lock = Lock(run_dir / "sup.lock")
        if not self._lock.take(timeout=2):
            raise SystemExit(f"{run_dir.name} already has a supervisor")
        self._oom_kills = oom_kills()
        self._log_state(state="starting", step=0, supervisor=os.getpid())

    def start(self) -> subprocess.Popen[bytes]:
        """Start a cold trainer."""
        log = open_log(self.dir / "train.log")
        try:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "workbench.training.worker", str(self.dir)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.dir,
                start_new_session=True,
            )
        finally:
            os.close(log)

    def watch(self, trainer: subprocess.Popen[bytes]) -> None:
        """Wait for the trainer's end, press stops that it does not take, and complete its log."""
        processes.publish_identity(self.dir, trainer.pid)
        escalation = processes.Escalation(self.dir)
        while not _ended(trainer.pid):
            self._bell.wait()
            escalation.press()
        seen = time.monotonic()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            # Workers and ranks that outlived it. Before it is reaped, so that its group id cannot be another's.
            os.killpg(trainer.pid, signal.SIGKILL)
        self._conclude(trainer.wait(), escalation.reason, seen)

    def _conclude(self, rc: int, reason: str, seen: float) -> None:
        with Lock(self.dir / "run.lock") as lock:
            if not lock.take(timeout=10):
                return  # somebody resumed the run; its log is theirs
            if status.read(self.dir).event.get("state") not in status.TERMINAL:
                log = EventWriter(self.dir, lock)
                commands.refuse_open(self.dir, log, "the training process is gone")
                log.emit("state", **self._death(rc, reason), seen_after_s=round(time.monotonic() - seen, 3))
                log.close()
        self._lock.release()

    def _death(self, rc: int, reason: str) -> dict[str, Any]:
        return {
            "state": "died",
            "step": (events.newest(self.dir, "step") or {}).get("step", 0),
            "rc": rc,
            "signal": signal.Signals(-rc).name if rc < 0 else None,
            "oom": rc == -signal.SIGKILL and oom_kills() > self._oom_kills,
            "reason": reason or _cause(rc),
            "log_tail": _tail(self.dir / "train.log"),
        }

    def _log_state(self, **members: Any) -> None:
        with Lock(self.dir / "run.lock") as lock:
            if not lock.take(timeout=5):
                raise SystemExit(f"{self.dir.name} is already being trained")
            log = EventWriter(self.dir, lock)
            log.emit("state", **members)
            log.close()


def supervise(run_dir: Path) -> None:
    """Train a run in a cold process."""
    supervisor = Supervisor(run_dir, ChildBell())
    supervisor.watch(supervisor.start())


def keep_spare(owner: int) -> None:
    """Keep a warm spare until the owner hands over a run or goes away."""
    bell = ChildBell()
    spare = subprocess.Popen(
        [sys.executable, "-P", "-m", "workbench.training.spare"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    run_dir = _await_run(owner, spare, bell)
    if run_dir is None:
        _end_spare(spare)
        return
    _tell_owner("taken")
    redirect_output(run_dir / "sup.log")
    supervisor = Supervisor(run_dir, bell)
    supervisor.watch(spare if _hand_over(spare, run_dir) else supervisor.start())


def _await_run(owner: int, spare: subprocess.Popen[bytes], bell: ChildBell) -> Path | None:
    """The run that the owner hands over; None when it goes away first."""
    assert spare.stdout is not None
    listening = [0, spare.stdout.fileno()]
    line = b""
    while os.getppid() == owner:
        for fd in bell.wait(*listening, timeout=1.0):
            data = os.read(fd, 4096)
            if fd == 0:
                line += data
                if b"\n" in line:
                    return Path(json.loads(line)["run"])
                if not data:
                    return None
            elif not data:
                listening.remove(fd)
            for word in ("ready", "broken"):
                if fd != 0 and word.encode() in data:
                    _tell_owner(word)
    return None


def _hand_over(spare: subprocess.Popen[bytes], run_dir: Path) -> bool:
    """Give the run to the spare; False when the spare is dead, so that a cold trainer must do it."""
    assert spare.stdin is not None
    if _ended(spare.pid):
        spare.wait()
        return False
    try:
        spare.stdin.write(json.dumps({"run": str(run_dir)}).encode() + b"\n")
        spare.stdin.close()
    except BrokenPipeError:
        spare.wait()
        return False
    return True


def _end_spare(spare: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(spare.pid, signal.SIGKILL)  # it holds nothing; in the middle of imports it hears nothing softer
    spare.wait()


def _tell_owner(word: str) -> None:
    with contextlib.suppress(OSError):
        os.write(1, word.encode() + b"\n")


def _ended(pid: int) -> bool:
    """Whether a child has ended; it stays to be reaped."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _cause(rc: int) -> str:
    if rc < 0:
        return f"The training process was ended by {signal.Signals(-rc).name}."
    return f"The training process exited with status {rc} without saying why."


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - LOG_TAIL_BYTES))
            return file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def oom_kills() -> int:
    """Processes that the kernel killed for memory so far: machine-wide and of our cgroup, so its change is a hint."""
    count = 0
    for path in ("/sys/fs/cgroup/memory.events", "/proc/vmstat"):
        with contextlib.suppress(OSError):
            for line in Path(path).read_text().splitlines():
                name, _, value = line.partition(" ")
                count += int(value) if name == "oom_kill" else 0
    return count


if __name__ == "__main__":
    if sys.argv[1] == "spare":
        keep_spare(int(sys.argv[2]))
    else:
        supervise(Path(sys.argv[2]))
