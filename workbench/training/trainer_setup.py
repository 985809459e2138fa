"""From a job to a ready SFTTrainer: model, tokenizer, dataset, arguments. TRL's own classes, never patched.

    trainer = build_trainer(job, run_dir, callback)

The rows are already token ids and labels (`skip_prepare_dataset`), so TRL neither renders, cuts nor drops anything;
packed rows carry `seq_lengths`, from which TRL's collator restarts `position_ids` under `padding_free`
(trl 1.16, DataCollatorForLanguageModeling.torch_call; batches identical to those of its own packing).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.errors import ModelError, TokenizerError
from workbench.recipes import Recipe
from workbench.training.checkpoint import verify
from workbench.training.peft_config import naming_the_adapter, peft_config
from workbench.training.quantised import bits_config, elements_of, prepared, resuming, type_of

EMBEDDED = "tiny-llama"


def build_trainer(job: dict[str, Any], run_dir: Path, callback: Any) -> Any:
    """The trainer of a job. The seed is set before anything random, adapter and new heads included."""
    import torch
    from transformers import PrinterCallback, set_seed
    from trl import SFTTrainer

    recipe = Recipe.from_dict(job["recipe"])
    if job.get("threads"):
        torch.set_num_threads(int(job["threads"]))
    if job.get("resume"):
        verify(Path(job["resume"]))
    set_seed(recipe.seed)
    tokenizer = load_tokenizer(job, recipe)
    model = load_model(job["model"], recipe)
    maker = SFTTrainer if recipe.quantised == "none" else resuming(SFTTrainer)
    with naming_the_adapter():
        trainer = maker(
            model=model,
            args=training_arguments(
                recipe, run_dir / "out", packed=bool(job["packed"]), in_order=bool(job.get("measuring"))
            ),
            train_dataset=train_dataset(run_dir / job["dataset"], packed=bool(job["packed"])),
            processing_class=tokenizer,
            peft_config=adapter_config(recipe),
            callbacks=[callback],
        )
    trainer.remove_callback(PrinterCallback)  # it would print every metric event into train.log again
    return trainer


def training_arguments(recipe: Recipe, out: Path, *, packed: bool, in_order: bool = False) -> Any:
    """The SFTConfig of a recipe.

    Differences from TRL's defaults are on purpose: nothing is reported anywhere, a loss that is not a number is
    logged as such (not as 0), checkpoints are never rotated away by the trainer, and a machine without CUDA trains
    on the CPU in float32.
    """
    import torch
    from trl import SFTConfig

    use_cpu = not torch.cuda.is_available()
    return SFTConfig(
        output_dir=str(out),
        per_device_train_batch_size=recipe.per_device_train_batch_size,
        gradient_accumulation_steps=recipe.gradient_accumulation_steps,
        gradient_checkpointing=recipe.gradient_checkpointing,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.lr_scheduler_type,
        warmup_steps=recipe.warmup_steps,
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm,
        optim=recipe.optim,
        num_train_epochs=recipe.epochs,
        max_steps=recipe.max_steps or -1,
        seed=recipe.seed,
        data_seed=recipe.seed,
        logging_steps=recipe.logging_steps,
        logging_nan_inf_filter=False,
        save_strategy="steps" if recipe.save_steps else "no",
        save_steps=recipe.save_steps or 500,
        save_total_limit=None,
        use_cpu=use_cpu,
        bf16=uses_bfloat16(recipe),
        dataloader_pin_memory=not use_cpu,
        train_sampling_strategy="sequential" if in_order else "random",
        report_to="none",
        disable_tqdm=True,
        packing=False,
        padding_free=packed,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
    )


def uses_bfloat16(recipe: Recipe) -> bool:
    """Whether forward runs in bfloat16: as the recipe says, `auto` on a GPU that has it."""
    import torch

    if recipe.precision == "auto":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return recipe.precision == "bfloat16"


def load_model(name: str, recipe: Recipe) -> Any:
    """The causal language model of a path, hub id or `tiny-llama`.

    Under an adapter and bfloat16 the frozen weights are bfloat16; trained ones stay float32, because AdamW's
    small steps round away in bfloat16. Quantised weights are computed with in the type of the others, before these
    become float32 where the recipe says so.

    Raises:
        ModelError: When it is not there, is not a model, or needs code that the recipe does not trust.
        RecipeError: For quantised weights without bitsandbytes (WB811).
    """
    import torch
    from transformers import AutoModelForCausalLM

    dtype = torch.bfloat16 if uses_bfloat16(recipe) and not recipe.full else torch.float32
    bits = bits_config(recipe.quantised, dtype)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            model_location(name),
            revision=recipe.revision or "main",
            trust_remote_code=recipe.trust_remote_code,
            dtype=dtype,
            **({} if bits is None else {"quantization_config": bits}),
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelError(
            f"Model {name!r} cannot be loaded: {_first_line(error)}", remedy=_remedy(name, error), code="WB693"
        ) from error
    return model if bits is None else prepared(model, float32_rest=recipe.float32_rest)


def load_tokenizer(job: dict[str, Any], recipe: Recipe) -> Any:
    """The tokenizer of a job, with the run's chat template set, so that the saved model carries it.

    Raises:
        TokenizerError: When it cannot be loaded.
    """
    from transformers import AutoTokenizer

    name = job.get("tokenizer") or job["model"]
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            model_location(name),
            revision=(recipe.revision or "main") if name == job["model"] else "main",
            trust_remote_code=recipe.trust_remote_code,
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise TokenizerError(
            f"Tokenizer {name!r} cannot be loaded: {_first_line(error)}", remedy=_remedy(name, error), code="WB694"
        ) from error
    if job.get("chat_template"):
        tokenizer.chat_template = job["chat_template"]
    return tokenizer


def model_location(name: str) -> str:
    """Where transformers finds a model: the embedded one's folder, or the name itself."""
    if name != EMBEDDED:
        return name
    from workbench.tiny_llama import model_path

    return str(model_path())


