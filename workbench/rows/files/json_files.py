r"""JSON files: lines, arrays, single objects, whatever the suffix says.

    {"a": 1}\n{"a": 2}\n      [{"a": 1}, {"a": 2}]      {"data": [{"a": 1}]}

A file is gone through once, and what stays in memory is where each row stands; a row is parsed when it is asked for. An
array or object that spans lines is read value by value, so that what stands before a damaged place is kept and an array
of any length needs no more memory than its longest row.
"""

from __future__ import annotations

import codecs
import json
import re
from array import array
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Literal, NamedTuple, cast

from workbench.rows.files.damage import BOM, Damage, Read, Row, first_bad, no_rows, not_utf8, size_of, wide_encoding
from workbench.rows.files.records import Records, Store
from workbench.rows.shapes import kind_of
from workbench.types import Finding

WRAPPERS = ("data", "rows", "train", "examples", "instances")
"""Only key of a top-level object whose list is taken as the rows."""

PIECE = 1 << 20
"""Bytes read at a time."""
LONGEST = 2 << 20
"""Bytes of a line that are looked at to tell the layout."""
HEAD = 4096

_BETWEEN = re.compile(r"[\s,]*")
_WRAPPED = re.compile(rb"\s*\{\s*\"(?:" + "|".join(WRAPPERS).encode() + rb")\"\s*:\s*\[")


def read_json(store: Store, limit: int | None) -> Read:
    """Find the rows of a JSON Lines file, a JSON array, or of JSON objects that span lines.

    Args:
        store: The file.
        limit: Most rows to find; nothing is read behind the last of them.
    """
    with store.open() as file:
        wide = wide_encoding(file.read(HEAD))
        if wide is not None:
            return Read([], None, (wide,))
        layout = _layout(file)
        if layout == "lines":
            return _read_lines(store, file, limit)
        wrapped = _read_wrapped(store, file, limit)
        if wrapped is not None:
            return wrapped
        read = _read_values(store, file, limit, 0)
        if layout == "unclear" and not read.rows:
            return _read_lines(store, file, limit)
        return read


def _layout(file: BinaryIO) -> Literal["lines", "values", "unclear"]:
    """Whether rows are lines, or values that may span lines; unclear where the first line is an object cut short.

    Told from the first 50 lines that are not blank.
    """
    first, lines, objects = b"", 0, 0
    for line in _first_lines(file):
        first, lines = first or line, lines + 1
        objects += line.startswith(b"{") and isinstance(_loads(line), dict)
        if objects and lines > 1:
            break
    if not first.startswith((b"{", b"[")):
        return "lines"
    if len(first) >= LONGEST and first.startswith(b"{") and not _WRAPPED.match(first):
        return "lines"
    if lines == 1 or not objects:
        return "values"
    if _loads(first) is not None:
        return "lines"
    return "values" if first.startswith(b"[") else "unclear"


def _first_lines(file: BinaryIO) -> Iterator[bytes]:
    """The first lines that are not blank; the last one is cut where it is very long."""
    file.seek(0)
    found = 0
    while found < 50 and (line := file.readline(LONGEST)):
        bare = line.removeprefix(BOM).strip()
        found += bool(bare)
        if bare:
            yield line.removeprefix(BOM) if len(line) >= LONGEST else bare
        if len(line) >= LONGEST:
            return


