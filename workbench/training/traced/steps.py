"""The real step of a plan on tensors without data, and the log of what it allocates.

    log = record(plan)

Trainer, adapter, loss and optimiser are TRL's, PEFT's, transformers' and torch's own: `trainer.train()` runs two steps
of a model on `meta` (the first creates the optimiser's state, the second is the one that repeats).
"""

from __future__ import annotations

import gc
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from workbench.errors import RecipeError
from workbench.memory.optimizers import CODE_BOOK, OPTIMIZERS
from workbench.memory.plan import ONLINE, Plan
from workbench.training.traced import cuda, kernels, models, sparse
from workbench.training.traced.autocast import autocast_for_meta
from workbench.training.traced.naming import named_modules
from workbench.training.traced.peft_values import value_patches
from workbench.training.traced.plain_loop import PlainLoop
from workbench.training.traced.recorder import Recorder, selection
from workbench.training.traced.spreading import spreading
from workbench.training.traced.trainers import TrainerLoop
from workbench.training.traced.vision import add_images


def record(plan: Plan) -> Recorder:
    """Run the plan's steps and return the log.

    Raises:
        ModelError, RecipeError: Where the model or the adapter cannot be made, or the method is not traced (WB810).
    """
    cuda.forget_overrides()
    gc.collect()
    optimizer = OPTIMIZERS.get(str(plan.recipe.get("optim")))
    if optimizer is not None and optimizer.kept in (*CODE_BOOK, "muon"):
        raise RecipeError(
            f"Steps of optim={plan.recipe['optim']!r} are not traced: its update is compiled for a device.",
            remedy="The formula (method='analytic') knows it.",
            code="WB810",
        )
    kernels.check_traceable(plan)
    plan = replace(plan, arguments={k: v for k, v in plan.arguments.items() if not k.startswith("torch_compile")})
    recorder = _recorder(plan)
    model = models.of_plan(plan, recorder.notes)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        replaced = sparse.REPLACED | {torch.tensor: recorder.seeing(torch.tensor)}
        casting = stack.enter_context(autocast_for_meta(replaced | (cuda.REPLACED if plan.device == "cuda" else {})))
        casting.on_copy = lambda copy: recorder.call_it(copy, "autocast copies")
        if plan.attention == "flash_attention_2":
            for patch in cuda.flash_attention():
                stack.enter_context(patch)
            model.config._attn_implementation = "flash_attention_2"
        if plan.device == "cuda":
            stack.enter_context(cuda.cuda_paths(plan.padded))
        for patch in (*kernels.patches(plan, recorder), *value_patches(plan.adapter or {}, recorder.notes)):
            stack.enter_context(patch)
        if plan.sharding != "none":
            stack.enter_context(spreading(plan, recorder))
        loop = PlainLoop(plan, model) if plan.loop == "plain" else TrainerLoop(plan, model, Path(folder))
        loop.prepare(recorder)
        kernels.substitute(plan, loop.model, recorder.notes)
        if plan.images:
            add_images(plan, loop.model)
        stack.enter_context(named_modules(recorder, loop.model))
        stack.enter_context(recorder)
        loop.run(recorder)
        recorder.closed = True
    return recorder


def _recorder(plan: Plan) -> Recorder:
    share = plan.scored_share
    if plan.method in ONLINE:  # TRL scores the answer only, of all positions but the last
        share = plan.completion / (plan.prompt_tokens + plan.completion - 1)
    answers = selection(lambda mask: max(1, round(mask.numel() * share))) if plan.device == "cuda" else selection(_all)
    recorder = Recorder(("meta", "cpu") if plan.device == "cpu" else ("meta",), answers)
    if plan.quantisation == "int8":
        recorder.answers.update(cuda.int8_answers(recorder.see))
    if plan.device == "cuda":
        recorder.scratch = {"forward": cuda.WORKSPACE, "autograd": cuda.WORKSPACE}
    recorder.answers.update(cuda.GROUPED)
    if not plan.padded:
        recorder.answers.update(cuda.UNPADDED)
    return recorder


def _all(mask: Any) -> int:
    return mask.numel()
