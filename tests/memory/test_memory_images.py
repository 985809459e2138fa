"""Images in the closed form: what they add, what a frozen tower does not, and what is refused."""

from dataclasses import replace

import pytest

from tests.benchmarks.analytic_trace import VISION, compared
from workbench.errors import RecipeError
from workbench.memory.analytic import evaluate
from workbench.memory.architecture import from_config, of_model
from workbench.memory.options import settings_of
from workbench.memory.reach import resolved
from workbench.memory.settings import AnalyticSettings, BatchShape
from workbench.recipes import Recipe

SETTINGS = AnalyticSettings(rows=2, length=1024, scored=2048, images=1)
DECODER = r".*language_model.*_proj"


def sizes(shapes, settings):
    return {part.name: part.bytes for part in evaluate(shapes, settings).parts}


@pytest.mark.parametrize("model", VISION)
def test_a_tower_in_which_nothing_trains_keeps_nothing_until_checkpointing_asks_for_its_gradient(model):
    shapes = from_config(VISION[model])
    frozen = resolved(shapes, replace(SETTINGS, targets=DECODER))
    assert sizes(shapes, frozen)["vision activations"] == 0
    assert sizes(shapes, replace(frozen, checkpointing=True))["vision activations"] > 0
    assert sizes(shapes, SETTINGS)["vision activations"] > sizes(shapes, frozen)["projector activations"]


@pytest.mark.parametrize("model", VISION)
def test_a_second_image_doubles_what_the_tower_keeps(model):
    shapes = from_config(VISION[model])
    one, two = (sizes(shapes, replace(SETTINGS, images=count)) for count in (1, 2))
    for name in ("pixels", "vision activations", "vision outputs"):
        assert two[name] == 2 * one[name]


def test_rows_of_text_add_nothing_and_give_a_tower_no_gradients():
    shapes = from_config(VISION["llava 7B"])
    text, seen = sizes(shapes, replace(SETTINGS, images=0)), sizes(shapes, SETTINGS)
    assert "pixels" not in text
    assert text["gradients"] < seen["gradients"]
    assert text["weights"] == seen["weights"]


def test_images_of_a_model_without_a_tower_are_refused_by_name():
    with pytest.raises(RecipeError, match=r"images of 'llama'.*WB810"):
        evaluate(of_model("meta-llama/Llama-3.2-1B"), SETTINGS)


@pytest.mark.parametrize("options", [{"images": -1}, {"images": "two"}, {"image_tokens": 0}])
def test_no_number_of_images_is_refused(options):
    recipe = Recipe()
    with pytest.raises(RecipeError, match="WB815"):
        settings_of(recipe, BatchShape(1, 64), "cuda", options)


def test_a_trace_with_an_image_in_every_row_is_met():
    case = ("qwen2-vl 2B", {"optim": "adamw_torch_fused"}, [[512, 500]], {"images": 1, "image_tokens": 64})
    traced, formula, _, _ = compared(case)
    assert abs(formula / traced - 1) <= 0.03
