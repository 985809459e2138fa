"""Methods that generate their answers: GRPO and RLOO, by TRL's own trainer and transformers' own `generate`.

The model writes the first answer tokens on `meta` as it would; each further token runs the same operators on a cache
one token longer, so its allocations are those of the last two steps, continued in a straight line, every few tokens.
TRL then scores and trains on answers of the planned length.

Source: trl 1.16, trainer/grpo_trainer.py and rloo_trainer.py; transformers 5, generation/utils.py and cache_utils.py
(DynamicCache joins old and new keys into a new tensor).
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any
from unittest import mock

import torch

from workbench.memory.plan import Plan
from workbench.training.traced import models
from workbench.training.traced.continuing import continue_log
from workbench.training.traced.recorder import Recorder
from workbench.training.traced.rows import TOKEN

aten = torch.ops.aten

GENERATE, SCORE = "generate", "score"
REAL_STEPS = 5
"""Answer tokens that are really generated: the prompt's pass and four steps with a cache, of which three are alike."""
CONTINUED = 24
"""Steps that stand for all further ones."""


def online(trainer: Any, plan: Plan, recorder: Recorder) -> Any:
    """A subclass of TRL's trainer for prompts and answers of the planned lengths."""
    reads_tokens(recorder)

    class Online(trainer):
        def _prepare_inputs(self, batch: Any) -> Any:
            """Answers are generated in the last step too, as at some later one: the optimiser's state is there then."""
            before = self._buffered_inputs
            if self._step == (plan.steps - 1) * plan.micro_batches:
                self._buffered_inputs = None
            made = super()._prepare_inputs(batch)
            del before  # TRL holds the earlier answers until the new ones are there
            return made

        def _tokenize_prompts(self, prompts: Any) -> Any:
            return [[TOKEN] * plan.prompt_tokens for _ in prompts], None, {}

        def _generate_single_turn(self, prompt_ids: Any, *args: Any, **kwargs: Any) -> Any:
            with recorder.during(GENERATE):
                if plan.generator == "vllm":
                    self._vllm_generates()
                else:
                    with few_steps(recorder, plan.completion):
                        super()._generate_single_turn(prompt_ids, *args, **kwargs)
            answers = [[TOKEN] * plan.completion for _ in prompt_ids]
            if plan.method == "rloo":
                return answers
            scores = [[0.0] * plan.completion for _ in prompt_ids] if plan.generator == "vllm" else None
            return answers, scores

        def _get_per_token_logps_and_entropies(self, *args: Any, **kwargs: Any) -> Any:
            scoring = recorder.during(SCORE) if not torch.is_grad_enabled() else nullcontext()
            with scoring:
                return super()._get_per_token_logps_and_entropies(*args, **kwargs)

        def _vllm_generates(self) -> None:
            """Holds its share while it generates, and further unless it sleeps (trl 1.16, vllm_generation.py)."""
            key = getattr(self, "_vllm_key", 0) or recorder.take(plan.vllm_bytes, "generation")
            if plan.vllm_sleeps:
                recorder.give(key)
            else:
                self._vllm_key = key

    Online.__name__ = trainer.__name__
    return Online


def answers_of(plan: Plan) -> int:
    """Answers a prompt: TRL's 8, or the largest number below it that divides what is generated at once."""
    at_once = plan.rows * int(plan.arguments.get("steps_per_generation", plan.micro_batches))
    return next((n for n in range(8, 1, -1) if at_once % n == 0), at_once)


def separate_reference(plan: Plan) -> Any:
    """TRL would load a reference model by name; a patch for where it does."""
    import trl.trainer.grpo_trainer
    import trl.trainer.rloo_trainer

    place = getattr(trl.trainer, f"{plan.method}_trainer")
    return mock.patch.object(place, "create_model_from_path", lambda *args, **kwargs: models.of_plan(plan, []))


def reads_tokens(recorder: Recorder) -> None:
    """Let values be read from the device: they are tokens, or yes."""

    def copy(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        device = kwargs.get("device")
        if device is None or torch.device(device).type == "meta" or not args[0].is_meta:
            return recorder.shapes.run(func, args, kwargs)
        dtype = kwargs.get("dtype") or args[0].dtype
        return torch.full(args[0].shape, True if dtype == torch.bool else TOKEN, dtype=dtype)

    recorder.answers[aten._to_copy.default] = copy


def few_steps(recorder: Recorder, tokens: int) -> Any:
    """End `generate` after the first steps and continue their log to an answer of `tokens`."""
    from transformers import GenerationMixin

    marks: list[int] = []

    def unfinished(self: Any, *args: Any, **kwargs: Any) -> bool:
        marks.append(len(recorder.events))
        if len(marks) <= min(REAL_STEPS, tokens):
            return True
        if tokens > REAL_STEPS:
            continue_log(recorder, marks[2:], tokens - REAL_STEPS, CONTINUED)
        return False

    return mock.patch.object(GenerationMixin, "_has_unfinished_sequences", unfinished)
