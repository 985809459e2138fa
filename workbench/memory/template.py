"""Steps of a trace as templates: the same log at another length, its sizes interpolated between traced ones.

    for found in templates_of(trace):
        found.low, found.high, found.sizes((700,))

Sizes are polynomials of the length, of the second degree where attention keeps something for every pair of tokens;
three traced lengths with the same operators determine them. Nothing is guessed outside the traced lengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.memory.trace import Trace

MAKES, OWN, EARLIER, BEFORE_THAT, EMPTIES = -1, 0, 1, 2, -2
"""What an event of a template does: allocates; frees what this step made, the one before it, or the one before that;
gives the cache back."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a step does, whatever its length.

    Attributes:
        events: `(what, place)`: the place of an allocation among the step's own, or of a freed one among those of an
            earlier step that are freed then.
        micro: Micro batch of every allocation.
        next_one: Places of allocations that the next step frees; `after_next`: that the step after it frees.
    """

    events: tuple[tuple[int, int], ...]
    micro: tuple[int, ...]
    next_one: tuple[int, ...]
    after_next: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """Steps of several lengths that differ in their sizes only.

    Attributes:
        shape: What they do.
        lengths: Their lengths, ascending.
        traced: For each of them the bytes of every allocation.
    """

    shape: Shape
    lengths: tuple[int, ...]
    traced: tuple[tuple[int, ...], ...]

    @property
    def low(self) -> int:
        """The shortest length."""
        return self.lengths[0]

    @property
    def high(self) -> int:
        """The longest length."""
        return self.lengths[-1]

    def sizes(self, lengths: Sequence[int]) -> list[int]:
        """Bytes of every allocation.

        Args:
            lengths: Length of every micro batch; one that is shorter than the traced ones counts as the shortest.
        """
        weights = [self._weights(min(max(length, self.low), self.high)) for length in lengths]
        found = list[int]()
        for place, micro in enumerate(self.shape.micro):
            terms = weights[min(micro, len(weights) - 1)]
            found.append(max(1, round(sum(share * self.traced[number][place] for number, share in terms))))
        return found

    def _weights(self, length: int) -> list[tuple[int, float]]:
        """Lagrange's weights of the nearest three traced lengths."""
        if length in self.lengths:
            return [(self.lengths.index(length), 1.0)]
        near = sorted(range(len(self.lengths)), key=lambda number: abs(self.lengths[number] - length))[:3]
        found = list[tuple[int, float]]()
        for number in near:
            share = 1.0
            for other in near:
                if other != number:
                    share *= (length - self.lengths[other]) / (self.lengths[number] - self.lengths[other])
            found.append((number, share))
        return found


def templates_of(trace: Trace) -> list[Template]:
    """Templates of a trace's steps, by ascending length; its first step and its last make none."""
    born, died = _lives(trace)
    found: dict[int, tuple[Shape, tuple[int, ...]]] = {}
    micro = trace.plan.micro_batches
    for number in range(1, len(trace.steps) - 1):
        length = max(max(batch) for batch in trace.plan.batches[number * micro : (number + 1) * micro])
        found[length] = _step(trace, number, born, died)
    grouped = list[Template]()
    for length in sorted(found):
        shape, sizes = found[length]
        last = grouped[-1] if grouped else None
        if last is not None and last.shape == shape:
            grouped[-1] = Template(shape, (*last.lengths, length), (*last.traced, sizes))
        else:
            grouped.append(Template(shape, (length,), (sizes,)))
    return grouped


def _lives(trace: Trace) -> tuple[dict[int, int], dict[int, int]]:
    """Key -> step in which it is allocated, and in which it is freed."""
    born, died = dict[int, int](), dict[int, int]()
    step = 0
    for index, (key, size) in enumerate(trace.events):
        while step < len(trace.steps) and index >= trace.steps[step]:
            step += 1
        if size:
            (born if size > 0 else died)[key] = step
    return born, died


def _step(trace: Trace, number: int, born: dict[int, int], died: dict[int, int]) -> tuple[Shape, tuple[int, ...]]:
    start, end = trace.steps[number - 1], trace.steps[number]
    starts = [index for index in trace.micros if start <= index < end]
    ranks = {
        back: {key: rank for rank, key in enumerate(_freed(born, died, number - back, number))}
        for back in (EARLIER, BEFORE_THAT)
    }
    own, sizes, micro, events = dict[int, int](), list[int](), list[int](), list[tuple[int, int]]()
    for index in range(start, end):
        key, size = trace.events[index]
        if size > 0:
            own[key] = len(sizes)
            events.append((MAKES, len(sizes)))
            sizes.append(size)
            micro.append(max(0, sum(begin <= index for begin in starts) - 1))
        elif size == 0:
            events.append((EMPTIES, 0))
        elif key in own:
            events.append((OWN, own[key]))
        else:
            back = number - born[key]
            if back in ranks:
                events.append((back, ranks[back][key]))
    following = [tuple(own[key] for key in _freed(born, died, number, number + ahead)) for ahead in (1, 2)]
    return Shape(tuple(events), tuple(micro), following[0], following[1]), tuple(sizes)


def _freed(born: dict[int, int], died: dict[int, int], made: int, freed: int) -> list[int]:
    """Keys that one step allocates and another frees, in the order of their allocation."""
    return [key for key, step in born.items() if step == made and died.get(key) == freed]
