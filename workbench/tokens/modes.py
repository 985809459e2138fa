"""What it changes to tokenize the parts of a row alone: the first token that differs.

difference(example, setting)  ->  Difference("input_ids", (0, 5), 220, 8920, …), None where both ways give the same
"""

from __future__ import annotations

from dataclasses import replace

from workbench.tokens.diff import first_difference
from workbench.tokens.sequences import sequences
from workbench.tokens.setting import Setting
from workbench.types import Difference, Example, Finding, TokenizedExample


def difference(example: Example, setting: Setting) -> Difference | None:
    """Compare `pieces="joined"` (ours) with `pieces="separate"` (axolotl's) for one row, all else equal.

    Returns:
        The first difference in ids, else in labels; the index is (sequence of the row, token). None where there is
        none, and where the row cannot be tokenized at all.
    """
    joined, separate = (_parts(example, setting, pieces) for pieces in ("joined", "separate"))
    return first_difference(_arrays(joined), _arrays(separate))


def _parts(example: Example, setting: Setting, pieces: str) -> tuple[TokenizedExample, ...]:
    options = replace(setting.options, pieces=pieces)
    (made,) = sequences([example], replace(setting, options=options))
    return () if isinstance(made, Finding) else made


def _arrays(parts: tuple[TokenizedExample, ...]) -> dict[str, list[tuple[int, ...]]]:
    return {"input_ids": [part.input_ids for part in parts], "labels": [part.labels for part in parts]}
