"""`wb.demo()`: the main path on the embedded model and rows, with settings measured in docs/tiny-llama.md."""

from __future__ import annotations

from typing import Any, Literal

from workbench import tiny_llama
from workbench.api.data import data
from workbench.api.recipe import BoundRecipe, recipe
from workbench.api.run import LiveRun
from workbench.api.template import template


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
