"""PEFT's config from a mapping, whichever version of PEFT wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.errors import RecipeError

WEIGHT_READING = ("pissa", "olora", "loftq", "eva", "corda", "lora_ga")
"""Beginnings of LoRA's initialisations that read weights or activations; the matrices they fill have LoRA's shapes.

Source: peft 0.21, tuners/lora/layer.py (they replace values of lora_A, lora_B and of the base weight, types kept).
"""
INIT_CONFIGS = ("loftq_config", "eva_config", "corda_config", "lora_ga_config")
FORMER_NAMES = {"BONE": "MISS"}
"""Methods that PEFT renamed. Source: peft 0.21, tuners/miss (MiSS is Bone's successor, with the same block)."""


def adapter(values: Mapping[str, Any], notes: list[str]) -> Any:
    """A PEFT config from a mapping with `peft_type`.

    Args:
        values: Fields of PEFT's config, or a saved adapter_config.json (with `peft_version`), whose fields that this
            PEFT does not have are left out, as PEFT does when it loads one.
        notes: Gets a sentence for what is traced in another way than it is written.

    Raises:
        RecipeError: For a type PEFT does not have, or fields its config refuses (WB812).
    """
    from dataclasses import fields

    maker, values = _maker(dict(values), notes)
    known = {field.name for field in fields(maker)}
    saved = "peft_version" in values
    unknown = sorted(set(values) - known - {"peft_version", "auto_mapping"})
    if unknown and not saved:
        raise RecipeError(f"PEFT's {maker.__name__} has no field {unknown[0]!r}.", code="WB812")
    if unknown:
        notes.append(f"left out of the saved adapter config, as PEFT does: {', '.join(unknown)}")
    kept = _without_values({key: value for key, value in values.items() if key in known}, notes)
    kept["inference_mode"] = False
    kept.setdefault("task_type", "CAUSAL_LM")
    if "oft_block_size" in known and kept.get("r") and "oft_block_size" not in kept:
        kept["oft_block_size"] = 0  # one follows from the other, and PEFT's default is not left standing beside r
    try:
        return maker(**kept)
    except Exception as error:
        raise RecipeError(f"PEFT refuses the adapter: {str(error).splitlines()[0]}", code="WB812") from error


def _maker(values: dict[str, Any], notes: list[str]) -> tuple[Any, dict[str, Any]]:
    from peft import PEFT_TYPE_TO_CONFIG_MAPPING

    name = str(values.pop("peft_type", "LORA")).upper().rsplit(".", 1)[-1]
    kinds = {str(kind.value): made for kind, made in PEFT_TYPE_TO_CONFIG_MAPPING.items()}
    if name not in kinds and FORMER_NAMES.get(name) in kinds:
        notes.append(f"{name} is traced as {FORMER_NAMES[name]}, its name in this PEFT")
        name = FORMER_NAMES[name]
    if name not in kinds:
        raise RecipeError(f"PEFT has no method {name!r}.", remedy=f"Known: {', '.join(sorted(kinds))}.", code="WB812")
    return kinds[name], values


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
