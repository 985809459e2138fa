r"""Rows with images: where they stand in the messages, and which they are.

    {"query": "<image>What is it?", "response": "A cat.", "images": ["cat.png"]}
      ->  user [{"type": "image"}, {"type": "text", "text": "What is it?"}], assistant […]; images ("cat.png",)

An image stands where the row says: at an image part, or at a mark in the text (`<image>`, `<IMG_CONTEXT>`). Content is
a list of parts, so that the chat template writes the placeholder of its own model. Image parts may name their image
themselves; the others take those of the images column, in order. No image is opened here, and nothing is downloaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from workbench.rows.answers import Said, said_in
from workbench.rows.assemble import Columns, Converter, Row, conversation, optional_text, system_messages
from workbench.rows.instructions import history_messages
from workbench.rows.messages import Message, judge, place_of
from workbench.rows.row_findings import RowFindings
from workbench.rows.shapes import is_list, json_in, kind_of
from workbench.rows.task_parts import answer_text, assistant_message
from workbench.tracked import origin_of, track
from workbench.types import Example

MARKS = ("<image>", "<IMG_CONTEXT>")
"""What stands for an image in text: LLaVA, LLaMA-Factory and ms-swift write the first, InternVL the second."""

_MARK = re.compile("|".join(MARKS))
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_LONGEST_PATH = 4096


def _vision(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    said = said_in(row, names["messages"], notes)
    if said is None:
        return None
    messages = system_messages(row, names, notes)
    if said.kind == "text":
        messages += history_messages(row, names, len(messages), notes)
        messages += said.messages(len(messages), "user", notes)
        messages.append(assistant_message(len(messages), answer_text(row, names["answer"], len(messages), notes)))
    else:
        messages += said.messages(len(messages), "user", notes, media=True)
        messages += _answer(row, names, messages, notes)
    given = _images(row, names.get("images"), notes)
    if notes.failed:
        return None
    judge(messages, said.path, notes)
    return conversation(_placed(messages, given, said.path, names, notes), row, names, notes)


def _answer(row: Row, names: Columns, messages: list[Message], notes: RowFindings) -> list[Message]:
    """The answer column behind messages that end with a question; it says nothing new behind an answer."""
    if messages and messages[-1].values.get("role") == "assistant":
        return []
    text = optional_text(row, names.get("answer"), len(messages), "content", notes)
    return [assistant_message(len(messages), text)] if text else []


def _prefix_suffix(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    column = names["image"]
    if column not in row:
        notes.missing(column, row)
    given = _images(row, column, notes)
    prefix = notes.column_text(row, names["prefix"], 0, "content")
    suffix = answer_text(row, names["suffix"], 1, notes)
    if not given and not notes.failed:
        notes.error("WB589", f"`{column}` names no image.", column, "Fill it in, or drop the row.")
    if prefix is None or notes.failed:
        return None
    messages = [*Said(names["prefix"], prefix, "text").messages(0, "user", notes), assistant_message(1, suffix)]
    if not _MARK.search(prefix):
        messages[0] = _with_images_first(messages[0], len(given), 0)
    return conversation(_placed(messages, given, column, names, notes), row, names, notes, completion_from=1)


def _images(row: Row, column: str | None, notes: RowFindings) -> list[Any]:
    """The images column: one image or several, by path, address, bytes, or as an object."""
    value = row.get(column) if column else None
    if column is None or value is None or (isinstance(value, str) and not value):
        return []
    parsed = json_in(value) if isinstance(value, str) else value
    held = parsed if is_list(parsed) else None
    listed = [value if parsed is None else parsed] if held is None else list(cast("list[Any]", held))
    paths = [column if held is None else f"{column}[{i}]" for i in range(len(listed))]
    return [_image(image, path, notes) for image, path in zip(listed, paths, strict=True)]


def _image(value: object, path: str, notes: RowFindings) -> Any:
    """What an image is named by; anything but a JSON value that cannot name one is passed through as it is."""
    image: object = value
    if isinstance(value, Mapping):
        held = cast("Mapping[str, Any]", value)
        named = (held.get(key) for key in ("url", "path") if held.get("bytes") is None)
        image = next((name for name in named if isinstance(name, str) and name), value)
    if image is None or (isinstance(image, str | bytes | Mapping) and not image):
        notes.error("WB589", f"`{path}` names no image: it is {kind_of(value)}.", path, "Name it, or drop the row.")
    elif isinstance(image, bool | int | float | list | tuple):
        message = f"`{path}` must be a path, an address, bytes or an image, but is {kind_of(value)}."
        notes.error("WB522", message, path, "Name the image, or drop the row.")
    elif isinstance(image, str):
        _check_file(image, path, notes)
    return image


def _check_file(image: str, path: str, notes: RowFindings) -> None:
    """Warn of a file that is not there, where `image_folder` says where files are."""
    folder = notes.options.image_folder
    if folder is None or _ADDRESS.match(image) or len(image) > _LONGEST_PATH or "\x00" in image:
        return
    if not (Path(folder) / image).is_file():
        message = f"`{path}` is {kind_of(image)}, and there is no such file in {folder}."
        notes.warning("WB588", message, path, "Fetch it, or pass the folder that holds the images as image_folder.")


def _placed(
    messages: list[Message], given: list[Any], column: str, names: Columns, notes: RowFindings
) -> list[Message]:
    """The messages with content as lists of parts, each image part with its image."""
    parted = [_parted(message, i, column, notes) for i, message in enumerate(messages)]
    wanting = sum(image is None for message in parted for image in message.images)
    named = sum(image is not None for message in parted for image in message.images)
    if given and not wanting and not named:
        at = next((i for i, message in enumerate(parted) if message.values.get("role") == "user"), None)
        if at is not None:
            parted[at] = _with_images_first(parted[at], len(given), at)
            what = f"There is no placeholder for {_count(len(given))}: put in front of the first question."
            notes.info("WB587", what, names.get("images", column), "Write <image> where it belongs.")
            wanting = len(given)
    if wanting != len(given) and not (named == len(given) and not wanting):
        message = f"{_count(len(given))} for {_count(wanting, 'placeholder')}."
        notes.error("WB586", message, names.get("images", column), "Give every placeholder one image.")
        return parted
    if notes.failed or not (wanting or named):
        return messages
    rest = iter(given)
    return [replace(message, images=_resolved(message, rest, column, notes)) for message in parted]


def _resolved(message: Message, rest: Iterator[Any], column: str, notes: RowFindings) -> tuple[Any, ...]:
    """The images of a message: what its parts name, else the next of the images column."""
    path = place_of(message, column)
    return tuple([next(rest) if image is None else _image(image, path, notes) for image in message.images])


def _parted(message: Message, index: int, column: str, notes: RowFindings) -> Message:
    """The message with its content as a list of parts, marks made parts too.

    Where a message has both image parts and marks, the marks say where the images of the parts stand.
    """
    content = message.values.get("content")
    if content is None:
        return message
    parts = cast("list[dict[str, Any]]", content) if isinstance(content, list) else [_text(content, index)]
    if message.values.get("role") == "assistant":
        return replace(message, values={**message.values, "content": parts})
    marks = sum(len(_MARK.findall(part["text"])) for part in parts if "text" in part)
    named = message.images
    if marks and named and marks != len(named):
        what = f"Message {index} has {_count(marks, 'placeholder')} in its text for {_count(len(named))}."
        notes.error("WB586", what, column, "Give every placeholder one image.")
    images = iter(() if marks else named)
    out: list[dict[str, Any]] = []
    found: list[Any] = []
    for part in parts:
        pieces = _split(part["text"], index) if "text" in part else [] if marks else [part]
        out += pieces
        found += [next(images, None) for piece in pieces if "text" not in piece]
    return replace(
        message, values={**message.values, "content": out}, images=tuple(named if marks and named else found)
    )


def _split(text: str, index: int) -> list[dict[str, Any]]:
    """Text as text and image parts; a text without marks is one part, even an empty one."""
    out: list[dict[str, Any]] = []
    at = 0
    for mark in _MARK.finditer(text):
        out += [_text(text[at : mark.start()], index)] if mark.start() > at else []
        out.append(_picture(index))
        at = mark.end()
    return [*out, _text(text[at:], index)] if at < len(text) or not out else out


def _with_images_first(message: Message, count: int, index: int) -> Message:
    content = message.values["content"]
    parts = cast("list[dict[str, Any]]", content) if isinstance(content, list) else [_text(content, index)]
    values = {**message.values, "content": [*(_picture(index) for _ in range(count)), *parts]}
    return replace(message, values=values, images=(*([None] * count), *message.images))


def _text(text: str, index: int) -> dict[str, Any]:
    return {"type": track("text", origin_of(None, index, "content")), "text": text}


def _picture(index: int) -> dict[str, Any]:
    return {"type": track("image", origin_of(None, index, "content"))}


def _count(number: int, what: str = "image") -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


IMAGES: Mapping[str, Converter] = {"vision": _vision, "prefix_suffix": _prefix_suffix}
