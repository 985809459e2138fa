"""The training process's side of the protocol: commands at step ends, events, samples, captures.

The only module that imports transformers at module level (its callback base class); only the worker loads it.

    order within a step:  step event -> commands (ack accepted, act, ack done) -> schedule -> metric -> checkpoint
"""

from __future__ import annotations

import contextlib
import math
import queue
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from transformers import TrainerCallback

from workbench.errors import WorkbenchError
from workbench.training import checkpoint
from workbench.training.attempt import Attempt
from workbench.training.commands import Command
from workbench.training.forward_hook import Captures, ForwardWatch
from workbench.training.memory_watch import MemoryWatch
from workbench.training.pace import Memory, Pace
from workbench.training.sample import Request, Sampler
from workbench.training.trainer_setup import live_setup

PAUSED_POLL_S = 0.02
SIGNAL_COMMAND = "signal"


class RunCallback(TrainerCallback):
    """Reports a run and obeys its commands.

    Attributes:
        outcome: State to log when training returns: `completed`, or `stopped`.
        watch: The forward hook; set by `attach`.
        memory: The run's memory beside its prediction.
    """

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.outcome = "completed"
        self.trainer: Any = None
        self.watch: ForwardWatch
        self.memory = MemoryWatch(attempt.dir.name, attempt.job, attempt.log.emit)
        self._sampler: Sampler
        self._samples: dict[str, Any] = attempt.job.get("samples") or {}
        self._signals = 0
        self._signal_told = False
        self._paused = False
        self._sampled_at: int | None = None
        self._pace = Pace()
        self._memory = Memory()
        self._boundary: queue.SimpleQueue[tuple[Callable[[], Any], queue.SimpleQueue[Any]]] = queue.SimpleQueue()
        self._ops: dict[str, Callable[[Command, Any, Any], dict[str, Any] | None]] = {
            "ping": lambda *_: None,
            "cancel": lambda *_: None,  # acted on inside a running sample; here it is only acknowledged
            "stop": self._stop,
            "save": self._save,
            "pause": self._pause,
            "resume": self._resume,
            "sample": self._sample,
            "tap": self._tap,
            "console": self._console,
        }

    def attach(self, trainer: Any, expected: dict[str, Any]) -> None:
        """Take the built trainer: hook its model and make the sampler."""
        self.trainer = trainer
        job = self.attempt.job
        steps = {int(step) for step in job.get("capture") or []}
        captures = Captures(
            steps, expected, self.attempt.dir / "captured", trainer.accelerator.autocast,
            lambda why: self._warn("WB636", f"No losses by token: {why}"),
        )  # fmt: skip
        self.watch = ForwardWatch(trainer.model, captures)
        self._sampler = Sampler(
            trainer.model, trainer.processing_class, self._samples, job.get("chat_template"),
            self.attempt.log.emit, self._interrupted,
        )  # fmt: skip

    def at_boundary(self, function: Callable[[], Any], timeout: float) -> Any:
        """Run a function in the training thread at the next step end, and return what it returns.

        Raises:
            TimeoutError: When no step ended in time.
        """
        answer: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._boundary.put((function, answer))
        try:
            return answer.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError(f"no step ended within {timeout:g} s") from None

    # What the trainer calls

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Announce the run, and take the base model's answers before the first step."""
        self.attempt.training_begins(self._on_signal)
        self._emit("setup", **live_setup(self.trainer))
        self._state("running", state)
        if state.global_step == 0:
            self._scheduled(state.global_step)
        self._pace.start()

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the clock of an optimizer step."""
        self.watch.begin(state.global_step + 1)
        self._pace.begin_step()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Report the step, then do what was asked."""
        self._report_step(state)
        with self._pace.held():
            self._obey(state, control)
            every = self._samples.get("every")
            if every and state.global_step % every == 0 and not control.should_training_stop:
                self._scheduled(state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """Pass on what the trainer logs. JSON has no NaN: such a value is null, with a warning that names it."""
        numbers = {key: value for key, value in (logs or {}).items() if isinstance(value, int | float)}
        for key, value in numbers.items():
            if not math.isfinite(value):
                numbers[key] = None
                self._warn("WB631", f"{key} is {value} at step {state.global_step}; the weights are likely spoilt.")
        self._emit("metric", step=state.global_step, **numbers)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Seal a checkpoint; only a sealed one is announced."""
        folder = self.attempt.dir / "out" / f"checkpoint-{state.global_step}"
        mark = checkpoint.seal(folder)
        self._emit("checkpoint", step=state.global_step, path=f"out/{folder.name}", sha256=mark)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Take the final answers, unless the run was stopped."""
        if self.outcome == "completed" and self._sampled_at != state.global_step:
            self._scheduled(state.global_step)

    # Steps

    def _report_step(self, state: Any) -> None:
        step = state.global_step
        batches = self.watch.end(step)
        timing = self._pace.end_step(batches.tokens, state.max_steps - step)
        counts = {"tokens": batches.tokens, "trained_tokens": batches.trained_tokens}
        self._emit("step", step=step, **counts, **timing, **self._memory.read())
        for members in batches.events:
            self._emit("batch", **members)
        self.memory.step_ended(step)

    def _scheduled(self, step: int) -> None:
        for index, messages in enumerate(self._samples.get("prompts") or []):
            if self._interrupted():
                return
            try:
                self._sampler.run(Request(messages, step, prompt=index))
            except Exception as error:  # noqa: BLE001  # a prompt that cannot be answered must not end the training
                self._warn("WB632", f"Prompt {index} gave no sample at step {step}: {_text(error)}")
        self._sampled_at = step

    # Commands

    def _obey(self, state: Any, control: Any) -> None:
        while True:
            for command in self._commands():
                self._do(command, state, control)
            self._do_boundary()
            if not self._paused or control.should_training_stop:
                return
            time.sleep(PAUSED_POLL_S)

    def _commands(self) -> list[Command]:
        commands = self.attempt.inbox.poll()
        if self._signals and not self._signal_told:
            self._signal_told = True
            commands.append(Command(SIGNAL_COMMAND, "stop", {}, f"-{SIGNAL_COMMAND}"))
        return commands

    def _do(self, command: Command, state: Any, control: Any) -> None:
        def ack(status: str, **members: Any) -> None:
            self._emit("ack", cmd=command.id, op=command.op, status=status, step=state.global_step, **members)

        ack("accepted")
        act = self._ops.get(command.op)
        try:
            if command.problem or act is None:
                known = ", ".join(self._ops)
                ack("refused", error=command.problem or f"unknown op {command.op!r}; known: {known}")
            else:
                ack("done", **(act(command, state, control) or {}))
        except Exception as error:  # noqa: BLE001  # a bad command must not end the training; its sender gets the text
            ack("refused", error=_text(error))
        self.attempt.inbox.done(command)

    def _stop(self, command: Command, state: Any, control: Any) -> None:
        save = bool(command.members.get("save", True))
        self._paused = False
        self.outcome = "stopped"
        self._state("stopping", state, save=save)
        control.should_save = bool(control.should_save or save)
        control.should_training_stop = True

    def _save(self, _command: Command, _state: Any, control: Any) -> None:
        control.should_save = True

    def _pause(self, _command: Command, state: Any, _control: Any) -> None:
        if not self._paused:
            self._state("pausing", state)
            self._paused = True
            self._state("paused", state)

    def _resume(self, _command: Command, state: Any, _control: Any) -> None:
        if self._paused:
            self._paused = False
            self._state("running", state)

    def _sample(self, command: Command, state: Any, _control: Any) -> dict[str, Any]:
        members = command.members
        messages = members.get("messages")
        if not isinstance(messages, list) or not messages or not all(isinstance(m, dict) for m in messages):
            raise ValueError(f"`messages` must be a list of messages, not {messages!r:.80}")
        request = Request(
            messages, state.global_step, command=command.id, base=bool(members.get("base")),
            gen=dict(members.get("gen") or {}), seed=members.get("seed"),
        )  # fmt: skip
        return self._sampler.run(request)

    def _tap(self, command: Command, state: Any, _control: Any) -> dict[str, Any]:
        """Capture the next step, or the one that is named; the batch event of that step says when it is there."""
        step = command.members.get("step")
        step = state.global_step + 1 if step is None else int(step)
        if not state.global_step < step <= state.max_steps:
            raise ValueError(f"step {step} cannot be captured at step {state.global_step} of {state.max_steps}")
        self.watch.also(step)
        return {"captures": step}

    def _console(self, _command: Command, _state: Any, _control: Any) -> dict[str, Any]:
        from workbench.training.console import open_console

        return open_console(self.attempt.dir, self.namespace())

    def namespace(self) -> dict[str, Any]:
        """The live objects that a peek or a console sees."""
        import torch

        return {"trainer": self.trainer, "model": self.trainer.model, "batch": self.watch.batch, "torch": torch}

    # Small parts

    def _interrupted(self) -> bool:
        return bool(self._signals) or self.attempt.inbox.interrupts()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """First signal: stop with a checkpoint at the step end. Second: leave now, without one."""
        self._signals += 1
        if self._signals > 1:
            raise KeyboardInterrupt

    def _do_boundary(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                function, answer = self._boundary.get_nowait()
                answer.put(function())

    def _state(self, name: str, state: Any, **members: Any) -> None:
        self._emit("state", state=name, step=state.global_step, max_steps=state.max_steps, **members)

    def _warn(self, code: str, message: str) -> None:
        self._emit("warning", code=code, message=message)

    def _emit(self, kind: str, **members: Any) -> None:
        self.attempt.log.emit(kind, **members)


def read_expected(run_dir: Path, job: dict[str, Any]) -> dict[str, Any]:
    """The preview's batches of a job; empty where it has none."""
    import json

    return json.loads((run_dir / job["expected"]).read_bytes()) if job.get("expected") else {}


def _text(error: BaseException) -> str:
    return str(error)[:500] if isinstance(error, WorkbenchError) else f"{type(error).__name__}: {error}"[:500]
