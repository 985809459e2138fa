"""JSON Lines and JSON files as rows, with every unreadable place named by line and byte.

A JSON Lines file stays on disk: opening reads it once and remembers where each row stands, a row is parsed when it is
asked for. A JSON array or object is parsed value by value, so that what stands before a damaged place is kept.
"""

from __future__ import annotations

import io
import json
import os
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, cast, overload

from workbench.errors import DataError
from workbench.rows.shapes import kind_of
from workbench.types import Finding

Row = Mapping[str, Any]

MOST_FINDINGS = 100
"""Findings of one file that are listed; the rest is counted."""

WRAPPERS = ("data", "rows", "train", "examples", "instances")
"""Only key of a top-level object whose list is taken as the rows."""

_WIDE = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_BOM = b"\xef\xbb\xbf"
_BAD_BYTE = re.compile("[\udc80-\udcff]")
_BETWEEN = re.compile(r"[\s,]*")


class Read(NamedTuple):
    """What a file gave.

    Attributes:
        rows: The rows.
        lines: Line (1-based) a row starts at, one a row; None where rows have no lines.
        findings: Everything that could not be read.
    """

    rows: Sequence[Row]
    lines: Sequence[int] | None
    findings: tuple[Finding, ...]


class Damage:
    """Findings of one file, at most `MOST_FINDINGS` of them written out."""

    def __init__(self) -> None:
        self._found: list[Finding] = []
        self._more = 0

    def note(self, finding: Finding) -> None:
        """Take a finding."""
        if len(self._found) < MOST_FINDINGS:
            self._found.append(finding)
        else:
            self._more += 1

    def findings(self) -> tuple[Finding, ...]:
        """What was noted, with a last one that counts what was not listed."""
        if not self._more:
            return tuple(self._found)
        last = self._found[-1]
        message = f"{self._more} more findings of this file are not listed."
        return (*self._found, Finding(last.code, last.severity, message))


class JsonLines(Sequence[Row]):
    """Rows of a JSON Lines file, parsed when asked for.

    Args:
        path: The file.
        held: Its content where it cannot be read in place (gzip), else None.
        spans: Byte offsets of the rows: start, end, start, end, ….
    """

    def __init__(self, path: Path, held: bytes | None, spans: array[int]) -> None:
        self._path, self._held, self._spans = path, held, spans
        self._stamp = _stamp(path)

    def __len__(self) -> int:
        return len(self._spans) // 2

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        at = range(len(self))[index]
        with self._open() as file:
            return self._parse(file, at)

    def __iter__(self) -> Iterator[Row]:
        with self._open() as file:
            for at in range(len(self)):
                yield self._parse(file, at)

    def _parse(self, file: BinaryIO, at: int) -> Row:
        start, end = self._spans[2 * at], self._spans[2 * at + 1]
        file.seek(start)
        return json.loads(file.read(end - start))

    def _open(self) -> BinaryIO:
        if self._held is not None:
            return io.BytesIO(self._held)
        if _stamp(self._path) != self._stamp:
            raise DataError(f"{self._path} has changed since it was opened.", remedy="Open it again.", code="WB555")
        return self._path.open("rb")


def read_json(path: Path, held: bytes | None, limit: int | None) -> Read:
    """Read a JSON Lines file, a JSON array, or JSON objects that span lines.

    Args:
        path: The file.
        held: Its content where it was compressed, else None.
        limit: Most rows to read.
    """
    with io.BytesIO(held) if held is not None else path.open("rb") as file:
        wide = wide_encoding(file.read(4096))
        if wide is not None:
            return Read([], None, (wide,))
        file.seek(0)
        layout = _layout(file)
        file.seek(0)
        if layout == "lines":
            return _read_lines(path, held, file, limit)
        read = _read_values(file.read(), limit)
        if layout == "unclear" and not read.rows:
            file.seek(0)
            return _read_lines(path, held, file, limit)
        return read


