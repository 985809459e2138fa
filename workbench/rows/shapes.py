"""What a value looks like, apart from the column it stands in.

shapes_of([{"role": "user", "content": "Hi"}])  ->  {"objects", "messages"}
shapes_of('[{"from": "human", "value": "Hi"}]')  ->  {"text", "objects", "turns"}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from workbench.tracked import Tracked

SHAPES: Mapping[str, str] = {
    "text": "text",
    "number": "a number",
    "flag": "true or false",
    "null": "null",
    "binary": "bytes",
    "object": "an object",
    "message": "one message with role and content",
    "turn": "one turn with from and value",
    "messages": "a list of messages with role and content",
    "turns": "a list of turns with from and value",
    "segments": "a list of segments with label and text",
    "human_assistant": "a list of human and assistant pairs",
    "ranked": "a list of answers with ranks",
    "objects": "a list of objects",
    "texts": "a list of texts",
    "numbers": "a list of numbers",
    "flags": "a list of true and false",
    "pairs": "a list of pairs of text",
    "list": "a list",
}
"""Every shape, in words."""

LISTS = frozenset({"messages", "turns", "segments", "human_assistant", "objects", "texts", "numbers", "flags", "pairs"})
"""Shapes that an empty list may have."""


def is_list(value: object) -> bool:
    """Whether a value is a JSON list."""
    return isinstance(value, list | tuple)


def shapes_of(value: object) -> frozenset[str]:
    """All shapes a value has; `empty` for a list without items, which may be any list."""
    if isinstance(value, str):
        parsed = json_in(value)
        return frozenset({"text"}) if parsed is None else frozenset({"text"}) | shapes_of(parsed)
    if isinstance(value, Mapping):
        return frozenset({"object"}) | _one(cast("Mapping[str, Any]", value))
    if isinstance(value, list | tuple):
        return _list_shapes(cast("list[Any]", value))
    return frozenset({_scalar(value)})


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


def _scalar(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "flag"
    if isinstance(value, int | float):
        return "number"
    return "binary" if isinstance(value, bytes | bytearray) else "other"


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
    for kind, shape in ((str, "texts"), (bool, "flags"), (int | float, "numbers")):
        if all(isinstance(item, kind) for item in items):
            return frozenset({"list", shape})
    if all(is_list(item) and len(item) == 2 and all(isinstance(part, str) for part in item) for item in items):
        return frozenset({"list", "pairs"})
    return frozenset({"list"})


def _objects_shapes(items: list[Mapping[str, Any]]) -> frozenset[str]:
    """Shapes of a list of objects; one item of a kind is enough, conversion finds fault with the others."""
    shapes = {"list", "objects"}
    ones = frozenset[str]().union(*(_one(item) for item in items))
    if "turn" in ones:
        shapes.add("turns")
    elif "message" in ones:
        shapes.add("messages")
    if any("label" in item and "text" in item for item in items):
        shapes.add("segments")
    if any("human" in item and "assistant" in item for item in items):
        shapes.add("human_assistant")
    if any("answer" in item and "rank" in item for item in items):
        shapes.add("ranked")
    return frozenset(shapes)
