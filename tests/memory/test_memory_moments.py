"""Moments between steps in the closed form: against the committed traces, and what options say of them."""

import csv
import json
import statistics
from dataclasses import replace
from pathlib import Path

import pytest

from tests.benchmarks.moments_trace import PEAK, PHASES, cases, computed, plan_of, traced
from workbench.api.memory import estimate_recipe
from workbench.errors import RecipeError
from workbench.memory.analytic import evaluate
from workbench.memory.architecture import of_model
from workbench.memory.kinds import kind_of
from workbench.memory.settings import AnalyticSettings
from workbench.recipes import Recipe

TABLE = Path(__file__).parent / "moments_trace.csv"
GIB = 2**30
BASE = AnalyticSettings(rows=4, length=1024, method="grpo", checkpointing=True)
LLAMA = "meta-llama/Llama-3.2-1B"


def rows_of_table():
    with TABLE.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("phase", [*PHASES, PEAK])
def test_every_phase_of_the_traces_is_met_within_half_a_percent_in_the_median_and_five_at_most(phase):
    errors = []
    for row in rows_of_table():
        if row["phase"] == phase:
            recipe, rows, changes = (json.loads(row[name]) for name in ("recipe", "rows", "plan"))
            found, _ = computed(plan_of((row["model"], recipe, [rows], changes)))
            errors.append(abs(found.get(phase, 0) / int(row["trace_bytes"]) - 1))
    print(f"{phase}, {len(errors)} cases: median {statistics.median(errors):.2%}, most {max(errors):.2%}")
    assert len(errors) >= 25
    assert statistics.median(errors) <= 0.005
    assert max(errors) <= 0.05


@pytest.mark.parametrize("case", [cases()[7], cases()[114], cases()[-3]], ids=["generates", "evaluates", "odds"])
def test_a_row_traced_again_is_met_too(case):
    plan = plan_of(case)
    found, _ = computed(plan)
    for phase, size in traced(plan).items():
        assert abs(found[phase] / size - 1) <= 0.05, phase


def moments(settings, model=LLAMA):
    return {peak.name: peak for peak in evaluate(of_model(model), settings).peaks}


def test_answers_of_more_micro_batches_need_more_and_the_update_does_not():
    few, many = moments(BASE), moments(replace(BASE, steps_per_generation=4))
    assert many["generate"].parts["generate cache"] == 4 * few["generate"].parts["generate cache"]
    assert many["backward end"].bytes == few["backward end"].bytes
    assert "generate" not in moments(replace(BASE, method="sft"))


def test_scores_are_computed_apart_where_trl_does_so():
    assert "score" not in moments(BASE)
    for changes in ({"beta": 0.04}, {"steps_per_generation": 4}, {"num_iterations": 2}, {"method": "rloo"}):
        assert "score" in moments(replace(BASE, **changes)), changes
    assert "score" not in moments(replace(BASE, accumulation=4, steps_per_generation=2))


def test_only_full_training_with_beta_holds_a_second_model():
    full = replace(BASE, adapter="none", weight_bytes=4)
    assert "reference model" not in moments(full)["generate"].parts
    assert moments(replace(full, beta=0.04))["generate"].parts["reference model"] > 4 * GIB
    assert "reference model" not in moments(replace(BASE, beta=0.04))["score"].parts


def test_an_engine_that_sleeps_is_there_only_while_it_generates():
    engine = {"generator": "vllm", "vllm_bytes": 7 * GIB}
    awake, asleep = moments(replace(BASE, **engine)), moments(replace(BASE, **engine, vllm_sleeps=True))
    assert awake["optimizer step"].bytes - asleep["optimizer step"].bytes == 7 * GIB
    assert awake["generate"].bytes == asleep["generate"].bytes > 7 * GIB


def test_gradients_are_held_where_answers_come_in_the_middle_of_a_step():
    held = moments(replace(BASE, accumulation=4, steps_per_generation=2))["generate"]
    assert "gradients" in held.parts
    assert "gradients" not in moments(replace(BASE, accumulation=4, steps_per_generation=8))["generate"].parts


def test_a_window_bounds_the_cache():
    long = replace(BASE, length=65536, prompt=64)
    whole, short = (moments(long, model)["generate"] for model in ("Qwen/Qwen3-0.6B", "google/gemma-3-1b-it"))
    assert whole.parts["generate cache"] > 20 * short.parts["generate cache"]


def test_samples_are_answered_one_at_a_time_beside_the_optimizer():
    found = moments(replace(BASE, method="sft", samples=3, sample_prompt=100, sample_tokens=50))["sample"]
    again = moments(replace(BASE, method="sft", samples=9, sample_prompt=100, sample_tokens=50))["sample"]
    assert found.parts == again.parts
    assert found.parts["optimizer"] > 0 and "gradients" not in found.parts


def test_every_part_has_a_kind_and_generation_shows_in_the_estimate():
    recipe = Recipe(model=LLAMA, per_device_train_batch_size=8, gradient_checkpointing=True)
    made = estimate_recipe(
        recipe, 1024, task="grpo", prompt=896, samples=1, arguments={"beta": 0.04, "steps_per_generation": 8}
    )
    assert all(kind_of(part.name) != "other" for part in made.estimate.parts if part.name not in ("batch", "workspace"))
    assert made.estimate.peak.name == "generate"
    assert made.by_component["generation"] > GIB
    assert "64 answers are generated at once: 896 tokens of prompt, 128 of answer" in made.assumptions


@pytest.mark.parametrize(
    "options", [{"arguments": {"beta": "much"}}, {"arguments": {"steps_per_generation": 0}}, {"prompt": -3}]
)
def test_a_number_that_is_none_is_refused_by_its_name(options):
    with pytest.raises(RecipeError, match=r"beta|steps_per_generation|prompt") as error:
        estimate_recipe(Recipe(model=LLAMA), 512, task="grpo", **options)
    assert error.value.code == "WB815"


def test_arguments_that_the_formula_does_not_use_are_said():
    made = estimate_recipe(Recipe(model=LLAMA), 512, task="grpo", arguments={"beta": 0.1, "top_entropy_quantile": 0.2})
    assert any("top_entropy_quantile=0.2" in note for note in made.assumptions)
    assert not any("beta" in note for note in made.assumptions)


def test_what_makes_it_fit_names_what_only_these_methods_have():
    recipe = Recipe(model=LLAMA, adapter="none", per_device_train_batch_size=8, gradient_checkpointing=True)
    arguments = {"beta": 0.04, "steps_per_generation": 16, "num_generations": 8}
    made = estimate_recipe(recipe, 2048, task="grpo", arguments=arguments, prompt=1792)
    found = {remedy.name: remedy for remedy in made.remedies().all}
    changed = {**arguments, "steps_per_generation": 1}
    assert found["answers"].code == f"recipe.estimate(arguments={_ordered(changed)!r})"
    assert found["no reference"].code == f"recipe.estimate(arguments={_ordered({**arguments, 'beta': 0.0})!r})"
    fewer = estimate_recipe(recipe, 2048, task="grpo", arguments=changed, prompt=1792)
    assert found["answers"].live == fewer.live_bytes < made.live_bytes
    assert "answers" not in {remedy.name for remedy in estimate_recipe(recipe, 2048).remedies().all}


def _ordered(arguments):
    return {name: arguments[name] for name in ("num_generations", "steps_per_generation", "beta")}
