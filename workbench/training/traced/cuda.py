"""What a step allocates on CUDA, where that differs from what meta tensors show by themselves.

On a machine without CUDA torch, transformers and TRL take other paths: attention by CPU kernels, optimisers without
foreach, TRL's fused head folded by torch instead of Triton. Inside `cuda_paths` the same code takes the CUDA paths, on
meta tensors, so that the log holds what the kernels would allocate.

Sources: torch 2.13 (ATen/native/transformers/cuda/sdp_utils.cpp: which attention kernel; attention.cpp: masks padded to
a multiple of 16; ATen/cuda/CublasHandlePool.cpp: workspaces), trl 1.16 (kernels/chunked_logprob.py).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F

aten = torch.ops.aten
HALVES = (torch.bfloat16, torch.float16)
MASK_MULTIPLE = 16
"""The memory-efficient kernel reads masks in vectors of this many elements."""
WORKSPACE = 4096 * 2 * 1024 + 16 * 8 * 1024
"""Bytes of cuBLAS's workspace, one for each thread that multiplies: forward's and autograd's."""


def attention(  # noqa: PLR0913  # the signature of the function it stands for
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False,
    scale: Any = None, enable_gqa: bool = False,
) -> Any:  # fmt: skip
    """Scaled dot product attention by the kernel that CUDA would choose."""
    if not query.is_meta:
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
        )
    flash = query.dtype in HALVES and query.shape[-1] == value.shape[-1] <= 256
    if attn_mask is None and flash:
        return aten._scaled_dot_product_flash_attention(query, key, value, dropout_p, is_causal, False, scale=scale)[0]
    if query.shape[1] != key.shape[1]:
        return aten._scaled_dot_product_attention_math(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=True
        )[0]
    bias = None if attn_mask is None else _bias(attn_mask, query, key)
    logsumexp = torch.is_grad_enabled() and query.requires_grad
    return aten._scaled_dot_product_efficient_attention(
        query, key, value, bias, logsumexp, dropout_p, is_causal, scale=scale
    )[0]


def _bias(mask: Any, query: Any, key: Any) -> Any:
    """A mask as the kernel wants it: additive, aligned, as wide as the heads (a view)."""
    if mask.dtype == torch.bool:
        mask = torch.empty(mask.shape, dtype=query.dtype, device=mask.device)
    rest = -mask.shape[-1] % MASK_MULTIPLE
    if rest:
        mask = F.pad(mask, (0, rest))[..., : key.shape[2]]
    return mask.expand(query.shape[0], query.shape[1], query.shape[2], key.shape[2])


