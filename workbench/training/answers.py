"""What is answered about one run (docs/wire.md section 5), whoever asks: the server's routes, or a widget."""

from __future__ import annotations

from typing import Any

from workbench.training.requested_commands import command_members
from workbench.training.run import Run

DEFAULT_PAGE_BYTES = 1 << 18
MOST_PAGE_BYTES = 1 << 22
MOST_CAPTURED_BYTES = 1 << 26


def described(run: Run) -> dict[str, Any]:
    """Id, name and snapshot."""
    return {"id": run.id, "name": run.name, "snapshot": run.snapshot()}


def events_page(run: Run, offset: int, limit: int) -> dict[str, Any]:
    """Whole events from a byte offset on, and the offset to go on from.

    The state is read first: an event that is written in between is then in the page or in the next one, never skipped.

    Args:
        run: The run.
        offset: Bytes of the log already read.
        limit: About how many bytes to read.
    """
    now = run.status()
    events, end = run.events(offset, limit)
    log = run.dir / "events.jsonl"
    size = log.stat().st_size if log.exists() else 0
    return {"events": events, "offset": end, "state": now.state, "stalled": now.stalled, "size": size}


def send(run: Run, wanted: Any) -> str:
    """Publish a command that a page asked for, and return its id.

    Args:
        run: The run.
        wanted: `{"op", …}` of docs/wire.md section 3, unchecked.

    Raises:
        RunError: WB650 for a command that is none, WB602 where the run is over.
    """
    prompts = run.job.get("samples", {}).get("prompts") or []
    op, members = command_members(wanted, prompts)
    return run.stop(**members) if op == "stop" else run.send(op, **members)


def captured(run: Run, step: int) -> bytes | None:
    """What `forward()` received at a step, as JSON; None where there is nothing, or more than can be shown."""
    path = run.dir / "captured" / f"step-{step:06d}.json"
    try:
        return path.read_bytes() if path.stat().st_size <= MOST_CAPTURED_BYTES else None
    except FileNotFoundError:
        return None
