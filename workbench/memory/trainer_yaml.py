"""Configs of LLaMA-Factory and of TRL's command line as recipes and options of an estimate.

    read_trainer({"model_name_or_path": "…", "finetuning_type": "lora", "cutoff_len": 2048, …}).recipe

Both name most fields as transformers' TrainingArguments does. As with axolotl's, every key is read, known to leave
memory alone, or named in `assumptions`.

Source: LLaMA-Factory 0.9, src/llamafactory/hparams; TRL 1.16, trl/trainer/sft_config.py and model_config.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from workbench.errors import RecipeError
from workbench.memory.axolotl import Notes, Reading, deepspeed_of
from workbench.memory.plan import COMPILED

LLAMA_FACTORY = ("finetuning_type", "stage", "cutoff_len", "lora_rank")
TRL = (
    "use_peft",
    "dataset_name",
    "lora_target_modules",
    "assistant_only_loss",
    "packing_strategy",
    "dataset_text_field",
)

STAGES: Mapping[str, str] = {"sft": "sft", "pt": "sft", "dpo": "dpo", "kto": "kto", "rm": "reward"}
ATTENTION: Mapping[str, str] = {
    "fa2": "flash_attention_2",
    "sdpa": "sdpa",
    "disabled": "eager",
    "flash_attention_2": "flash_attention_2",
    "eager": "eager",
}
READ = frozenset(
    """model_name_or_path model_revision trust_remote_code stage finetuning_type lora_rank lora_r lora_alpha
    lora_dropout lora_target lora_target_modules cutoff_len max_length max_seq_length per_device_train_batch_size
    use_peft packing neat_packing gradient_accumulation_steps gradient_checkpointing disable_gradient_checkpointing
    optim bf16 fp16 pure_bf16 flash_attn attn_implementation quantization_bit load_in_4bit load_in_8bit use_dora
    use_rslora deepspeed dtype torch_dtype enable_liger_kernel use_liger_kernel use_unsloth use_unsloth_gc
    activation_offloading lora_modules_to_save lora_target_parameters use_bnb_nested_quant""".split()
)
QUIET_PREFIXES = tuple(
    """learning_rate lr_ warmup weight_decay max_grad_norm num_train max_steps seed data_seed logging_ save_ report_to
    output_dir overwrite_ plot_loss template dataset preprocessing_ dataloader_ ddp_timeout do_train do_eval eval_steps
    eval_strategy resume_ max_samples run_name hub_ push_to_hub val_size image_dir media_dir chat_template_path
    torch_compile packing_strategy assistant_only completion_only skip_prepare use_cpu cache_dir tf32
    loss_type""".split()
)


def is_trainer_yaml(values: Mapping[str, Any]) -> bool:
    """Whether a YAML mapping is a config of LLaMA-Factory or of TRL's command line."""
    return "model_name_or_path" in values and any(mark in values for mark in (*LLAMA_FACTORY, *TRL))


def read_trainer(values: Mapping[str, Any], folder: Path | None = None) -> Reading:
    """Read such a config; arguments and errors as `workbench.memory.axolotl.read_axolotl`."""
    notes = Notes(values, folder or Path())
    factory = any(mark in values for mark in LLAMA_FACTORY)
    model = values.get("model_name_or_path")
    if not isinstance(model, str) or not model:
        raise RecipeError(f"model_name_or_path={model!r} names no model.", remedy="Give a name.", code="WB402")
    length = next(
        (notes.whole(key, 0) for key in ("cutoff_len", "max_length", "max_seq_length") if notes.has(key)), None
    )
    if length is None:
        length = 2048 if factory else 1024
        notes.notes.append(f"no length is given: taken as the tool's default, {length} tokens")
    packed = notes.has("packing") or notes.has("neat_packing")
    recipe: dict[str, Any] = {
        "model": model,
        "per_device_train_batch_size": notes.whole("per_device_train_batch_size", 8),
        "gradient_accumulation_steps": notes.whole("gradient_accumulation_steps", 1),
        "packing": "bfd" if packed else "none",
        "max_length": length,
        "gradient_checkpointing": _checkpointing(notes, factory),
        "optim": str(values.get("optim") or ("adamw_torch" if factory else "adamw_torch_fused")),
    }
    adapter, options = _adapter(notes, factory)
    options |= {**_types(notes), **_attention(notes), **_task(notes)}
    options |= _kernels(notes, factory, "task" in options)
    if factory and "task" not in options:
        options["loss"] = "logits"  # its trainer is transformers' own
    if notes.has("deepspeed"):
        options |= deepspeed_of(notes)
    notes.notes.append(f"the longest row has {length} tokens, where rows are cut; --length or --lengths says better")
    notes.notes += [COMPILED] if notes.has("torch_compile") else []
    for key in sorted(str(key) for key in values if notes.has(str(key))):
        if key not in READ and not key.startswith(QUIET_PREFIXES):
            shown = str(values[key])[:60]
            notes.notes.append(f"not known here: {key}={shown}; if it changes memory, the figures do not show it")
    return Reading({**recipe, **adapter}, options, length, tuple(notes.notes))


