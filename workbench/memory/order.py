"""An epoch's batches in their order, replayed through the allocator: reserved as it develops, and the worst step.

    order = Order.of(trace, batches)          # a trace of `anchored(plan, batches)`
    order.worst.number, order.peak_reserved, order.replay(Settings(expandable_segments=True)).peak_reserved

The trace runs a few lengths. A step of any other length has the same operators as its neighbours, and every size in it
is a polynomial of the length (tokens, and pairs of tokens where a mask or eager attention makes them), so that its log
is theirs with other numbers. Where two neighbours differ in their operators, the longer one stands for those between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from workbench.errors import RecipeError
from workbench.memory.alloc_conf import Settings
from workbench.memory.allocator import Block, CachingAllocator, OutOfMemoryError
from workbench.memory.plan import Plan
from workbench.memory.template import BEFORE_THAT, EARLIER, EMPTIES, MAKES, OWN, Template, templates_of
from workbench.memory.trace import Trace

ANCHORS = 6
"""Lengths that are traced, spread evenly from the shortest to the longest."""
STEPS = 64
"""Steps that are replayed at most: those with a new longest batch, and the others spread evenly. A step of 1 to 8
billion parameters takes some 60 ms (docs/memory.md), so that an epoch of thousands would take minutes."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the order.

    Attributes:
        number: Its place in the epoch, from 0.
        tokens: Tokens of its longest batch, padding included.
        live: Most bytes handed out in it.
        reserved: Bytes taken from the driver after it; `top` is the most in it.
        top: Most bytes taken from the driver in it.
    """

    number: int
    tokens: int
    live: int
    reserved: int
    top: int


def anchored(plan: Plan, batches: Sequence[Sequence[int]]) -> Plan:
    """The plan that traces the lengths which stand for these batches: their first one, then a few, the longest twice.

    Raises:
        RecipeError: WB806 without batches.
    """
    if not batches:
        raise RecipeError("There are no batches to order.", code="WB806")
    rows = max(len(batch) for batch in batches)
    lengths = sorted({_length(batch, rows) for batch in batches})
    low, high = lengths[0], lengths[-1]
    spread = {_between(low + round((high - low) * number / (ANCHORS - 2))) for number in range(ANCHORS - 1)}
    chosen = [*sorted({*spread, high}), high]
    first = [_length(batch, rows) for batch in batches[: plan.micro_batches]]
    micro = [*first, *(length for length in chosen for _ in range(plan.micro_batches))]
    made = [[length] * rows for length in micro]
    padded = plan.padded or rows > 1
    return replace(plan, batches=made, steps=1 + len(chosen), padded=padded, per_device_eval_batch_size=0, samples=0)


def _between(length: int) -> int:
    """The next length below that lies in the middle of two multiples of 16: at a multiple, masks need no padding."""
    return max(8, (length - 8) // 16 * 16 + 8)


def _length(batch: Sequence[int], rows: int) -> int:
    """Length at which a batch of `rows` rows has as many tokens as this one."""
    return max(2, -(-len(batch) * max(batch) // rows))


@dataclass(frozen=True)
class Order:
    """Steps of an epoch behind a trace's first one.

    Attributes:
        trace: A trace of `anchored`.
        lengths: Length of every micro batch of every replayed step, and the step's place in the epoch.
        left_out: Steps that were not replayed.
    """

    trace: Trace
    lengths: Sequence[tuple[int, tuple[int, ...]]]
    left_out: int

    @classmethod
    def of(cls, trace: Trace, batches: Sequence[Sequence[int]], most: int = STEPS) -> Order:
        """The order of an epoch's micro batches.

        Args:
            trace: A trace of `anchored(plan, batches)`.
            batches: Row lengths of every micro batch, in order.
            most: Steps to replay. With gradient accumulation a step here has two micro batches, one after the other.
        """
        rows, micro = trace.plan.rows, trace.plan.micro_batches
        each = [_length(batch, rows) for batch in batches]
        steps = [(n // micro, tuple(each[n : n + micro])) for n in range(0, len(each) - micro + 1, micro)]
        chosen = _chosen([max(lengths) for _, lengths in steps], most)
        return cls(trace, [steps[place] for place in chosen], len(steps) - len(chosen))

    @cached_property
    def _templates(self) -> list[Template]:
        return templates_of(self.trace)

    def replay(self, settings: Settings | None = None, capacity: int | None = None) -> tuple[Step, ...]:
        """The steps under other settings or on a card of a size; they end before the one that does not fit."""
        allocator = CachingAllocator(settings, capacity)
        run = _Run(self.trace, allocator)
        found = list[Step]()
        for place, (number, lengths) in enumerate(self.lengths):
            allocator.peak_active, allocator.peak_reserved = allocator.active, allocator.reserved
            try:
                run.step(self._template(lengths), lengths) if place else run.begin()
            except OutOfMemoryError:
                break
            tokens = max(lengths) * self.trace.plan.rows
            found.append(Step(number, tokens, allocator.peak_active, allocator.reserved, allocator.peak_reserved))
        return tuple(found)

    def _template(self, lengths: tuple[int, ...]) -> Template:
        longest = max(lengths)
        return next((found for found in self._templates if found.high >= longest), self._templates[-1])

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The steps with torch's default settings."""
        return self.replay()

    def most_reserved(self, settings: Settings | None = None) -> int:
        """Most bytes taken from the driver under other settings."""
        steps = self.steps if settings is None else self.replay(settings)
        return max(step.top for step in steps)

    @property
    def peak_reserved(self) -> int:
        """Most bytes taken from the driver: torch.cuda.max_memory_reserved at the end of the epoch."""
        return self.most_reserved()

    @property
    def peak_live(self) -> int:
        """Most bytes handed out: torch.cuda.max_memory_allocated."""
        return max(step.live for step in self.steps)

    @property
    def worst(self) -> Step:
        """The first step in which the most is reserved."""
        return max(self.steps, key=lambda step: (step.top, -step.number))

    @property
    def sentences(self) -> list[str]:
        """What the order takes for granted."""
        count, worst = len(self.steps), self.worst
        found = [f"reserved over {count} steps of the first epoch in order; the most in step {worst.number + 1}"]
        if self.left_out:
            found.append(f"{self.left_out} further steps, none with a new longest batch, were not replayed")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain values; sizes in bytes."""
        return {
            "reserved_bytes": self.peak_reserved,
            "live_bytes": self.peak_live,
            "worst": asdict(self.worst),
            "steps": [asdict(step) for step in self.steps],
            "replayed": len(self.steps),
            "left_out": self.left_out,
        }


def _chosen(lengths: list[int], most: int) -> list[int]:
    """Places of steps to replay, in order: new longest ones first of all, then the others spread evenly."""
    if len(lengths) <= most:
        return list(range(len(lengths)))
    records, longest = list[int](), 0
    for place, length in enumerate(lengths):
        if length > longest:
            records.append(place)
            longest = length
    records = records[-most:]
    others = [place for place in range(len(lengths)) if place not in set(records)]
    room = most - len(records)
    return sorted({*records, *(others[number * len(others) // room] for number in range(room))})


class _Run:
    """An allocator that serves steps one after the other.

    Attributes:
        earlier: Blocks of the step before that this one frees, in order; None where freed.
        older: Blocks of the step before that one that this one frees.
        later: Blocks of the step before that the next step frees.
    """

    def __init__(self, trace: Trace, allocator: CachingAllocator) -> None:
        self.trace, self.allocator = trace, allocator
        self.earlier: list[Block | None] = []
        self.older: list[Block | None] = []
        self.later: list[Block | None] = []

    def begin(self) -> None:
        """Serve the trace's own first step."""
        held: dict[int, Block] = {}
        first, second, third = self.trace.steps[:3]
        for key, size in self.trace.events[:first]:
            if size > 0:
                held[key] = self.allocator.allocate(size)
            elif size < 0:
                self.allocator.release(held.pop(key))
        freed = {key: first + place for place, (key, size) in enumerate(self.trace.events[first:third]) if size < 0}
        self.earlier[:] = [block for key, block in held.items() if freed.get(key, third) < second]
        self.later[:] = [block for key, block in held.items() if second <= freed.get(key, third) < third]

    def step(self, template: Template, lengths: tuple[int, ...]) -> None:
        """Serve one step."""
        sizes = template.sizes(lengths)
        made: list[Block | None] = [None] * len(sizes)
        blocks = {OWN: made, EARLIER: self.earlier, BEFORE_THAT: self.older}
        for what, place in template.shape.events:
            if what == MAKES:
                made[place] = self.allocator.allocate(sizes[place])
            elif what == EMPTIES:
                self.allocator.empty_cache()
            elif place < len(blocks[what]):
                self._release(blocks[what], place)
        for left in (self.earlier, self.older):
            for place in range(len(left)):
                self._release(left, place)
        self.older, self.later = self.later, [made[place] for place in template.shape.after_next]
        self.earlier = [made[place] for place in template.shape.next_one]

    def _release(self, blocks: list[Block | None], place: int) -> None:
        block, blocks[place] = blocks[place], None
        if block is not None:
            self.allocator.release(block)
