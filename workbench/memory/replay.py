"""Allocations of a step, served by the caching allocator again: what would be reserved, and what card is enough.

events = [(1, 3 * MIB), (2, 700), (1, -3 * MIB), EMPTY_CACHE]
replay(events).peak_reserved
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.memory.alloc_conf import MIB, Settings
from workbench.memory.allocator import Block, CachingAllocator, OutOfMemoryError

Event = tuple[int, int]
"""`(key, bytes)` allocates and `(key, -bytes)` frees what `key` holds; keys are positive. `EMPTY_CACHE` is (0, 0)."""
EMPTY_CACHE: Event = (0, 0)


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay found.

    Attributes:
        peak_reserved: Most bytes taken from the driver at once: torch.cuda.max_memory_reserved.
        peak_active: Most bytes of blocks handed out: torch.cuda.max_memory_allocated.
        reserved: Bytes taken from the driver at the end.
        retries: How often the cache was given back to serve a request.
        failed_at: Index of the event that the card could not serve; None where all were.
    """

    peak_reserved: int
    peak_active: int
    reserved: int
    retries: int
    failed_at: int | None = None

    @property
    def fits(self) -> bool:
        """Whether every request was served."""
        return self.failed_at is None


def replay(events: Sequence[Event], settings: Settings | None = None, capacity: int | None = None) -> Replay:
    """Let the allocator serve `events` in order.

    Args:
        events: Allocations and releases; a key that is released must be held.
        settings: PYTORCH_CUDA_ALLOC_CONF; None is torch's default.
        capacity: Bytes of the card that the allocator may take (card less context); None has no limit.
    """
    allocator = CachingAllocator(settings, capacity)
    held: dict[int, Block] = {}
    failed: int | None = None
    for index, (key, size) in enumerate(events):
        if size > 0:
            try:
                held[key] = allocator.allocate(size)
            except OutOfMemoryError:
                failed = index
                break
        elif size < 0:
            allocator.release(held.pop(key))
        else:
            allocator.empty_cache()
    return Replay(allocator.peak_reserved, allocator.peak_active, allocator.reserved, allocator.retries, failed)


def smallest_capacity(events: Sequence[Event], settings: Settings | None = None, step: int = 8 * MIB) -> int:
    """Bytes with which the allocator just serves all events, giving its cache back where it has to.

    Between the live peak and what it reserves without a limit; found by bisection to `step` bytes, on the assumption
    that a larger card never serves less.
    """
    free = replay(events, settings)
    low, high = free.peak_active - step, free.peak_reserved
    while high - low > step:
        middle = (low + high) // 2
        if replay(events, settings, middle).fits:
            high = middle
        else:
            low = middle
    return high
