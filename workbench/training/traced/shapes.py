"""Results of operators on meta tensors, remembered: layers repeat, and most of a trace is shapes found in Python.

An operator that makes new tensors gives the same shapes for the same shapes of its arguments; one that writes in place
gives none. What is remembered is checked once: same storage size as the real result.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._pytree import tree_iter, tree_map

aten = torch.ops.aten

IN_PLACE = {
    getattr(aten, name)
    for name in (
        *("add_", "sub_", "mul_", "div_", "zero_", "fill_", "copy_", "lerp_", "addcmul_", "addcdiv_", "sqrt_"),
        *("clamp_", "masked_fill_", "uniform_", "normal_"),
    )
}
"""Operators that write into their first argument and change nothing about it."""


class ShapeMemory:
    """Runs operators, from memory where the result is known."""

    def __init__(self) -> None:
        self._known: dict[Any, Any] = {}
        self._kind: dict[Any, str] = {}

    def run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The operator's result."""
        kind = self._kind.get(func)
        if kind is None:
            kind = self._kind[func] = _kind(func)
        if kind == "plain":
            return func(*args, **kwargs)
        if kind == "nothing":
            return None if args[0] and args[0][0].is_meta else func(*args, **kwargs)
        try:
            key = (func, _signature(args), _signature(tuple(kwargs.items())) if kwargs else None)
            known = self._known.get(key)
        except _NotMetaError:
            return _run_mixed(func, args, kwargs)
        except TypeError:  # an argument that cannot be hashed
            return func(*args, **kwargs)
        if kind == "in place":
            return args[0] if known == "self" else self._first(key, func, args, kwargs)
        if known is None:
            out = func(*args, **kwargs)
            self._known[key] = _description(out, (args, kwargs))
            return out
        if known == UNKNOWN:
            return func(*args, **kwargs)
        made = [
            None if one is None else torch.empty_strided(one[0], one[1], dtype=one[2], device="meta")
            for one in known[1]
        ]
        return made[0] if known[0] else tuple(made)

    def _first(self, key: Any, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        out = func(*args, **kwargs)
        self._known[key] = "self" if out is args[0] else "nothing"
        return out


def _run_mixed(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """An operator on tensors with and without data: where both meet, sizes that a model reads were kept with data."""
    try:
        return func(*args, **kwargs)
    except RuntimeError:
        if not any(isinstance(value, torch.Tensor) and value.is_meta for value in tree_iter((args, kwargs))):
            raise
        args, kwargs = tree_map(on_meta, args), tree_map(on_meta, kwargs)
        return func(*args, **kwargs)


def on_meta(value: Any) -> Any:
    """A tensor on `meta`; numbers, which broadcast to any device, as they are."""
    if isinstance(value, torch.Tensor) and not value.is_meta and value.dim():
        return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")
    return value


class _NotMetaError(Exception):
    """An argument is a tensor with data."""


UNKNOWN = "unknown"


def _kind(func: Any) -> str:
    """How an operator is run.

    `new`: its results alias nothing. `in place`: one of IN_PLACE. `nothing`: a foreach operator that writes into its
    lists in one kernel. `plain`: any other.
    """
    schema = func._schema
    if schema.name.startswith("aten::_foreach_") and schema.name.endswith("_") and not schema.returns:
        return "nothing"
    if func.overloadpacket in IN_PLACE and len(schema.returns) == 1:
        return "in place"
    mutable = any(argument.alias_info is not None for argument in schema.arguments)
    aliased = any(value.alias_info is not None for value in schema.returns)
    return "plain" if mutable or aliased or not schema.returns else "new"


def _signature(values: Any) -> Any:
    out = []
    for value in values:
        if isinstance(value, torch.Tensor):
            if not value.is_meta:
                raise _NotMetaError
            out.append((value.shape, value.stride(), value.dtype))
        elif isinstance(value, (list, tuple)):
            out.append((type(value), _signature(value)))
        else:
            out.append((type(value), value))
    return tuple(out)


def _description(out: Any, given: Any) -> Any:
    """Whether the result is one tensor, and shape, strides and type of each.

    UNKNOWN for results that cannot be made again by shape alone, or that are an argument's storage: some operators
    return a view that their schema does not tell of, `_unsafe_view` for one.
    """
    single = isinstance(out, torch.Tensor)
    if not single and not isinstance(out, tuple):
        return UNKNOWN
    found: list[Any] = []
    for value in (out,) if single else out:
        if value is None:
            found.append(None)
            continue
        if not isinstance(value, torch.Tensor) or not value.is_meta or value.storage_offset():
            return UNKNOWN
        again = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")
        if again.untyped_storage().nbytes() != value.untyped_storage().nbytes():
            return UNKNOWN
        found.append((value.shape, value.stride(), value.dtype))
    arguments = {value.untyped_storage()._cdata for value in tree_iter(given) if isinstance(value, torch.Tensor)}
    storages = {value.untyped_storage()._cdata for value in ((out,) if single else out) if value is not None}
    own = len(storages) == sum(one is not None for one in found) and not storages & arguments
    return (single, found) if own else UNKNOWN
