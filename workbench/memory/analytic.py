"""How much memory a run needs, in closed form: parts, peaks, and whether it fits.

    batch = BatchShape.of(recipe, longest=1024)
    found = estimate(of_model("meta-llama/Llama-3.2-1B"), recipe, batch)
    found.peak.name, found.hard_minimum, found.expected, found.verdict(24 * GIB).word

A step has four moments at which memory can be highest; each is a sum of named parts, and the highest wins. The live
peak is the hard minimum; the caching allocator holds more, so what is reserved is an interval. Pure arithmetic in
bytes, under a millisecond. What is saved for backward comes from a `MemorySource`, so a trace or a measurement can
take the closed form's place. One device only: no sharding, no offloading, no quantised weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from workbench.errors import RecipeError
from workbench.memory.architecture import Architecture
from workbench.memory.figures import GIB, Estimate, Interval, Part, Peak
from workbench.memory.saved import ClosedForm, Coefficients, MemorySource
from workbench.memory.settings import AnalyticSettings, BatchShape, Runtime, rounded
from workbench.recipes import Recipe

TOKEN_TILE, VOCABULARY_TILE = 4096, 32768
"""Size of a tile of TRL's fused head (trl 1.16, kernels/chunked_logprob.py and trainer/utils.py)."""

CUDA_CONTEXT = Interval(round(0.3 * GIB), round(0.6 * GIB))
"""Driver context, outside the allocator; differs by driver and card, so an interval (not measured here)."""

STATE_BYTES: Mapping[str, float] = {
    "adamw_torch": 2.0,
    "adamw_torch_fused": 2.0,
    "sgd": 0.0,
}
"""Optimizer state as a multiple of the trained parameters' bytes (torch.optim.AdamW: two moments)."""

EIGHT_BIT_STATE_BYTES = 2 * (1 + 4 / 256)
"""Bytes of state a parameter with 8-bit Adam: two moments, one float32 scale a block of 256 (bitsandbytes)."""

EIGHT_BIT = ("adamw_8bit", "adamw_bnb_8bit")


@dataclass(frozen=True, slots=True)
class _Step:
    """Everything the parts are computed from; sizes in bytes."""

    architecture: Architecture
    settings: AnalyticSettings
    saved: Coefficients

    @property
    def full(self) -> bool:
        return self.settings.full

    @property
    def trained(self) -> int:
        """Trained parameters."""
        return self.architecture.total if self.full else self.architecture.adapter_parameters(self.settings)

    @property
    def trained_bytes(self) -> int:
        """Of one trained parameter; PEFT keeps adapters in float32."""
        return self.settings.weight_bytes if self.full else 4

    @property
    def gradients(self) -> int:
        return self.trained * self.trained_bytes

    @property
    def head_elements(self) -> int:
        return self.architecture.vocab * self.architecture.hidden


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
    saved = (source or ClosedForm()).coefficients(architecture, settings)
    step = _Step(architecture, settings, saved)
    parts = {part.name: part for part in (*_static_parts(step), *_moving_parts(step))}
    peaks = _peaks(step, {name: part.bytes for name, part in parts.items()})
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


def _static_parts(step: _Step) -> tuple[Part, ...]:
    """What lives through the whole step."""
    a, settings = step.architecture, step.settings
    adapter = a.adapter_parameters(settings)
    mask = (
        settings.rows * settings.length**2
        if step.settings.masked and step.settings.attention != "flash_attention_2"
        else 0
    )
    rotary = 2 * step.settings.weight_bytes * a.head_dim
    return (
        Part(
            "weights",
            a.total * step.settings.weight_bytes,
            "parameters x bytes",
            {"parameters": a.total, "bytes": step.settings.weight_bytes},
            "config.json",
        ),
        Part(
            "adapter",
            adapter * 4,
            "layers x r x sum(in + out) x 4",
            {"parameters": adapter, "r": settings.rank},
            "PEFT keeps LoRA matrices in float32",
        ),
        Part(
            "optimizer",
            _state_bytes(step),
            "trained x bytes of state",
            {"trained": step.trained, "bytes": step.trained_bytes},
            f"optim={settings.optim}",
        ),
        Part(
            "gradients",
            step.gradients,
            "trained x bytes",
            {"trained": step.trained, "bytes": step.trained_bytes},
            "torch keeps one gradient a trained parameter",
        ),
        Part(
            "batch",
            (24 + rotary) * settings.tokens + mask,
            "tokens x (3 x 8 + 2 head_dim w) + rows x length^2 where masked",
            {"tokens": settings.tokens, "mask": mask},
            "ids, labels and mask in int64, rotary tables, one boolean attention mask",
        ),
    )


