"""What goes on behind the picker: the sample is read to its end, and then every row of the file.

A change is answered from a small part of the sample; the rest of it, and running counts over the whole file, follow
from daemon threads, which end when there is nothing left to do.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError
from workbench.rows.scan import BackgroundScan
from workbench.types import FormatMatch

if TYPE_CHECKING:
    from workbench.api.picker import PickedData

POLL_S = 0.25
"""Seconds between two running counts."""


class Background:
    """The work behind one picker: at most one thread for the sample and one for the file.

    Args:
        picked: The picker.
        show: Called when there is something new to show; with running counts, or None when the state has changed.
    """

    def __init__(self, picked: PickedData, show: Callable[[dict[str, object] | None], None]) -> None:
        self._picked, self._show = picked, show
        self._scanning: tuple[FormatMatch, BackgroundScan] | None = None
        self.threads: list[threading.Thread] = []

    def follow(self) -> None:
        """Go on with what is chosen now; a scan for another way of reading ends."""
        self.threads = [thread for thread in self.threads if thread.is_alive()]
        self._start(self._complete)
        match = self._picked.unread
        if self._scanning is not None and self._scanning[0] != match:
            self._scanning[1].cancel()
            self._scanning = None
        if match is not None and self._scanning is None:
            self._scanning = (match, BackgroundScan(self._picked.data.source.rows, match).start())
            self._start(self._scan, *self._scanning)

    def join(self) -> None:
        """Wait for the end of what is going on."""
        while alive := [thread for thread in self.threads if thread.is_alive()]:
            alive[0].join()

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, name="picker", daemon=True)
        self.threads.append(thread)
        thread.start()

    def _complete(self) -> None:
        try:
            self._picked.complete_sample()
            self._show(None)
        except WorkbenchError:
            return  # the rows can no longer be read; the next change says so, with the place and the remedy

    def _scan(self, match: FormatMatch, scanning: BackgroundScan) -> None:
        try:
            while not (seen := scanning.result(POLL_S)).done:
                if self._scanning is None or self._scanning[1] is not scanning:
                    return
                self._show({"done": seen.rows, "running": True})
        except WorkbenchError:
            self._show({"done": 0, "running": False})  # the file has changed or is gone; the next change says so
            return
        if self._picked.take_scan(seen, match):
            self._show({"done": seen.rows, "running": False})
            self._show(None)


def match_of(type: str, columns: dict[str, str]) -> FormatMatch:
    """What a scan holds rows against."""
    return FormatMatch(type, columns, 0, 0)
