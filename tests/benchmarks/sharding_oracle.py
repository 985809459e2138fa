"""FSDP2 as torch runs it, without a GPU: fake process group, fake tensors, torch's own tracker. Not a test by itself.

The model is transformers', the adapter PEFT's, the units accelerate's (`fsdp2_prepare_model`), the gathering torch's,
and `torch.distributed._tools.fsdp2_mem_tracker.FSDPMemTracker` counts the bytes. The step is forward and backward: the
optimizer is left out, because under fake tensors DTensor's propagation is counted as if it allocated whole tensors.
"""

import types
import warnings
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import accumulate
from unittest import mock

import torch
import torch.distributed as dist
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.fsdp2_mem_tracker import FSDPMemTracker
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy
from torch.testing._internal.distributed.fake_pg import FakeStore

from workbench.training.traced.models import quantise
from workbench.training.traced.naming import see_model
from workbench.training.traced.recorder import Recorder, selection
from workbench.training.traced.spreading import _cut, spreading


@dataclass(frozen=True)
class Case:
    """A run to track: config.json's values and what the recipe says."""

    config: dict
    world: int
    lora: int = 0
    checkpointing: bool = False
    rows: int = 2
    length: int = 256
    rank: int = 0
    reshard: bool = True
    accumulation: int = 1
    attention: str = "sdpa"
    storage: str = ""
    """Type that nf4 weights are packed into; none quantises nothing."""


def track(case):
    """Highest live bytes of one rank by kind, with `Total`, and the elements that the rank owns."""
    if dist.is_initialized():
        dist.destroy_process_group()
    dist.init_process_group("fake", store=FakeStore(), rank=case.rank, world_size=case.world)
    try:
        return _tracked(case, init_device_mesh("cpu", (case.world,), mesh_dim_names=("dp",)))
    finally:
        dist.destroy_process_group()


def _tracked(case, mesh):
    model = _model(case)
    fix = mock.patch("bitsandbytes.nn.modules.fix_4bit_weight_quant_state_from_module", _quant_state_of_module)
    with fix if case.storage else nullcontext(), FakeTensorMode(allow_non_fake_inputs=True):
        _materialise(model)
        model = _sharded(model, case, mesh)
        owned = sum(local(parameter).numel() for parameter in model.parameters())
        ids = torch.randint(0, 9, (case.rows, case.length))
        tracker = FSDPMemTracker(model)
        tracker.track_inputs((ids,))
        with tracker:
            for micro in range(case.accumulation):
                model.set_requires_gradient_sync(micro == case.accumulation - 1)
                loss = model(input_ids=ids, labels=ids).loss
                loss.backward()
                del loss
                tracker.reset_mod_stats()
        peak = tracker.get_tracker_snapshot("peak")[torch.device("cpu")]
    return {getattr(kind, "value", kind): size for kind, size in peak.items()}, owned


def local(parameter):
    """What this rank has of a parameter: all of one that FSDP2 was told to ignore."""
    return parameter.to_local() if hasattr(parameter, "to_local") else parameter


def _model(case):
    import peft
    import transformers

    config = transformers.AutoConfig.for_model(**case.config)
    config._attn_implementation, config.use_cache = case.attention, False
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dtype = torch.bfloat16 if case.lora else torch.float32
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=dtype)
        if case.checkpointing:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if case.storage:
        quantise(model, "nf4", torch.bfloat16, case.storage)
    if case.lora:
        model = peft.get_peft_model(
            model, peft.LoraConfig(task_type="CAUSAL_LM", r=case.lora, target_modules="all-linear")
        )
        if case.checkpointing:
            model.enable_input_require_grads()
        if case.storage:  # as TRL's trainer does over quantised weights
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.data = parameter.data.to(torch.bfloat16)
    return model.train()


def _materialise(model):
    """Meta parameters become fake ones, ties kept; PEFT cannot build on fake tensors, and FSDP2 not run on meta."""
    seen = {}
    for module in model.modules():
        for name, value in list(module._parameters.items()):
            if value is not None and id(value) not in seen:
                made = torch.empty(value.shape, dtype=value.dtype)
                seen[id(value)] = _like(value, made)
            module._parameters[name] = None if value is None else seen[id(value)]
        for name, value in list(module._buffers.items()):
            module._buffers[name] = None if value is None else torch.empty(value.shape, dtype=value.dtype)


def _like(parameter, data):
    """The parameter with other data, and scales that are fake too: fake tensors cannot have bitsandbytes' class."""
    state = getattr(parameter, "quant_state", None)
    for holder in (state, state.state2) if state else ():
        for name in ("absmax", "code", "offset"):
            value = getattr(holder, name)
            if value is not None:
                setattr(holder, name, torch.empty(value.shape, dtype=value.dtype))
    return torch.nn.Parameter(data, requires_grad=parameter.requires_grad)


def _quant_state_of_module(module):
    """What bitsandbytes does when FSDP has gathered a weight, without the weight's class."""
    module.weight.quant_state = module.quant_state


def _ignored(model, case):
    """Modules whose 4-bit weights accelerate 1.15 does not cut: it goes by the class, which fake weights lack."""
    if case.storage != "uint8":
        return None
    return [module for module in model.modules() if getattr(module, "quant_state", None) is not None]


def _sharded(model, case, mesh):
    from accelerate import FullyShardedDataParallelPlugin
    from accelerate.utils.fsdp_utils import fsdp2_prepare_model

    plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2,
        auto_wrap_policy="transformer_based_wrap",
        reshard_after_forward=case.reshard,
        cpu_ram_efficient_loading=False,
        ignored_modules=_ignored(model, case),
    )
    low = torch.bfloat16
    plugin.mixed_precision_policy = MixedPrecisionPolicy(param_dtype=low, reduce_dtype=low, output_dtype=low)
    accelerator = types.SimpleNamespace(
        state=types.SimpleNamespace(fsdp_plugin=plugin),
        torch_device_mesh=mesh,
        parallelism_config=types.SimpleNamespace(fsdp_dim_names=("dp",)),
        mixed_precision="no" if case.storage else "bf16",  # nothing is cast to float32 beside 4-bit weights
        is_main_process=False,
        device=torch.device("cpu"),
    )
    return fsdp2_prepare_model(accelerator, model)


def traced(case):
    """Highest live bytes of the same step by the trace's counter: FSDP2 on `meta`, inside `spreading`."""
    plan = types.SimpleNamespace(world=case.world, sharding="fsdp", autocast=True)
    recorder = Recorder(("meta",), selection(lambda mask: mask.numel()))
    with spreading(plan, recorder):
        model = _model(case)
        _cut(model, None, plan)
        see_model(recorder, model)
        with recorder:
            for micro in range(case.accumulation):
                model.set_requires_gradient_sync(micro == case.accumulation - 1)
                ids = torch.zeros((case.rows, case.length), dtype=torch.long, device="meta")
                loss = model(input_ids=ids, labels=ids).loss
                loss.backward()
                del loss
        recorder.closed = True
    return max(accumulate(size for _, size in recorder.events))
