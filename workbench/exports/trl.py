"""A recipe as a config of `trl sft`.

    values, notes = to_trl(recipe, facts, folder)

TRL cannot take a mask by rule, so the rows are ids and labels, which SFTTrainer keeps as they are: what it trains is
what was previewed. Pure: writes nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.exports.adapters import TRL_LORA, lora_values
from workbench.exports.facts import ExportFacts
from workbench.exports.fields import refuse, unknown_names
from workbench.recipes import Recipe

DATA, TEMPLATE = "data", "chat_template.jinja"


def to_trl(recipe: Recipe, facts: ExportFacts) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Config values and notes; paths are relative to the folder `trl sft` is started in.

    Raises:
        ExportError: Naming every field that `trl sft` cannot express (WB701).
    """
    refused = unknown_names(recipe.optim, recipe.lr_scheduler_type)
    if facts.tokenizer != facts.model and not _same_folder(facts.tokenizer, facts.model):
        refused["tokenizer"] = f"{facts.tokenizer!r} is not the model's, and `trl sft` takes no other"
    adapter, without = _adapter(recipe)
    refuse("trl sft", refused | without)
    half = recipe.precision == "bfloat16" or (recipe.precision == "auto" and facts.device == "cuda")
    values: dict[str, Any] = {
        "model_name_or_path": facts.model,
        "model_revision": recipe.revision,
        "trust_remote_code": recipe.trust_remote_code or None,
        # trained weights stay float32, as here
        "dtype": "bfloat16" if half and not recipe.full else "float32",
        "dataset_name": DATA,
        "chat_template_path": TEMPLATE if facts.template else None,
        "packing": recipe.packing != "none",
        "packing_strategy": "bfd" if recipe.packing == "bfd" else None,
        **adapter,
        **_training(recipe),
        "bf16": half,
        "use_cpu": True if facts.device == "cpu" else None,
        "logging_nan_inf_filter": False,
        "report_to": "none",
        "output_dir": "out",
    }
    kept = {key: value for key, value in values.items() if value is not None}
    # an explicit null: rows are cut already, and TRL's default would cut them at 1,024 tokens
    kept["max_length"] = _bin_length(recipe, facts) if recipe.packing != "none" else None
    return kept, _notes(recipe, facts)


def _bin_length(recipe: Recipe, facts: ExportFacts) -> int:
    return recipe.max_length or facts.longest


def _same_folder(one: str, other: str) -> bool:
    return Path(one).is_dir() and Path(other).is_dir() and Path(one).samefile(other)


def _adapter(recipe: Recipe) -> tuple[dict[str, Any], dict[str, str]]:
    """Flags of the adapter and of quantised weights, and why it is refused."""
    if recipe.full:
        return {}, {}
    values, refused = lora_values(recipe, TRL_LORA)
    for key in ("lora_target_modules", "lora_target_parameters"):
        if isinstance(values.get(key), str):
            values[key] = [values[key]]
    bits = {"nf4": {"load_in_4bit": True, "use_bnb_nested_quant": True}, "int8": {"load_in_8bit": True}}
    return {"use_peft": True, **values, **bits.get(recipe.quantised, {})}, refused


def _training(recipe: Recipe) -> dict[str, Any]:
    return {
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": recipe.lr_scheduler_type,
        "warmup_steps": recipe.warmup_steps,
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.max_grad_norm,
        "optim": recipe.optim,
        "num_train_epochs": recipe.epochs,
        "max_steps": recipe.max_steps,
        "per_device_train_batch_size": recipe.per_device_train_batch_size,
        "gradient_accumulation_steps": recipe.gradient_accumulation_steps,
        "gradient_checkpointing": recipe.gradient_checkpointing,
        "seed": recipe.seed,
        "logging_steps": recipe.logging_steps,
        "save_strategy": "steps" if recipe.save_steps else "no",
        "save_steps": recipe.save_steps,
    }


def _notes(recipe: Recipe, facts: ExportFacts) -> tuple[str, ...]:
    notes: list[str] = []
    if recipe.precision == "auto":
        notes.append(f"precision: `trl sft` has no auto; written for {facts.device}.")
    low = recipe.precision == "bfloat16" or (recipe.precision == "auto" and facts.device == "cuda")
    if recipe.float32_rest and low:
        notes.append("adapter: `trl sft` leaves what is not quantised in bfloat16; here it is float32.")
    return tuple(notes)
