"""Commands on their way to the trainer: `control/<time_ns>-<id>.json`, published by rename, acknowledged by events.

    send(run_dir, "stop", save=True) -> id          any process
    Inbox(run_dir).poll() -> [Command, …]           the trainer, at each step end

A file goes only after its final acknowledgement is in the log, so a command is never lost and never done twice in
silence: what a dead trainer left open is refused by the supervisor.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.training.durable_io import EventWriter, publish_json, remove

OPS = ("ping", "stop", "pause", "resume", "sample", "save", "tap", "cancel", "console")


@dataclass(frozen=True, slots=True)
class Command:
    """One command file.

    Attributes:
        members: The rest of its object (`save`, `messages`, …); `problem` says why it cannot be read.
    """

    id: str
    op: str
    members: dict[str, Any]
    file: str
    problem: str = ""


def send(run_dir: Path, op: str, **members: Any) -> str:
    """Publish a command and return its id. Nothing is checked here: the trainer refuses what it does not know."""
    command = uuid.uuid4().hex[:12]
    publish_json(run_dir / "control" / f"{time.time_ns():020d}-{command}.json", {"id": command, "op": op, **members})
    return command


def read(run_dir: Path) -> list[Command]:
    """Commands that are not yet finished, oldest first."""
    try:
        names = sorted(name for name in os.listdir(run_dir / "control") if not name.startswith("."))
    except FileNotFoundError:
        return []
    return [command for name in names if (command := _parse(run_dir / "control" / name)) is not None]


class Inbox:
    """The trainer's side: each command is handed out once."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self._folder = run_dir / "control"
        self._seen: set[str] = set()

    def poll(self) -> list[Command]:
        """Commands that came since the last look, oldest first (65-100 µs when there are none)."""
        new = sorted(name for name in os.listdir(self._folder) if name not in self._seen and not name.startswith("."))
        self._seen.update(new)
        return [command for name in new if (command := _parse(self._folder / name)) is not None]

    def interrupts(self) -> bool:
        """Whether a stop or a cancel waits, which ends a sample at its next token. Hands nothing out."""
        for name in os.listdir(self._folder):
            if name in self._seen or name.startswith("."):
                continue
            command = _parse(self._folder / name)
            if command is not None and command.op in ("stop", "cancel"):
                return True
        return False

    def done(self, command: Command) -> None:
        """Drop a command whose final acknowledgement is in the log."""
        remove(self._folder / command.file)
        self._seen.discard(command.file)


def refuse_open(run_dir: Path, log: EventWriter, reason: str, step: int | None = None) -> int:
    """Refuse every command that is still open, and return how many there were."""
    left = read(run_dir)
    for command in left:
        log.emit("ack", cmd=command.id, op=command.op, status="refused", step=step, error=reason)
        remove(run_dir / "control" / command.file)
    return len(left)


def _parse(path: Path) -> Command | None:
    """The command of a file; one that cannot be read has a `problem`; None when the file is gone."""
    name = path.name
    known_id = name.removesuffix(".json").rpartition("-")[2]
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        return Command(known_id, "unreadable", {}, name, f"{name} is not JSON: {error}")
    if not isinstance(value, dict) or not isinstance(value.get("op"), str):
        return Command(known_id, "unreadable", {}, name, f"{name} has no `op`")
    members = {key: item for key, item in value.items() if key not in ("id", "op")}
    return Command(str(value.get("id", known_id)), value["op"], members, name)
