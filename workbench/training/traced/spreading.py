"""FSDP2 and DDP inside a trace: torch's own wrappers on a process group that moves nothing, on tensors without data.

    with spreading(plan, recorder):
        base = spread(trainer, plan, base)  # accelerate's own fsdp2_prepare_model, or DistributedDataParallel
        trainer.train()

The group is torch's `fake` one: one process believes to be rank 0 of `plan.world`. What a trace of one device needs
beside it: FSDP2 looks for streams and for collectives of the device `meta`, which has neither; it gives the memory of
gathered parameters back by resizing storages, which no dispatch mode sees; and DTensor finds shapes by running
operators on fake tensors, which are no allocations.

Source: torch 2.13, distributed/fsdp/_fully_shard (alloc_storage, free_storage, DefaultAllGather, DefaultReduceScatter),
distributed/tensor/_sharding_prop.py; accelerate 1.15, utils/fsdp_utils.py and accelerator.py (no_sync); trl 1.16,
models/utils.py (prepare_fsdp).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch

from workbench.memory.plan import Plan
from workbench.training.traced.recorder import Recorder

UNSHARDED, GATHER, REDUCE = "unsharded parameters", "gather buffers", "reduce buffers"


@contextmanager
def spreading(plan: Plan, recorder: Recorder) -> Iterator[None]:
    """A process group of the plan's world, and torch's wrappers able to run on `meta`."""
    import torch.distributed as dist
    from torch.testing._internal.distributed.fake_pg import FakeStore

    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=plan.world)
    try:
        with ExitStack() as stack:
            for patch in (*_devices(), *_storages(recorder), *_collectives(recorder), *_propagation(recorder)):
                stack.enter_context(patch)
            yield
    finally:
        dist.destroy_process_group()


def _devices() -> list[Any]:
    """Streams of a device that has none, and parameters that stay on it."""
    from torch.distributed.fsdp._fully_shard import _fsdp_collectives, _fsdp_init, _fsdp_param_group, _fsdp_state

    entry = sys.modules["torch.distributed.fsdp._fully_shard._fully_shard"]  # hidden behind a function of its name
    places = (_fsdp_collectives, _fsdp_init, _fsdp_param_group, _fsdp_state)
    return [
        *(mock.patch.object(place, "_get_device_handle", lambda kind="cpu": torch.cpu) for place in places),
        mock.patch.object(entry, "_get_device_from_mesh", lambda mesh: torch.device("meta")),
        mock.patch.object(_fsdp_param_group.FSDPParamGroup, "_validate_no_meta_params", lambda self: None),
    ]


def _storages(recorder: Recorder) -> list[Any]:
    """Storages that FSDP2 empties and fills again: a change of size is no operator."""
    from torch.distributed.fsdp._fully_shard import _fsdp_param, _fsdp_param_group

    def alloc(tensor: Any) -> None:
        size = tensor.numel() * tensor.itemsize
        storage = tensor.untyped_storage()
        if storage.size() != size:
            storage.resize_(size)
            recorder.see(tensor, "all_gather_copy_out")
        recorder.call_it(tensor, UNSHARDED)

    def free(tensor: Any) -> None:
        storage = tensor.untyped_storage()
        if storage.size():
            recorder.forget(tensor)
            storage.resize_(0)

    return [
        mock.patch.object(_fsdp_param, "alloc_storage", alloc),
        mock.patch.object(_fsdp_param_group, "alloc_storage", alloc),
        mock.patch.object(_fsdp_param, "free_storage", free),
    ]


def _collectives(recorder: Recorder) -> list[Any]:
    """Collectives that allocate as they do and move nothing."""
    from torch.distributed.fsdp._fully_shard import _fsdp_collectives as collectives

    def allocating(category: str) -> Any:
        def allocate(self: Any, size: Any, *, dtype: Any, device: Any) -> Any:
            made = torch.empty(*size, dtype=dtype, device=device)
            recorder.call_it(made, category)
            return made

        return allocate

    def nothing(self: Any, *args: Any, **kwargs: Any) -> None:
        return None

    kinds = ((collectives.DefaultAllGather, GATHER), (collectives.DefaultReduceScatter, REDUCE))
    return [
        *(mock.patch.object(kind, "allocate", allocating(category)) for kind, category in kinds),
        *(mock.patch.object(kind, "__call__", nothing) for kind, _ in kinds),
    ]


def _propagation(recorder: Recorder) -> list[Any]:
    """DTensor's search for shapes, not counted."""
    from torch.distributed.tensor._sharding_prop import ShardingPropagator

    original = ShardingPropagator._propagate_tensor_meta_non_cached

    def propagate(self: Any, *args: Any, **kwargs: Any) -> Any:
        with recorder.paused():
            return original(self, *args, **kwargs)

    return [mock.patch.object(ShardingPropagator, "_propagate_tensor_meta_non_cached", propagate)]


