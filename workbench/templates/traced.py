"""One template over one conversation with everything that the X-ray shows: origins, cuts, where the prompt begins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from workbench.templates.cutting import Cut
from workbench.templates.render import render_plain, render_traced
from workbench.tracked import track_tree
from workbench.types import Conversation, Rendered, TemplateInfo

MOST_CHARACTERS = 4_000_000
"""Longest text that is traced: about a million tokens."""


class Traced(NamedTuple):
    """A rendering, what did not reach it, and the character where its generation prompt begins (None: it has none)."""

    rendered: Rendered
    cuts: tuple[Cut, ...]
    prompt_start: int | None


def trace(
    talk: Conversation,
    template: TemplateInfo,
    *,
    add_generation_prompt: bool = False,
    variables: Mapping[str, Any] | None = None,
) -> Traced:
    """Render with origins and cuts.

    Raises:
        TemplateError: As `templates.render.render`; WB109 for a text longer than MOST_CHARACTERS.
    """
    rendered, cuts = render_traced(
        talk,
        template,
        add_generation_prompt=add_generation_prompt,
        variables=variables,
        most_characters=MOST_CHARACTERS,
    )
    if not add_generation_prompt:
        return Traced(rendered, cuts, None)
    without = render_plain(talk, template, variables=variables)
    text = str.__str__(rendered.text)
    same = first_difference(text, without)
    return Traced(rendered, cuts, None if same is None else same)


def first_difference(one: str, other: str) -> int | None:
    """First character at which two texts differ, None where they are equal."""
    if one == other:
        return None
    shorter = min(len(one), len(other))
    low, high = 0, shorter  # the first `low` characters are equal
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def conversation_of(messages: Any, tools: Any = None, *, row: int = -1, field: str = "messages") -> Conversation:
    """Messages as a conversation with origins; `row` -1 stands for no data row.

    Args:
        messages: Mappings with `role` and `content`.
        tools: JSON schemas of the tools, or None.
        row: Data row.
        field: What the fields are called in the data.
    """
    made = tuple(
        {str(key): track_tree(value, f"{field}[{i}].{key}", i, str(key)) for key, value in message.items()}
        for i, message in enumerate(messages)
    )
    schemas = [track_tree(tool, f"tools[{i}]", None, "tools") for i, tool in enumerate(tools or [])]
    return Conversation(row, made, tuple(schemas) or None)