def wide_encoding(head: bytes) -> Finding | None:
    """A finding for UTF-16 and UTF-32 files, recognised by their mark or by every second byte being zero."""
    for mark, name in _WIDE:
        if head.startswith(mark):
            return _wide(name, f"byte-order mark {mark.hex(' ')} at byte 0")
    zeros = [head[i::2][:32] for i in (0, 1)]
    for half in (0, 1):
        if len(zeros[half]) >= 4 and not any(zeros[half]) and all(zeros[1 - half]):
            return _wide("UTF-16", f"every second byte from byte {half} on is zero")
    return None


class Places:
    """Line and byte offset of characters of a text, asked for in ascending order.

    Args:
        text: Decoded with `surrogateescape`.
        base: Bytes of the file before the text.
    """

    def __init__(self, text: str, base: int = 0) -> None:
        self._text, self._at, self._line, self._offset = text, 0, 1, base

    def not_utf8(self, at: int) -> Finding:
        """The finding for a character that stands for a byte that is not UTF-8."""
        between = self._text[self._at : at]
        self._at, self._line = at, self._line + between.count("\n")
        self._offset += len(between.encode("utf-8", "surrogateescape"))
        return _not_utf8(self._line, self._offset, ord(self._text[at]) - 0xDC00)


def bad_lines(text: str) -> dict[int, Finding]:
    """Lines of a text decoded with `surrogateescape` that are not UTF-8, with the finding for the first bad byte."""
    places, out = Places(text), dict[int, Finding]()
    for match in _BAD_BYTE.finditer(text):
        finding = places.not_utf8(match.start())
        out.setdefault(finding.line or 0, finding)
    return out


def no_rows(what: str) -> Finding:
    """The finding for a source without rows."""
    return Finding("WB506", "error", f"{what} has no rows.", remedy="Check that it is the file you meant.")


def _wide(name: str, why: str) -> Finding:
    message = f"The file is {name}, not UTF-8: {why}, line 1."
    remedy = f"Convert it: iconv -f {name} -t UTF-8 FILE > NEW."
    return Finding("WB504", "error", message, remedy=remedy, line=1)


def _not_utf8(line: int, offset: int, value: int) -> Finding:
    message = f"Line {line} is not UTF-8: byte 0x{value:02x} at byte offset {offset} of the file. The row was left out."
    remedy = "Convert the file to UTF-8; where it is Latin-1: iconv -f LATIN1 -t UTF-8 FILE > NEW."
    return Finding("WB503", "error", message, remedy=remedy, line=line)


def _stamp(path: Path) -> tuple[int, int]:
    """What tells whether a file was written to."""
    status = os.stat(path)
    return status.st_mtime_ns, status.st_size


def _layout(file: BinaryIO) -> Literal["lines", "values", "unclear"]:
    """Whether rows are lines, or values that may span lines; unclear where the first line is an object cut short.

    Told from the first 50 lines that are not blank.
    """
    first, lines, objects = b"", 0, 0
    for line in islice((line.removeprefix(_BOM).strip() for line in file), 50):
        first, lines = first or line, lines + bool(line)
        objects += line.startswith(b"{") and isinstance(_loads(line), dict)
        if objects and lines > 1:
            break
    if not first.startswith((b"{", b"[")):
        return "lines"
    if lines == 1 or not objects:
        return "values"
    if _loads(first) is not None:
        return "lines"
    return "values" if first.startswith(b"[") else "unclear"


