"""One judged answer with everything before it: the system column, the prompt, and what repeats the prompt.

prompt "2+2?", chosen [user "2+2?", assistant "4"]
  ->  Side(messages=[user, assistant], whole=True), the prompt column checked against the conversation
"""

from __future__ import annotations

from dataclasses import dataclass

from workbench.rows.answers import SYSTEM_ROLES, Said, asks, same, without_system
from workbench.rows.assemble import Columns, Row, optional_text, system_messages
from workbench.rows.messages import Message, judge, place_of
from workbench.rows.row_findings import RowFindings
from workbench.rows.user_formats import pieces, worded


@dataclass(frozen=True, slots=True)
class Side:
    """One answer with everything before it.

    Attributes:
        said: The answer's column.
        messages: Prompt and answer.
        whole: Whether the column holds the prompt too.
    """

    said: Said
    messages: list[Message]
    whole: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """The prompt: the system column and what the prompt column says."""

    system: list[Message]
    messages: list[Message]
    said: Said | None


def stays_text(said: tuple[Said | None, ...], formats: tuple[str | None, ...], notes: RowFindings) -> bool:
    """Whether a row is joined as text: it is all text, and so asked for, or without a prompt to make a message of."""
    given = any(formats)
    messages = next((part for part in said if part is not None and part.kind != "text"), None)
    if messages is not None and given:
        message = (
            f"`{messages.path}` holds messages, which a prompt, chosen, rejected or completion format cannot word."
        )
        notes.error("WB576", message, messages.path, "Leave the formats out: the chat template words messages.")
    return messages is None and (given or notes.options.text_as == "text" or said[0] is None)


def worded_prompt(prompt: Said, row: Row, names: Columns, notes: RowFindings) -> str | None:
    """The prompt's text in its wording, which may name the system column too."""
    text = notes.text(prompt.value, prompt.path, 0, "prompt")
    wording = notes.options.prompt_format
    system = ""
    if wording and "{system}" in wording:
        system = optional_text(row, names.get("system"), 0, "prompt", notes) or ""
        left_out(row, {name: column for name, column in names.items() if name != "system"}, notes)
    else:
        left_out(row, names, notes)
    if text is None or notes.failed:
        return None
    return worded(pieces("prompt_format", wording), {"prompt": text, "system": system}) if wording else text


def worded_answer(said: Said, part: str, wording: str | None, notes: RowFindings) -> str | None:
    """An answer's text in its wording.

    Args:
        said: The answer.
        part: Name it has in the wording: `chosen`, `rejected` or `completion`.
        wording: The option `{part}_format`.
        notes: Takes the findings.
    """
    text = notes.text(said.value, said.path, 1, "completion")
    return worded(pieces(f"{part}_format", wording), {part: text}, 1) if wording and text is not None else text


def left_out(row: Row, names: Columns, notes: RowFindings) -> None:
    """Say which columns have no place in plain text."""
    for name in ("system", "tools"):
        column = names.get(name)
        value = row.get(column) if column else None
        if column and value is not None and not (isinstance(value, str | list) and not value):
            message = f"`{column}` has no place in a row of plain text and was left out."
            remedy = "text_as='messages' keeps it; so does {system} in prompt_format."
            notes.warning("WB577", message, column, remedy)


def asked_in(prompt: Said | None, row: Row, names: Columns, notes: RowFindings) -> Asked:
    """System column and prompt as messages."""
    system = system_messages(row, names, notes)
    return Asked(system, prompt.messages(len(system), "user", notes) if prompt else [], prompt)


def side_of(said: Said, asked: Asked, notes: RowFindings) -> Side:
    """Prompt and answer; where the answer's column repeats the prompt, its own messages are taken."""
    before = [*asked.system, *asked.messages]
    opening = said.opening(notes.options)
    whole = asks(opening)
    if whole:
        lead = asked.messages[: len(asked.messages) - len(without_system(asked.messages))]
        before = [] if _own_system(opening, asked) else [*asked.system, *lead]
    return Side(said, [*before, *said.messages(len(before), "assistant", notes)], whole)


def _own_system(opening: list[Message], asked: Asked) -> bool:
    """Whether a conversation begins with the system message that the row has in a column as well."""
    given = [*asked.system, *asked.messages][:1]
    return bool(given) and opening[0].values.get("role") in SYSTEM_ROLES and same(opening[0], given[0])


def check_prompt(side: Side, start: int, asked: Asked, notes: RowFindings) -> None:
    """Note where the prompt column and the prompt in the conversation are not the same."""
    if not side.whole or asked.said is None:
        return
    said = without_system(side.messages)
    wanted = without_system(asked.messages)
    if asked.said.kind == "text":
        shared = [message.values.get("content") for message in side.messages[:start]]
        if asked.messages[0].values.get("content") not in shared:
            message = f"`{asked.said.path}` is in no message that the conversations begin with, and was left out."
            notes.warning("WB575", message, asked.said.path, "Make it the question they begin with, or drop it.")
        return
    at = next((i for i, message in enumerate(wanted) if i >= len(said) or not same(message, said[i])), None)
    if at is not None:
        place = place_of(wanted[at], asked.said.path)
        differs = f"`{place_of(said[at], side.said.path)}` differs from" if at < len(said) else "it ends before"
        message = (
            f"`{side.said.path}` is a whole conversation, but does not begin with the prompt: {differs} `{place}`."
        )
        notes.error("WB571", message, side.said.path, "Drop the row, or give both the same prompt.")


def judge_answer(side: Side, start: int, notes: RowFindings) -> None:
    """Note an answer that does not end with an assistant message, or that says nothing.

    Args:
        side: The answer and everything before it.
        start: Index of the first message of the answer.
        notes: Takes the findings.
    """
    last = side.messages[-1]
    if last.values.get("role") != "assistant":
        place = place_of(last, side.said.path)
        message = f"`{side.said.path}` must end with an answer, but `{place}` is of role {last.values.get('role')}."
        notes.error("WB573", message, place, "Drop what stands behind the answer.")
        return
    judge(side.messages, side.said.path, notes, trained_from=start)


def no_prompt(said: Said, notes: RowFindings, other: Said | None = None) -> None:
    """Note a row without a prompt; `other` is the second side of a pair."""
    what = (
        f"`{said.path}` and `{other.path}` begin with nothing in common" if other else f"`{said.path}` has none in it"
    )
    notes.error("WB572", f"The row has no prompt: there is no prompt column, and {what}.", said.path, "Add the prompt.")
