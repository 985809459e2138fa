"""Renderings of one template that its properties are read from, and what a property is.

Renderings(template).of(messages)  ->  Traced | TemplateError
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from workbench.errors import TemplateError
from workbench.templates.traced import Traced, conversation_of, trace
from workbench.tracked import runs_of
from workbench.types import Conversation, TemplateInfo

State = Literal["holds", "fails", "lacks", "unknown"]
ORDER: tuple[State, ...] = ("fails", "lacks", "unknown", "holds")


@dataclass(frozen=True, slots=True)
class CounterExample:
    """Two texts that should agree and do not, or a text and what is missing from it.

    Attributes:
        first, second: What the texts are.
        first_text, second_text: The texts; empty where the template gives none.
        at: First character at which they differ, None where that is not the point.
        line: Template line that made the difference, if known.
        means: What it means for training.
    """

    first: str
    first_text: str
    second: str
    second_text: str
    at: int | None
    line: int | None
    means: str


@dataclass(frozen=True, slots=True)
class Property:
    """One property of a template.

    Attributes:
        name: `prefix_preserving`, `prompt_is_prefix`, `stop`, `generation`, `system`, `tools` or `same_as_plain`.
        state: `holds`, `fails`, `lacks` or `unknown`.
        says: A sentence.
        counter: Why it does not hold.
    """

    name: str
    state: State
    says: str
    counter: CounterExample | None = None


Messages = Sequence[Mapping[str, Any]]


class Renderings:
    """Renderings of one template, each made once; a refusal is a value too."""

    def __init__(self, template: TemplateInfo) -> None:
        self.template = with_stand_ins(template)
        self._known: dict[str, Traced | TemplateError] = {}

    def of(self, messages: Messages, tools: Any = None, *, prompt: bool = False) -> Traced | TemplateError:
        """The rendering, or why there is none."""
        key = repr((messages, tools, prompt))
        if key not in self._known:
            self._known[key] = self._made(conversation_of(messages, tools), prompt)
        return self._known[key]

    def _made(self, talk: Conversation, prompt: bool) -> Traced | TemplateError:
        try:
            return trace(talk, self.template, add_generation_prompt=prompt)
        except TemplateError as error:
            if error.code in ("WB101", "WB109"):
                raise
            return error


def with_stand_ins(template: TemplateInfo) -> TemplateInfo:
    """The template with names in place of special tokens that it reads and that are not known."""
    read = set(re.findall(r"\b(\w+_token)\b", template.source))
    missing = {name: f"<{name}>" for name in read if name not in template.special_tokens and name in _NAMED}
    return replace(template, special_tokens={**template.special_tokens, **missing}) if missing else template


_NAMED = frozenset({"bos_token", "eos_token", "pad_token", "unk_token"})


def in_order(found: Sequence[Property]) -> tuple[Property, ...]:
    """Failing ones first, else as they are."""
    return tuple(sorted(found, key=lambda item: ORDER.index(item.state)))


def line_of_difference(one: Traced, other: Traced, at: int) -> int | None:
    """The line that made two texts differ: it left something out in only one of them, else it wrote what differs."""
    here, there = ({(item.line, item.field) for item in made.cuts if item.at == at} for made in (one, other))
    only = [line for line, _ in sorted(here ^ there, key=str) if line is not None]
    if only:
        return only[0]
    return line_at(other, at) or line_at(one, at)


def line_at(made: Traced, at: int) -> int | None:
    """Template line that wrote a character; None behind the end."""
    begin = 0
    for run in runs_of(made.rendered.text):
        if begin <= at < begin + run.length:
            return run.line or None
        begin += run.length
    return None


def unknown(name: str) -> Property:
    """A property that could not be seen."""
    return Property(name, "unknown", "It refuses every conversation that would show it.")
