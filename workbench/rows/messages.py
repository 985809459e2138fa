"""Lists of messages: from any spelling of the data to what a chat template sees.

    conversations[0] = {"from": "human", "value": "Hi"}
      ->  {"role": "user", "content": "Hi"}     role from conversations[0].from, content from conversations[0].value

What changes: role spellings, JSON text in `tool_calls` and `arguments`, a turn that is only a function call, keys that
are null. Nothing is dropped or merged: one message in, one message out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

from workbench.rows.columns import TOOL_CALL, role_of
from workbench.rows.row_findings import RowFindings
from workbench.rows.shapes import is_list, kind_of
from workbench.rows.tool_calls import read_tool_calls, tool_calls_in_text
from workbench.tracked import track, track_tree
from workbench.types import Origin


@dataclass(frozen=True, slots=True)
class Keys:
    """Names a message may use for its role and content, the usual one first."""

    role: tuple[str, ...]
    content: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """A message as the template sees it, and its own train flag."""

    values: Mapping[str, Any]
    train: bool | None = None


OPENAI = Keys(("role", "from"), ("content", "value"))
SHAREGPT = Keys(("from", "role"), ("value", "content"))
FLAGS = ("train", "training", "weight")
READ = frozenset((*OPENAI.role, *OPENAI.content, *FLAGS, "tool_calls", "function_call"))
"""Keys that are read by name and not passed on as they are."""
DETAILS = ("train_detail", "training_detail")
TEXT_PARTS = ("text", "input_text", "output_text")


def read_messages(value: object, column: str, first: int, keys: Keys, notes: RowFindings) -> list[Message]:
    """Read a list of messages, or the JSON text of one.

    Args:
        value: What the column holds.
        column: Its name, the start of every path.
        first: Index the first message gets in the conversation.
        keys: Names of role and content.
        notes: Takes the findings; what it returns is only good where this stays without errors.
    """
    if value is None:
        notes.error("WB521", f"`{column}` is null.", column, "Fill it in, or drop the row.")
        return []
    items = notes.parsed(value, column, "a list of messages")
    if items is None:
        if not notes.failed:  # the JSON text "null"
            notes.error("WB521", f"`{column}` is the JSON text null.", column, "Fill it in, or drop the row.")
        return []
    if not is_list(items):
        message = f"`{column}` must be a list of messages, but is {kind_of(items)}."
        notes.error("WB522", message, column, "Put the messages into a list.")
        return []
    return [_message(item, f"{column}[{i}]", first + i, keys, notes) for i, item in enumerate(cast("list[Any]", items))]


def system_message(text: str) -> Message:
    """A system message from a column of its own; its text is tracked already."""
    return Message({"role": track("system", Origin(None, 0, "role")), "content": text})


def judge(messages: list[Message], column: str, notes: RowFindings, trained_from: int = 0) -> None:
    """Note what is odd about a conversation as a whole, and whether anything in it can be trained.

    Args:
        messages: In order.
        column: Field the findings name.
        notes: Takes the findings.
        trained_from: Index of the first message that may be trained.
    """
    if not messages:
        notes.error("WB530", f"`{column}` has no messages.", column, "Drop the row.")
        return
    roles = [str(message.values.get("role", "")) for message in messages]
    trainable = [message for message in messages[trained_from:] if message.train is not False]
    if not any(message.train or _answers(message) for message in trainable):
        notes.error(
            "WB531", f"Nothing can be trained: {_why_untrainable(messages, trained_from)}.", column, "Drop the row."
        )
    _judge_order(roles, column, notes)


def _judge_order(roles: list[str], column: str, notes: RowFindings) -> None:
    spoken = [role for role in roles if role not in ("system", "developer")]
    if spoken and spoken[0] == "assistant":
        remedy = "Many templates refuse this; put a user message first."
        notes.warning("WB532", f"`{column}` starts with an assistant message.", column, remedy)
    for i, (before, role) in enumerate(pairwise(roles), start=1):
        if before == role and role != "tool":
            message = f"Messages {i - 1} and {i} are both of role {role}."
            notes.warning("WB533", message, f"{column}[{i}]", "Some templates refuse this; join them into one.")
        elif role == "system":
            notes.warning(
                "WB535", f"Message {i} has role system, but is not the first.", f"{column}[{i}]", "Put it first."
            )
    if spoken and spoken[-1] == "user" and "assistant" in spoken:
        notes.info("WB536", f"`{column}` ends with a user message that nothing answers.", column)


def _why_untrainable(messages: list[Message], trained_from: int) -> str:
    answers = [message for message in messages[trained_from:] if message.values.get("role") == "assistant"]
    if not answers:
        return "there is no assistant message" + (" in the completion" if trained_from else "")
    if all(message.train is False for message in answers):
        return "every assistant message is flagged as not trained"
    return "no assistant message has text"


def _answers(message: Message) -> bool:
    """Whether a message is an assistant's and says something."""
    values = message.values
    if values.get("role") != "assistant":
        return False
    content = values.get("content")
    said = any(part["text"] for part in content) if isinstance(content, list) else bool(content)
    return said or bool(values.get("tool_calls")) or bool(values.get("reasoning_content"))