def spread(trainer: Any, plan: Plan, base: set[int], recorder: Recorder) -> set[int]:
    """Wrap a trainer's model as accelerate does, and its reference model as TRL does.

    Args:
        trainer: Ready to train; its model is cut in place, or wrapped when the trainer prepares it.
        plan: World and sharding.
        base: Identities of the model's own tensors, the adapter's not among them.
        recorder: Told what buffers are for.

    Returns:
        The same identities afterwards.
    """
    model, accelerator = trainer.model, trainer.accelerator
    if plan.sharding == "ddp":
        prepare = accelerator.prepare_model
        accelerator.prepare_model = lambda model, *args, **kwargs: _copied(prepare(model, *args, **kwargs), recorder)
        accelerator.no_sync = lambda model: model.no_sync()
        return base
    added = {name for name, parameter in model.named_parameters() if id(parameter) not in base}
    _cut(model, getattr(trainer, "ref_model", None), plan)
    accelerator.no_sync = _no_sync
    own = {id(parameter) for name, parameter in model.named_parameters() if name not in added}
    return own | {id(buffer) for buffer in model.buffers() if id(buffer) in base}


def _copied(model: Any, recorder: Recorder) -> Any:
    """DDP, whose look at the other ranks' parameters has nothing to look at."""
    from torch.nn.parallel import distributed

    def summed(bucket: Any) -> Any:
        """A bucket's sum over the ranks, which replaces it in place: the fake group's own has no result to give."""
        recorder.call_it(bucket.buffer(), REDUCE)
        done: Any = torch.futures.Future()
        done.set_result(bucket.buffer())
        return done

    names = ("_verify_param_shape_across_processes", "_sync_module_states")
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(mock.patch.object(distributed, name, lambda *args, **kwargs: None))
        wrapped = distributed.DistributedDataParallel(model)
    wrapped.register_comm_hook(None, lambda state, bucket: summed(bucket))
    return wrapped


@contextmanager
def _no_sync(model: Any) -> Iterator[None]:
    """What accelerate does with FSDP2 while gradients accumulate."""
    model.set_requires_gradient_sync(False)
    try:
        yield
    finally:
        model.set_requires_gradient_sync(True)


def _cut(model: Any, reference: Any, plan: Plan) -> None:
    from accelerate import FullyShardedDataParallelPlugin
    from accelerate.utils.fsdp_utils import fsdp2_prepare_model
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy
    from trl.models.utils import prepare_fsdp

    plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2,
        auto_wrap_policy="transformer_based_wrap",
        reshard_after_forward=True,
        cpu_ram_efficient_loading=False,
    )
    low = torch.bfloat16 if plan.autocast else None
    plugin.mixed_precision_policy = MixedPrecisionPolicy(param_dtype=low, reduce_dtype=low, output_dtype=low)
    accelerator: Any = SimpleNamespace(
        state=SimpleNamespace(fsdp_plugin=plugin),
        torch_device_mesh=init_device_mesh("cpu", (plan.world,), mesh_dim_names=("dp",)),
        parallelism_config=SimpleNamespace(fsdp_dim_names=("dp",)),
        mixed_precision="bf16" if plan.autocast else "no",
        is_main_process=False,
        device=torch.device("meta"),
    )
    # a copy of the state for ranks that load nothing, which is not used here and would read scales of 4-bit weights
    with mock.patch.object(type(model), "state_dict", lambda *args, **kwargs: {}):
        fsdp2_prepare_model(accelerator, model)
    if reference is not None:  # one unit, as TRL 1.16 cuts it: whole while it scores
        prepare_fsdp(reference, accelerator)
