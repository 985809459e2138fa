"""Images among the tokens of a row: which runs of tokens stand for one, and whether any of them is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.types import Finding

MOST_BETWEEN = 3
"""Special tokens that may stand between the tiles of one image (row, column and newline marks)."""


def image_ids(processor: Any, config: Any) -> frozenset[int]:
    """Ids that stand for a piece of an image, as processor and model name them; empty for text models.

    Args:
        processor: What the trainer calls its `processing_class`.
        config: The model's config.
    """
    names = ("image_token_id", "image_token_index", "video_token_id", "video_token_index")
    found = {getattr(owner, name, None) for owner in (processor, config) for name in names}
    return frozenset(value for value in found if isinstance(value, int) and value >= 0)


def image_runs(
    ids: Sequence[int], images: frozenset[int], special: frozenset[int], count: int | None = None
) -> list[tuple[int, int]]:
    """First token and one past the last of every image.

    Args:
        ids: Token ids (T,).
        images: Ids that stand for a piece of an image.
        special: Special ids; a few of them between two pieces belong to the image.
        count: How many images there are, where that is known: images behind one another are parted evenly.
    """
    runs: list[tuple[int, int]] = []
    for index, token in enumerate(ids):
        if token not in images:
            continue
        between = ids[runs[-1][1] : index] if runs else ()
        if runs and len(between) <= MOST_BETWEEN and all(item in special for item in between):
            runs[-1] = (runs[-1][0], index + 1)
        else:
            runs.append((index, index + 1))
    return parted(runs, count)


def parted(runs: list[tuple[int, int]], count: int | None) -> list[tuple[int, int]]:
    """Runs that hold several images behind one another, parted evenly; as they are where that does not come out.

    Args:
        runs: First token and one past the last of each run.
        count: How many images there are; None where that is not known.
    """
    total = sum(end - start for start, end in runs)
    if not count or len(runs) >= count or total % count:
        return runs
    each = total // count
    parts = [(at, at + each) for start, end in runs for at in range(start, end, each)]
    return parts if all((end - start) % each == 0 for start, end in runs) else runs


def supervised(runs: Sequence[tuple[int, int]], trained: Sequence[bool], row: int | None = None) -> list[Finding]:
    """A finding for every image whose tokens are targets of the loss (WB150)."""
    out: list[Finding] = []
    for number, (start, end) in enumerate(runs):
        hit = sum(trained[start:end])
        if hit:
            out.append(
                Finding(
                    "WB150",
                    "error",
                    f"{hit:,} of {end - start:,} tokens of image {number} are trained: the model would learn to write "
                    "image placeholders.",
                    row=row,
                    remedy="Train answers only: assistant_only_loss=True, or a prompt and a completion instead of "
                    "messages.",
                    token=start,
                )
            )
    return out