def _loads(line: bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _read_lines(store: Store, file: BinaryIO, limit: int | None) -> Read:
    spans, lines, damage = array("Q"), array("Q"), Damage()
    offset = 0
    repeats: list[str] = []
    loads = _decoder(repeats).decode
    file.seek(0)
    for number, raw in enumerate(file, start=1):
        start, offset = offset, offset + len(raw)
        mark = len(BOM) if raw.startswith(BOM) else 0
        if not raw[mark:].strip():
            continue
        problem = _line_problem(raw[mark:], number, start + mark, loads)
        if problem is not None:
            damage.note(problem)
            continue
        spans.extend((start + mark, offset))
        lines.append(number)
        _note_repeats(repeats, len(lines) - 1, number, damage)
        if len(lines) == limit:
            break
    if not lines and not damage.findings():
        damage.note(no_rows(store.path.name))
    return Read(Records(store, spans, json.loads), lines, damage.findings())


def _line_problem(raw: bytes, line: int, start: int, loads: Callable[[str], object]) -> Finding | None:
    """What is wrong with a line; None where it is a row."""
    try:
        value = loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        return not_utf8(line, start + error.start, raw[error.start])
    except (ValueError, RecursionError) as error:
        return _not_json(line, raw.decode("utf-8").strip(), error)
    if isinstance(value, dict):
        return None
    message = f"Line {line} is {kind_of(value)}, not an object. It was left out."
    return Finding("WB502", "error", message, remedy="Write each row as {column: value}.", line=line)


def _not_json(line: int, shown: str, error: ValueError | RecursionError) -> Finding:
    if isinstance(error, json.JSONDecodeError):
        why = f"{error.msg} at character {error.pos}"
    else:
        why = "nested too deep" if isinstance(error, RecursionError) else str(error)
    nul = " It holds NUL bytes." if "\x00" in shown else ""
    excerpt = shown if len(shown) <= 60 else shown[:59] + "…"
    message = f"Line {line} is not JSON ({why}) and was left out: {excerpt!r}.{nul}"
    return Finding("WB501", "error", message, remedy="Mend the line, or remove it.", line=line)


def _decoder(repeats: list[str]) -> json.JSONDecoder:
    """A decoder that writes down keys that occur twice in one object."""

    def hook(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        out = dict(pairs)
        if len(out) < len(pairs):
            seen: set[str] = set()
            repeats.extend(key for key, _ in pairs if key in seen or seen.add(key))
        return out

    return json.JSONDecoder(object_pairs_hook=hook)


def _note_repeats(repeats: list[str], row: int, line: int, damage: Damage) -> None:
    for key in repeats:
        message = f"Key `{key}` occurs twice in one object of line {line}; the last value counts."
        damage.note(Finding("WB505", "warning", message, row=row, field=key, remedy="Keep one of them.", line=line))
    repeats.clear()


class _Value(NamedTuple):
    """A value of an array, or one of several in a file.

    Attributes:
        start, end: Its bytes.
        line: Line (1-based) it starts on.
        value: What it parses to.
        bad: The finding for a byte in it that is not UTF-8.
    """

    start: int
    end: int
    line: int
    value: object
    bad: Finding | None


class _Window:
    """A stretch of a file as text, moved along as values are taken from its start.

    Attributes:
        text: What was read.
        at: First character that is not yet taken.
        offset: Byte offset of that character.
        line: Line (1-based) it stands on.
    """

    def __init__(self, file: BinaryIO, start: int) -> None:
        file.seek(0)
        before = file.read(start)
        self._file, self._size = file, PIECE
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._ended = False
        self.text, self.at, self.offset, self.line = "", 0, start, 1 + before.count(b"\n")
        if self.more() and start == 0 and self.text.startswith("\ufeff"):
            self.take(1)

    def more(self) -> bool:
        """Read on, each time twice as much for one value; False at the end of the file."""
        if self._ended:
            return False
        raw = self._file.read(self._size)
        self._size *= 2
        self._ended = not raw
        self.text, self.at = self.text[self.at :] + self._decoder.decode(raw, final=not raw), 0
        return True

    def take(self, count: int) -> None:
        """Move on by so many characters."""
        taken = self.text[self.at : self.at + count]
        self.at += count
        self.offset += size_of(taken)
        self.line += taken.count("\n")
        self._size = PIECE

    def skip(self) -> str:
        """Move behind white space and commas; the character that follows, empty at the end of the file."""
        while True:
            self.take(cast("re.Match[str]", _BETWEEN.match(self.text, self.at)).end() - self.at)
            if self.at < len(self.text) or not self.more():
                return self.text[self.at : self.at + 1]

    def may_go_on(self, error: json.JSONDecodeError) -> bool:
        """Whether a value does not parse only because its end has not been read yet."""
        return error.msg.startswith("Unterminated") or error.pos >= len(self.text) - 12


def _read_wrapped(store: Store, file: BinaryIO, limit: int | None) -> Read | None:
    """Rows in the list of an object that holds nothing else; None where the file is not such an object."""
    file.seek(0)
    head = _WRAPPED.match(file.read(HEAD).removeprefix(BOM))
    if head is None:
        return None
    file.seek(0)
    mark = len(BOM) if file.read(len(BOM)) == BOM else 0
    read = _read_values(store, file, limit, mark + head.end())
    refused = any(finding.code == "WB502" for finding in read.findings)
    return read._replace(lines=None) if len(read.rows) and not refused else None


def _read_values(store: Store, file: BinaryIO, limit: int | None, wrapped: int) -> Read:
    """Find the rows of an array, or of objects one after the other, value by value.

    Args:
        store: The file.
        file: It, open.
        limit: Most rows.
        wrapped: Bytes that stand before the first row of an array within an object; 0 where there is no such object.
    """
    damage, repeats = Damage(), list[str]()
    spans, lines = array("Q"), array("Q")
    for value in _values(_Window(file, wrapped), bool(wrapped), _decoder(repeats), repeats, damage):
        if value.bad is not None:
            damage.note(value.bad)
        elif not isinstance(value.value, dict):
            message = f"The value on line {value.line} is {kind_of(value.value)}, not an object. It was left out."
            remedy = "Write each row as {column: value}."
            damage.note(Finding("WB502", "error", message, remedy=remedy, line=value.line))
        else:
            spans.extend((value.start, value.end))
            lines.append(value.line)
            _note_repeats(repeats, len(lines) - 1, value.line, damage)
        repeats.clear()
        if len(lines) == limit:
            break
    rows = Records(store, spans, json.loads)
    inner = _unwrapped(rows[0]) if len(rows) == 1 else None
    if inner is not None:
        return Read(inner[:limit], None, damage.findings())
    if not len(rows) and not damage.findings():
        damage.note(no_rows("The file"))
    return Read(rows, lines, damage.findings())


def _values(
    window: _Window, wrapped: bool, decoder: json.JSONDecoder, repeats: list[str], damage: Damage
) -> Iterator[_Value]:
    """Each value; ends at the first damaged place, which it notes."""
    inside = wrapped or window.skip() == "["
    if inside and not wrapped:
        window.take(1)
    while True:
        following = window.skip()
        if following == "" and not inside:
            return
        if following == "]" and inside:
            _note_rest(window, wrapped, damage)
            return
        repeats.clear()
        try:
            value, end = decoder.raw_decode(window.text, window.at)
        except (ValueError, RecursionError) as error:
            if isinstance(error, json.JSONDecodeError) and window.may_go_on(error) and window.more():
                continue
            damage.note(_damaged(window, error))
            return
        if end == len(window.text) and not isinstance(value, dict | list) and window.more():
            continue
        start, line = window.offset, window.line
        bad = first_bad(window.text[window.at : end], line, start)
        window.take(end - window.at)
        yield _Value(start, window.offset, line, value, bad)


def _note_rest(window: _Window, wrapped: bool, damage: Damage) -> None:
    window.take(1)
    following = window.skip()
    rest = window.text[window.at :].strip()
    if wrapped:
        window.take(1)
        if following != "}" or window.skip():
            damage.note(Finding("WB502", "error", "The object holds more than its list of rows."))
    elif rest:
        message = f"Behind the end of the array on line {window.line} stands more: {rest[:40]!r}. It was left out."
        damage.note(Finding("WB501", "error", message, remedy="Put everything into one array.", line=window.line))


def _damaged(window: _Window, error: ValueError | RecursionError) -> Finding:
    place = error.pos if isinstance(error, json.JSONDecodeError) else window.at
    line = window.line + window.text.count("\n", window.at, place)
    why = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deep, or a number too long"
    seen = repr(window.text[place : place + 40]) if window.text[place:].strip() else "the end of the file"
    message = f"The JSON is damaged at line {line} ({why}), before {seen}. Rows from there on were left out."
    return Finding("WB501", "error", message, remedy="Mend the file there.", line=line)


def _unwrapped(row: Row) -> list[Row] | None:
    """The rows inside a row that only wraps a list of them."""
    for name in WRAPPERS:
        inner = row.get(name)
        if isinstance(inner, list) and inner and all(isinstance(item, dict) for item in cast("list[Any]", inner)):
            return cast("list[Row]", inner)
    return None
