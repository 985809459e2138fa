r"""Characters of the data that a template did not write, and the line that had them last.

    {%- set content = message.content.split('</think>')[-1] %}      line 5
    cuts_of(…)  ->  Cut("messages[2].content", 0, 59, line=5, at=126)

What is missing follows from the fields alone: characters of a message that stand nowhere in the text. Which line it was
is observed: while a template renders, every slice of a tracked text is noted with its template line, and the line of
the last slice that left a character out is the one named. Characters that no slice ever left out were never written
(`line` is None): the template has no use for that message or key.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, cast

from workbench.tracked import Run, Runs, Tracked, cut, runs_of, slices_told_to
from workbench.types import Conversation, Rendered

SILENT = frozenset({"role", "type", "id", "tool_call_id", "name"})
"""Keys that templates read to decide, and rarely write: their text is not missed."""

MOST_DROPS = 50_000
"""Slices that are noted of one rendering; what is left out behind them has no line."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Neighbouring characters of one field that are not in the text.

    Attributes:
        field: Dataset path.
        message: Index of the message.
        start, end: Characters of the field, end exclusive.
        line: Template line (1-based) that left them out last; None where no line ever had them.
        at: Character of the text where they would stand.
    """

    field: str
    message: int | None
    start: int
    end: int
    line: int | None
    at: int


class Drop(NamedTuple):
    """Characters of a field that a slice left out."""

    field: str
    start: int
    end: int
    line: int


@contextmanager
def watched_cuts() -> Generator[list[Drop]]:
    """Note what slices leave out, until the block ends; of this thread only."""
    drops: list[Drop] = []
    thread = threading.get_ident()

    def note(runs: Runs, start: int, stop: int) -> None:
        if len(drops) >= MOST_DROPS or threading.get_ident() != thread:
            return
        length = sum(run.length for run in runs)
        if start == 0 and stop >= length:
            return
        line = _template_line()
        if line is not None:
            left_out = (*cut(runs, 0, start), *cut(runs, stop, length))
            drops.extend(
                Drop(run.origin.field, run.start, run.start + run.length, line)
                for run in left_out
                if run.origin and run.origin.field is not None
            )

    with slices_told_to(note):
        yield drops


def _template_line() -> int | None:
    """Line of the template whose compiled code is running."""
    frame = sys._getframe(2)  # pyright: ignore[reportPrivateUsage]  # how tracebacks are read, too
    while frame is not None:
        template = frame.f_globals.get("__jinja_template__")
        if template is not None:
            return cast("int", template.get_corresponding_lineno(frame.f_lineno))
        frame = frame.f_back
    return None


def cuts_of(talk: Conversation, rendered: Rendered, drops: list[Drop]) -> tuple[Cut, ...]:
    """What of the messages is not in the text, in text order."""
    places = _Places(rendered)
    found: list[Cut] = []
    for index, message in enumerate(talk.messages):
        for run in _said(message):
            if run.origin and run.origin.field is not None:
                found.extend(places.missing(run, index, drops))
    return tuple(sorted(found, key=lambda item: (item.at, item.message or 0, item.start)))


def _said(value: Any) -> Iterator[Run]:
    """Runs of every text of a message but those under silent keys."""
    if isinstance(value, Tracked):
        yield from runs_of(value)
    elif isinstance(value, Mapping):
        for key, item in cast("Mapping[str, Any]", value).items():
            if key not in SILENT:
                yield from _said(item)
    elif isinstance(value, list | tuple):
        for item in cast("list[Any]", value):
            yield from _said(item)


class _Places:
    """Where in the text each field stands."""

    def __init__(self, rendered: Rendered) -> None:
        self.turns = rendered.turns
        self.written: dict[str, list[tuple[int, int, int]]] = {}  # field -> (start, end, character of the text)
        at = 0
        for run in runs_of(rendered.text):
            if run.origin and run.origin.field is not None:
                self.written.setdefault(run.origin.field, []).append((run.start, run.start + run.length, at))
            at += run.length
        for spans in self.written.values():
            spans.sort()

    def missing(self, run: Run, message: int, drops: list[Drop]) -> Iterator[Cut]:
        """Cuts of one stretch of a field."""
        field = run.origin.field if run.origin else None
        if field is None:
            return
        for start, end in self._gaps(field, run.start, run.start + run.length):
            for low, high, line in _by_line(field, start, end, drops):
                yield Cut(field, message, low, high, line, self._place(field, low, message))

    def _gaps(self, field: str, start: int, end: int) -> Iterator[tuple[int, int]]:
        for low, high, _ in self.written.get(field, ()):
            if low > start and start < end:
                yield start, min(low, end)
            start = max(start, high)
        if start < end:
            yield start, end

    def _place(self, field: str, start: int, message: int) -> int:
        spans = self.written.get(field, [])
        before = [at + high - low for low, high, at in spans if high <= start]
        if before:
            return before[-1]
        if spans:
            return spans[0][2]
        own = next((turn.body for turn in self.turns if turn.message == message), None)
        if own is not None:
            return own
        return max((turn.end for turn in self.turns if turn.message < message), default=0)


def _by_line(field: str, start: int, end: int, drops: list[Drop]) -> Iterator[tuple[int, int, int | None]]:
    """A missing stretch in parts, each with the line that left it out last."""
    over = [drop for drop in drops if drop.field == field and drop.start < end and drop.end > start]
    edges = sorted({start, end, *(edge for drop in over for edge in (drop.start, drop.end) if start < edge < end)})
    parts: list[tuple[int, int, int | None]] = []
    for low, high in pairwise(edges):
        line = next((drop.line for drop in reversed(over) if drop.start <= low and drop.end >= high), None)
        if parts and parts[-1][2] == line:
            parts[-1] = (parts[-1][0], high, line)
        else:
            parts.append((low, high, line))
    yield from parts
