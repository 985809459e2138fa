"""Conversations that every chat template is tried with, and the same as our values with origins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from workbench.templates import registry
from workbench.tracked import Tracked, track_tree
from workbench.types import Conversation, Origin, TemplateInfo

TOKENS = {"bos_token": "<BOS>", "eos_token": "<EOS>", "pad_token": "<PAD>", "unk_token": "<UNK>"}
"""Special tokens a sweep passes to every template; markers that no template writes by itself."""


class Talk(NamedTuple):
    """Messages as they stand in a row, the tools beside them, and what is asked of the template."""

    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]] | None = None
    add_generation_prompt: bool = False


_CHAT: list[dict[str, Any]] = [
    {"role": "system", "content": "You are Sys. "},
    {"role": "user", "content": " Hi user one "},
    {"role": "assistant", "content": "Answer ONE\n"},
    {"role": "user", "content": "Two?"},
    {"role": "assistant", "content": "Answer TWO"},
]

_TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Weather of a city",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "Its name"},
                    "days": {"type": "integer", "enum": [1, 3]},
                },
                "required": ["city"],
            },
        },
    }
]

_NESTED = {"where": {"city": 'Par"is\n', "at": [48.85, 2.35]}, "units": ["C", "F"], "exact": True, "limit": None}


def _with_call(arguments: object) -> list[dict[str, Any]]:
    call = {"id": "call12345", "type": "function", "function": {"name": "get_weather", "arguments": arguments}}
    return [
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "name": "get_weather", "tool_call_id": "call12345", "content": "15C"},
        {"role": "assistant", "content": "It is 15C."},
    ]


def _typed(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{**message, "content": [{"type": "text", "text": message["content"]}]} for message in messages]


TALKS: dict[str, Talk] = {
    "system": Talk(_CHAT),
    "no_system": Talk(_CHAT[1:]),
    "typed": Talk(_typed(_CHAT)),
    "typed_no_system": Talk(_typed(_CHAT[1:])),
    "tools_dict": Talk(_with_call({"city": 'Par"is\n', "days": 3}), _TOOLS),
    "tools_string": Talk(_with_call('{"city": "Paris", "days": 3}'), _TOOLS),
    "tools_nested": Talk(_with_call(_NESTED), _TOOLS),
    "reasoning": Talk(
        [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "reasoning_content": "thinking hard", "content": "Answer ONE"},
            {"role": "user", "content": "Two?"},
            {"role": "assistant", "content": "<think>\nwhy\n</think>\n\nAnswer TWO"},
        ]
    ),
    "generation_prompt": Talk(_CHAT[1:4], None, True),
}


def conversation(talk: Talk, row: int = 7) -> Conversation:
    """The talk with origins, as rows are converted."""
    messages = tuple(
        {key: track_tree(value, f"messages[{i}].{key}", i, key) for key, value in message.items()}
        for i, message in enumerate(talk.messages)
    )
    tools = [track_tree(tool, f"tools[{i}]", None, "tools") for i, tool in enumerate(talk.tools or [])]
    return Conversation(row, messages, tuple(tools) or None)


def characters(text: str) -> list[tuple[str, Origin | None, int]]:
    """Every character of a tracked text with its origin and its offset in the origin's field."""
    assert type(text) is Tracked
    origins = [(run.origin, run.start + i) for run in text.runs for i in range(run.length)]
    return [(char, *origin) for char, origin in zip(str.__str__(text), origins, strict=True)]


def trl_templates() -> dict[str, TemplateInfo]:
    """TRL's own templates, from the installed package."""
    ours = {path.stem for path in registry.OURS.glob("*.jinja")}
    return {f"trl/{name}": _info(path) for name, path in registry.names().items() if name not in ours}


def our_templates() -> dict[str, TemplateInfo]:
    """The templates that we ship."""
    return {f"ours/{path.stem}": _info(path) for path in sorted(registry.OURS.glob("*.jinja"))}


def shared_templates(shared: Path) -> dict[str, TemplateInfo]:
    """The chat templates among the shared test data."""
    folder = shared / "testdata" / "chat_templates"
    return {f"{path.parent.name}/{path.stem}": _info(path) for path in sorted(folder.glob("*/*.jinja"))}


def _info(path: Path) -> TemplateInfo:
    return registry.info(path.stem, path.read_text(encoding="utf-8"), path.name, TOKENS)
