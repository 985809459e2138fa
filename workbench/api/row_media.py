"""Images of an encoded row for the viewer: where they stand among the tokens, and small pictures of local ones.

Files are read where they lie on this machine; addresses are never fetched.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.tokens.media import parted
from workbench.types import Conversation, Preference, Reason, TokenizedExample, Unpaired
from workbench.views.thumbnails import NOTHING, picture_of

if TYPE_CHECKING:
    from workbench.api.encoded import Encoded


def row_media(enc: Encoded, made: TokenizedExample, shown: range) -> list[dict[str, Any]]:
    """The `media` of docs/wire.md: an item for each run of tokens that stands for an image.

    Args:
        enc: The encoded rows.
        made: One sequence of a row.
        shown: Which of its tokens are shown; `start` and `end` count from the first of them.
    """
    if Reason.MEDIA not in made.reasons:
        return []
    images = _images(enc, made)
    runs = parted(_runs(made), len(images))
    folder = _folder(enc)
    out: list[dict[str, Any]] = []
    text = str.__str__(made.rendered.text)
    for number, (start, end) in enumerate(runs):
        if end <= shown.start or start >= shown.stop:
            continue
        picture = picture_of(images[number], folder) if number < len(images) else NOTHING
        texts = [text[first:last] for first, last in made.offsets[start:end]]
        name = next((item for item in texts if "image" in item.lower()), texts[0]).strip() or "image"
        place = {"start": max(start, shown.start) - shown.start, "end": min(end, shown.stop) - shown.start}
        out.append({**place, "name": name, **picture._asdict()})
    return out


def _runs(made: TokenizedExample) -> list[tuple[int, int]]:
    """Stretches of tokens that stand for images."""
    runs: list[tuple[int, int]] = []
    for index, reason in enumerate(made.reasons):
        if reason is not Reason.MEDIA:
            continue
        if runs and runs[-1][1] == index:
            runs[-1] = (runs[-1][0], index + 1)
        else:
            runs.append((index, index + 1))
    return runs


def _images(enc: Encoded, made: TokenizedExample) -> Sequence[Any]:
    example, _ = enc.data.converted(made.row)
    if isinstance(example, Preference):
        example = example.chosen if made.part == "chosen" else example.rejected
    if isinstance(example, Unpaired):
        example = example.answer
    return example.images if isinstance(example, Conversation) else ()


def _folder(enc: Encoded) -> Path | None:
    """Where relative paths begin: image_folder, else the folder of the data file, else the working directory."""
    if enc.data.options.image_folder is not None:
        return Path(enc.data.options.image_folder)
    path = enc.data.source.path
    return Path(path).parent if path and Path(path).is_file() else None
