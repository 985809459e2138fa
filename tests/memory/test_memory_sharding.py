"""Memory of several devices: what is cut, what is added, what the host holds, what is refused."""

from dataclasses import replace

import pytest

from workbench.errors import RecipeError
from workbench.memory.analytic import evaluate
from workbench.memory.architecture import from_config, of_model
from workbench.memory.figures import Peak
from workbench.memory.kinds import kind_of
from workbench.memory.settings import AnalyticSettings
from workbench.memory.sharded import estimate_sharded, shard_traced, storage_of
from workbench.memory.sharded import evaluate as evaluate_spread
from workbench.memory.sharding_layout import layout_of
from workbench.memory.sharding_values import OFFLOADS, Buckets, Sharding, pinned_block

MODEL = of_model("meta-llama/Llama-3.2-1B")
FULL = AnalyticSettings(rows=2, length=512, scored=1024, adapter="none", weight_bytes=4, optim="adamw_torch_fused")
LORA = AnalyticSettings(rows=2, length=512, scored=1024)


def static(found, *names):
    """Bytes of parts that live through the whole step."""
    parts = found.estimate.peaks[0].parts
    return sum(parts.get(name, 0) for name in names)


def test_one_device_is_the_unsharded_estimate():
    assert estimate_sharded(MODEL, FULL, Sharding()).estimate == evaluate(MODEL, FULL)


@pytest.mark.parametrize("settings", [FULL, LORA], ids=["full", "lora"])
def test_ddp_adds_one_more_of_every_gradient(settings):
    alone, found = evaluate(MODEL, settings), estimate_sharded(MODEL, settings, Sharding("ddp", 8))
    gradients = next(part.bytes for part in alone.parts if part.name == "gradients")
    assert found.live_bytes == alone.hard_minimum + gradients
    assert found.live_bytes == estimate_sharded(MODEL, settings, Sharding("ddp", 64)).live_bytes


def test_shards_of_all_ranks_are_the_model():
    from workbench.memory.sharding import rank_share

    sharding = Sharding("fsdp", 48)
    layout = layout_of(MODEL, FULL, storage_of(FULL, sharding))
    assert sum(rank_share(layout, sharding, rank).parameters for rank in range(48)) == MODEL.total


