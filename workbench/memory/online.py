"""How TRL batches what it generates: rows, answers, and what is scored apart from the update.

    Online.of(settings).rows

Source: trl 1.16, trainer/grpo_trainer.py and rloo_trainer.py (_prepare_inputs, _generate_and_score_completions), and
their configs' defaults.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.memory.settings import AnalyticSettings

BETA = {"grpo": 0.0, "rloo": 0.05}
"""Weight of the reference's log probabilities where nobody said."""


LARGEST_GROUP, SMALLEST_GROUP = 8, 2
"""Answers a prompt: TRL's default, and the fewest that can be compared."""


def group_of(said: int, at_once: int) -> int:
    """Answers a prompt where so many are generated at once: no more than was said, dividing them; 0 where none does."""
    most = said or LARGEST_GROUP
    return next((size for size in range(most, SMALLEST_GROUP - 1, -1) if at_once % size == 0), 0)


def say_arguments(settings: AnalyticSettings) -> dict[str, Any]:
    """`arguments` of an estimate that say what the settings know of TRL's config."""
    said = {
        "num_generations": settings.num_generations or None,
        "steps_per_generation": settings.steps_per_generation or None,
        "num_iterations": settings.num_iterations if settings.num_iterations > 1 else None,
        "beta": settings.beta,
        "precompute_ref_log_probs": settings.precomputed or None,
    }
    return {"arguments": {name: value for name, value in said.items() if value is not None}}


@dataclass(frozen=True, slots=True)
class Online:
    """A generation batch.

    Attributes:
        rows: Answers that are generated at once: those of several micro batches.
        prompt: Tokens of a prompt.
        answer: Tokens of an answer.
        scores_policy: Whether the log probabilities of the model that answered are computed apart.
        scores_reference: Whether those of the reference are.
        between: Whether answers are generated while gradients of earlier micro batches are held.
    """

    rows: int
    prompt: int
    answer: int
    scores_policy: bool
    scores_reference: bool
    between: bool

    @classmethod
    def of(cls, settings: AnalyticSettings) -> Online:
        """The generation batch of a run."""
        length, accumulation = settings.length, settings.accumulation
        steps = settings.steps_per_generation or accumulation
        prompt = min(settings.prompt, length - 1) if settings.prompt else length // 2
        every = steps * settings.num_iterations
        beta = BETA.get(settings.method, 0.0) if settings.beta is None else settings.beta
        engine = settings.generator == "vllm"
        return cls(
            rows=settings.rows * steps,
            prompt=max(1, prompt),
            answer=max(1, length - prompt),
            scores_policy=settings.method == "rloo" or engine or accumulation % every != 0,
            scores_reference=beta != 0,
            between=every % accumulation != 0,
        )
