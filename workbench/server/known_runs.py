"""Runs that the server may read: directories named like a run, right under a remembered root, and nothing else."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

from workbench.training.run import Run
from workbench.training.store import known_roots, list_runs

KEPT_RUNS = 64
"""Open runs whose reading position is kept, so that a snapshot costs only what is new."""


class KnownRuns:
    """Finds runs by id, and remembers how far each was read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: OrderedDict[Path, Run] = OrderedDict()
        self._ended: dict[Path, tuple[tuple[int, int], dict[str, Any]]] = {}

    def find(self, run_id: str) -> Run | None:
        """The run of an id under any known root; None when there is none.

        Args:
            run_id: Already matched by the route's pattern, so it holds no path separator.
        """
        for root in known_roots():
            folder = root / run_id
            # A link out of the root would lead to a directory that nobody registered.
            if folder.is_symlink() or not (folder / "job.json").is_file():
                continue
            return self._kept(folder)
        return None

    def summaries(self, limit: int) -> list[dict[str, Any]]:
        """One line a run over all known roots, newest first."""
        return [self._summary(run) for run in list_runs()[:limit]]

    def _kept(self, folder: Path) -> Run:
        with self._lock:
            run = self._open.pop(folder, None) or Run(folder)
            self._open[folder] = run
            if len(self._open) > KEPT_RUNS:
                self._open.popitem(last=False)
            return run

    def _summary(self, run: Run) -> dict[str, Any]:
        """A run's line; that of an ended run is read once, until its log changes."""
        mark = _mark(run.dir)
        known = self._ended.get(run.dir)
        if known is not None and known[0] == mark:
            return known[1]
        summary = run.summary()
        if summary["state"] in ("completed", "stopped", "failed"):
            self._ended[run.dir] = (mark, summary)
        return summary


def _mark(run_dir: Path) -> tuple[int, int]:
    """Size (bytes) and time (ns) of the event log; both change with every event."""
    try:
        stat = (run_dir / "events.jsonl").stat()
    except FileNotFoundError:
        return (0, 0)
    return (stat.st_size, stat.st_mtime_ns)
