"""Values of a memory estimate: parts, peaks, intervals and the verdict.

All sizes are bytes; text is in GiB (2^30 bytes), never GB. Frozen values that a view can show as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from workbench.errors import RecipeError
from workbench.memory import kinds

GIB = 2**30

Word = Literal["fits", "tight", "out of memory"]


def gib(size: float) -> str:
    """Size in GiB with two digits, or MiB below a tenth of one."""
    return f"{size / GIB:.2f} GiB" if size >= GIB / 10 else f"{size / 2**20:.1f} MiB"


@dataclass(frozen=True, slots=True)
class Interval:
    """Bytes from `low` to `high`, both possible."""

    low: int
    high: int

    def __str__(self) -> str:
        return gib(self.low) if self.low == self.high else f"{gib(self.low)} to {gib(self.high)}"


@dataclass(frozen=True, slots=True)
class Part:
    """One reason memory is used.

    Attributes:
        formula: How `bytes` follows from `inputs`, for people.
        source: Why the formula holds.
    """

    name: str
    bytes: int
    formula: str
    inputs: Mapping[str, float]
    source: str


@dataclass(frozen=True, slots=True)
class Peak:
    """A moment of the step and what is live in it.

    Attributes:
        parts: Part name -> bytes; their sum is `bytes`.
        bytes: Live bytes.
    """

    name: str
    parts: Mapping[str, int]
    bytes: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "bytes", sum(self.parts.values()))


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a run fits a card.

    Attributes:
        usable: Card memory less the driver's context, bytes.
        reason: Sentence with the figures.
    """

    word: Word
    card: int
    usable: int
    reason: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """Memory of one training step.

    Attributes:
        kind: `analytic`, or `traced` or `measured` where saved bytes come from there.
        device: `cuda`, or `cpu`: then the figures are host memory of tensors, without the interpreter.
        peaks: All moments; `peak` is the highest.
        reserved: What the caching allocator holds; equal to the peak on the CPU.
        context: Driver memory outside the allocator.
    """

    kind: str
    device: str
    parts: tuple[Part, ...]
    peaks: tuple[Peak, ...]
    peak: Peak
    reserved: Interval
    context: Interval

    @property
    def hard_minimum(self) -> int:
        """Live bytes at the peak: with less the step cannot run."""
        return self.peak.bytes

    @property
    def expected(self) -> Interval:
        """What torch reports as reserved."""
        return self.reserved

    @property
    def shown(self) -> Interval:
        """What nvidia-smi will show: reserved and context."""
        return Interval(self.reserved.low + self.context.low, self.reserved.high + self.context.high)

    @property
    def scope(self) -> str:
        """Sentence that says what the figures are."""
        if self.device == "cpu":
            return "Host memory of tensors; the interpreter and its libraries come on top."
        return "GPU memory of one device."

    def by_kind(self) -> dict[str, int]:
        """Live bytes at the peak by the kinds of workbench.memory.kinds, in their order."""
        return kinds.by_kind(self.peak.parts)

    def verdict(self, card: int) -> Verdict:
        """Compare with a card.

        Args:
            card: Memory of the card (or of the host) that this run may use, in bytes.

        Raises:
            RecipeError: When the size is not positive (WB806).
        """
        if card <= 0:
            raise RecipeError(f"A card of {card} bytes cannot hold a run.", code="WB806")
        usable = card - self.context.high
        if self.hard_minimum > usable:
            word: Word = "out of memory"
            reason = f"needs at least {gib(self.hard_minimum)}, {gib(max(0, usable))} are usable"
        elif self.reserved.high > usable:
            word = "tight"
            reason = f"needs {gib(self.hard_minimum)}, may reserve {gib(self.reserved.high)} of {gib(usable)}"
        else:
            word = "fits"
            reason = f"expected to reserve {self.reserved} of {gib(usable)}"
        return Verdict(word, card, usable, reason)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, JSON-ready."""
        return {
            "kind": self.kind,
            "device": self.device,
            "scope": self.scope,
            "hard_minimum": self.hard_minimum,
            "expected": [self.reserved.low, self.reserved.high],
            "shown": [self.shown.low, self.shown.high],
            "context": [self.context.low, self.context.high],
            "peak": self.peak.name,
            "peaks": {peak.name: {"bytes": peak.bytes, "parts": dict(peak.parts)} for peak in self.peaks},
            "parts": [
                {
                    "name": part.name,
                    "bytes": part.bytes,
                    "formula": part.formula,
                    "inputs": dict(part.inputs),
                    "source": part.source,
                }
                for part in self.parts
            ],
        }

    def __str__(self) -> str:
        lines = [f"{self.scope} Peak at {self.peak.name}: {gib(self.hard_minimum)} live."]
        if self.device == "cuda":
            lines.append(f"Reserved {self.reserved}; nvidia-smi will show {self.shown}.")
        lines += [f"  {gib(size):>12}  {name}" for name, size in sorted(self.peak.parts.items(), key=lambda i: -i[1])]
        return "\n".join(lines)
