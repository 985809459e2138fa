"""What an optimizer keeps on the device and what its update needs for a moment: a table of transformers' `optim` names.

    state_of("adamw_8bit", [(512, 64, 2)], 4)  ->  bytes of the state of two tensors of 512 x 64

Equal to the byte to the states of torch, bitsandbytes, torchao and schedulefree, in
tests/memory/test_memory_optimizers.py.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from workbench.errors import RecipeError

Tensors = Sequence[tuple[int, int, int]]
"""Rows, columns (1 for a vector) and copies of each trained tensor."""

Kept = Literal["own", "float32", "8bit", "torchao 8bit", "torchao 4bit", "factored", "muon"]


@dataclass(frozen=True, slots=True)
class Optimizer:
    """How an optimizer uses memory.

    Attributes:
        moments: Values kept for every trained element.
        kept: `own` is the parameter's type; `8bit` and the torchao ones are codes with scales; `factored` a row and a
            column; `muon` one moment a matrix, two for embedding and head, none for vectors.
        paged: Whether large tensors' state lies in host memory (bitsandbytes).
        lists: Lists of all tensors that the update makes on CUDA, in trained bytes (torch's foreach).
        largest: Values of scratch for each element of the largest tensor, in float32.
    """

    moments: int = 2
    kept: Kept = "own"
    paged: bool = False
    lists: float = 0.0
    largest: int = 0


OPTIMIZERS: Mapping[str, Optimizer] = {
    "adamw_torch": Optimizer(lists=1),
    "adamw_torch_fused": Optimizer(),
    "sgd": Optimizer(0),
    "adagrad": Optimizer(1, lists=2),
    "rmsprop": Optimizer(1, lists=1),
    "adafactor": Optimizer(0, "factored", largest=2),
    "adamw_8bit": Optimizer(2, "8bit"),
    "adamw_bnb_8bit": Optimizer(2, "8bit"),
    "paged_adamw_8bit": Optimizer(2, "8bit", paged=True),
    "paged_adamw_32bit": Optimizer(2, "float32", paged=True),
    "ademamix": Optimizer(3, "float32"),
    "ademamix_8bit": Optimizer(3, "8bit"),
    "paged_ademamix_32bit": Optimizer(3, "float32", paged=True),
    "paged_ademamix_8bit": Optimizer(3, "8bit", paged=True),
    "lion_32bit": Optimizer(1, "float32"),
    "lion_8bit": Optimizer(1, "8bit"),
    "paged_lion_32bit": Optimizer(1, "float32", paged=True),
    "paged_lion_8bit": Optimizer(1, "8bit", paged=True),
    "rmsprop_bnb": Optimizer(1, "float32"),
    "rmsprop_bnb_32bit": Optimizer(1, "float32"),
    "rmsprop_bnb_8bit": Optimizer(1, "8bit"),
    "adamw_torch_8bit": Optimizer(2, "torchao 8bit"),
    "adamw_torch_4bit": Optimizer(2, "torchao 4bit"),
    "schedule_free_adamw": Optimizer(2, lists=1),
    "schedule_free_radam": Optimizer(2),
    "schedule_free_sgd": Optimizer(1),
    "muon": Optimizer(1, "muon", largest=2),
}
"""By transformers' `optim`, and axolotl's `muon`.

Source: transformers 5.23, trainer_optimizer.py; torch 2.13, optim; bitsandbytes 0.50, optim/optimizer.py; torchao 0.18,
optim; schedulefree 1.4; axolotl-contribs-mit 0.0.6, muon.py.
"""

SMALLEST_EIGHT_BIT, BLOCK = 4096, 256
"""Tensors with fewer elements keep float32 moments; one float32 scale a block (bitsandbytes, torchao)."""

SMALLEST_PAGED = 100_000
"""State of tensors with fewer elements stays on the device (bitsandbytes 0.50, optim/optimizer.py)."""

CODE_BOOK: Mapping[str, int] = {"torchao 8bit": 4 * 256, "torchao 4bit": 4 * 16}
"""Bytes of the code book that every moment of torchao has of its own."""


def optimizer_of(optim: str) -> Optimizer:
    """What is known of an optimizer.

    Raises:
        RecipeError: For one that is not in the table (WB803), naming the nearest.
    """
    if optim not in OPTIMIZERS:
        near = difflib.get_close_matches(optim, OPTIMIZERS, n=1)
        raise RecipeError(
            f"Cannot estimate memory for optim={optim!r}.",
            remedy=f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(OPTIMIZERS)}.",
            code="WB803",
        )
    return OPTIMIZERS[optim]


def state_of(optim: str, tensors: Tensors, size: int, *, embeddings: int = 0, device: str = "cuda") -> int:
    """Bytes of an optimizer's state on the device, without the step counters of single tensors.

    Args:
        optim: Its name.
        tensors: What trains.
        size: Bytes of a trained element.
        embeddings: How many of the first tensors are embedding and output head. 8-bit optimizers keep float32 moments
            of the first (transformers 5.23, trainer.py: optim_bits 32), Muon leaves all of them to AdamW.
        device: Paged state lies in host memory on CUDA only.

    Raises:
        RecipeError: For an optimizer that is not known (WB803).
    """
    optimizer = optimizer_of(optim)
    if optimizer.kept == "muon":
        matrices = [(index, tensor) for index, tensor in enumerate(tensors) if tensor[1] > 1]
        return size * sum(
            copies * rows * columns * (2 if index < embeddings else 1) for index, (rows, columns, copies) in matrices
        )
    paged, wide = optimizer.paged and device == "cuda", min(1, embeddings)
    return sum(
        copies * _bytes(optimizer, (rows, columns), size, paged, index < wide)
        for index, (rows, columns, copies) in enumerate(tensors)
    )


def _bytes(optimizer: Optimizer, shape: tuple[int, int], size: int, paged: bool, wide: bool) -> int:
    """Bytes of one tensor's state."""
    rows, columns = shape
    count, moments = rows * columns, optimizer.moments
    if optimizer.kept == "factored":
        return 4 * (rows if columns == 1 else rows + columns)
    if optimizer.kept == "own":
        return moments * count * size
    if optimizer.kept in CODE_BOOK:
        if count < SMALLEST_EIGHT_BIT or count % BLOCK:
            return moments * count * size
        codes = count if optimizer.kept == "torchao 8bit" else count // 2
        return moments * (codes + 4 * (count // BLOCK) + CODE_BOOK[optimizer.kept])
    away = paged and count >= SMALLEST_PAGED
    if optimizer.kept == "float32" or wide or count < SMALLEST_EIGHT_BIT:
        return 0 if away else 4 * moments * count
    scales = 4 * moments * -(-count // BLOCK)  # these are never paged
    return scales if away else moments * count + scales
