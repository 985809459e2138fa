"""Row lengths of a data set: from rows, or from a file of lengths.

    lengths = read_lengths("lengths.csv")
    lengths.longest, lengths.share_over(2048), lengths.batches(4, seed=0)

A file is one whole number a line, a JSON list, or CSV of `length,count`. Pure: keeps counts, not rows.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from workbench.errors import RecipeError

ROWS = 20_000
"""Rows of an epoch that `batches` makes at most; more are drawn from the counts."""

LARGEST_FILE = 200 * 2**20
"""Bytes; a file of lengths that is larger is no file of lengths."""

LONGEST = 10**9
"""Tokens; a longer row is a slip."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """How many rows have how many tokens.

    Attributes:
        counts: Tokens -> rows, both positive.
    """

    counts: Mapping[int, int]

    @classmethod
    def of(cls, lengths: Iterable[int]) -> Lengths:
        """Count lengths.

        Raises:
            RecipeError: WB818 where there is none.
        """
        counts = Counter(lengths)
        if not counts:
            raise RecipeError("There are no row lengths.", remedy="Give at least one.", code="WB818")
        return cls(dict(sorted(counts.items())))

    @property
    def rows(self) -> int:
        """Rows in all."""
        return sum(self.counts.values())

    @property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return max(self.counts)

    def share_over(self, limit: int) -> float:
        """Share of rows with more than `limit` tokens, from 0 to 1."""
        return sum(count for length, count in self.counts.items() if length > limit) / self.rows

    def quantile(self, share: float) -> int:
        """Tokens that `share` of the rows do not exceed."""
        seen, wanted = 0, share * self.rows
        for length, count in self.counts.items():
            seen += count
            if seen >= wanted:
                return length
        return self.longest

    def batches(self, rows: int, seed: int, limit: int | None = None) -> list[list[int]]:
        """Row lengths of micro batches in a random order that `seed` decides; the longest row is always there.

        Args:
            rows: Rows of a batch; a last batch may have fewer.
            seed: Of Python's generator: the trainer draws another order from the same seed.
            limit: Tokens at which rows are cut.
        """
        drawn = random.Random(seed)
        lengths, counts = list(self.counts), list(self.counts.values())
        if self.rows > ROWS:
            all_rows = [*drawn.choices(lengths, counts, k=ROWS - 1), self.longest]
        else:
            all_rows = [length for length, count in self.counts.items() for _ in range(count)]
        drawn.shuffle(all_rows)
        cut = [max(2, min(length, limit or length)) for length in all_rows]
        return [cut[start : start + rows] for start in range(0, len(cut), rows)]


def read_lengths(path: str | Path) -> Lengths:
    """Read a file of lengths.

    Raises:
        RecipeError: WB818, with the line, for a file that cannot be read, holds none, or holds what is no length.
    """
    name = Path(path).name
    try:
        if Path(path).stat().st_size > LARGEST_FILE:
            raise RecipeError(f"{name} is too large for a file of lengths.", code="WB818")
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(
            f"{name} cannot be read: {error}.", remedy="Give one length a line, a JSON list, or length,count.",
            code="WB818",
        ) from error  # fmt: skip
    if text.lstrip().startswith("["):
        return _from_json(text, name)
    counts: Counter[int] = Counter()
    for number, line in enumerate(text.splitlines(), start=1):
        fields = [part.strip() for part in line.split(",")]
        if not line.strip() or (number == 1 and fields[0].lower() in ("length", "tokens", "len")):
            continue
        if len(fields) > 2:
            raise _refused(name, f"line {number}", line)
        count = _whole(fields[1], name, f"line {number}, count") if len(fields) == 2 else 1
        counts[_whole(fields[0], name, f"line {number}")] += count
    if not counts:
        raise RecipeError(f"{name} holds no lengths.", remedy="Give at least one.", code="WB818")
    return Lengths(dict(sorted(counts.items())))


def _from_json(text: str, name: str) -> Lengths:
    try:
        values: Any = json.loads(text)
    except ValueError as error:
        raise RecipeError(f"{name} is no JSON list: {error}.", code="WB818") from error
    return Lengths.of(_whole(value, name, f"item {index}") for index, value in enumerate(cast("list[Any]", values)))


def _whole(value: object, name: str, where: str) -> int:
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= LONGEST:
        raise _refused(name, where, value)
    return number


def _refused(name: str, where: str, value: object) -> RecipeError:
    return RecipeError(
        f"{name}, {where}: {str(value)[:40]!r} is no length in tokens.",
        remedy=f"Lengths and counts are whole numbers from 1 to {LONGEST}; a CSV has two columns, length and count.",
        code="WB818",
    )
