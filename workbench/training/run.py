"""A run as seen from any process: notebook kernel, panel server, command line. Needs only the run directory.

    run = find_run("0007-k3f9")
    run.state()                       # "running"
    answer = run.sample("Explain LoRA to a cook.")
    for text in answer: print(text, end="")
    run.stop(); run.wait()

Nothing here keeps a run alive or ends it by going away. Only `wait`, `wait_ack` and iterating a sample block.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from workbench.errors import RunError
from workbench.training import commands, peek, status
from workbench.training.checkpoint import verify
from workbench.training.durable_io import held
from workbench.training.events import EventReader, newest
from workbench.training.processes import GRACE_S, Escalation, signal_trainer
from workbench.training.snapshot import Snapshot
from workbench.training.status import Status

POLL_S = 0.02


class Run:
    """A training run, named by its directory.

    Attributes:
        dir: The run directory.
        id: `NNNN-xxxx`.
    """

    def __init__(self, path: Path | str) -> None:
        self.dir = Path(path).resolve()
        self.id = self.dir.name
        self._status = status.Watch(self.dir)
        self._reader = EventReader(self.dir)
        self._looking, self._feeding = threading.Lock(), threading.Lock()

    def __repr__(self) -> str:
        return f"Run({self.id!r}, {self.state()})"

    @cached_property
    def job(self) -> dict[str, Any]:
        """What was launched (job.json).

        Raises:
            RunError: When the directory holds no run.
        """
        try:
            return json.loads((self.dir / "job.json").read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValueError) as error:
            raise RunError(
                f"{self.dir} is not a run directory: job.json {type(error).__name__}.",
                remedy="Give a run's id, its number or its directory.",
                code="WB601",
            ) from None

    @property
    def name(self) -> str:
        """The run's name, as launched."""
        return str(self.job.get("name") or self.id)

    @cached_property
    def _snapshot(self) -> Snapshot:
        return Snapshot(self.job)

    def status(self) -> Status:
        """Derived status, with the last `state` event."""
        with self._looking:
            return self._status.read()

    def state(self) -> str:
        """Derived state: queued, starting, running, …, died."""
        return self.status().state

    def events(self, offset: int = 0, limit: int = 1 << 20) -> tuple[list[dict[str, Any]], int]:
        """Events from a byte offset on (about `limit` bytes), and the offset to go on from."""
        reader = EventReader(self.dir, offset)
        return reader.new(limit), reader.offset

    def snapshot(self) -> dict[str, Any]:
        """What a card shows now (docs/wire.md section 4). Each call reads only what is new since the last."""
        now = self.status()
        with self._feeding:
            self._snapshot.feed(self._reader)
            return self._snapshot.to_dict(now)

    def summary(self) -> dict[str, Any]:
        """One line of a list of runs: id, name, state, step, max_steps, loss, created; reads only the log's end."""
        now = self.status()
        step, metric = newest(self.dir, "step") or {}, newest(self.dir, "metric", "loss") or {}
        planned = newest(self.dir, "state", "max_steps") or {}
        return {
            "id": self.id,
            "name": self.name,
            "state": now.state,
            "step": step.get("step", now.event.get("step") or 0),
            "max_steps": planned.get("max_steps"),
            "loss": metric.get("loss"),
            "created": self.job.get("created"),
        }

    def newest_checkpoint(self) -> Path | None:
        """The newest checkpoint that verifies, for a job's `resume`; None when there is none.

        One that is damaged is passed over, as is one that was being written when the trainer was killed.
        """
        done = [event["path"] for event in EventReader(self.dir).all() if event["kind"] == "checkpoint"]
        for path in reversed(done):
            try:
                verify(self.dir / path)
            except RunError:
                continue
            return self.dir / path
        return None

    # Commands

    def send(self, op: str, **members: Any) -> str:
        """Send a command and return its id.

        Raises:
            RunError: When the run is over, so that nobody would ever read it.
        """
        now = self.status()
        if now.over:
            raise RunError(
                f"Run {self.id} is {now.state}; it takes no {op!r} any more.",
                remedy="Launch again, or resume from a checkpoint.",
                code="WB602",
            )
        return commands.send(self.dir, op, **members)

    def wait_ack(self, command: str, timeout: float = 30.0) -> dict[str, Any]:
        """Wait for a command's final acknowledgement (`done` or `refused`) and return the event.

        Raises:
            RunError: When none came within `timeout` seconds, or the run ended without one.
        """
        for event in self._follow(timeout, f"answer to command {command}"):
            if event["kind"] == "ack" and event["cmd"] == command and event["status"] != "accepted":
                return event
        raise RunError(f"Run {self.id} ended ({self.state()}) without an answer to command {command}.", code="WB603")

    def sample(
        self,
        prompt: str | list[dict[str, Any]],
        *,
        gen: dict[str, Any] | None = None,
        seed: int | None = None,
        base: bool = False,
    ) -> Sample:
        """Ask the model that is training.

        Args:
            prompt: A user message, or a list of messages.
            gen: Generation settings: `max_new_tokens`, `do_sample`, `temperature`, `top_p`, `top_k`.
            seed: Seed of this sample; the run's sample seed when None.
            base: Ask the base model instead (LoRA: the adapter is switched off meanwhile).
        """
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        offset = self._end_offset()
        return Sample(self, self.send("sample", messages=messages, gen=gen or {}, seed=seed, base=base), offset)

    def capture(self, step: int | None = None, timeout: float = 120.0) -> int:
        """Have a step's batches and losses by token captured, wait for them, and return which step it was.

        Args:
            step: 1-based optimiser step that is still to come; None takes the next one to begin.
            timeout: Seconds to wait for the step.

        Raises:
            RunError: When the trainer refuses (the step is over), or the run ends before the step.
        """
        offset = self._end_offset()
        answer = self.wait_ack(self.send("tap", step=step), timeout)
        if answer["status"] == "refused":
            raise RunError(f"Run {self.id} captured nothing: {answer['error']}.", code="WB605")
        wanted = int(answer["captures"])
        for event in self._follow(timeout, f"batch of step {wanted}", offset):
            if event["kind"] == "batch" and event["step"] == wanted:
                return wanted
        raise RunError(f"Run {self.id} ended ({self.state()}) before step {wanted}.", code="WB603")

    def pause(self) -> str:
        """Hold the training at the next step end; returns the command's id."""
        return self.send("pause")

    def resume(self) -> str:
        """Go on after a pause; returns the command's id."""
        return self.send("resume")

    def stop(self, *, save: bool = True, grace_s: float = GRACE_S) -> str:
        """End the training at the next step end, with a checkpoint unless `save` is False; returns the command's id.

        A trainer that does not take the command within `grace_s` seconds gets SIGTERM, and half as much later its
        whole process group gets SIGKILL. The supervisor does that; where it is gone, this process does.
        """
        command = self.send("stop", save=save, grace_s=grace_s)
        if not held(self.dir / "sup.lock"):
            threading.Thread(target=self._press, name=f"stop {self.id}", daemon=True).start()
        return command

    def kill(self) -> bool:
        """SIGKILL the trainer's process group at once. Nothing is saved; False when it is gone already."""
        import signal

        return signal_trainer(self.dir, signal.SIGKILL, group=True)

    def wait(self, timeout: float | None = None) -> str:
        """Wait until the run is over and its trainer has let go, and return the state.

        Raises:
            RunError: After `timeout` seconds; the run itself goes on.
        """
        end = None if timeout is None else time.monotonic() + timeout
        pause = POLL_S
        while True:
            now = self.status()
            if now.over and not held(self.dir / "run.lock"):
                return self.state()
            if end is not None and time.monotonic() >= end:
                raise RunError(f"Run {self.id} is still {now.state} after {timeout:g} s.", code="WB604")
            time.sleep(pause)
            pause = min(0.5, pause * 1.5)

    # Looking inside

    def peek(self, expression: str, *, boundary: bool = False, timeout: float = 10.0) -> Any:
        """Evaluate an expression over `trainer`, `model`, `batch` and `torch` inside the trainer.

        Args:
            expression: Python; evaluated at once in a side thread, so it may see a half updated step.
            boundary: Evaluate at the next step end, in the training thread, instead.
            timeout: Seconds to wait for the answer.

        Raises:
            RunError: When the run is not there to answer, or the expression fails.
        """
        return peek.ask(self.dir, {"expr": expression, "boundary": boundary}, timeout)

    def console(self, timeout: float = 60.0) -> dict[str, str]:
        """Open a console on the live training kernel; returns `connection_file` and the `command` that attaches.

        Raises:
            RunError: When the training environment has no ipykernel.
        """
        answer = self.wait_ack(self.send("console"), timeout)
        if answer["status"] == "refused":
            raise RunError(f"Run {self.id} opened no console: {answer['error']}", code="WB605")
        return {key: answer[key] for key in ("connection_file", "command", "warning")}

    def _end_offset(self) -> int:
        try:
            return (self.dir / "events.jsonl").stat().st_size
        except FileNotFoundError:
            return 0

    def _follow(self, timeout: float, what: str, offset: int = 0) -> Iterator[dict[str, Any]]:
        """Events from `offset` on as they come, until the run is over and read to its end."""
        reader = EventReader(self.dir, offset)
        end = time.monotonic() + timeout
        while True:
            over = self.status().over
            fresh = list(reader.all())
            yield from fresh
            if over:
                return
            if time.monotonic() >= end:
                raise RunError(f"Run {self.id} gave no {what} within {timeout:g} s.", code="WB604")
            if not fresh:
                time.sleep(POLL_S)

    def _press(self) -> None:
        escalation = Escalation(self.dir)
        while not self.status().over and status.alive(self.dir):
            escalation.press()
            time.sleep(0.2)


