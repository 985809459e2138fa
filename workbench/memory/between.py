"""What a run does between its steps, from a plan's or an estimate's options: answers, scores, samples, evaluations.

    between_steps({"task": "grpo", "arguments": {"beta": 0.04, "steps_per_generation": 4}}, rows=8)

Values of TRL's config come in `arguments`, as people write them; what is no number is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.errors import RecipeError

ARGUMENTS = frozenset(
    "beta num_generations steps_per_generation generation_batch_size num_iterations precompute_ref_log_probs".split()
)
"""Fields of TRL's configs in `arguments` that the closed form uses."""

SHARED = (
    "generator",
    "vllm_bytes",
    "vllm_sleeps",
    "per_device_eval_batch_size",
    "samples",
    "sample_prompt",
    "sample_tokens",
)
"""Options whose names the settings share."""


def between_steps(options: Mapping[str, Any], rows: int, world: int = 1) -> dict[str, Any]:
    """Fields of `AnalyticSettings`.

    Args:
        options: Options of an estimate, or fields of a plan.
        rows: per_device_train_batch_size.
        world: Devices, over which TRL's generation batch is spread.

    Raises:
        RecipeError: WB815 for a value that is no number, or not a whole one where it counts.
    """
    arguments: Mapping[str, Any] = options.get("arguments") or {}
    found = {name: options[name] for name in SHARED if options.get(name) is not None}
    steps = _count(arguments, "steps_per_generation")
    batch = _count(arguments, "generation_batch_size")
    if batch and not steps:
        steps = max(1, batch // (rows * world))
    return {
        **found,
        "prompt": _count(options, "prompt"),
        "steps_per_generation": steps,
        "num_generations": _count(arguments, "num_generations"),
        "num_iterations": _count(arguments, "num_iterations") or 1,
        "beta": _number(arguments.get("beta"), "beta"),
        "precomputed": bool(arguments.get("precompute_ref_log_probs")),
    }


def _count(values: Mapping[str, Any], name: str) -> int:
    """A whole number, 0 where nobody said."""
    value = values.get(name)
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise RecipeError(f"{name}={value!r} is out of range.", remedy="A whole number of at least 1.", code="WB815")
    return value


def _number(value: Any, name: str) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise RecipeError(f"{name}={value!r} is no number.", remedy="Give a number, such as 0.04.", code="WB815")
    return float(value)
