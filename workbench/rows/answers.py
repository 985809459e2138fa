"""What stands in a column of a judged row: text, one message, or a list of them; and what two answers begin with.

    {"prompt": "2+2?", "chosen": [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}]}
      ->  `chosen` is a whole conversation: it has a question of its own

Text that is the JSON of messages counts as the messages, as CSV files hold them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from workbench.options import RowOptions
from workbench.rows.assemble import Row, role_text
from workbench.rows.messages import OPENAI, SHAREGPT, Keys, Message, read_message, read_messages, with_images
from workbench.rows.row_findings import RowFindings
from workbench.rows.shapes import is_list, json_in, kind_of, shapes_of

SPOKEN = frozenset({"message", "turn", "messages", "turns"})
TURNS = frozenset({"turn", "turns"})
SYSTEM_ROLES = ("system", "developer")
COMPARED = ("role", "content", "tool_calls", "reasoning_content")
"""Keys by which two messages are the same; scores and ids beside them do not count."""


@dataclass(frozen=True, slots=True)
class Said:
    """A value that was said, not read yet.

    Attributes:
        path: Dataset path.
        value: Text, one raw message, or a list of raw messages.
        kind: Which of these.
        keys: How its messages are written.
    """

    path: str
    value: Any
    kind: Literal["text", "one", "list"]
    keys: Keys = OPENAI

    def messages(self, first: int, role: str, notes: RowFindings, *, media: bool = False) -> list[Message]:
        """Read it as messages.

        Args:
            first: Index the first message gets.
            role: Who says it, where it is text.
            notes: Takes the findings.
            media: Whether messages may hold images.
        """
        if self.kind == "text":
            content = notes.text(self.value, self.path, first, "content")
            return [Message({"role": role_text(role, first), "content": content})]
        keys = with_images(self.keys) if media else self.keys
        if self.kind == "one":
            return [read_message(self.value, self.path, first, keys, notes)]
        return read_messages(self.value, self.path, first, keys, notes)

    def opening(self, options: RowOptions) -> list[Message]:
        """The first messages of a list: those of the system, and the one behind them."""
        out: list[Message] = []
        for item in self.value if self.kind == "list" else ():
            out.append(read_message(item, self.path, len(out), self.keys, RowFindings(0, options)))
            if out[-1].values.get("role") not in SYSTEM_ROLES:
                break
        return out


def said_in(row: Row, column: str, notes: RowFindings) -> Said | None:
    """What a column says; None, with a finding, where it is missing, null, empty or of another kind."""
    if column not in row:
        notes.missing(column, row)
        return None
    return said_at(row[column], column, notes)


def said_at(value: object, path: str, notes: RowFindings) -> Said | None:
    """The same for a value at any path."""
    if value is None:
        notes.error("WB521", f"`{path}` is null.", path, "Fill it in, or drop the row.")
        return None
    parsed = json_in(value) if isinstance(value, str) else value
    shapes = frozenset[str]() if parsed is None else shapes_of(parsed)
    if SPOKEN & shapes:
        return Said(path, parsed, "list" if is_list(parsed) else "one", SHAREGPT if TURNS & shapes else OPENAI)
    if isinstance(value, str):
        return _text(value, path, notes)
    if isinstance(value, Mapping):
        return Said(path, value, "one")
    if not is_list(value):
        message = f"`{path}` must be text or messages, but is {kind_of(value)}."
        notes.error("WB522", message, path, "Store the text, a message, or a list of messages.")
        return None
    if not value:
        notes.error("WB523", f"`{path}` is an empty list.", path, "Fill it in, or drop the row.")
        return None
    return Said(path, value, "list")


def prompt_in(row: Row, column: str | None, notes: RowFindings) -> Said | None:
    """What the prompt column says; None where the row has no prompt: no column, null, or nothing in it."""
    value = row.get(column) if column else None
    if column is None or value is None or (isinstance(value, str | list | tuple) and not value):
        return None
    return said_at(value, column, notes)


def asks(messages: Sequence[Message]) -> bool:
    """Whether messages have a question of their own: behind system messages, the first is the user's."""
    spoken = without_system(messages)
    return bool(spoken) and spoken[0].values.get("role") == "user"


def without_system(messages: Sequence[Message]) -> list[Message]:
    """The messages behind the system messages at the start."""
    start = next((i for i, m in enumerate(messages) if m.values.get("role") not in SYSTEM_ROLES), len(messages))
    return list(messages[start:])


def same(one: Message, other: Message) -> bool:
    """Whether two messages say the same."""
    return all(one.values.get(key) == other.values.get(key) for key in COMPARED)


def shared_start(chosen: Sequence[Message], rejected: Sequence[Message]) -> int:
    """How many messages both begin with; each keeps at least one of its own.

    Source: TRL 1.16 `extract_prompt`, which splits before the first difference, and before the last message of the
    shorter side where there is no difference.
    """
    shorter = min(len(chosen), len(rejected))
    return next((i for i in range(shorter) if not same(chosen[i], rejected[i])), shorter - 1)


def shared_text(chosen: str, rejected: str) -> int:
    """How many characters both begin with; a space before the first difference belongs to the answers, as in TRL."""
    ours, theirs = str.__str__(chosen), str.__str__(rejected)  # tracked text is slow to look at character by character
    start = next((i for i, (one, other) in enumerate(zip(ours, theirs, strict=False)) if one != other), None)
    if start is None:
        return min(len(ours), len(theirs)) - 1
    return start - 1 if start and ours[start - 1] == " " else start


def _text(value: str, path: str, notes: RowFindings) -> Said | None:
    if not value:
        notes.error("WB523", f"`{path}` is empty.", path, "Fill it in, or drop the row.")
        return None
    if value.isspace():
        notes.warning("WB524", f"`{path}` is only whitespace, which many templates strip.", path)
    return Said(path, value, "text")