def _message(item: object, path: str, index: int, keys: Keys, notes: RowFindings) -> Message:
    if not isinstance(item, Mapping):
        notes.error("WB522", f"`{path}` must be a message, but is {kind_of(item)}.", path, "Write {role, content}.")
        return Message({})
    raw = cast("Mapping[str, Any]", item)
    role_key = next((key for key in keys.role if key in raw), keys.role[0])
    content_key = next((key for key in keys.content if key in raw), keys.content[0])
    role = _role(raw, path, role_key, index, notes)
    train = _flag(raw, path, notes)
    values = _other_keys(raw, path, index, notes)
    if role == TOOL_CALL:
        values.update(_call_turn(raw, path, content_key, index, notes))
        role = track("assistant", Origin(f"{path}.{role_key}", index, "role"))
    else:
        values.update(_content(raw, path, content_key, index, (role, "tool_calls" in values), notes))
    return Message({"role": role or "", **values}, train)


def _role(raw: Mapping[str, Any], path: str, key: str, index: int, notes: RowFindings) -> str | None:
    field = f"{path}.{key}"
    if key not in raw:
        notes.missing(field, raw)
        return None
    said = raw[key]
    role = role_of(said) if isinstance(said, str) else None
    if role is not None:
        return track(role, Origin(field, index, "role"))
    spelling = notes.text(said, field, index, "role")
    if spelling is None:
        return None
    if not spelling or spelling.isspace():
        notes.error("WB523", f"`{field}` is empty.", field, "Name the role: user, assistant, system or tool.")
        return None
    remedy = "Templates may refuse it or treat it as another role."
    notes.warning("WB534", f"`{field}` is {kind_of(spelling)}, which is no known role.", field, remedy)
    return spelling


def _content(
    raw: Mapping[str, Any], path: str, key: str, index: int, who: tuple[str | None, bool], notes: RowFindings
) -> dict[str, Any]:
    """The content; it may be null only where an assistant calls tools."""
    field, (role, calls) = f"{path}.{key}", who
    value = raw.get(key)
    if value is None and role == "assistant" and calls:
        return {"content": None}
    if key not in raw:
        notes.missing(field, raw)
        return {}
    if is_list(value):
        return {"content": _parts(cast("list[Any]", value), field, index, notes)}
    text = notes.text(value, field, index, "content")
    if text is None:
        return {}
    if not text and not (role == "assistant" and (calls or raw.get("reasoning_content"))):
        notes.warning("WB523", f"`{field}` is empty.", field, "Fill it in, or drop the row.")
    elif text.isspace():
        notes.warning("WB524", f"`{field}` is only whitespace, which many templates strip.", field)
    return {"content": text}


def _parts(parts: list[Any], field: str, index: int, notes: RowFindings) -> list[dict[str, Any]]:
    """Content as a list of typed parts; only text in this version."""
    if not parts:
        notes.error("WB523", f"`{field}` is an empty list.", field, "Fill it in, or drop the row.")
    return [_part(part, f"{field}[{i}]", index, notes) for i, part in enumerate(parts)]


