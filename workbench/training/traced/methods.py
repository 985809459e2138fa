"""TRL's trainer and config of every traced method, told that rows are token ids already."""

from __future__ import annotations

from dataclasses import dataclass, fields
from importlib import import_module
from typing import Any

from workbench.errors import RecipeError
from workbench.memory.kernels import fused_of
from workbench.memory.plan import Plan
from workbench.training.traced import models
from workbench.training.traced.between import evaluation_arguments
from workbench.training.traced.online import answers_of, online
from workbench.training.traced.recorder import Recorder
from workbench.training.traced.rows import TOKEN


@dataclass(frozen=True, slots=True)
class Method:
    """Where TRL keeps a method.

    Attributes:
        module: Module of both classes.
        name: Beginning of their names.
        rows: `ids` where the dataset's own token ids are taken, `prepared` where preparing is skipped, `tokenized`
            where `tokenize_row` is replaced, `prompts` where answers are generated.
        length: Name of a limit of tokens that would cut rows; set to None.
    """

    module: str
    name: str
    rows: str = "ids"
    length: str | None = "max_length"


METHODS = {
    "sft": Method("trl", "SFT"),
    "dpo": Method("trl", "DPO", "prepared"),
    "kto": Method("trl", "KTO", "prepared"),
    "reward": Method("trl", "Reward"),
    "grpo": Method("trl", "GRPO", "prompts", None),
    "rloo": Method("trl", "RLOO", "prompts", None),
    "orpo": Method("trl.experimental.orpo", "ORPO", "tokenized"),
    "cpo": Method("trl.experimental.cpo", "CPO", "tokenized"),
}
"""Source: trl 1.16 (ORPO and CPO live in trl.experimental)."""


def _class(method: str, kind: str) -> Any:
    if method not in METHODS:
        raise RecipeError(
            f"Steps of method {method!r} are not traced yet.",
            remedy=f"Traced are {', '.join(METHODS)}; the analytic estimate knows sft.",
            code="WB810",
        )
    found = METHODS[method]
    return getattr(import_module(found.module), found.name + kind)


def trainer_class(plan: Plan, recorder: Recorder) -> Any:
    """The method's trainer.

    Raises:
        RecipeError: For a method that is not traced (WB810).
    """
    found = _class(plan.method, "Trainer")
    rows = METHODS[plan.method].rows
    if plan.loop == "transformers" or fused_of(plan.kernels).loss:
        from transformers import Trainer

        plain = {"compute_loss": _whole_logits, "prediction_step": Trainer.prediction_step}
        return type(found.__name__, (found,), plain)
    if rows == "prepared":
        return type(found.__name__, (found,), {"_prepare_dataset": lambda self, dataset, *args: dataset})
    if rows == "tokenized":
        return type(found.__name__, (found,), {"tokenize_row": lambda self, row, *args: _pair(row["length"])})
    return online(found, plan, recorder) if rows == "prompts" else found


def _whole_logits(trainer: Any, model: Any, inputs: Any, return_outputs: bool = False, **counted: Any) -> Any:
    """The loss of transformers' own Trainer, from all logits at once: what trainers built on it alone compute."""
    from transformers import Trainer

    return Trainer.compute_loss(trainer, model, inputs, return_outputs, **counted)


def _pair(length: int) -> dict[str, Any]:
    """A prompt with two answers, each row of `length` tokens, as `tokenize_row` of TRL's ORPO and CPO makes it."""
    prompt = length // 2
    found: dict[str, Any] = {"prompt_input_ids": [TOKEN] * prompt, "prompt_attention_mask": [1] * prompt}
    for side in ("chosen", "rejected"):
        found[f"{side}_input_ids"] = [TOKEN] * length
        found[f"{side}_attention_mask"] = [1] * length
        found[f"{side}_labels"] = [-100] * prompt + [TOKEN] * (length - prompt)
    return found


def config_of(plan: Plan, sft: Any) -> Any:
    """The method's config with all values that it shares with SFT's.

    Raises:
        RecipeError: For values that TRL refuses together (WB810).
    """
    from transformers import TrainingArguments

    maker, method = _class(plan.method, "Config"), METHODS[plan.method]
    shared = {field.name for field in fields(TrainingArguments) if field.init}
    skipped = {"output_dir", "eval_strategy"}
    values = {name: getattr(sft, name) for name in shared - skipped if hasattr(sft, name)}
    if method.length:
        values[method.length] = None
    if method.rows == "prompts":
        values |= _generation(plan)
    values |= evaluation_arguments(plan)
    known = {field.name for field in fields(maker) if field.init}
    values |= {name: value for name, value in plan.arguments.items() if name in known}
    try:
        return maker(output_dir=sft.output_dir, **values)
    except ValueError as error:
        raise RecipeError(
            f"TRL refuses the {plan.method} config: {str(error).splitlines()[0]}", code="WB810"
        ) from error


def _generation(plan: Plan) -> dict[str, Any]:
    """Answers a prompt, and their length."""
    return {"num_generations": answers_of(plan), "max_completion_length": plan.completion}


def reference(plan: Plan) -> Any:
    """The separate reference model of full training, or None."""
    if plan.adapter or plan.method not in ("dpo", "kto"):
        return None
    return models.of_plan(plan, [])
