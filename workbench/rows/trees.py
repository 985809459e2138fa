"""Trees of messages (Open Assistant exports) as conversations: one row a path from a root to a last answer.

    {"message_id": "a", "parent_id": None, "role": "prompter", …}, {"message_id": "b", "parent_id": "a", …}
      ->  {"messages": [{"role": "prompter", "content": …}, {"role": "assistant", "content": …}], "rows": [0, 1]}

A path ends at an answer that no other answer stands below: a question nobody answered is no end, and a beginning that
two paths share is not a row of its own. Only numbers are kept in memory; texts are read when a row is asked for. Every
message is on a path or has a finding, and `TreeRows.unused` lists those that are on none.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from workbench.rows.columns import role_of
from workbench.rows.files.lazy import Lazy
from workbench.rows.files.load import RowSource
from workbench.rows.shapes import is_list, kind_of
from workbench.types import Finding

Row = Mapping[str, Any]

MOST_FINDINGS = 100
"""Findings of one code that are written out; the others are counted."""
NONE = -1
ROOT, MISSING = -1, -2
"""Parent of a message that has none, and of one whose parent is not there."""

FLAT = {"message_id": "message_id", "parent_id": "parent_id", "text": "text", "role": "role"}
REPLIES = "replies"
OTHER, USER, ASSISTANT = range(3)


@dataclass(slots=True)
class Forest:
    """Every message by number: where it stands and what it answers.

    Attributes:
        rows: Row of the source.
        places: Position among the replies of the message that it is nested in, -1 for a message that is a row.
        outer: Number of the message it is nested in, -1 for none.
        parents: Number of the message it answers, or ROOT, or MISSING.
        roles: OTHER, USER or ASSISTANT.
        dead: Why a message cannot be on a path, by number: code and sentence.
        repeated: Messages that are there already, in other rows or nested in them.
        warned: Other things to say: number, code and sentence.
    """

    rows: array[int] = field(default_factory=lambda: array("q"))
    places: array[int] = field(default_factory=lambda: array("l"))
    outer: array[int] = field(default_factory=lambda: array("q"))
    parents: array[int] = field(default_factory=lambda: array("q"))
    roles: array[int] = field(default_factory=lambda: array("b"))
    dead: dict[int, tuple[str, str]] = field(default_factory=dict[int, "tuple[str, str]"])
    repeated: set[int] = field(default_factory=set[int])
    warned: list[tuple[int, str, str]] = field(default_factory=list["tuple[int, str, str]"])


class TreeRows(Lazy[Row]):
    """Conversations of a forest, put together when they are asked for.

    Attributes:
        unused: Row of the source -> why a message of it is in no conversation.
    """

    def __init__(self, source: Sequence[Row], forest: Forest, ends: array[int], reader: _Reader) -> None:
        self._source, self._forest, self._ends, self._reader = source, forest, ends, reader
        self.unused: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._ends)

    def item(self, at: int) -> Row:
        """See `Lazy.item`."""
        path = self.path(self._ends[at])
        read: dict[int, Row] = {}
        raws = [self._raw(node, read) for node in path]
        row: dict[str, Any] = {"messages": [self._reader.message(raw) for raw in raws]}
        ids = [raw.get(self._reader.names["message_id"]) for raw in raws]
        if any(ids):
            row["message_ids"] = ids
        return {**row, "rows": [self._forest.rows[node] for node in path]}

    def __iter__(self) -> Iterator[Row]:
        for i in range(len(self)):
            yield self[i]

    def path(self, end: int) -> list[int]:
        """Numbers of the messages from the root to the end."""
        out: list[int] = []
        node = end
        while node >= 0:
            out.append(node)
            node = self._forest.parents[node]
        return out[::-1]

    def row_of(self, index: int) -> int:
        """Row of the source that holds the last message of a conversation."""
        return self._forest.rows[self._ends[index]]

    def _raw(self, node: int, read: dict[int, Row]) -> Row:
        """The message as the source has it, found through what it is nested in."""
        steps: list[int] = []
        while (outer := self._forest.outer[node]) >= 0:
            steps.append(self._forest.places[node])
            node = outer
        at = self._forest.rows[node]
        if at not in read:
            read[at] = self._source[at]
        raw = self._reader.top(read[at])
        for place in reversed(steps):
            raw = cast("Row", cast("list[Any]", raw[REPLIES])[place])
        return raw


class _LinesOf(Lazy[int]):
    """Line of the file each conversation's last message starts at."""

    def __init__(self, rows: TreeRows, lines: Sequence[int]) -> None:
        self._rows, self._lines = rows, lines

    def __len__(self) -> int:
        return len(self._rows)

    def item(self, at: int) -> int:
        """See `Lazy.item`."""
        return int(self._lines[self._rows.row_of(at)])


