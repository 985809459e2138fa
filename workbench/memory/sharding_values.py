"""What sharding is asked and what it answers: `Sharding`, `Buckets`, `RankShare` and `Sharded`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from workbench.errors import RecipeError
from workbench.memory.figures import Estimate, Interval, Part, gib

Strategy = Literal["none", "ddp", "fsdp", "zero1", "zero2", "zero3"]
Offload = Literal["none", "optimizer", "parameters"]
Precision = Literal["mixed", "pure"]

STRATEGIES: tuple[str, ...] = get_args(Strategy)
OFFLOADS: Mapping[str, tuple[str, ...]] = {
    "none": ("none",),
    "ddp": ("none",),
    "fsdp": ("none", "parameters"),
    "zero1": ("none", "optimizer"),
    "zero2": ("none", "optimizer"),
    "zero3": ("none", "optimizer", "parameters"),
}
"""Offloads that a strategy has (torch 2.13, CPUOffloadPolicy; deepspeed 0.19.6, runtime/zero/config.py)."""

MOST_RANKS = 2**20

PINNED = "pinned"
"""Input of a host's part: its bytes with pinned blocks rounded up."""


def pinned_block(size: int) -> int:
    """Bytes that a pinned block of a size takes."""
    return 1 << (size - 1).bit_length() if size > 0 else 0


@dataclass(frozen=True, slots=True)
class Buckets:
    """DeepSpeed's buffers, in elements; None takes what transformers fills in for `auto`.

    Attributes:
        reduce: `reduce_bucket_size`; auto is hidden².
        prefetch: `stage3_prefetch_bucket_size`; auto is 0.9 hidden².
        persistence: `stage3_param_persistence_threshold`; auto is 10 hidden.
        reuse: `stage3_max_reuse_distance`.
        live: `stage3_max_live_parameters`.
        overlap: `overlap_comm`; None is DeepSpeed's default, on for stage 3 only.
        pinned: `pin_memory` of the offload.

    Source: deepspeed 0.19.6, runtime/zero/config.py; transformers 5.23, integrations/deepspeed.py.
    """

    reduce: int | None = None
    prefetch: int | None = None
    persistence: int | None = None
    reuse: int = 10**9
    live: int = 10**9
    overlap: bool | None = None
    pinned: bool = True

    def filled(self, hidden: int) -> Buckets:
        """The same with every `auto` as a number, for a model of this width."""
        reduce = hidden * hidden if self.reduce is None else self.reduce
        prefetch = 9 * hidden * hidden // 10 if self.prefetch is None else self.prefetch
        persistence = 10 * hidden if self.persistence is None else self.persistence
        return Buckets(reduce, prefetch, persistence, self.reuse, self.live, self.overlap, self.pinned)


@dataclass(frozen=True, slots=True)
class Sharding:
    """How a run is spread over devices.

    Attributes:
        strategy: none, ddp, fsdp (FSDP2), zero1, zero2 or zero3.
        world: Ranks, one device each.
        offload: What lives in host memory: `optimizer` (ZeRO), or `parameters` with gradients and optimizer.
        reshard: FSDP2's `reshard_after_forward`.
        precision: `mixed` trains float32 weights and computes in bfloat16; `pure` has one type throughout. ZeRO always
            keeps float32 masters.
        replicas: FSDP2's hybrid sharding: copies of the sharded model; `world` is a multiple of it.
        buckets: DeepSpeed's buffers.

    Raises:
        RecipeError: For a strategy, offload or world that does not exist (WB820).
    """

    strategy: Strategy = "none"
    world: int = 1
    offload: Offload = "none"
    reshard: bool = True
    precision: Precision = "mixed"
    replicas: int = 1
    buckets: Buckets = field(default_factory=Buckets)

    def __post_init__(self) -> None:
        _require(self.strategy in STRATEGIES, "sharding", self.strategy, f"one of {', '.join(STRATEGIES)}")
        whole = isinstance(self.world, int) and not isinstance(self.world, bool)  # pyright: ignore[reportUnnecessaryIsInstance]
        _require(whole and 1 <= self.world <= MOST_RANKS, "world", self.world, f"a whole number, 1 to {MOST_RANKS:,}")
        offloads = OFFLOADS[self.strategy]
        _require(self.offload in offloads, f"offload of {self.strategy}", self.offload, f"one of {', '.join(offloads)}")
        single = self.strategy == "none" and self.world > 1
        _require(not single, "world", self.world, "1 without sharding; name ddp, fsdp, zero1, zero2 or zero3")
        divides = self.replicas >= 1 and self.world % self.replicas == 0
        _require(divides, "replicas", self.replicas, f"a divisor of world={self.world}")
        _require(self.replicas == 1 or self.strategy == "fsdp", "replicas", self.replicas, "1 outside fsdp")

    @property
    def shards(self) -> int:
        """Ranks that a parameter is cut over."""
        return self.world // self.replicas if self.strategy in ("fsdp", "zero3") else 1

    def to_dict(self) -> dict[str, Any]:
        """Plain values, JSON-ready."""
        return asdict(self)


