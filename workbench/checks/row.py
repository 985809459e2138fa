"""What a check of one row looks at."""

from __future__ import annotations

from typing import NamedTuple

from workbench.types import Example, TokenizedExample


class Row(NamedTuple):
    """A row with its tokens; `starts` and `ends` are the two columns of the tokens' offsets."""

    example: Example
    tokens: TokenizedExample
    special_ids: frozenset[int]
    starts: tuple[int, ...]
    ends: tuple[int, ...]
