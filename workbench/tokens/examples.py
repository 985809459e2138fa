"""Sequences of all rows one behind the other, for callers that need not know which of them share a row.

tokenize(examples, setting) -> (TokenizedExample | Finding)…, in order
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from workbench.tokens.sequences import CHUNK, sequences
from workbench.tokens.setting import Setting
from workbench.types import Example, Finding, TokenizedExample

__all__ = ["CHUNK", "Setting", "tokenize"]


def tokenize(examples: Iterable[Example], setting: Setting) -> Iterator[TokenizedExample | Finding]:
    """Tokenize rows, as `tokens.sequences.sequences` does; a row of several sequences gives them one by one."""
    for made in sequences(examples, setting):
        if isinstance(made, Finding):
            yield made
        else:
            yield from made
