"""A run condensed to what a card shows, built from its events as they arrive.

    snapshot = Snapshot(job); snapshot.feed(reader); snapshot.to_dict(status)

Bounded whatever the length of the run: token events are never decoded, and of metrics only those that the decimated
series keeps, so a million events cost seconds once and a few MB (docs/events.md).
"""

from __future__ import annotations

from typing import Any

from workbench.training.events import EventReader, kind_of
from workbench.training.status import Status

MAX_POINTS = 500
MAX_SAMPLES = 300
MAX_CHECKPOINTS = 100
FEED_BYTES = 1 << 20
_NEWEST_ONLY = frozenset({b"step", b"token", b"ack", b"phase", b"sample_start"})
"""Kinds of which only the newest of a chunk is decoded (of most, only for its time)."""


class Series:
    """At most 500 points of a curve: every n-th, n doubling as the run grows, and always the newest."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.losses: list[float | None] = []
        self._stride = 1
        self._seen = 0

    def wants_next(self) -> bool:
        """Count one more point and say whether it is kept."""
        self._seen += 1
        return (self._seen - 1) % self._stride == 0

    def add(self, step: int, loss: float | None) -> None:
        """Keep a point; a step that comes again (a resumed run) replaces the curve from there."""
        while self.steps and self.steps[-1] >= step:
            self.steps.pop()
            self.losses.pop()
        self.steps.append(step)
        self.losses.append(loss)
        if len(self.steps) >= MAX_POINTS:
            self.steps, self.losses = self.steps[::2], self.losses[::2]
            self._stride *= 2


class Snapshot:
    """Accumulates events; `to_dict` gives `snapshot` of docs/wire.md section 4."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.prompts = [prompt_text(messages) for messages in job.get("samples", {}).get("prompts", [])]
        self.series = Series()
        self.metric: dict[str, Any] = {}
        self.step: dict[str, Any] = {}
        self.setup: dict[str, Any] | None = None
        self.samples: list[dict[str, Any]] = []
        self.checkpoints: list[int] = []
        self.batch: dict[str, Any] | None = None
        self.max_steps: int | None = None
        self.started_at: float | None = None
        self.seen_at: float | None = None
        self.warnings: list[dict[str, Any]] = []
        self.offset = 0
        self.bad_lines = 0

    def feed(self, reader: EventReader) -> None:
        """Read everything new."""
        while True:
            at = reader.offset
            lines = reader.lines(FEED_BYTES)
            if not lines:
                break
            self._take_chunk(reader, lines, at)
        self.offset, self.bad_lines = reader.offset, reader.bad_count

    def _take_chunk(self, reader: EventReader, lines: list[bytes], at: int) -> None:
        last: dict[bytes, int] = {}
        for index, line in enumerate(lines):
            kind = kind_of(line)
            if kind in _NEWEST_ONLY or (kind == b"metric" and not self.series.wants_next()):
                last[kind] = index
            else:
                self._take(reader.decode_one(lines, index, at))
        for index in last.values():
            self._take(reader.decode_one(lines, index, at), passing=True)

    def _take(self, event: dict[str, Any] | None, *, passing: bool = False) -> None:
        if event is None:
            return
        self.seen_at = max(self.seen_at or 0.0, event["t"])
        take = getattr(self, f"_take_{event['kind']}", None)
        if take is not None:
            take(event, passing) if event["kind"] == "metric" else take(event)

    def _take_state(self, event: dict[str, Any]) -> None:
        self.max_steps = event.get("max_steps", self.max_steps)
        if event["state"] == "running" and self.started_at is None:
            self.started_at = event["t"]

    def _take_setup(self, event: dict[str, Any]) -> None:
        self.setup = _members(event)

    def _take_step(self, event: dict[str, Any]) -> None:
        if event["step"] >= self.step.get("step", -1) or event["seq"] > self.step["seq"]:
            self.step = event

    def _take_metric(self, event: dict[str, Any], passing: bool) -> None:
        if "loss" not in event:
            return
        if event["seq"] >= self.metric.get("seq", -1):
            self.metric = event
        if not passing:
            self.series.add(event["step"], event["loss"])

    def _take_sample(self, event: dict[str, Any]) -> None:
        keys = ("prompt", "step", "text", "stopped", "cut", "base", "tokens", "seconds", "sample")
        self.samples.append({key: event.get(key) for key in keys})
        if len(self.samples) > MAX_SAMPLES:  # the base answers stay: every later one is compared with them
            oldest = next(i for i, sample in enumerate(self.samples) if not sample["base"] or i >= MAX_SAMPLES // 2)
            del self.samples[oldest]

    def _take_checkpoint(self, event: dict[str, Any]) -> None:
        self.checkpoints = [*self.checkpoints, event["step"]][-MAX_CHECKPOINTS:]

    def _take_batch(self, event: dict[str, Any]) -> None:
        seen = self.batch or {"agrees": None, "steps": [], "difference": None}
        steps = seen["steps"] if event["step"] in seen["steps"] else [*seen["steps"], event["step"]]
        verdicts = [verdict for verdict in (seen["agrees"], event["agrees"]) if verdict is not None]
        agrees = all(verdicts) if verdicts else None
        self.batch = {"agrees": agrees, "steps": steps, "difference": seen["difference"] or event["difference"]}

    def _take_warning(self, event: dict[str, Any]) -> None:
        self.warnings = [*self.warnings, _members(event)][-20:]

    def to_dict(self, status: Status) -> dict[str, Any]:
        """The snapshot of docs/wire.md section 4, under a derived status."""
        last = status.event
        message = " ".join(part for part in (last.get("reason") or last.get("error"), last.get("remedy")) if part)
        steps, losses = list(self.series.steps), list(self.series.losses)
        if self.metric and (not steps or steps[-1] < self.metric["step"]):
            steps.append(self.metric["step"])
            losses.append(self.metric["loss"])
        return {
            "state": status.state,
            "stalled": status.stalled,
            "step": self.step.get("step", last.get("step") or 0),
            "max_steps": self.max_steps,
            "offset": self.offset,
            "loss": self.metric.get("loss"),
            "learning_rate": self.metric.get("learning_rate"),
            "tokens_per_s": self.step.get("tokens_per_s"),
            "eta_s": None if status.over else self.step.get("eta_s"),
            "rss_bytes": self.step.get("rss_bytes"),
            "gpu_bytes": self.step.get("gpu_bytes"),
            "elapsed_s": round(self.seen_at - self.started_at, 3) if self.seen_at and self.started_at else 0.0,
            "series": {"step": steps, "loss": losses},
            "prompts": self.prompts,
            "samples": list(self.samples),
            "checkpoints": list(self.checkpoints),
            "batch": self.batch,
            "warnings": list(self.warnings),
            "message": message or ("The training process is gone." if status.state == "died" else None),
            "log_tail": last.get("log_tail"),
            "setup": self.setup,
        }


def prompt_text(messages: list[dict[str, Any]]) -> str:
    """A prompt as one line of text: the content of its last message."""
    content = messages[-1].get("content", "") if messages else ""
    if isinstance(content, list):
        content = " ".join(part.get("text", "") for part in content if isinstance(part, dict))
    return str(content)


def _members(event: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key not in ("seq", "t", "m", "kind")}
