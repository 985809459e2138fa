r"""One data row to one example, or to findings that say why not.

    convert({"instruction": "Add.", "input": "2, 2", "output": "4"}, 0, "alpaca", {})
      ->  Conversation(messages=({"role": "user", "content": "Add.\n\n2, 2", …}, {"role": "assistant", …}), …), ()

Every row gives an example or at least one finding of severity error, never both and never neither. Every piece of text
in an example knows the path it came from (`messages[1].content`). Special tokens written out in the data are not looked
at here; the token layer does that, because only a tokenizer knows them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

from workbench.rows.formats import format_named
from workbench.rows.messages import OPENAI, SHAREGPT, Keys, Message, judge, read_messages, system_message
from workbench.rows.row_findings import RowFindings
from workbench.rows.shapes import is_list, kind_of
from workbench.rows.tool_calls import read_tools
from workbench.tracked import join, track
from workbench.types import Conversation, Example, Finding, Origin, PromptCompletion, Segments, Text

Row = Mapping[str, Any]
Columns = Mapping[str, str]


def convert(row: Row, index: int, type: str, columns: Columns) -> tuple[Example | None, tuple[Finding, ...]]:
    """Convert one row.

    Args:
        row: The row.
        index: Its index in the data.
        type: A supported name in `FORMATS`.
        columns: Our column name -> column of the row; names that are not given stand for themselves.

    Returns:
        The example, None where the row is not usable, and everything to say about the row.

    Raises:
        DataError: For an unknown (WB556) or unsupported (WB557) type.
    """
    entry = format_named(type)
    notes = RowFindings(index)
    if not isinstance(row, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  # data keeps no promises
        notes.error("WB522", f"The row must be an object, but is {kind_of(row)}.", "", "Make it {column: value}.")
        return None, tuple(notes.found)
    taken = set(columns.values())
    own = {c.name: c.name for c in entry.columns if c.required or c.name not in taken}
    example = CONVERTERS[type](row, {**own, **columns}, notes)
    return (None if notes.failed else example), tuple(notes.found)


def convert_all(
    rows: Iterable[Row], type: str, columns: Columns
) -> Iterator[tuple[Example | None, tuple[Finding, ...]]]:
    """Convert rows one after the other, holding one at a time."""
    for index, row in enumerate(rows):
        yield convert(row, index, type, columns)


def _messages(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    return _chat(row, names, "messages", OPENAI, notes)


def _sharegpt(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    return _chat(row, names, "conversations", SHAREGPT, notes)


def _chat(row: Row, names: Columns, name: str, keys: Keys, notes: RowFindings) -> Example | None:
    column = names[name]
    messages = _system(row, names, notes)
    if column not in row:
        notes.missing(column, row)
        return None
    said = read_messages(row[column], column, len(messages), keys, notes)
    if not notes.failed:
        judge([*messages, *said] if said else [], column, notes)
    return _conversation([*messages, *said], row, names, notes)


def _alpaca(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    messages = _system(row, names, notes)
    messages += _history(row, names, len(messages), notes)
    messages.append(_instruction(row, names, len(messages), notes))
    output = notes.column_text(row, names["output"], len(messages), "content")
    if output == "":
        notes.error("WB523", f"`{names['output']}` is empty: nothing can be trained.", names["output"], "Drop the row.")
    elif output is not None and output.isspace():
        notes.warning("WB524", f"`{names['output']}` is only whitespace, which many templates strip.", names["output"])
    messages.append(Message({"role": _role("assistant", len(messages)), "content": output}))
    return _conversation(messages, row, names, notes)


def _instruction(row: Row, names: Columns, index: int, notes: RowFindings) -> Message:
    """The user message; templates written for prompts find the parts under `instruction` and `input` as well."""
    instruction = notes.column_text(row, names["instruction"], index, "instruction")
    if instruction is not None and (not instruction or instruction.isspace()):
        notes.warning(
            "WB523", f"`{names['instruction']}` is empty.", names["instruction"], "Fill it in, or drop the row."
        )
    extra = _optional_text(row, names.get("input"), index, "input", notes)
    parts = ((instruction, names["instruction"]), (extra, names.get("input", "")))
    content = [track(str.__str__(text), Origin(column, index, "content")) for text, column in parts if text]
    return Message(
        {
            "role": _role("user", index),
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
            out.append(Message({"role": _role(role, index), "content": text, **alpaca}))
    return out


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
        return _conversation([*before, *after], row, names, notes, completion_from=len(before))
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


def _text(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    text = notes.column_text(row, names["text"], 0, "text")
    if text == "":
        notes.error("WB523", f"`{names['text']}` is empty: nothing can be trained.", names["text"], "Drop the row.")
    return None if text is None else Text(notes.row, text)


def _input_output(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    column = names["segments"]
    if column not in row:
        notes.missing(column, row)
        return None
    value = notes.parsed(row[column], column, "a list of segments")
    if not is_list(value):
        if not notes.failed:
            notes.error("WB522", f"`{column}` must be a list of segments, but is {kind_of(value)}.", column)
        return None
    items = cast("list[Any]", value)
    segments = [_segment(item, f"{column}[{i}]", i, notes) for i, item in enumerate(items)]
    if not any(text and trained for text, trained in segments) and not notes.failed:
        message = f"Nothing can be trained: no segment of `{column}` with label true has text."
        notes.error("WB531", message, column, "Drop the row.")
    return Segments(notes.row, tuple(segments))


def _segment(item: object, path: str, index: int, notes: RowFindings) -> tuple[str, bool]:
    if not isinstance(item, Mapping):
        notes.error("WB522", f"`{path}` must be a segment, but is {kind_of(item)}.", path, "Write {label, text}.")
        return "", False
    raw = cast("Mapping[str, Any]", item)
    for name in ("label", "text"):
        if name not in raw:
            notes.missing(f"{path}.{name}", raw)
    text = notes.text(raw["text"], f"{path}.text", index, "text") if "text" in raw else None
    label = raw.get("label")
    if "label" in raw and not isinstance(label, bool):
        field = f"{path}.label"
        notes.error("WB537", f"`{field}` must be true or false, but is {kind_of(label)}.", field)
    return text or "", label is True


def _system(row: Row, names: Columns, notes: RowFindings) -> list[Message]:
    text = _optional_text(row, names.get("system"), 0, "content", notes)
    return [system_message(text)] if text else []


def _optional_text(row: Row, column: str | None, message: int, key: str, notes: RowFindings) -> str | None:
    """Text of a column that may be absent or null."""
    value = row.get(column) if column else None
    return None if value is None or column is None else notes.text(value, column, message, key)


def _role(role: str, index: int) -> str:
    return track(role, Origin(None, index, "role"))


def _conversation(
    messages: list[Message], row: Row, names: Columns, notes: RowFindings, completion_from: int | None = None
) -> Conversation | None:
    column = names.get("tools")
    tools = read_tools(row.get(column), column, notes) if column else None
    if notes.failed:
        return None
    flags = tuple(message.train for message in messages)
    return Conversation(
        row=notes.row,
        messages=tuple(message.values for message in messages),
        tools=tools,
        train=flags if any(flag is not None for flag in flags) else (),
        completion_from=completion_from,
    )


CONVERTERS: Mapping[str, Callable[[Row, Columns, RowFindings], Example | None]] = {
    "messages": _messages,
    "sharegpt": _sharegpt,
    "alpaca": _alpaca,
    "prompt_completion": _prompt_completion,
    "text": _text,
    "input_output": _input_output,
}
"""Supported type -> conversion; a test holds its keys equal to the supported part of `FORMATS`."""
