"""Values written out in a text, JSON or Python, read with the origin of every text in them.

    ValueReader(tracked("{'city': 'Rome', 'n': 2} and so on")).read()  ->  {"city": "Rome" from offset 10, "n": 2}, 24

Datasets write calls as JSON, as Python (`{'a': True}`), or as JSON in single quotes (`'{"a": true}'`). Both kinds of
quotes and both spellings of constants are read; nothing is evaluated.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import accumulate
from typing import Any

from workbench.tracked import Run, Tracked, join

DEEPEST = 64
"""Levels of nesting that are read, as in `workbench.rows.row_findings`."""

CONSTANTS: dict[str, Any] = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "'": "'", "\\": "\\", "/": "/", "\n": ""}

_SPACE = re.compile(r"\s*")
_STRINGS = {
    '"': re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL),
    "'": re.compile(r"'([^'\\]*(?:\\.[^'\\]*)*)'", re.DOTALL),
}
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_WORD = re.compile(r"[A-Za-z]+")
_ESCAPE = re.compile(
    r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|U(000[0-9a-fA-F]{5}|0010[0-9a-fA-F]{4})|(.))", re.DOTALL
)


class Unreadable(ValueError):
    """Text that is no value.

    Args:
        at: Offset in the text where reading stopped.
        why: What is wrong there.
    """

    def __init__(self, at: int, why: str) -> None:
        self.at, self.why = at, why
        super().__init__(f"{why} at character {at}")


def skip_space(text: str, at: int) -> int:
    """Offset of the next character that is no white space."""
    found = _SPACE.match(text, at)
    return found.end() if found else at


class ValueReader:
    """Reads values out of one text.

    Args:
        text: The text.
        quoted: Whether an object in single quotes is the object, and not a text (`'{"a": "it's"}'`).
    """

    def __init__(self, text: Tracked, *, quoted: bool = False) -> None:
        self.plain = str.__str__(text)
        self.quoted = quoted
        self._plain_quotes: set[int] = set()
        self._runs = text.runs
        self._ends = list(accumulate(run.length for run in text.runs))

    def read(self, at: int = 0) -> tuple[Any, int]:
        """The value at an offset, white space before it skipped, with its texts tracked, and the offset behind it.

        Raises:
            Unreadable: Where the text is no value.
        """
        return self._value(at, 0)

    def _value(self, at: int, depth: int) -> tuple[Any, int]:
        at = skip_space(self.plain, at)
        if depth > DEEPEST:
            raise Unreadable(at, f"nesting of more than {DEEPEST}")
        char = self.plain[at : at + 1]
        if char == "{":
            return self._object(at, depth)
        if char == "[":
            return self._list(at, depth)
        if char == "'" and self.quoted and at not in self._plain_quotes:
            return self._in_quotes(at, depth)
        if char in _STRINGS:
            return self._string(at, char)
        return self._scalar(at)

    def _object(self, at: int, depth: int) -> tuple[dict[str, Any], int]:
        out: dict[str, Any] = {}
        at = skip_space(self.plain, at + 1)
        while self.plain[at : at + 1] != "}":
            quote = self.plain[at : at + 1]
            if quote not in _STRINGS:
                raise Unreadable(at, "no key in quotes")
            key, end = self._string(at, quote)
            if key in out:
                raise Unreadable(at, f"the key {str.__str__(key)!r} again")
            out[str.__str__(key)], at = self._value(self._expect(":", end) + 1, depth + 1)
            at = self._next(at, "}")
        return out, at + 1

    def _list(self, at: int, depth: int) -> tuple[list[Any], int]:
        out: list[Any] = []
        at = skip_space(self.plain, at + 1)
        while self.plain[at : at + 1] != "]":
            item, at = self._value(at, depth + 1)
            out.append(item)
            at = self._next(at, "]")
        return out, at + 1

    def _in_quotes(self, at: int, depth: int) -> tuple[Any, int]:
        """An object or list between single quotes, which need not be escaped inside it; else a text in quotes."""
        inner = skip_space(self.plain, at + 1)
        if self.plain[inner : inner + 1] in ("{", "["):
            try:
                value, end = self._value(inner, depth + 1)
                return value, self._expect("'", end) + 1
            except Unreadable:
                self._plain_quotes.add(at)  # read once only: trying again at every level would take exponential time
        return self._string(at, "'")

    def _next(self, at: int, closing: str) -> int:
        """Behind the comma, or at the closing bracket."""
        at = skip_space(self.plain, at)
        if self.plain[at : at + 1] == ",":
            return skip_space(self.plain, at + 1)
        return self._expect(closing, at)

    def _expect(self, char: str, at: int) -> int:
        at = skip_space(self.plain, at)
        if self.plain[at : at + 1] != char:
            raise Unreadable(at, f"no {char}")
        return at

    def _string(self, at: int, quote: str) -> tuple[Tracked, int]:
        found = _STRINGS[quote].match(self.plain, at)
        if found is None:
            raise Unreadable(at, "text that does not end")
        start, end = found.span(1)
        if "\\" not in found[1]:
            return self._slice(start, end), found.end()
        pieces: list[str] = []
        runs: list[Run] = []
        pending = start
        for escape in _ESCAPE.finditer(self.plain, start, end):
            at = escape.start()
            char = _escaped(escape)
            pieces += [self.plain[pending:at], char]
            runs += self._runs_of(pending, at + len(char))  # the character comes from where its escape begins
            pending = escape.end()
        text = Tracked("".join([*pieces, self.plain[pending:end]]), (*runs, *self._runs_of(pending, end)))
        return _whole_pairs(text), found.end()

    def _scalar(self, at: int) -> tuple[Any, int]:
        number = _NUMBER.match(self.plain, at)
        if number:
            try:
                return (float if number[1] or number[2] else int)(number[0]), number.end()
            except ValueError:
                raise Unreadable(at, "a number of too many digits") from None
        word = _WORD.match(self.plain, at)
        if word and word[0] in CONSTANTS:
            return CONSTANTS[word[0]], word.end()
        raise Unreadable(at, "no value")

    def _slice(self, start: int, end: int) -> Tracked:
        return Tracked(self.plain[start:end], tuple(self._runs_of(start, end)))

    def _runs_of(self, start: int, end: int) -> list[Run]:
        """Origins of characters, found by bisection: a text of many escapes has many runs."""
        runs: list[Run] = []
        index = bisect_right(self._ends, start)
        at = start
        while at < end:
            run, run_end = self._runs[index], self._ends[index]
            skipped = at - (run_end - run.length)
            length = min(end, run_end) - at
            runs.append(Run(length, run.origin, run.start + skipped, run.line))
            at, index = at + length, index + 1
        return runs


def _escaped(escape: re.Match[str]) -> str:
    """The character an escape stands for; none for an escaped line break."""
    code = escape[1] or escape[2] or escape[3]
    char = chr(int(code, 16)) if code else ESCAPES.get(escape[4])
    if char is None:
        raise Unreadable(escape.start(), f"the unknown escape \\{escape[4]}")
    return char


def _whole_pairs(text: Tracked) -> Tracked:
    """Two escapes that are halves of one character as that character."""
    plain = str.__str__(text)
    if plain.isascii():
        return text
    out: list[str] = []
    at = 0
    for pair in re.finditer("[\ud800-\udbff][\udc00-\udfff]", plain):
        char = pair[0].encode("utf-16", "surrogatepass").decode("utf-16")
        first = text[pair.start() : pair.start() + 1]
        out += [text[at : pair.start()], Tracked(char, first.runs)]
        at = pair.end()
    return join("", [*out, text[at:]]) if out else text
