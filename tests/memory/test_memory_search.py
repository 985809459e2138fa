"""What still fits, and what would make it fit: checked against the estimate itself at the edge."""

import csv
import json
import re
from dataclasses import replace

import pytest

from workbench.api.memory import estimate_recipe
from workbench.errors import RecipeError
from workbench.memory.analytic import evaluate
from workbench.memory.architecture import of_model
from workbench.memory.cards import card_named
from workbench.memory.lengths import Lengths
from workbench.memory.options import settings_of
from workbench.memory.remedies import remedies
from workbench.memory.remedy_table import TABLE, Run
from workbench.memory.search import MOST_ROWS, Rows, edge, largest_batch, longest_length
from workbench.memory.settings import BatchShape
from workbench.recipes import Recipe

EIGHT = of_model("meta-llama/Llama-3.1-8B")
ONE = of_model("meta-llama/Llama-3.2-1B")
CARD = card_named("4090").bytes
RUNS = {
    "lora": (Recipe(per_device_train_batch_size=4), {}),
    "checkpointed": (Recipe(gradient_checkpointing=True, per_device_train_batch_size=2), {}),
    "packed": (Recipe(packing="bfd", max_length=2048, per_device_train_batch_size=2), {}),
    "full": (Recipe(adapter="none", per_device_train_batch_size=1), {}),
    "flash": (Recipe(per_device_train_batch_size=3), {"attention": "flash_attention_2"}),
}


def run_of(name, longest=2048):
    recipe, options = RUNS[name]
    settings, _ = settings_of(recipe, BatchShape.of(recipe, longest), "cuda", options)
    rows = Rows(recipe.per_device_train_batch_size, longest, recipe.max_length, recipe.packing != "none")
    return Run(settings, rows)


def word(architecture, run, card=CARD):
    return evaluate(architecture, run.settings).verdict(card).word


@pytest.mark.parametrize("name", RUNS)
def test_a_batch_comes_about_as_the_recipe_says(name):
    run = run_of(name)
    assert run.rows.apply(run.settings) == run.settings


@pytest.mark.parametrize("architecture", [ONE, EIGHT], ids=["1B", "8B"])
@pytest.mark.parametrize("name", RUNS)
def test_one_more_than_what_fits_does_not_fit(name, architecture):
    run = run_of(name)
    for reach, change in (
        (largest_batch(architecture, run.settings, run.rows, CARD), lambda n: {"batch": n}),
        (longest_length(architecture, run.settings, run.rows, CARD), lambda n: {"longest": n, "max_length": n}),
    ):
        assert reach.tight >= reach.fits >= 0
        if reach.fits:
            assert word(architecture, run.with_(change(reach.fits))) == "fits"
        if not reach.capped:
            assert word(architecture, run.with_(change(reach.fits + 1))) != "fits"
            assert word(architecture, run.with_(change(reach.tight + 1))) == "out of memory"


def test_the_edge_of_a_property_is_found_by_halving():
    for last in (0, 1, 2, 3, 7, 8, 9, 1000):
        asked = []

        def holds(value, last=last, asked=asked):
            asked.append(value)
            return value <= last

        assert edge(holds, 1000) == min(last, 1000)
        assert len(asked) < 25
    assert edge(lambda _: True, MOST_ROWS) == MOST_ROWS


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("card", ["T4", "4090", "h100"])
def test_every_remedy_is_what_the_estimate_says_of_it(name, card):
    run, size = run_of(name), card_named(card).bytes
    before = evaluate(EIGHT, run.settings)
    found = remedies(EIGHT, run.settings, run.rows, size)
    assert found.single
    savings = [remedy.saving for remedy in found.single]
    assert savings == sorted(savings, reverse=True)
    changes = {change.name: change for change in TABLE}
    for remedy in found.single:
        made = changes[remedy.name].make(run, lambda other: word(EIGHT, other, size))
        after = evaluate(EIGHT, made.settings)
        assert (remedy.live, remedy.word) == (after.hard_minimum, after.verdict(size).word)
        assert (
            remedy.saving
            == sum(getattr(before.shown, end) for end in ("low", "high")) // 2
            - sum(getattr(after.shown, end) for end in ("low", "high")) // 2
        )
        assert remedy.title and remedy.cost
        compile(remedy.code, "remedy", "exec")


def test_the_same_effective_batch_is_kept():
    run = run_of("lora")
    (made,) = (change.make(run, lambda _: "fits") for change in TABLE if change.name == "batch")
    assert (made.rows.batch, made.settings.accumulation) == (2, 2)
    assert made.settings.rows == 2


def test_shorter_rows_say_how_many_they_cut():
    lengths = Lengths({100: 90, 2048: 10})
    run = run_of("lora")
    found = remedies(EIGHT, run.settings, replace(run.rows, lengths=lengths), CARD)
    (shorter,) = (remedy for remedy in found.single if remedy.name == "length")
    assert shorter.cost == "cuts 10.0% of the rows"


