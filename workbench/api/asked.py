"""A question of memory: what is trained on rows of which lengths, and where; answered by formula or by trace."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from workbench.memory.architecture import of_model, read_config
from workbench.memory.figures import Estimate
from workbench.memory.lengths import Lengths
from workbench.memory.options import SPREAD, check_options, plan_changes, settings_of
from workbench.memory.plan import Plan
from workbench.memory.settings import BatchShape
from workbench.memory.sharded import evaluate, shard_traced, sharding_of
from workbench.memory.sharding import assumptions_of
from workbench.memory.trace import Trace
from workbench.memory.traced import estimate_of
from workbench.recipes import Recipe

Method = Literal["analytic", "trace"]
Device = Literal["cuda", "cpu"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found, for which batch, how, and what it does not hold."""

    estimate: Estimate
    batch: BatchShape
    trace: Trace | None
    seconds: float
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: what is trained, on rows of which lengths, where, and what else was said."""

    recipe: Recipe
    longest: int | Lengths
    device: Device
    options: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    @property
    def lengths(self) -> Lengths | None:
        """Lengths of the rows, where they are known."""
        return self.longest if isinstance(self.longest, Lengths) else None

    @property
    def batch(self) -> BatchShape:
        """The largest micro batch."""
        longest = self.longest.longest if isinstance(self.longest, Lengths) else self.longest
        return BatchShape.of(self.recipe, longest)

    def answer(self, method: Method) -> Answer:
        """By the closed form, or by a trace of a middling and of the largest batch."""
        if method == "trace":
            return self.trace(self._batches())
        started = time.perf_counter()
        settings, notes = settings_of(self.recipe, self.batch, self.device, self.options)
        made = evaluate(of_model(self.recipe.model), settings)
        notes += assumptions_of(sharding_of(settings), settings.accumulation)
        return self._answer(made, self.batch, None, time.perf_counter() - started, notes)

    def trace(self, batches: list[list[int]]) -> Answer:
        """By a trace of these micro batches, the largest last."""
        from workbench.training.tracing import trace_plan

        check_options(self.options)
        started = time.perf_counter()
        changes = {"device": self.device, **plan_changes(self.options)}
        if "padded" not in changes and len(batches[-1]) > 1:
            changes["padded"] = True
        trace = trace_plan(Plan.of(self.recipe, read_config(self.recipe.model), batches, **changes))
        largest = BatchShape(len(batches[-1]), max(batches[-1]))
        made, notes = self._spread(estimate_of(trace), largest)
        return self._answer(made, largest, trace, time.perf_counter() - started, notes)

    def _spread(self, made: Estimate, batch: BatchShape) -> tuple[Estimate, list[str]]:
        """A traced estimate over several devices, where the options ask for them."""
        if not any(self.options.get(name) not in (None, 1, "none") for name in SPREAD):
            return made, []
        settings, _ = settings_of(self.recipe, batch, self.device, self.options)
        found = shard_traced(made, of_model(self.recipe.model), settings, sharding_of(settings))
        return found.estimate, list(found.assumptions)

    def _answer(
        self, made: Estimate, batch: BatchShape, trace: Trace | None, seconds: float, notes: list[str]
    ) -> Answer:
        return Answer(made, batch, trace, seconds, (*self.notes, *notes))

    def _batches(self) -> list[list[int]]:
        batch = self.batch
        if self.lengths is None or self.recipe.packing != "none":
            return [[max(2, batch.length)] * batch.rows]
        made = self.lengths.batches(batch.rows, self.recipe.seed, self.recipe.max_length)
        ordered = sorted(made, key=lambda rows: len(rows) * max(rows))
        # the longest row may meet any others: beside rows of its own length the batch is largest
        return [ordered[len(ordered) // 2], [max(2, batch.length)] * batch.rows]


def largest_batches(bound: Any) -> tuple[list[list[int]], float]:
    """Row lengths of a middling and of the largest micro batch of the first epoch, and the share of trained tokens."""
    batches = bound.enc.batches(bound.recipe, epoch=0)
    found = sorted(batches, key=lambda batch: len(batch.arrays["input_ids"]) * len(batch.arrays["input_ids"][0]))
    if not found:
        return [[2]], 1.0
    largest = found[-1].arrays
    labels = [label for row in largest["labels"] for label in row]
    share = sum(label != -100 for label in labels) / max(1, len(labels))
    return [_lengths(found[len(found) // 2].arrays), _lengths(largest)], share


def _lengths(arrays: Any) -> list[int]:
    """Tokens of every row of a batch, without padding."""
    masks = arrays.get("attention_mask")
    rows = arrays["input_ids"] if masks is None else [[bit for bit in row if bit] for row in masks]
    return [max(2, len(row)) for row in rows]
