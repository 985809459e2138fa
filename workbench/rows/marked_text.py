r"""A conversation written as one text, cut at the marks that say who speaks, each piece with its place in the text.

    cut_at_marks("USER: 2+2?\n\nASSISTANT: 4 <|endoftext|>", …)  ->  Piece("USER", 6, 10), Piece("ASSISTANT", 23, 24)

Marks at the beginning of a line count. In a text that has none but the first, marks behind white space count, because
copies of such data have lost their line breaks; then the turns must alternate, or the text is refused as ambiguous.
Every character that is no mark and no white space around a piece is in a piece, or the row is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from workbench.rows.row_findings import RowFindings
from workbench.tracked import Run, Tracked, origin_of

FENCE = "```"
END_OF_TEXT = "<|endoftext|>"


class Piece(NamedTuple):
    """What one speaker says.

    Attributes:
        mark: Who speaks.
        start, end: Its characters, without white space around them.
    """

    mark: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Marked:
    """A text with marks, and where it stands.

    Attributes:
        text: The text.
        field: Its column.
        notes: Takes the findings.
    """

    text: str
    field: str
    notes: RowFindings

    def part(self, start: int, end: int, message: int | None, key: str = "content") -> Tracked:
        """Characters of the text, with their place."""
        if start >= end:
            return Tracked()
        return Tracked(self.text[start:end], (Run(end - start, origin_of(self.field, message, key), start, 0),))

    def stripped(self, start: int, end: int) -> tuple[int, int]:
        """The span without white space at its ends."""
        piece = self.text[start:end].rstrip()
        end = start + len(piece)
        return end - len(piece.lstrip()), end

    def refuse(self, code: str, why: str, at: int, remedy: str) -> None:
        """Note an error at a character."""
        self.notes.error(code, f"`{self.field}` {why} at character {at}: {_shown(self.text, at)}.", self.field, remedy)


def cut_at_marks(marked: Marked, marks: Sequence[str]) -> list[Piece]:
    """Cut a text at its marks; empty, with findings, where they are ambiguous.

    Args:
        marked: The text.
        marks: Names of the speakers, as they are written in front of a colon.
    """
    text = marked.text
    start, end = _inside_fence(text)
    names = "|".join(re.escape(mark) for mark in marks)
    found = list(re.compile(rf"^[ \t]*({names}):", re.MULTILINE).finditer(text, start, end))
    inline = list(re.compile(rf"(?:^|(?<=\s))({names}):").finditer(text, start, end))
    if len(found) <= 1 and len(inline) >= 2:
        found = inline
        _refuse_odd_order(marked, found)
    else:
        _warn_of_inline(marked, found, inline)
    if not found:
        marked.refuse("WB590", f"has no mark such as {marks[0]}:", start, "Write who speaks in front of every turn.")
        return []
    before = marked.stripped(start, found[0].start())
    if before[0] < before[1]:
        marked.refuse("WB590", "has text before the first mark", before[0], "Put a mark before it, or drop the row.")
    bounds = [*(match.start() for match in found), end]
    return [
        Piece(match[1], *marked.stripped(match.end(), behind)) for match, behind in zip(found, bounds[1:], strict=True)
    ]


def without_end(marked: Marked, piece: Piece) -> Piece:
    """The piece without the text that ends an answer; an error where something stands behind that."""
    at = marked.text.find(END_OF_TEXT, piece.start, piece.end)
    if at < 0:
        return piece
    start, end = piece.end, at + len(END_OF_TEXT)
    while marked.text.startswith(END_OF_TEXT, end):
        end += len(END_OF_TEXT)
    rest = marked.stripped(end, start)
    if rest[0] < rest[1]:
        why = f"has text behind {END_OF_TEXT} and before the next mark"
        marked.refuse("WB590", why, rest[0], "Put a mark before it, or drop it.")
    return Piece(piece.mark, *marked.stripped(piece.start, at))


def _inside_fence(text: str) -> tuple[int, int]:
    """The text without a code fence around the whole of it."""
    start = len(text) - len(text.lstrip())
    end = len(text.rstrip())
    if text.startswith(FENCE, start) and text.endswith(FENCE, start + 2 * len(FENCE), end):
        line = text.find("\n", start)
        return (line + 1 if 0 <= line < end else start + len(FENCE)), end - len(FENCE)
    return 0, len(text)


def _refuse_odd_order(marked: Marked, found: Sequence[re.Match[str]]) -> None:
    """In a text of one line, a mark twice in a row may be a word that somebody says."""
    for before, match in pairwise(found):
        if before[1] == match[1]:
            why = f"has the mark {match[1]}: twice in a row on one line, and either may be a word of the text,"
            marked.refuse("WB590", why, match.start(), "Put every turn on a line of its own.")
            return


def _warn_of_inline(marked: Marked, found: Sequence[re.Match[str]], inline: Sequence[re.Match[str]]) -> None:
    """Marks in the middle of a line are words of the text where others begin lines."""
    starts = {match.start(1) for match in found}
    within = [match for match in inline if match.start(1) not in starts]
    if within:
        more = f", and {len(within) - 1} more like it" if len(within) > 1 else ""
        place = f"at character {within[0].start(1)}{more}"
        message = f"`{marked.field}` has {within[0][1]}: in the middle of a line, {place}."
        remedy = "It is kept as text. Put it at the beginning of a line, if it begins a turn."
        marked.notes.warning("WB590", message, marked.field, remedy)


def _shown(text: str, at: int) -> str:
    shown = text[at : at + 40]
    return repr(shown + ("…" if len(text) > at + 40 else ""))
