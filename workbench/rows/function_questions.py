"""Questions with the functions that may answer them (Berkeley function calling leaderboard).

    {"question": [[{"role": "user", …}]], "function": [{"name": "add", …}], "ground_truth": [{"add": {"a": [2]}}]}
      ->  user, assistant with the call; without ground truth the question alone, as a prompt

A ground truth lists what each argument may be; the first is what is trained, and an argument whose first value is
empty text is one that the call leaves out. Source: the leaderboard's answer files, `possible_answer`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from workbench.rows.assemble import Columns, Row, conversation, role_text
from workbench.rows.literals import Unreadable, ValueReader, skip_space
from workbench.rows.messages import OPENAI, Message, judge, read_messages
from workbench.rows.row_findings import RowFindings
from workbench.rows.shapes import is_list, kind_of
from workbench.rows.tool_calls import called, read_tools
from workbench.tracked import Tracked, origin_of, track, track_tree
from workbench.types import Example, PromptOnly

_FUNCTION = re.compile(r"\s*([A-Za-z_][\w.]*)\(")
_ARGUMENT = re.compile(r"\s*([A-Za-z_]\w*)\s*=")

Turns = list[list[Message]]


def bfcl(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    """One question, with the calls that answer it where the row has them."""
    column, functions, truth = names["question"], names["function"], names.get("ground_truth", "")
    answered = row.get(truth) is not None
    turns = _questions(row, column, answered, notes)
    tools = _functions(row, functions, notes)
    if notes.failed:
        return None
    if answered:
        messages = _answered(row[truth], truth, turns, notes)
        if not notes.failed:
            judge(messages, column, notes)
    else:
        messages = turns[0] if turns else []
        _refuse_unanswered(turns, column, notes)
    made = conversation(messages, row, {}, notes)
    if made is None:
        return None
    whole = replace(made, tools=tools)
    extras = {name: value for name, value in row.items() if name not in (column, functions, truth)}
    return whole if answered else PromptOnly(notes.row, whole, extras)


def _refuse_unanswered(turns: Turns, column: str, notes: RowFindings) -> None:
    if not turns or not turns[0]:
        notes.error("WB530", f"`{column}` has no messages.", column, "Drop the row.")
    elif len(turns) > 1:
        message = f"`{column}` has {len(turns)} turns and no ground truth: what is answered between them is not known."
        notes.error("WB592", message, column, "Give the ground truth, or keep the first turn only.")


def _questions(row: Row, column: str, answered: bool, notes: RowFindings) -> Turns:
    """Messages of each turn, with room for an answer behind each; a flat list of messages is one turn."""
    if column not in row:
        notes.missing(column, row)
        return []
    value = notes.parsed(row[column], column, "a list of lists of messages")
    nested = is_list(value) and bool(value) and all(is_list(turn) for turn in cast("list[Any]", value))
    if not nested:
        return [read_messages(value, column, 0, OPENAI, notes)]
    turns: Turns = []
    at = 0
    for i, turn in enumerate(cast("list[Any]", value)):
        turns.append(read_messages(turn, f"{column}[{i}]", at, OPENAI, notes))
        at += len(turns[-1]) + answered
    return turns


def _functions(row: Row, column: str, notes: RowFindings) -> tuple[Mapping[str, Any], ...] | None:
    if column not in row:
        notes.missing(column, row)
        return None
    tools = read_tools(notes.parsed(row[column], column, "a list of functions"), column, notes, tell=False, single=True)
    if not tools and not notes.failed:
        notes.error("WB523", f"`{column}` has no functions.", column, "Drop the row.")
    return tools


def _answered(value: object, column: str, turns: Turns, notes: RowFindings) -> list[Message]:
    """Every turn with its calls behind it."""
    items = notes.parsed(value, column, "a list of calls")
    if not is_list(items):
        if not notes.failed:
            notes.error("WB522", f"`{column}` must be a list of calls, but is {kind_of(items)}.", column)
        return []
    listed = cast("list[Any]", items)
    nested = bool(listed) and all(is_list(item) for item in listed)
    given = [(item, f"{column}[{i}]") for i, item in enumerate(listed)] if nested else [(listed, column)]
    if len(given) != len(turns):
        message = f"`{column}` answers {len(given)} turns, but the question has {len(turns)}."
        notes.error("WB592", message, column, "Give one list of calls a turn.")
        return []
    out: list[Message] = []
    for turn, (calls, path) in zip(turns, given, strict=True):
        out += turn
        out.append(_answer(calls, path, len(out), notes))
    return out


def _answer(calls: list[Any], path: str, index: int, notes: RowFindings) -> Message:
    found = [_call(call, f"{path}[{i}]", index, notes) for i, call in enumerate(calls)]
    if not calls:
        notes.error("WB592", f"`{path}` has no calls: nothing can be trained.", path, "Drop the row.")
    return Message({"role": role_text("assistant", index), "content": None, "tool_calls": [c for c in found if c]})


def _call(call: object, path: str, index: int, notes: RowFindings) -> dict[str, Any] | None:
    """One call: `{name: {argument: [values]}}`, or its text in Python."""
    if isinstance(call, str):
        text = notes.text(call, path, index, "tool_calls")
        return None if text is None else _written(cast("Tracked", text), path, index, notes)
    held = cast("Mapping[str, Any]", call) if isinstance(call, Mapping) else {}
    if len(held) != 1 or not isinstance(next(iter(held.values())), Mapping):
        message = f"`{path}` must be a call, but is {kind_of(call)}."
        notes.error("WB592", message, path, "Write {name: {argument: [values]}}.")
        return None
    if not notes.tree(held, path):
        return None
    name, arguments = next(iter(held.items()))
    inside = f"{path}.{name}"
    chosen = {key: _first(value, f"{inside}.{key}", index) for key, value in arguments.items() if _is_given(value)}
    return called({"name": track(str(name), origin_of(inside, index, "tool_calls")), "arguments": chosen}, index)


def _is_given(values: object) -> bool:
    """Whether an argument is part of the call: empty text as the first value leaves it out."""
    return not (is_list(values) and (not values or cast("list[Any]", values)[0] == ""))


def _first(values: Any, path: str, index: int) -> Any:
    """The first value that is allowed; objects hold lists of what is allowed in turn."""
    value, where = (values[0], f"{path}[0]") if is_list(values) else (values, path)
    if isinstance(value, Mapping):
        inner = cast("Mapping[str, Any]", value)
        return {key: _first(item, f"{where}.{key}", index) for key, item in inner.items() if _is_given(item)}
    return track_tree(value, where, index, "tool_calls")


def _written(text: Tracked, path: str, index: int, notes: RowFindings) -> dict[str, Any] | None:
    """A call written in Python with named arguments: `add(a=2, b=2)`."""
    plain = str.__str__(text)
    found = _FUNCTION.match(plain)
    at = found.end() if found else 0
    arguments: dict[str, Any] = {}
    reader = ValueReader(text)
    try:
        if found is None:
            raise Unreadable(0, "no name and bracket")
        while plain[(at := skip_space(plain, at)) : at + 1] != ")":
            name = _ARGUMENT.match(plain, at)
            if name is None:
                raise Unreadable(at, "no named argument")
            arguments[name[1]], at = reader.read(name.end())
            at = skip_space(plain, at)
            if plain[at : at + 1] not in (",", ")"):
                raise Unreadable(at, "no comma or bracket")
            at += plain[at : at + 1] == ","
        if plain[at + 1 :].strip():
            raise Unreadable(at + 1, "text behind the call")
    except Unreadable as error:
        message = f"`{path}` is no call ({error}): it is {kind_of(plain)}."
        notes.error("WB592", message, path, "Write {name: {argument: [values]}}.")
        return None
    return called({"name": text[found.start(1) : found.end(1)], "arguments": arguments}, index)
