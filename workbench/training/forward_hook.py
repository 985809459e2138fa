"""What `forward()` really got: a pre-hook on the training model.

    watch = ForwardWatch(model, steps={1, 2}, expected={…}, folder=run_dir / "captured")
    watch.begin(step); …training…; watch.end(step) -> StepBatches(tokens, trained_tokens, events)

Only training forwards count (model in training mode, gradients on): samples, evaluation and recomputation under
gradient checkpointing do not come by here. Everything is read before the forward and nothing is changed.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.training.durable_io import publish_json
from workbench.types import IGNORE


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
            difference = None
            if ours is not None:
                difference = first_difference(ours[index] if index < len(ours) else {}, theirs)
                if index >= len(ours):
                    difference = {"key": "micro", "index": None, "ours": len(ours), "theirs": len(micro)}
            out.events.append(
                {
                    "step": step,
                    "micro": index,
                    "agrees": None if ours is None else difference is None,
                    "sha256": batch_sha256(theirs),
                    "difference": difference,
                    "file": f"captured/{file.name}",
                }
            )
        if ours is not None and len(ours) > len(micro) and out.events:
            out.events[-1]["agrees"] = False
            out.events[-1]["difference"] = {"key": "micro", "index": None, "ours": len(ours), "theirs": len(micro)}


def first_difference(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any] | None:
    """Where a preview's batch (`ours`) first differs from what forward got (`theirs`), or None.

    Every array of `ours` is compared; `index` is [row, column], and None where a key or a shape differs.
    """
    for key, mine in ours.items():
        other = theirs.get(key)
        if other is None:
            return {"key": key, "index": None, "ours": _shape(mine), "theirs": None}
        if _shape(mine) != _shape(other):
            return {"key": key, "index": None, "ours": _shape(mine), "theirs": _shape(other)}
        for row, (a, b) in enumerate(zip(_rows(mine), _rows(other), strict=True)):
            unequal = next((column for column, pair in enumerate(zip(a, b, strict=True)) if pair[0] != pair[1]), None)
            if unequal is not None:
                return {"key": key, "index": [row, unequal], "ours": a[unequal], "theirs": b[unequal]}
    return None


def batch_sha256(batch: dict[str, Any]) -> str:
    """sha256 of a batch's arrays as compact JSON with sorted keys."""
    return hashlib.sha256(json.dumps(batch, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _rows(values: list[Any]) -> list[list[Any]]:
    """An array as rows; one of a single dimension is one row."""
    return values if values and isinstance(values[0], list) else [values]


def _shape(values: list[Any]) -> list[int]:
    """Lengths of the rows, which catches a ragged array too."""
    return [len(row) for row in _rows(values)]


def _token_count(batch: dict[str, Any]) -> int:
    if "attention_mask" in batch:
        return int(batch["attention_mask"].sum())
    return int(batch["input_ids"].numel()) if "input_ids" in batch else 0
