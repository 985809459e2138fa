"""The largest batch and the longest rows that still fit a card.

    largest_batch(architecture, settings, rows, card).fits

The closed form grows with rows and with tokens, so doubling and then halving the step finds the edge. Where a change
does not raise the estimate the larger value wins. Pure, a few milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from workbench.memory.architecture import Architecture
from workbench.memory.figures import Word
from workbench.memory.lengths import Lengths
from workbench.memory.settings import AnalyticSettings
from workbench.memory.sharded import evaluate

MOST_ROWS = 2**16
MOST_TOKENS = 2**24
"""Ends of the search: nobody trains beyond, and a figure beyond would be no answer."""


@dataclass(frozen=True, slots=True)
class Rows:
    """How the batch comes about, as far as it can be changed.

    Attributes:
        batch: per_device_train_batch_size.
        longest: Tokens of the longest row, uncut.
        max_length: Tokens at which rows are cut, or the length of a packed row; None cuts nothing.
        packed: Whether rows are packed and then joined into one.
        lengths: Lengths of the rows, where they are known.
        masked: Whether attention gets a mask, where somebody said so; else rows of one batch and packed ones do.
    """

    batch: int
    longest: int
    max_length: int | None = None
    packed: bool = False
    lengths: Lengths | None = None
    masked: bool | None = None

    @property
    def length(self) -> int:
        """Tokens of a row of the batch."""
        if self.max_length is None:
            return self.longest
        return self.max_length if self.packed else min(self.longest, self.max_length)

    def apply(self, settings: AnalyticSettings) -> AnalyticSettings:
        """Settings of this batch; the share of scored positions stays."""
        rows, length = (1, self.batch * self.length) if self.packed else (self.batch, self.length)
        share = settings.scored / max(1, settings.rows * settings.length)
        masked = self.packed or self.batch > 1 if self.masked is None else self.masked
        scored, row = max(1, round(share * rows * length)), self.length if self.packed else 0
        return replace(settings, rows=rows, length=length, scored=scored, masked=masked, packed_row=row)


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a number can go on a card.

    Attributes:
        fits: The largest with the verdict *fits*; 0 where not even 1 does.
        tight: The largest that is not out of memory.
        capped: Whether the search ended at its own end, so that more may fit.
        traced: What a trace of the largest that fits says, where it was asked.
    """

    fits: int
    tight: int
    capped: bool = False
    traced: Word | None = None


def largest_batch(architecture: Architecture, settings: AnalyticSettings, rows: Rows, card: int) -> Reach:
    """The largest per_device_train_batch_size at these lengths.

    Args:
        architecture: The model's shapes.
        settings: Everything but the batch.
        rows: The batch as it is.
        card: Bytes that torch sees.
    """
    return _reach(lambda batch: replace(rows, batch=batch), architecture, settings, card, MOST_ROWS)


def longest_length(architecture: Architecture, settings: AnalyticSettings, rows: Rows, card: int) -> Reach:
    """The longest rows at this batch size, in tokens; for packed rows the length of a pack."""
    return _reach(
        lambda length: replace(rows, longest=length, max_length=length), architecture, settings, card, MOST_TOKENS
    )


def _reach(
    change: Callable[[int], Rows], architecture: Architecture, settings: AnalyticSettings, card: int, most: int
) -> Reach:
    def word(value: int) -> Word:
        return evaluate(architecture, change(value).apply(settings)).verdict(card).word

    fits = edge(lambda value: word(value) == "fits", most)
    tight = edge(lambda value: word(value) != "out of memory", most)
    return Reach(fits, tight, fits == most)


def edge(holds: Callable[[int], bool], most: int) -> int:
    """The largest number from 1 to `most` that holds, for a property that does not come back once it is gone.

    Returns:
        0 where 1 does not hold.
    """
    if not holds(1):
        return 0
    low, high = 1, 2
    while high <= most and holds(high):
        low, high = high, high * 2
    if high > most:
        return most if holds(most) else _between(holds, low, most)
    return _between(holds, low, high)


def _between(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The largest that holds, between one that does and one that does not."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
