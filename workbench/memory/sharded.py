"""From a model's shapes and a run's settings to memory on several devices: `estimate_sharded`.

    estimate_sharded(of_model(name), AnalyticSettings.of(recipe, batch), Sharding("fsdp", world=8)).estimate.peak
    evaluate(of_model(name), settings)  # one device or several, as the settings say

The strategies differ in types: FSDP2 keeps float32 masters of what trains and gathers bfloat16, DeepSpeed's whole model
is bfloat16 with masters in the optimizer, DDP is the unsharded step on every rank.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from workbench.errors import RecipeError
from workbench.memory.analytic import evaluate as evaluate_one
from workbench.memory.figures import Estimate, Peak
from workbench.memory.optimizers import optimizer_of
from workbench.memory.reach import resolved
from workbench.memory.settings import AnalyticSettings
from workbench.memory.shapes import Architecture
from workbench.memory.sharding import shard
from workbench.memory.sharding_layout import Layout, Storage, layout_of
from workbench.memory.sharding_packed import require_cuttable
from workbench.memory.sharding_values import Offload, Sharded, Sharding, Strategy

LOW_BYTES, FULL_BYTES = 2, 4
WHOLE = ("none", "ddp")
"""Strategies that cut nothing."""


def sharding_of(settings: AnalyticSettings) -> Sharding:
    """How the settings spread a run; several devices without a strategy are DDP's.

    Raises:
        RecipeError: For a strategy, offload or world that does not exist (WB820).
    """
    strategy = "ddp" if settings.sharding == "none" and settings.world != 1 else settings.sharding
    return Sharding(cast("Strategy", strategy), settings.world, cast("Offload", settings.offload))


def evaluate(architecture: Architecture, settings: AnalyticSettings) -> Estimate:
    """The estimate of one device, or of the fullest of several.

    Raises:
        RecipeError: As `estimate_sharded`.
    """
    sharding = sharding_of(settings)
    if sharding.strategy == "none":
        return evaluate_one(architecture, settings)
    return estimate_sharded(architecture, settings, sharding).estimate


def estimate_sharded(architecture: Architecture, settings: AnalyticSettings, sharding: Sharding) -> Sharded:
    """Memory of a step of a run on several devices; all bytes are of one rank.

    Args:
        architecture: The model's shapes.
        settings: The run on one device: the micro batch of a rank, adapter, optimizer.
        sharding: How it is spread.

    Raises:
        RecipeError: As `evaluate`, and for what cannot be cut (WB821).
    """
    settings = resolved(architecture, settings)
    stored = evaluate_one(architecture, settings)
    layout = _layout(architecture, settings, sharding, stored)
    if sharding.strategy in WHOLE:
        return shard(stored, layout, sharding)
    computed = storage_of(settings, sharding).computed
    computing = replace(
        settings, weight_bytes=computed, autocast=False, low_adapter=computed == LOW_BYTES, float32_rest=False
    )
    return shard(evaluate_one(architecture, computing), layout, sharding)


def _layout(architecture: Architecture, settings: AnalyticSettings, sharding: Sharding, stored: Estimate) -> Layout:
    require_cuttable(settings, sharding.strategy)
    settings = replace(settings, sharding=sharding.strategy)
    storage = storage_of(settings, sharding)
    _require_whole(layout_of(architecture, replace(settings, quantisation="none"), storage), architecture, settings)
    layout = layout_of(architecture, settings, storage)
    return replace(
        layout,
        state_bytes=_state_bytes(stored, settings, storage, sharding),
        temporary_bytes=_bytes(stored, "optimizer temporaries"),
        accumulation=settings.accumulation,
        logits=settings.whole_logits,
    )


def shard_traced(
    traced: Estimate, architecture: Architecture, settings: AnalyticSettings, sharding: Sharding
) -> Sharded:
    """The same from a trace of one device: what moves is the trace's, what is cut and added is the closed form's.

    The phases of a trace are longer than the moments here, so communication of a phase's highest moment is put on the
    phase's highest bytes: never too low for that, at most one layer and its buffers too high.

    Args:
        traced: The estimate of `workbench.memory.traced.estimate_of`.
        architecture: As in `estimate_sharded`.
        settings: As in `estimate_sharded`.
        sharding: As in `estimate_sharded`.
    """
    settings = resolved(architecture, settings)
    phases = {peak.name: dict(peak.parts) for peak in traced.peaks}
    names = {phase: moment for phase, moment in MOMENT_OF_PHASE.items() if phase in phases}
    moments = [Peak(moment, _renamed(phases[phase])) for phase, moment in names.items()]
    end = {name: size for name, size in phases.get("backward", {}).items() if name in ("inputs", "other")}
    peaks = (*moments, Peak("backward end", end))
    formula = estimate_sharded(architecture, settings, sharding)
    base = replace(traced, peaks=peaks)
    layout = _layout(architecture, settings, sharding, evaluate_one(architecture, settings))
    made = shard(base, layout, sharding)
    return replace(made, ranks=formula.ranks, host=formula.host, pinned=formula.pinned)


MOMENT_OF_PHASE = {
    "forward": "loss forward",
    "loss backward": "loss backward",
    "backward": "first layer backward",
    "optimizer": "optimizer step",
}
"""Phase of a trace -> the moment whose communication is put on it."""


def _renamed(parts: Mapping[str, int]) -> dict[str, int]:
    """Parts with the closed form's names where sharding replaces them."""
    return {("optimizer" if name == "optimizer state" else name): size for name, size in parts.items()}


def storage_of(settings: AnalyticSettings, sharding: Sharding) -> Storage:
    """Bytes of an element under a strategy.

    Source: accelerate 1.15, utils/fsdp_utils.py (trained parameters become float32 with mixed precision) and
        utils/dataclasses.py (one type for parameters, reduction and output); deepspeed 0.19.6, runtime/engine.py (the
        module becomes bfloat16); PEFT 0.21 (adapters are float32 otherwise).
    """
    low = settings.compute_bytes
    if sharding.strategy in WHOLE:
        return Storage(settings.trained_bytes, settings.rest_bytes, low)
    if sharding.strategy == "fsdp" and sharding.precision == "mixed":
        # accelerate casts nothing where weights are 4-bit: the adapter stays as TRL or PEFT made it
        trained = settings.trained_bytes if settings.quantisation == "nf4" else FULL_BYTES
        return Storage(trained, settings.rest_bytes, low)
    return Storage(low, low, low)


def _state_bytes(stored: Estimate, settings: AnalyticSettings, storage: Storage, sharding: Sharding) -> int:
    """The optimizer's state over all trained parameters, in the type that it updates; 8-bit state has its own."""
    state = _bytes(stored, "optimizer")
    if optimizer_of(settings.optim).kept not in ("own", "factored"):
        return state
    updated = FULL_BYTES if sharding.strategy.startswith("zero") else storage.trained
    return state * updated // settings.trained_bytes


def _bytes(estimate: Estimate, name: str) -> int:
    return sum(part.bytes for part in estimate.parts if part.name == name)


def _require_whole(layout: Layout, architecture: Architecture, settings: AnalyticSettings) -> None:
    """Refuse a family whose tensors are not all in the layout."""
    expected = architecture.total + architecture.adapter_parameters(settings)
    expected += sum(own.elements for own in settings.copies if own.copied)
    if layout.parameters != expected:
        raise RecipeError(
            f"Sharding of {architecture.family} is not estimated: of {expected:,} parameters"
            f" {layout.parameters:,} are known by shape.",
            remedy="Estimate one device, or another family.",
            code="WB821",
        )
