"""A recipe as an axolotl config.

    values, notes = to_axolotl(recipe, facts, form="rows")

Checked with axolotl 0.19: its own validation accepts the config and its own preprocessing gives our ids and labels
(tests/parity). Pure: writes nothing.
"""

from __future__ import annotations

from typing import Any

from workbench.exports.adapters import AXOLOTL_LORA, lora_values
from workbench.exports.facts import ExportFacts, Form
from workbench.exports.fields import refuse, unknown_names
from workbench.exports.rows import needs_flags, stop_texts
from workbench.recipes import Recipe
from workbench.types import Conversation, Text

DATA = "data/train.jsonl"
"""Path of the rows; relative to the folder axolotl is started in, which is the export's."""


def to_axolotl(recipe: Recipe, facts: ExportFacts, form: Form) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Config values and notes.

    Args:
        recipe: The recipe.
        facts: The rows and what they were made with.
        form: `rows` as messages, segments or text; `tokens` as ids and labels.

    Raises:
        ExportError: Naming every field that axolotl cannot express (WB701).
    """
    refused = unknown_names(recipe.optim, recipe.lr_scheduler_type)
    if recipe.warmup_steps == 1:
        refused["warmup_steps"] = "axolotl makes 1 to 2; use 0 or 2"
    adapter, without = _adapter(recipe)
    refused |= without
    refuse("axolotl", refused)
    values: dict[str, Any] = {
        "base_model": facts.model,
        "revision_of_model": recipe.revision,
        "trust_remote_code": recipe.trust_remote_code or None,
        "tokenizer_config": facts.tokenizer,
        **_special_tokens(facts),
        "datasets": [_dataset(recipe, facts, form)],
        **_template(facts, form),
        # one set in the order of the preview; the trainer still draws rows in a random order
        "shuffle_merged_datasets": False,
        "sequence_len": recipe.max_length or facts.longest,
        "excess_length_strategy": "truncate",
        "min_sample_len": 1,
        "sample_packing": recipe.packing != "none",
        "pad_to_sequence_len": False,
        **adapter,
        **_training(recipe),
        "output_dir": "out",
    }
    return {key: value for key, value in values.items() if value is not None}, _notes(recipe)


def _dataset(recipe: Recipe, facts: ExportFacts, form: Form) -> dict[str, Any]:
    dataset: dict[str, Any] = {"path": DATA, "ds_type": "json"}
    if form == "tokens":
        return {**dataset, "type": ""}
    first = facts.examples[0]
    if isinstance(first, Text):
        return {**dataset, "type": "completion", "field": "text"}
    if not isinstance(first, Conversation):
        return {**dataset, "type": "input_output"}
    dataset |= {
        "type": "chat_template",
        "field_messages": "messages",
        "message_property_mappings": {"role": "role", "content": "content"},
        "roles_to_train": ["assistant"],
        **_stop_keys(facts),
    }
    if needs_flags(recipe, facts):
        dataset["message_field_training"] = "train"
    return dataset


def _stop_keys(facts: ExportFacts) -> dict[str, str]:
    """Which token ends a trained turn; EOS is named only where it does, or it would be trained behind another one."""
    stops = stop_texts(facts)
    eos = facts.special_tokens.get("eos_token") in stops
    return {"train_on_eos": "turn" if eos else "none", "train_on_eot": "turn" if stops else "none"}


def _template(facts: ExportFacts, form: Form) -> dict[str, Any]:
    """The template is written even where rows are tokens, because axolotl saves it with the model."""
    if facts.template is None:
        return {}
    values: dict[str, Any] = {"chat_template": "jinja", "chat_template_jinja": str.__str__(facts.template.source)}
    if form == "rows":
        stops = stop_texts(facts)
        if stops and stops != (facts.special_tokens.get("eos_token"),):
            values["eot_tokens"] = list(stops)
        if facts.variables:
            values["chat_template_kwargs"] = dict(facts.variables)
    return values


def _special_tokens(facts: ExportFacts) -> dict[str, Any]:
    """TRL pads with EOS where there is no padding token; axolotl may add a new one unless it is told."""
    eos = facts.special_tokens.get("eos_token")
    if eos and "pad_token" not in facts.special_tokens:
        return {"special_tokens": {"pad_token": eos}}
    return {}


def _adapter(recipe: Recipe) -> tuple[dict[str, Any], dict[str, str]]:
    """Keys of the adapter and of quantised weights, and why it is refused."""
    if recipe.full:
        return {}, {}
    values, refused = lora_values(recipe, AXOLOTL_LORA)
    targets = values.get("lora_target_modules")
    if not refused and not targets and not values.get("lora_target_parameters"):
        refused = {"adapter": "no target_modules, and axolotl takes no default"}
    if targets == "all-linear":
        del values["lora_target_modules"]
        values["lora_target_linear"] = True
    bits = {"nf4": {"load_in_4bit": True}, "int8": {"load_in_8bit": True}}.get(recipe.quantised, {})
    return {"adapter": "qlora" if recipe.quantised == "nf4" else "lora", **values, **bits}, refused


def _training(recipe: Recipe) -> dict[str, Any]:
    return {
        "learning_rate": recipe.learning_rate,
        "lr_scheduler": recipe.lr_scheduler_type,
        "warmup_steps": recipe.warmup_steps,
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.max_grad_norm,
        "optimizer": recipe.optim,
        "num_epochs": recipe.epochs,
        "max_steps": recipe.max_steps,
        "micro_batch_size": recipe.per_device_train_batch_size,
        "gradient_accumulation_steps": recipe.gradient_accumulation_steps,
        "gradient_checkpointing": recipe.gradient_checkpointing,
        "bf16": {"auto": "auto", "bfloat16": True, "float32": False}[recipe.precision],
        "fp16": False,
        "seed": recipe.seed,
        "logging_steps": recipe.logging_steps,
        "save_steps": recipe.save_steps,
        "save_strategy": "steps" if recipe.save_steps else "no",
    }


def _notes(recipe: Recipe) -> tuple[str, ...]:
    notes: list[str] = []
    if recipe.packing != "none":
        notes.append("packing: axolotl fills its bins anew in every epoch, so documents meet in other bins than here.")
        notes.append("packing: axolotl keeps packed documents apart only with an attention kernel that it patches.")
    if recipe.quantised != "none" and recipe.precision != "float32":
        rest = "float32" if recipe.float32_rest else "bfloat16"
        notes.append(
            f"adapter: axolotl makes what is not quantised float32, and casts norms and embeddings back to bfloat16 for"
            f" most attention kernels; here it is {rest}."
        )
    if recipe.full and recipe.precision != "float32":
        notes.append("precision: axolotl keeps trained weights in bfloat16; here they stay float32.")
    return tuple(notes)
