"""All rows against the type that a sample chose: how many fit, which do not, which are built otherwise.

    for seen in scanning(rows, match): ...        # running counts, a chunk of rows at a time
    scan(rows, match).misfits                     # after the last row
    scanned = BackgroundScan(rows, match); scanned.start(); scanned.poll().rows

`detect` looks at a sample; one row in a million is found here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.errors import WorkbenchError
from workbench.rows.formats import FORMATS
from workbench.rows.signatures import Claims, Signature, look_at, misfit
from workbench.rows.structures import Structures, structure_of
from workbench.types import Finding, FormatMatch

CHUNK = 500
"""Rows between two running counts."""
LISTED = 1000
"""Misfit rows that are listed by index; the rest is counted."""
REST_SECONDS = 0.001
"""Pause of the background thread after each chunk, so that a cell that runs meanwhile gets its share."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Scan:
    """What all rows looked at so far say.

    Attributes:
        type: The type they are held against.
        rows: Rows looked at.
        done: Whether these are all.
        counts: Rows by the type that reads each best; `unknown` for none.
        misfits: Rows that do not fit the type.
        misfit_rows: Indices of the first of them, at most `LISTED`.
        lacking: Our column name -> misfit rows in which it is the first that is absent or of another shape.
        structures: How the rows of the type are built (`several turns`) -> rows.
        findings: Structures that are rare (WB514), and misfit rows (WB515).
    """

    type: str
    rows: int = 0
    done: bool = False
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    misfits: int = 0
    misfit_rows: tuple[int, ...] = ()
    lacking: Mapping[str, int] = field(default_factory=dict[str, int])
    structures: Mapping[str, int] = field(default_factory=dict[str, int])
    findings: tuple[Finding, ...] = ()


class _Running:
    """The counts while they grow."""

    def __init__(self, match: FormatMatch) -> None:
        self._entry, self._columns = FORMATS[match.type], match.columns
        self._claims, self._structures = Claims(), Structures()
        self._wrong: dict[Signature, str | None] = {}
        self._lacking: dict[str, int] = {}
        self._misfits: list[int] = []
        self._rows = 0

    def add(self, row: Row) -> None:
        """Look at the next row."""
        looked = look_at(row)
        signature = looked.signature
        self._claims.add(signature)
        if signature not in self._wrong:
            self._wrong[signature] = misfit(signature, self._entry, self._columns)
        wrong = self._wrong[signature]
        if wrong is None:
            self._structures.add(self._rows, structure_of(looked.values, self._entry.name, self._columns))
        else:
            self._lacking[wrong] = self._lacking.get(wrong, 0) + 1
            if len(self._misfits) < LISTED:
                self._misfits.append(self._rows)
        self._rows += 1

    def seen(self, done: bool) -> Scan:
        """The counts as they are now."""
        misfits = sum(self._lacking.values())
        findings = self._structures.findings(self._entry.name) if done else []
        if done and misfits:
            findings.insert(0, self._misfit(misfits))
        return Scan(
            type=self._entry.name,
            rows=self._rows,
            done=done,
            counts=dict(self._claims.counts().most_common()),
            misfits=misfits,
            misfit_rows=tuple(self._misfits),
            lacking=dict(self._lacking),
            structures=dict(self._structures.counts),
            findings=tuple(findings),
        )

    def _misfit(self, misfits: int) -> Finding:
        listed = ", ".join(map(str, self._misfits[:10])) + (", …" if misfits > 10 else "")
        names = {name: self._columns.get(name, name) for name in self._lacking}
        lacking = ", ".join(f"`{names[name]}` in {count:,}" for name, count in self._lacking.items())
        message = (
            f"{misfits:,} of {self._rows:,} rows do not fit `{self._entry.name}`: {listed}. "
            f"Absent or of another kind is {lacking}."
        )
        remedy = "Each of them is listed with its reason when the data is encoded; mend or drop them."
        row = self._misfits[0] if misfits == 1 else None
        return Finding("WB515", "warning", message, row=row, remedy=remedy)


def scanning(rows: Iterable[Row], match: FormatMatch) -> Iterator[Scan]:
    """Running counts over all rows, the last one with `done`.

    Args:
        rows: Data rows; gone through once, one at a time.
        match: The type to hold them against, with its columns.
    """
    running = _Running(match)
    for number, row in enumerate(rows, start=1):
        running.add(row)
        if number % CHUNK == 0:
            yield running.seen(done=False)
    yield running.seen(done=True)


def scan(rows: Iterable[Row], match: FormatMatch, *, stop: Callable[[], bool] | None = None) -> Scan:
    """Look at all rows.

    Args:
        rows: Data rows.
        match: The type to hold them against, with its columns.
        stop: Asked after each chunk; when it says so, the counts up to there are returned, not `done`.
    """
    seen = Scan(match.type)
    for seen in scanning(rows, match):
        if not seen.done and stop is not None and stop():
            break
    return seen


class BackgroundScan:
    """A scan in a daemon thread, for a page that shows the counts grow.

    Args:
        rows: Data rows.
        match: The type to hold them against.
    """

    def __init__(self, rows: Sequence[Row], match: FormatMatch) -> None:
        self._rows, self._match = rows, match
        self._seen = Scan(match.type)
        self._error: WorkbenchError | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"scan for {match.type}", daemon=True)

    def start(self) -> BackgroundScan:
        """Begin; returns at once."""
        self._thread.start()
        return self

    def poll(self) -> Scan:
        """The counts so far.

        Raises:
            WorkbenchError: What reading the rows raised, such as a file that has changed (WB555).
        """
        if self._error is not None:
            raise self._error
        return self._seen

    def result(self, timeout: float | None = None) -> Scan:
        """Wait for the last row, at most that many seconds, and give the counts.

        Raises:
            WorkbenchError: What reading the rows raised.
        """
        self._thread.join(timeout)
        return self.poll()

    def cancel(self) -> None:
        """Stop after the row that is being looked at."""
        self._stopped.set()

    def _run(self) -> None:
        try:
            for seen in scanning(self._until_stopped(), self._match):
                if self._stopped.is_set():
                    return
                self._seen = seen
                time.sleep(REST_SECONDS)
        except WorkbenchError as error:
            self._error = error

    def _until_stopped(self) -> Iterator[Row]:
        for row in self._rows:
            if self._stopped.is_set():
                return
            yield row
