"""Vision towers and projectors of vision-language models: linear modules, and elements that are in none.

linear, rest = tower_of(config, hidden=3584)

Source: transformers 5.23, models/{siglip,clip,qwen2_vl,qwen2_5_vl,llava,gemma3}/modeling_*.py, checked against the
models that it builds in tests/memory/test_memory_families.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from workbench.errors import ModelError
from workbench.memory.fields import positive
from workbench.memory.linear import Linear, module

Tower = tuple[tuple[Linear, ...], int]


def tower_of(config: Mapping[str, Any], hidden: int) -> Tower:
    """Linear modules of tower and projector, and their other parameters.

    Args:
        config: Values of config.json.
        hidden: Width of the text part.

    Raises:
        ModelError: For a tower that is not known (WB801), or a field that is missing (WB802).
    """
    vision = cast("Mapping[str, Any]", config["vision_config"])
    kind = str(vision.get("model_type") or TOWER_OF.get(str(config.get("model_type")), "")).removesuffix("_vision")
    maker = TOWERS.get(f"{config.get('model_type')} {kind}")
    if maker is None:
        raise ModelError(
            f"Cannot estimate memory for the vision tower {kind!r} of model_type {config.get('model_type')!r}.",
            remedy=f"Known: {', '.join(sorted(TOWERS))}. Trace the step instead (--method trace).",
            code="WB801",
        )
    return maker(config, vision, hidden)


TOWER_OF = {"gemma3": "siglip_vision_model", "qwen2_vl": "qwen2_vl", "qwen2_5_vl": "qwen2_5_vl"}


def _encoder(vision: Mapping[str, Any], defaults: Mapping[str, int]) -> Tower:
    """Layers of CLIP and SigLIP: four projections and a plain MLP, all with bias, and two norms."""
    h, inner = (positive(vision, name, defaults) for name in ("hidden_size", "intermediate_size"))
    layers = positive(vision, "num_hidden_layers", defaults)
    layer = "model.vision_tower.encoder.layers.{}."
    square = [
        module(f"{layer}self_attn.{name}", h, h, True, layers) for name in ("q_proj", "k_proj", "v_proj", "out_proj")
    ]
    up, down = module(f"{layer}mlp.fc1", h, inner, True, layers), module(f"{layer}mlp.fc2", inner, h, True, layers)
    return (*square, up, down), layers * 4 * h


def _patches(vision: Mapping[str, Any], defaults: Mapping[str, int]) -> tuple[int, int]:
    """Patches of an image, and pixel values of a patch."""
    patch = positive(vision, "patch_size", defaults)
    image = positive(vision, "image_size", defaults)
    return (image // patch) ** 2, positive(vision, "num_channels", defaults) * patch**2


SIGLIP = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_channels": 3,
    "image_size": 224,
    "patch_size": 16,
}
CLIP = {**SIGLIP, "patch_size": 32}
QWEN = {"depth": 32, "in_channels": 3, "patch_size": 14, "temporal_patch_size": 2, "spatial_merge_size": 2}
QWEN2 = {**QWEN, "embed_dim": 1280, "hidden_size": 3584, "mlp_ratio": 4}
QWEN25 = {**QWEN, "hidden_size": 3584, "intermediate_size": 3420, "out_hidden_size": 3584}


def _gemma3(config: Mapping[str, Any], vision: Mapping[str, Any], hidden: int) -> Tower:
    """SigLIP, and a projector that is a parameter with one norm."""
    linear, rest = _encoder(vision, SIGLIP)
    h, inner = (positive(vision, name, SIGLIP) for name in ("hidden_size", "intermediate_size"))
    count, pixels = _patches(vision, SIGLIP)
    rest += pixels * h + h + count * h + 2 * h + h * hidden + h
    if vision.get("vision_use_head", True):
        head = "model.vision_tower.head."
        linear += (
            module(f"{head}attention.out_proj", h, h, True),
            module(f"{head}mlp.fc1", h, inner, True),
            module(f"{head}mlp.fc2", inner, h, True),
        )
        rest += h + 3 * h * h + 3 * h + 2 * h
    return linear, rest


def _llava(config: Mapping[str, Any], vision: Mapping[str, Any], hidden: int) -> Tower:
    """CLIP with a norm before and behind, and a projector of two linear modules."""
    linear, rest = _encoder(vision, CLIP)
    h = positive(vision, "hidden_size", CLIP)
    count, pixels = _patches(vision, CLIP)
    rest += h + pixels * h + (count + 1) * h + 4 * h
    bias = bool(config.get("multimodal_projector_bias", True))
    chosen: Any = config.get("vision_feature_layer", -2)
    inputs = h * (len(cast("list[int]", chosen)) if isinstance(chosen, list) else 1)
    name = "model.multi_modal_projector.linear_"
    return (*linear, module(f"{name}1", inputs, hidden, bias), module(f"{name}2", hidden, hidden, bias)), rest


def _merged(vision: Mapping[str, Any], h: int, out: int) -> tuple[tuple[Linear, ...], int]:
    """The patch embedding's elements and the merger of Qwen's towers."""
    merged = h * positive(vision, "spatial_merge_size", QWEN) ** 2
    pixels = positive(vision, "in_channels", QWEN) * positive(vision, "temporal_patch_size", QWEN)
    pixels *= positive(vision, "patch_size", QWEN) ** 2
    # their names are numbers, which LoRA's targets cannot name without naming layers too
    whole = [
        Linear(name, merged, out_, True, 1, "tower", ("all-linear",), path=f"model.visual.merger.mlp.{name}")
        for name, out_ in (("0", merged), ("2", out))
    ]
    return tuple(whole), pixels * h


def _qwen2(config: Mapping[str, Any], vision: Mapping[str, Any], hidden: int) -> Tower:
    """Qwen2-VL: a fused qkv, a plain MLP, LayerNorms."""
    h, layers = positive(vision, "embed_dim", QWEN2), positive(vision, "depth", QWEN2)
    inner = h * positive(vision, "mlp_ratio", QWEN2)
    merger, pixels = _merged(vision, h, positive(vision, "hidden_size", QWEN2))
    linear = (
        module("model.visual.blocks.{}.attn.qkv", h, 3 * h, True, layers),
        module("model.visual.blocks.{}.attn.proj", h, h, True, layers),
        module("model.visual.blocks.{}.mlp.fc1", h, inner, True, layers),
        module("model.visual.blocks.{}.mlp.fc2", inner, h, True, layers),
    )
    return (*linear, *merger), pixels + layers * 4 * h + 2 * h


def _qwen25(config: Mapping[str, Any], vision: Mapping[str, Any], hidden: int) -> Tower:
    """Qwen2.5-VL: a fused qkv, a gated MLP, RMS norms."""
    h, layers = positive(vision, "hidden_size", QWEN25), positive(vision, "depth", QWEN25)
    inner = positive(vision, "intermediate_size", QWEN25)
    merger, pixels = _merged(vision, h, positive(vision, "out_hidden_size", QWEN25))
    linear = (
        module("model.visual.blocks.{}.attn.qkv", h, 3 * h, True, layers),
        module("model.visual.blocks.{}.attn.proj", h, h, True, layers),
        module("model.visual.blocks.{}.mlp.gate_proj", h, inner, True, layers),
        module("model.visual.blocks.{}.mlp.up_proj", h, inner, True, layers),
        module("model.visual.blocks.{}.mlp.down_proj", inner, h, True, layers),
    )
    return (*linear, *merger), pixels + layers * 2 * h + h


TOWERS: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any], int], Tower]] = {
    "gemma3 siglip_vision_model": _gemma3,
    "llava clip_vision_model": _llava,
    "qwen2_vl qwen2_vl": _qwen2,
    "qwen2_5_vl qwen2_5_vl": _qwen25,
}