@dataclass(frozen=True, slots=True)
class _Reader:
    """How messages are written.

    Attributes:
        names: Our column name -> name in the data.
        tree: Column that holds a tree; empty where rows are messages.
    """

    names: Mapping[str, str]
    tree: str

    def top(self, row: Row) -> Row:
        """The message a row is, or the root of the tree it holds."""
        return cast("Row", row[self.tree]) if self.tree else row

    def message(self, raw: Row) -> Row:
        """Role and content under the names every chat has."""
        return {"role": raw[self.names["role"]], "content": raw[self.names["text"]]}


def joined_rows(source: RowSource, type: str, columns: Mapping[str, str]) -> RowSource:
    """Join the messages of trees into conversations.

    Args:
        source: Rows that are messages with `parent_id`, messages with replies inside, or trees.
        type: `oasst_flat` or `oasst_tree`.
        columns: Our column name -> column of the rows.

    Returns:
        Rows of type `messages`; `findings` are those of the joining only, and name rows of the source in their text,
        because the joined rows have other numbers.
    """
    names = {ours: columns.get(ours, ours) for ours in FLAT}
    reader = _Reader(names, columns.get("prompt", "prompt") if type == "oasst_tree" else "")
    forest = _grown(source.rows, reader)
    _cut_off(forest)
    ends, unused = _ends(forest)
    rows = TreeRows(source.rows, forest, ends, reader)
    found = _findings(forest, unused, source, rows)
    lines = None if source.lines is None else _LinesOf(rows, source.lines)
    return replace(source, rows=rows, findings=found, lines=lines)


class _Ids:
    """Numbers by message id, and the links that wait for them."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}
        self.texts: dict[int, int] = {}
        self.waiting: list[tuple[int, str]] = []


def _grown(rows: Sequence[Row], reader: _Reader) -> Forest:
    """All messages of the rows, linked."""
    forest, ids = Forest(), _Ids()
    for at, row in enumerate(rows):
        raw: object = row
        if reader.tree:
            raw = row.get(reader.tree) if isinstance(row, Mapping) else row  # pyright: ignore[reportUnnecessaryIsInstance]
        _add_tree(raw, at, forest, ids, reader)
    for node, parent in ids.waiting:
        forest.parents[node] = ids.known.get(parent, MISSING)
        if forest.parents[node] == MISSING:
            forest.dead[node] = ("WB593", f"its parent {parent!r} is not there")
    return forest


def _add_tree(root: object, at: int, forest: Forest, ids: _Ids, reader: _Reader) -> None:
    """A message of a row, and the replies nested in it, without recursion: trees may be deep."""
    todo: list[tuple[object, int, int, int]] = [(root, NONE, NONE, ROOT)]
    while todo:
        raw, outer, place, parent = todo.pop()
        node = len(forest.rows)
        for numbers, value in zip(
            (forest.rows, forest.outer, forest.places, forest.parents, forest.roles),
            (at, outer, place, parent, OTHER),
            strict=True,
        ):
            numbers.append(value)
        if not isinstance(raw, Mapping):
            forest.dead[node] = ("WB597", f"it is no message, but {kind_of(raw)}")
            continue
        message = cast("Row", raw)
        known = _identify(message, node, forest, ids, reader)
        _read(message, node, forest, reader)
        if outer == NONE and not reader.tree:
            _link(message, node, forest, ids, reader)
        replies = message.get(REPLIES)
        if is_list(replies):
            nested = list(enumerate(cast("list[Any]", replies)))
            todo += [(reply, node, i, known) for i, reply in reversed(nested)]


def _identify(message: Row, node: int, forest: Forest, ids: _Ids, reader: _Reader) -> int:
    """The number its replies answer: its own, or that of the same message met before."""
    said = _id(message.get(reader.names["message_id"]))
    if not said:
        return node
    first = ids.known.setdefault(said, node)
    text = hash(message.get(reader.names["text"])) if isinstance(message.get(reader.names["text"]), str) else 0
    if first == node:
        ids.texts[node] = text
        return node
    if ids.texts[first] == text:
        forest.repeated.add(node)
        forest.dead[node] = ("WB598", f"it is in row {forest.rows[first]} already")
    else:
        forest.dead[node] = ("WB598", f"its id {said!r} is that of another message, which is used instead")
    return first


def _read(message: Row, node: int, forest: Forest, reader: _Reader) -> None:
    """Role and text; what makes a message unusable is noted."""
    role, text = message.get(reader.names["role"]), message.get(reader.names["text"])
    if node in forest.dead:
        return
    if message.get("deleted") is True:
        forest.dead[node] = ("WB595", "it is marked as deleted")
    elif not isinstance(text, str):
        forest.dead[node] = ("WB597", f"its `{reader.names['text']}` is {kind_of(text)}")
    elif not isinstance(role, str):
        forest.dead[node] = ("WB597", f"its `{reader.names['role']}` is {kind_of(role)}")
    else:
        known = role_of(role)
        forest.roles[node] = {"user": USER, "assistant": ASSISTANT}.get(known or "", OTHER)
        if known is None:
            forest.warned.append((node, "WB597", f"its role {role!r} is not known; it is kept as it is"))


def _link(message: Row, node: int, forest: Forest, ids: _Ids, reader: _Reader) -> None:
    """Remember what a flat message answers; the parent may come later in the file."""
    said = message.get(reader.names["parent_id"])
    parent = _id(said)
    if parent:
        ids.waiting.append((node, parent))
    elif said is not None and said != "":
        forest.dead[node] = ("WB597", f"its `{reader.names['parent_id']}` is {kind_of(said)}")


def _id(value: object) -> str | None:
    """An id as text; whole numbers are ids too."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else None


