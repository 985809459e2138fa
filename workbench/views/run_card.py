"""The run card's payload, its static HTML and its plain text (docs/wire.md section 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import isfinite
from typing import Any, cast

WORDS = {
    "queued": "Queued",
    "starting": "Starting",
    "running": "Running",
    "pausing": "Pausing",
    "paused": "Paused",
    "stopping": "Stopping",
    "stopped": "Stopped",
    "completed": "Finished",
    "failed": "Failed",
    "died": "Died",
}
WIDTH, HEIGHT = 560, 120


def payload(run_id: str, name: str, snapshot: Mapping[str, Any], code: str) -> dict[str, Any]:
    """What the card shows at first, and without a server."""
    live = snapshot["state"] not in ("stopped", "completed", "failed", "died")
    return {"version": 1, "id": run_id, "name": name, "live": live, "snapshot": finite(dict(snapshot)), "code": code}


def finite(value: Any) -> Any:
    """The value with NaN and infinities as None: JSON has no word for them."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in cast("list[Any]", value)]
    return value


def plain_text(shown: Mapping[str, Any]) -> str:
    """The run in a line, and its newest samples."""
    now = shown["snapshot"]
    loss = "" if now["loss"] is None else f", loss {now['loss']:.3g}"
    progress = f"step {now['step']} of {now['max_steps'] or '?'}{loss}"
    lines = [f"{WORDS[now['state']]} {shown['id']} ({shown['name']}): {progress}"]
    newest = {sample["prompt"]: sample for sample in now["samples"] if sample["prompt"] is not None}
    for index, sample in sorted(newest.items()):
        prompt = now["prompts"][index] if index < len(now["prompts"]) else ""
        lines.append(f"  step {sample['step']}: {prompt!r} -> {sample['text']!r}")
    if now["message"]:
        lines.append(f"  {now['message']}")
    return "\n".join(lines)


def static_html(shown: Mapping[str, Any]) -> str:
    """A snapshot without script: state, loss curve as SVG, samples as a table."""
    now = shown["snapshot"]
    loss = "" if now["loss"] is None else f", loss <b>{now['loss']:.3g}</b>"
    head = (
        f'<div style="font:13px sans-serif"><b>{WORDS[now["state"]]} {escape(shown["id"])}</b> '
        f"{escape(shown['name'])}: "
        f"step <b>{now['step']}</b> of {now['max_steps'] or '?'}{loss}</div>"
    )
    message = f'<div style="font:12px sans-serif">{escape(now["message"])}</div>' if now["message"] else ""
    return f'<div class="wb-static">{head}{message}{curve(now["series"])}{_samples(now)}</div>'


def curve(series: Mapping[str, Sequence[Any]]) -> str:
    """The loss as an SVG line with its range in words; empty for fewer than two points."""
    points = [(x, y) for x, y in zip(series["step"], series["loss"], strict=True) if y is not None]
    if len(points) < 2:
        return ""
    low, high = min(y for _, y in points), max(y for _, y in points)
    first, last = points[0][0], points[-1][0]
    across, up = (last - first) or 1, (high - low) or 1
    path = " ".join(
        f"{4 + (x - first) / across * (WIDTH - 8):.1f},{4 + (high - y) / up * (HEIGHT - 8):.1f}" for x, y in points
    )
    words = f"Loss from {points[0][1]:.3g} at step {first} to {points[-1][1]:.3g} at step {last}"
    return (
        f'<svg role="img" aria-label="{words}" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">'
        f'<polyline fill="none" stroke="#1976d2" stroke-width="1.5" points="{path}"/></svg>'
        f'<div style="font:12px sans-serif">{words}.</div>'
    )


def _samples(now: Mapping[str, Any]) -> str:
    """Prompt by step; at most the first and the last three columns."""
    scheduled = [sample for sample in now["samples"] if sample["prompt"] is not None]
    steps = sorted({sample["step"] for sample in scheduled})
    steps = steps if len(steps) <= 4 else [steps[0], *steps[-3:]]
    if not steps:
        return ""
    answers = {(sample["prompt"], sample["step"]): sample["text"] for sample in scheduled}
    head = "".join(f"<th>step {step}{' (base)' * (step == 0)}</th>" for step in steps)
    rows = "".join(
        f"<tr><th>{escape(prompt)}</th>"
        + "".join(f"<td>{escape(answers.get((index, step), ''))}</td>" for step in steps)
        + "</tr>"
        for index, prompt in enumerate(now["prompts"])
    )
    return f'<table style="font-size:12px"><tr><th>Prompt</th>{head}</tr>{rows}</table>'
