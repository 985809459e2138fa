"""The real step of a plan on tensors without data, and the log of what it allocates.

    log = record(plan)

Trainer, adapter, loss and optimiser are TRL's, PEFT's, transformers' and torch's own: `trainer.train()` runs two steps
of a model on `meta` (the first creates the optimiser's state, the second is the one that repeats).
"""

from __future__ import annotations

import gc
import tempfile
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import torch

from workbench.errors import RecipeError
from workbench.memory.plan import Plan
from workbench.recipes import Recipe
from workbench.training.traced import cuda, models
from workbench.training.traced.autocast import autocast_for_meta
from workbench.training.traced.naming import (
    BATCH,
    FORWARD,
    LOSS_BACKWARD,
    OPTIMIZER,
    name_trainer_phases,
    named_modules,
    see_model,
    see_state,
)
from workbench.training.traced.recorder import Recorder, selection
from workbench.training.trainer_setup import training_arguments

TOKEN = 5


def record(plan: Plan) -> Recorder:
    """Run the plan's steps and return the log.

    Raises:
        ModelError, RecipeError: Where the model or the adapter cannot be made, or the method is not traced (WB810).
    """
    gc.collect()
    model = _model(plan)
    share = plan.scored_share
    answers = selection(lambda mask: max(1, round(mask.numel() * share))) if plan.device == "cuda" else selection(_all)
    recorder = Recorder(("meta", "cpu") if plan.device == "cpu" else ("meta",), answers)
    if plan.quantisation == "int8":
        recorder.answers.update(cuda.int8_answers(recorder.see))
    if plan.device == "cuda":
        recorder.scratch = {"forward": cuda.WORKSPACE, "autograd": cuda.WORKSPACE}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        casting = stack.enter_context(autocast_for_meta(cuda.REPLACED if plan.device == "cuda" else {}))
        casting.on_copy = lambda copy: recorder.call_it(copy, "autocast copies")
        if plan.attention == "flash_attention_2":
            for patch in cuda.flash_attention():
                stack.enter_context(patch)
            model.config._attn_implementation = "flash_attention_2"
        if plan.device == "cuda":
            stack.enter_context(cuda.cuda_paths(plan.padded))
        loop = PlainLoop(plan, model) if plan.loop == "plain" else TrainerLoop(plan, model, Path(folder))
        loop.prepare()
        stack.enter_context(named_modules(recorder, loop.model))
        stack.enter_context(recorder)
        loop.run(recorder)
        recorder.closed = True
    return recorder


def _all(mask: Any) -> int:
    return mask.numel()


def _model(plan: Plan) -> Any:
    built_as = "sdpa" if plan.attention == "flash_attention_2" else plan.attention
    kind = "reward" if plan.method == "reward" else "causal"
    model = models.build(plan.config, kind, plan.dtype, built_as, "meta")
    if plan.quantisation:
        models.quantise(model, plan.quantisation)
        if plan.float32_rest:
            for parameter in model.parameters():
                if parameter.dtype in cuda.HALVES and type(parameter) is torch.nn.Parameter:
                    parameter.data = parameter.data.float()
    return model


