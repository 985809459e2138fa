"""Parts of a text that the row marks as trained or not, found in the rendered text by where characters come from.

Nothing is searched for: a template may strip, split or move the text, its characters keep their path and offset. Where
a row marks parts of a message, nothing else of the message is trained but its stop token. A marked beginning that
inference supplies (`prefill`) only takes that beginning out.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from workbench.tracked import Run, runs_of
from workbench.types import CharSpan, Origin, Reason, Rendered, Turn


class Mark(NamedTuple):
    """Characters of the rendered text that a row marks."""

    start: int
    end: int
    train: bool
    reason: Reason


class Placed(NamedTuple):
    """Runs of a rendered text with where they start, ascending."""

    starts: Sequence[int]
    runs: Sequence[Run]

    def within(self, start: int, end: int) -> Iterator[tuple[int, Run]]:
        """Start and run of every run that begins at or behind `start` and before `end`."""
        for index in range(max(bisect_right(self.starts, start - 1), 0), len(self.starts)):
            if self.starts[index] >= end:
                return
            yield self.starts[index], self.runs[index]


def placed(rendered: Rendered) -> Placed:
    """The runs of a text with their places."""
    runs = runs_of(rendered.text)
    starts: list[int] = []
    at = 0
    for run in runs:
        starts.append(at)
        at += run.length
    return Placed(starts, runs)


def marks_of(
    rendered: Rendered, runs: Placed, spans: Mapping[str, tuple[CharSpan, ...]]
) -> dict[int, tuple[Mark, ...]]:
    """Marked parts by the index of the turn they stand in; a turn whose text is marked nowhere is not among them."""
    found: dict[int, tuple[Mark, ...]] = {}
    for index, turn in enumerate(rendered.turns):
        own = [item for item in runs.within(turn.start, turn.end) if _is_marked(item[1].origin, turn, spans)]
        if own:
            found[index] = tuple(mark for at, run in own for mark in _marks(at, run, spans))
    return found


def _is_marked(origin: Origin | None, turn: Turn, spans: Mapping[str, tuple[CharSpan, ...]]) -> bool:
    return origin is not None and origin.message == turn.message and origin.field in spans


def _marks(at: int, run: Run, spans: Mapping[str, tuple[CharSpan, ...]]) -> Iterator[Mark]:
    field = run.origin.field if run.origin else None
    for span in spans[field or ""]:
        low, high = max(span.start, run.start), min(span.end, run.start + run.length)
        if low < high:
            reason = Reason.PREFILL if span.why == "prefill" and not span.train else Reason.SPAN
            start = at + low - run.start
            yield Mark(
                start,
                start + high - low,
                span.train,
                reason if span.train or reason is not Reason.SPAN else Reason.SPAN_OFF,
            )


def is_prefill(marks: Sequence[Mark]) -> bool:
    """Whether the marks only take a beginning out of a message that is trained as usual."""
    return any(mark.reason is Reason.PREFILL for mark in marks)


def joined(marks: Iterable[Mark]) -> list[tuple[int, int]]:
    """Trained characters, neighbours as one."""
    out: list[tuple[int, int]] = []
    for mark in sorted(mark for mark in marks if mark.train):
        if out and out[-1][1] >= mark.start:
            out[-1] = (out[-1][0], max(out[-1][1], mark.end))
        else:
            out.append((mark.start, mark.end))
    return out