def _cut_off(forest: Forest) -> None:
    """Take messages off that no root leads to: below something unusable, or in a circle."""
    fine = bytearray(len(forest.rows))  # 0 not looked at, 1 fine, 2 not
    for start in range(len(forest.rows)):
        trail: list[int] = []
        on_trail: set[int] = set()
        node = start
        while node >= 0 and not fine[node] and node not in on_trail and node not in forest.dead:
            trail.append(node)
            on_trail.add(node)
            node = forest.parents[node]
        if node in on_trail:
            for member in trail[trail.index(node) :]:
                forest.dead[member] = ("WB594", "it answers itself, by way of its parents")
        ends_well = node == ROOT or (node >= 0 and node not in forest.dead and fine[node] == 1)
        for member in reversed(trail):
            fine[member] = 1 if ends_well else 2
            if not ends_well and member not in forest.dead:
                above = forest.parents[member]
                code = forest.dead[above][0]
                forest.dead[member] = (code, f"it stands below row {forest.rows[above]}, which is not used")


def _ends(forest: Forest) -> tuple[array[int], list[int]]:
    """Answers with no answer below them, and the usable messages that are on no path to one."""
    size = len(forest.rows)
    used = bytearray(size)
    below = bytearray(size)
    answers = [node for node in range(size) if forest.roles[node] == ASSISTANT and node not in forest.dead]
    for answer in answers:
        node = forest.parents[answer]
        while node >= 0 and not below[node]:
            below[node] = 1
            node = forest.parents[node]
    ends = array("q", (answer for answer in answers if not below[answer]))
    for end in ends:
        node = end
        while node >= 0 and not used[node]:
            used[node] = 1
            node = forest.parents[node]
    return ends, [node for node in range(size) if not used[node] and node not in forest.dead]


def _findings(forest: Forest, unanswered: Sequence[int], source: RowSource, rows: TreeRows) -> tuple[Finding, ...]:
    """What is to be said of single messages, at most `MOST_FINDINGS` a code."""
    notes = [(node, code, why) for node, (code, why) in sorted(forest.dead.items())]
    notes += forest.warned
    notes += [(node, "WB596", "nothing answers it") for node in unanswered]
    rows.unused.update((forest.rows[node], why) for node, (_, why) in forest.dead.items())
    rows.unused.update((forest.rows[node], "nothing answers it") for node in unanswered)
    counts: dict[str, int] = {}
    found: list[Finding] = []
    for node, code, why in notes:
        counts[code] = counts.get(code, 0) + 1
        if counts[code] <= MOST_FINDINGS:
            found.append(_finding(node, code, why, forest, source))
    for code, count in counts.items():
        if count > MOST_FINDINGS:
            message = f"{count - MOST_FINDINGS} more messages of {code} are not listed."
            found.append(Finding("WB599", "info", message, remedy="data.source.rows.unused names every row."))
    return tuple(found)


REMEDIES = {
    "WB593": "Add the parent, or drop the message and what stands below it.",
    "WB594": "Give one of them a parent_id of null.",
    "WB595": "Nothing has to be done; messages below it are left out with it.",
    "WB596": "Nothing has to be done; the conversation ends at the last answer.",
    "WB597": "Mend the message, or drop it and what stands below it.",
    "WB598": "Give every message an id of its own, and write it once.",
}
FIELDS = {"WB593": "parent_id", "WB594": "parent_id", "WB595": "deleted", "WB596": "text", "WB598": "message_id"}


def _finding(node: int, code: str, why: str, forest: Forest, source: RowSource) -> Finding:
    harmless = code in ("WB595", "WB596") or node in forest.repeated
    severity = "info" if harmless else "error" if node in forest.dead else "warning"
    at = forest.rows[node]
    nested = f", reply {forest.places[node]} in it" if forest.outer[node] >= 0 else ""
    message = f"A message of row {at}{nested} is in no conversation: {why}."
    if node in forest.repeated:
        message = f"A message of row {at}{nested} is there twice: {why}."
    if severity == "warning":
        message = f"About a message of row {at}{nested}: {why}."
    name = FIELDS.get(code) or ("role" if "role" in why else "text")
    return Finding(code, severity, message, None, f"[{at}].{name}", REMEDIES[code], source.line_of(at))
