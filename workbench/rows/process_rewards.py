"""Reasoning in steps, each judged: stepwise rows, and PRM800K as it was collected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from workbench.rows.assemble import Columns, Converter, Row
from workbench.rows.row_findings import RowFindings
from workbench.rows.shapes import is_list, kind_of
from workbench.types import Example, Steps

Step = tuple[str | None, int | None]
"""Text and label of a step."""
_DROP = "Correct it, or drop the row."


def _prm(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    prompt = notes.column_text(row, names["prompt"], 0, "prompt")
    texts = _listed(row, names["completions"], "a list of steps", notes)
    labels = _listed(row, names["labels"], "a list of labels", notes)
    if texts is None or labels is None:
        return None
    if len(texts) != len(labels):
        message = f"`{names['labels']}` has {len(labels)} items, but `{names['completions']}` has {len(texts)} steps."
        notes.error("WB565", message, names["labels"], "Give every step one label.")
        return None
    said = [_step_text(text, f"{names['completions']}[{i}]", i + 1, notes) for i, text in enumerate(texts)]
    judged = [_step_label(label, f"{names['labels']}[{i}]", notes) for i, label in enumerate(labels)]
    return _steps(prompt, list(zip(said, judged, strict=True)), names["completions"], notes)


def _prm800k(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    question = _object(row, names["question"], notes)
    label = _object(row, names["label"], notes)
    if question is None or label is None:
        return None
    prompt = _text_of(question, "problem", f"{names['question']}.problem", 0, notes)
    path = f"{names['label']}.steps"
    if "steps" not in label:
        notes.missing(path, label)
        return None
    if not is_list(label["steps"]):
        notes.error("WB522", f"`{path}` must be a list of steps, but is {kind_of(label['steps'])}.", path, _DROP)
        return None
    steps: list[Step] = []
    for i, step in enumerate(cast("list[Any]", label["steps"])):
        taken = _taken(step, f"{path}[{i}]", len(steps) + 1, notes)
        if taken is None:
            break
        steps.append(taken[0])
        if taken[1]:
            break
    return _steps(prompt, steps, path, notes)


def _taken(step: object, path: str, index: int, notes: RowFindings) -> tuple[Step, bool] | None:
    """The step that the solution went on with, and whether it ends there; None where nothing was written.

    The chosen alternative; else what the labeler wrote, which is good; else the first alternative, with which the
    solution ends. A rating of 1 is good, 0 (neutral) and -1 are not.

    Source: TRL 1.16 `examples/datasets/prm800k.py` labels `rating == 1`, and a human step as good.
    """
    if not isinstance(step, Mapping):
        notes.error("WB522", f"`{path}` must be a step, but is {kind_of(step)}.", path, _DROP)
        return None
    raw = cast("Mapping[str, Any]", step)
    completions = raw.get("completions")
    if completions is not None and not is_list(completions):
        where = f"{path}.completions"
        notes.error("WB522", f"`{where}` must be a list, but is {kind_of(completions)}.", where, _DROP)
        return None
    alternatives = cast("list[Any]", completions or [])
    chosen, human = raw.get("chosen_completion"), raw.get("human_completion")
    if chosen is not None:
        if isinstance(chosen, bool) or not isinstance(chosen, int) or not 0 <= chosen < len(alternatives):
            where = f"{path}.chosen_completion"
            message = (
                f"`{where}` must be the index of one of {len(alternatives)} completions, but is {kind_of(chosen)}."
            )
            notes.error("WB567", message, where, _DROP)
            return None
        return _alternative(alternatives[chosen], f"{path}.completions[{chosen}]", index, notes), False
    if human is not None:
        where = f"{path}.human_completion"
        if not isinstance(human, Mapping):
            notes.error("WB522", f"`{where}` must be an object with text, but is {kind_of(human)}.", where, _DROP)
            return None
        said = _text_of(cast("Mapping[str, Any]", human), "text", f"{where}.text", index, notes, "completion")
        return (said, 1), False
    if not alternatives:
        return None
    return _alternative(alternatives[0], f"{path}.completions[0]", index, notes), True


def _alternative(item: object, path: str, index: int, notes: RowFindings) -> Step:
    if not isinstance(item, Mapping):
        notes.error("WB522", f"`{path}` must be an object with text and rating, but is {kind_of(item)}.", path, _DROP)
        return None, None
    raw = cast("Mapping[str, Any]", item)
    rating = raw.get("rating")
    if rating is not None and (isinstance(rating, bool) or not isinstance(rating, int) or abs(rating) > 1):
        message = f"`{path}.rating` must be -1, 0 or 1, but is {kind_of(rating)}."
        notes.error("WB566", message, f"{path}.rating", _DROP)
        return None, None
    said = _text_of(raw, "text", f"{path}.text", index, notes, "completion")
    return said, None if rating is None else int(rating == 1)


def _steps(prompt: str | None, steps: list[Step], column: str, notes: RowFindings) -> Steps | None:
    if not steps and not notes.failed:
        notes.error("WB567", f"`{column}` has no steps.", column, "Drop the row.")
    elif all(label is None for _, label in steps) and not notes.failed:
        notes.error("WB531", f"Nothing can be trained: no step of `{column}` is labelled.", column, "Drop the row.")
    texts = [text for text, _ in steps if text is not None]
    if prompt is None or notes.failed:
        return None
    labels = [label for _, label in steps]
    if notes.options.train_on_last_step_only:
        labels = [*[None] * (len(labels) - 1), labels[-1]]
    return Steps(notes.row, prompt, tuple(texts), tuple(labels), notes.options.step_separator)


def _listed(row: Row, column: str, what: str, notes: RowFindings) -> list[Any] | None:
    if column not in row:
        notes.missing(column, row)
        return None
    value = notes.parsed(row[column], column, what)
    if is_list(value):
        return list(value)
    if not (isinstance(row[column], str) and notes.failed):
        notes.error("WB522", f"`{column}` must be {what}, but is {kind_of(value)}.", column, _DROP)
    return None


def _object(row: Row, column: str, notes: RowFindings) -> Mapping[str, Any] | None:
    if column not in row:
        notes.missing(column, row)
        return None
    value = notes.parsed(row[column], column, "an object")
    if isinstance(value, Mapping):
        return cast("Mapping[str, Any]", value)
    if not (isinstance(row[column], str) and notes.failed):
        notes.error("WB522", f"`{column}` must be an object, but is {kind_of(value)}.", column, _DROP)
    return None


def _text_of(
    holder: Mapping[str, Any], key: str, path: str, index: int, notes: RowFindings, origin: str = "prompt"
) -> str | None:
    if key not in holder:
        notes.missing(path, holder)
        return None
    return notes.text(holder[key], path, index, origin)


def _step_text(value: object, path: str, index: int, notes: RowFindings) -> str | None:
    text = notes.text(value, path, index, "completion")
    if text == "":
        notes.warning("WB523", f"`{path}` is empty.", path, "Its label then judges nothing.")
    return text


def _step_label(value: object, path: str, notes: RowFindings) -> int | None:
    """1 or 0; None for a step that is not judged."""
    if value is None:
        return None
    if isinstance(value, bool | int | float) and value in (0, 1):
        return int(value)
    message = f"`{path}` must be true, false, 1 or 0, but is {kind_of(value)}."
    notes.error("WB566", message, path, "null stands for a step that is not judged.")
    return None


PROCESS_REWARDS: Mapping[str, Converter] = {"prm": _prm, "prm800k": _prm800k}
