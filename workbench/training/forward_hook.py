"""What `forward()` really got: a pre-hook on the training model.

    watch = ForwardWatch(model, Captures(steps={1, 2}, expected={…}, folder=run_dir / "captured"))
    watch.begin(step); …training…; watch.end(step) -> StepBatches(tokens, trained_tokens, events)
    watch.also(120)                       # capture one more step

Only training forwards count (model in training mode, gradients on): samples, evaluation and recomputation under
gradient checkpointing do not come by here. Everything is read before the forward and nothing is changed.

Of a captured step the loss of each token is taken too, by a forward of our own just before the real one: the same
weights, the same mode and the same random numbers, so that dropout is the same.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from workbench.tokens.diff import digest, first_difference
from workbench.tokens.losses import token_losses
from workbench.training.durable_io import publish_json
from workbench.training.untouched import unmoved
from workbench.types import IGNORE, Difference

Losses = list[list[float | None]] | None
"""Loss by token of one micro batch; None where they could not be taken."""


@dataclass(slots=True)
class StepBatches:
    """One optimizer step's batches.

    Attributes:
        tokens: Tokens without padding.
        trained_tokens: Tokens that are the target of some position (labels after the shift by one).
        events: Members of the `batch` events, one a micro batch, for captured steps.
    """

    tokens: int = 0
    trained_tokens: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class Captures:
    """What is captured, and how.

    Attributes:
        steps: Steps to capture, 1-based.
        expected: expected.json; empty where nothing is compared.
        folder: Where captured/step-NNNNNN.json goes.
        autocast: Context in which the trainer runs its forward.
        warn: Told why there are no losses.
    """

    steps: set[int]
    expected: dict[str, list[dict[str, Any]]]
    folder: Path
    autocast: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext
    warn: Callable[[str], object] = lambda _: None


class ForwardWatch:
    """Counts every step's tokens and captures the batches of chosen steps.

    Args:
        model: The module whose forward gets the batch (the trainer's model).
        captures: What is captured.
    """

    def __init__(self, model: Any, captures: Captures) -> None:
        self.batch: dict[str, Any] = {}
        self._captures = captures
        self._seen: list[dict[str, Any]] = []
        self._losses: list[Losses] = []
        self._capturing = False
        self._handle = model.register_forward_pre_hook(self._see, with_kwargs=True, prepend=True)

    def also(self, step: int) -> None:
        """Capture this step too; it must not have begun."""
        self._captures.steps.add(step)

    def begin(self, step: int) -> None:
        """Forget the step before; `step` (1-based) begins."""
        self._seen, self._losses = [], []
        self._capturing = step in self._captures.steps

    def end(self, step: int) -> StepBatches:
        """Count what this step trained on and, for a captured step, save and compare it."""
        out = StepBatches()
        for batch in self._seen:
            out.tokens += _token_count(batch)
            if "labels" in batch:
                out.trained_tokens += int((batch["labels"][:, 1:] != IGNORE).sum())
        if self._capturing:
            self._capture(step, out)
        self._seen, self._losses = [], []
        return out

    def remove(self) -> None:
        """Take the hook off."""
        self._handle.remove()

    def _see(self, module: Any, _args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        import torch

        if module.training and torch.is_grad_enabled():
            self.batch = {name: value for name, value in kwargs.items() if torch.is_tensor(value)}
            self._seen.append(self.batch)
            if self._capturing:
                self._losses.append(self._taken(module))

    def _taken(self, model: Any) -> Losses:
        """Losses of the batch at hand; None where this model gives none, which must not end the training."""
        try:
            with self._captures.autocast():
                return losses_of(model, self.batch)
        except Exception as error:  # noqa: BLE001  # whatever a model of somebody else's raises
            self._captures.warn(f"{type(error).__name__}: {error}"[:500])
            return None

    def _capture(self, step: int, out: StepBatches) -> None:
        micro = [{name: value.tolist() for name, value in batch.items()} for batch in self._seen]
        file = self._captures.folder / f"step-{step:06d}.json"
        publish_json(file, {"version": 1, "step": step, "batches": micro, "losses": self._losses})
        ours = self._captures.expected.get(str(step))
        for index, theirs in enumerate(micro):
            found = None if ours is None else _compared(ours, micro, index)
            out.events.append(
                {
                    "step": step,
                    "micro": index,
                    "agrees": None if ours is None else found is None,
                    "sha256": digest(theirs),
                    "difference": None if found is None else asdict(found),
                    "file": f"captured/{file.name}",
                }
            )


def losses_of(model: Any, batch: dict[str, Any]) -> Losses:
    """Loss in nats by token of a batch, (B, T), None where no token comes before; moves nothing."""
    given = {name: batch[name] for name in ("position_ids", "attention_mask") if name in batch}
    with unmoved(model):
        found = token_losses(model, batch["input_ids"], **given)
    return [[None if math.isnan(value) else float(f"{value:.7g}") for value in row] for row in found.tolist()]


def _compared(ours: list[dict[str, Any]], micro: list[dict[str, Any]], index: int) -> Difference | None:
    """The first difference of one micro batch; one too many or too few counts at the last there is."""
    last = index == len(micro) - 1
    if index >= len(ours) or (last and len(ours) > len(micro)):
        what = f"the preview has {len(ours)} micro batches, forward() got {len(micro)}"
        return Difference("micro", (index,), len(ours), len(micro), what)
    return first_difference(ours[index], micro[index])


def _token_count(batch: dict[str, Any]) -> int:
    if "attention_mask" in batch:
        return int(batch["attention_mask"].sum())
    return int(batch["input_ids"].numel()) if "input_ids" in batch else 0
