"""What a run does between its steps: it evaluates, and it answers prompts.

The trainer's own `evaluate()` follows the last step, over two batches of the longest length, because what the first one
leaves is there while the second one runs. The sampler of `recipe.launch` answers one prompt before the first step and
one after each but the last: all prompts are alike, and one is gone before the next.

Source: transformers 5.23, trainer.py (evaluation follows the callbacks of a step's end); workbench.training.callback.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from workbench.memory.plan import ONLINE, Plan
from workbench.training.sample import Request, Sampler
from workbench.training.traced.online import GENERATE, answers_of, few_steps, reads_tokens
from workbench.training.traced.recorder import Recorder
from workbench.training.traced.rows import TOKEN, rows_of, tokenizer

EVALUATION, SAMPLE = "evaluation", "sample"
EVALUATED = 2
"""Batches of the evaluation."""


def evaluates_or_samples(plan: Plan, recorder: Recorder) -> None:
    """Let values be read from the device, where the plan has what reads them: losses, and tokens of answers."""
    if plan.per_device_eval_batch_size or plan.samples:
        reads_tokens(recorder)


# Evaluation


def evaluation_arguments(plan: Plan) -> dict[str, Any]:
    """Fields of the trainer's config with which it evaluates after the last step."""
    if not plan.per_device_eval_batch_size:
        return {}
    return {
        "eval_strategy": "steps",
        "eval_steps": plan.steps,
        "per_device_eval_batch_size": plan.per_device_eval_batch_size,
    }


def evaluation_rows(plan: Plan) -> Any:
    """Rows of the longest length for the evaluation; None where there is none."""
    rows = plan.per_device_eval_batch_size
    if not rows:
        return None
    longest = max(max(batch) for batch in plan.batches)
    if plan.packed:  # a training batch was joined into one row; its own rows are no longer than this
        longest = min(longest, plan.recipe.get("max_length") or longest)
    recipe = {**plan.recipe, "gradient_accumulation_steps": 1}
    made = rows_of(replace(plan, recipe=recipe, batches=[[longest] * rows] * EVALUATED, steps=EVALUATED))
    if plan.method not in ONLINE:
        return made
    answers = int(
        plan.arguments.get("num_generations_eval") or plan.arguments.get("num_generations") or answers_of(plan)
    )
    return made.select(range(max(1, EVALUATED * rows // answers)))  # each prompt is repeated for its answers


def name_evaluation(recorder: Recorder, trainer: Any) -> None:
    """Let the recorder know when the trainer evaluates."""
    evaluate = trainer.evaluate

    def evaluated(*args: Any, **kwargs: Any) -> Any:
        with recorder.staged(EVALUATION):
            return evaluate(*args, **kwargs)

    trainer.evaluate = evaluated


# Samples


class _OneLength(Sampler):
    """The run's sampler, asked with prompts of one length whose text means nothing."""

    length: int

    def _encode(self, messages: list[dict[str, Any]]) -> Any:
        from transformers import BatchEncoding

        ids = torch.full((1, self.length), TOKEN)
        return BatchEncoding({"input_ids": ids, "attention_mask": torch.ones_like(ids)})


def sampler(plan: Plan, model: Any) -> Any:
    """The sampler of a run with the plan's lengths."""
    made = _OneLength(
        model, tokenizer(), {"max_new_tokens": plan.sample_tokens}, None, lambda *args, **kwargs: None, lambda: False
    )
    made.length = plan.sample_prompt
    return made


@contextmanager
def answering(plan: Plan, recorder: Recorder) -> Iterator[None]:
    """A block that generates one answer of the plan's length, under the phase of samples."""
    with recorder.staged(SAMPLE), recorder.during(GENERATE), few_steps(recorder, plan.sample_tokens):
        yield


def sampling_callback(plan: Plan, recorder: Recorder) -> Any:
    """A trainer's callback that answers a prompt where a run's own callback would."""
    from transformers import TrainerCallback

    class Sampling(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self._answer(kwargs["model"], state)

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step < plan.steps:
                self._answer(kwargs["model"], state)

        def _answer(self, model: Any, state: Any) -> None:
            with answering(plan, recorder):
                sampler(plan, model).run(Request([], state.global_step))

    return Sampling()