@pytest.mark.parametrize("strategy", ["fsdp", "zero1", "zero2", "zero3"])
def test_more_ranks_never_need_more(strategy):
    sizes = [estimate_sharded(MODEL, FULL, Sharding(strategy, world)).live_bytes for world in (2, 4, 16, 64)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[-1]


def test_a_parameter_and_its_state_are_cut_by_the_world():
    found = estimate_sharded(MODEL, FULL, Sharding("fsdp", 8))
    assert static(found, "weights") == 4 * MODEL.total // 8
    assert static(found, "optimizer") == 8 * MODEL.total // 8


def test_a_low_rank_over_many_ranks_is_padded_to_a_row_each():
    few, many = (
        estimate_sharded(MODEL, LORA, Sharding("fsdp", world)).estimate.peaks[0].parts["adapter"] for world in (16, 64)
    )
    # matrices A have 16 rows: beyond 16 ranks they are cut no further, and ranks without a row store one of padding
    assert many > few // 4
    first, last = estimate_sharded(MODEL, LORA, Sharding("fsdp", 64)).ranks
    assert last.parameters < first.parameters


def test_whole_gradients_wait_when_micro_batches_are_accumulated():
    one, two = (
        estimate_sharded(MODEL, replace(FULL, accumulation=count, checkpointing=True), Sharding("fsdp", 64)).live_bytes
        for count in (1, 2)
    )
    assert two - one > MODEL.total


def test_resharding_frees_the_layers_that_do_not_compute():
    kept, cut = (
        estimate_sharded(MODEL, FULL, Sharding("fsdp", 8, reshard=reshard)).live_bytes for reshard in (False, True)
    )
    assert kept - cut > MODEL.linear_parameters


def test_replicas_cut_over_fewer_ranks():
    assert static(estimate_sharded(MODEL, FULL, Sharding("fsdp", 16, replicas=2)), "weights") == static(
        estimate_sharded(MODEL, FULL, Sharding("fsdp", 8)), "weights"
    )


@pytest.mark.parametrize(
    ("strategy", "offload"), [(name, offload) for name, choices in OFFLOADS.items() for offload in choices[1:]]
)
def test_what_is_offloaded_leaves_the_device_for_the_host(strategy, offload):
    here = estimate_sharded(MODEL, FULL, Sharding(strategy, 8))
    there = estimate_sharded(MODEL, FULL, Sharding(strategy, 8, offload))
    assert here.host == ()
    assert there.live_bytes < here.live_bytes
    assert static(there, "optimizer", "master weights") == 0
    # masters, gradients and two moments in float32, at least
    assert there.host_bytes >= 16 * (MODEL.total // 8)


def test_pinned_blocks_are_powers_of_two():
    assert [pinned_block(size) for size in (0, 1, 2, 3, 4096, 4097)] == [0, 1, 2, 4, 4096, 8192]
    found = estimate_sharded(MODEL, FULL, Sharding("zero2", 8, "optimizer"))
    loose = next(part.bytes for part in found.host if part.name == "optimizer")
    assert found.host_bytes < found.host_most < 2 * found.host_bytes
    assert (found.host_most - loose) % 2 == 0
    unpinned = estimate_sharded(MODEL, FULL, Sharding("zero2", 8, "optimizer", buckets=Buckets(pinned=False)))
    assert unpinned.host_most == unpinned.host_bytes
    assert "host memory a GPU" in str(found)


@pytest.mark.parametrize("world", [2, 8, 48])
def test_zero_states_are_deepspeeds_own_estimate_and_the_terms_it_leaves_out(world):
    """DeepSpeed 0.19.6: estimate_zero2_model_states_mem_needs says 2 P + 18 P / N, its stage 3 twin 4 L + 18 P / N."""
    parameters = MODEL.total
    found = estimate_sharded(MODEL, FULL, Sharding("zero2", world))
    step = next(peak for peak in found.estimate.peaks if peak.name == "optimizer step").parts
    states = sum(step.get(name, 0) for name in ("weights", "master weights", "optimizer", "gradients"))
    flat = 2 * parameters / world  # the flattened copy while gradients become float32, which their formula leaves out
    assert states == pytest.approx(2 * parameters + 18 * parameters / world + flat, rel=1e-4)
    found = estimate_sharded(MODEL, FULL, Sharding("zero3", world))
    step = next(peak for peak in found.estimate.peaks if peak.name == "optimizer step").parts
    states = sum(step.get(name, 0) for name in ("weights", "master weights", "optimizer", "gradients"))
    persistent = 2 * (MODEL.parameters["norms"])
    # one sub group of at most 1e9 elements is stepped at a time, so fewer float32 gradients are there
    partition = parameters / world
    expected = 2 * partition + 12 * partition + 2 * partition + 6 * min(partition, 1e9) + persistent
    assert states == pytest.approx(expected, rel=1e-3)


def test_zero_host_memory_is_deepspeeds_estimate_without_its_safety_factor():
    """estimate_zero3_model_states_mem_needs: 16 P with the optimizer, 18 P with parameters, each times 1.5."""
    total = MODEL.total
    optimizer = 8 * estimate_sharded(MODEL, FULL, Sharding("zero3", 8, "optimizer")).host_bytes
    parameters = 8 * estimate_sharded(MODEL, FULL, Sharding("zero3", 8, "parameters")).host_bytes
    buffer = 2 * total  # grad_partitions_flat_buffer, on the host as well
    assert optimizer == pytest.approx(16 * total + buffer, rel=1e-4)
    assert parameters == pytest.approx(18 * total + buffer, rel=1e-4)


def test_reduce_buckets_are_there_whatever_trains():
    small, large = (
        {
            peak.name: peak
            for peak in estimate_sharded(MODEL, LORA, Sharding("zero3", 8, buckets=Buckets(reduce=size))).estimate.peaks
        }
        for size in (1_000, 500_000_000)
    )
    at_loss = [peaks["loss backward"].parts["reduce buffers"] for peaks in (small, large)]
    assert at_loss == [2_000, 1_000_000_000]
    # in backward a flat copy of what is really in the bucket comes on top
    assert large["first layer backward"].parts["reduce buffers"] == 1_000_000_000 + 2 * MODEL.adapter_parameters(LORA)


def test_every_added_part_has_a_kind():
    for strategy in ("ddp", "fsdp", "zero1", "zero2", "zero3"):
        for peak in estimate_sharded(MODEL, FULL, Sharding(strategy, 4)).estimate.peaks:
            assert "other" not in {kind_of(name) for name in peak.parts} - {kind_of("batch")}


def test_the_interval_holds_the_streams_of_communication_on_top():
    found = estimate_sharded(MODEL, FULL, Sharding("fsdp", 8)).estimate
    assert found.hard_minimum <= found.reserved.low <= found.reserved.high
    assert found.context.high > evaluate(MODEL, FULL).context.high


@pytest.mark.parametrize(
    "wrong",
    [
        {"strategy": "zero4"},
        {"strategy": "fsdp", "world": 0},
        {"strategy": "fsdp", "world": -3},
        {"strategy": "fsdp", "world": 2.5},
        {"strategy": "fsdp", "world": True},
        {"strategy": "fsdp", "world": 10**9},
        {"strategy": "none", "world": 2},
        {"strategy": "fsdp", "world": 8, "offload": "optimizer"},
        {"strategy": "ddp", "world": 8, "offload": "parameters"},
        {"strategy": "zero2", "world": 8, "offload": "parameters"},
        {"strategy": "fsdp", "world": 8, "replicas": 3},
        {"strategy": "zero1", "world": 8, "replicas": 2},
    ],
)
def test_an_impossible_spread_is_refused_by_name(wrong):
    with pytest.raises(RecipeError, match="WB820"):
        Sharding(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"quantisation": "int8"},
        {"quantisation": "nf4", "bnb_4bit_quant_storage": "float32"},
        {"quantisation": "nf4", "bnb_4bit_quant_storage": "bfloat16", "autocast": False, "weight_bytes": 4},
    ],
)
def test_quantised_weights_that_gathering_would_spoil_are_refused(wrong):
    with pytest.raises(RecipeError, match="WB821"):
        estimate_sharded(MODEL, replace(LORA, **wrong), Sharding("fsdp", 8))


