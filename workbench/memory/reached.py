"""What of a model trains, once an adapter's patterns are found in it: plain values, also for the twin in TypeScript."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.memory.linear import Linear


@dataclass(frozen=True, slots=True)
class Own:
    """A tensor that trains and is no matrix of LoRA.

    Attributes:
        name: `embedding`, `head`, `tokens`, `bias`, or what else was copied.
        rows: Its first axis.
        columns: Its second; 1 for a vector.
        copies: How many there are.
        copied: Whether it is there beside the model's own, which stays frozen.
        tower: Whether it is a vision tower's, which rows of text give no gradient.
    """

    name: str
    rows: int
    columns: int
    copies: int
    copied: bool
    tower: bool = False

    @property
    def elements(self) -> int:
        """Elements of all copies."""
        return self.rows * self.columns * self.copies

    @property
    def in_adapter(self) -> bool:
        """Whether it has the adapter's type and not the model's."""
        return self.name == "tokens"


@dataclass(frozen=True, slots=True)
class Reached:
    """What an adapter trains.

    Attributes:
        modules: Linear modules with matrices, each with the copies that are adapted and a rank of its own or 0.
        own: Other tensors that train.
        first: The first layer in which anything trains; layers below it keep nothing for backward.
        reads: Activations that its adapted modules read; empty where something before the layers trains.
        lora_bias: Whether every B has a bias.
    """

    modules: tuple[Linear, ...]
    own: tuple[Own, ...] = ()
    first: int = 0
    reads: tuple[str, ...] = ()
    lora_bias: bool = False
