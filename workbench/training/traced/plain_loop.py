"""A loop without a trainer, as many scripts have it."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from typing import Any

import torch

from workbench.errors import RecipeError
from workbench.memory.plan import Plan
from workbench.recipes import Recipe
from workbench.training.sample import Request
from workbench.training.traced import adapters
from workbench.training.traced.between import EVALUATED, EVALUATION, answering, evaluates_or_samples, sampler
from workbench.training.traced.building import Building, placed
from workbench.training.traced.loading import log_loading, parts_of
from workbench.training.traced.naming import BATCH, FORWARD, LOSS_BACKWARD, OPTIMIZER, see_model, see_state, tensors_of
from workbench.training.traced.recorder import Recorder


class PlainLoop:
    """A loop without a trainer, as many scripts have it: the model's own loss, and its outputs kept until replaced."""

    def __init__(self, plan: Plan, model: Any) -> None:
        self.plan, self.model = plan, model
        self.base = tensors_of(model)
        self.loaded = parts_of(model)
        self.optimizer: Any = None

    def prepare(self, recorder: Recorder) -> None:
        """Attach the adapter and make the optimiser."""
        from peft import get_peft_model

        recipe = Recipe.from_dict(self.plan.recipe)
        if recipe.gradient_checkpointing:
            self.model.config.use_cache = False
            self.model.enable_input_require_grads()
            self.model.gradient_checkpointing_enable({"use_reentrant": self.plan.reentrant})
        if self.plan.adapter:
            with Building() as building:
                config = building.prepared(adapters.adapter(self.plan.adapter, recorder.notes))
                wide = self.plan.autocast_adapter
                self.model = placed(get_peft_model(self.model, config, autocast_adapter_dtype=wide))
        self.model.train()
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = _plain_optimiser(recipe.optim, trained, self.model)

    @property
    def _adapter_type(self) -> str:
        return str((self.plan.adapter or {}).get("peft_type", "")).upper()

    def run(self, recorder: Recorder) -> None:
        """The plan's steps, one batch each."""
        log_loading(recorder, self.plan, self.loaded)
        see_model(recorder, self.model, self.base)
        evaluates_or_samples(self.plan, recorder)
        outputs: Any = None
        precision = torch.autocast("meta", torch.bfloat16) if self.plan.autocast else nullcontext()
        for step in range(self.plan.steps):
            rows = self.plan.batches[step % len(self.plan.batches)]
            with recorder.during(BATCH):
                batch = self._batch(len(rows), max(rows))
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
            if self.plan.samples and step + 1 < self.plan.steps:
                with answering(self.plan, recorder):
                    sampler(self.plan, self.model).run(Request([], step + 1))
        if self.plan.per_device_eval_batch_size:
            self._evaluate(recorder, precision)

    def _batch(self, rows: int, length: int) -> dict[str, Any]:
        batch = {name: torch.zeros((rows, length), dtype=torch.long, device="meta") for name in COLUMNS}
        if self._adapter_type in WITH_TASKS:
            batch["task_ids"] = torch.zeros(rows, dtype=torch.long, device="meta")
        return batch

    def _evaluate(self, recorder: Recorder, precision: Any) -> None:
        """Forward without gradients, outputs kept as in training."""
        outputs: Any = None
        longest = max(max(batch) for batch in self.plan.batches)
        self.model.eval()
        with recorder.staged(EVALUATION), recorder.during(FORWARD), torch.no_grad(), precision:
            for _ in range(EVALUATED):
                outputs = self.model(**self._batch(self.plan.per_device_eval_batch_size, longest))
        del outputs


WITH_TASKS = ("MULTITASK_PROMPT_TUNING", "POLY")
"""PEFT methods whose batches tell the task of every row."""
COLUMNS = ("input_ids", "attention_mask", "labels")


OF_PEFT = ("lora-fa", "riemannian")
"""Optimisers that PEFT makes for a model with LoRA (peft 0.21, optimizers), as its method comparison names them."""


def _of_peft(optim: str, model: Any) -> Any:
    from peft.optimizers import create_lorafa_optimizer, create_riemannian_optimizer

    if optim == "riemannian":
        return create_riemannian_optimizer(model, torch.optim.AdamW, lr=1e-4)
    config = next(iter(model.peft_config.values()))
    return create_lorafa_optimizer(model, r=config.r, lora_alpha=config.lora_alpha, lr=1e-4)


def _plain_optimiser(optim: str, trained: list[Any], model: Any) -> Any:
    if optim in ("adamw_torch", "adamw_torch_fused"):
        return torch.optim.AdamW(trained, lr=1e-4, fused=True if optim.endswith("fused") else None)
    if optim in OF_PEFT:
        return _of_peft(optim, model)
    from transformers import Trainer, TrainingArguments

    with tempfile.TemporaryDirectory() as folder:
        try:
            arguments = TrainingArguments(folder, optim=optim, learning_rate=1e-4, use_cpu=True, report_to="none")
            kind, words = Trainer.get_optimizer_cls_and_kwargs(arguments)
        except (ValueError, ImportError) as error:
            raise RecipeError(f"optim={optim!r} cannot be made: {str(error).splitlines()[0]}", code="WB810") from error
        return kind(trained, **words)
