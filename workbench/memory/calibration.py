"""Constants of this machine, learned from runs that have finished here: the driver's context, and a process's overhead.

    record("cuda", "NVIDIA L4", context_bytes, run="0007-k3f9")
    constants("cuda", "NVIDIA L4")  ->  Constants(low, high, runs=3)

They replace the interval that stands for an unknown machine, for its own GPU and for host memory only; an estimate that
uses them says so in `assumptions`. A file of a line a run in the user's state folder; `WORKBENCH_REFINE=off` neither
writes nor reads it, and deleting it forgets everything.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from workbench.memory.cards import Card
from workbench.memory.figures import GIB, Estimate, Interval

KEPT = 20
"""Newest runs that count; older drivers and libraries had other constants."""

PLAUSIBLE = Interval(0, 8 * GIB)
"""A context or an overhead outside this is a reading gone wrong."""

SWITCH = "WORKBENCH_REFINE"


@dataclass(frozen=True, slots=True)
class Constants:
    """What this machine needs beside tensors.

    Attributes:
        low: Smallest seen, bytes.
        high: Largest seen, bytes.
        runs: How many runs they come from.
    """

    low: int
    high: int
    runs: int


def enabled() -> bool:
    """Whether runs refine estimates."""
    return os.environ.get(SWITCH, "on").lower() not in ("off", "0", "no", "false")


def state_file() -> Path:
    """Where the runs are kept: under `$XDG_STATE_HOME` (default `~/.local/state`)."""
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(home).expanduser() / "finetune-workbench" / "memory.jsonl"


def record(device: str, card: str, size: int, run: str) -> bool:
    """Remember what a run needed beside its tensors.

    Args:
        device: `cuda`: the driver's context; `cpu`: interpreter and libraries.
        card: The GPU's name; empty on the CPU.
        size: Bytes.
        run: Id of the run.

    Returns:
        Whether it was kept: not where refining is off, the reading is not plausible, or the file cannot be written.
    """
    if not enabled() or not PLAUSIBLE.low < size <= PLAUSIBLE.high:
        return False
    line = json.dumps({"device": device, "card": card, "bytes": size, "run": run, "t": time.time()})
    try:
        state_file().parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(state_file(), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError:
        return False
    try:
        os.write(fd, f"{line}\n".encode())
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def constants(device: str, card: str = "") -> Constants | None:
    """What finished runs of this machine needed beside tensors; None where there were none, or refining is off."""
    if not enabled():
        return None
    sizes = [int(line["bytes"]) for line in _lines() if line["device"] == device and line["card"] == card][-KEPT:]
    return Constants(min(sizes), max(sizes), len(sizes)) if sizes else None


def _lines() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    try:
        text = state_file().read_text(encoding="utf-8", errors="replace")
    except OSError:
        return found
    for line in text.splitlines():
        with suppress(ValueError, KeyError, TypeError):
            values = cast("dict[str, Any]", json.loads(line))
            size = int(values["bytes"])
            if PLAUSIBLE.low < size <= PLAUSIBLE.high:
                found.append({"device": str(values["device"]), "card": str(values["card"]), "bytes": size})
    return found


def refined(made: Estimate, card: Card | None) -> tuple[Estimate, list[str]]:
    """An estimate with this machine's constants, and the sentence that says so.

    A card that is not this machine's keeps the interval for an unknown one; on the CPU the overhead of a process counts
    as `context`, so that `shown` is what the system shows for the process.
    """
    if made.device == "cuda" and (card is None or not card.local):
        return made, []
    known = constants(made.device, card.local if card is not None and made.device == "cuda" else "")
    if known is None:
        return made, []
    runs = "1 run" if known.runs == 1 else f"{known.runs} runs"
    what = "driver context" if made.device == "cuda" else "a process beside its tensors"
    interval = Interval(known.low, known.high)
    sentence = f"{what} {interval}, refined from {runs} on this machine ({SWITCH}=off leaves it out)"
    return replace(made, context=interval), [sentence]
