r"""Conversations with tool calls written out as one text, and function-calling questions.

    {"system": "SYSTEM: … -\n{"name": "add", …}", "chat": "USER: 2+2?\n\n\nASSISTANT: <functioncall> {…} <|endoftext|>"}
      ->  system, user, assistant with tool_calls; the schema in `tools`; each text at its offset in `chat` or `system`

Calls and schemas are read, not kept as text, so that every chat template writes them its own way. What the text says
beside them stays in the messages; where it would have to be moved or guessed, the row is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from workbench.rows.assemble import Columns, Converter, Row, conversation, role_text
from workbench.rows.function_questions import bfcl
from workbench.rows.literals import Unreadable, ValueReader, skip_space
from workbench.rows.marked_text import Marked, Piece, cut_at_marks, without_end
from workbench.rows.messages import Message, judge
from workbench.rows.row_findings import RowFindings
from workbench.rows.tool_calls import called, function_text
from workbench.tracked import Tracked, join, origin_of, track
from workbench.types import Example

ROLES = {"SYSTEM": "system", "USER": "user", "ASSISTANT": "assistant", "FUNCTION RESPONSE": "tool", "TOOL": "tool"}
GLAIVE_MARKS = ("FUNCTION RESPONSE", "SYSTEM", "USER", "ASSISTANT")
HERMES_MARKS = ("SYSTEM", "USER", "ASSISTANT", "TOOL")
RESULT = ("<tool_response>", "</tool_response>")
TOOLS = ("<tools>", "</tools>")
_SCHEMA = re.compile(r"\{\s*[\"'](?:name|type|function)[\"']\s*:")
_TAGGED = re.compile(r"<tools>\s*[\[{]")
_SYSTEM_MARK = re.compile(r"\s*SYSTEM:")

Tools = list[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Calls:
    """How a text writes calls.

    Attributes:
        opening, closing: What a call stands between; what closes it may be left out where `needs_closing` is false.
        quoted: Whether arguments may be an object in single quotes.
    """

    opening: str
    closing: str
    needs_closing: bool
    quoted: bool


GLAIVE = Calls("<functioncall>", "</functioncall>", False, True)
HERMES = Calls("<tool_call>", "</tool_call>", True, False)


def _glaive_text(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    chat = names["chat"]
    text = notes.column_text(row, chat, None, "content")
    marked = Marked(str.__str__(text or ""), chat, notes)
    if text is None:
        return None
    messages, tools = _system_column(row, names.get("system"), notes)
    for piece in cut_at_marks(marked, GLAIVE_MARKS):
        if piece.mark == "SYSTEM":
            said, more = _instruction(marked, piece.start, piece.end, len(messages))
            messages, tools = [*messages, *said], [*tools, *more]
        else:
            messages += _turn(marked, without_end(marked, piece), len(messages), GLAIVE)
    return _finished(messages, tools, (row, chat), notes)


def _hermes_text(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    column = names["example"]
    text = notes.column_text(row, column, None, "content")
    if text is None:
        return None
    marked = Marked(str.__str__(text), column, notes)
    messages: list[Message] = []
    tools: Tools = []
    for piece in cut_at_marks(marked, HERMES_MARKS):
        if piece.mark == "SYSTEM":
            said, more = _tagged_instruction(marked, piece, len(messages))
            messages, tools = [*messages, *said], [*tools, *more]
        elif piece.mark == "TOOL":
            messages += _results(marked, piece, len(messages))
        else:
            messages += _turn(marked, piece, len(messages), HERMES)
    return _finished(messages, tools, (row, column), notes)


def _finished(messages: list[Message], tools: Tools, place: tuple[Row, str], notes: RowFindings) -> Example | None:
    row, column = place
    if not notes.failed:
        judge(messages, column, notes)
    made = conversation(messages, row, {}, notes)
    return replace(made, tools=tuple(tools) or None) if made else None


def _system_column(row: Row, column: str | None, notes: RowFindings) -> tuple[list[Message], Tools]:
    """The system text without its mark, and the schemas in it."""
    if column is None or row.get(column) is None:
        return [], []
    text = notes.text(row[column], column, 0, "content")
    marked = Marked(str.__str__(text or ""), column, notes)
    mark = _SYSTEM_MARK.match(marked.text)
    return _instruction(marked, mark.end() if mark else 0, len(marked.text), 0)


def _instruction(marked: Marked, start: int, end: int, index: int) -> tuple[list[Message], Tools]:
    """A system message and the schemas that are listed in it, one after the other."""
    first = _SCHEMA.search(marked.text, start, end)
    if first is None:
        return _system(marked, [(start, end)], index), []
    tools: Tools = []
    at = first.start()
    values = _Values(marked, at, end, None)
    while True:
        read = values.read(at)
        if read is None:
            return [], []
        tools.append(_schema(read[0]))
        at = skip_space(marked.text, read[1])
        if marked.text[at : at + 1] == ",":
            at = skip_space(marked.text, at + 1)
        if at >= end or not _SCHEMA.match(marked.text, at):
            return _system(marked, [(start, first.start()), (at, end)], index), tools


def _tagged_instruction(marked: Marked, piece: Piece, index: int) -> tuple[list[Message], Tools]:
    """A system message and the schemas that stand in it between tags."""
    opening, closing = TOOLS
    first = _TAGGED.search(marked.text, piece.start, piece.end)
    if first is None:  # or there are tags that the text only speaks of
        return _system(marked, [(piece.start, piece.end)], index), []
    tools: Tools = []
    at = first.end() - 1
    values = _Values(marked, at, piece.end, None)
    while at < piece.end and not marked.text.startswith(closing, at):
        read = values.read(at)
        if read is None:
            return [], []
        tools += [_schema(item) for item in (read[0] if isinstance(read[0], list) else [read[0]])]
        at = skip_space(marked.text, read[1])
    if at >= piece.end:
        marked.refuse("WB591", f"opens {opening} and does not close it,", first.start(), f"Close it with {closing}.")
    return _system(marked, [(piece.start, first.start()), (at + len(closing), piece.end)], index), tools


def _system(marked: Marked, spans: list[tuple[int, int]], index: int) -> list[Message]:
    """A system message of some stretches of the text; none where there is no text in them."""
    parts = [marked.stripped(*span) for span in spans]
    texts = [marked.part(start, end, index) for start, end in parts if start < end]
    if not texts:
        return []
    text = join(track("\n\n", origin_of(None, index, "template")), texts)
    return [Message({"role": role_text("system", index), "content": text})]


def _schema(read: Any) -> Mapping[str, Any]:
    if isinstance(read, dict) and "function" not in read:
        return {"type": function_text(None), "function": read}
    return cast("Mapping[str, Any]", read)


def _turn(marked: Marked, piece: Piece, index: int, calls: Calls) -> list[Message]:
    """The message of a turn; calls in an answer become tool calls."""
    role = role_text(ROLES[piece.mark], index)
    first = marked.text.find(calls.opening, piece.start, piece.end) if piece.mark == "ASSISTANT" else -1
    if first < 0:
        return [Message({"role": role, "content": marked.part(piece.start, piece.end, index)})]
    found = _calls(marked, first, piece.end, index, calls)
    start, end = marked.stripped(piece.start, first)
    content = marked.part(start, end, index) if start < end else None
    return [Message({"role": role, "content": content, "tool_calls": found})]


def _calls(marked: Marked, at: int, end: int, index: int, calls: Calls) -> list[dict[str, Any]]:
    """The calls from a tag on; an error where one cannot be read, or text stands behind one."""
    found: list[dict[str, Any]] = []
    values = _Values(marked, at, end, index, quoted=calls.quoted)
    while at < end:
        if not marked.text.startswith(calls.opening, at):
            marked.refuse("WB591", "has text behind a call", at, "Put the text before the call, or into a turn.")
            return found
        read = values.read(at + len(calls.opening))
        call = values.call(read[0], at) if read else None
        if read is None or call is None:
            return found
        found.append(call)
        at = skip_space(marked.text, read[1])
        if marked.text.startswith(calls.closing, at):
            at = skip_space(marked.text, at + len(calls.closing))
        elif calls.needs_closing:
            marked.refuse("WB591", f"has a call that {calls.closing} does not close,", at, "Close the call.")
            return found
    return found


class _Values:
    """Values written out between two offsets of a text; `message` is the index of the message they belong to."""

    def __init__(self, marked: Marked, start: int, end: int, message: int | None, *, quoted: bool = False) -> None:
        self.marked, self.start, self.message = marked, start, message
        key = "tools" if message is None else "tool_calls"
        self._reader = ValueReader(marked.part(start, end, message, key), quoted=quoted)

    def read(self, at: int) -> tuple[Any, int] | None:
        """The value at an offset of the text, and the offset behind it; None, with a finding, where there is none."""
        try:
            value, end = self._reader.read(at - self.start)
        except Unreadable as error:
            self._refuse(error, self.start + error.at)
            return None
        return (value, self.start + end) if self.marked.notes.tree(value, self.marked.field) else None

    def call(self, value: Any, at: int) -> dict[str, Any] | None:
        """A call with a name, and arguments that are an object; text in the arguments is read once more."""
        held = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        arguments = held.get("arguments") or {}
        if isinstance(arguments, Tracked):
            try:
                arguments, end = ValueReader(arguments).read()
                arguments = arguments if skip_space(held["arguments"], end) == len(held["arguments"]) else None
            except Unreadable as error:
                self._refuse(error, arguments.runs[0].start + error.at if arguments.runs else at)
                return None
        if isinstance(held.get("name"), str) and isinstance(arguments, dict):
            return called({**held, "arguments": arguments}, self.message or 0)
        self.marked.refuse("WB591", "has a call without a name and arguments", at, "Write {name, arguments}.")
        return None

    def _refuse(self, error: Unreadable, at: int) -> None:
        why = f"holds a call or a schema that cannot be read ({error.why})"
        self.marked.refuse("WB591", why, at, "Write it as JSON.")


def _results(marked: Marked, piece: Piece, index: int) -> list[Message]:
    """What tools answered: one message for each pair of tags, or one for all of the text where there are none."""
    opening, closing = RESULT
    out: list[Message] = []
    at = piece.start
    while marked.text.startswith(opening, at):
        end = marked.text.find(closing, at, piece.end)
        if end < 0:
            marked.refuse("WB591", f"opens {opening} and does not close it,", at, f"Close it with {closing}.")
            return out
        start, stop = marked.stripped(at + len(opening), end)
        here = index + len(out)
        out.append(Message({"role": role_text("tool", here), "content": marked.part(start, stop, here)}))
        at = min(skip_space(marked.text, end + len(closing)), piece.end)
    if at < piece.end or not out:
        here = index + len(out)
        out.append(Message({"role": role_text("tool", here), "content": marked.part(at, piece.end, here)}))
    return out


TOOL_TEXTS: Mapping[str, Converter] = {"glaive_text": _glaive_text, "hermes_text": _hermes_text, "bfcl": bfcl}