def test_four_bit_weights_are_cut_where_they_are_stored_as_floating_numbers():
    four = replace(LORA, quantisation="nf4", float32_rest=False)
    whole, cut = (
        estimate_sharded(MODEL, replace(four, bnb_4bit_quant_storage=storage), Sharding("fsdp", 8)).estimate
        for storage in ("uint8", "bfloat16")
    )
    linear = sum(item.copies * item.inputs * item.outputs for item in MODEL.modules)
    packed = linear // 2
    weights = [found.peak.parts["weights"] for found in (whole, cut)]
    assert weights[0] - weights[1] == packed - packed // 8
    assert whole.hard_minimum > cut.hard_minimum


def test_every_family_that_is_known_is_whole_in_the_layout():
    for family in ("llama", "mistral", "qwen2", "qwen3"):
        config = {
            "model_type": family,
            "hidden_size": 64,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "intermediate_size": 96,
            "vocab_size": 320,
            "attention_bias": True,
        }
        shapes = from_config(config)
        for settings in (FULL, LORA):
            assert estimate_sharded(shapes, settings, Sharding("fsdp", 3)).ranks[0].parameters > 0


def test_settings_that_name_several_devices_are_evaluated_on_the_fullest():
    spread = replace(FULL, sharding="fsdp", world=8)
    assert evaluate_spread(MODEL, spread) == estimate_sharded(MODEL, spread, Sharding("fsdp", 8)).estimate
    assert evaluate_spread(MODEL, replace(FULL, world=4)) == evaluate_spread(
        MODEL, replace(FULL, sharding="ddp", world=4)
    )
    assert evaluate_spread(MODEL, FULL) == evaluate(MODEL, FULL)


def test_recipe_is_estimated_and_searched_over_its_devices():
    from workbench.api.memory import estimate_recipe
    from workbench.recipes import Recipe

    recipe = Recipe(model="meta-llama/Llama-3.2-1B", adapter="none", per_device_train_batch_size=1)
    one = estimate_recipe(recipe, 1024, gpu="4090")
    made = estimate_recipe(recipe, 1024, gpu="4090", world=8, sharding="zero3", offload="optimizer")
    told = made.to_dict()
    assert (one.verdict.word, made.verdict.word) == ("out of memory", "fits")
    assert made.largest_batch().fits > one.largest_batch().fits
    assert told["host_bytes"] == made.sharded.host_bytes > 16 * (MODEL.total // 8)
    assert (told["sharding"], told["world"], told["offload"]) == ("zero3", 8, "optimizer")
    assert any("zero3 over 8 devices" in sentence for sentence in told["assumptions"])
    assert "communication" in told["by_component"]


def test_a_trace_of_one_device_is_spread_by_the_same_rules():
    traced = traced_like(evaluate(MODEL, FULL))
    found = shard_traced(traced, MODEL, FULL, Sharding("fsdp", 8))
    alone = {peak.name: peak.parts for peak in traced.peaks}
    loss = next(peak for peak in found.estimate.peaks if peak.name == "loss backward").parts
    assert loss["saved activations"] == alone["loss backward"]["saved activations"]
    assert loss["weights"] == 4 * MODEL.total // 8
    assert found.live_bytes < traced.hard_minimum


def traced_like(estimate):
    """An estimate with the phases and names of a trace."""
    moved = {
        "optimizer": "optimizer state",
        "activations": "saved activations",
        "loss": "loss backward temporaries",
        "layer backward": "backward temporaries",
    }
    phases = {"loss backward": "loss backward", "first layer backward": "backward", "optimizer step": "optimizer"}
    peaks = tuple(
        Peak(phases[peak.name], {moved.get(name, name): size for name, size in peak.parts.items()})
        for peak in estimate.peaks
        if peak.name in phases
    )
    return replace(estimate, kind="traced", peaks=peaks, peak=max(peaks, key=lambda peak: peak.bytes))