class Sample:
    """An answer on its way. Iterate for its text pieces as they are generated.

    Attributes:
        command: Id of the command that asked for it.
    """

    def __init__(self, run: Run, command: str, offset: int) -> None:
        self.run, self.command = run, command
        self._offset = offset

    def __iter__(self) -> Iterator[str]:
        return self.pieces()

    def pieces(self, timeout: float = 600.0) -> Iterator[str]:
        """Text pieces, as they come; gives up after `timeout` seconds.

        Raises:
            RunError: When the trainer refuses.
        """
        sample: str | None = None
        for event in self._events(timeout):
            if event["kind"] == "sample_start":
                sample = event["sample"]
            elif event["kind"] == "token" and event["sample"] == sample:
                yield event["text"]

    def result(self, timeout: float = 600.0) -> dict[str, Any]:
        """Wait for the whole answer: the `sample` event (text, tokens, stopped, cut, seconds, base).

        Raises:
            RunError: When the trainer refuses, or ends before it answers.
        """
        for event in self._events(timeout):
            if event["kind"] == "sample":
                return event
        raise RunError(f"Run {self.run.id} ended ({self.run.state()}) before it answered.", code="WB603")

    def _events(self, timeout: float) -> Iterator[dict[str, Any]]:
        """This sample's events, up to its final acknowledgement."""
        sample: str | None = None
        for event in self.run._follow(timeout, "answer", self._offset):
            if event["kind"] == "ack" and event["cmd"] == self.command and event["status"] != "accepted":
                if event["status"] == "refused":
                    raise RunError(f"Run {self.run.id} gave no sample: {event['error']}", code="WB605")
                return
            if event["kind"] == "sample_start" and event["cmd"] == self.command:
                sample = event["sample"]
            if sample is not None and event.get("sample") == sample:
                yield event
