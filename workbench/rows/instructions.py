"""Rows that hold an instruction and an answer in columns of their own: the alpaca family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from workbench.rows.assemble import Columns, Converter, Row, conversation, optional_text, role_text, system_messages
from workbench.rows.messages import Message
from workbench.rows.row_findings import RowFindings
from workbench.rows.shapes import is_list, kind_of
from workbench.tracked import join, track
from workbench.types import Example, Origin


def _alpaca(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    messages = system_messages(row, names, notes)
    messages += _history(row, names, len(messages), notes)
    messages.append(_instruction(row, names, len(messages), notes))
    output = notes.column_text(row, names["output"], len(messages), "content")
    if output == "":
        notes.error("WB523", f"`{names['output']}` is empty: nothing can be trained.", names["output"], "Drop the row.")
    elif output is not None and output.isspace():
        notes.warning("WB524", f"`{names['output']}` is only whitespace, which many templates strip.", names["output"])
    messages.append(Message({"role": role_text("assistant", len(messages)), "content": output}))
    return conversation(messages, row, names, notes)


def _instruction(row: Row, names: Columns, index: int, notes: RowFindings) -> Message:
    """The user message; templates written for prompts find the parts under `instruction` and `input` as well."""
    instruction = notes.column_text(row, names["instruction"], index, "instruction")
    if instruction is not None and (not instruction or instruction.isspace()):
        notes.warning(
            "WB523", f"`{names['instruction']}` is empty.", names["instruction"], "Fill it in, or drop the row."
        )
    extra = optional_text(row, names.get("input"), index, "input", notes)
    parts = ((instruction, names["instruction"]), (extra, names.get("input", "")))
    content = [track(str.__str__(text), Origin(column, index, "content")) for text, column in parts if text]
    return Message(
        {
            "role": role_text("user", index),
            "content": join(track("\n\n", Origin(None, index, "template")), content),
            "instruction": instruction,
            "input": extra or "",
        }
    )


def _history(row: Row, names: Columns, first: int, notes: RowFindings) -> list[Message]:
    """Earlier rounds: a list of [question, answer] pairs."""
    column = names.get("history", "")
    value = row.get(column)
    pairs = notes.parsed(value, column, "a list of [question, answer] pairs") if value else []
    if not is_list(pairs) or not all(is_list(pair) and len(pair) == 2 for pair in pairs):
        if not notes.failed:
            message = f"`{column}` must be a list of [question, answer] pairs, but is {kind_of(value)}."
            notes.error("WB522", message, column)
        return []
    out: list[Message] = []
    for i, pair in enumerate(cast("list[list[Any]]", pairs)):
        for j, role in enumerate(("user", "assistant")):
            index = first + len(out)
            text = notes.text(pair[j], f"{column}[{i}][{j}]", index, "content")
            alpaca = {"instruction": text, "input": ""} if role == "user" else {}
            out.append(Message({"role": role_text(role, index), "content": text, **alpaca}))
    return out


INSTRUCTIONS: Mapping[str, Converter] = {"alpaca": _alpaca}
