"""PEFT's config of a trace: without the initialisations that read weights or texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.training.peft_config import peft_config

WEIGHT_READING = ("pissa", "olora", "loftq", "eva", "corda", "lora_ga")
"""Beginnings of LoRA's initialisations that read weights or activations; the matrices they fill have LoRA's shapes.

Source: peft 0.21, tuners/lora/layer.py (they replace values of lora_A, lora_B and of the base weight, types kept).
"""
INIT_CONFIGS = ("loftq_config", "eva_config", "corda_config", "lora_ga_config")


def adapter(values: Mapping[str, Any], notes: list[str]) -> Any:
    """A PEFT config from a mapping, as `workbench.training.peft_config`, for weights that have no values.

    Args:
        values: Fields of PEFT's config with `peft_type`.
        notes: Gets a sentence for what is traced in another way than it is written.

    Raises:
        RecipeError: For a type PEFT does not have, or fields its config refuses (WB812).
    """
    return peft_config(_without_values(dict(values), notes), notes)


def _without_values(kept: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    """The fields with initialisations that read weights or texts replaced by plain ones, whose shapes are the same."""
    init = kept.get("init_lora_weights")
    if isinstance(init, str) and init.lower().startswith(WEIGHT_READING):
        notes.append(
            f"init_lora_weights={init!r} reads weights or data: its shapes are LoRA's, its values are not made"
        )
        kept = {key: value for key, value in kept.items() if key not in INIT_CONFIGS}
        kept["init_lora_weights"] = True
    if str(kept.get("prompt_tuning_init", "")).rsplit(".", 1)[-1] in ("TEXT", "SAMPLE_VOCAB"):
        notes.append("the prompt's first values are not made")
        kept["prompt_tuning_init"] = "RANDOM"
    return kept
