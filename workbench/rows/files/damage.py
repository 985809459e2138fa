"""What is wrong with bytes, lines and records of a file, as findings; shared by all containers of text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from workbench.types import Finding

Row = Mapping[str, Any]

MOST_FINDINGS = 100
"""Findings of one file that are listed; the rest is counted."""

_WIDE = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
BOM = b"\xef\xbb\xbf"
BAD_BYTE = re.compile("[\udc80-\udcff]")
"""Characters that stand for bytes that are not UTF-8 (`surrogateescape`)."""


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


def no_rows(what: str) -> Finding:
    """The finding for a source without rows."""
    return Finding("WB506", "error", f"{what} has no rows.", remedy="Check that it is the file you meant.")


def _wide(name: str, why: str) -> Finding:
    message = f"The file is {name}, not UTF-8: {why}, line 1."
    remedy = f"Convert it: iconv -f {name} -t UTF-8 FILE > NEW."
    return Finding("WB504", "error", message, remedy=remedy, line=1)


def not_utf8(line: int, offset: int, value: int) -> Finding:
    """The finding for a byte that is not UTF-8, at a byte offset of the file."""
    message = f"Line {line} is not UTF-8: byte 0x{value:02x} at byte offset {offset} of the file. The row was left out."
    remedy = "Convert the file to UTF-8; where it is Latin-1: iconv -f LATIN1 -t UTF-8 FILE > NEW."
    return Finding("WB503", "error", message, remedy=remedy, line=line)


def size_of(text: str) -> int:
    """Bytes of a text that was decoded with `surrogateescape`."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogateescape"))


def first_bad(text: str, line: int, offset: int) -> Finding | None:
    """The finding for the first byte of a text that is not UTF-8; None where all are.

    Args:
        text: Decoded with `surrogateescape`.
        line: Line (1-based) it starts on.
        offset: Byte offset of its start in the file.
    """
    bad = None if text.isascii() else BAD_BYTE.search(text)
    if bad is None:
        return None
    before = text[: bad.start()]
    return not_utf8(line + before.count("\n"), offset + size_of(before), ord(bad[0]) - 0xDC00)
