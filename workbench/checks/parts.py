"""Checks of all sequences of one row together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from workbench.checks.rows import check_row
from workbench.tokens.pairs import compare
from workbench.types import Example, Finding, Preference, PromptOnly, TokenizedExample, Unpaired


def check_parts(
    example: Example, parts: tuple[TokenizedExample, ...], special_ids: frozenset[int]
) -> Iterator[Finding]:
    """What the checks say of every sequence of a row, each thing once, and of a pair as a pair."""
    said: set[tuple[str, str | None]] = set()
    for number, part in enumerate(parts):
        for item in (*part.findings, *check_row(_said(example, part), part, special_ids)):
            if (item.code, item.message) not in said and not (isinstance(example, PromptOnly) and item.code == "WB120"):
                said.add((item.code, item.message))
                yield item if number == 0 else replace(item, token=None)  # a token is one of the first sequence
    if parts[0].part == "chosen":
        yield from compare(*parts).findings


def _said(example: Example, part: TokenizedExample) -> Example:
    """What a sequence was made from: one side of a pair, the judged answer, the prompt, or the row itself."""
    if isinstance(example, Preference):
        return example.chosen if part.part == "chosen" else example.rejected
    if isinstance(example, Unpaired):
        return example.answer
    return example.prompt if isinstance(example, PromptOnly) else example
