"""Several devices: what every rank holds, when, and what the host holds.

    shard(computed, layout, Sharding("fsdp", world=8)).live_bytes

`shard` is pure arithmetic on an unsharded estimate: what moves within a step (activations, loss, batch) stays as it is,
since every rank has its own micro batch; parameters, gradients and optimizer state are cut, and communication is added.
`estimate_sharded` does both from a recipe's settings. Pipeline, tensor, context and expert parallelism are not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from workbench.memory.figures import GIB, Estimate, Interval, Part, Peak
from workbench.memory.settings import rounded
from workbench.memory.sharding_fsdp import GATHER, REDUCE, REFERENCE, UNSHARDED, WHOLE_GRADIENTS, FsdpStep, Parts
from workbench.memory.sharding_layout import ADAPTER, WEIGHTS, Layout, Tensor
from workbench.memory.sharding_values import PINNED, Buckets, RankShare, Sharded, Sharding, pinned_block
from workbench.memory.sharding_zero import MASTER, ZeroStep

NCCL = Interval(rounded(0.1 * GIB), GIB)
"""NCCL's buffers on a device: by experience, not measured here; differs by version, topology and world size."""

CUT = frozenset(
    (
        "weights",
        "adapter",
        "optimizer",
        "gradients",
        "gradients so far",
        "head gradient",
        "tied embedding gradient",
        "optimizer temporaries",
        "autocast copies",
    )
)
"""Parts of an unsharded step that sharding replaces."""

FORMULAS: Mapping[str, tuple[str, str]] = {
    WEIGHTS: ("sum over tensors of a rank's shard", "padded to the first chunk of each tensor"),
    ADAPTER: ("sum over tensors of a rank's shard", "padded to the first chunk of each tensor"),
    "optimizer": ("state of the rank's trained elements", "the optimizer only sees its shard"),
    MASTER: ("4 x partition", "ZeRO updates float32 copies"),
    "gradients": ("gradients of the rank's shard", "after the reduce-scatter"),
    UNSHARDED: ("tensors that are whole at this moment x bytes", "gathered for the layers that compute"),
    GATHER: ("one unit x bytes", "the flat output of an all-gather until it is copied out"),
    REDUCE: ("gradients of one unit or one bucket x bytes", "the flat input of a reduction"),
    WHOLE_GRADIENTS: ("gradients not yet reduced x bytes", "backward makes them whole"),
}


def shard(base: Estimate, layout: Layout, sharding: Sharding) -> Sharded:
    """Spread an unsharded step over ranks.

    Args:
        base: The step of one device, computed with the types that the strategy computes with.
        layout: The model's tensors.
        sharding: Strategy, world, offload.

    Source: see `sharding_fsdp`, `sharding_zero`; DDP: torch 2.13, nn/parallel/distributed.py, whose reducer keeps
        buckets of all gradients (`gradient_as_bucket_view=False`, accelerate's default).
    """
    if sharding.strategy == "none":
        return Sharded(sharding, base, ranks_of(layout, sharding))
    if sharding.strategy == "ddp":
        return _replicated(base, layout, sharding)
    moving = {peak.name: {n: size for n, size in peak.parts.items() if n not in CUT} for peak in base.peaks}
    if sharding.strategy == "fsdp":
        referred = any([parts.pop(REFERENCE, 0) for parts in moving.values()])
        step = FsdpStep(layout, sharding, moving, referred)
        static, moments, host = _fsdp_static(layout, sharding), step.moments(), _fsdp_host(layout, sharding)
        if referred and sharding.offload == "none":
            static[REFERENCE] = static[WEIGHTS]
        _add_step(moments["optimizer step"], layout, sharding)
    else:
        zero = ZeroStep(layout, sharding, _buckets(layout, sharding), moving)
        static, moments, host = zero.static(), zero.moments(), zero.host()
    peaks = tuple(Peak(name, _sum(static, parts)) for name, parts in moments.items())
    return Sharded(
        sharding,
        _estimate(base, peaks),
        ranks_of(layout, sharding),
        host,
        bool(host) and sharding.buckets.pinned,
        assumptions_of(sharding, layout.accumulation),
    )


def ranks_of(layout: Layout, sharding: Sharding) -> tuple[RankShare, ...]:
    """What the first rank owns, and the last where it owns less."""
    shares = [rank_share(layout, sharding, rank) for rank in dict.fromkeys((0, sharding.shards - 1))]
    return tuple(share for share in shares if share.rank == 0 or share.parameters != shares[0].parameters)


def rank_share(layout: Layout, sharding: Sharding, rank: int) -> RankShare:
    """What one rank owns between steps, without padding.

    Args:
        layout: The model's tensors.
        sharding: Strategy and world.
        rank: Rank within the sharding group.
    """
    if sharding.strategy != "fsdp":
        zero = (
            ZeroStep(layout, sharding, _buckets(layout, sharding), {}) if sharding.strategy.startswith("zero") else None
        )
        size = (
            layout.total(lambda t: t.numel * t.stored)
            if zero is None
            else zero.weights(WEIGHTS) + zero.weights(ADAPTER)
        )
        state = layout.state_bytes if zero is None else zero.state + 4 * zero.partition
        return RankShare(rank, layout.parameters, size, state)
    world = sharding.shards
    trained = layout.total(lambda t: t.local(world, rank) * t.trained)
    return RankShare(
        rank,
        layout.total(lambda t: t.local(world, rank)),
        layout.total(lambda t: t.local(world, rank) * t.stored),
        rounded(trained * layout.state_of_one),
    )


