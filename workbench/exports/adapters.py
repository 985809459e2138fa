"""A recipe's adapter in a target's own keys: LoRA and what belongs to it; everything else is refused by name.

    lora_values(recipe, AXOLOTL_LORA)  ->  ({"lora_r": 16, …, "peft_use_dora": True}, {})

Source: axolotl 0.18, utils/schemas/peft.py and loaders/adapter.py; trl 1.16, trainer/model_config.py (ModelConfig);
peft 0.21, tuners/lora/config.py (defaults).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.recipes import Recipe

AXOLOTL_LORA: Mapping[str, str] = {
    "r": "lora_r",
    "lora_alpha": "lora_alpha",
    "lora_dropout": "lora_dropout",
    "target_modules": "lora_target_modules",
    "target_parameters": "lora_target_parameters",
    "modules_to_save": "lora_modules_to_save",
    "rank_pattern": "lora_rank_pattern",
    "alpha_pattern": "lora_alpha_pattern",
    "layers_to_transform": "peft_layers_to_transform",
    "layers_pattern": "peft_layers_pattern",
    "layer_replication": "peft_layer_replication",
    "trainable_token_indices": "peft_trainable_token_indices",
    "init_lora_weights": "peft_init_lora_weights",
    "use_dora": "peft_use_dora",
    "use_rslora": "peft_use_rslora",
}
TRL_LORA: Mapping[str, str] = {
    "r": "lora_r",
    "lora_alpha": "lora_alpha",
    "lora_dropout": "lora_dropout",
    "target_modules": "lora_target_modules",
    "target_parameters": "lora_target_parameters",
    "modules_to_save": "lora_modules_to_save",
    "use_dora": "use_dora",
    "use_rslora": "use_rslora",
}
DEFAULTS: Mapping[str, Any] = {"r": 8, "lora_alpha": 8, "lora_dropout": 0.0}
"""Of PEFT's LoRA config: a mapping that leaves them out means these, and the targets have others of their own."""

NEUTRAL: Mapping[str, tuple[Any, ...]] = {"bias": ("none",), "init_lora_weights": (True,), "task_type": ("CAUSAL_LM",)}
"""Values that need no key: what PEFT and the targets take anyway."""

RECORDS = ("peft_type", "peft_version", "base_model_name_or_path", "auto_mapping", "revision", "inference_mode")
"""Fields of a saved adapter config that say where it comes from, not how it is trained."""


def lora_values(recipe: Recipe, keys: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Values of the target's keys, and why the recipe's `adapter` is refused.

    Args:
        recipe: With an adapter.
        keys: Field of PEFT's LoRA config -> the target's key.
    """
    given = recipe.peft or {}
    if given["peft_type"] != "LORA":
        return {}, {"adapter": f"{given['peft_type']}; only LoRA has keys there"}
    config = {**DEFAULTS, **given}
    said = {name: value for name, value in config.items() if _says(name, value)}
    beyond = sorted(name for name in said if name not in keys)
    if beyond:
        return {}, {"adapter": f"no key for {', '.join(beyond)}"}
    return {keys[name]: value for name, value in said.items()}, {}


def _says(name: str, value: Any) -> bool:
    """Whether a field of PEFT's config says anything that the target must be told."""
    if name in DEFAULTS:
        return True
    empty = value is None or value is False or (isinstance(value, dict | list | str) and not value)
    return name not in RECORDS and not empty and not any(value is one or value == one for one in NEUTRAL.get(name, ()))
