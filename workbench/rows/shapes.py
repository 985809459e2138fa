"""What a value looks like, apart from the column it stands in.

shapes_of([{"role": "user", "content": "Hi"}])  ->  {"list", "objects", "messages", "unanswered"}
shapes_of('[{"from": "human", "value": "Hi"}]')  ->  {"text", "short", "list", "objects", "turns", "unanswered"}

A shape says what stands in the value, not only of what kind it is: whether a chat has an answer, whether a text is a
whole chat with marks, whether an object is a tree of replies. Each test looks at the value once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, cast

from workbench.tracked import Tracked

SHAPES: Mapping[str, str] = {
    "text": "text",
    "short": "text of one line",
    "clue": "one line that is no question",
    "marked_chat": "a chat in one text with USER: and ASSISTANT: marks",
    "marked_tools": "a chat in one text with <tools> or <tool_call> marks",
    "marked_metharme": "text with <|user|> or <|model|> marks",
    "flag_text": "the text true or false",
    "number": "a number",
    "zero_one": "0 or 1",
    "flag": "true or false",
    "null": "null",
    "binary": "bytes",
    "picture": "an image or the name of one",
    "pictures": "a list of images or names of images",
    "object": "an object",
    "tree": "a message with replies",
    "problem": "an object with a problem",
    "rated_steps": "an object with rated steps",
    "message": "one message with role and content",
    "turn": "one turn with from and value",
    "messages": "a list of messages with role and content",
    "turns": "a list of turns with from and value",
    "unanswered": "a chat without an answer",
    "image_messages": "a list of messages with image parts",
    "message_lists": "a list of lists of messages",
    "segments": "a list of segments with label and text",
    "human_assistant": "a list of human and assistant pairs",
    "ranked": "a list of answers with ranks",
    "objects": "a list of objects",
    "texts": "a list of texts",
    "numbers": "a list of numbers",
    "flags": "a list of true and false",
    "pairs": "a list of pairs of text",
    "list": "a list",
    "alone": "the only column",
}
"""Every shape, in words."""

LISTS = frozenset({"messages", "turns", "segments", "human_assistant", "objects", "texts", "numbers", "flags", "pairs"})
"""Shapes that an empty list may have."""

ANSWERING = frozenset("assistant gpt chatgpt bing bard bot chatbot model ai function_call tool_call".split())
"""Roles that answer, as data spells them; a test holds them equal to `workbench.rows.columns.ROLES`."""
ASKING = frozenset(
    "user human prompter system developer tool function observation function_response tool_response tool_result "
    "ipython".split()
)
"""All other roles that are known; held to the same table."""

_LINE = 200
_NAME = 2048
_MARKED = re.compile(r"\s*(?:```\w*\s*)?(?:SYSTEM|USER|ASSISTANT):")
_CALLED = ("<tools>", "<tool_call>", "<tool_response>")
_METHARME = ("<|user|>", "<|model|>")
_PICTURE = re.compile(r"(?=\S*[./\\]|[0-9a-fA-F_-]{6}|\S{100})\S+")


def is_list(value: object) -> bool:
    """Whether a value is a JSON list."""
    return isinstance(value, list | tuple)


def shapes_of(value: object) -> frozenset[str]:
    """All shapes a value has; `empty` for a list without items, which may be any list."""
    return look(value)[0]


def look(value: object) -> tuple[frozenset[str], object]:
    """All shapes a value has, and the value with JSON text read; text is parsed at most once."""
    if isinstance(value, str):
        parsed = json_in(value)
        shapes = _text_shapes(value)
        return (shapes, value) if parsed is None else (shapes | look(parsed)[0], parsed)
    if isinstance(value, Mapping):
        return _object_shapes(cast("Mapping[str, Any]", value)), value
    if isinstance(value, list | tuple):
        return _list_shapes(cast("list[Any]", value)), value
    return _scalar(value), value


def fits(shapes: frozenset[str], wanted: tuple[str, ...]) -> bool:
    """Whether a value of these shapes may stand where one of the wanted ones is needed."""
    return not shapes.isdisjoint(wanted) or ("empty" in shapes and not LISTS.isdisjoint(wanted))


def json_in(text: str) -> list[Any] | dict[str, Any] | None:
    """The JSON list or object a text holds, None where it holds none."""
    if text.lstrip()[:1] not in ("[", "{") or text.rstrip()[-1:] not in ("]", "}"):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def kind_of(value: object) -> str:
    """The value's type in words with the value itself, for messages: `the number 42`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, int | float):
        return f"the number {_short(value)}"
    if isinstance(value, str):
        return f"the text {_short(str(value))}"
    if isinstance(value, Mapping):
        keys = ", ".join(str(key) for key in list(cast("Mapping[Any, Any]", value))[:4])
        return f"an object ({keys})" if keys else "an empty object"
    if isinstance(value, list | tuple):
        return f"a list of {len(cast('list[Any]', value))}" if value else "an empty list"
    return f"a {type(value).__name__}"


def _short(value: object) -> str:
    try:
        shown = json.dumps(str.__str__(value), ensure_ascii=False) if isinstance(value, Tracked) else repr(value)
    except ValueError:  # an integer of more digits than Python prints
        return "of thousands of digits"
    return shown if len(shown) <= 40 else shown[:37] + "…"