@pytest.mark.parametrize(
    ("name", "card", "names"),
    [("full", "l40s", {"checkpointing", "adapter"}), ("lora", "20GB", {"checkpointing", "length"})],
)
def test_the_fewest_changes_that_fit_together_do_fit(name, card, names):
    run, size = run_of(name, 4096), card_named(card).bytes
    found = remedies(EIGHT, run.settings, run.rows, size)
    assert "fits" not in {remedy.word for remedy in found.single}
    assert {remedy.name for remedy in found.together} == names
    assert (found.after.word, found.after.saving) == ("fits", found.together[-1].saving)
    assert found.after.saving > max(remedy.saving for remedy in found.single)
    compile(found.after.code, "together", "exec")


def test_nothing_is_put_together_where_it_fits_already():
    run = run_of("lora", 64)
    found = remedies(ONE, run.settings, run.rows, CARD)
    assert (found.together, found.after) == ((), None)


def test_an_estimate_answers_and_its_code_runs():
    made = estimate_recipe(Recipe(model="meta-llama/Llama-3.1-8B", per_device_train_batch_size=4), 2048, gpu="4090")
    assert made.verdict.word == "out of memory"
    assert made.longest_length().fits < 2048
    assert made.largest_batch("b200").fits > 4
    assert made.remedies("h100").single[0].word == "fits"
    values = json.loads(json.dumps(made.to_dict(), allow_nan=False))
    assert values["fits_up_to"]["length"]["fits"] == made.longest_length().fits
    assert values["remedies"]["single"][0]["name"] == "checkpointing"
    with pytest.raises(RecipeError, match="WB816"):
        estimate_recipe(Recipe(model="meta-llama/Llama-3.1-8B"), 64).largest_batch()


def test_more_gpus_and_four_bits_are_proposed_with_the_storage_that_is_cut():
    recipe = Recipe(model="meta-llama/Llama-3.1-8B", adapter="lora")
    packed = {"adapter": "qlora", "bnb_4bit_quant_storage": "bfloat16", "world": 2, "sharding": "fsdp"}
    for given, name in (({"adapter": "qlora"}, "shards"), ({"world": 2, "sharding": "fsdp"}, "quantisation")):
        made = estimate_recipe(recipe, 1024, gpu="h100", **given)
        (found,) = (remedy for remedy in made.remedies().all if remedy.name == name)
        after = estimate_recipe(recipe, 1024, gpu="h100", **packed)
        assert (found.live, found.word) == (after.live_bytes, after.verdict.word)
        assert "bnb_4bit_quant_storage='bfloat16'" in found.code


def test_the_allocator_and_more_gpus_are_proposed_beside_the_table():
    made = estimate_recipe(Recipe(model="meta-llama/Llama-3.1-8B", adapter="none"), 1024, gpu="h100")
    (shards,) = (remedy for remedy in made.remedies().all if remedy.name == "shards")
    after = estimate_recipe(made.recipe, 1024, gpu="h100", world=8, sharding="fsdp")
    assert (shards.live, shards.word) == (after.live_bytes, after.verdict.word)
    assert "sharding='fsdp'" in shards.code
    assert after.largest_batch().tight > made.largest_batch().tight == 0
    packed = estimate_recipe(Recipe(model="meta-llama/Llama-3.1-8B", gradient_checkpointing=True), 8192, gpu="h100")
    (allocator,) = (remedy for remedy in packed.remedies().all if remedy.name == "allocator")
    again = estimate_recipe(packed.recipe, 8192, gpu="h100", alloc_conf="expandable_segments:True")
    assert (allocator.live, allocator.reserved) == (packed.live_bytes, again.estimate.reserved.high)
    assert again.estimate.reserved.high < packed.estimate.reserved.high
    assert "allocator" not in {remedy.name for remedy in again.remedies().all}
    with pytest.raises(RecipeError, match="WB807"):
        estimate_recipe(Recipe(), 64, alloc_conf="max_split_size_mb:many")


@pytest.mark.training
def test_what_fits_is_confirmed_by_a_trace():
    made = estimate_recipe(Recipe(per_device_train_batch_size=2), 64, card_gib=1.0)
    reach = made.largest_batch(confirm=True)
    assert replace(reach, traced=None) == made.largest_batch()
    at_the_edge = made.recipe.with_(per_device_train_batch_size=reach.fits)
    assert reach.traced == estimate_recipe(at_the_edge, 64, card_gib=1.0, method="trace").verdict.word


@pytest.mark.shared
def test_published_limits_lie_between_what_fits_and_what_is_tight(shared):
    """Longest context of an 8B QLoRA by card, with Hugging Face's loop and flash attention (Unsloth's table)."""
    with open(shared / "testdata" / "memory" / "published.csv", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if "README max ctx" in row["source"] and "HF+FA2" in row["method"]]
    recipe = Recipe(model="meta-llama/Llama-3.1-8B", r=32, per_device_train_batch_size=1, gradient_checkpointing=True)
    options = {"adapter": "qlora", "attention": "flash_attention_2", "loop": "plain"}
    over = []
    for row in rows:
        limit = int(re.search(r"S=(\d+)", row["config"])[1])
        reach = estimate_recipe(recipe, limit, card_gib=float(row["value"]), **options).longest_length()
        assert reach.fits < limit < reach.tight
        over.append(reach.tight / limit - 1)
    assert len(over) == 6 and max(over) < 0.15
