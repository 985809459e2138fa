"""Where runs lie: roots, ids, and the register of every root that ever held a run.

    create_run(job, rows) -> Run       find_run("7" | "0007-k3f9" | path) -> Run       list_runs() -> [Run, …]

A directory without job.json is a run that was never finished creating and is not listed. Nothing is ever deleted here.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import string
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from workbench.errors import RunError
from workbench.training import durable_io
from workbench.training.durable_io import EventWriter, Lock
from workbench.training.run import Run

_ID = re.compile(r"(\d{4,})-[a-z0-9]{4}")
_ALPHABET = string.ascii_lowercase + string.digits


def runs_root(root: Path | str | None = None) -> Path:
    """Where runs are made: `root`, else `$WORKBENCH_RUNS`, else `./runs`."""
    return Path(root or os.environ.get("WORKBENCH_RUNS") or "runs").expanduser().resolve()


def register_file() -> Path:
    """The register of roots: one path a line, under `$XDG_STATE_HOME` (default `~/.local/state`)."""
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(home).expanduser() / "finetune-workbench" / "roots"


def known_roots() -> list[Path]:
    """The present root and every registered one that still exists, each once."""
    try:
        lines = register_file().read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        lines = []
    roots = dict.fromkeys([runs_root(), *(Path(line) for line in lines if line)])
    return [root for root in roots if root.is_dir()]


def create_run(
    job: Mapping[str, Any],
    write_rows: Callable[[Path], object],
    root: Path | str | None = None,
    expected: Mapping[str, Any] | None = None,
) -> Run:
    """Make a run directory with everything in it, in state `queued`.

    Args:
        job: Members of job.json but `version`, `id` and `created`, which are added here.
        write_rows: Writes rows.parquet at the path it gets.
        root: See `runs_root`.
        expected: The preview's batches for expected.json, if any.
    """
    home = runs_root(root)
    home.mkdir(parents=True, exist_ok=True)
    _register(home)
    with Lock(home / ".numbers.lock") as numbers:
        if not numbers.take(timeout=30):
            raise RunError(f"{home} is busy: another launch holds its number lock.", remedy="Try again.", code="WB606")
        run_dir = _new_folder(home)
    for name in ("control", "captured", "out"):
        durable_io.private_folder(run_dir / name)
    durable_io.publish_with(run_dir / "rows.parquet", write_rows)
    if expected is not None:
        durable_io.publish_json(run_dir / "expected.json", expected)
    whole = {"version": 1, "id": run_dir.name, "created": time.time(), **job}
    whole["expected"] = "expected.json" if expected is not None else whole.get("expected")
    with Lock(run_dir / "run.lock") as lock:
        lock.take()
        log = EventWriter(run_dir, lock)
        log.emit("state", state="queued", step=0, max_steps=None)
        log.close()
    durable_io.publish_json(run_dir / "job.json", whole)
    return Run(run_dir)


def list_runs(root: Path | str | None = None) -> list[Run]:
    """Runs of one root, or of all known roots, newest first."""
    roots = [runs_root(root)] if root is not None else known_roots()
    found = [folder for home in roots for folder in _run_folders(home)]
    return [Run(folder) for folder in sorted(found, key=_created, reverse=True)]


def find_run(which: str | int | Path, root: Path | str | None = None) -> Run:
    """The run of an id (`0007-k3f9`), a number (`7`, in the present root first) or a directory.

    Raises:
        RunError: When there is none, or a number means several runs of different roots.
    """
    path = Path(str(which)).expanduser()
    if (path / "job.json").is_file():
        return Run(path)
    roots = [runs_root(root)] if root is not None else known_roots()
    for home in roots:
        hits = [folder for folder in _run_folders(home) if _matches(folder.name, str(which))]
        if len(hits) == 1:
            return Run(hits[0])
        if hits:
            names = ", ".join(folder.name for folder in hits)
            raise RunError(f"{which!r} means several runs of {home}: {names}.", remedy="Give the id.", code="WB607")
    raise RunError(
        f"There is no run {str(which)!r} in {', '.join(str(home) for home in roots) or runs_root(root)}.",
        remedy="`workbench runs` lists what there is; give an id, a number or a run directory.",
        code="WB601",
    )


def _matches(name: str, which: str) -> bool:
    number = _ID.fullmatch(name)
    return name == which or (which.isdigit() and number is not None and int(number[1]) == int(which))


def _run_folders(home: Path) -> list[Path]:
    if not home.is_dir():
        return []
    return [home / name for name in os.listdir(home) if _ID.fullmatch(name) and (home / name / "job.json").is_file()]


def _created(run_dir: Path) -> float:
    try:
        return float(json.loads((run_dir / "job.json").read_bytes())["created"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0  # a run whose job.json is damaged is listed last; it never hides the others


def _new_folder(home: Path) -> Path:
    numbers = [int(match[1]) for name in os.listdir(home) if (match := _ID.fullmatch(name))]
    suffix = "".join(secrets.choice(_ALPHABET) for _ in range(4))
    return durable_io.private_folder(home / f"{max(numbers, default=0) + 1:04d}-{suffix}")


def _register(home: Path) -> None:
    register = register_file()
    durable_io.private_folder(register.parent)
    lines = register.read_text(encoding="utf-8").splitlines() if register.exists() else []
    if str(home) not in lines:
        durable_io.append(register, f"{home}\n".encode())