class TrainerLoop:
    """TRL's trainer of the plan's method, on the meta device."""

    def __init__(self, plan: Plan, model: Any, folder: Path) -> None:
        self.plan, self.model, self.folder = plan, model, folder
        self.trainer: Any = None

    def prepare(self) -> None:
        """Build the trainer."""
        from accelerate import PartialState
        from transformers import PrinterCallback

        plan = self.plan
        arguments = self._arguments()
        _ = arguments.device  # makes the state that is changed next
        PartialState().device = torch.device("meta")
        extra: dict[str, Any] = {}
        if plan.method in ("dpo", "kto") and plan.adapter is None:
            extra["ref_model"] = _model(plan)
        peft_config = None if plan.adapter is None else models.adapter(self._adapter_values())
        self.trainer = _trainer_class(plan.method)(
            model=self.model,
            args=arguments,
            train_dataset=_rows(plan),
            processing_class=_tokenizer(),
            peft_config=peft_config,
            **extra,
        )
        self.trainer.remove_callback(PrinterCallback)
        if plan.device == "cpu":
            self.trainer.data_collator = _moved(self.trainer.data_collator)
        self.model = self.trainer.model

    def _adapter_values(self) -> dict[str, Any]:
        task = "SEQ_CLS" if self.plan.method == "reward" else "CAUSAL_LM"
        return {"task_type": task, **(self.plan.adapter or {})}

    def _arguments(self) -> Any:
        plan = self.plan
        recipe = Recipe.from_dict({**plan.recipe, "precision": "bfloat16" if plan.autocast else "float32"})
        made = training_arguments(recipe, self.folder, packed=plan.packed)
        if plan.method != "sft":
            made = _config_of(plan.method, made)
        for name, value in {**FIXED, **plan.arguments}.items():
            setattr(made, name, value)
        made.max_steps = plan.steps
        if recipe.gradient_checkpointing:
            made.gradient_checkpointing_kwargs = {"use_reentrant": plan.reentrant}
            made.activation_checkpointing_kwargs = made.gradient_checkpointing_kwargs  # its name in transformers 5
        made.__class__ = type("MetaArguments", (type(made),), {"device": property(_device)})
        return made

    def run(self, recorder: Recorder) -> None:
        """Two optimiser steps."""
        see_model(recorder, self.model)
        reference = getattr(self.trainer, "ref_model", None)
        if reference is not None:
            see_model(recorder, reference, "reference model")
        name_trainer_phases(recorder, self.trainer)
        self.trainer.train()


def _moved(collate: Any) -> Any:
    """A collator whose batch is on its device at once, as on the CPU, where a batch needs no copy."""

    def moved(rows: Any) -> Any:
        return {name: v.to("meta") if isinstance(v, torch.Tensor) else v for name, v in collate(rows).items()}

    return moved


FIXED: dict[str, Any] = {
    "train_sampling_strategy": "sequential",
    "dataloader_pin_memory": False,
    "save_strategy": "no",
    "logging_strategy": "steps",
    "dataloader_num_workers": 0,
}


def _device(arguments: Any) -> Any:
    super(type(arguments), arguments).device  # noqa: B018  # sets the distributed state up
    return torch.device("meta")


def _trainer_class(method: str) -> Any:
    import trl

    classes = {"sft": "SFTTrainer", "dpo": "DPOTrainer", "kto": "KTOTrainer", "reward": "RewardTrainer"}
    if method not in classes:
        raise RecipeError(
            f"Steps of method {method!r} are not traced yet.",
            remedy=f"Traced are {', '.join(classes)}; the analytic estimate knows sft.",
            code="WB810",
        )
    found = getattr(trl, classes[method])
    if method in ("dpo", "kto"):  # the rows are token ids already, which these two cannot be told
        return type(found.__name__, (found,), {"_prepare_dataset": lambda self, dataset, *args: dataset})
    return found


def _config_of(method: str, sft: Any) -> Any:
    """The config of another method with all values that it shares with SFT's."""
    from dataclasses import fields

    import trl

    _trainer_class(method)
    maker = getattr(trl, {"dpo": "DPOConfig", "kto": "KTOConfig", "reward": "RewardConfig"}[method])
    from transformers import TrainingArguments

    shared = {field.name for field in fields(TrainingArguments) if field.init}
    skipped = {"output_dir", "eval_strategy"}
    values = {name: getattr(sft, name) for name in shared - skipped if hasattr(sft, name)}
    return maker(output_dir=sft.output_dir, max_length=None, **values)


def _tokenizer() -> Any:
    """A tokenizer for padding; its ids mean nothing to a model without data."""
    from transformers import AutoTokenizer

    from workbench.tiny_llama import model_path

    return AutoTokenizer.from_pretrained(str(model_path()))


