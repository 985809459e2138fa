"""Parts that converters share: a system column, optional text, and messages put together to a conversation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from workbench.rows.messages import Message, place_of, system_message
from workbench.rows.row_findings import RowFindings
from workbench.rows.tool_calls import read_tools
from workbench.rows.treatment import treated
from workbench.tracked import track
from workbench.types import Conversation, Example, Origin

Row = Mapping[str, Any]
Columns = Mapping[str, str]
Converter = Callable[[Row, Columns, RowFindings], Example | None]
"""Row, our column name -> column of the row (every required name is there), and the row's findings with its options."""


def system_messages(row: Row, names: Columns, notes: RowFindings) -> list[Message]:
    """The system column as the first message; nothing where the row has none."""
    text = optional_text(row, names.get("system"), 0, "content", notes)
    return [system_message(text)] if text else []


def optional_text(row: Row, column: str | None, message: int, key: str, notes: RowFindings) -> str | None:
    """Text of a column that may be absent or null."""
    value = row.get(column) if column else None
    return None if value is None or column is None else notes.text(value, column, message, key)


def role_text(role: str, index: int) -> str:
    """A role that the type says and the row does not."""
    return track(role, Origin(None, index, "role"))


def conversation(
    messages: list[Message], row: Row, names: Columns, notes: RowFindings, completion_from: int | None = None
) -> Conversation | None:
    """Messages, tools, flags and spans as a conversation, treated as the options say; None where the row has an error.

    Args:
        messages: As they were read.
        row: The row, for its tools.
        names: Our column name -> column of the row.
        notes: The row's findings with its options.
        completion_from: Index of the first message of the completion, before the options are applied.
    """
    column = names.get("tools")
    tools = read_tools(row.get(column), column, notes) if column else None
    if notes.failed:
        return None
    done, start = treated(messages, completion_from, notes)
    if messages and not done:
        place = place_of(messages[0], column or "messages")
        notes.error(
            "WB530", f"`{place}` is a system message that is dropped, and there is no other.", place, "Drop the row."
        )
    if notes.failed:
        return None
    flags = tuple(message.train for message in done)
    return Conversation(
        row=notes.row,
        messages=tuple(message.values for message in done),
        tools=tools,
        train=flags if any(flag is not None for flag in flags) else (),
        completion_from=start,
        spans={path: spans for message in done for path, spans in message.spans.items()},
        images=tuple(image for message in done for image in message.images),
    )
