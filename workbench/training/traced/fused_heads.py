"""Stand-ins for losses that compute output head and cross entropy together.

Sources: Liger-Kernel ead96b61 (ops/fused_linear_cross_entropy.py), unsloth-zoo ce232d6c
(fused_losses/cross_entropy_loss.py), unsloth 015bdef0 (kernels/cross_entropy_loss.py), ml-cross-entropy d42911f9
(cut_cross_entropy/cce.py, cce_lse_forward.py, cce_backward.py).
"""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
import torch.nn.functional as F

from workbench.memory.fused_loss import chunk_rows
from workbench.memory.kernels import LossKernel


def _lowered(tensor: Any) -> Any:
    """A copy in autocast's type, where autocast is on."""
    return tensor.to(torch.bfloat16) if torch.is_autocast_enabled("meta") else tensor


class ChunkedLoss(torch.autograd.Function):
    """Logits and their gradients chunk by chunk in forward: gradients of rows and of the head are what is kept.

    Liger overwrites a chunk's logits with their gradient; Unsloth's compiled chunk has logits and gradient beside each
    other.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Any, weight: Any, labels: Any, kernel: LossKernel) -> Any:
        """Allocate and keep what the kernel does."""
        tokens, width = hidden.shape
        rows = chunk_rows(kernel, tokens, weight.shape[0], width)
        gradient = torch.zeros_like(hidden)
        summed = torch.zeros_like(weight) if weight.requires_grad else None
        losses = torch.zeros(tokens, dtype=torch.float32, device=hidden.device)
        logits = None
        for start in range(0, tokens, rows):
            part = hidden[start : start + rows]
            # Liger's chunk before is still there while this one is made; Unsloth's ended with its function
            logits = logits if kernel == "liger" else None
            logits = torch.matmul(part, weight.t())
            second = torch.empty_like(logits) if kernel == "chunked" else None
            gradient[start : start + rows] = torch.matmul(logits, weight)
            if summed is not None:
                _add(summed, logits, part)
            del second
        del logits
        loss = losses.sum()
        ctx.save_for_backward(gradient, summed)
        return loss

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Gradients, where the kernel puts them."""
        gradient, summed = ctx.saved_tensors
        return gradient, summed, None, None


def _add(summed: Any, logits: Any, part: Any) -> None:
    """Add a chunk's product to the head's gradient: in float32 into it, else by way of a float32 copy."""
    if summed.dtype == torch.float32 and logits.dtype != torch.float32:
        return  # addmm with a float32 result
    summed += torch.mm(logits.t(), part).float()


class CutLoss(torch.autograd.Function):
    """No logits: rows, the head and one number a row are kept."""

    @staticmethod
    def forward(ctx: Any, hidden: Any, weight: Any, labels: Any, kernel: LossKernel) -> Any:
        """Allocate and keep what the kernel does."""
        ctx.types = hidden.dtype, weight.dtype, weight.requires_grad
        hidden, weight = _lowered(hidden), _lowered(weight)
        sums = hidden.new_empty(hidden.shape[0], dtype=torch.float32)
        average = hidden.new_empty(weight.shape[0], dtype=torch.float32)
        losses = hidden.new_empty(hidden.shape[0], dtype=torch.float32)
        ctx.save_for_backward(hidden, weight, sums, labels, average)
        return losses.sum()

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Gradients, where the kernel puts them."""
        hidden, weight, _, _, average = ctx.saved_tensors
        rows_type, weight_type, trained = ctx.types
        order = torch.empty_like(average, dtype=torch.int64).to(torch.int32)
        of_rows = torch.zeros_like(hidden)
        of_weight = torch.zeros_like(weight).to(weight_type) if trained else None
        del order
        return of_rows.to(rows_type), of_weight, None, None


class WholeLoss(torch.autograd.Function):
    """All logits, overwritten by their gradient."""

    @staticmethod
    def forward(ctx: Any, logits: Any, labels: Any) -> Any:
        """Allocate and keep what the kernel does."""
        losses = torch.empty(logits.shape[0], dtype=torch.float32, device=logits.device)
        sums = torch.empty(logits.shape[0], dtype=torch.float32, device=logits.device)
        ctx.save_for_backward(logits, sums, labels)
        return losses.sum()

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Gradients, where the kernel puts them."""
        return ctx.saved_tensors[0], None


def _loss(kernel: LossKernel, rows: Any, head: Any, labels: Any) -> Any:
    if kernel == "in place":
        return WholeLoss.apply(head(rows), labels)
    made = CutLoss if kernel == "cut" else ChunkedLoss
    return made.apply(rows, head.weight, labels, kernel)


def with_loss(inner: Any, backbone: Any, kernel: LossKernel) -> Callable[..., Any]:
    """A forward of a language model that has a loss and no logits, as the tools' own has.

    Args:
        inner: The language model, without PEFT's wrapper.
        backbone: Its part below the head.
        kernel: Which loss.
    """
    from transformers.modeling_outputs import CausalLMOutputWithPast

    def forward(self: Any, *args: Any, labels: Any = None, num_items_in_batch: Any = None, **kwargs: Any) -> Any:
        out = backbone(*args, **{name: value for name, value in kwargs.items() if name not in OWN})
        hidden = out.last_hidden_state
        shifted = F.pad(labels, (0, 1), value=-100)[..., 1:].reshape(-1)
        loss = _loss(kernel, hidden.reshape(-1, hidden.shape[-1]), inner.get_output_embeddings(), shifted)
        loss = loss / (num_items_in_batch if num_items_in_batch is not None else shifted.numel())
        return CausalLMOutputWithPast(loss=loss)  # pyright: ignore[reportArgumentType]

    return MethodType(forward, inner)


OWN = ("logits_to_keep", "return_dict", "output_router_logits")
"""Arguments of a language model that its part below the head does not take."""