def _buckets(layout: Layout, sharding: Sharding) -> Buckets:
    filled = sharding.buckets.filled(layout.hidden)
    return replace(filled, overlap=sharding.strategy == "zero3") if filled.overlap is None else filled


def _replicated(base: Estimate, layout: Layout, sharding: Sharding) -> Sharded:
    """DDP: everything on every rank, and the reducer's buckets."""
    buckets = layout.total(lambda t: t.numel * t.stored * t.trained)
    peaks = tuple(Peak(peak.name, {**peak.parts, REDUCE: buckets}) for peak in base.peaks)
    return Sharded(sharding, _estimate(base, peaks), ranks_of(layout, sharding), assumptions=assumptions_of(sharding))


def _fsdp_static(layout: Layout, sharding: Sharding) -> Parts:
    """What lives on the device through the whole step; with offload only what is not cut."""
    world, offloaded = sharding.shards, sharding.offload == "parameters"
    sizes = {
        part: layout.total(lambda t, part=part: _here(t, offloaded) * t.chunk(world) * t.stored * (t.part == part))
        for part in (WEIGHTS, ADAPTER)
    }
    sizes[WEIGHTS] += layout.quant_state
    return sizes if offloaded else {**sizes, "optimizer": rank_share(layout, sharding, 0).optimizer_bytes}


def _here(tensor: Tensor, offloaded: bool) -> bool:
    return tensor.whole or not offloaded


def _add_step(parts: Parts, layout: Layout, sharding: Sharding) -> None:
    """The optimizer's temporaries over a rank's own elements."""
    if sharding.offload == "none":
        trained = layout.total(lambda t: t.local(sharding.shards, 0) * t.trained)
        parts["optimizer temporaries"] = rounded(trained * layout.temporary_of_one)


def _fsdp_host(layout: Layout, sharding: Sharding) -> tuple[Part, ...]:
    if sharding.offload != "parameters":
        return ()
    world = sharding.shards
    source = "torch 2.13, CPUOffloadPolicy: shards and their gradients are pinned, tensor by tensor"
    state = rank_share(layout, sharding, 0).optimizer_bytes
    found = [Part("optimizer", state, "state of the rank's elements", {}, source)]
    for name, trained in (("weights", False), ("gradients", True)):

        def there(tensor: Tensor, only: bool = trained) -> bool:
            return not tensor.whole and (tensor.trained or not only)

        size = layout.total(lambda t, there=there: t.chunk(world) * t.stored * there(t))
        blocks = layout.total(lambda t, there=there: pinned_block(t.chunk(world) * t.stored) * there(t))
        found.append(Part(name, size, "as on the device without offload", {PINNED: float(blocks)}, source))
    return tuple(found)


def _sum(static: Mapping[str, int], parts: Mapping[str, int]) -> Parts:
    found = dict(static)
    for name, size in parts.items():
        found[name] = found.get(name, 0) + size
    return {name: size for name, size in found.items() if size}


def _estimate(base: Estimate, peaks: tuple[Peak, ...]) -> Estimate:
    """The base with other moments: parts as in the highest one, intervals scaled alike.

    Gather and reduce buffers come from streams of their own, and the allocator keeps a pool for each stream: the high
    end holds the most of each beside the most of the rest.
    """
    peak = max(peaks, key=lambda candidate: candidate.bytes)
    known = {part.name: part for part in base.parts}
    parts = tuple(_part(name, size, known) for name, size in peak.parts.items())
    low, high = (end / max(1, base.peak.bytes) for end in (base.reserved.low, base.reserved.high))
    streams = sum(max(p.parts.get(name, 0) for p in peaks) for name in (GATHER, REDUCE))
    rest = max(p.bytes - p.parts.get(GATHER, 0) - p.parts.get(REDUCE, 0) for p in peaks)
    cuda = base.device == "cuda"
    reserved = Interval(rounded(peak.bytes * low), max(rounded(peak.bytes * low), rounded(rest * high) + streams))
    context = Interval(base.context.low + NCCL.low, base.context.high + NCCL.high) if cuda else base.context
    return replace(
        base,
        parts=parts,
        peaks=peaks,
        peak=peak,
        reserved=reserved if cuda else Interval(peak.bytes, peak.bytes),
        context=context,
    )


def _part(name: str, size: int, known: Mapping[str, Part]) -> Part:
    if name in FORMULAS and (name not in known or known[name].bytes != size):
        formula, source = FORMULAS[name]
        return Part(name, size, formula, {}, source)
    if name in known:
        return replace(known[name], bytes=size)
    return Part(name, size, "bytes", {}, "")


def assumptions_of(sharding: Sharding, accumulation: int = 1) -> tuple[str, ...]:
    """What the figures of several devices take for granted, in sentences; none of them for one device."""
    if sharding.strategy == "none":
        return ()
    said = [f"{sharding.strategy} over {sharding.world} devices: every rank has a micro batch like the one estimated"]
    if sharding.strategy == "ddp":
        said.append("DDP's buckets hold every gradient once more (gradient_as_bucket_view=False)")
    elif sharding.strategy == "fsdp":
        said.append("FSDP2 with one unit a decoder layer, embedding and head apart, as accelerate 1.15 wraps")
        if accumulation > 1:
            said.append("whole gradients wait for the last micro batch (accelerate reduces none before)")
    else:
        said.append("DeepSpeed's terms are those of 0.19.6, held against runs on the CPU")
    if sharding.offload != "none":
        said.append("pinned host blocks may be rounded up by torch's host allocator")
    said.append("NCCL's buffers, 0.1 to 1 GiB, are experience and not measured")
    return tuple(said)
