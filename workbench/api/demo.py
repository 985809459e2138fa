"""`wb.demo()`: the main path on the embedded model and rows, with settings measured in docs/tiny-llama.md."""

from __future__ import annotations

import json
from typing import Any, Literal

from workbench import tiny_llama
from workbench.api.data import data
from workbench.api.recipe import BoundRecipe, recipe
from workbench.api.run import LiveRun
from workbench.api.template import template
from workbench.errors import RunError


def demo_recipe(adapter: Literal["lora", "none"] = "lora", *, seed: int = 0) -> BoundRecipe:
    """The recipe that teaches tiny-llama to answer.

    Args:
        adapter: `lora`, or `none` for full fine-tuning.
        seed: Of data order and adapter weights.
    """
    rows = data(tiny_llama.rows_path("train"))
    enc = rows.encode(template("tiny-llama"), tokenizer="tiny-llama")
    settings: dict[str, Any] = dict(tiny_llama.RECIPE["lora" if adapter == "lora" else "full"])
    return recipe(enc, model="tiny-llama", adapter=adapter, precision="float32", seed=seed, **settings)


def demo(adapter: Literal["lora", "none"] = "lora", *, seed: int = 0) -> LiveRun:
    """Launch the demo: a base model that only completes text learns to answer, in about a minute on two CPU cores."""
    return demo_recipe(adapter, seed=seed).launch(samples=list(tiny_llama.SAMPLES), sample_every=40, max_new_tokens=40)


def score(run: LiveRun, split: Literal["dev", "heldout"] = "heldout") -> dict[str, Any]:
    """Ask the finished model every prompt of a split it was not trained on.

    Args:
        run: A demo run that has completed.
        split: `heldout`, or `dev`, the one settings were chosen on.

    Returns:
        Counts of prompts and of answers that are exactly right and end by themselves, in all and by skill.

    Raises:
        RunError: WB612 where the run has no final model.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from workbench.tiny_llama.score import score as score_model

    final = run.dir / "out" / "final"
    if not final.is_dir():
        raise RunError(
            f"Run {run.id} is {run.state()} and has no final model.", remedy="Let it finish first.", code="WB612"
        )
    text = tiny_llama.rows_path(split).read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    if (final / "adapter_config.json").is_file():
        from peft import AutoPeftModelForCausalLM

        model = AutoPeftModelForCausalLM.from_pretrained(final)
    else:
        model = AutoModelForCausalLM.from_pretrained(final)
    made = score_model(model.float(), AutoTokenizer.from_pretrained(final), rows)
    by_skill = {skill: round(value, 3) for skill, value in made.by_skill.items()}
    return {
        "run": run.id,
        "split": split,
        "prompts": len(rows),
        "exact": round(made.exact * len(rows)),
        "share": made.exact,
        "by_skill": by_skill,
    }
