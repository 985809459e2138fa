"""What `forward()` really got: a pre-hook on the training model.

    watch = ForwardWatch(model, steps={1, 2}, expected={…}, folder=run_dir / "captured")
    watch.begin(step); …training…; watch.end(step) -> StepBatches(tokens, trained_tokens, events)

Only training forwards count (model in training mode, gradients on): samples, evaluation and recomputation under
gradient checkpointing do not come by here. Everything is read before the forward and nothing is changed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from workbench.tokens.diff import digest, first_difference
from workbench.training.durable_io import publish_json
from workbench.types import IGNORE, Difference


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


class ForwardWatch:
    """Counts every step's tokens and captures the batches of chosen steps.

    Args:
        model: The module whose forward gets the batch (the trainer's model).
        steps: Steps to capture, 1-based.
        expected: expected.json; empty where nothing is compared.
        folder: Where captured/step-NNNNNN.json goes.
    """

    def __init__(self, model: Any, steps: set[int], expected: dict[str, list[dict[str, Any]]], folder: Path) -> None:
        self.batch: dict[str, Any] = {}
        self._steps, self._expected, self._folder = steps, expected, folder
        self._seen: list[dict[str, Any]] = []
        self._handle = model.register_forward_pre_hook(self._see, with_kwargs=True, prepend=True)

    def begin(self) -> None:
        """Forget the step before."""
        self._seen = []

    def end(self, step: int) -> StepBatches:
        """Count what this step trained on and, for a captured step, save and compare it."""
        out = StepBatches()
        for batch in self._seen:
            out.tokens += _token_count(batch)
            if "labels" in batch:
                out.trained_tokens += int((batch["labels"][:, 1:] != IGNORE).sum())
        if step in self._steps:
            self._capture(step, out)
        self._seen = []
        return out

    def remove(self) -> None:
        """Take the hook off."""
        self._handle.remove()

    def _see(self, module: Any, _args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        import torch

        if module.training and torch.is_grad_enabled():
            self.batch = {name: value for name, value in kwargs.items() if torch.is_tensor(value)}
            self._seen.append(self.batch)

    def _capture(self, step: int, out: StepBatches) -> None:
        micro = [{name: value.tolist() for name, value in batch.items()} for batch in self._seen]
        file = self._folder / f"step-{step:06d}.json"
        publish_json(file, {"version": 1, "step": step, "batches": micro})
        ours = self._expected.get(str(step))
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
