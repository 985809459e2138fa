"""A vision tower as a small model of its own, so that what it keeps follows from the same formulas as a decoder's.

    vision_of(config, modules).tower.layers

Source: transformers 5.23, models/{clip,siglip,llava,gemma3,qwen2_vl,qwen2_5_vl}/modeling_*.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import gcd
from typing import Any, Literal, cast

from workbench.memory.fields import positive
from workbench.memory.linear import Linear, Reads
from workbench.memory.shapes import Architecture, Vision
from workbench.memory.towers import CLIP, QWEN, QWEN2, QWEN25, SIGLIP

READS: Mapping[str, Reads] = {
    **dict.fromkeys(("q_proj", "k_proj", "v_proj", "qkv"), "attention input"),
    **dict.fromkeys(("out_proj", "proj"), "attention output"),
    **dict.fromkeys(("fc1", "gate_proj", "up_proj"), "mlp input"),
    **dict.fromkeys(("fc2", "down_proj"), "product"),
}
"""Modules of a tower's layer, and what they read."""

HEADS = {"num_attention_heads": 12, "num_heads": 16}
IMAGE_TOKENS = 256
"""Tokens of an image of free size where nobody said, as the trace takes."""

Gelu = Literal["steps", "quick", "fused"]


def in_layer(item: Linear) -> bool:
    """Whether a module of a tower is in its layers, and not in its head or projector."""
    return item.reads == "tower" and "{}" in item.path


def of_layer(item: Linear) -> Linear:
    """A module of a tower's layer, as the small model has it."""
    return replace(item, reads=READS[item.name], name="qkv_proj" if item.name == "qkv" else item.name)


def vision_of(config: Mapping[str, Any], modules: tuple[Linear, ...]) -> Vision | None:
    """The tower of a vision model; None where it is not known.

    Args:
        config: Values of config.json.
        modules: The model's linear modules.
    """
    family = str(config.get("model_type"))
    vision = cast("Mapping[str, Any]", config["vision_config"])
    if family == "llava":
        return _square(vision, modules, config, CLIP, "quick")
    if family == "gemma3":
        return _square(vision, modules, config, SIGLIP, "fused")
    if family == "qwen2_vl":
        return _patches(vision, modules, QWEN2, "embed_dim")
    return _patches(vision, modules, QWEN25, "hidden_size") if family == "qwen2_5_vl" else None


def _square(
    vision: Mapping[str, Any],
    modules: tuple[Linear, ...],
    config: Mapping[str, Any],
    defaults: dict[str, int],
    gelu: Gelu,
) -> Vision:
    """Images of one size: CLIP's patches with a class token, SigLIP's pooled to fewer."""
    image, patch = (positive(vision, name, defaults) for name in ("image_size", "patch_size"))
    count = (image // patch) ** 2
    tower = _small(modules, positive(vision, "num_attention_heads", HEADS), "layer", gelu)
    pooled = positive(config, "mm_tokens_per_image", {"mm_tokens_per_image": 256}) if gelu == "fused" else 0
    chosen: Any = config.get("vision_feature_layer", -2)
    last = chosen[-1] if isinstance(chosen, list) else chosen
    reached = tower.layers + 1 + int(cast("int", last)) if not pooled and int(cast("int", last)) < 0 else tower.layers
    return Vision(
        tower=tower,
        used=max(0, min(tower.layers, reached)),
        patches=count + (0 if pooled else 1),
        tokens=pooled or count,
        pixels=3 * image * image,
        states=not pooled,
        middle=0 if pooled else next(item.outputs for item in modules if item.name == "linear_1"),
        pooled=bool(pooled),
    )


def _patches(vision: Mapping[str, Any], modules: tuple[Linear, ...], defaults: dict[str, int], width: str) -> Vision:
    """Images of any size: patches, of which merge x merge become one token."""
    merged = positive(vision, "spatial_merge_size", QWEN) ** 2
    pixels = positive(vision, "in_channels", QWEN) * positive(vision, "temporal_patch_size", QWEN)
    gated = defaults is QWEN25
    tower = _small(modules, positive(vision, "num_heads", HEADS), "rms" if gated else "layer", "quick")
    return Vision(
        tower=tower,
        used=tower.layers,
        merged=merged,
        pixels=pixels * positive(vision, "patch_size", QWEN) ** 2,
        middle=positive(vision, width, defaults) * merged,
        normed=True,
    )


def _small(modules: tuple[Linear, ...], heads: int, norm: Literal["rms", "layer"], gelu: Gelu) -> Architecture:
    """A tower as a model without embedding and head."""
    layer = tuple(of_layer(item) for item in modules if in_layer(item))
    wide = next(item for item in layer if item.reads == "product")
    heads = gcd(heads, wide.outputs)
    return Architecture(
        family="vision",
        hidden=wide.outputs,
        layers=wide.copies,
        heads=heads,
        kv_heads=heads,
        head_dim=wide.outputs // heads,
        intermediate=wide.inputs,
        vocab=0,
        tied=True,
        modules=layer,
        norm=norm,
        gated=norm == "rms",
        gelu=gelu,
    )
