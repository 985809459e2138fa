"""Traces of several devices: FSDP2 and DDP run inside the trace where they can, else the closed form spreads one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from workbench.errors import RunError
from workbench.memory.options import DEVICES
from workbench.memory.plan import ONLINE, Plan
from workbench.memory.settings import AnalyticSettings
from workbench.memory.sharded import sharding_of
from workbench.memory.sharding import assumptions_of
from workbench.memory.trace import Trace

WRAPPERS: Mapping[str, str] = {"fsdp": "FSDP2", "ddp": "DDP"}
"""Strategies whose wrapper is torch's own; DeepSpeed's engine needs real tensors."""


def spread_trace(plan: Plan, options: Mapping[str, Any]) -> tuple[Trace | None, list[str]]:
    """The trace of a rank with torch's own wrapper around the model, and what it takes for granted.

    Args:
        plan: The run on one device.
        options: Of the estimate: `world`, `sharding`, `offload`.

    Returns:
        None where the wrapper is not run: for one device, DeepSpeed, offload, a plain loop, generated answers, samples,
        or where it failed, with a sentence that says at which line.
    """
    from workbench.training.tracing import trace_plan

    sharding = sharding_of(AnalyticSettings(**{name: options[name] for name in DEVICES if options.get(name)}))
    name = WRAPPERS.get(sharding.strategy)
    alone = plan.loop == "plain" or plan.method in ONLINE or plan.samples or plan.device == "cpu"
    if name is None or sharding.offload != "none" or alone:
        return None, []
    wrapped = replace(plan, world=sharding.world, sharding=sharding.strategy)
    try:
        found = trace_plan(wrapped)
    except RunError as error:
        if error.code != "WB814":
            raise
        return None, [f"{name} did not run inside the trace: {error.message}"]
    said = assumptions_of(sharding, plan.micro_batches)
    return found, [f"{name} ran inside the trace, as rank 0 of a group that moves nothing", *said]