def _scalar(value: object) -> frozenset[str]:
    if value is None:
        return frozenset({"null"})
    if isinstance(value, bool):
        return frozenset({"flag"})
    if isinstance(value, int | float):
        return frozenset({"number", "zero_one"} if value in (0, 1) else {"number"})
    if isinstance(value, bytes | bytearray):
        return frozenset({"binary", "picture"})
    return frozenset({"object", "picture"}) if type(value).__module__.startswith("PIL.") else frozenset({"other"})


def _text_shapes(text: str) -> frozenset[str]:
    """Shapes of a text; long ones are searched with the speed of `str.find` only."""
    shapes = {"text"}
    if len(text) <= _LINE and "\n" not in text.strip():
        shapes.add("short")
        if text.strip() and not text.rstrip().endswith("?"):
            shapes.add("clue")
        if text.lower() in ("true", "false"):
            shapes.add("flag_text")
    if _MARKED.match(text):
        if "USER:" in text and "ASSISTANT:" in text:
            shapes.add("marked_chat")
        if "ASSISTANT:" in text and any(mark in text for mark in _CALLED):
            shapes.add("marked_tools")
    if any(mark in text for mark in _METHARME):
        shapes.add("marked_metharme")
    if _names_picture(text):
        shapes.add("picture")
    return frozenset(shapes)


def _names_picture(text: str) -> bool:
    """Whether a text may be a path, an address, a number, or the data of an image: one word, with the look of it."""
    if text.startswith("data:image/"):
        return True
    return len(text) <= _NAME and _PICTURE.fullmatch(text) is not None


def _object_shapes(item: Mapping[str, Any]) -> frozenset[str]:
    shapes = {"object"} | _one(item)
    if is_list(item.get("replies")) and ("text" in item or "content" in item):
        shapes.add("tree")
    if isinstance(item.get("problem"), str):
        shapes.add("problem")
    if is_list(item.get("steps")) and all(isinstance(s, Mapping) and "completions" in s for s in item["steps"]):
        shapes.add("rated_steps")
    if any(item.get(key) for key in ("bytes", "path", "url", "image", "base64")):
        shapes.add("picture")
    return frozenset(shapes)


def _one(item: Mapping[str, Any]) -> frozenset[str]:
    """Shape of an object as one message or turn."""
    if isinstance(item.get("role"), str) and ("content" in item or "tool_calls" in item):
        return frozenset({"message"})
    if ("from" in item and ("value" in item or "content" in item)) or ("role" in item and "value" in item):
        return frozenset({"turn"})
    return frozenset()


def _list_shapes(items: list[Any]) -> frozenset[str]:
    if not items:
        return frozenset({"empty"})
    if all(isinstance(item, Mapping) for item in items):
        return _objects_shapes(items)
    if all(isinstance(item, str) for item in items):
        pictures = {"pictures"} if all(_names_picture(item) for item in items) else set[str]()
        return frozenset({"list", "texts", *pictures})
    for kind, shape in ((bool, "flags"), (int | float, "numbers")):
        if all(isinstance(item, kind) for item in items):
            return frozenset({"list", shape})
    if all(is_list(item) for item in items):
        return _nested_shapes(items)
    pictures = all("picture" in look(item)[0] for item in items)
    return frozenset({"list", "pictures"} if pictures else {"list"})


def _nested_shapes(items: list[list[Any]]) -> frozenset[str]:
    """Shapes of a list of lists."""
    if all(len(item) == 2 and all(isinstance(part, str) for part in item) for item in items):
        return frozenset({"list", "pairs"})
    if all(isinstance(part, Mapping) and _one(part) for item in items for part in item) and any(items):
        return frozenset({"list", "message_lists"})
    return frozenset({"list"})


def _objects_shapes(items: list[Mapping[str, Any]]) -> frozenset[str]:
    """Shapes of a list of objects; one item of a kind is enough, conversion finds fault with the others."""
    shapes = {"list", "objects"}
    ones = frozenset[str]().union(*(_one(item) for item in items))
    if ones:
        shapes.add("turns" if "turn" in ones else "messages")
        if all(_asks(item) for item in items):
            shapes.add("unanswered")
        if any(_has_picture(item.get("content", item.get("value"))) for item in items):
            shapes.add("image_messages")
        return frozenset(shapes)
    if any("label" in item and "text" in item for item in items):
        shapes.add("segments")
    if any("human" in item and "assistant" in item for item in items):
        shapes.add("human_assistant")
    if any("answer" in item and "rank" in item for item in items):
        shapes.add("ranked")
    if all("picture" in _object_shapes(item) for item in items):
        shapes.add("pictures")
    return frozenset(shapes)


def _asks(item: Mapping[str, Any]) -> bool:
    """Whether a message is of a role that answers nothing; who a role nobody knows is, cannot be told."""
    role = item.get("role", item.get("from"))
    return isinstance(role, str) and role.strip().lower() in ASKING


def _has_picture(content: object) -> bool:
    """Whether a content list has an image part."""
    if not isinstance(content, list | tuple):
        return False
    parts = cast("list[Any]", content)
    return any(isinstance(part, Mapping) and str(part.get("type", "")).startswith("image") for part in parts)
