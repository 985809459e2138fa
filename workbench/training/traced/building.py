"""Adapters whose making reads weights, on weights that have no values: what they compute keeps its shape only.

    with Building() as building:
        trainer = SFTTrainer(model=…, peft_config=building.prepared(config), …)

PEFT decomposes weights (FRoD), picks entries (SHiRA), draws permutations as long as a weight (WaveFT). Memory depends
on the shapes that come out, not on the values; so results stay on `meta`, and where a shape depends on values the
method's own count is taken.

Source: peft 0.21, tuners/{frod,shira,waveft,tinylora}/layer.py.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_any, tree_map

from workbench.training.traced.recorder import selection
from workbench.training.traced.shapes import on_meta

aten = torch.ops.aten

LONG = 2**16
"""Elements from which a permutation is not drawn: it picks places, and no place is looked at."""


class Building(TorchDispatchMode, AbstractContextManager[Any]):
    """Runs a trainer's making on `meta`, mixed with small real tensors.

    Attributes:
        picked: Entries that the mask made last counts as true; None for all of them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.picked: int | None = None
        self.answers = selection(lambda mask: self.picked or mask.numel())

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.overloadpacket is aten.randperm and args[0] > LONG:
            return torch.empty(args[0], dtype=torch.long, device="meta")
        if not tree_any(_is_meta, (args, kwargs)):
            return func(*args, **kwargs)
        if func is aten._to_copy.default and kwargs.get("device") is not None:
            kwargs = {**kwargs, "device": torch.device("meta")}  # its values are read nowhere
        elif func is aten.copy_.default and not args[0].is_meta:
            return args[0]
        args, kwargs = tree_map(on_meta, args), tree_map(on_meta, kwargs)
        answer = self.answers.get(func)
        return func(*args, **kwargs) if answer is None else answer(func, args, kwargs)

    def prepared(self, config: Any) -> Any:
        """The config with SHiRA's random mask by its count alone, r (inputs + outputs) entries a weight."""
        if getattr(config, "mask_type", None) == "random":
            config.mask_fn = self._mask
        return config

    def _mask(self, layer: Any, r: int, **_: Any) -> torch.Tensor:
        self.picked = r * sum(layer.weight.shape)
        return torch.empty(layer.weight.shape, device="meta")


ON_HOST = ("frod_U", "frod_V", "frod_s_indices")
"""Buffers that PEFT keeps in host memory and copies to the device in every forward pass of a layer.

Source: peft 0.21, tuners/frod/layer.py (_move_adapter_to_device_of_base_layer).
"""


def placed(model: Any) -> Any:
    """An adapted model with the adapter where PEFT puts it beside weights on a device."""
    for module in list(model.modules()):
        for name, parameter in list(module.named_parameters(recurse=False)):
            if not parameter.is_meta:
                made = torch.nn.Parameter(on_meta(parameter.data), requires_grad=parameter.requires_grad)
                module.register_parameter(name, made)
    for owner, module in list(model.named_modules()):
        host = owner.rsplit(".", 1)[-1] in ON_HOST
        for name, buffer in list(module.named_buffers(recurse=False)):
            if host and buffer.is_meta:
                module.register_buffer(name, torch.empty((), dtype=buffer.dtype).expand(buffer.shape))
    return model


def _is_meta(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_meta
