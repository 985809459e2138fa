"""The training process: `python -m workbench.training.worker RUN`. The model trains in its main thread.

    listen -> take run.lock -> imports -> trainer -> train -> save -> terminal state -> let go

Whatever goes wrong ends as a `failed` event with the error and what to do about it; what cannot be caught (SIGKILL)
is written down by the supervisor.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.recipes import Recipe
from workbench.training.attempt import Attempt, StopStarting, listen, stop_starting

FAILED = 1


def heavy_imports() -> None:
    """Import everything that building a trainer needs (6 s on 2 cores), and nothing that touches a GPU."""
    import datasets  # noqa: F401
    import peft  # noqa: F401
    import torch  # noqa: F401
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: F401
    from trl import SFTConfig, SFTTrainer  # noqa: F401

    import workbench.training.callback
    import workbench.training.inspect  # noqa: F401


def train_run(attempt: Attempt, imports: Callable[[], None] = heavy_imports) -> int:
    """Train a run from first import to terminal event, and return the exit status."""
    callback: Any = None
    try:
        attempt.hear_stops()
        imports()
        attempt.phase("imported")
        callback = _train(attempt)
        progress = callback.trainer.state
        attempt.log.emit("state", state=callback.outcome, step=progress.global_step, max_steps=progress.max_steps)
        return 0
    except StopStarting as stop:
        attempt.stopped_starting(str(stop))
        return 0
    except KeyboardInterrupt:
        reason = "second signal: ended at once, without a checkpoint"
        attempt.log.emit("state", state="stopped", step=_step(attempt), reason=reason)
        return 0
    except BaseException as error:  # noqa: BLE001  # the worker boundary: the full error goes into the log
        attempt.log.emit("state", state="failed", step=_step(attempt), **describe(error))
        traceback.print_exc()
        return FAILED
    finally:
        attempt.close()


def _train(attempt: Attempt) -> Any:
    from workbench.training.callback import RunCallback, read_expected
    from workbench.training.checkpoint import seal
    from workbench.training.inspect import Inspector
    from workbench.training.peft_config import over_quantised
    from workbench.training.trainer_setup import build_trainer

    callback, recipe = RunCallback(attempt), Recipe.from_dict(attempt.job["recipe"])
    expected = read_expected(attempt.dir, attempt.job)
    trainer = build_trainer(attempt.job, attempt.dir, callback)
    callback.attach(trainer, expected)
    attempt.phase("trainer-built")
    inspector = Inspector(attempt.dir, callback)
    try:
        inspector.serve()
    except OSError as error:  # looking inside is a convenience; training is not
        attempt.log.emit("warning", code="WB635", message=f"This run cannot be looked into: {error}")
    try:
        with callback.memory.training(trainer), over_quantised(recipe):
            trainer.train(resume_from_checkpoint=attempt.job.get("resume"))
        if callback.outcome == "completed" and not attempt.job.get("measuring"):
            final = attempt.dir / "out" / "final"
            trainer.save_model(str(final))
            seal(final)
    finally:
        inspector.close()
    return callback


def describe(error: BaseException) -> dict[str, Any]:
    """An error as members of a `failed` event; a trace only where the cause is not already named."""
    if isinstance(error, WorkbenchError):
        return {"error": error.message, "remedy": error.remedy, "code": error.code}
    text = f"{type(error).__name__}: {error}"[:1000]
    out = {"error": text, "trace": traceback.format_exc()[-4000:]}
    if isinstance(error, MemoryError) or "out of memory" in text.lower():
        remedy = "Lower per_device_train_batch_size or max_length, or set gradient_checkpointing=True."
        return {**out, "remedy": remedy, "code": "WB633"}
    if isinstance(error, OSError) and error.errno == 28:  # ENOSPC
        return {**out, "remedy": "Free disk space, then resume from the last checkpoint.", "code": "WB634"}
    return out


def leave(status: int) -> None:
    """End the process without interpreter teardown.

    Everything is published and the lock is free; tearing torch down takes another 0.5 to 3 s and its memory with it.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _step(attempt: Attempt) -> int:
    from workbench.training.events import newest

    return int((newest(attempt.dir, "step") or {}).get("step", 0))


def main(run_dir: Path) -> None:
    """Train the run of a directory and end the process."""
    listen(stop_starting)
    try:
        attempt = Attempt(run_dir)
    except (StopStarting, WorkbenchError) as error:
        print(error, file=sys.stderr)
        leave(FAILED)
        return
    leave(train_run(attempt))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
