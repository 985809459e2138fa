"""Where the tokens of a text start and end, so that characters find their tokens by bisection."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate
from operator import ge, itemgetter
from typing import NamedTuple

from workbench.types import Encoding

_START, _END = itemgetter(0), itemgetter(1)


class Edges(NamedTuple):
    """Starts and ends of tokens, both ascending; `empty` are the tokens that stand for no character."""

    input_ids: Sequence[int]
    starts: Sequence[int]
    ends: Sequence[int]
    empty: Sequence[int]

    def over(self, start: int, end: int) -> tuple[int, int]:
        """First and one past the last token that stand for any of the characters."""
        first = bisect_right(self.ends, start)
        return first, max(first, bisect_left(self.starts, end))

    def inside(self, start: int, end: int) -> tuple[int, int]:
        """First and one past the last token that stand for these characters and no others."""
        first = bisect_left(self.starts, start)
        return first, max(first, bisect_right(self.ends, end))


def edges_of(encoding: Encoding) -> Edges:
    """Edges of an encoding."""
    if not encoding.offsets:
        return Edges((), (), (), ())
    starts, ends = list(map(_START, encoding.offsets)), list(map(_END, encoding.offsets))
    if not any(map(ge, starts, ends)):
        return Edges(encoding.input_ids, starts, ends, ())
    reached = list(accumulate(ends, max))  # a token of no characters, such as an added EOS, is reported at 0
    empty = [i for i, (start, end) in enumerate(encoding.offsets) if start >= end]
    for i in empty:
        starts[i] = reached[i]
    return Edges(encoding.input_ids, starts, reached, empty)
