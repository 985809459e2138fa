"""Two templates over one conversation: where they first differ, and which line of each made it."""

from __future__ import annotations

from typing import Any

from workbench.templates.traced import first_difference
from workbench.tracked import runs_of
from workbench.views.xray import Examined, error_view, source_lines

AROUND = 60
"""Characters before the first difference that are shown."""

BEHIND = 400
"""Characters from the first difference on that are shown."""


def difference_view(ours: Examined, theirs: Examined) -> dict[str, Any]:
    """Both sides around their first difference, and the verdict in words."""
    texts = [_text(item) for item in (ours, theirs)]
    at = None if None in texts else first_difference(str(texts[0]), str(texts[1]))
    equal = at is None and None not in texts
    return {
        "name": theirs.template.name,
        "equal": equal,
        "at": at,
        "says": _says(ours, theirs, at, equal),
        "sides": [_side(item, 0 if at is None else at) for item in (ours, theirs)],
    }


def _text(examined: Examined) -> str | None:
    return None if examined.rendered is None else str.__str__(examined.rendered.text)


def _says(ours: Examined, theirs: Examined, at: int | None, equal: bool) -> str:
    names = ours.template.name, theirs.template.name
    for item in (ours, theirs):
        if item.rendered is None:
            return f"{item.template.name} gives no text of this conversation."
    lengths = [len(_text(item) or "") for item in (ours, theirs)]
    if equal:
        return f"Equal: {names[0]} and {names[1]} write the same {lengths[0]:,} characters."
    return (
        f"Different: the first {at:,} characters are the same; {names[0]} writes {lengths[0]:,} characters, "
        f"{names[1]} {lengths[1]:,}."
    )


def _side(examined: Examined, at: int) -> dict[str, Any]:
    text = _text(examined) or ""
    line = _line_at(examined, at)
    lines = source_lines(examined.template.source)
    return {
        "name": examined.template.name,
        "before": text[max(0, at - AROUND) : at],
        "behind": text[at : at + BEHIND],
        "cut_before": max(0, at - AROUND),
        "cut_behind": max(0, len(text) - at - BEHIND),
        "line": line,
        "source": lines[line - 1].strip() if line and line <= len(lines) else None,
        "error": error_view(examined.error),
    }


def _line_at(examined: Examined, at: int) -> int | None:
    begin = 0
    for run in runs_of(examined.rendered.text) if examined.rendered else ():
        if begin <= at < begin + run.length:
            return run.line or None
        begin += run.length
    return None
