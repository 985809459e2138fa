"""JSON text whose strings keep their origin, equal to `json.dumps` character for character.

    dumps({"city": track("Paris", o)}, …)  ->  '{"city": "Paris"}', where Paris comes from o

A template that writes tool calls or typed content as JSON would otherwise lose where the text came from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from workbench.tracked import Run, Tracked, join


class _Style(NamedTuple):
    ensure_ascii: bool
    indent: int | None
    item: str
    key: str
    sort_keys: bool


def dumps(value: Any, plain: str, ensure_ascii: bool, indent: int | None, separators: Any, sort_keys: bool) -> str:
    """Dump with origins.

    Args:
        value: What to dump.
        plain: `json.dumps` of the same value and options; returned untracked should ours ever differ.
        ensure_ascii: As in `json.dumps`; so are the others.
        indent: Spaces a level, or None.
        separators: (item, key) separators, or None.
        sort_keys: Whether keys are sorted.
    """
    item, key = separators or ((", " if indent is None else ","), ": ")
    pieces: list[str] = []
    _write(value, _Style(ensure_ascii, indent, item, key, sort_keys), 0, pieces)
    text = join("", pieces)
    return text if str.__eq__(text, plain) else plain


def _write(value: Any, style: _Style, depth: int, out: list[str]) -> None:
    if isinstance(value, str):
        out.extend(('"', _escaped(value, style.ensure_ascii), '"'))
    elif isinstance(value, Mapping) and value:
        mapping = cast("Mapping[Any, Any]", value)
        items = sorted(mapping.items()) if style.sort_keys else list(mapping.items())
        parts = [(json.dumps(_key(name), ensure_ascii=style.ensure_ascii) + style.key, item) for name, item in items]
        _container("{}", parts, style, depth, out)
    elif isinstance(value, list | tuple) and value:
        _container("[]", [("", v) for v in cast("list[Any]", value)], style, depth, out)
    else:
        out.append(json.dumps(value, ensure_ascii=style.ensure_ascii))


def _key(name: Any) -> str:
    return name if isinstance(name, str) else json.dumps(name)


def _container(ends: str, parts: list[tuple[str, Any]], style: _Style, depth: int, out: list[str]) -> None:
    inner = "" if style.indent is None else "\n" + " " * (style.indent * (depth + 1))
    outer = "" if style.indent is None else "\n" + " " * (style.indent * depth)
    out.append(ends[0] + inner)
    for i, (name, value) in enumerate(parts):
        if i:
            out.append(style.item + inner)
        out.append(name)
        _write(value, style, depth + 1, out)
    out.append(outer + ends[1])


def _escaped(text: str, ensure_ascii: bool) -> str:
    body = json.dumps(text, ensure_ascii=ensure_ascii)[1:-1]
    if type(text) is not Tracked:
        return body
    if len(body) == len(text):
        return Tracked(body, text.runs)
    runs: list[Run] = []
    at = 0
    for run in text.runs:
        for i in range(run.length):
            char = str.__getitem__(text, at + i)
            width = len(json.dumps(char, ensure_ascii=ensure_ascii)) - 2
            runs.extend([Run(1, run.origin, run.start + i, run.line)] * width)
        at += run.length
    return Tracked(body, tuple(runs))
