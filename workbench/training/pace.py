"""How fast a run goes and what it holds: seconds and tokens a step, the time that is left, memory.

Pauses, samples and other held time count neither as step time nor towards the estimate.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import psutil

SMOOTHING = 0.1
"""Weight of the newest step in the running mean of wall time a step: about the last twenty count."""

MEMORY_EVERY_S = 0.5
"""Reading the resident size takes 0.1 ms, half of what everything else at a step's end takes; it changes slowly."""


class Memory:
    """Memory of this process, for step events."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._read_at = -MEMORY_EVERY_S
        self._rss_bytes = 0

    def read(self) -> dict[str, int | None]:
        """`rss_bytes`, at most half a second old, and `gpu_bytes`: the most that torch's allocator ever reserved."""
        import torch

        now = time.monotonic()
        if now - self._read_at >= MEMORY_EVERY_S:
            self._rss_bytes, self._read_at = self._process.memory_info().rss, now
        gpu = torch.cuda.max_memory_reserved() if torch.cuda.is_initialized() else None
        return {"rss_bytes": self._rss_bytes, "gpu_bytes": gpu}


class Pace:
    """Clock of a training loop."""

    def __init__(self) -> None:
        self._step_began: float | None = None
        self._last_end = 0.0
        self._wall_per_step: float | None = None

    def start(self) -> None:
        """Begin to count, just before the first step."""
        self._last_end = time.monotonic()

    def begin_step(self) -> None:
        """A step's first forward is about to run; its batch is loaded."""
        self._step_began = time.monotonic()

    def end_step(self, tokens: int, steps_left: int) -> dict[str, Any]:
        """End a step: `dt` seconds, `tokens_per_s` over it, `eta_s` for the steps left at the mean pace so far.

        The pace includes what lies between steps (loading batches, logging, saving).
        """
        now = time.monotonic()
        seconds = now - (self._step_began or self._last_end)
        wall = now - self._last_end
        known = self._wall_per_step
        self._wall_per_step = wall if known is None else known + SMOOTHING * (wall - known)
        self._last_end = now
        return {
            "dt": round(seconds, 6),
            "tokens_per_s": round(tokens / seconds, 1) if seconds > 0 else None,
            "eta_s": round(self._wall_per_step * max(0, steps_left), 1),
        }

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Time in here does not count."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._last_end += time.monotonic() - began
