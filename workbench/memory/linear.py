"""A linear module of a model, by its shapes and its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Reads = Literal["attention input", "attention output", "mlp input", "product", "expert", "tower", "embedding", "head"]
"""Which activation a linear module multiplies; `tower` is a vision tower's, `embedding` takes ids."""


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear module, or a parameter of a layer's experts that is multiplied like one.

    Attributes:
        name: Last part of its name in the model.
        inputs: Features in.
        outputs: Features out.
        copies: How many the whole model has.
        targets: Words in LoRA's `target_modules` that adapt it, `all-linear` among them.
        experts: Matrices that are stacked in it.
        ranks: Multiple of LoRA's rank that each of them gets.
        path: Its name in the model, with `{}` for the number of its layer; empty for one that no pattern can name.
        at: Numbers of its layers, where they are not those below `copies`.
        rank: LoRA's rank of its own; 0 takes the run's.
    """

    name: str
    inputs: int
    outputs: int
    bias: bool = False
    copies: int = 1
    reads: Reads = "tower"
    targets: tuple[str, ...] = ()
    experts: int = 1
    ranks: int = 1
    path: str = ""
    at: tuple[int, ...] = ()
    rank: int = 0

    @property
    def parameters(self) -> int:
        """Weight and bias elements of one copy."""
        return self.experts * self.inputs * self.outputs + (self.outputs if self.bias else 0)

    def rank_of(self, rank: int) -> int:
        """Rows of its A, where the run's rank is `rank`."""
        return (self.rank or rank) * self.ranks * self.experts

    @property
    def layers(self) -> tuple[int, ...]:
        """Numbers of the layers that have it."""
        return self.at or tuple(range(self.copies))


def module(path: str, inputs: int, outputs: int, bias: bool = False, copies: int = 1) -> Linear:
    """A linear module of a vision tower, which `all-linear` and its own name adapt."""
    name = path.rsplit(".", 1)[-1]
    return Linear(name, inputs, outputs, bias, copies, "tower", ("all-linear", name), path=path)
