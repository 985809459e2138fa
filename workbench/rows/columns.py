"""Which column of the data is which column of the type, and which spelling of a role means which role.

guess_columns({"question": …, "answer": …}, "alpaca")  ->  {"instruction": "question", "output": "answer"}
parse_columns("instruction=question,output=answer", "alpaca")
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from workbench.errors import DataError
from workbench.rows.formats import Column, Format, format_named
from workbench.rows.shapes import fits

TOOL_CALL = "tool_call"
"""What a turn that only calls a function is mapped to; such a turn becomes an assistant message with `tool_calls`."""

ROLES: Mapping[str, tuple[str, ...]] = {
    "user": ("user", "human", "prompter"),
    "assistant": ("assistant", "gpt", "chatgpt", "bing", "bard", "bot", "chatbot", "model", "ai"),
    "system": ("system",),
    "developer": ("developer",),
    "tool": ("tool", "function", "observation", "function_response", "tool_response", "tool_result", "ipython"),
    TOOL_CALL: ("function_call", "tool_call"),
}
"""Role as chat templates know it -> spellings in data."""

_SPELLINGS = {spelling: role for role, spellings in ROLES.items() for spelling in spellings}

Shapes = Mapping[str, Iterable[frozenset[str]]]
"""Column of the data -> shapes of its values, one entry a row (or a kind of row)."""


def role_of(spelling: str) -> str | None:
    """The role a spelling means, None for an unknown one."""
    return _SPELLINGS.get(spelling) or _SPELLINGS.get(spelling.strip().lower())


def guess_columns(seen: Shapes, type: str, given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Guess which column of the data is which of the type, by name and by what the values look like.

    Args:
        seen: Columns of the data with the shapes of their values.
        type: A name in `FORMATS`.
        given: What the user said; it is taken as it is.

    Returns:
        Our name -> column of the data, only for columns that were found.
    """
    entry = format_named(type)
    chosen = dict(given or {})
    for column in sorted(entry.columns, key=lambda c: not c.required):
        if column.name not in chosen:
            found = _found(column, entry, seen, set(chosen.values()))
            if found is not None:
                chosen[column.name] = found
    return chosen


def takes(column: Column, name: str, shapes: frozenset[str]) -> bool:
    """Whether a value of these shapes, in a column of that name, can be our column."""
    besides = column.when.get(name.lower())
    return fits(shapes, column.shapes) and (besides is None or besides in shapes)


def parse_columns(columns: str | Mapping[str, str | None] | Iterable[str], type: str) -> dict[str, str]:
    """Read a column mapping and check its names against the type.

    Args:
        columns: `"instruction=question,output=answer"`, a list of such pairs, or a mapping; None for a column that
            is not to be used, which comes back as empty text.
        type: A name in `FORMATS`.

    Raises:
        DataError: For text without `=`, or a name that the type does not have (WB556).
    """
    entry = format_named(type)
    known = [column.name for column in entry.columns]
    out: dict[str, str] = {}
    for name, column in _pairs(columns):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"It has {', '.join(known)}."
            raise DataError(f"Dataset type {type!r} has no column {name!r}.", remedy=hint, code="WB556")
        out[name] = column or ""
    return out


def _pairs(columns: str | Mapping[str, str | None] | Iterable[str]) -> list[tuple[str, str | None]]:
    if isinstance(columns, Mapping):
        return list(columns.items())
    pairs = [part for part in columns.split(",") if part.strip()] if isinstance(columns, str) else list(columns)
    out: list[tuple[str, str | None]] = []
    for pair in pairs:
        name, equals, column = pair.partition("=")
        if not equals or not name.strip() or not column.strip():
            raise DataError(
                f"{pair!r} is not a column pair.", remedy="Write name=column, as in instruction=question.", code="WB556"
            )
        out.append((name.strip(), column.strip()))
    return out


def _found(column: Column, entry: Format, seen: Shapes, taken: set[str]) -> str | None:
    """The best column for one of ours: own name, then aliases by how many values fit, then by shape alone."""
    by_name = {name.lower(): name for name in reversed(list(seen)) if name not in taken}
    others = {other.name for other in entry.columns if other is not column}
    own = by_name.get(column.name)
    names = [by_name[alias] for alias in column.aliases if alias in by_name and not (own and alias in others)]
    names = [
        name for name in names if name.lower() not in column.when or any(takes(column, name, s) for s in seen[name])
    ]
    candidates = ([own] if own else []) + names
    if candidates:
        fitting = [sum(takes(column, name, shapes) for shapes in seen[name]) for name in candidates]
        if own and fitting[0]:
            return own
        return candidates[fitting.index(max(fitting))]
    if not column.by_shape:
        return None
    alike = [name for name in seen if name not in taken and any(not s.isdisjoint(column.shapes) for s in seen[name])]
    return alike[0] if len(alike) == 1 else None
