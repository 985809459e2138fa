"""A trace as an estimate: the same figures as the closed form's, with what was found in place of formulas."""

from __future__ import annotations

from workbench.memory.alloc_conf import Settings
from workbench.memory.analytic import CUDA_CONTEXT
from workbench.memory.figures import Estimate, Interval, Part, Peak
from workbench.memory.order import Order
from workbench.memory.plan import COMPILED, Plan
from workbench.memory.sharding import NCCL
from workbench.memory.sharding_fsdp import GATHER, REDUCE
from workbench.memory.trace import Moment, Trace


def estimate_of(trace: Trace, order: Order | None = None, settings: Settings | None = None) -> Estimate:
    """The estimate of a traced step; `reserved` is one figure of one device, that of the allocator's replay.

    Args:
        trace: The trace of the largest batch.
        order: Steps of an epoch; where they reserve more, that is the figure.
        settings: The allocator's; None is torch's default.
    """
    reserved = trace.reserved if trace.plan.device == "cpu" else trace.replay(settings).peak_reserved
    if order is not None:
        reserved = max(reserved, order.most_reserved(settings))
    cuda = trace.plan.device == "cuda"
    context = CUDA_CONTEXT if cuda else Interval(0, 0)
    apart = 0
    if trace.plan.sharding != "none":
        # gather and reduce buffers come from streams of their own, for each of which the allocator keeps a pool
        apart = sum(max(m.parts.get(name, 0) for m in trace.moments) for name in (GATHER, REDUCE))
        context = Interval(context.low + NCCL.low, context.high + NCCL.high) if cuda else context
    peaks = tuple(Peak(moment.phase, dict(moment.parts)) for moment in trace.moments)
    peak = max(peaks, key=lambda found: found.bytes)
    return Estimate(
        kind="traced",
        device=trace.plan.device,
        parts=tuple(_part(trace, name, size) for name, size in trace.peak.parts.items()),
        peaks=peaks,
        peak=peak,
        reserved=Interval(reserved, reserved + apart),
        context=context,
    )


def _part(trace: Trace, name: str, size: int) -> Part:
    modules = trace.peak.modules if name in ("saved activations", "recomputed activations") else {}
    largest = ", ".join(list(modules)[:3])
    return Part(name, size, "sum of the traced tensors", {}, f"mostly {largest}" if largest else "traced")


def phases_of(trace: Trace) -> list[dict[str, object]]:
    """The highest moment of every phase as plain values."""
    return [_moment(moment) for moment in trace.moments]


def _moment(moment: Moment) -> dict[str, object]:
    return {
        "phase": moment.phase,
        "live_bytes": moment.bytes,
        "by_component": dict(moment.parts),
        "owner": moment.owner,
        "operator": moment.operator,
    }


def assumptions_of(trace: Trace) -> list[str]:
    """What a trace takes for granted, in sentences."""
    plan = trace.plan
    rows = plan.batches[-1]
    found = [
        f"the largest micro batch has {len(rows)} rows, the longest of {max(rows)} tokens",
        f"attention is {plan.attention}" + (", with a mask for padding" if plan.padded else ""),
        f"base weights are {plan.quantisation or plan.dtype}" + (", bfloat16 autocast" if plan.autocast else ""),
        *trace.notes,
    ]
    if plan.device == "cuda":
        found += [
            "two cuBLAS workspaces of 8.125 MiB (32 MiB each on Hopper)",
            f"driver context {CUDA_CONTEXT}, not measured here",
            f"one device of {plan.world}" if plan.world > 1 else "one device",
        ]
    return [*found, *_between(plan)]


def _between(plan: Plan) -> list[str]:
    """What runs between steps, or that it does not."""
    rows, count = plan.per_device_eval_batch_size, plan.samples
    longest = max(max(batch) for batch in plan.batches)
    found = [
        f"evaluation of {rows} rows of {longest} tokens at once"
        if rows
        else "no evaluation (per_device_eval_batch_size)"
    ]
    if count:
        found.append(
            f"{count} samples, one at a time: prompts of {plan.sample_prompt} tokens, answers of {plan.sample_tokens}"
        )
    else:
        found.append("no samples while training (samples)")
    return [*found, COMPILED] if plan.arguments.get("torch_compile") else found
