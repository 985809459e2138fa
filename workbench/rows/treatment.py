r"""What options ask of a conversation: a system message dropped or added, thinking taken out of the answers.

    RowOptions(split_thinking=True), {"content": "<think>add</think>\n\n4"}
      ->  {"reasoning_content": "add", "content": "4"}, both still from messages[1].content, at 7 and at 20

The message index in every origin is that of the final list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from workbench.rows.columns import ROLES
from workbench.rows.messages import REASONING, Message, place_of
from workbench.rows.parts import one_text
from workbench.rows.row_findings import RowFindings
from workbench.tracked import Run, Tracked, origin_of, track
from workbench.types import Origin

THINKING = (
    ("<think>", "</think>"),
    ("<reasoning>", "</reasoning>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
)
"""What thinking is written between."""
SOLUTION = ("<|begin_of_solution|>", "<|end_of_solution|>")
"""What the answer may be written between, behind the thinking. Source of both: axolotl 0.19.0, split_thinking."""


def treated(
    messages: Sequence[Message], completion_from: int | None, notes: RowFindings
) -> tuple[list[Message], int | None]:
    """Do what the options ask, and join content that is a list of text parts.

    Args:
        messages: As they were read.
        completion_from: Index of the first message of the completion, None where there is no prompt.
        notes: The row's findings with its options.

    Returns:
        The messages, and the index of the first message of the completion among them.
    """
    options = notes.options
    out = list(messages) if any(message.images for message in messages) else [_as_text(m) for m in messages]
    if options.roles:
        _judge_targets(out, notes)
    if options.split_thinking:
        out = [_split(message, f"[{i}]", notes) for i, message in enumerate(out)]
    if not out:
        return out, completion_from
    roles = [str(message.values.get("role", "")) for message in out]
    if options.drop_system_message and roles[0] == "system":
        by, first = -1, []
        out = out[1:]
    elif options.default_system_message is not None and not {"system", "developer"}.intersection(roles):
        by, first = 1, [_default(options.default_system_message)]
    else:
        return out, completion_from
    start = None if completion_from is None else max(0, completion_from + by)
    return [*first, *(_moved(message, by) for message in out)], start


def _as_text(message: Message) -> Message:
    content = message.values.get("content")
    if not isinstance(content, list):
        return message
    return replace(message, values={**message.values, "content": one_text(cast("list[Mapping[str, Any]]", content))})


def _default(text: str) -> Message:
    role, content = track("system", origin_of(None, 0, "role")), track(text, origin_of(None, 0, "template"))
    return Message({"role": role, "content": content})


def _judge_targets(messages: Sequence[Message], notes: RowFindings) -> None:
    """Warn of a role that only the options know, once a role."""
    unknown = set(notes.options.roles.values()) - set(ROLES)
    for i, message in enumerate(messages if unknown else ()):
        role = str.__str__(message.values.get("role", ""))
        if role in unknown:
            unknown.discard(role)
            place = place_of(message, f"[{i}]")
            remedy = (
                "Templates may refuse it or treat it as another role, and it is trained only if roles_to_train has it."
            )
            notes.warning("WB580", f"roles= makes `{place}` a message of role {role!r}.", place, remedy)


def _split(message: Message, otherwise: str, notes: RowFindings) -> Message:
    """Thinking out of the content of an assistant message, into a key of its own."""
    content = message.values.get("content")
    if message.values.get("role") != "assistant" or not content:
        return message
    parts = cast("list[dict[str, Any]]", content) if isinstance(content, list) else []
    text = parts[0].get("text") if parts else content
    if not isinstance(text, Tracked):
        return message
    found = _thinking(text)
    if isinstance(found, str):
        why = found
    elif found is None:
        return message
    elif message.values.get(REASONING):
        why = f"there is {REASONING} beside it already"
    else:
        thought, rest = found
        after: Any = [{**parts[0], "text": rest}, *parts[1:]] if parts else rest
        return replace(message, values={**message.values, REASONING: thought, "content": after})
    place = place_of(message, otherwise)
    notes.warning("WB585", f"The thinking in `{place}` is left in the content: {why}.", place, "Mend the tags.")
    return message


def _thinking(text: Tracked) -> tuple[Tracked, Tracked] | str | None:
    """Thinking and answer; None where there is no thinking; a reason where it cannot be told from the answer.

    White space goes where axolotl lets it go: around the thinking, and in front of the answer.
    """
    plain = str.__str__(text)
    lead = len(plain) - len(plain.lstrip())
    opening, closing = next((pair for pair in THINKING if plain.startswith(pair[0], lead)), ("", ""))
    if not opening:
        return _misplaced(plain)
    end = plain.find(closing, lead)
    if end < 0:
        return f"{opening} is not closed"
    answer, why = _solution(text[end + len(closing) :].lstrip())
    return why or (text[lead + len(opening) : end].strip(), answer)


def _misplaced(plain: str) -> str | None:
    """Why thinking that is not the beginning of a text stays where it is."""
    for opening, closing in THINKING:
        if closing in plain:
            return f"text stands in front of {opening}" if opening in plain else f"no {opening} opens it"
    return None


def _solution(rest: Tracked) -> tuple[Tracked, str]:
    """The answer without the tags around it, and why not where text would be lost with them."""
    opening, closing = SOLUTION
    plain = str.__str__(rest)
    if not plain.startswith(opening):
        return rest, ""
    end = plain.find(closing)
    if end < 0:
        return rest, f"{opening} is not closed"
    if plain[end + len(closing) :].strip():
        return rest, f"text stands behind {closing}"
    return rest[len(opening) : end].strip(), ""


def _moved(message: Message, by: int) -> Message:
    """The message with another index in every origin."""
    return replace(message, values=_moved_tree(message.values, by))


def _moved_tree(value: Any, by: int) -> Any:
    if isinstance(value, Tracked):
        runs = tuple(Run(run.length, _moved_origin(run.origin, by), run.start, run.line) for run in value.runs)
        return Tracked(str.__str__(value), runs)
    if isinstance(value, Mapping):
        return {key: _moved_tree(item, by) for key, item in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list):
        return [_moved_tree(item, by) for item in cast("list[Any]", value)]
    return value


def _moved_origin(origin: Origin | None, by: int) -> Origin | None:
    if origin is None or origin.message is None:
        return origin
    return origin_of(origin.field, origin.message + by, origin.key)
