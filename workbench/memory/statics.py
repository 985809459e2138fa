"""Bytes that live through the whole step: weights, quantised or not, and what the optimizer keeps, tensor by tensor.

    weight_bytes(architecture, settings), state_bytes(architecture, settings)

Equal to the byte to the objects of transformers, PEFT, bitsandbytes and torch in tests/memory/test_memory_statics.py.
"""

from __future__ import annotations

from workbench.memory.optimizers import state_of
from workbench.memory.settings import AnalyticSettings
from workbench.memory.shapes import Architecture

Tensors = list[tuple[int, int, int]]
"""Rows, columns (1 for a vector) and copies of each trained tensor."""


def weight_bytes(architecture: Architecture, settings: AnalyticSettings) -> int:
    """Bytes of the base weights, with what their quantisation needs."""
    a = architecture
    total = a.total
    if settings.method == "reward":  # one row of scores in place of the output head
        total += a.hidden - a.parameters["head"]
    if settings.quantisation == "none":
        return total * settings.weight_bytes
    quantised = [item for item in a.modules if item.reads != "expert"]
    weights = sum(item.copies * item.inputs * item.outputs for item in quantised)
    kind = settings.quantisation
    packed = sum(item.copies * packed_bytes(item.inputs * item.outputs, item.outputs, kind) for item in quantised)
    return packed + (total - weights) * settings.rest_bytes


def packed_bytes(count: int, rows: int, kind: str) -> int:
    """Bytes of one quantised weight of `count` elements in `rows` rows.

    Source: bitsandbytes 0.50: nf4 in blocks of 64 with an 8-bit scale, whose own float32 scales come in blocks of 256,
    two code books and an offset (functional.py, quantize_4bit); int8 with a float32 scale a row.
    """
    if kind == "int8":
        return count + 4 * rows
    blocks = -(-count // 64)
    return (count + 1) // 2 + blocks + 4 * -(-blocks // 256) + 4 * (256 + 16 + 1)


def trained_tensors(architecture: Architecture, settings: AnalyticSettings) -> Tensors:
    """Tensors that train and get a gradient, where rows are text."""
    if not settings.full:
        found: Tensors = []
        for item in architecture.targets(settings):
            rank = settings.rank * item.ranks * item.experts
            found += [(rank, item.inputs, item.copies), (item.outputs, rank, item.copies)]
            if settings.adapter == "dora":
                found += [(item.outputs, 1, item.copies)]
        return found
    return _weights(architecture, settings.method == "reward")


def _weights(a: Architecture, reward: bool) -> Tensors:
    found: Tensors = [(a.vocab, a.hidden, 1)]
    if reward:
        found += [(a.hidden, 1, 1)]
    elif not a.tied:
        found += [(a.vocab, a.hidden, 1)]
    for item in a.modules:
        if item.reads != "tower":
            found += [(item.experts * item.outputs, item.inputs, item.copies)]
            found += [(item.outputs, 1, item.copies)] if item.bias else []
    found += [(a.hidden, 1, (2 if a.norm == "layer" else 1) * (a.norms * a.layers + 1))]
    if a.qk_norm:
        whole = a.qk_norm == "whole"
        found += [(a.query if whole else a.head_dim, 1, a.layers), (a.key if whole else a.head_dim, 1, a.layers)]
    return found + ([(a.vocab, 1, 1)] if a.head_bias and not reward else [])


def state_bytes(architecture: Architecture, settings: AnalyticSettings) -> int:
    """Bytes of the optimizer's state on the device, without the step counters of single tensors.

    Raises:
        RecipeError: For an optimizer that is not known (WB803).
    """
    tensors = trained_tensors(architecture, settings)
    embeddings = 0
    if settings.full:
        embeddings = 1 if architecture.tied or settings.method == "reward" else 2
    return state_of(settings.optim, tensors, settings.trained_bytes, embeddings=embeddings, device=settings.device)


def trained_parameters(architecture: Architecture, settings: AnalyticSettings) -> int:
    """Elements that get a gradient: rows of text never reach a vision tower."""
    return sum(rows * columns * copies for rows, columns, copies in trained_tensors(architecture, settings))