def _require(fits: bool, name: str, value: object, want: str) -> None:
    if not fits:
        raise RecipeError(f"{name}={value!r} is not possible.", remedy=f"It must be {want}.", code="WB820")


@dataclass(frozen=True, slots=True)
class RankShare:
    """What one rank owns between steps, without padding.

    Attributes:
        parameters: Elements.
        parameter_bytes: Bytes of them as stored.
        optimizer_bytes: The optimizer's state, and ZeRO's float32 masters.
    """

    rank: int
    parameters: int
    parameter_bytes: int
    optimizer_bytes: int


@dataclass(frozen=True, slots=True)
class Sharded:
    """Memory of a run on several devices.

    Attributes:
        estimate: Device memory of the fullest rank: parts, moments, intervals.
        ranks: The first rank, and the last where it owns less.
        host: Parts in the host memory of one rank; None of them where nothing is offloaded.
        pinned: Whether the host's parts are page-locked.
        assumptions: Sentences.
    """

    sharding: Sharding
    estimate: Estimate
    ranks: tuple[RankShare, ...]
    host: tuple[Part, ...] = ()
    pinned: bool = False
    assumptions: tuple[str, ...] = ()

    @property
    def live_bytes(self) -> int:
        """Highest live bytes of a rank."""
        return self.estimate.hard_minimum

    @property
    def reserved(self) -> Interval:
        """What torch's allocator reserves on a rank."""
        return self.estimate.reserved

    @property
    def host_bytes(self) -> int:
        """Host memory of one rank."""
        return sum(part.bytes for part in self.host)

    @property
    def host_most(self) -> int:
        """The same with every pinned block as torch's host allocator makes it, a power of two.

        Source: torch 2.13, ATen/core/CachingHostAllocator.h; `pinned_max_round_threshold_mb` ends it.
        """
        return sum(round(part.inputs.get(PINNED, part.bytes)) for part in self.host)

    @property
    def phases(self) -> tuple[dict[str, Any], ...]:
        """Every moment with its bytes and parts."""
        return tuple(
            {"phase": peak.name, "live_bytes": peak.bytes, "by_component": dict(peak.parts)}
            for peak in self.estimate.peaks
        )

    def __str__(self) -> str:
        spread = f"one of {self.sharding.world} GPUs with {self.sharding.strategy}"
        if not self.host:
            return spread
        parts = ", ".join(f"{part.name} {gib(part.bytes)}" for part in self.host)
        return f"{spread}; host memory a GPU {gib(self.host_bytes)} to {gib(self.host_most)} ({parts})"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, JSON-ready."""
        return {
            "sharding": self.sharding.to_dict(),
            "estimate": self.estimate.to_dict(),
            "ranks": [asdict(rank) for rank in self.ranks],
            "host_bytes": self.host_bytes,
            "host_most_bytes": self.host_most,
            "host": [{"name": part.name, "bytes": part.bytes, "formula": part.formula} for part in self.host],
            "pinned": self.pinned,
            "assumptions": list(self.assumptions),
        }
