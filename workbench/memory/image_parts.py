"""Parts of the closed form that images add: pixels, what tower and projector keep, and the tower's own backward."""

from __future__ import annotations

from dataclasses import dataclass, replace

from workbench.errors import RecipeError
from workbench.memory.figures import Part
from workbench.memory.linear import Linear
from workbench.memory.reached import Reached
from workbench.memory.saved import ClosedForm, Coefficients
from workbench.memory.settings import AnalyticSettings, rounded
from workbench.memory.shapes import Architecture, Vision
from workbench.memory.step import Step
from workbench.memory.vision import IMAGE_TOKENS, in_layer, of_layer


@dataclass(frozen=True)
class Images:
    """Images of the largest micro batch.

    Attributes:
        vision: The tower.
        settings: The run as the tower sees it: an image is a row, a patch a token.
        saved: What a layer of the tower keeps.
        layer: The tower's own step, for what its layers need while they run.
        tokens: Tokens that all images become.
        trained: Adapted modules of the tower's layers.
        projector: Adapted modules behind them.
    """

    vision: Vision
    settings: AnalyticSettings
    saved: Coefficients
    layer: Step
    tokens: int
    trained: tuple[Linear, ...]
    projector: tuple[Linear, ...]


def images_of(architecture: Architecture, settings: AnalyticSettings) -> Images | None:
    """The images of a run; None without any.

    Raises:
        RecipeError: For a family whose images are not known (WB810).
    """
    vision = architecture.vision
    if not settings.images:
        return None
    if vision is None:
        raise RecipeError(
            f"The formula does not know images of {architecture.family!r}.",
            remedy="Use method='trace' (--method trace), or leave out images.",
            code="WB810",
        )
    tower = [item for item in architecture.targets(settings) if item.reads == "tower"]
    trained = tuple(of_layer(item) for item in tower if in_layer(item))
    tokens = vision.tokens or settings.image_tokens or IMAGE_TOKENS
    seen = replace(
        settings,
        rows=settings.sequences * settings.images,
        length=vision.patches or tokens * vision.merged,
        method="sft",
        masked=False,
        packed=False,
        kernels=(),
        images=0,
        outputs_kept=False,
        wanted=None,
        reached=None if settings.full else Reached(trained, (), 0, tuple(sorted({item.reads for item in trained}))),
    )
    saved = ClosedForm().coefficients(vision.tower, seen)
    step = Step(vision.tower, seen, saved)
    projector = tuple(item for item in tower if not in_layer(item))
    return Images(vision, seen, saved, step, tokens * seen.rows, trained, projector)


def image_parts(step: Step) -> tuple[Part, ...]:
    """What images add; nothing without any."""
    found = images_of(step.architecture, step.settings)
    if found is None:
        return ()
    return (
        Part(
            "pixels",
            4 * found.vision.pixels * (found.settings.rows if found.vision.patches else found.settings.tokens),
            "4 bytes x values",
            {"images": found.settings.rows},
            "pixel values in float32",
        ),
        _kept(found),
        _between(step, found),
        _forward(step, found),
        _backward(found),
    )


def _flows(found: Images) -> bool:
    """Whether the tower's output asks for a gradient: something in it trains, or checkpointing makes its input ask."""
    return found.settings.full or bool(found.trained) or found.settings.checkpointing


def _kept(found: Images) -> Part:
    """What the tower keeps for backward."""
    settings, vision = found.settings, found.vision
    size = 0
    if _flows(found):
        size = vision.used * _layer_bytes(found)
        if not settings.checkpointing:
            size = max(0, size - found.saved.unsaved_bytes(settings.batch))
    return Part(
        "vision activations",
        size,
        "layers x bytes a patch x patches",
        {"layers": vision.used, "patches": settings.tokens, "bytes a patch": found.saved.layer_token},
        "a tower keeps what a decoder's layers would; nothing where nothing in it trains",
    )


def _between(step: Step, found: Images) -> Part:
    """What is kept between tower and decoder."""
    settings = found.settings
    # the embedding's output, which checkpointing's hook asks a gradient of, beside the one with features in it
    merged = settings.rest_bytes * step.architecture.hidden * step.settings.tokens if settings.checkpointing else 0
    kept = _projector(found) if _flows(found) or found.projector else 0
    return Part(
        "projector activations",
        merged + kept,
        "bytes a token x image tokens, and the embedding where layers are checkpointed",
        {"tokens": found.tokens, "merged": merged},
        "norms, activation and adapters of the projector",
    )


def _layer_bytes(found: Images) -> int:
    """Bytes that a layer of the tower keeps until backward."""
    settings = found.settings
    if settings.checkpointing:
        width = _wide(settings) if found.vision.states else settings.rest_bytes
        return width * found.vision.tower.hidden * settings.tokens
    return found.saved.layer_bytes(settings.batch)


def _wide(settings: AnalyticSettings) -> int:
    """Bytes of what torch's LayerNorm gives: float32 under autocast. CLIP's stream begins with one and stays so."""
    return 4 if settings.autocast else settings.rest_bytes


def _projector(found: Images) -> int:
    """Bytes that pooling, norm, activation and adapters between tower and decoder keep."""
    settings, vision = found.settings, found.vision
    c, patches, hidden = settings.compute_bytes, settings.tokens, vision.tower.hidden
    cost = 2 if settings.autocast or settings.adapter_bytes == 2 else 4
    size = c * vision.middle * found.tokens
    size += (4 * hidden + 8) * patches if vision.normed else 0
    if vision.pooled:  # the tower's last norm, what is averaged, and the norm behind it
        size += ((_wide(settings) + 4) * hidden + 8) * patches + 4 * hidden * found.tokens
    if settings.full:
        size += c * (vision.middle + hidden * max(1, vision.merged)) * found.tokens
    return size + sum(cost * (item.inputs + item.rank_of(settings.rank)) * found.tokens for item in found.projector)


def _forward(step: Step, found: Images) -> Part:
    """What is there until the decoder's forward ends: the tower's outputs, its features, layers that nothing reads."""
    settings, vision = found.settings, found.vision
    hidden = (_wide(settings) if vision.states else settings.rest_bytes) * vision.tower.hidden * settings.tokens
    states = (vision.tower.layers + 1 if vision.states else 2) * hidden
    features = settings.rest_bytes * step.architecture.hidden * found.tokens
    unread = (vision.tower.layers - vision.used) * _layer_bytes(found) if _flows(found) else 0
    return Part(
        "vision outputs",
        states + features + unread,
        "hidden states of the tower + features",
        {"states": states, "features": features, "unread layers": unread},
        "the model's forward holds what the tower gave back",
    )


def _backward(found: Images) -> Part:
    """A layer of the tower while its backward runs, made again where checkpointing left it out."""
    settings = found.settings
    forward, backward = found.layer.layer_temporaries
    again = rounded(found.saved.layer_bytes(settings.batch)) if settings.checkpointing else 0
    size = again + max(forward if settings.checkpointing else 0, backward) if _flows(found) else 0
    return Part(
        "vision layer",
        size,
        "what a layer of the tower keeps, and its temporaries",
        {"patches": settings.tokens},
        "the tower's backward comes after the decoder's",
    )
