"""FSDP2 and DDP inside the trace: against torch's own tracker, and by the estimate that users ask for."""

import pytest

from tests.benchmarks.sharding_grid import MODELS
from tests.benchmarks.sharding_oracle import Case, traced, track
from workbench.api.memory import estimate_recipe
from workbench.errors import RecipeError
from workbench.recipes import Recipe

TINY = MODELS["tiny"] | {"num_hidden_layers": 3}

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize(
    "case",
    [
        Case(TINY, 8, attention="eager"),
        Case(TINY, 64, lora=16, checkpointing=True, attention="eager"),
    ],
    ids=["full", "lora at 64"],
)
def test_fsdp_on_tensors_without_data_needs_the_very_bytes_that_torchs_tracker_counts(case):
    peaks, _ = track(case)
    assert traced(case) == peaks["Total"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A folder with a small config.json."""
    import json

    folder = tmp_path_factory.mktemp("small")
    (folder / "config.json").write_text(json.dumps(TINY))
    return str(folder)


def spread(model, adapter="lora", **options):
    """A traced estimate."""
    recipe = Recipe(model=model, adapter=adapter, per_device_train_batch_size=2)
    return estimate_recipe(recipe, 128, method="trace", **options)


def test_a_traced_rank_of_fsdp_owns_its_shard_and_gathers_layers(model):
    alone, cut = spread(model, "none"), spread(model, "none", world=8, sharding="fsdp")
    optimizer = {made.trace.plan.world: made.trace.moments[-1].parts for made in (alone, cut)}
    for part in ("optimizer state", "weights", "gradients"):
        assert optimizer[8][part] == pytest.approx(optimizer[1][part] / 8, rel=0.01)
    backward = next(moment for moment in cut.trace.moments if moment.phase == "backward").parts
    assert backward["unsharded parameters"] > 0 < backward["gather buffers"]
    assert cut.live_bytes == cut.trace.live < alone.live_bytes
    assert sum(cut.by_component.values()) == cut.live_bytes
    assert any("FSDP2 ran inside the trace" in sentence for sentence in cut.assumptions)


def test_a_traced_rank_of_ddp_holds_every_gradient_once_more(model):
    alone, copied = spread(model), spread(model, world=8)
    added = copied.estimate.hard_minimum - alone.estimate.hard_minimum
    gradients = next(moment for moment in alone.trace.moments if moment.phase == "optimizer").parts["gradients"]
    assert added == pytest.approx(gradients, rel=0.01)


def test_four_bit_weights_are_cut_inside_the_trace_by_their_storage(model):
    found = {
        storage: spread(model, world=8, sharding="fsdp", quantisation="nf4", bnb_4bit_quant_storage=storage)
        for storage in ("uint8", "bfloat16")
    }
    weights = {name: made.trace.peak.parts["weights"] for name, made in found.items()}
    packed = 3 * (2 * 512 * 512 + 2 * 512 * 256 + 3 * 512 * 1408) // 2
    assert weights["uint8"] - weights["bfloat16"] == packed - packed // 8


@pytest.mark.parametrize("options", [{}, {"task": "dpo"}], ids=["sft", "dpo with a reference model"])
def test_the_closed_form_is_near_the_trace_of_a_rank(model, options):
    recipe = Recipe(model=model, adapter="none", per_device_train_batch_size=2, optim="adamw_torch_fused")
    traced, formula = (
        estimate_recipe(recipe, 128, method=method, world=8, sharding="fsdp", **options)
        for method in ("trace", "analytic")
    )
    assert formula.live_bytes == pytest.approx(traced.live_bytes, rel=0.03)


def test_a_wrapper_that_fails_says_where_and_the_formula_spreads(model):
    recipe = Recipe(model=model, adapter="none", optim="adafactor", per_device_train_batch_size=2)
    made = estimate_recipe(recipe, 128, method="trace", world=8, sharding="fsdp")
    assert any("FSDP2 did not run" in sentence and "optimization.py" in sentence for sentence in made.assumptions)
    assert made.trace.plan.sharding == "none"
    with pytest.raises(RecipeError, match="WB821"):
        spread(model, world=8, sharding="fsdp", quantisation="int8")
