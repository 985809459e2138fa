"""Rows that hold conversations: OpenAI messages, ShareGPT turns, prompt and completion."""

from __future__ import annotations

from collections.abc import Mapping

from workbench.rows.assemble import Columns, Converter, Row, conversation, system_messages
from workbench.rows.messages import OPENAI, SHAREGPT, Keys, judge, read_messages
from workbench.rows.row_findings import RowFindings
from workbench.rows.shapes import is_list, kind_of
from workbench.types import Example, PromptCompletion


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


SPOKEN: Mapping[str, Converter] = {
    "messages": _messages,
    "sharegpt": _sharegpt,
    "prompt_completion": _prompt_completion,
}
