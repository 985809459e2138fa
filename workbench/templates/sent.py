"""Conversations and renderings as JSON, for the process that renders edited templates (guarded.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, cast

from workbench.templates.cutting import Cut
from workbench.templates.traced import Traced
from workbench.tracked import Run, Tracked, origin_of, runs_of
from workbench.types import Conversation, Origin, Rendered, TemplateInfo, Turn


def packed_talk(talk: Conversation) -> dict[str, Any]:
    """What a template sees of a conversation."""
    tools = None if talk.tools is None else [_packed(tool) for tool in talk.tools]
    messages = [_packed(message) for message in talk.messages]
    return {"row": talk.row, "messages": messages, "tools": tools, "train": list(talk.train)}


def talk_from(sent: Mapping[str, Any]) -> Conversation:
    """The conversation again."""
    tools = None if sent["tools"] is None else tuple(_unpacked(tool) for tool in sent["tools"])
    return Conversation(sent["row"], tuple(map(_unpacked, sent["messages"])), tools, tuple(sent["train"]))


def packed_template(template: TemplateInfo) -> dict[str, Any]:
    """A template."""
    return asdict(template)


def template_from(sent: Mapping[str, Any]) -> TemplateInfo:
    """The template again."""
    return TemplateInfo(**sent)


def packed_traced(made: Traced) -> dict[str, Any]:
    """A rendering."""
    rendered = made.rendered
    return {
        "row": rendered.row,
        "text": str.__str__(rendered.text),
        "runs": _packed_runs(runs_of(rendered.text)),
        "turns": [asdict(turn) for turn in rendered.turns],
        "generation": rendered.generation,
        "has_generation": rendered.has_generation,
        "cuts": [asdict(item) for item in made.cuts],
        "prompt_start": made.prompt_start,
    }


def traced_from(sent: Mapping[str, Any]) -> Traced:
    """The rendering again."""
    rendered = Rendered(
        sent["row"],
        Tracked(sent["text"], _runs_from(sent["runs"])),
        tuple(Turn(**turn) for turn in sent["turns"]),
        tuple((start, end) for start, end in sent["generation"]),
        sent["has_generation"],
    )
    return Traced(rendered, tuple(Cut(**item) for item in sent["cuts"]), sent["prompt_start"])


def _packed_runs(runs: tuple[Run, ...]) -> dict[str, Any]:
    origins: dict[Origin | None, int] = {}
    columns = [(run.length, origins.setdefault(run.origin, len(origins)), run.start, run.line) for run in runs]
    return {"origins": [None if origin is None else list(_parts(origin)) for origin in origins], "runs": columns}


def _parts(origin: Origin) -> tuple[str | None, int | None, str, bool]:
    return origin.field, origin.message, origin.key, origin.generated


def _runs_from(sent: Mapping[str, Any]) -> tuple[Run, ...]:
    origins = [None if parts is None else Origin(*parts) for parts in sent["origins"]]
    return tuple(Run(length, origins[at], start, line) for length, at, start, line in sent["runs"])


def _packed(value: Any) -> Any:
    """A JSON-like value whose texts keep their origins; what JSON cannot hold is sent as its text."""
    if isinstance(value, Tracked):
        return {"text": str.__str__(value), **_packed_runs(runs_of(value))}
    if isinstance(value, Mapping):
        return {"items": [[str(key), _packed(item)] for key, item in cast("Mapping[str, Any]", value).items()]}
    if isinstance(value, list | tuple):
        return [_packed(item) for item in cast("list[Any]", value)]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _unpacked(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpacked(item) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    sent = cast("dict[str, Any]", value)
    if "items" in sent:
        return {str(key): _unpacked(item) for key, item in sent["items"]}
    return Tracked(sent["text"], tuple(_shared(run) for run in _runs_from(sent)))


def _shared(run: Run) -> Run:
    """A run whose origin is the one object for its place."""
    origin = run.origin
    if origin is None or origin.generated:
        return run
    return run._replace(origin=origin_of(origin.field, origin.message, origin.key))
