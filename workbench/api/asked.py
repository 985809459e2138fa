"""A question of memory: what is trained on rows of which lengths, and where; answered by formula or by trace."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from workbench.api.spread_trace import spread_trace
from workbench.errors import RecipeError
from workbench.memory.alloc_conf import Settings
from workbench.memory.architecture import of_model, read_config
from workbench.memory.expandable import under_conf
from workbench.memory.figures import Estimate
from workbench.memory.lengths import Lengths
from workbench.memory.options import DEVICES, check_options, plan_changes, settings_of
from workbench.memory.order import Order
from workbench.memory.plan import ONLINE, Plan
from workbench.memory.settings import BatchShape
from workbench.memory.sharded import evaluate, shard_traced, sharding_of
from workbench.memory.sharding import assumptions_of
from workbench.memory.trace import Trace
from workbench.memory.traced import estimate_of
from workbench.recipes import Recipe
from workbench.tokens.pack import TrainRow, epoch_order

Method = Literal["analytic", "trace"]
Device = Literal["cuda", "cpu"]
MOST_TOKENS = 2**24
"""Of a traced batch: its rows are really made, as lists of ids."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found, for which batch, how, and what it does not hold."""

    estimate: Estimate
    batch: BatchShape
    trace: Trace | None
    seconds: float
    notes: tuple[str, ...]
    order: Order | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: what is trained, on rows of which lengths, where, and what else was said."""

    recipe: Recipe
    longest: int | Lengths
    device: Device
    options: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    trained: int | None = None

    @property
    def lengths(self) -> Lengths | None:
        """Lengths of the rows, where they are known."""
        return self.longest if isinstance(self.longest, Lengths) else None

    @property
    def _conf(self) -> str:
        return str(self.options.get("alloc_conf") or "")

    @property
    def batch(self) -> BatchShape:
        """The largest micro batch."""
        longest = self.longest.longest if isinstance(self.longest, Lengths) else self.longest
        return BatchShape.of(self.recipe, longest, self.trained)

    def answer(self, method: Method) -> Answer:
        """By the closed form, or by a trace of a middling and of the largest batch."""
        if method == "trace":
            return self.trace(self._largest(), self._epoch())
        started = time.perf_counter()
        settings, notes = settings_of(self.recipe, self.batch, self.device, self.options)
        architecture = of_model(self.recipe.model)
        made = under_conf(evaluate(architecture, settings), self._conf)
        notes = [*notes, *architecture.assumptions]
        notes += assumptions_of(sharding_of(settings), settings.accumulation)
        return self._answer(made, self.batch, None, time.perf_counter() - started, notes)

    def trace(self, batches: list[list[int]], epoch: Sequence[Sequence[int]] = ()) -> Answer:
        """By a trace of these micro batches, the largest last; reserved over those of an epoch in their order."""
        from workbench.training.tracing import trace_plan

        check_options(self.options)
        largest_tokens = max(len(batch) * max(batch) for batch in batches)
        if largest_tokens > MOST_TOKENS:
            raise RecipeError(
                f"A batch of {largest_tokens:,} tokens is too large to be traced.",
                remedy=f"A trace takes up to {MOST_TOKENS:,}; the formula (method='analytic') has no such end.",
                code="WB806",
            )
        started = time.perf_counter()
        changes = {"device": self.device, **plan_changes(self.options)}
        if "padded" not in changes and len(batches[-1]) > 1:
            changes["padded"] = True
        plan = Plan.of(self.recipe, read_config(self.recipe.model), batches, **changes)
        trace, notes = spread_trace(plan, self.options)
        trace = trace or trace_plan(plan)
        largest = BatchShape(len(batches[-1]), max(batches[-1]))
        order = _order(trace.plan, epoch)
        conf = Settings.from_text(self._conf) if self._conf else None
        made = estimate_of(trace, order, conf)
        if trace.plan.sharding == "none":
            made, more = self._spread(made, largest)
            notes += more
        notes += order.sentences if order else []
        if self.options.get("loss") == "logits" and trace.plan.loop == "trainer":
            notes += ["the traced trainer is TRL's, its head in tiles: all logits need up to 12 V bytes a token more"]
        return Answer(made, largest, trace, time.perf_counter() - started, (*self.notes, *notes), order)

    def _spread(self, made: Estimate, batch: BatchShape) -> tuple[Estimate, list[str]]:
        """A trace of one device over several by the closed form, where the options ask for them."""
        if not any(self.options.get(name) not in (None, 1, "none") for name in DEVICES):
            return made, []
        settings, _ = settings_of(self.recipe, batch, self.device, self.options)
        found = shard_traced(made, of_model(self.recipe.model), settings, sharding_of(settings))
        return found.estimate, list(found.assumptions)

    def _answer(
        self, made: Estimate, batch: BatchShape, trace: Trace | None, seconds: float, notes: list[str]
    ) -> Answer:
        return Answer(made, batch, trace, seconds, (*self.notes, *notes))

    def _epoch(self) -> list[list[int]]:
        """Row lengths of an epoch's micro batches where lengths are known and rows are not packed."""
        if self.lengths is None or self.recipe.packing != "none":
            return []
        return self.lengths.batches(self.batch.rows, self.recipe.seed, self.recipe.max_length)

    def _largest(self) -> list[list[int]]:
        batch = self.batch
        ordered = sorted(self._epoch(), key=lambda rows: len(rows) * max(rows))
        if not ordered:
            return [[max(2, batch.length)] * batch.rows]
        # the longest row may meet any others: beside rows of its own length the batch is largest
        return [ordered[len(ordered) // 2], [max(2, batch.length)] * batch.rows]


def _order(plan: Plan, epoch: Sequence[Sequence[int]]) -> Order | None:
    """The epoch's order, where it matters: batches of several lengths on a device, answers not generated."""
    from workbench.training.tracing import order_of

    if plan.device == "cpu" or plan.packed or plan.method in ONLINE or len({max(batch) for batch in epoch}) < 2:
        return None
    return order_of(plan, epoch)


def epoch_batches(bound: Any) -> list[list[TrainRow]]:
    """Rows of every micro batch of the first epoch, in training order."""
    rows, size = bound.enc.train_rows, bound.recipe.per_device_train_batch_size
    order = epoch_order(len(rows), bound.recipe.seed, 0)
    return [[rows[i] for i in order[at : at + size]] for at in range(0, len(order), size)]


def by_size(bound: Any) -> list[list[TrainRow]]:
    """The same, the batch with most tokens last, padding included; a batch without rows where there are none."""
    packed = bound.recipe.packing != "none"

    def size(batch: list[TrainRow]) -> int:
        lengths = [len(row.input_ids) for row in batch]
        return sum(lengths) if packed else len(lengths) * max(lengths)

    return sorted(epoch_batches(bound), key=size) or [[]]


def lengths_of(batch: list[TrainRow], *, packed: bool) -> list[int]:
    """Tokens of the rows of a batch as the model gets them: packed rows are joined into one."""
    lengths = [len(row.input_ids) for row in batch] or [2]
    return [max(2, sum(lengths))] if packed else [max(2, length) for length in lengths]


def scored_share(batch: list[TrainRow]) -> float:
    """Share of the tokens that have a label; padding is not counted."""
    labels = [label for row in batch for label in row.labels]
    return sum(label != -100 for label in labels) / max(1, len(labels))
