"""How every field of a recipe is expressed in every target: one literal table a target.

    AXOLOTL["r"]       ->  Field("lora_r")
    TRL["tokenizer"]   ->  Field("", derived="…", limit="only the model's own tokenizer")

A field without an entry cannot be added unnoticed: tests/exports compares the tables with the dataclass. `limit` says
which values are refused; the refusal itself is in the target's module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from workbench.errors import ExportError


@dataclass(frozen=True, slots=True)
class Field:
    """How one recipe field is expressed.

    Attributes:
        key: The target's key or keys; empty where no key carries it.
        derived: How it is carried instead of, or on top of, the key.
        limit: Which values the target cannot express; empty where it can express all.
    """

    key: str = ""
    derived: str = ""
    limit: str = ""

    def __str__(self) -> str:
        return ": ".join(part for part in (self.key, self.derived) if part)


WRITTEN = "the rows are written out converted, so the target needs neither path, type nor columns"

AXOLOTL: Mapping[str, Field] = {
    "model": Field("base_model"),
    "revision": Field("revision_of_model"),
    "trust_remote_code": Field("trust_remote_code"),
    "method": Field(derived="a config without `rl` is supervised fine-tuning"),
    "adapter": Field(
        "adapter, load_in_4bit, peft_use_dora, peft_use_rslora",
        limit="methods of PEFT but LoRA, fields of LoRA without a key, a mapping without target_modules",
    ),
    "r": Field("lora_r"),
    "lora_alpha": Field("lora_alpha"),
    "lora_dropout": Field("lora_dropout"),
    "target_modules": Field("lora_target_linear, lora_target_modules"),
    "quantisation": Field("load_in_4bit, load_in_8bit, adapter", "4-bit weights are its adapter `qlora`"),
    "data": Field("datasets", WRITTEN),
    "template": Field("chat_template_jinja", "its source, to the character"),
    "tokenizer": Field("tokenizer_config"),
    "train_on": Field("roles_to_train, train_on_eos, message_field_training", "or labels, where rows are tokens"),
    "mask": Field(derived="labels: rows are written as tokens where it is not the default"),
    "chat_template_kwargs": Field("chat_template_kwargs"),
    "max_length": Field("sequence_len", "the longest row where it is None; rows are written cut"),
    "packing": Field("sample_packing"),
    "learning_rate": Field("learning_rate"),
    "lr_scheduler_type": Field("lr_scheduler", limit="names that are no transformers SchedulerType"),
    "warmup_steps": Field("warmup_steps", limit="1: axolotl makes it 2"),
    "weight_decay": Field("weight_decay"),
    "max_grad_norm": Field("max_grad_norm"),
    "optim": Field("optimizer", limit="names that are no transformers OptimizerNames"),
    "epochs": Field("num_epochs"),
    "max_steps": Field("max_steps"),
    "per_device_train_batch_size": Field("micro_batch_size"),
    "gradient_accumulation_steps": Field("gradient_accumulation_steps"),
    "gradient_checkpointing": Field("gradient_checkpointing"),
    "precision": Field("bf16, fp16"),
    "seed": Field("seed"),
    "logging_steps": Field("logging_steps"),
    "save_steps": Field("save_steps, save_strategy"),
}

TRL: Mapping[str, Field] = {
    "model": Field("model_name_or_path"),
    "revision": Field("model_revision"),
    "trust_remote_code": Field("trust_remote_code"),
    "method": Field(derived="the command is `trl sft`"),
    "adapter": Field(
        "use_peft, use_dora, use_rslora, load_in_4bit, use_bnb_nested_quant",
        limit="methods of PEFT but LoRA, fields of LoRA without a flag",
    ),
    "r": Field("lora_r"),
    "lora_alpha": Field("lora_alpha"),
    "lora_dropout": Field("lora_dropout"),
    "target_modules": Field("lora_target_modules"),
    "quantisation": Field("load_in_4bit, load_in_8bit, use_bnb_nested_quant"),
    "data": Field("dataset_name", "ids and labels are written out, which SFTTrainer keeps as they are"),
    "template": Field("chat_template_path", "only saved with the model; the rows are tokens already"),
    "tokenizer": Field(
        derived="`trl sft` loads the model's own", limit="a tokenizer that is not the model's: the command takes none"
    ),
    "train_on": Field("labels"),
    "mask": Field("labels"),
    "chat_template_kwargs": Field(derived="the rows are tokens already"),
    "max_length": Field("max_length", "rows are written cut; packing needs the number"),
    "packing": Field("packing, packing_strategy"),
    "learning_rate": Field("learning_rate"),
    "lr_scheduler_type": Field("lr_scheduler_type", limit="names that are no transformers SchedulerType"),
    "warmup_steps": Field("warmup_steps"),
    "weight_decay": Field("weight_decay"),
    "max_grad_norm": Field("max_grad_norm"),
    "optim": Field("optim", limit="names that are no transformers OptimizerNames"),
    "epochs": Field("num_train_epochs"),
    "max_steps": Field("max_steps"),
    "per_device_train_batch_size": Field("per_device_train_batch_size"),
    "gradient_accumulation_steps": Field("gradient_accumulation_steps"),
    "gradient_checkpointing": Field("gradient_checkpointing"),
    "precision": Field("bf16, dtype, use_cpu"),
    "seed": Field("seed"),
    "logging_steps": Field("logging_steps"),
    "save_steps": Field("save_steps, save_strategy"),
}


def refuse(target: str, refused: Mapping[str, str]) -> None:
    """Raise for fields that the target cannot express.

    Raises:
        ExportError: Naming every one of them (WB701); nothing is raised for none.
    """
    if refused:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in refused.items())
        raise ExportError(
            f"{target} cannot express {', '.join(refused)} ({reasons}).",
            remedy="Change these fields, or train here.",
            code="WB701",
        )


def unknown_names(optim: str, scheduler: str) -> dict[str, str]:
    """Recipe fields whose name transformers' Trainer, and with it both targets, does not know."""
    from transformers import SchedulerType
    from transformers.training_args import OptimizerNames

    refused: dict[str, str] = {}
    for name, value, known in (
        ("optim", optim, [item.value for item in OptimizerNames]),
        ("lr_scheduler_type", scheduler, [item.value for item in SchedulerType]),
    ):
        if value not in known:
            refused[name] = f"{value!r} is none of {', '.join(known)}"
    return refused
