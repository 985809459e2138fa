"""bfloat16 autocast of CUDA, for meta tensors.

torch has no autocast for `meta`. Here the switch of the CPU's carries it: `torch.autocast("meta")` turns that one on
(it does nothing to meta tensors), checkpointing saves and restores it like any other, and a function mode casts the
arguments of the operators that CUDA's autocast would cast.

Source: torch 2.13, aten/src/ATen/autocast_mode.h (lists of operators, rule of the weight cache).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
import torch.fx.experimental.proxy_tensor  # torch.autocast looks it up while a function mode is on
import torch.nn.functional as F
from torch.autograd.graph import _engine_run_backward
from torch.overrides import TorchFunctionMode

LOWER = {
    F.linear,
    F.scaled_dot_product_attention,
    F.conv1d,
    F.conv2d,
    F.conv3d,
    torch.matmul,
    torch.mm,
    torch.bmm,
    torch.addmm,
    torch.baddbmm,
    torch.einsum,
    torch.Tensor.matmul,
    torch.Tensor.__matmul__,
    torch.Tensor.mm,
    torch.Tensor.bmm,
    torch.Tensor.addmm,
    torch.Tensor.baddbmm,
}
"""Run in bfloat16. In-place and `out=` variants are not cast, as in torch."""

FLOAT32 = {
    F.layer_norm,
    F.group_norm,
    F.cross_entropy,
    F.nll_loss,
    F.mse_loss,
    F.binary_cross_entropy_with_logits,
    torch.exp,
    torch.log,
    torch.pow,
    torch.Tensor.pow,
    torch.rsqrt,
    torch.norm,
    torch.logsumexp,
    torch.Tensor.exp,
    torch.Tensor.log,
    torch.Tensor.logsumexp,
}
"""Run in float32."""

FLOAT32_RESULT = {F.softmax, F.log_softmax, torch.sum, torch.Tensor.sum, torch.cumsum, torch.Tensor.cumsum}
"""Compute and return float32 where no dtype is given."""


KNOWN = LOWER | FLOAT32 | FLOAT32_RESULT


class CastingMode(TorchFunctionMode):
    """Casts arguments while autocast is on, and replaces functions.

    Copies of trained float32 weights are kept until autocast goes off.
    """

    def __init__(self, replaced: Mapping[Any, Callable[..., Any]]) -> None:
        super().__init__()
        self.replaced = replaced
        self.special = KNOWN | set(replaced)
        self.copies: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self.on_copy: Callable[[torch.Tensor], None] = lambda copy: None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func not in self.special:
            return func(*args, **kwargs)
        if func in KNOWN and _enabled("cpu"):
            args, kwargs = self._cast(func, args, kwargs)
        return self.replaced.get(func, func)(*args, **kwargs)

    def _cast(self, func: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        if func in LOWER and "out" not in kwargs:
            dtype = _dtype("cpu")
            args = tuple(self._lower(a, dtype) for a in args)
            kwargs = {name: self._lower(a, dtype) for name, a in kwargs.items()}
        elif func in FLOAT32 and "out" not in kwargs:
            args = tuple(_float(a) for a in args)
        elif func in FLOAT32_RESULT and kwargs.get("dtype") is None and _is_low(args[0]):
            kwargs = {**kwargs, "dtype": torch.float32}
        return args, kwargs

    def _lower(self, value: Any, dtype: torch.dtype) -> Any:
        if isinstance(value, (list, tuple)):
            return type(value)(self._lower(item, dtype) for item in value)
        if not isinstance(value, torch.Tensor) or not value.is_floating_point() or value.dtype == dtype:
            return value
        if value.dtype == torch.float64:
            return value
        if value.dtype == torch.float32 and value.requires_grad and value.is_leaf and not value._is_view():
            known = self.copies.get(id(value))
            if known is None:
                known = self.copies[id(value)] = (value, value.to(dtype))
                self.on_copy(known[1])
            return known[1]
        return value.to(dtype)


def _backward(
    loss: Any, gradient: Any = None, retain_graph: Any = None, create_graph: bool = False, inputs: Any = None
) -> None:
    """Tensor.backward, inside which function modes stay on: torch takes them off, and layers are recomputed there."""
    gradient = torch.ones_like(loss, memory_format=torch.preserve_format) if gradient is None else gradient
    keep = create_graph if retain_graph is None else retain_graph
    _engine_run_backward(
        (loss,), (gradient,), keep, create_graph, tuple(inputs or ()), allow_unreachable=True, accumulate_grad=True
    )


def _is_low(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.dtype in (torch.bfloat16, torch.float16)


def _float(value: Any) -> Any:
    return value.float() if _is_low(value) else value


@contextmanager
def autocast_for_meta(replaced: Mapping[Any, Callable[..., Any]]) -> Iterator[CastingMode]:
    """Let `torch.autocast` accept `meta`, and cast as CUDA would.

    Args:
        replaced: Function -> what is called in its place, after the cast.
    """
    casting = CastingMode(replaced)
    real, enabled, dtype, clear = torch.autocast, _enabled, _dtype, _clear

    class Autocast(real):
        def __init__(self, device_type: str, *args: Any, **kwargs: Any) -> None:
            super().__init__(_carrier(device_type), *args, **kwargs)

    def forget() -> None:
        casting.copies.clear()
        clear()

    patches = [
        *(mock.patch.object(place, "autocast", Autocast) for place in (torch, torch.amp, torch.amp.autocast_mode)),
        mock.patch.object(torch, "is_autocast_enabled", lambda device="cuda": enabled(_carrier(device))),
        mock.patch.object(torch, "get_autocast_dtype", lambda device="cuda": dtype(_carrier(device))),
        mock.patch.object(torch, "clear_autocast_cache", forget),
        mock.patch.object(torch.Tensor, "backward", _backward),
        *_everywhere("maybe_autocast", _maybe_autocast(Autocast)),
    ]
    for patch in patches:
        patch.start()
    try:
        with casting:
            yield casting
    finally:
        for patch in reversed(patches):
            patch.stop()


_clear, _enabled, _dtype = torch.clear_autocast_cache, torch.is_autocast_enabled, torch.get_autocast_dtype


def _carrier(device: str) -> str:
    return "cpu" if device == "meta" else device


def _maybe_autocast(autocast: Any) -> Any:
    """Transformers' helper of that name, which skips autocast on meta."""
    from contextlib import nullcontext

    def maybe(device_type: str, dtype: Any = None, enabled: bool = True, cache_enabled: Any = None) -> Any:
        if enabled or torch.is_autocast_enabled(device_type):
            return autocast(device_type, dtype=dtype, enabled=enabled, cache_enabled=cache_enabled)
        return nullcontext()

    return maybe


def _everywhere(name: str, value: Any) -> list[Any]:
    """Patches of a function in every module of transformers that imported it by name."""
    from transformers.utils import generic

    original = getattr(generic, name)
    modules = [m for key, m in list(sys.modules.items()) if key.startswith("transformers") and m is not None]
    return [mock.patch.object(m, name, value) for m in modules if m.__dict__.get(name) is original]
