"""Bytes that live through the whole step: weights, quantised or not, and what the optimizer keeps, tensor by tensor.

    weight_bytes(architecture, settings), state_bytes(architecture, settings)

Equal to the byte to the objects of transformers, PEFT, bitsandbytes and torch in tests/memory/test_memory_statics.py.
"""

from __future__ import annotations

from workbench.memory.linear import Linear
from workbench.memory.optimizers import state_of
from workbench.memory.settings import ODDS, AnalyticSettings
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
    quantised = quantised_modules(a)
    weights = sum(item.copies * item.inputs * item.outputs for item in quantised)
    kind = settings.quantisation
    packed = sum(item.copies * packed_bytes(item.inputs * item.outputs, item.outputs, kind) for item in quantised)
    # trl.experimental casts embedding and head back to bfloat16 (peft_module_casting_to_bf16)
    lowered = settings.method in ODDS and kind == "nf4" and settings.autocast and settings.rest_bytes == 4
    ends = a.parameters["embedding"] + a.parameters["head"] if lowered else 0
    return packed + (total - weights) * settings.rest_bytes - 2 * ends


def quantised_modules(architecture: Architecture) -> list[Linear]:
    """Linear modules whose weights bitsandbytes packs: all but the head, and experts, which are no modules."""
    return [item for item in architecture.modules if item.reads != "expert"]


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
    """Tensors that train and get a gradient: rows of text never reach a vision tower."""
    if not settings.full:
        found: Tensors = []
        for item in architecture.targets(settings):
            rank, copies = item.rank_of(settings.rank), _seen(architecture, item, settings)
            found += [(rank, item.inputs, copies), (item.outputs, rank, copies)] if copies else []
            found += [(item.outputs, 1, copies)] * bool(copies) * ((settings.adapter == "dora") + settings.lora_bias)
        return found + [(own.rows, own.columns, own.copies) for own in settings.own]
    return _weights(architecture, settings)


def _weights(a: Architecture, settings: AnalyticSettings) -> Tensors:
    reward = settings.method == "reward"
    found: Tensors = [(a.vocab, a.hidden, 1)]
    if reward:
        found += [(a.hidden, 1, 1)]
    elif not a.tied:
        found += [(a.vocab, a.hidden, 1)]
    for item in a.modules:
        if copies := _seen(a, item, settings):
            found += [(item.experts * item.outputs, item.inputs, copies)]
            found += [(item.outputs, 1, copies)] if item.bias else []
    found += [(a.hidden, 1, (2 if a.norm == "layer" else 1) * (a.norms * a.layers + 1))]
    if a.qk_norm:
        whole = a.qk_norm == "whole"
        found += [(a.query if whole else a.head_dim, 1, a.layers), (a.key if whole else a.head_dim, 1, a.layers)]
    found += [(a.vocab, 1, 1)] if a.head_bias and not reward else []
    return found + ([(a.tower, 1, 1)] if settings.images and a.tower else [])


def _seen(a: Architecture, item: Linear, settings: AnalyticSettings) -> int:
    """How many copies of a module a row reaches: of a tower's those that an image's features come through."""
    if item.reads != "tower":
        return item.copies
    if not settings.images:
        return 0
    return min(item.copies, a.vision.used) if a.vision and "{}" in item.path else item.copies


def state_bytes(architecture: Architecture, settings: AnalyticSettings) -> int:
    """Bytes of the optimizer's state on the device, without the step counters of single tensors.

    Raises:
        RecipeError: For an optimizer that is not known (WB803).
    """
    tensors = trained_tensors(architecture, settings)
    embeddings = 0
    if settings.full:
        embeddings = 1 if architecture.tied or settings.method == "reward" else 2
    optim, device, own = settings.optim, settings.device, settings.own
    matrices = tensors[: len(tensors) - len(own)]
    found = state_of(optim, matrices, settings.trained_bytes, embeddings=embeddings, device=device)
    ends = ("embedding", "head") if optim == "muon" else ("embedding",)
    for each in own:
        shape, size = (each.rows, each.columns, each.copies), settings.own_bytes(each)
        found += state_of(optim, [shape], size, embeddings=int(each.name in ends), device=device)
    return found


def trained_parameters(architecture: Architecture, settings: AnalyticSettings) -> int:
    """Elements that get a gradient."""
    return sum(rows * columns * copies for rows, columns, copies in trained_tensors(architecture, settings))


def gradient_bytes(architecture: Architecture, settings: AnalyticSettings) -> int:
    """Bytes of all gradients, each in the type of what it belongs to."""
    own = sum(own.elements for own in settings.own)
    rest = (trained_parameters(architecture, settings) - own) * settings.trained_bytes
    return rest + sum(own.elements * settings.own_bytes(own) for own in settings.own)


def copied_bytes(settings: AnalyticSettings) -> int:
    """Bytes of what an adapter holds beside its matrices: copies of modules, trained rows and their first values."""
    return sum(
        own.elements * settings.own_bytes(own) * (2 if own.in_adapter else 1) for own in settings.copies if own.copied
    )
