"""What the picker shows of single values: cells of the table, kinds of columns, whole rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from workbench.rows.shapes import is_list, json_in

CELL_CHARACTERS = 120
LINE_CHARACTERS = 90
"""Characters of one message within a cell."""
LINES = 3
"""Messages within a cell."""
WHOLE_CHARACTERS = 8_000
"""Characters of a value of a row that is shown whole; a million of them would freeze the page."""
FEW_VALUES = 50
"""Most different values a column may have to be counted rather than called text."""
SHORT_CHARACTERS = 40

Row = Mapping[str, Any]


def named(row: object) -> Row:
    """A row with its column names as text; rows made in Python may have others."""
    return {str(name): value for name, value in row.items()} if isinstance(row, Mapping) else {}


def cell(value: object) -> str | dict[str, Any] | None:
    """A value as the table shows it: null, text, or the first messages as role and text."""
    said = messages_in(value)
    if said:
        lines = [{"role": role, "text": cropped(text, LINE_CHARACTERS)} for role, text in said[:LINES]]
        return {"said": lines, "more": len(said) - len(lines)}
    text = as_text(value)
    return None if text is None else cropped(text, CELL_CHARACTERS)


def whole(value: object) -> str | dict[str, Any] | None:
    """A value of a row that is shown whole."""
    said = messages_in(value)
    if said:
        shown = said[: WHOLE_CHARACTERS // LINE_CHARACTERS]
        room = max(LINE_CHARACTERS, WHOLE_CHARACTERS // len(shown))
        lines = [{"role": role, "text": cropped(text, room)} for role, text in shown]
        return {"said": lines, "more": len(said) - len(lines)}
    text = as_text(value)
    return None if text is None else cropped(text, WHOLE_CHARACTERS)


def as_text(value: object) -> str | None:
    """A value as text: text as it is, anything else as JSON where it is JSON."""
    if value is None or isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, default=repr)
    except (ValueError, TypeError, RecursionError):
        return repr(value)[:WHOLE_CHARACTERS]


def cropped(text: str, most: int) -> str:
    """The beginning of a text; half a surrogate pair, which no page can be sent, is replaced."""
    shown = text if len(text) <= most else text[: most - 1] + "…"
    return shown if shown.isascii() else shown.encode("utf-8", "replace").decode()


def messages_in(value: object) -> list[tuple[str, str]]:
    """Role and text of each message of a list of messages, or of the JSON text of one; empty for anything else."""
    if isinstance(value, str):
        value = json_in(value)
    if isinstance(value, Mapping):
        value = [value]
    if not is_list(value):
        return []
    said = [_said(item) for item in value]  # pyright: ignore[reportGeneralTypeIssues]
    return [item for item in said if item is not None] if all(item is not None for item in said) else []


def _said(item: object) -> tuple[str, str] | None:
    if not isinstance(item, Mapping):
        return None
    role = next((item[key] for key in ("role", "from") if isinstance(item.get(key), str)), None)
    if role is None or not any(key in item for key in ("content", "value", "tool_calls")):
        return None
    content = next((item[key] for key in ("content", "value", "tool_calls") if item.get(key) is not None), "")
    return cropped(role, SHORT_CHARACTERS), as_text(content) or ""


def kind(values: Sequence[object]) -> str:
    """What a column holds, in a few words: `text`, `12 values`, `all different`, `text or empty`, `messages`."""
    if not values:
        return "empty"
    words = list(dict.fromkeys(_word(value) for value in values))
    filled = [value for value in values if value is not None and value != ""]
    if words in (["text"], ["number"]) and all(isinstance(value, str | int | float) for value in filled):
        return _counted(filled, words[0])
    return " or ".join(sorted(words[:3], key=lambda word: word in ("empty", "null")))


def _counted(values: Sequence[Any], word: str) -> str:
    """`12 values` for few that come again, `all different` for short ones that never do, else the word."""
    if len(values) < 2 or any(len(str(value)) > SHORT_CHARACTERS for value in values):
        return word
    different = len(set(values))
    if different == len(values):
        is_name = all(isinstance(value, int) or " " not in str(value).strip() for value in values)
        return "all different" if is_name else word
    return f"{different} values" if 1 < different <= min(FEW_VALUES, len(values) // 2) else word


def _word(value: object) -> str:
    if value is None:
        return "null"
    if value == "" or (is_list(value) and not value):  # pyright: ignore[reportArgumentType]
        return "empty"
    if messages_in(value):
        return "messages"
    names = {str: "text", bool: "true or false", int: "number", float: "number", list: "list", dict: "object"}
    return names.get(type(value), type(value).__name__)


def roles_in(values: Iterable[object]) -> Counter[str]:
    """Every spelling of a role in lists of messages, with how many messages have it."""
    found: Counter[str] = Counter()
    for value in values:
        items = json_in(value) if isinstance(value, str) else value
        for item in items if is_list(items) else ():  # pyright: ignore[reportGeneralTypeIssues]
            if isinstance(item, Mapping):
                found.update(item[key] for key in ("role", "from") if isinstance(item.get(key), str))
    return found
