"""Content given as a list of parts: text with flags of its own, and pictures.

    [{"type": "text", "text": "Let me see.", "train": false}, {"type": "text", "text": " Four."}]
      ->  "Let me see. Four." from messages[1].content[0].text and messages[1].content[1].text

A list of text only is read as one text, each character with the path of its part: of 81 chat templates in the project's
test data 77 write text and 29 write such lists. In a conversation with pictures lists stay lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from workbench.rows.row_findings import RowFindings
from workbench.rows.shapes import kind_of
from workbench.rows.spans import Piece, Spans, read_flag, whole
from workbench.tracked import join, origin_of, track

TEXT_PARTS = ("text", "input_text", "output_text")
IMAGE_PARTS = ("image", "image_url", "input_image")
TEXT_KEYS = ("text", "content", "value")
"""Keys of a text part that hold its text, the usual one first."""
IMAGE_KEYS = ("image", "image_url", "url", "path", "base64", "bytes", "content", "value")
"""Keys of an image part that say which image; a part without any stands for the next one of the images column."""


@dataclass(slots=True)
class Said:
    """What a message says, as it was read.

    Attributes:
        value: Text, a list of parts, or None where nothing was given.
        pieces: Its texts with their paths, in order.
        spans: Spans of parts with a flag.
        images: What its image parts name; None for one that names none.
    """

    value: Any = None
    pieces: list[Piece] = field(default_factory=list[Piece])
    spans: Spans = field(default_factory=dict[str, Any])
    images: list[Any] = field(default_factory=list[Any])


NOTHING = Said()
"""Where a message says nothing; shared, and never changed."""


def read_parts(parts: list[Any], path: str, index: int, media: bool, notes: RowFindings) -> Said:
    """Read content that is a list of parts.

    Args:
        parts: The list.
        path: Its path.
        index: Message index.
        media: Whether pictures may stand in it.
        notes: Takes the findings.
    """
    said = Said([])
    if not parts:
        notes.error("WB523", f"`{path}` is an empty list.", path, "Fill it in, or drop the row.")
    for i, part in enumerate(parts):
        _read_part(part, f"{path}[{i}]", index, said, notes)
    if said.images and not media:
        at = next(
            i for i, part in enumerate(parts) if isinstance(part, Mapping) and _is_one_of(part.get("type"), IMAGE_PARTS)
        )
        message = f"`{path}[{at}]` is an image; messages of this type hold text."
        notes.error("WB538", message, f"{path}[{at}]", 'Read the rows as type="vision", or drop the part or the row.')
    return said


def one_text(parts: list[Mapping[str, Any]]) -> str:
    """Parts of text as one text that keeps the path of each."""
    texts = [part["text"] for part in parts]
    return texts[0] if len(texts) == 1 else join("", texts)


def _read_part(part: object, path: str, index: int, said: Said, notes: RowFindings) -> None:
    if not isinstance(part, Mapping):
        remedy = 'Write {"type": "text", "text": …}.'
        notes.error("WB522", f"`{path}` must be a part with type and text, but is {kind_of(part)}.", path, remedy)
        return
    raw = cast("Mapping[str, Any]", part)
    kind = raw.get("type", "text")
    if _is_one_of(kind, IMAGE_PARTS):
        said.value.append({"type": track("image", origin_of(None, index, "content"))})
        said.images.append(next((raw[key] for key in IMAGE_KEYS if raw.get(key) is not None), None))
    elif _is_one_of(kind, TEXT_PARTS):
        _read_text(raw, path, index, said, notes)
    else:
        message = f"`{path}` is a part of type {kind_of(kind)}; text and images are read."
        notes.error("WB538", message, path, "Drop the part or the row.")


def _is_one_of(kind: object, kinds: tuple[str, ...]) -> bool:
    return isinstance(kind, str) and kind in kinds


def _read_text(raw: Mapping[str, Any], path: str, index: int, said: Said, notes: RowFindings) -> None:
    key = next((key for key in TEXT_KEYS if raw.get(key) is not None), TEXT_KEYS[0])
    where = f"{path}.{key}"
    if key not in raw:
        notes.missing(where, raw)
        return
    text = notes.text(raw[key], where, index, "content")
    flag = read_flag(raw, path, notes)
    if text is None:
        return
    piece = Piece(where, text)
    said.value.append({"type": track("text", origin_of(None, index, "content")), "text": text})
    said.pieces.append(piece)
    if flag is not None:
        said.spans[where] = whole(piece, flag)
