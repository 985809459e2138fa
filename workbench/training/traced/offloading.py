"""Activations that wait in host memory: TRL's own offloading on tensors without data, and Unsloth's checkpoint.

TRL's `OffloadActivations` is run as it is; what stands in for CUDA are its streams, its pinned copies and the
address of a storage. Unsloth's checkpoint is a stand-in.

Sources: trl 1.16 (models/activation_offloading.py); unsloth-zoo ce232d6c (gradient_checkpointing.py), its first form in
LLaMA-Factory ff6d4d12 (model/model_utils/checkpointing.py) and axolotl 067b021c
(monkeypatch/gradient_checkpointing/offload_cpu.py).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch


class _Stream:
    """A stream or an event: what waits for it has waited."""

    def wait_stream(self, other: Any) -> None:
        """Nothing to wait for."""

    def wait_event(self, event: Any) -> None:
        """Nothing to wait for."""

    def record_event(self) -> _Stream:
        """An event that has come."""
        return self

    def synchronize(self) -> None:
        """Nothing to wait for."""


class _HostCopy:
    """A tensor's copy in host memory: only its shape is kept."""

    def __init__(self, shape: Any, dtype: Any, device: Any) -> None:
        self.shape, self.dtype, self.home = shape, dtype, device

    def copy_(self, source: Any, non_blocking: bool = False) -> _HostCopy:
        """Take a tensor's data."""
        return self

    def to(self, device: str, non_blocking: bool = False) -> Any:
        """A new tensor on the device it came from."""
        return torch.empty(self.shape, dtype=self.dtype, device=self.home)


class _Torch:
    """torch, but for the making of host copies."""

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    @staticmethod
    def empty_like(tensor: Any, device: Any = None, **_: Any) -> Any:
        """A copy of a tensor in host memory."""
        return _HostCopy(tensor.shape, tensor.dtype, tensor.device)

    @staticmethod
    def empty(*shape: Any, dtype: Any = None, device: Any = None, **_: Any) -> Any:
        """The same for a storage."""
        return _HostCopy(shape, dtype, "meta")


def offloading_patches(empty_cache: Callable[[], None]) -> list[Any]:
    """What lets TRL's offloading run on meta tensors.

    Args:
        empty_cache: Called where it empties the allocator's cache.
    """
    from trl.models import activation_offloading as place

    stream = _Stream()
    device = SimpleNamespace(
        Stream=lambda: stream, current_stream=lambda: stream, stream=lambda s: nullcontext(), empty_cache=empty_cache
    )
    fake: Any = _Torch()
    fake.accelerator = SimpleNamespace(current_accelerator=lambda: SimpleNamespace(type="meta"))
    fake.get_device_module = lambda kind: device
    return [
        mock.patch.object(place, "torch", fake),
        mock.patch.object(torch.UntypedStorage, "data_ptr", lambda storage: storage._cdata),
        mock.patch.object(torch.Tensor, "record_stream", lambda tensor, stream: None),
    ]


class _Checkpoint(torch.autograd.Function):
    """A layer that is computed again from its input, which waits in host memory unless it stays."""

    @staticmethod
    def forward(ctx: Any, run: Any, inputs: LayerInputs, hidden: Any, *rest: Any) -> Any:
        ctx.run, ctx.inputs, ctx.rest = run, inputs, rest
        ctx.autocast = torch.is_autocast_enabled("meta")
        ctx.host = None if inputs.stays() else _HostCopy(hidden.shape, hidden.dtype, hidden.device)
        if ctx.host is None:
            ctx.save_for_backward(hidden)
        with torch.no_grad():
            return run(hidden, *rest)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        hidden = ctx.saved_tensors[0] if ctx.host is None else ctx.inputs.back(ctx.host)
        hidden = hidden.detach().requires_grad_(True)
        with torch.enable_grad(), torch.autocast("meta", torch.bfloat16, enabled=ctx.autocast):
            out = ctx.run(hidden, *ctx.rest)
        torch.autograd.backward(out if isinstance(out, torch.Tensor) else out[0], grads[0])
        return None, None, hidden.grad, *(None for _ in ctx.rest)


class LayerInputs:
    """Inputs of layers under checkpointing: which stay on the device, and where the others come back.

    Args:
        layers: Layers of the model; the input of the last one stays where there is a buffer.
        buffered: Whether they come back into one buffer that is kept, or each into a new tensor.
        offloaded: Whether they leave at all.
    """

    def __init__(self, layers: int, buffered: bool, offloaded: bool) -> None:
        self.layers, self.buffered, self.offloaded = layers, buffered, offloaded
        self.seen = 0
        self.buffer: Any = None

    def stays(self) -> bool:
        """Whether the next layer's input stays on the device."""
        self.seen += 1
        return not self.offloaded or (self.buffered and self.seen % self.layers == 0)

    def back(self, host: _HostCopy) -> Any:
        """The tensor on the device again."""
        if not self.buffered:
            return host.to("meta")
        size = host.shape.numel()
        if self.buffer is None or self.buffer.numel() < size:
            self.buffer = None
            self.buffer = torch.empty(size, dtype=host.dtype, device=host.home)
        return self.buffer[:size].view(host.shape)

    def checkpoint(self, run: Any, *args: Any, **_: Any) -> Any:
        """In place of torch.utils.checkpoint.checkpoint."""
        return _Checkpoint.apply(run, self, *args)