def _checkpointing(notes: Notes, factory: bool) -> bool:
    """LLaMA-Factory checkpoints unless it is told not to; TRL's SFT does too."""
    if factory:
        return not notes.has("disable_gradient_checkpointing")
    return bool(notes.values.get("gradient_checkpointing", True))


def _kernels(notes: Notes, factory: bool, preferences: bool) -> dict[str, Any]:
    """Kernels of other tools, and whether inputs of layers are offloaded.

    Source: LLaMA-Factory ff6d4d12, model/model_utils/{liger_kernel,unsloth,checkpointing}.py; trl 1.16,
    trainer/sft_trainer.py, which keeps its own head beside Liger's other kernels.
    """
    words: list[str] = []
    if notes.has("enable_liger_kernel" if factory else "use_liger_kernel"):
        words += ["liger"] if preferences or not factory else ["liger", "liger_cross_entropy"]
    if factory and notes.has("use_unsloth"):
        words += ["unsloth"]
    elif factory and notes.has("use_unsloth_gc"):
        words += ["unsloth_gc"]
    offloads = any(word.startswith("unsloth") for word in words) or (not factory and notes.has("activation_offloading"))
    found: dict[str, Any] = {"kernels": words} if words else {}
    return {**found, "activation_offloading": True} if offloads else found


def _types(notes: Notes) -> dict[str, Any]:
    if notes.has("bf16") or notes.has("fp16") or notes.has("pure_bf16"):
        return {"dtype": "bfloat16", "autocast": not notes.has("pure_bf16")}
    low = "16" in str(notes.values.get("dtype") or notes.values.get("torch_dtype") or "")
    return {"dtype": "bfloat16" if low else "float32", "autocast": False}


def _attention(notes: Notes) -> dict[str, Any]:
    given = str(notes.values.get("flash_attn") or notes.values.get("attn_implementation") or "sdpa")
    if given in ATTENTION:
        return {"attention": ATTENTION[given]}
    if given != "auto":
        notes.notes.append(f"attention {given!r} is taken as sdpa")
    return {"attention": "sdpa"}


def _task(notes: Notes) -> dict[str, Any]:
    stage = notes.values.get("stage")
    if stage is not None and stage not in STAGES:
        notes.notes.append(f"stage={stage!r} is not known here: shown as supervised training")
    task = STAGES.get(str(stage), "sft")
    return {} if task == "sft" else {"task": task}


def _adapter(notes: Notes, factory: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    values = notes.values
    kind = values.get("finetuning_type", "lora") if factory else "lora" if notes.has("use_peft") else "full"
    bits = values.get("quantization_bit")
    quantisation = "nf4" if bits == 4 or notes.has("load_in_4bit") else None
    quantisation = "int8" if bits == 8 or notes.has("load_in_8bit") else quantisation
    options: dict[str, Any] = {"quantisation": quantisation} if quantisation else {}
    if bits not in (None, 4, 8):
        notes.notes.append(f"quantization_bit={bits!r} is not known here: taken as not quantised")
    if kind == "full":
        return {"adapter": "none"}, options
    if kind != "lora":
        notes.notes.append(f"finetuning_type={kind!r} is not known here: taken as lora")
    given = values.get("lora_target") if factory else values.get("lora_target_modules")
    targets: Any = "all-linear" if given in (None, "all", "all-linear") else given
    if isinstance(targets, str) and targets != "all-linear":
        targets = [name.strip() for name in targets.split(",")]
    if given is None and not factory:
        targets = ["q_proj", "v_proj"]
        notes.notes.append("no lora_target_modules: taken as q_proj and v_proj")
    rank = notes.whole("lora_rank", 8) if factory else notes.whole("lora_r", 16)
    dropout = values.get("lora_dropout", 0.0 if factory else 0.05)
    recipe = {
        "adapter": "lora",
        "r": rank,
        "lora_alpha": notes.whole("lora_alpha", 2 * rank if factory else 32),
        "lora_dropout": float(dropout) if isinstance(dropout, int | float) else 0.0,
        "target_modules": list(cast("list[str]", targets)) if isinstance(targets, list) else targets,
    }
    said: dict[str, Any] = {name: True for name in ("use_dora", "use_rslora") if notes.has(name)}
    said |= {
        name: values[f"lora_{name}"] for name in ("modules_to_save", "target_parameters") if notes.has(f"lora_{name}")
    }
    if quantisation == "nf4" and not factory and not notes.has("use_bnb_nested_quant"):
        notes.notes.append("scales of 4-bit weights are not quantised again: 0.05 bytes a weight more than shown")
    if said:
        base = {name: recipe[name] for name in ("r", "lora_alpha", "lora_dropout", "target_modules")}
        options["adapter"] = {"peft_type": "LORA", **base, **said}
    return recipe, options
