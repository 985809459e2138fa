"""FSDP2 and DDP as torch runs them, on a fake process group, against the closed form. No GPU, no network."""

import csv
import math
import warnings
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.testing._internal.distributed.fake_pg import FakeStore

from tests.benchmarks.sharding_grid import MODELS, grid, highest, ours, quantised_grid
from tests.benchmarks.sharding_oracle import Case, track
from workbench.memory.architecture import from_config
from workbench.memory.settings import AnalyticSettings
from workbench.memory.sharded import storage_of
from workbench.memory.sharding import rank_share
from workbench.memory.sharding_layout import layout_of
from workbench.memory.sharding_values import Sharding

TINY = MODELS["tiny"] | {"num_hidden_layers": 3}
ODD = MODELS["tiny"] | {
    "hidden_size": 40,
    "intermediate_size": 52,
    "num_hidden_layers": 2,
    "num_attention_heads": 5,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "vocab_size": 101,
}

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def group():
    """Makes fake process groups of a world, and ends them."""

    def start(world, rank=0):
        if dist.is_initialized():
            dist.destroy_process_group()
        dist.init_process_group("fake", store=FakeStore(), rank=rank, world_size=world)
        return init_device_mesh("cpu", (world,))

    yield start
    if dist.is_initialized():
        dist.destroy_process_group()


@pytest.mark.parametrize(
    "case",
    [
        Case(TINY, 2),
        Case({**TINY, "tie_word_embeddings": True}, 64, checkpointing=True),
        Case(TINY, 8, checkpointing=True, length=1024),
        Case({**TINY, "tie_word_embeddings": True}, 8, lora=16, checkpointing=True),
        Case(TINY, 8, accumulation=2, checkpointing=True),
        Case(TINY, 8, lora=16, storage="bfloat16"),
        Case(TINY, 3, lora=16, storage="uint8", checkpointing=True),
    ],
    ids=["full", "tied at 64", "long", "lora", "accumulated", "4-bit", "4-bit not cut"],
)
def test_peak_of_a_rank_is_within_three_percent_of_torchs_own_tracker(case):
    peaks, owned = track(case)
    found = ours(case)
    error = highest(found).bytes / peaks["Total"] - 1
    print(f"{case.world} ranks: ours {highest(found).bytes:,}, torch {peaks['Total']:,}, {error:+.2%}")
    assert found.ranks[0].parameters == owned
    assert abs(error) < 0.03


def sharded_model(config, mesh, rank):
    """transformers' model with LoRA in its layers, cut by FSDP2; real tensors, fake collectives."""
    import peft
    import transformers

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.for_model(**config))
    if rank:
        model = peft.get_peft_model(model, peft.LoraConfig(r=rank, target_modules="all-linear"))
    for layer in model.get_decoder().layers:
        fully_shard(layer, mesh=mesh)
    return fully_shard(model, mesh=mesh)


@pytest.mark.parametrize(("name", "cases"), [("sharding_grid", grid), ("sharding_quantised", quantised_grid)])
def test_every_row_of_the_committed_grid_is_still_within_three_percent(name, cases):
    """The tracker's figures are those of the table; ours are computed again."""
    table = csv.DictReader((Path(__file__).parent / f"{name}.csv").open())
    errors = []
    for row, (name, case) in zip(table, cases(), strict=True):
        found = ours(case)
        assert (row["model"], int(row["world"]), int(row["length"])) == (name, case.world, case.length)
        assert found.ranks[0].parameters == int(row["owned"])
        errors.append(abs(highest(found).bytes / int(row["peak"]) - 1))
    print(f"{len(errors)} runs: median {sorted(errors)[len(errors) // 2]:.2%}, largest {max(errors):.2%}")
    assert max(errors) < 0.03


FAMILIES = {
    "llama": {},
    "mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2},
    "qwen3_moe": {
        "num_experts": 6,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 28,
        "decoder_sparse_step": 2,
    },
    "gemma3_text": {"tie_word_embeddings": True},
    "phi": {"num_key_value_heads": 5},
}


@pytest.mark.parametrize(
    ("family", "world", "lora"),
    [("llama", 3, 0), ("llama", 64, 3), ("mixtral", 3, 0), ("qwen3_moe", 8, 0), ("gemma3_text", 3, 2), ("phi", 7, 0)],
)
def test_every_rank_owns_and_stores_what_fsdp_cuts_even_where_the_world_does_not_divide(group, family, world, lora):
    config = {**ODD, **FAMILIES[family], "model_type": family}
    shapes = from_config(config)
    settings = AnalyticSettings(adapter="lora" if lora else "none", rank=lora or 1, weight_bytes=4, autocast=False)
    sharding = Sharding("fsdp", world)
    layout = layout_of(shapes, settings, storage_of(settings, sharding))
    for rank in (0, world - 1):
        model = sharded_model(config, group(world, rank), lora)
        local = [parameter.to_local() for parameter in model.parameters()]
        share = rank_share(layout, sharding, rank)
        assert share.parameters == sum(part.numel() for part in local)
        assert share.parameter_bytes == sum(part.numel() * part.element_size() for part in local)
        stored = sum(part.untyped_storage().nbytes() for part in local)
        assert stored == layout.total(lambda tensor: tensor.chunk(world) * tensor.stored)


def test_adam_on_a_shard_holds_two_moments_of_what_the_rank_owns(group):
    world = 3
    model = sharded_model(ODD, group(world, world - 1), 0)
    adam = torch.optim.AdamW(model.parameters(), foreach=False)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    adam.step()
    moments = sum(
        value.to_local().numel() * value.element_size()
        for state in adam.state.values()
        for name, value in state.items()
        if name != "step"
    )
    sharding, shapes = Sharding("fsdp", world), from_config(ODD)
    settings = AnalyticSettings(adapter="none", weight_bytes=4, autocast=False)
    layout = layout_of(shapes, settings, storage_of(settings, sharding))
    owned = rank_share(layout, sharding, world - 1)
    assert moments == 2 * owned.parameter_bytes


def test_ddp_holds_buckets_of_all_gradients(group):
    group(8)
    module = torch.nn.Sequential(torch.nn.Linear(37, 41), torch.nn.Linear(41, 5))
    wrapped = torch.nn.parallel.DistributedDataParallel(module)
    told = wrapped._get_ddp_logging_data()
    buckets = sum(int(size) for size in told["bucket_sizes"].split(","))
    assert buckets == sum(math.prod(parameter.shape) * 4 for parameter in module.parameters())
    assert not wrapped.gradient_as_bucket_view
