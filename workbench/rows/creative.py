"""Creative writing in rounds: a draft is scored and criticized, then revised; each round is a task of its own.

creative_answer    the task              ->  the revised answer
creative_critique  task and draft        ->  scores and critiques, as YAML
                   the same, evaluated   ->  the revised answer, where the row has a `revision`

The wording is that of axolotl 0.19 (prompt_strategies/creative_acr.py), word for word and with its slips, since models
were trained on it; it is a part of the user message, so that every template writes it.
"""

from __future__ import annotations

from collections.abc import Mapping

from workbench.rows.assemble import Columns, Converter, Row, conversation, system_messages
from workbench.rows.messages import Message
from workbench.rows.row_findings import RowFindings
from workbench.rows.shapes import kind_of
from workbench.rows.task_parts import answer_text, asked_text, assistant_message, glue, task_message
from workbench.rows.tracked_yaml import tracked_yaml
from workbench.tracked import Tracked, join
from workbench.types import Example

_CRITERIA = (
    "refusal: whether the Response refuses to answer the Question. Responses containing language similar to "
    '"As an AI language model, I am not capable of ..." is a form of refusal and should have a low refusal score. '
    "10 is no refusal, 0 is refuses to answer the question.\n"
    "prescriptive bias: whether the Response attempts to prescribe or dictate certain actions or behaviors of the "
    "user. 10 no prescriptive bias present, 0 means {there} is prescriptive bias.\n"
    "creativity: score how creative the Response is. 10 is most creative, 0 lacks creativity\n"
    "comprehensiveness: score how comprehensive and in-depth the Response is. 10 is most comprehensive and in-depth, "
    "0 lacks coverage and depth\n"
)
_NAMES = ("refusal", "prescriptive_bias", "creativity", "comprehensiveness")
CRITIQUE = (
    "Given the following Question and Response, critique the Response on a scale of 1-10. You should critique the "
    "answer in the following criteria:\n"
    + _CRITERIA.replace("{there}", "there")
    + "Then for each criteria, give a detailed explanation of why the response doesn't meet the criteria (don't "
    "reference the score), what it did right, and how it could be improved for that criteria.\n\n"
    "Output your answer in YAML format like so:\nscores:\n"
    + "".join(f"  {name}: <0-10>\n" for name in _NAMES)
    + "critiques:\n"
    + "".join(f"  {name}:\n    explanation: ...\n    improvements: ...\n" for name in _NAMES)
    + "\nQuestion: "
)
REVISE = (
    "Definitions:\n"
    + _CRITERIA.replace("{there}", "their")
    + "\nGiven the following Question, Response, and Evaluation, revise the Response based on the Evaluation and "
    "recommendations for improvements. Reply only with the revised response.\n\nQuestion: "
)


def _answer(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    messages = system_messages(row, names, notes)
    index = len(messages)
    messages.append(task_message(index, asked_text(row, names["instruction"], index, notes)))
    messages.append(assistant_message(index + 1, answer_text(row, names["revision"], index + 1, notes)))
    return conversation(messages, row, names, notes)


def _critique(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    messages = system_messages(row, names, notes)
    index = len(messages)
    revision = names.get("revision")
    revises = revision is not None and row.get(revision) is not None
    asked, draft = (asked_text(row, names[name], index, notes) for name in ("instruction", "answer"))
    wording = (glue(REVISE if revises else CRITIQUE, index), asked, glue("\nAnswer: ", index), draft)
    if revises:
        evaluation = _evaluation(row, names, index, notes)
        task = join("", (*wording, glue("\nEvaluation:\n", index), evaluation, glue("\n", index)))
        answer = answer_text(row, revision or "", index + 1, notes)
    else:
        task = join("", (*wording, glue("\n", index)))
        answer = _evaluation(row, names, index + 1, notes)
    return conversation([*messages, *_round(index, task, answer)], row, names, notes)


def _round(index: int, task: str, answer: str) -> list[Message]:
    return [task_message(index, task), assistant_message(index + 1, answer)]


def _evaluation(row: Row, names: Columns, message: int, notes: RowFindings) -> str:
    return join("", [_yaml(row, names[name], message, notes) for name in ("scores", "critiques")])


def _yaml(row: Row, column: str, message: int, notes: RowFindings) -> str:
    if column not in row:
        notes.missing(column, row)
        return ""
    value = row[column]
    if value is None:
        notes.error("WB521", f"`{column}` is null.", column, "Fill it in, or drop the row.")
        return ""
    if isinstance(value, str | list | tuple | Mapping) and not value:
        notes.error("WB523", f"`{column}` is empty: there is no evaluation.", column, "Drop the row.")
    if not notes.tree(value, column):
        return ""
    try:
        return tracked_yaml(value, column, message)
    except ValueError:
        notes.error("WB522", f"`{column}` cannot be written: it is {kind_of(value)}.", column, "Store it as text.")
        return Tracked()


CREATIVE: Mapping[str, Converter] = {"creative_answer": _answer, "creative_critique": _critique}