def _part(part: object, field: str, index: int, notes: RowFindings) -> dict[str, Any]:
    if not isinstance(part, Mapping):
        remedy = 'Write {"type": "text", "text": …}.'
        notes.error("WB522", f"`{field}` must be a part with type and text, but is {kind_of(part)}.", field, remedy)
        return {"text": ""}
    raw = cast("Mapping[str, Any]", part)
    kind = raw.get("type", "text")
    if kind not in TEXT_PARTS:
        message = f"`{field}` is a part of type {kind!r}; this version reads text parts only."
        notes.error("WB538", message, field, "Drop the part or the row.")
        return {"text": ""}
    if any(raw.get(flag) is not None for flag in FLAGS):
        message = f"`{field}` has a train flag of its own; this version has flags for whole messages only."
        notes.error("WB539", message, field, "Split the message, or drop the flag.")
    key = next((key for key in ("text", "content", "value") if key in raw), "text")
    if key not in raw:
        notes.missing(f"{field}.{key}", raw)
    text = notes.text(raw[key], f"{field}.{key}", index, "content") if key in raw else None
    return {"type": track("text", Origin(None, index, "content")), "text": text or ""}


def _other_keys(raw: Mapping[str, Any], path: str, index: int, notes: RowFindings) -> dict[str, Any]:
    """Every other key that is not null, tracked; tool calls parsed."""
    values: dict[str, Any] = {}
    for key, value in raw.items():
        if key in READ:
            continue
        if key in DETAILS and value:
            message = f"`{path}.{key}` marks parts of a message; this version has flags for whole messages only."
            notes.error("WB539", message, f"{path}.{key}", "Drop it, or split the message.")
        elif key == "reasoning_content" and value is not None and not isinstance(value, str):
            notes.text(value, f"{path}.{key}", index, key)
        elif value is not None and notes.tree({key: value}, path):
            values[key] = track_tree(value, f"{path}.{key}", index, key)
    for key in ("tool_calls", "function_call"):
        calls = read_tool_calls(raw[key], f"{path}.{key}", index, notes) if key in raw else []
        if calls:
            values["tool_calls"] = calls
    return values


def _call_turn(raw: Mapping[str, Any], path: str, key: str, index: int, notes: RowFindings) -> dict[str, Any]:
    """A turn that is only a function call: tool calls of an assistant message, or plain text where it is no JSON."""
    field = f"{path}.{key}"
    if key not in raw:
        notes.missing(field, raw)
        return {}
    text = notes.text(raw[key], field, index, "content") if isinstance(raw[key], str | None) else ""
    if text is None:
        return {}
    calls = tool_calls_in_text(raw[key], field, index, notes)
    if calls:
        return {"content": None, "tool_calls": calls}
    if not text:
        notes.error("WB523", f"`{field}` calls no function: it is {kind_of(raw[key])}.", field, "Drop the row.")
        return {}
    remedy = "It is kept as plain assistant text; write {name, arguments} to have it rendered as a tool call."
    notes.warning("WB541", f"`{field}` is not the JSON of a function call.", field, remedy)
    return {"content": text}


def _flag(raw: Mapping[str, Any], path: str, notes: RowFindings) -> bool | None:
    """The message's own train flag: true or false, or weight 0 or 1."""
    said: set[bool] = set()
    for name in FLAGS:
        value = raw.get(name)
        if value is None:
            continue
        if isinstance(value, bool | int | float) and value in (0, 1):
            said.add(bool(value))
            continue
        field = f"{path}.{name}"
        message = f"`{field}` must be true, false, 0 or 1, but is {kind_of(value)}."
        notes.error("WB537", message, field, "Weights between 0 and 1 are not supported.")
    if len(said) > 1:
        notes.error("WB537", f"The train flags of `{path}` contradict each other.", path, "Keep one of them.")
        return None
    return said.pop() if said else None