def _loads(line: bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _read_lines(path: Path, held: bytes | None, file: BinaryIO, limit: int | None) -> Read:
    spans, lines, damage = array("Q"), array("Q"), Damage()
    offset = 0
    repeats: list[str] = []
    loads = _decoder(repeats).decode
    for number, raw in enumerate(file, start=1):
        start, offset = offset, offset + len(raw)
        if limit is not None and len(lines) >= limit:
            break
        mark = len(_BOM) if raw.startswith(_BOM) else 0
        if not raw[mark:].strip():
            continue
        problem = _line_problem(raw[mark:], number, start + mark, loads)
        if problem is not None:
            damage.note(problem)
            continue
        spans.extend((start + mark, offset))
        lines.append(number)
        _note_repeats(repeats, len(lines) - 1, number, damage)
    if not lines and not damage.findings():
        damage.note(no_rows(path.name))
    return Read(JsonLines(path, held, spans), lines, damage.findings())


def _line_problem(raw: bytes, line: int, start: int, loads: Callable[[str], object]) -> Finding | None:
    """What is wrong with a line; None where it is a row."""
    try:
        value = loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        return _not_utf8(line, start + error.start, raw[error.start])
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


def _read_values(raw: bytes, limit: int | None) -> Read:
    """Read an array, or objects one after the other, value by value."""
    text = raw.removeprefix(_BOM).decode("utf-8", "surrogateescape")
    inside = text.lstrip().startswith("[")
    start = len(text) - len(text.lstrip()) + (1 if inside else 0)
    damage, repeats = Damage(), list[str]()
    places = Places(text, len(_BOM) if raw.startswith(_BOM) else 0)
    rows: list[Row] = []
    lines = array("Q")
    for at, end, line, value in _values(text, start, inside, _decoder(repeats), damage):
        if limit is not None and len(rows) >= limit:
            break
        bad = _BAD_BYTE.search(text, at, end)
        if bad is not None:
            damage.note(places.not_utf8(bad.start()))
            repeats.clear()
            continue
        if not isinstance(value, dict):
            message = f"The value on line {line} is {kind_of(value)}, not an object. It was left out."
            damage.note(Finding("WB502", "error", message, remedy="Write each row as {column: value}.", line=line))
            continue
        rows.append(cast("Row", value))
        lines.append(line)
        _note_repeats(repeats, len(rows) - 1, line, damage)
    return _unwrapped(rows, lines, damage, limit)


def _values(
    text: str, start: int, inside: bool, decoder: json.JSONDecoder, damage: Damage
) -> Iterable[tuple[int, int, int, object]]:
    """(start, end, line, value) of each value; ends at the first damaged place, which it notes."""
    at, line, counted = start, 1, 0
    while True:
        at = cast("re.Match[str]", _BETWEEN.match(text, at)).end()
        line, counted = line + text.count("\n", counted, at), at
        rest = text[at : at + 1]
        if rest == "" and not inside:
            return
        if rest == "]" and inside:
            _note_rest(text, at + 1, line, damage)
            return
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            damage.note(_damaged(text, at, line, error))
            return
        yield at, end, line, value
        at = end


def _note_rest(text: str, at: int, line: int, damage: Damage) -> None:
    rest = text[at:].strip()
    if rest:
        message = f"Behind the end of the array on line {line} stands more: {rest[:40]!r}. It was left out."
        damage.note(Finding("WB501", "error", message, remedy="Put everything into one array.", line=line))


def _damaged(text: str, at: int, line: int, error: ValueError | RecursionError) -> Finding:
    place = error.pos if isinstance(error, json.JSONDecodeError) else at
    line += text.count("\n", at, place)
    why = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deep, or a number too long"
    seen = repr(text[place : place + 40]) if text[place:].strip() else "the end of the file"
    message = f"The JSON is damaged at line {line} ({why}), before {seen}. Rows from there on were left out."
    return Finding("WB501", "error", message, remedy="Mend the file there.", line=line)


def _unwrapped(rows: list[Row], lines: array[int], damage: Damage, limit: int | None) -> Read:
    """The rows; those inside where the file is one object that only wraps a list of them."""
    if len(rows) == 1:
        for name in WRAPPERS:
            inner = rows[0].get(name)
            if isinstance(inner, list) and inner and all(isinstance(item, dict) for item in cast("list[Any]", inner)):
                return Read(cast("list[Row]", inner)[:limit], None, damage.findings())
    if not rows and not damage.findings():
        damage.note(no_rows("The file"))
    return Read(rows, lines, damage.findings())
