"""TRL's trainer of a plan's method on the meta device: `trainer.train()` itself runs the steps."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from workbench.errors import RecipeError
from workbench.memory.plan import ONLINE, Plan
from workbench.recipes import Recipe
from workbench.training.traced import adapters
from workbench.training.traced.between import (
    evaluates_or_samples,
    evaluation_arguments,
    evaluation_rows,
    name_evaluation,
    sampling_callback,
)
from workbench.training.traced.building import Building
from workbench.training.traced.kernels import offloads_by_trl
from workbench.training.traced.loading import log_loading, parts_of
from workbench.training.traced.methods import config_of, reference, trainer_class
from workbench.training.traced.naming import name_trainer_phases, see_model, tensors_of
from workbench.training.traced.online import separate_reference
from workbench.training.traced.recorder import Recorder
from workbench.training.traced.rows import rows_of, tokenizer
from workbench.training.traced.spreading import spread
from workbench.training.trainer_setup import training_arguments


class TrainerLoop:
    """TRL's trainer of the plan's method, on the meta device."""

    def __init__(self, plan: Plan, model: Any, folder: Path) -> None:
        self.plan, self.model, self.folder = plan, model, folder
        self.base = tensors_of(model)
        self.loaded = parts_of(model)
        self.trainer: Any = None

    def prepare(self, recorder: Recorder) -> None:
        """Build the trainer."""
        from accelerate import PartialState
        from transformers import PrinterCallback

        plan = self.plan
        arguments = self._arguments()
        _ = arguments.device  # makes the state that is changed next
        PartialState().device = torch.device("meta")
        extra: dict[str, Any] = {"eval_dataset": evaluation_rows(plan)}
        evaluates_or_samples(plan, recorder)
        if (separate := reference(plan)) is not None:
            extra["ref_model"] = separate
        if plan.method in ONLINE:
            extra["reward_funcs"] = reward
        loading = separate_reference(plan) if plan.method in ONLINE else nullcontext()
        with loading, Building() as building:
            if plan.adapter:
                extra["peft_config"] = building.prepared(adapters.adapter(self._adapter_values(), recorder.notes))
            self.trainer = trainer_class(plan, recorder)(
                model=self.model,
                args=arguments,
                train_dataset=rows_of(plan),
                processing_class=tokenizer(),
                **extra,
            )
        self.trainer.remove_callback(PrinterCallback)
        if plan.samples:
            self.trainer.add_callback(sampling_callback(plan, recorder))
        if plan.device == "cpu" and plan.method not in ONLINE:
            self.trainer.data_collator = _moved(self.trainer.data_collator)
        self.model = self.trainer.model
        if plan.loop == "transformers" and plan.quantisation:
            _widened(self.model)
        if offloads_by_trl(plan):
            from trl.models.activation_offloading import get_act_offloading_ctx_manager

            self.trainer.maybe_activation_offload_context = get_act_offloading_ctx_manager(self.model)
        if plan.sharding != "none":
            self.base = spread(self.trainer, plan, self.base, recorder)
            self.loaded = self.loaded if plan.sharding == "ddp" else []  # whole weights are gone once they are cut

    def _adapter_values(self) -> dict[str, Any]:
        task = "SEQ_CLS" if self.plan.method == "reward" else "CAUSAL_LM"
        return {"task_type": task, **(self.plan.adapter or {})}

    def _arguments(self) -> Any:
        plan = self.plan
        recipe = Recipe.from_dict({**plan.recipe, "precision": "bfloat16" if plan.autocast else "float32"})
        try:
            made = training_arguments(recipe, self.folder, packed=plan.packed)
        except ValueError as error:  # an optimiser that transformers does not have, Muon for one
            words = str(error).splitlines()[0]
            raise RecipeError(f"TRL refuses the recipe: {words[:240]}", code="WB810") from error
        if plan.method != "sft":
            made = config_of(plan, made)
        for name, value in {**FIXED, **evaluation_arguments(plan), **plan.arguments}.items():
            setattr(made, name, value)
        if plan.method in ONLINE:
            made.train_sampling_strategy = "random"  # its sampler repeats prompts; all are alike
        made.max_steps = plan.steps
        if recipe.gradient_checkpointing:
            made.gradient_checkpointing_kwargs = {"use_reentrant": plan.reentrant}
            made.activation_checkpointing_kwargs = made.gradient_checkpointing_kwargs  # its name in transformers 5
        made.__class__ = type("MetaArguments", (type(made),), {"device": property(_device)})
        return made

    def run(self, recorder: Recorder) -> None:
        """Two optimiser steps."""
        if self.plan.sharding == "fsdp":
            recorder.notes.append("loading is no part of a trace of FSDP2, whose units come to the device one by one")
        else:
            log_loading(recorder, self.plan, self.loaded)
        see_model(recorder, self.model, self.base)
        reference = getattr(self.trainer, "ref_model", None)
        if reference is not None:
            see_model(recorder, reference, category="reference model")
        if self.plan.method in ONLINE:
            recorder.see(self.trainer.reward_weights, "setup")  # stays in host memory
        name_trainer_phases(recorder, self.trainer)
        name_evaluation(recorder, self.trainer)
        if self.plan.generator == "vllm":
            self.trainer.use_vllm = True  # scores what another engine sampled
        self.trainer.train()


def _widened(model: Any) -> None:
    """Adapters in PEFT's float32: only TRL's own trainer casts them over quantised weights."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def reward(completions: list[Any], **_: Any) -> list[float]:
    """Rewards that differ within a group."""
    return [float(index % 2) for index in range(len(completions))]


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