def adapter_config(recipe: Recipe) -> Any:
    """PEFT's config of a recipe's adapter; None where all weights train.

    Raises:
        RecipeError: For a method or a field that PEFT does not have (WB812).
    """
    return None if recipe.peft is None else peft_config({"task_type": "CAUSAL_LM", **recipe.peft}, [])


def train_dataset(path: Path, *, packed: bool) -> Any:
    """The rows as a datasets.Dataset in memory, in file order: `input_ids`, `labels` and, packed, `seq_lengths`."""
    import pyarrow.parquet as pq
    from datasets import Dataset
    from datasets.table import InMemoryTable

    columns = ["input_ids", "labels", *(["seq_lengths"] if packed else [])]
    return Dataset(InMemoryTable(pq.read_table(path, columns=columns)))


def live_setup(trainer: Any) -> dict[str, Any]:
    """What the trainer really runs on, read back from its live objects (accelerate falls back without a word)."""
    import accelerate
    import datasets
    import peft
    import torch
    import transformers
    import trl

    parameters = list(trainer.model.parameters())
    accelerator = trainer.accelerator
    return {
        "device": str(accelerator.device),
        "distributed_type": str(accelerator.distributed_type.value),
        "num_processes": accelerator.num_processes,
        "trainable_parameters": sum(elements_of(p) for p in parameters if p.requires_grad),
        "parameters": sum(elements_of(p) for p in parameters),
        "precision": {
            "compute": "bfloat16" if accelerator.mixed_precision == "bf16" else type_of(parameters[0]),
            "weights": sorted({type_of(p) for p in parameters if not p.requires_grad}),
            "trained": sorted({type_of(p) for p in parameters if p.requires_grad}),
        },
        "threads": torch.get_num_threads(),
        "attention": getattr(trainer.model.config, "_attn_implementation", None),
        "versions": {
            module.__name__: module.__version__ for module in (accelerate, datasets, peft, torch, transformers, trl)
        },
    }


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _remedy(name: str, error: BaseException) -> str:
    if "trust_remote_code" in str(error):
        return "It brings its own code: read that, then set trust_remote_code=True in the recipe."
    if isinstance(error, ImportError):
        return "Install what it needs."
    if Path(name).is_dir():
        return "Its folder must hold config.json, the weights and the tokenizer."
    return "Check the name; without network, give a folder or download it first (`hf download`)."
