"""Two answers to one prompt, side by side: what they share, where they part, and whether they part at all.

compare(chosen, rejected)  ->  Pair(prompt_tokens=12, first_token=13, first_character=48, trained=(9, 14))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.types import IGNORE, Finding, TokenizedExample


@dataclass(frozen=True, slots=True)
class Pair:
    """Two sides of a preference row.

    Attributes:
        row: Data row index.
        prompt_tokens: Masked tokens at the beginning that both sides share.
        first_token: First token that differs, or that only one side has; None where all kept tokens are equal.
        first_character: First character of the texts that differs; None where the texts are equal.
        trained: Trained tokens of chosen and rejected.
        findings: What is wrong with the pair as a pair.
    """

    row: int
    prompt_tokens: int
    first_token: int | None
    first_character: int | None
    trained: tuple[int, int]
    findings: tuple[Finding, ...] = ()


def compare(chosen: TokenizedExample, rejected: TokenizedExample) -> Pair:
    """Compare the two sides of a row."""
    one, other = str.__str__(chosen.rendered.text), str.__str__(rejected.rendered.text)
    token = first_difference(chosen.input_ids, rejected.input_ids)
    character = first_difference(one, other)
    sides = (chosen, rejected)
    masked = min(next((i for i, label in enumerate(s.labels) if label != IGNORE), len(s.labels)) for s in sides)
    return Pair(
        row=chosen.row,
        prompt_tokens=masked if token is None else min(masked, token),
        first_token=token,
        first_character=character,
        trained=(chosen.trained, rejected.trained),
        findings=() if token is not None else (_no_signal(chosen, rejected, character),),
    )


def first_difference(one: Sequence[object], other: Sequence[object]) -> int | None:
    """Where two sequences part, or where the shorter ends; None where they are equal."""
    if one == other:
        return None
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


def _no_signal(chosen: TokenizedExample, rejected: TokenizedExample, character: int | None) -> Finding:
    """Equal tokens on both sides: the loss of such a pair is a constant."""
    if character is not None and (chosen.truncated or rejected.truncated):
        kept = len(chosen.input_ids)
        return Finding(
            "WB116",
            "error",
            f"Chosen and rejected of row {chosen.row} first differ at character {character}, behind the {kept} tokens "
            "that max_length keeps: nothing can be learned from the pair.",
            row=chosen.row,
            remedy="Raise max_length, or leave the row out.",
        )
    why = "their texts are equal" if character is None else f"though their texts differ from character {character} on"
    return Finding(
        "WB115",
        "error",
        f"Chosen and rejected of row {chosen.row} are the same {len(chosen.input_ids)} tokens: {why}.",
        row=chosen.row,
        remedy="Leave the row out; where the texts differ, the template or the tokenizer drops the difference.",
    )