def _dropout(x: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    if not training or not 0 < p < 1 or inplace or not x.is_meta:
        return F.dropout(x, p, training, inplace)
    return torch.native_dropout(x, p, True)[0]


class _Float32Softmax(torch.autograd.Function):
    """Reads half precision and writes float32 in one kernel, forward and backward."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        out = torch.empty(x.shape, dtype=torch.float32, device=x.device)
        ctx.save_for_backward(out)
        ctx.dtype = x.dtype
        return out

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        (out,) = ctx.saved_tensors
        return torch.empty(out.shape, dtype=ctx.dtype, device=out.device)


def _softmax_of(function: Callable[..., Any]) -> Callable[..., Any]:
    def replaced(x: Any, dim: Any = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
        if dtype == torch.float32 and x.dtype in HALVES and x.is_meta:
            return _Float32Softmax.apply(x)
        return function(x, dim=dim, dtype=dtype)

    return replaced


REPLACED: dict[Any, Callable[..., Any]] = {  # functions whose CUDA kernel allocates other things
    F.scaled_dot_product_attention: attention,
    F.dropout: _dropout,
    F.softmax: _softmax_of(F.softmax),
    F.log_softmax: _softmax_of(F.log_softmax),
}


def flash(q: Any, k: Any, v: Any, dropout_p: float = 0.0, softmax_scale: Any = None, causal: bool = False, **_: Any):  # noqa: D103
    return aten._flash_attention_forward(
        q, k, v, None, None, q.shape[1], k.shape[1], dropout_p, causal, False, scale=softmax_scale
    )[0]


def flash_varlen(  # noqa: D103, PLR0913
    q: Any, k: Any, v: Any, cu_seqlens_q: Any, cu_seqlens_k: Any, max_seqlen_q: Any, max_seqlen_k: Any,
    dropout_p: float = 0.0, softmax_scale: Any = None, causal: bool = False, **_: Any,
) -> Any:  # fmt: skip
    lengths = (cu_seqlens_q.int(), cu_seqlens_k.int(), int(max_seqlen_q), int(max_seqlen_k))
    return aten._flash_attention_forward(q, k, v, *lengths, dropout_p, causal, False, scale=softmax_scale)[0]


class _Launch:
    """A Triton kernel that runs in place and allocates nothing."""

    def __getitem__(self, grid: Any) -> Callable[..., None]:
        return lambda *args, **kwargs: None


def _triton_head() -> list[Any]:
    """TRL's fused head by its Triton kernels, with float32 accumulation inside cuBLAS."""
    from trl.kernels import chunked_logprob
    from trl.trainer import utils

    cdiv = SimpleNamespace(cdiv=lambda a, b: -(-a // b))
    return [
        mock.patch.object(chunked_logprob, "_use_triton", lambda device: True),
        mock.patch.object(utils, "_use_triton", lambda device: True),
        mock.patch.object(chunked_logprob, "_forward_kernel", _Launch()),
        mock.patch.object(chunked_logprob, "_backward_kernel", _Launch()),
        mock.patch.object(chunked_logprob, "_addmm_fp32", lambda acc, a, b: None),
        mock.patch.object(chunked_logprob, "triton", cdiv, create=True),
        *_triton_log_softmax(utils, cdiv),
    ]


def _triton_log_softmax(utils: Any, cdiv: Any) -> list[Any]:
    """TRL's log probabilities of chosen tokens by their Triton kernel, for trainers that make all logits."""
    kernel = _log_softmax_module()
    return [
        mock.patch.object(utils, "is_triton_available", lambda: True),
        mock.patch.object(utils, "_supports_trl_loss_kernel", lambda *tensors: True),
        mock.patch.object(utils, "_fused_logprob_entropy", kernel.selective_log_softmax_and_entropy, create=True),
        mock.patch.object(kernel, "_forward_kernel", _Launch()),
        mock.patch.object(kernel, "_backward_kernel", _Launch()),
        mock.patch.object(kernel, "triton", cdiv),
    ]


def _log_softmax_module() -> Any:
    """TRL's module of that kernel, whose import wants Triton; none of Triton is run."""
    from importlib import import_module
    from importlib.util import find_spec

    name = "trl.kernels.logprob_entropy"
    if name in sys.modules or find_spec("triton") is not None:
        return import_module(name)
    language = ModuleType("triton.language")
    language.__dict__["constexpr"] = object
    stand_in = ModuleType("triton")
    stand_in.__dict__.update(jit=lambda function: function, language=language)
    with mock.patch.dict(sys.modules, {"triton": stand_in, "triton.language": language}):
        found = import_module(name)
    sys.modules[name] = found  # leaving the block has dropped it
    return found


def _optimisers() -> list[Any]:
    """Foreach and fused optimisers where CUDA would have them."""
    from torch.optim import optimizer
    from torch.utils import _foreach_utils

    names = ("_get_foreach_kernels_supported_devices", "_get_fused_kernels_supported_devices")
    patches = []
    for place in (_foreach_utils, optimizer):
        for name in names:
            devices = [*getattr(place, name)(), "meta"]
            patches.append(mock.patch.object(place, name, lambda devices=devices: devices))
    return patches


def flash_attention() -> list[Any]:
    """Transformers' own flash attention code around kernels on meta; the package need not be there."""
    import transformers.modeling_flash_attention_utils as utils
    from transformers import PreTrainedModel

    process = utils._lazy_define_process_function(flash_varlen)
    state = {
        "_loaded_implementation": "flash_attention_2",
        "_flash_fn": flash,
        "_flash_varlen_fn": flash_varlen,
        "_flash_with_kvcache_fn": None,
        "_pad_fn": utils._pad_input,
        "_unpad_fn": utils._unpad_input,
        "_process_flash_kwargs_fn": process,
        "_process_with_kvcache_kwargs_fn": dict,
    }
    return [
        *(mock.patch.object(utils, name, value, create=True) for name, value in state.items()),
        mock.patch.object(PreTrainedModel, "_flash_attn_can_dispatch", lambda *args, **kwargs: True),
    ]


def eight_bit_updates() -> list[Any]:
    """Bitsandbytes' optimisers: updates happen in place; paged state lives in host memory."""
    from importlib.util import find_spec

    if find_spec("bitsandbytes") is None:
        return []
    from bitsandbytes import functional

    def in_place(*args: Any, **kwargs: Any) -> None:
        return None

    def paged(*shape: int, dtype: Any = torch.float32, device: Any = None) -> Any:
        return torch.empty(1, dtype=dtype, device="cpu").expand(shape)

    names = ("optimizer_update_32bit", "optimizer_update_8bit_blockwise", "fill", "prefetch_tensor")
    return [
        *(mock.patch.object(functional, name, in_place) for name in names if hasattr(functional, name)),
        mock.patch.object(functional, "get_paged", paged),
        mock.patch.object(functional, "is_on_gpu", lambda tensors: True),
    ]


def forget_overrides() -> None:
    """Drop what earlier traces told bitsandbytes of single parameters: it knows them by address, which comes again."""
    manager = sys.modules.get("bitsandbytes.optim.optimizer")
    if manager is not None:
        manager.GlobalOptimManager.get_instance().initialize()


def int8_answers(see: Callable[[Any], Any]) -> dict[Any, Callable[..., Any]]:
    """Answers for LLM.int8 products, whose outlier columns depend on values: taken as none.

    Args:
        see: Told of a tensor that lives only inside a kernel, the int32 product.

    Source: bitsandbytes 0.50, backends/cuda/ops.py.
    """
    operators = torch.ops.bitsandbytes

    def quantised(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        x = args[0]
        scales = torch.empty(x.numel() // x.shape[-1], dtype=torch.float32, device=x.device)
        outliers = torch.empty(0, dtype=torch.int64, device=x.device)
        return torch.empty(x.shape, dtype=torch.int8, device=x.device), scales, outliers

    def product(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        x, quantised_x, weight = args[0], args[1], args[2]
        shape = (*quantised_x.shape[:-1], weight.shape[0])
        see(torch.empty(shape, dtype=torch.int32, device=x.device))
        return torch.empty(shape, dtype=x.dtype, device=x.device), x.new_empty((x.shape[0], 0))

    return {
        operators.int8_vectorwise_quant.default: quantised,
        operators.int8_mixed_scaled_mm.default: product,
    }


def _grouped(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Products of groups, as mixtures of experts have them: a loop of products into one result where not bfloat16."""
    first, second = args[0], args[1]
    if not first.is_meta or first.dtype == torch.bfloat16:
        return func(*args, **kwargs)
    groups = kwargs.get("offs", args[2] if len(args) > 2 else None)
    if first.dim() == second.dim() == 2:
        shape = (groups.shape[0], first.shape[0], second.shape[1])
    else:
        shape = (*first.shape[:-1], second.shape[-1])
    return torch.empty(shape, dtype=kwargs.get("out_dtype") or first.dtype, device="meta")


GROUPED = {aten._grouped_mm.default: _grouped}
"""Source: torch 2.13, ATen/native/cuda/GroupedBlas.cpp (other types go through one matrix product a group)."""


UNPADDED = {aten.all.default: lambda func, args, kwargs: torch.tensor(True)}
"""Without padding a mask is all true, and flash attention gets none (transformers 5.23, flash_attention_mask)."""


def masks(padded: bool) -> list[Any]:
    """Whether a padding mask has zeros, which decides if attention needs one; meta tensors cannot say."""
    from transformers import masking_utils

    return [mock.patch.object(masking_utils, "fast_all", lambda tensor: not padded)]


@contextmanager
def cuda_paths(padded: bool) -> Iterator[None]:
    """Take CUDA's paths on meta tensors.

    Args:
        padded: Whether the batches have padding.
    """
    with ExitStack() as stack:
        for patch in (*_triton_head(), *_optimisers(), *eight_bit_updates(), *masks(padded)):
            stack.enter_context(patch)
        yield