def _moving_parts(step: _Step) -> tuple[Part, ...]:
    """What comes and goes within the step."""
    a, settings, saved = step.architecture, step.settings, step.saved
    checkpointing = step.settings.checkpointing
    stream = settings.weight_bytes * a.hidden * settings.tokens
    layer = saved.layer_bytes(settings.batch)
    kept = a.layers * (stream if checkpointing else layer)
    copies = rounded(saved.constant)
    return (
        Part(
            "activations",
            kept,
            "layers x hidden x tokens x w" if checkpointing else "layers x (bytes a token x tokens + pairs)",
            {
                "layers": a.layers,
                "tokens": settings.tokens,
                "pair": saved.layer_pair,
                "bytes a token": saved.layer_token,
                **{term.name: term.bytes for term in saved.terms},
            },
            "gradient checkpointing keeps the input of every layer"
            if checkpointing
            else "; ".join(f"{term.name}: {term.formula}" for term in saved.terms) or saved.kind,
        ),
        Part(
            "tail",
            saved.tail_bytes(settings.batch),
            "bytes a token x tokens",
            {"bytes": saved.tail_token, "tokens": settings.tokens},
            "the last norm and the input of the head",
        ),
        Part(
            "autocast copies",
            copies // a.layers if checkpointing else copies,
            "2 x float32 weights of matrix products",
            {"bytes": copies},
            "autocast keeps bfloat16 copies for backward; with checkpointing those of one layer",
        ),
        Part(
            "recomputed layer",
            layer if checkpointing else 0,
            "what one layer saves",
            {"layer": layer},
            "gradient checkpointing runs each layer again",
        ),
        Part(
            "layer backward",
            3 * settings.compute_bytes * a.intermediate * settings.tokens,
            "3 c I tokens",
            {"intermediate": a.intermediate, "tokens": settings.tokens},
            "gradients of gate, up and their product",
        ),
        _loss_part(step),
        *_head_gradient_parts(step),
        _embedding_gradient_part(step),
        _optimizer_temporaries(step),
        _kept_outputs(step),
    )


def _loss_part(step: _Step) -> Part:
    """Head and loss while their backward runs."""
    a, settings = step.architecture, step.settings
    w, c = settings.weight_bytes, settings.compute_bytes
    if settings.loss == "logits":
        head_copy = 2 * step.head_elements if c != w else 0
        return Part(
            "loss",
            12 * a.vocab * settings.tokens + head_copy,
            "12 V tokens" + (" + 2 V H" if head_copy else ""),
            {"vocab": a.vocab, "tokens": settings.tokens},
            "log_softmax in float32, its gradient, and the gradient of the logits",
        )
    scored = settings.scored
    tile = min(scored, TOKEN_TILE) * VOCABULARY_TILE * c
    hidden = (4 + w + (w if w != 4 else 0)) * a.hidden * scored
    cast = c * a.hidden * (min(a.vocab, VOCABULARY_TILE) + min(scored, TOKEN_TILE)) if c != w else 0
    # without Triton torch folds the tile: seven float32 tensors of its size are live at once, and a boolean one
    folded = 29 * min(scored, TOKEN_TILE) * min(a.vocab, VOCABULARY_TILE) if settings.device == "cpu" else 0
    return Part(
        "loss",
        tile + hidden + cast + folded,
        "min(scored, 4096) x 32768 x c + H scored x (4 + w, and w for a cast)"
        + (" + c H tiles" if cast else "")
        + (" + 29 min(scored, 4096) V" if folded else ""),
        {"scored": scored, "tile": tile, "hidden": hidden, "casts": cast, "folded": folded},
        "TRL's fused head makes logits in tiles and never all of them",
    )


