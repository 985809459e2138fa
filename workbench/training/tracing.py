"""Ask the tracing process: one is started on first use, kept warm, and ends with its owner.

trace = trace_plan(plan)       # 12 s the first time (imports), then the time of two steps on meta tensors
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from workbench import errors
from workbench.errors import RunError, WorkbenchError
from workbench.memory.order import Order, anchored
from workbench.memory.plan import Plan
from workbench.memory.trace import Trace

TIMEOUT_S = 600.0
"""The longest wait for an answer, imports included; a trace of 8 billion parameters takes seconds."""


class Tracer:
    """A tracing process and the way to it; one question at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[str | None] = queue.Queue()
        self._words: Any = None

    def start(self) -> None:
        """Start the process in the background, so that its imports are done when it is asked."""
        with self._lock:
            self._ensure()

    def ask(self, plan: Plan, timeout: float = TIMEOUT_S) -> dict[str, Any]:
        """The answer to a plan.

        Raises:
            RunError: WB813 when the process ended or did not answer in time, WB814 when the step itself fails.
            WorkbenchError: As the trace raises it, for a plan that it refuses.
        """
        with self._lock:
            process = self._ensure()
            assert process.stdin is not None
            try:
                with contextlib.suppress(BrokenPipeError):  # reading then finds its last words
                    process.stdin.write(json.dumps(plan.to_dict()) + "\n")
                    process.stdin.flush()
                found = self._read(timeout)
            except BaseException:
                self._end()  # an answer that comes late must not meet the next question
                raise
        if "error" in found:
            raise _error(found)
        return found

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _read(self, timeout: float) -> dict[str, Any]:
        line: str | None = "ready\n"
        while line == "ready\n":
            try:
                line = self._answers.get(timeout=timeout)
            except queue.Empty:
                raise RunError(f"The memory trace gave no answer in {timeout:g} s.", code="WB813") from None
        if line is None:
            self._words.seek(0)
            last = ([text.strip() for text in self._words.read().splitlines() if text.strip()] or ["no words"])[-1]
            raise RunError(f"The memory trace's process ended: {last[:300]}", code="WB813")
        return json.loads(line)

    def _ensure(self) -> subprocess.Popen[str]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1", "TRL_EXPERIMENTAL_SILENCE": "1"}
        self._words = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115  # closed with the process
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "workbench.training.traced"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            text=True,
            env=environment,
        )
        self._answers = queue.Queue()
        threading.Thread(target=_pump, args=(self._process, self._answers), daemon=True).start()
        return self._process

    def _end(self) -> None:
        if self._process is None:
            return
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()  # a broken pipe stays broken
        self._process.kill()
        self._process.wait()
        self._process = None
        self._words.close()


def _pump(process: subprocess.Popen[str], answers: queue.Queue[str | None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        answers.put(line)
    answers.put(None)


FAILS_IN_TRL = (
    "object has no attribute 'num_experts'",
    "'MoeCausalLMOutputWithPast' object has no attribute 'last_hidden_state'",
)
"""Words of errors that TRL's head raises on real weights too: phimoe, granitemoe and llama4's text (trl 1.16,
trainer/utils.py, add_fused_lm_head; seen on the CPU)."""


def _error(found: dict[str, Any]) -> WorkbenchError:
    if "code" in found:
        maker = getattr(errors, found["kind"], RunError)
        return maker(found["error"], remedy=found["remedy"], code=found["code"])
    if any(words in found["error"] for words in FAILS_IN_TRL):
        return RunError(
            f"TRL's trainer does not run this model, and a real run ends there too: {found['error']}"
            f" ({found.get('place', 'no place')})",
            remedy="transformers' own Trainer does: loop='transformers' traces it (sft), loop='plain' a bare loop.",
            code="WB814",
        )
    return RunError(
        f"The traced step failed: {found['error']} ({found.get('place', 'no place')})",
        remedy="Its code needs values that tensors without data do not have, or the real run would fail there too."
        " loop='plain' traces the model's own loss without TRL's; the analytic estimate may know the model.",
        code="WB814",
    )


TRACER = Tracer()
atexit.register(TRACER.close)


def trace_plan(plan: Plan) -> Trace:
    """Trace a plan, or give the trace that an equal plan had.

    Raises:
        WorkbenchError: As `Tracer.ask`.
    """
    return _traced(json.dumps(plan.to_dict(), sort_keys=True))


def order_of(plan: Plan, batches: Sequence[Sequence[int]]) -> Order:
    """The steps of an epoch in their order: a few of its lengths are traced, all are replayed.

    Args:
        plan: What is trained; its own batches are not used.
        batches: Row lengths of every micro batch, in order.

    Raises:
        WorkbenchError: As `Tracer.ask`, and `anchored`.
    """
    return Order.of(trace_plan(anchored(plan, batches)), batches)


@lru_cache(maxsize=8)
def _traced(text: str) -> Trace:
    plan = Plan(**json.loads(text))
    return Trace.from_dict(plan, TRACER.ask(plan))
