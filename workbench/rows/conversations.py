"""Rows that hold conversations: OpenAI messages, ShareGPT turns, prompt and completion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from workbench.rows.assemble import Columns, Converter, Row, conversation, role_text, system_messages
from workbench.rows.messages import OPENAI, SHAREGPT, Keys, Message, judge, read_messages
from workbench.rows.row_findings import RowFindings
from workbench.rows.shapes import is_list, kind_of
from workbench.rows.spans import read_flag
from workbench.types import Example, PromptCompletion

PAIR = (("human", "user"), ("assistant", "assistant"))
"""Keys of a pair of turns, and the role each has."""


def _messages(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    return _chat(row, names, "messages", OPENAI, notes)


def _sharegpt(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    return _chat(row, names, "conversations", SHAREGPT, notes)


def _chat(row: Row, names: Columns, name: str, keys: Keys, notes: RowFindings) -> Example | None:
    column = names[name]
    messages = system_messages(row, names, notes)
    if column not in row:
        notes.missing(column, row)
        return None
    said = read_messages(row[column], column, len(messages), keys, notes)
    if not notes.failed:
        judge([*messages, *said] if said else [], column, notes)
    return conversation([*messages, *said], row, names, notes)


def _prompt_completion(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    prompt, completion = names["prompt"], names["completion"]
    absent = [column for column in (prompt, completion) if column not in row]
    for column in absent:
        notes.missing(column, row)
    if absent:
        return None
    if is_list(row[prompt]) and is_list(row[completion]):
        before = read_messages(row[prompt], prompt, 0, OPENAI, notes)
        after = read_messages(row[completion], completion, len(before), OPENAI, notes)
        if not notes.failed:
            judge([*before, *after] if after else [], completion, notes, trained_from=len(before))
        return conversation([*before, *after], row, names, notes, completion_from=len(before))
    if is_list(row[prompt]) != is_list(row[completion]) and None not in (row[prompt], row[completion]):
        message = f"`{prompt}` is {kind_of(row[prompt])}, but `{completion}` is {kind_of(row[completion])}."
        notes.error("WB522", message, completion, "Both must be text, or both lists of messages.")
        return None
    asked = notes.text(row[prompt], prompt, 0, "prompt")
    answer = notes.text(row[completion], completion, 1, "completion")
    if asked == "":
        notes.warning("WB523", f"`{prompt}` is empty.", prompt, "The completion is then trained without a beginning.")
    if answer == "":
        notes.error("WB523", f"`{completion}` is empty: nothing can be trained.", completion, "Drop the row.")
    return None if asked is None or answer is None else PromptCompletion(notes.row, asked, answer)


def _conversation_pairs(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    column = names["conversation"]
    messages = system_messages(row, names, notes)
    if column not in row:
        notes.missing(column, row)
        return None
    pairs = notes.parsed(row[column], column, "a list of {human, assistant}")
    if not is_list(pairs):
        if not notes.failed:
            message = f"`{column}` must be a list of human and assistant pairs, but is {kind_of(pairs)}."
            notes.error("WB522", message, column, "Write [{human, assistant}].")
        return None
    for i, pair in enumerate(cast("list[Any]", pairs)):
        messages += _pair(pair, f"{column}[{i}]", len(messages), notes)
    if not notes.failed:
        judge(messages if pairs else [], column, notes)
    return conversation(messages, row, names, notes)


def _pair(pair: object, path: str, index: int, notes: RowFindings) -> list[Message]:
    """The two messages of a pair; its train flag is the answer's."""
    if not isinstance(pair, Mapping):
        notes.error("WB522", f"`{path}` must be a pair, but is {kind_of(pair)}.", path, "Write {human, assistant}.")
        return []
    raw = cast("Mapping[str, Any]", pair)
    flag = read_flag(raw, path, notes)
    out: list[Message] = []
    for at, (key, role) in enumerate(PAIR, start=index):
        where = f"{path}.{key}"
        if key not in raw:
            notes.missing(where, raw)
            continue
        text = notes.text(raw[key], where, at, "content")
        if text == "" or (text is not None and text.isspace()):
            notes.warning("WB523", f"`{where}` has no text.", where, "Fill it in, or drop the row.")
        values = {"role": role_text(role, at), "content": text or ""}
        out.append(Message(values, flag if role == "assistant" else None))
    return out


SPOKEN: Mapping[str, Converter] = {
    "messages": _messages,
    "sharegpt": _sharegpt,
    "conversation_pairs": _conversation_pairs,
    "prompt_completion": _prompt_completion,
}
