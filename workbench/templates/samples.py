"""Conversations to look at a template with, such as `wb.samples.thinking`.

Each is a plain list of messages, fresh on every use, that also knows its name and its tools.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

Message = dict[str, Any]


class Sample(list[Message]):
    """Messages of a built-in conversation.

    Attributes:
        name: Its name in `wb.samples`.
        tools: JSON schemas of the tools it has, None for none.
    """

    def __init__(self, name: str, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None) -> None:
        super().__init__(deepcopy(list(messages)))
        self.name = name
        self.tools = None if tools is None else [deepcopy(dict(tool)) for tool in tools]


_ONE_TURN: list[Message] = [
    {"role": "user", "content": "How long do I boil an egg?"},
    {"role": "assistant", "content": "Six minutes for a soft yolk, ten for a hard one."},
]
_SEVERAL: list[Message] = [
    {"role": "user", "content": "What is a roux?"},
    {"role": "assistant", "content": "Flour cooked in fat. It thickens sauces."},
    {"role": "user", "content": "How much flour?"},
    {"role": "assistant", "content": "As much flour as fat, by weight."},
    {"role": "user", "content": "And without gluten?"},
    {"role": "assistant", "content": "Take rice flour; it thickens a little less."},
]
_SYSTEM: list[Message] = [
    {"role": "system", "content": "You are a helpful cook. Answer in one sentence."},
    {"role": "user", "content": "Is 60 °C safe for eggs?"},
    {"role": "assistant", "content": "Yes, if you hold it for a few minutes."},
]
_THINKING: list[Message] = [
    {"role": "system", "content": "You are a helpful cook."},
    {"role": "user", "content": "Is 60 °C safe for eggs?"},
    {
        "role": "assistant",
        "content": "<think>\nPasteurising takes 3.5 min at 60 °C.\n</think>\n\nYes, if you hold it for a few minutes.",
    },
    {"role": "user", "content": "And at 55 °C?"},
    {
        "role": "assistant",
        "content": "<think>\nBelow 57 °C it is very slow.\n</think>\n\nNo, not in practice.",
    },
]
_TOOLS: list[Mapping[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": "convert_temperature",
            "description": "Convert degrees Celsius to degrees Fahrenheit.",
            "parameters": {
                "type": "object",
                "properties": {"celsius": {"type": "number", "description": "Degrees Celsius"}},
                "required": ["celsius"],
            },
        },
    }
]
_TOOL_CALL: list[Message] = [
    {"role": "user", "content": "What is 63 °C in Fahrenheit?"},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {
                "id": "call00001",
                "type": "function",
                "function": {"name": "convert_temperature", "arguments": {"celsius": 63}},
            }
        ],
    },
    {"role": "tool", "name": "convert_temperature", "tool_call_id": "call00001", "content": '{"fahrenheit": 145.4}'},
    {"role": "assistant", "content": "It is 145.4 °F."},
]
_TYPED: list[Message] = [
    {"role": "user", "content": [{"type": "text", "text": "Name a spice "}, {"type": "text", "text": "for rice."}]},
    {"role": "assistant", "content": [{"type": "text", "text": "Saffron."}]},
]

_ALL: Mapping[str, tuple[list[Message], list[Mapping[str, Any]] | None]] = {
    "one_turn": (_ONE_TURN, None),
    "several_turns": (_SEVERAL, None),
    "system": (_SYSTEM, None),
    "tool_call": (_TOOL_CALL, _TOOLS),
    "thinking": (_THINKING, None),
    "typed_content": (_TYPED, None),
}


class Samples:
    """The built-in conversations by name; `list(wb.samples)` are their names."""

    one_turn: Sample
    several_turns: Sample
    system: Sample
    tool_call: Sample
    thinking: Sample
    typed_content: Sample

    def __getattr__(self, name: str) -> Sample:
        if name not in _ALL:
            raise AttributeError(f"no sample {name!r}; there are {', '.join(_ALL)}", name=name, obj=self)
        return Sample(name, *_ALL[name])

    def __iter__(self) -> Any:
        return iter(_ALL)

    def __dir__(self) -> list[str]:
        return list(_ALL)

    def __repr__(self) -> str:
        return f"wb.samples: {', '.join(_ALL)}"


samples = Samples()
