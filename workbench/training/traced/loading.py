"""What a device holds while a model is loaded: quantising on the way needs each weight whole for a moment.

    base = parts_of(model)                # before the adapter
    log_loading(recorder, plan, base)     # inside the recorder, before the first step

Without quantisation the weights are read to host memory and moved one by one: the device holds what it has and no
more. With it transformers first takes the whole model's bytes once, so that the allocator has them, then puts every
weight on the device in the type of `dtype` and gives it to bitsandbytes, whose own functions run here on `meta`. What
is then cast to float32 is there twice, one tensor at a time, and the cache is emptied.

Source: transformers 5.23, core_model_loading.py (one weight after the other where it quantises),
integrations/bitsandbytes.py, modeling_utils.py (caching_allocator_warmup); bitsandbytes 0.50, nn/modules.py;
peft 0.21, utils/other.py (prepare_model_for_kbit_training).
"""

from __future__ import annotations

from typing import Any, NamedTuple
from unittest import mock

import torch

from workbench.memory.plan import Plan
from workbench.training.traced.models import DTYPES
from workbench.training.traced.recorder import Recorder

LOADING = "loading"


class Base(NamedTuple):
    """A weight of the model as it is loaded: its name, its module, itself, and what its quantiser makes of an element.

    `element` is bytes, None where the weight is not quantised.
    """

    name: str
    module: Any
    weight: Any
    element: float | None


def parts_of(model: Any) -> list[Base]:
    """The weights of a model, before an adapter wraps it."""
    quantiser = getattr(model, "hf_quantizer", None)
    found: dict[int, Base] = {}
    for place, module in model.named_modules():
        for own, weight in module.named_parameters(recurse=False):
            quantised = type(weight).__name__ in ("Params4bit", "Int8Params")
            element = quantiser.quantized_element_size if quantised and quantiser is not None else None
            found.setdefault(id(weight), Base(f"{place}.{own}".lstrip("."), module, weight, element))
    return list(found.values())


def log_loading(recorder: Recorder, plan: Plan, base: list[Base]) -> None:
    """Log what comes and goes until all weights are on the device."""
    with recorder.during(LOADING):
        if plan.quantisation and plan.device == "cuda":
            _quantised(recorder, plan, base)
        for part in base:
            recorder.see(part.weight, LOADING)


def _quantised(recorder: Recorder, plan: Plan, base: list[Base]) -> None:
    from bitsandbytes import functional
    from transformers.core_model_loading import dot_natural_key

    low = DTYPES[plan.dtype]
    whole = sum(int(_elements(part) * (part.element or low.itemsize)) for part in base)
    recorder.give(recorder.take(whole))
    waiting: dict[int, torch.Tensor] = {}
    with mock.patch.dict(functional.name2qmap, clear=True):  # no code book of `meta` may stay behind
        for part in sorted(base, key=lambda part: dot_natural_key(part.name)):
            value = torch.empty(_shape(part), dtype=low, device="meta")
            if part.element is not None:
                QUANTISE[plan.quantisation or ""](part.module, value)
            elif part.weight.dtype == low:
                part.weight.data = value
            else:
                waiting[id(part.weight)] = value
            del value
    for part in base:  # the casts of prepare_model_for_kbit_training
        if id(part.weight) in waiting:
            recorder.see(part.weight, LOADING)
            del waiting[id(part.weight)]
    recorder.empty_cache()


def _nf4(module: Any, value: torch.Tensor) -> None:
    from bitsandbytes import functional

    weight = module.weight
    packed, state = functional.quantize_4bit(
        value, blocksize=weight.blocksize, compress_statistics=weight.compress_statistics, quant_type=weight.quant_type
    )
    weight.data, weight.quant_state, module.quant_state = packed, state, state


def _int8(module: Any, value: torch.Tensor) -> None:
    """Reads the weight back to the host, sends it in float16, and quantises that."""
    from bitsandbytes import functional

    packed, scales, _ = functional.int8_vectorwise_quant(value.to(torch.float16))
    weight = module.weight
    weight.data, weight.CB, weight.SCB = packed, packed, scales
    module.state.CB, module.state.SCB = packed, scales


QUANTISE = {"nf4": _nf4, "int8": _int8}


def _shape(part: Base) -> Any:
    state = getattr(part.weight, "quant_state", None)
    return part.weight.shape if state is None else state.shape


def _elements(part: Base) -> int:
    return int(torch.Size(_shape(part)).numel())
