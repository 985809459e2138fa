"""How much memory a run needs, in closed form: parts, peaks, and whether it fits.

    batch = BatchShape.of(recipe, longest=1024)
    found = estimate(of_model("meta-llama/Llama-3.2-1B"), recipe, batch)
    found.peak.name, found.hard_minimum, found.expected, found.verdict(24 * GIB).word

A step has a few moments at which memory can be highest; each is a sum of named parts, and the highest wins. The live
peak is the hard minimum; the caching allocator holds more, so what is reserved is an interval. Pure arithmetic in
bytes, under a millisecond. What is saved for backward comes from a `MemorySource`, so a trace or a measurement can
take the closed form's place. One device; workbench.memory.sharding spreads
it over several.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workbench.memory.architecture import Architecture
from workbench.memory.figures import GIB, Estimate, Interval, Peak
from workbench.memory.image_parts import image_parts
from workbench.memory.loading_parts import loading_moment, loading_parts
from workbench.memory.loss_parts import TOKEN_TILE
from workbench.memory.moments import STAYING, Moment, engine_parts, further_moments
from workbench.memory.moving_parts import moving_parts
from workbench.memory.reach import resolved
from workbench.memory.saved import ClosedForm, MemorySource
from workbench.memory.settings import ODDS, AnalyticSettings, BatchShape, Runtime, rounded
from workbench.memory.static_parts import static_parts
from workbench.memory.step import Step
from workbench.recipes import Recipe

CUDA_CONTEXT = Interval(round(0.3 * GIB), round(0.6 * GIB))
"""Driver context, outside the allocator; differs by driver and card, so an interval (not measured here)."""


def estimate(
    architecture: Architecture,
    recipe: Recipe,
    batch: BatchShape,
    runtime: Runtime | None = None,
    source: MemorySource | None = None,
) -> Estimate:
    """Estimate the memory of one training step after the first; `evaluate` with the settings of a recipe.

    Args:
        architecture: The model's shapes.
        recipe: What is trained and how.
        batch: The largest micro batch of the run.
        runtime: How it is computed; None takes what the recipe leads to on a CUDA device.
        source: Where saved bytes come from; None takes the closed form.

    Raises:
        RecipeError: As `evaluate`.
    """
    return evaluate(architecture, AnalyticSettings.of(recipe, batch, runtime), source)


def evaluate(architecture: Architecture, settings: AnalyticSettings, source: MemorySource | None = None) -> Estimate:
    """Estimate the memory of one training step after the first.

    Args:
        architecture: The model's shapes.
        settings: Batch, method, adapter and how it is computed.
        source: Where saved bytes come from; None takes the closed form.

    Raises:
        RecipeError: For an optimizer or LoRA target that is not known (WB803).

    Source: measured against published runs and a trace in docs/memory.md.
    """
    settings = resolved(architecture, settings)
    saved = (source or ClosedForm()).coefficients(architecture, settings)
    step = Step(architecture, settings, saved)
    between = further_moments(step)
    own = (*(part for moment in between for part in moment.parts), *loading_parts(step))
    moving = (*moving_parts(step), *image_parts(step), *engine_parts(step))
    parts = {part.name: part for part in (*static_parts(step), *moving, *own)}
    size = {name: part.bytes for name, part in parts.items()}
    peaks = (*loading_moment(settings, size), *_between(between, size), *_peaks(step, size))
    peak = max(peaks, key=lambda candidate: candidate.bytes)
    cuda = settings.device == "cuda"
    factors = _allocator_factors(step) if cuda else (1.0, 1.0)
    return Estimate(
        kind=saved.kind,
        device=settings.device,
        parts=tuple(parts.values()),
        peaks=peaks,
        peak=peak,
        reserved=Interval(*(rounded(peak.bytes * factor) for factor in factors)),
        context=CUDA_CONTEXT if cuda else Interval(0, 0),
    )


def _between(moments: Sequence[Moment], size: Mapping[str, int]) -> tuple[Peak, ...]:
    """Moments outside of a step's forward and backward."""
    held = {m.name: (*STAYING, *m.held, *(part.name for part in m.parts)) for m in moments}
    return tuple(Peak(name, {part: size[part] for part in parts if size.get(part)}) for name, parts in held.items())


def _peaks(step: Step, size: Mapping[str, int]) -> tuple[Peak, ...]:
    """The moments at which memory can be highest."""
    settings = step.settings
    always = (
        *("weights", "adapter", "reference model", "optimizer", "batch", "pixels"),
        *("workspace", "kept outputs", "vllm engine"),
    )
    # with accumulation the gradients of earlier micro batches are there while a later one runs
    held = ("gradients",) if settings.accumulation > 1 else ()
    recomputed = ("recomputed layer",) if settings.checkpointing else ()
    whole = settings.method not in ODDS  # these leave autocast before they make their loss
    eager = size["attention backward"] > 0
    kept_so_far = (*held, "activations", *SEEN)
    kept = (*kept_so_far, "autocast copies", "adapted experts")
    moments = {
        "last layer forward": (*kept, "vision outputs", "layer forward") if not settings.checkpointing else (),
        "loss backward": (*kept, "tail", "loss", "head gradient sum"),
        "loss forward": (*kept_so_far, "forward copies", "loss") if size["forward copies"] and whole else (),
        "first layer recomputed": (*kept, *recomputed, "layer forward", "head gradient") if recomputed else (),
        "first layer backward": (*kept, *recomputed, "layer backward", "head gradient"),
        "first layer attention backward": (*kept, *recomputed, "attention backward", "head gradient") if eager else (),
        "last layer backward": ("gradients so far", "layer copies", "recomputed layer", "layer backward"),
        "vision backward": VISION if size.get("vision layer") else (),
        "backward end": ("gradients", "tied embedding gradient"),
        "optimizer step": ("gradients", "optimizer temporaries"),
    }
    found = {
        name: {part: size[part] for part in (*always, *parts) if size.get(part)} for name, parts in moments.items()
    }
    return tuple(Peak(name, parts) for name, parts in found.items() if moments[name])


SEEN = ("vision activations", "projector activations")
"""What images add to what forward keeps."""

VISION = ("gradients so far", "vision activations", "vision layer")
"""What is live while a vision tower runs backward."""


def _allocator_factors(step: Step) -> tuple[float, float]:
    """What the caching allocator holds over the live peak.

    Source: replay of the allocator over traced steps, and 55 published runs (docs/memory.md, allocator).
    """
    if step.settings.checkpointing:
        return (1.02, 1.15) if step.settings.length <= TOKEN_TILE else (1.02, 1.33)
    return (1.0, 1.10) if step.full else (1.01, 1.07)
