"""Rows that are judged against each other or alone: preference pairs, rankings, wanted and unwanted answers.

    {"chosen": [u1, a1, u2, a2], "rejected": [u1, a1, u2, b2]}
      ->  Preference(chosen=Conversation([u1, a1, u2, a2], completion_from=3), rejected=…, explicit=False)

The prompt is what the row says it is. Where a side is a whole conversation, it is what both sides begin with: a turn
that both share is never judged, however many there are. Rows of plain text become conversations, or stay text, as
`RowOptions.text_as` says; how the answers are worded then is up to the template, or to nobody.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from workbench.rows.answers import Said, prompt_in, said_at, said_in, same, shared_start, shared_text
from workbench.rows.assemble import Columns, Converter, Row, conversation
from workbench.rows.messages import place_of
from workbench.rows.process_rewards import PROCESS_REWARDS
from workbench.rows.prompts import PROMPTS
from workbench.rows.row_findings import RowFindings
from workbench.rows.shapes import is_list, kind_of
from workbench.rows.sides import (
    Side,
    asked_in,
    check_prompt,
    judge_answer,
    left_out,
    no_prompt,
    side_of,
    stays_text,
    worded_answer,
    worded_prompt,
)
from workbench.types import Example, Preference, PromptCompletion, Unpaired

Answers = tuple[Said, Said]
"""Chosen and rejected."""
Sides = tuple[Side, Side]
_PARTS = ("chosen", "rejected")


def _dpo(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    chosen = said_in(row, names["chosen"], notes)
    rejected = said_in(row, names["rejected"], notes)
    prompt = prompt_in(row, names.get("prompt"), notes)
    if chosen is None or rejected is None or notes.failed:
        return None
    made = _pair(prompt, (chosen, rejected), row, names, notes)
    return None if made is None else replace(made, margin=_margin(row, names))


def _ranking(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    prompt = said_in(row, names["prompt"], notes)
    column = names["answers"]
    if column not in row:
        notes.missing(column, row)
        return None
    items = notes.parsed(row[column], column, "a list of answers with ranks")
    if not is_list(items):
        if not notes.failed:
            message = f"`{column}` must be a list of answers with ranks, but is {kind_of(items)}."
            notes.error("WB522", message, column, "Write [{answer, rank}, …].")
        return None
    order = _ranked(cast("list[Any]", items), column, notes)
    if prompt is None or notes.failed or not order:
        return None
    best, worst = (said_at(items[i].get("answer"), f"{column}[{i}].answer", notes) for i in (order[0], order[-1]))
    return None if best is None or worst is None else _pair(prompt, (best, worst), row, names, notes)


def _ranked(items: list[Any], column: str, notes: RowFindings) -> list[int]:
    """Indices of the answers, best first; those without a rank are left out, with a warning."""
    ranks: dict[int, float] = {}
    for i, item in enumerate(items):
        path = f"{column}[{i}]"
        if not isinstance(item, Mapping):
            message = f"`{path}` must be an answer with a rank, but is {kind_of(item)}."
            notes.error("WB522", message, path, "Write {answer, rank}.")
            continue
        rank = cast("Mapping[str, Any]", item).get("rank")
        if rank is None:
            notes.warning("WB568", f"`{path}` has no rank and was left out.", f"{path}.rank", "Rank it, or drop it.")
        elif isinstance(rank, bool) or not isinstance(rank, int | float) or math.isnan(min(rank, 0)):
            message = f"`{path}.rank` must be a number, but is {kind_of(rank)}."
            notes.error("WB522", message, f"{path}.rank", "1 is the best.")
        else:
            ranks[i] = rank
    order = sorted(ranks, key=lambda i: ranks[i])
    tied = [i for i in order if ranks[i] == ranks[order[0]]]
    if notes.failed:
        return []
    if len(tied) == len(order):
        what = "fewer than two answers have a rank" if len(order) < 2 else f"all ranks are {kind_of(ranks[order[0]])}"
        notes.error("WB568", f"`{column}` has no best and no worst answer: {what}.", column, "Drop the row.")
        return []
    last = [i for i in order if ranks[i] == ranks[order[-1]]]
    for which, group, taken in (("best", tied, tied[0]), ("worst", last, last[-1])):
        if len(group) > 1:
            message = f"Answers {', '.join(map(str, group))} of `{column}` tie for {which}; {taken} was taken."
            notes.warning("WB568", message, column, "Rank them apart, if it matters.")
    return order


def _kto(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    completion = said_in(row, names["completion"], notes)
    label = _label(row, names["label"], notes)
    prompt = prompt_in(row, names.get("prompt"), notes)
    if completion is None or label is None or notes.failed:
        return None
    if prompt is None and completion.kind == "text":
        no_prompt(completion, notes)
        return None
    options = notes.options
    if stays_text((prompt, completion), (options.prompt_format, options.completion_format), notes) and prompt:
        start = worded_prompt(prompt, row, names, notes)
        end = worded_answer(completion, "completion", options.completion_format, notes)
        text = None if start is None or end is None else PromptCompletion(notes.row, start, end)
        return None if text is None else Unpaired(notes.row, text, label)
    if notes.failed:
        return None
    asked = asked_in(prompt, row, names, notes)
    side = side_of(completion, asked, notes)
    start = len(side.messages) - 1 if side.whole or prompt is None else len(asked.system) + len(asked.messages)
    if notes.failed:
        return None
    if not start:
        no_prompt(completion, notes)
    else:
        check_prompt(side, start, asked, notes)
        judge_answer(side, start, notes)
    answer = conversation(side.messages, row, names, notes, completion_from=start)
    return None if answer is None else Unpaired(notes.row, answer, label)


def _pair(prompt: Said | None, answers: Answers, row: Row, names: Columns, notes: RowFindings) -> Preference | None:
    options = notes.options
    formats = (options.prompt_format, options.chosen_format, options.rejected_format)
    if stays_text((prompt, *answers), formats, notes):
        return _text_pair(prompt, answers, row, names, notes)
    if notes.failed:
        return None
    asked = asked_in(prompt, row, names, notes)
    sides = (side_of(answers[0], asked, notes), side_of(answers[1], asked, notes))
    if notes.failed:
        return None
    explicit = bool(asked.messages) and not (sides[0].whole or sides[1].whole)
    start = len(asked.system) + len(asked.messages)
    if not explicit:
        start = shared_start(sides[0].messages, sides[1].messages)
        _check_sides(sides, start, notes)
    if not notes.failed:
        check_prompt(sides[0], start, asked, notes)
        _check_answers(sides, start, notes)
    chosen, rejected = (conversation(side.messages, row, names, notes, completion_from=start) for side in sides)
    notes.found = list(dict.fromkeys(notes.found))  # what is said about the shared prompt and tools is said once
    return None if chosen is None or rejected is None else Preference(notes.row, chosen, rejected, explicit)


def _text_pair(
    prompt: Said | None, answers: Answers, row: Row, names: Columns, notes: RowFindings
) -> Preference | None:
    formats = (notes.options.chosen_format, notes.options.rejected_format)
    if answers[0].value == answers[1].value:
        _equal(answers[0].path, answers[1].path, notes)
        return None
    if prompt is not None:
        start = worded_prompt(prompt, row, names, notes)
        sides = [
            worded_answer(said, part, form, notes) for said, part, form in zip(answers, _PARTS, formats, strict=True)
        ]
        if start is None or sides[0] is None or sides[1] is None:
            return None
        return _texts(notes.row, (start, start), (sides[0], sides[1]), explicit=True)
    left_out(row, names, notes)
    chosen, rejected = (notes.text(said.value, said.path, 1, "completion") for said in answers)
    if chosen is None or rejected is None:
        return None
    at = shared_text(chosen, rejected)
    if at <= 0 or notes.options.prompt_format:
        no_prompt(answers[0], notes, answers[1])
        return None
    return _texts(notes.row, (chosen[:at], rejected[:at]), (chosen[at:], rejected[at:]), explicit=False)


def _texts(row: int, prompts: tuple[str, str], answers: tuple[str, str], *, explicit: bool) -> Preference:
    sides = [PromptCompletion(row, prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)]
    return Preference(row, sides[0], sides[1], explicit)


def _check_sides(sides: Sides, start: int, notes: RowFindings) -> None:
    """Note sides that answer different prompts, or whose prompt is nowhere."""
    chosen, rejected = sides
    ours, theirs = chosen.messages[start], rejected.messages[start]
    places = place_of(ours, chosen.said.path), place_of(theirs, rejected.said.path)
    roles = [str(message.values.get("role")) for message in (ours, theirs)]
    if any(role != "assistant" for role in roles) and not same(ours, theirs):
        message = (
            f"`{places[0]}` ({roles[0]}) and `{places[1]}` ({roles[1]}) are the first messages that differ, and they "
            "are not both answers: the two sides answer different prompts."
        )
        notes.error("WB571", message, places[0], "Drop the row, or give both sides the same prompt.")
    elif start == 0:
        no_prompt(chosen.said, notes, rejected.said)


def _check_answers(sides: Sides, start: int, notes: RowFindings) -> None:
    chosen, rejected = (side.messages[start:] for side in sides)
    if len(chosen) == len(rejected) and all(map(same, chosen, rejected)):
        _equal(sides[0].said.path, sides[1].said.path, notes)
        return
    for side in sides:
        judge_answer(side, start, notes)
    shorter = min(sides, key=lambda side: len(side.messages))
    if len(chosen) != len(rejected) and all(map(same, chosen, rejected)):
        other = sides[1] if shorter is sides[0] else sides[0]
        message = f"`{other.said.path}` begins with all that `{shorter.said.path}` says."
        notes.warning("WB578", message, other.said.path, "Check that the answers were not cut.")


def _equal(chosen: str, rejected: str, notes: RowFindings) -> None:
    message = f"`{chosen}` and `{rejected}` say the same: there is nothing to prefer."
    notes.error("WB570", message, rejected, "Drop the row.")


def _label(row: Row, column: str, notes: RowFindings) -> bool | None:
    """True or false; also 1 and 0, and the words, which is all a CSV file can hold."""
    if column not in row:
        notes.missing(column, row)
        return None
    value = row[column]
    if isinstance(value, bool | int | float) and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    notes.error("WB537", f"`{column}` must be true or false, but is {kind_of(value)}.", column, "Say which it is.")
    return None


def _margin(row: Row, names: Columns) -> float | None:
    """How much better the chosen answer is; None where the row has no two scores, or scores that are no numbers."""
    margin = _number(row.get(names.get("margin", "")))
    if margin is not None:
        return margin
    chosen, rejected = (_number(row.get(names.get(f"{side}_score", ""))) for side in _PARTS)
    return None if chosen is None or rejected is None else chosen - rejected


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e300 and not math.isnan(value) else None


PREFERENCES: Mapping[str, Converter] = {
    "dpo": _dpo,
    "ranking": _ranking,
    "kto": _kto,
    **PROCESS_REWARDS,
    **PROMPTS,
}