def _head_gradient_parts(step: _Step) -> tuple[Part, Part]:
    """Gradient of a trained output head: while it is summed, and what stays."""
    w, elements = step.settings.weight_bytes, step.head_elements if step.full else 0
    # plain logits are freed before the head's gradient is made, so only tiles meet it
    summed = (4 + (w if w != 4 else 0)) * elements if step.settings.loss == "fused" else 0
    return (
        Part(
            "head gradient sum",
            summed,
            "V H x (4, and w for the cast)",
            {"elements": elements},
            "the fused head sums its weight gradient in float32",
        ),
        Part("head gradient", w * elements, "V H w", {"elements": elements}, "gradient of the output head"),
    )


def _embedding_gradient_part(step: _Step) -> Part:
    """Second gradient of a tied embedding, before both are added."""
    twice = step.full and step.architecture.tied
    return Part(
        "tied embedding gradient",
        step.head_elements * step.settings.weight_bytes if twice else 0,
        "V H w",
        {"elements": step.head_elements},
        "a tied embedding gets a dense gradient from the input side too",
    )


def _optimizer_temporaries(step: _Step) -> Part:
    """Scratch of the optimizer's update."""
    a = step.architecture
    if step.settings.optim != "adamw_torch":
        size, formula = 0, "0: updated in place"
    elif step.settings.device == "cuda":
        size, formula = step.gradients, "trained x bytes: foreach makes one more list"
    else:
        widest = max((max(t.inputs, t.outputs) * step.settings.rank for t in a.targets(step.settings)), default=0)
        size = 2 * step.trained_bytes * (step.head_elements if step.full else widest)
        formula = "2 x the largest trained tensor: one parameter at a time"
    return Part("optimizer temporaries", size, formula, {"trained": step.trained}, f"optim={step.settings.optim}")


def _kept_outputs(step: _Step) -> Part:
    """Logits and cache of the model's outputs, where something still refers to them."""
    a, settings, tokens = step.architecture, step.settings, step.settings.tokens
    c = settings.compute_bytes
    size = 0
    if settings.outputs_kept:
        size = c * a.vocab * tokens
        if settings.masked and not step.settings.checkpointing:
            size += 2 * c * a.key * tokens * a.layers
    return Part(
        "kept outputs",
        size,
        "c V tokens + 2 c kv tokens layers where masked",
        {"tokens": tokens},
        "a variable, `_` or `Out[]` that still holds the outputs of the model",
    )


def _state_bytes(step: _Step) -> int:
    optim = step.settings.optim
    if optim in EIGHT_BIT:
        return rounded(step.trained * EIGHT_BIT_STATE_BYTES)
    if optim not in STATE_BYTES:
        raise RecipeError(
            f"Cannot estimate memory for optim={optim!r}.",
            remedy=f"Known: {', '.join((*STATE_BYTES, *EIGHT_BIT))}.",
            code="WB803",
        )
    return rounded(step.gradients * STATE_BYTES[optim])


def _peaks(step: _Step, size: Mapping[str, int]) -> tuple[Peak, ...]:
    """The moments at which memory can be highest."""
    always = ("weights", "adapter", "optimizer", "batch", "kept outputs")
    # with accumulation the gradients of earlier micro batches are there while a later one runs
    held = ("gradients",) if step.settings.accumulation > 1 else ()
    moments = {
        "loss backward": (*held, "activations", "tail", "autocast copies", "loss", "head gradient sum"),
        "first layer backward": (
            *held,
            "activations",
            "autocast copies",
            "recomputed layer",
            "layer backward",
            "head gradient",
        ),
        "backward end": ("gradients", "recomputed layer", "tied embedding gradient"),
        "optimizer step": ("gradients", "optimizer temporaries"),
    }
    return tuple(
        Peak(name, {part: size[part] for part in (*always, *parts) if size[part]}) for name, parts in moments.items()
    )


def _allocator_factors(step: _Step) -> tuple[float, float]:
    """What the caching allocator holds over the live peak.

    Source: replay of the allocator over traced steps, and 55 published runs (docs/memory.md, allocator).
    """
    if step.settings.checkpointing:
        return (1.04, 1.15) if step.settings.length <= TOKEN_TILE else (1.04, 1.33)
    return (1.04, 1.10) if step.full else (1.02, 1.07)
