"""Walking examples and finding where in a row a dataset path points."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from workbench.rows.columns import TOOL_CALL, role_of
from workbench.tracked import Tracked
from workbench.types import Conversation, Preference, PromptCompletion, PromptOnly, Segments, Steps, Text, Unpaired


def at_path(value: Any, path: str) -> Iterator[Any]:
    """Every value a path may mean: keys may themselves hold dots and brackets, JSON text is looked into."""
    if not path:
        yield value
    elif isinstance(value, str):
        yield from at_path(json.loads(value), path)
    elif isinstance(value, Mapping):
        rest = path.removeprefix(".")
        for key, item in value.items():
            if rest.startswith(key) and rest[len(key) : len(key) + 1] in ("", ".", "["):
                yield from at_path(item, rest[len(key) :])
    elif isinstance(value, list | tuple) and path.startswith("["):
        index, _, rest = path[1:].partition("]")
        if index.isdigit() and int(index) < len(value):
            yield from at_path(value[int(index)], rest)


def leaves(value: Any) -> Iterator[str]:
    """Every text in messages, tools and examples."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)
    elif isinstance(value, Conversation):
        yield from leaves((value.messages, value.tools))
    else:
        yield from leaves(_texts(value))


def _texts(value: Any) -> tuple[Any, ...]:
    """What an example without messages holds."""
    match value:
        case PromptCompletion():
            return value.prompt, value.completion
        case Text():
            return (value.text,)
        case Segments():
            return tuple(text for text, _ in value.segments)
        case Preference():
            return value.chosen, value.rejected
        case Unpaired():
            return (value.answer,)
        case PromptOnly():
            return (value.prompt,)
        case Steps():
            return value.prompt, value.completions
    return ()


def assert_origins_hold(row: Mapping[str, Any], example: Any) -> int:
    """Check that every character stands in the row where its origin says; returns the characters checked."""
    checked = 0
    for leaf in leaves(example):
        if not leaf:
            continue
        assert type(leaf) is Tracked, f"{leaf!r} has no origin"
        at = 0
        for run in leaf.runs:
            part = str.__str__(leaf)[at : at + run.length]
            at += run.length
            assert run.origin is not None
            if run.origin.field is None:
                roles = ("user", "assistant", "system", "text", "image", "function", "tool")
                assert run.origin.key in ("template", "computed") or part in roles, part
                continue
            raws = [raw for raw in at_path(row, run.origin.field) if isinstance(raw, str)]
            if run.origin.key == "role":
                assert any(part in (raw, role_of(raw)) or role_of(raw) == TOOL_CALL for raw in raws)
            else:
                is_key = not raws and run.origin.field.endswith(f".{part}")  # the row has it as the key of an object
                assert is_key or any(raw[run.start : run.start + run.length] == part for raw in raws), (run, part)
            checked += run.length
        assert at == len(leaf)
    return checked
