"""Prompts whose answers the model writes itself, with what a reward function needs to check them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from workbench.rows.answers import Said, said_in
from workbench.rows.assemble import Columns, Converter, Row, conversation, system_messages
from workbench.rows.messages import Message, place_of
from workbench.rows.row_findings import RowFindings
from workbench.types import Conversation, Example, PromptOnly, Text

READ = ("prompt", "system", "tools")
"""Our columns that are part of the prompt; every other column goes to the reward function."""


def _rl(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    made = _prompt_only(row, names, notes)
    column = names["ground_truth"]
    if column not in row:
        notes.missing(column, row)
        return None
    truth, path = row[column], column
    if isinstance(truth, Mapping):
        held = cast("Mapping[str, Any]", truth)
        path = f"{column}.ground_truth"
        if "ground_truth" not in held:
            notes.missing(path, held)
            return None
        truth = held["ground_truth"]
    if truth is None:
        notes.error("WB521", f"`{path}` is null: no answer can be rewarded.", path, "Fill it in, or drop the row.")
    elif isinstance(truth, str | list | tuple | Mapping) and not truth:
        notes.error("WB523", f"`{path}` is empty: no answer can be rewarded.", path, "Fill it in, or drop the row.")
    return None if notes.failed else made


def _prompt_only(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    said = said_in(row, names["prompt"], notes)
    if said is None:
        return None
    prompt = _text(said, notes) if said.kind == "text" and notes.options.text_as == "text" else None
    prompt = prompt or _conversation(said, row, names, notes)
    used = {names[name] for name in READ if name in names}
    extras = {name: value for name, value in row.items() if name not in used}
    return None if prompt is None or notes.failed else PromptOnly(notes.row, prompt, extras)


def _text(said: Said, notes: RowFindings) -> Text | None:
    text = notes.text(said.value, said.path, 0, "prompt")
    return None if text is None else Text(notes.row, text)


def _conversation(said: Said, row: Row, names: Columns, notes: RowFindings) -> Conversation | None:
    system = system_messages(row, names, notes)
    messages = [*system, *said.messages(len(system), "user", notes)]
    if notes.failed:
        return None
    asked = _before_answer(messages)
    if not asked:
        message = f"`{said.path}` has no question, only answers."
        notes.error("WB572", message, said.path, "Add the question, or drop the row.")
    elif len(asked) < len(messages):
        place = place_of(messages[len(asked)], said.path)
        message = f"`{place}` is an answer and was left out: the model writes its own."
        notes.warning("WB574", message, place, "Drop it from the data to be rid of this.")
    return conversation(asked, row, names, notes)


def _before_answer(messages: list[Message]) -> list[Message]:
    """The messages without the answers at their end."""
    end = len(messages)
    while end and messages[end - 1].values.get("role") == "assistant":
        end -= 1
    return messages[:end]


PROMPTS: Mapping[str, Converter] = {"rl": _rl, "prompt_only": _prompt_only}