def _rows(plan: Plan) -> Any:
    """Rows of the plan's lengths, already token ids, in the order of its batches."""
    from datasets import Dataset

    lengths = [length for batch in plan.batches for length in batch]
    lengths *= -(-plan.steps * plan.micro_batches // len(plan.batches))
    if plan.method == "sft":
        rows = [_labelled(length, plan.scored_share) for length in lengths]
        if plan.packed:
            rows = [{**row, "seq_lengths": plan.documents_of(len(row["input_ids"]))} for row in rows]
        return Dataset.from_list(rows)
    halves = [(length // 2, length - length // 2) for length in lengths]
    if plan.method == "dpo":
        return Dataset.from_list([_pair([TOKEN] * a, [TOKEN] * b) for a, b in halves])
    if plan.method == "kto":
        return Dataset.from_list(
            [
                {
                    "prompt_ids": [TOKEN] * a,
                    "completion_ids": [TOKEN] * b,
                    "KL_completion_ids": [TOKEN] * b,
                    "label": index % 2 == 0,
                }
                for index, (a, b) in enumerate(halves)
            ]
        )
    return Dataset.from_list([{"chosen_ids": [TOKEN] * n, "rejected_ids": [TOKEN] * n} for n in lengths])


def _pair(prompt: list[int], answer: list[int]) -> dict[str, Any]:
    return {"prompt_ids": prompt, "chosen_ids": answer, "rejected_ids": answer}


def _labelled(length: int, share: float) -> dict[str, Any]:
    masked = length - max(1, round(length * share))
    return {"input_ids": [TOKEN] * length, "labels": [-100] * masked + [TOKEN] * (length - masked)}


class PlainLoop:
    """A loop without a trainer, as many scripts have it: the model's own loss, and its outputs kept until replaced."""

    def __init__(self, plan: Plan, model: Any) -> None:
        self.plan, self.model = plan, model
        self.optimizer: Any = None

    def prepare(self) -> None:
        """Attach the adapter and make the optimiser."""
        from peft import get_peft_model

        recipe = Recipe.from_dict(self.plan.recipe)
        if recipe.gradient_checkpointing:
            self.model.config.use_cache = False
            self.model.enable_input_require_grads()
            self.model.gradient_checkpointing_enable({"use_reentrant": self.plan.reentrant})
        if self.plan.adapter is not None:
            self.model = get_peft_model(self.model, models.adapter(self.plan.adapter))
        self.model.train()
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = _plain_optimiser(recipe.optim, trained)

    def run(self, recorder: Recorder) -> None:
        """The plan's steps, one batch each."""
        see_model(recorder, self.model)
        outputs: Any = None
        precision = torch.autocast("meta", torch.bfloat16) if self.plan.autocast else nullcontext()
        for step in range(self.plan.steps):
            rows = self.plan.batches[step % len(self.plan.batches)]
            with recorder.during(BATCH):
                shape = (len(rows), max(rows))
                batch = {name: torch.zeros(shape, dtype=torch.long, device="meta") for name in COLUMNS}
            self.optimizer.zero_grad()
            with recorder.during(FORWARD), precision:
                # as in `outputs = model(…)`: the earlier outputs live until the new ones are there
                outputs = self.model(**batch, num_items_in_batch=1000)
            loss = outputs.loss
            with recorder.during(LOSS_BACKWARD):
                loss.backward()
            with recorder.during(OPTIMIZER):
                torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
                self.optimizer.step()
            see_state(recorder, self.optimizer)
            del loss
            if self.plan.empties_cache:
                recorder.empty_cache()


COLUMNS = ("input_ids", "attention_mask", "labels")


def _plain_optimiser(optim: str, trained: list[Any]) -> Any:
    if optim in ("adamw_torch", "adamw_torch_fused"):
        return torch.optim.AdamW(trained, lr=1e-4, fused=True if optim.endswith("fused") else None)
    if optim == "sgd":
        return torch.optim.SGD(trained, lr=1e-4)
    import bitsandbytes as bnb

    return bnb.optim.AdamW8bit(trained, lr=1e-4)
