"""Stand-ins for fused kernels within a layer: what they allocate, save and overwrite, without what they compute.

Each function keeps for backward what the tool's own keeps, and makes the same tensors in the same order; the Triton
kernels themselves run in place and allocate nothing.

Sources: Liger-Kernel ead96b61 (ops/rms_norm.py, ops/swiglu.py), unsloth 015bdef0 (kernels/rms_layernorm.py,
kernels/fast_lora.py, kernels/utils.py), axolotl 067b021c (kernels/lora.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

SM_COUNT = 132
"""Multiprocessors (H100): Liger's norm sums the gradient of its weight in so many float32 rows for a moment."""


class Norm(torch.autograd.Function):
    """A root mean square norm: keeps its input and one float32 number a row; its gradient overwrites what came in."""

    @staticmethod
    def forward(ctx: Any, x: Any, weight: Any, tool: str) -> Any:
        """Allocate and keep what the kernel does."""
        out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        deviations = torch.empty(x.numel() // x.shape[-1], dtype=torch.float32, device=x.device)
        ctx.save_for_backward(x, weight, deviations)
        ctx.tool = tool
        return out

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Gradients, where the kernel puts them."""
        _, weight, _ = ctx.saved_tensors
        if ctx.tool == "unsloth":
            return grad, None, None
        rows = torch.empty((SM_COUNT, weight.shape[0]), dtype=torch.float32, device=weight.device)
        return grad, rows.sum(dim=0).to(weight.dtype), None


class GatedProduct(torch.autograd.Function):
    """Activation of the gate times up: both are kept, and overwritten by their gradients."""

    @staticmethod
    def forward(ctx: Any, gate: Any, up: Any) -> Any:
        """Allocate and keep what the kernel does."""
        ctx.save_for_backward(gate, up)
        return torch.empty_like(gate)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Gradients, where the kernel puts them."""
        return ctx.saved_tensors


@dataclass(frozen=True, slots=True)
class Adapted:
    """A linear module with its adapter: base weight and LoRA's matrices.

    Attributes:
        beside: Whether LoRA's product is made beside the other and then added, as Unsloth did before 2025-03.
    """

    weight: Any
    a: Any
    b: Any
    beside: bool = False

    @classmethod
    def of(cls, module: Any, beside: bool = False) -> Adapted:
        """What a kernel takes of a module that PEFT wrapped."""
        name = next(iter(module.lora_A))
        return cls(module.base_layer.weight, module.lora_A[name].weight, module.lora_B[name].weight, beside)

    def whole(self) -> Any:
        """The weight as a matrix of outputs by inputs, dequantised into a new one where it is packed."""
        state = getattr(self.weight, "quant_state", None)
        if state is None:
            return self.weight
        return torch.empty(state.shape, dtype=state.dtype, device=self.weight.device)

    def product(self, x: Any, dropped: Any = None) -> Any:
        """X W + x A B of rows x."""
        out = torch.matmul(x, self.whole().t())
        low = torch.matmul(x if dropped is None else dropped, self.a.t().to(out.dtype))
        return self._added(out, low, self.b.t().to(out.dtype))

    def back(self, grad: Any, out: Any = None) -> Any:
        """Gradient of the rows: added to `out` where one is given."""
        whole = self.whole()
        out = torch.matmul(grad, whole) if out is None else self._added(out, grad, whole)
        del whole
        return self._added(out, torch.matmul(grad, self.b.to(grad.dtype)), self.a.to(grad.dtype))

    def _added(self, out: Any, first: Any, second: Any) -> Any:
        return out.add_(torch.matmul(first, second)) if self.beside else out.addmm_(first, second)

    def gradients(self, x: Any, grad: Any) -> tuple[Any, Any]:
        """Of A and of B, in the rows' type."""
        a, b = self.a.to(x.dtype), self.b.to(x.dtype)
        low = torch.matmul(grad, b)
        return torch.matmul(low.t(), x), torch.matmul(torch.matmul(a, x.t()), grad).t()


def _lora_rows(x: Any, dropped: Any, copies: bool) -> Any:
    """Rows that LoRA saw, as they are saved: axolotl saves its input a second time where nothing is dropped."""
    return dropped if dropped is not None else x if copies else None


class JoinedMLP(torch.autograd.Function):
    """Gate, up, activation and down with their LoRA: keeps the input, gate and up.

    `copies` is axolotl's, which keeps the adapter in the rows' type and makes a new gradient of its input; Unsloth's
    overwrites the input.
    """

    @staticmethod
    def forward(ctx: Any, x: Any, dropped: Any, parts: tuple[Adapted, ...], copies: bool, *weights: Any) -> Any:
        """Allocate and keep what the kernel does."""
        rows = x.reshape(-1, x.shape[-1])
        lora = rows if dropped is None else dropped.reshape(rows.shape)
        gate, up = (part.product(rows, lora) for part in parts[:2])
        product = torch.empty_like(gate)
        out = parts[2].product(product)
        kept = [weight.to(gate.dtype) for weight in weights] if copies else list(weights)
        ctx.save_for_backward(x, _lora_rows(x, dropped, copies), gate, up, *kept)
        ctx.parts, ctx.copies, ctx.dropout = parts, copies, dropped is not None
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Gradients, where the kernel puts them."""
        x, lora, gate, up = ctx.saved_tensors[:4]
        lora = x if lora is None else lora
        shape, width = x.shape, x.shape[-1]
        x, lora, grad = x.reshape(-1, width), lora.reshape(-1, width), grad.reshape(-1, grad.shape[-1])
        first, second, last = ctx.parts
        product = last.back(grad)  # taken over by the product itself; gate and up by their gradients
        found = [*first.gradients(lora, gate), *second.gradients(lora, up), *last.gradients(product, grad)]
        whole = second.whole()
        out = torch.matmul(up, whole) if ctx.copies or x.dtype != up.dtype else torch.matmul(up, whole, out=x)
        del whole
        first.back(gate, out)
        dropped = torch.zeros_like(lora).view(shape) if ctx.dropout else None
        return out.view(shape), dropped, None, None, *found


class JoinedProjections(torch.autograd.Function):
    """Projections that read the same rows, with their LoRA: keeps the rows once."""

    @staticmethod
    def forward(ctx: Any, x: Any, dropped: Any, parts: tuple[Adapted, ...], copies: bool, *weights: Any) -> Any:
        """Allocate and keep what the kernel does."""
        rows = x.reshape(-1, x.shape[-1])
        lora = rows if dropped is None else dropped.reshape(rows.shape)
        outs = tuple(part.product(rows, lora).view(*x.shape[:-1], -1) for part in parts)
        kept = [weight.to(outs[0].dtype) for weight in weights] if copies else list(weights)
        ctx.save_for_backward(x, _lora_rows(x, dropped, copies), *kept)
        ctx.parts, ctx.copies, ctx.dropout = parts, copies, dropped is not None
        return outs if len(outs) > 1 else outs[0]

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Gradients, where the kernel puts them."""
        x, lora = ctx.saved_tensors[:2]
        lora = x if lora is None else lora
        shape, width = x.shape, x.shape[-1]
        rows, lora = x.reshape(-1, width), lora.reshape(-1, width)
        flat = [grad.reshape(-1, grad.shape[-1]) for grad in grads]
        found = [each for part, grad in zip(ctx.parts, flat, strict=True) for each in part.gradients(lora, grad)]
        # the output projection has a new gradient in both tools; Unsloth's q, k, v overwrite their input
        new = ctx.copies or len(flat) == 1 or rows.dtype != flat[0].dtype
        out = torch.matmul(flat[0], ctx.parts[0].whole(), out=None if new else rows)
        for part, grad in zip(ctx.parts[1:], flat[1:], strict=True):
            part.back(grad, out)
        dropped = torch.zeros_like(lora).view(shape) if ctx.dropout else None
        return out.view(shape), dropped, None, None, *found
