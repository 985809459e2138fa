"""Which layers of a decoder see a sliding window only, from config.json: a table of families.

    windows_of(config, "gemma2", layers=26)  ->  (4096, 13)

Source: transformers 5.23, models/<family>/configuration_<family>.py (`layer_types`) and cache_utils.py
(`get_layer_types_and_kwargs`); held to both by tests/memory/test_memory_windows.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from workbench.memory.fields import positive

Slides = Callable[[int, Mapping[str, Any]], bool]
"""Whether the layer of a number slides, in a config that lists no `layer_types`."""


def _always(_layer: int, _config: Mapping[str, Any]) -> bool:
    return True


def _late(first: int) -> Slides:
    return lambda layer, config: layer >= positive(config, "max_window_layers", {"max_window_layers": first})


def _all_but_every(step: int, field: str) -> Slides:
    return lambda layer, config: bool((layer + 1) % positive(config, field, {field: step}))


def _even_and_early(layer: int, config: Mapping[str, Any]) -> bool:
    return layer % 2 == 0 and not _late(28)(layer, config)


def _without_rotation(layer: int, config: Mapping[str, Any]) -> bool:
    listed: Any = config.get("no_rope_layers")
    if isinstance(listed, list):
        return layer < len(cast("list[Any]", listed)) and not listed[layer]
    return not _all_but_every(4, "no_rope_layer_interval")(layer, config)


WITH_WINDOW: Mapping[str, tuple[int, Slides]] = {
    "mistral": (4096, _always),
    "mixtral": (0, _always),
    "phi3": (0, _always),
    "gemma2": (4096, lambda layer, _config: layer % 2 == 0),
    "gemma3_text": (4096, _all_but_every(6, "sliding_window_pattern")),
}
"""Family -> the window where config.json leaves it out (0: none), and which layers slide."""

ON_REQUEST: Mapping[str, Slides] = {
    "qwen2": _late(28),
    "qwen3": _late(28),
    "qwen2_vl": _late(80),
    "qwen2_5_vl": _late(80),
    "qwen2_moe": _even_and_early,
    "qwen3_moe": _always,
    "smollm3": _without_rotation,
}
"""Families that slide with `use_sliding_window` only."""


def windows_of(config: Mapping[str, Any], family: str, layers: int) -> tuple[int, int]:
    """Tokens of the sliding window and how many layers have it; (0, 0) where none has.

    Args:
        config: Values of config.json, of the text part.
        family: A name of `workbench.memory.families`.
        layers: Decoder layers.

    Raises:
        ModelError: For a window that is no positive whole number (WB802).
    """
    if family in ON_REQUEST:
        window, slides = (4096 if config.get("use_sliding_window") else 0), ON_REQUEST[family]
    elif family in WITH_WINDOW:
        window, slides = WITH_WINDOW[family]
    else:
        return 0, 0
    if "sliding_window" in config and (window or family in WITH_WINDOW):
        window = 0 if config["sliding_window"] is None else positive(config, "sliding_window")
    if not window:
        return 0, 0
    listed: Any = config.get("layer_types")
    if isinstance(listed, list):
        count = cast("list[Any]", listed).count("sliding_attention")
    else:
        count = sum(slides(layer, config) for layer in range(layers))
    return (window, count) if count else (0, 0)
