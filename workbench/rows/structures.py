"""How the rows of one type are built: one turn or several, a system message or none, tools, parts, a prompt of its own.

    structure_of({"chosen": […], "rejected": […]}, "dpo", columns)  ->  ("several turns", "no system message", …)

Rows of one type may still differ in what training has to do with them. A preference set of single-turn rows with one
multi-turn row among a thousand trains, and the one row goes through code that the other 999 never reached; so the rare
ones are counted and named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, cast

from workbench.rows.columns import ROLES, TOOL_CALL
from workbench.rows.formats import FORMATS
from workbench.rows.shapes import ANSWERING, is_list
from workbench.types import Finding

ASPECTS: tuple[tuple[str, ...], ...] = (
    ("no answer", "one turn", "several turns"),
    ("no system message", "a system message"),
    ("no tools", "tools"),
    ("content as text", "content in parts"),
    ("a prompt of its own", "no prompt of its own"),
    ("answers as text", "answers as messages"),
)
"""What is told apart; a row has at most one of each line."""

FEW_ROWS, FEW_SHARE = 5, 0.01
"""A structure is rare below either: fewer rows than this, or a smaller share of all rows."""
MOST = 0.1
"""Share of the rows above which even fewer than `FEW_ROWS` rows are not rare."""
LISTED = 10
"""Rows of a rare structure that are listed by index."""

Structure = tuple[str, ...]
_PROMPTS = ("messages", "conversations", "conversation", "prompt", "text", "question")
_ANSWERS = ("chosen", "completion", "output", "answer", "generation")
_CHATS = ("messages", "conversations", "prompt", "text", "completion", "chosen", "question")
_SYSTEM = frozenset({"system", "developer"})
_CALLING = frozenset((*ROLES["tool"], *ROLES[TOOL_CALL]))


def structure_of(values: Mapping[str, object], type: str, columns: Mapping[str, str]) -> Structure:
    """Which of each aspect a row has; empty for types without a conversation.

    Args:
        values: Columns of the row with JSON text read (`Looked.values`).
        type: A name in `FORMATS`.
        columns: Our name -> column of the row.
    """
    held = {ours: values[column] for ours, column in columns.items() if column in values}
    chats = {ours: chat for ours in _CHATS if ours in held and (chat := _chat(held[ours]))}
    judged = FORMATS[type].kind in ("preference", "unpaired")
    if not chats and not judged and "history" not in columns and "system" not in columns:
        return ()
    roles, parts, calls = set[str](), False, False
    for chat in chats.values():
        for message in chat:
            roles.add(_role(message))
            parts = parts or isinstance(message.get("content"), list)
            calls = calls or bool(message.get("tool_calls"))
    found = [
        _turns(held, chats),
        _pick(1, bool(held.get("system")) or not _SYSTEM.isdisjoint(roles)),
        _pick(2, bool(held.get("tools")) or calls or not _CALLING.isdisjoint(roles)),
    ]
    if chats:
        found.append(_pick(3, parts))
    if judged:
        answer = held.get("chosen", held.get("completion"))
        found += [_pick(4, held.get("prompt") in (None, "", [])), _pick(5, not isinstance(answer, str))]
    return tuple(found)


class Structures:
    """Counts of structures, with the first rows of each."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._rows: dict[str, list[int]] = {}
        self._total = 0

    def add(self, row: int, structure: Structure) -> None:
        """Take the structure of one row."""
        self._total += 1
        for part in structure:
            self.counts[part] += 1
            rows = self._rows.setdefault(part, [])
            if len(rows) < LISTED:
                rows.append(row)

    def varied(self) -> Iterable[tuple[str, ...]]:
        """Aspects in which the rows differ: what there is of each, most frequent first."""
        for aspect in ASPECTS:
            present = [part for part in aspect if self.counts[part]]
            if len(present) > 1:
                yield tuple(sorted(present, key=lambda part: -self.counts[part]))

    def sentences(self) -> list[str]:
        """Aspects in which the rows differ, in words."""
        return [", ".join(f"{part} in {self.counts[part]}" for part in aspect) for aspect in self.varied()]

    def findings(self, type: str) -> list[Finding]:
        """A finding WB514 for each rare structure, with its rows."""
        found: list[Finding] = []
        for usual, *others in self.varied():
            for part in others:
                count, total = self.counts[part], self._total
                if count / total < FEW_SHARE or (count < FEW_ROWS and count / total <= MOST):
                    found.append(self._rare(part, usual, type))
        return found

    def _rare(self, part: str, usual: str, type: str) -> Finding:
        count, rows = self.counts[part], self._rows[part]
        listed = ", ".join(map(str, rows)) + ("" if count == len(rows) else ", …")
        which = f"row {listed}" if count == 1 else f"rows {listed}"
        message = (
            f"{count:,} of {self._total:,} {type} rows {'has' if count == 1 else 'have'} {part}, "
            f"where {self.counts[usual]:,} have {usual}: {which}."
        )
        remedy = "Look at how they are trained; leave them out if they are not meant."
        return Finding("WB514", "info", message, row=rows[0] if count == 1 else None, remedy=remedy)


def _pick(aspect: int, second: bool) -> str:
    return ASPECTS[aspect][1 if second else 0]


def _turns(held: Mapping[str, object], chats: Mapping[str, list[Mapping[str, Any]]]) -> str:
    """How often the model answers in a row; prompt and answer together where the row has both."""
    answer = next((ours for ours in _ANSWERS if held.get(ours) is not None), None)
    prompt = next((ours for ours in _PROMPTS if ours in held), "")
    before, chat = chats.get(prompt, []), chats.get(answer or "", [])
    if chat and before and chat[0] == before[0]:
        before = []  # the answer repeats the prompt
    answers = _exchanges([*before, *chat]) + (answer is not None and not chat)
    history = held.get("history")
    answers += len(cast("list[Any]", history)) if is_list(history) else 0
    return ASPECTS[0][min(answers, 2)]


def _exchanges(messages: list[Mapping[str, Any]]) -> int:
    """Answers, counted once where several assistant messages and tool results follow one another."""
    count, asked = 0, True
    for role in map(_role, messages):
        if role in ANSWERING:
            count, asked = count + asked, False
        elif role not in _CALLING:
            asked = True
    return count


def _chat(value: object) -> list[Mapping[str, Any]]:
    """The messages of a value; of a list of lists, those of all; empty where there are none."""
    items = cast("list[Any]", value) if isinstance(value, list | tuple) else [value]
    if any(type(item) is list for item in items):
        items = [part for item in items for part in (item if type(item) is list else [item])]
    return [item for item in items if (type(item) is dict or isinstance(item, Mapping)) and _speaks(item)]


def _speaks(item: Mapping[str, Any]) -> bool:
    return "role" in item or "from" in item


def _role(message: Mapping[str, Any]) -> str:
    role = message.get("role", message.get("from"))
    return role.strip().lower() if isinstance(role, str) else ""
