"""Sparse matrices on `meta`, which torch cannot add or multiply there: their values, spread over the shape as a view.

A view costs nothing, as the sparse form costs only its places and values; made dense, it costs the whole matrix. Its
gradient comes back dense and leaves as one number for every value. Used by PEFT's SHiRA and FRoD.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


class _Spread(torch.autograd.Function):
    """Values to a matrix of strides 0."""

    @staticmethod
    def forward(ctx: Any, values: Any, size: Any) -> Any:
        ctx.shape = values.shape
        return values.new_empty(()).expand(size)

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return gradient.new_empty(ctx.shape), None


def _sparse(indices: Any, values: Any, size: Any, **options: Any) -> Any:
    if not isinstance(values, torch.Tensor) or not values.is_meta:
        return torch.sparse_coo_tensor(indices, values, size, **options)
    return _Spread.apply(values, tuple(size))


def _same(tensor: Any) -> Any:
    return tensor if tensor.is_meta else tensor.coalesce()


def _dense(tensor: Any, *args: Any, **kwargs: Any) -> Any:
    return tensor.contiguous() if tensor.is_meta else tensor.to_dense(*args, **kwargs)


def _count(tensor: Any) -> int:
    return 1 if tensor.is_meta else tensor._nnz()


REPLACED: dict[Any, Callable[..., Any]] = {
    torch.sparse_coo_tensor: _sparse,
    torch.Tensor.coalesce: _same,
    torch.Tensor.to_dense: _dense,
    torch.Tensor._nnz: _count,
    torch.sparse.mm: lambda first, second: torch.mm(first, second),
}
