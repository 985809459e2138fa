"""The rows of `data.encode(…)` as a list to sort, filter and read in pages; and what is found in their text."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Literal

from workbench.checks.kinds import is_problem, kind_of, rows_by_kind
from workbench.errors import RecipeError

if TYPE_CHECKING:
    from workbench.api.encoded import Encoded

Order = Literal["index", "trained", "longest"]
ORDERS: tuple[Order, ...] = ("index", "trained", "longest")
MOST_PAGE = 500
"""Rows of one answer."""
MOST_SEARCHED = 20_000_000
"""Tokens that are looked through to count the rows with a text: some seconds. Beyond, only the next row is found."""


class RowList:
    """Rows of an `Encoded` by position: the order of its sequences."""

    def __init__(self, enc: Encoded) -> None:
        self.enc = enc
        self._matching: Callable[[str], tuple[int, ...]] = lru_cache(maxsize=8)(self._find_all)

    @cached_property
    def trained(self) -> list[int]:
        """Trained tokens of each sequence."""
        return [len(labels) - labels.count(-100) for labels in self.enc._labels]

    @cached_property
    def kinds(self) -> dict[str, set[int]]:
        """Kind of problem -> data rows that have it."""
        return rows_by_kind(self.enc.findings)

    @cached_property
    def problems(self) -> Mapping[int, int]:
        """Data row -> how many problems it has."""
        counts: dict[int, int] = {}
        for item in self.enc.findings:
            if is_problem(item) and item.row is not None:
                counts[item.row] = counts.get(item.row, 0) + 1
        return counts

    def counts(self) -> dict[str, int]:
        """Kind of problem -> how many of the rows that can be shown have it."""
        usable = set(self.enc.usable)
        counted = {kind: len(rows & usable) for kind, rows in self.kinds.items()}
        return {kind: count for kind, count in counted.items() if count}

    def with_problem(self, kind: str | None = None) -> list[int]:
        """Positions of the rows with a problem (of a kind), each row by its first sequence, in order."""
        rows = self.kinds.get(kind, set()) if kind else set(self.problems)
        return [i for i, (row, part) in enumerate(self.enc.sequences) if part == 0 and row in rows]

    def page(self, start: int, count: int, *, sort: str = "index", kind: str | None = None, text: str = "") -> Any:
        """Some of the rows, as the answer to `rows` in docs/wire.md section 4.

        Args:
            start: First of them, counted in the order asked for.
            count: How many, 500 at most.
            sort: `index`, `trained` (fewest first) or `longest`.
            kind: Only rows with a problem of this kind; `any` takes every kind.
            text: Only rows that have this text, or, where it is a number, this row or token id.

        Raises:
            RecipeError: WB402 for an order that is not known.
        """
        if sort not in ORDERS:
            raise RecipeError(
                f"Rows cannot be sorted by {sort!r}.", remedy=f"Known: {', '.join(ORDERS)}.", code="WB402"
            )
        positions = self._ordered(sort, kind, text)
        shown = positions[max(0, start) : max(0, start) + min(count, MOST_PAGE)]
        longest = max(map(len, self.enc._ids), default=0)
        return {"rows": [self._entry(i) for i in shown], "total": len(positions), "longest": longest}

    def _ordered(self, sort: str, kind: str | None, text: str) -> list[int]:
        positions: list[int] = list(range(len(self.enc.sequences)))
        if kind:
            bad = set(self.problems) if kind == "any" else self.kinds.get(kind, set())
            positions = [i for i in positions if self.enc.sequences[i][0] in bad]
        if text:
            found = set(self._matching(text))
            positions = [i for i in positions if i in found]
        if sort == "trained":
            positions.sort(key=lambda i: self.trained[i])
        elif sort == "longest":
            positions.sort(key=lambda i: -len(self.enc._ids[i]))
        return positions

    def _entry(self, position: int) -> dict[str, Any]:
        row, part = self.enc.sequences[position]
        twins = bisect_left(self.enc.sequences, (row + 1, 0)) - bisect_left(self.enc.sequences, (row, 0))
        return {
            "position": position,
            "row": row,
            "title": f"Row {row}" if twins == 1 else f"Row {row}, {part + 1} of {twins}",
            "tokens": len(self.enc._ids[position]),
            "trained": self.trained[position],
            "problems": self.problems.get(row, 0) if part == 0 else 0,
        }

    # Searching

    def next_with(self, text: str, after: int, *, back: bool = False) -> int | None:
        """Position of the next (or, `back`, the previous) row that has the text, going round once."""
        count = len(self.enc.sequences)
        for step in range(1, count + 1):
            position = (after - step if back else after + step) % count
            if self._has(position, text.lower()):
                return position
        return None

    def rows_with(self, text: str) -> int | None:
        """How many sequences have the text; None where there are too many tokens to look through them all."""
        return len(self._matching(text)) if self.enc.totals.tokens <= MOST_SEARCHED else None

    def _find_all(self, text: str) -> tuple[int, ...]:
        wanted = text.lower()
        return tuple(i for i in range(len(self.enc.sequences)) if self._has(i, wanted))

    def _has(self, position: int, wanted: str) -> bool:
        ids = self.enc._ids[position]
        if wanted.isdecimal() and (int(wanted) in ids or self.enc.sequences[position][0] == int(wanted)):
            return True
        return wanted in self.enc.setting.tokenizer.decode(ids.tolist(), skip_special_tokens=False).lower()


def worst(rows: RowList) -> int:
    """Position of the row that most asks for a look: errors first, then warnings, then what is seldom trained."""
    enc = rows.enc
    weight: dict[int, tuple[int, int]] = {}
    for item in enc.findings:
        if is_problem(item) and item.row is not None:
            errors, known = weight.get(item.row, (0, 0))
            weight[item.row] = (errors + (item.severity == "error"), known + (kind_of(item.code) != "other"))

    def suspicion(position: int) -> tuple[float, ...]:
        row, part = enc.sequences[position]
        errors, known = weight.get(row, (0, 0))
        loss = enc.scores[row, part].mean if (row, part) in enc.scores else 0.0
        share = rows.trained[position] / max(1, len(enc._ids[position]))
        return (-errors, -known, -rows.problems.get(row, 0), -loss, share)

    return min(range(len(enc.sequences)), key=suspicion)
