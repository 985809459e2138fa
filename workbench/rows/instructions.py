r"""Rows that hold a task and its answer in columns of their own: the alpaca family.

    {"question": "It is 2+2.", "category": "Sums", "answer": "four"}      type jeopardy
      ->  user "It is 2+2.\n\nSums" (also as `instruction` and `input`), assistant "what is four"

Words that belong to the kind of row ("what is ", "### Thought:") are content without a field, so every template writes
them. Words around the content ("### Response:") are a template's, for each kind of prompt one in `templates/shipped`.
Templates written for prompts find the parts of a user message under `instruction` and `input`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from workbench.rows.assemble import Columns, Converter, Row, conversation, optional_text, role_text, system_messages
from workbench.rows.creative import CREATIVE
from workbench.rows.messages import Message, judge
from workbench.rows.row_findings import RowFindings
from workbench.rows.shapes import is_list, kind_of
from workbench.rows.task_parts import answer_text, asked_text, assistant_message, glue, task_message
from workbench.rows.user_formats import user_defined
from workbench.tracked import join
from workbench.types import Example, PromptCompletion

NOT_IN_TEXT = (
    "The context provided does not contain any information about your inquiry. "
    "Therefore, I'm unable to answer your question based on the given context."
)
"""The answer to a question the text does not answer (axolotl 0.19, prompt_strategies/context_qa.py, word for word)."""


def _alpaca(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    messages = system_messages(row, names, notes)
    messages += history_messages(row, names, len(messages), notes)
    index = len(messages)
    instruction = asked_text(row, names["instruction"], index, notes)
    extra = optional_text(row, names.get("input"), index, "content", notes)
    messages.append(task_message(index, instruction, extra or ""))
    messages.append(assistant_message(index + 1, answer_text(row, names["output"], index + 1, notes)))
    return conversation(messages, row, names, notes)


def history_messages(row: Row, names: Columns, first: int, notes: RowFindings) -> list[Message]:
    """Earlier rounds: a list of [question, answer] pairs."""
    column = names.get("history", "")
    value = row.get(column)
    absent = value is None or (isinstance(value, str) and not value)
    pairs = [] if absent else notes.parsed(value, column, "a list of [question, answer] pairs")
    if not is_list(pairs) or not all(is_list(pair) and len(pair) == 2 for pair in pairs):
        if not notes.failed:
            message = f"`{column}` must be a list of [question, answer] pairs, but is {kind_of(value)}."
            notes.error("WB522", message, column)
        return []
    out: list[Message] = []
    for i, pair in enumerate(cast("list[list[Any]]", pairs)):
        for j, role in enumerate(("user", "assistant")):
            text = notes.text(pair[j], f"{column}[{i}][{j}]", first + len(out), "content") or ""
            out.append((task_message if role == "user" else assistant_message)(first + len(out), text))
    return out


def _summarize(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    messages = system_messages(row, names, notes)
    index = len(messages)
    messages.append(task_message(index, asked_text(row, names["article"], index, notes)))
    messages.append(assistant_message(index + 1, answer_text(row, names["summary"], index + 1, notes)))
    return conversation(messages, row, names, notes)


def _jeopardy(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    messages = system_messages(row, names, notes)
    index = len(messages)
    clue, category = (asked_text(row, names[name], index, notes) for name in ("question", "category"))
    messages.append(task_message(index, clue, category))
    answer = answer_text(row, names["answer"], index + 1, notes)
    messages.append(assistant_message(index + 1, join("", (glue("what is ", index + 1), answer))))
    return conversation(messages, row, names, notes)


def _choice(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    messages = system_messages(row, names, notes)
    index = len(messages)
    question = asked_text(row, names["question"], index, notes)
    messages.append(task_message(index, question, _choices(row, names["choices"], index, notes)))
    messages.append(assistant_message(index + 1, answer_text(row, names["solution"], index + 1, notes)))
    return conversation(messages, row, names, notes)


def _choices(row: Row, column: str, index: int, notes: RowFindings) -> str:
    """One line a choice: `- "four"`."""
    value = _list(row, column, "a list of texts", notes)
    if value is None:
        return ""
    if not value:
        notes.warning("WB523", f"`{column}` is an empty list.", column, "The question is then asked without choices.")
    texts = [notes.text(choice, f"{column}[{i}]", index, "content") or "" for i, choice in enumerate(value)]
    lines = [join("", (glue('- "', index), text, glue('"', index))) for text in texts]
    return join(glue("\n", index), lines)


def _reflection(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    messages = system_messages(row, names, notes)
    index = len(messages)
    instruction = asked_text(row, names["instruction"], index, notes)
    extra = optional_text(row, names.get("input"), index, "content", notes)
    messages.append(task_message(index, instruction, extra or ""))
    parts: list[str] = []
    for name, head in (("output", "Thought"), ("reflection", "Agent Reflection"), ("corrected", "Final Response")):
        before = "\n\n" if parts else ""
        parts += [glue(f"{before}### {head}:\n", index + 1), answer_text(row, names[name], index + 1, notes)]
    messages.append(assistant_message(index + 1, join("", parts)))
    return conversation(messages, row, names, notes)


def _context_qa(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    messages = system_messages(row, names, notes)
    index = len(messages)
    messages.append(_about_text(row, names["context"], names["question"], index, notes))
    messages.append(assistant_message(index + 1, answer_text(row, names["answer"], index + 1, notes)))
    return conversation(messages, row, names, notes)


def _context_404(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    messages = system_messages(row, names, notes)
    index = len(messages)
    messages.append(_about_text(row, names["article"], names["unanswerable_question"], index, notes))
    messages.append(assistant_message(index + 1, glue(NOT_IN_TEXT, index + 1)))
    return conversation(messages, row, names, notes)


def _about_text(row: Row, context: str, question: str, index: int, notes: RowFindings) -> Message:
    """A text and a question about it; templates find them under `context` and `question` as well."""
    text, asked = (asked_text(row, column, index, notes) for column in (context, question))
    message = task_message(index, join(glue("\n===\n", index), (text, asked)))
    return Message({**message.values, "context": text, "question": asked})


def _metharme(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    asked = notes.column_text(row, names["prompt"], 0, "prompt")
    if asked == "":
        remedy = "The generation is then trained without a beginning."
        notes.warning("WB523", f"`{names['prompt']}` is empty.", names["prompt"], remedy)
    answer = answer_text(row, names["generation"], 1, notes, key="completion")
    return None if asked is None else PromptCompletion(notes.row, asked, answer)


def _conversation_pairs(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    messages = system_messages(row, names, notes)
    column = names["conversation"]
    pairs = _list(row, column, "a list of {human, assistant} pairs", notes)
    if pairs is None:
        return None
    said: list[Message] = []
    for i, pair in enumerate(pairs):
        said += _pair(pair, f"{column}[{i}]", len(messages) + len(said), notes)
    if not notes.failed:
        judge([*messages, *said] if said else [], column, notes)
    return conversation([*messages, *said], row, names, notes)


def _pair(pair: object, path: str, index: int, notes: RowFindings) -> list[Message]:
    if not isinstance(pair, Mapping):
        notes.error("WB522", f"`{path}` must be a pair, but is {kind_of(pair)}.", path, "Write {human, assistant}.")
        return []
    raw = cast("Mapping[str, Any]", pair)
    out: list[Message] = []
    for key, role in (("human", "user"), ("assistant", "assistant")):
        field = f"{path}.{key}"
        if key not in raw:
            notes.missing(field, raw)
            continue
        text = notes.text(raw[key], field, index + len(out), "content")
        if text == "":
            notes.warning("WB523", f"`{field}` is empty.", field, "Fill it in, or drop the pair.")
        out.append(Message({"role": role_text(role, index + len(out)), "content": text or ""}))
    return out


def _list(row: Row, column: str, what: str, notes: RowFindings) -> list[Any] | None:
    """A column that holds a list or the JSON text of one; None, with a finding, where it does not."""
    if column not in row:
        notes.missing(column, row)
        return None
    value = notes.parsed(row[column], column, what)
    if is_list(value):
        return cast("list[Any]", value)
    if row[column] is None:
        notes.error("WB521", f"`{column}` is null.", column, "Fill it in, or drop the row.")
    elif value is not None or str(row[column]).strip() == "null":
        notes.error("WB522", f"`{column}` must be {what}, but is {kind_of(row[column])}.", column)
    return None


INSTRUCTIONS: Mapping[str, Converter] = {
    "alpaca": _alpaca,
    "user_defined": user_defined,
    "conversation_pairs": _conversation_pairs,
    "metharme": _metharme,
    "reflection": _reflection,
    "choice": _choice,
    "summarize": _summarize,
    "context_qa": _context_qa,
    "context_404": _context_404,
    "jeopardy": _jeopardy,
    **CREATIVE,
}
