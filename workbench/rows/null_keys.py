"""Keys that are null in tools and tool calls, left out and told.

    {"name": "f", "parameters": {"properties": {"city": {"type": "string"}, "rows": null}}}
      ->  {"name": "f", "parameters": {"properties": {"city": {"type": "string"}}}}

Arrow keeps the objects of a column as one structure: each of them gets the keys of all others, filled with null. A
template that prints a tool with `tojson` would teach the model those keys. `default` and `const` of a schema may be
null on purpose; they stay, and it is said that they do. Values read from JSON text are never filled up and are left
alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from workbench.rows.row_findings import RowFindings
from workbench.rows.shapes import is_list

MEANT = ("default", "const")
"""Keywords of a JSON schema whose value may be null."""
NAMES = ("properties", "patternProperties", "definitions", "$defs")
"""Keywords under which keys are names of the author's."""
SHOWN = 5


class NullKeys:
    """Leaves null keys out of values and remembers where they were.

    Attributes:
        schema: Whether the values are JSON schemas.
        dropped: Paths of the keys left out.
        kept: Paths of the keys that are null and stay.
    """

    def __init__(self, *, schema: bool) -> None:
        self.schema = schema
        self.dropped: list[str] = []
        self.kept: list[str] = []

    def without(self, value: Mapping[str, Any], field: str) -> Mapping[str, Any]:
        """The mapping without null keys at any depth; its nesting has been checked."""
        return self._mapping(value, field, False)

    def tell(self, field: str, notes: RowFindings) -> None:
        """Note what was left out and what stayed."""
        if self.dropped:
            message = (
                f"`{field}` has {len(self.dropped)} keys that are null; they were left out: {_some(self.dropped)}."
            )
            notes.info("WB542", message, self.dropped[0], "Arrow fills objects up with the keys of the others.")
        if self.kept:
            message = f"`{field}` has null where a schema may mean it; it was kept: {_some(self.kept)}."
            notes.info("WB543", message, self.kept[0], "Drop the key, if Arrow has filled it in.")

    def _mapping(self, value: Mapping[str, Any], field: str, named: bool) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, item in value.items():
            where = f"{field}.{key}"
            if item is not None:
                out[key] = self._value(item, where, self.schema and not named and key in NAMES)
            elif self.schema and not named and key in MEANT:
                self.kept.append(where)
                out[key] = None
            else:
                self.dropped.append(where)
        return out

    def _value(self, value: Any, field: str, named: bool) -> Any:
        if isinstance(value, Mapping):
            return self._mapping(cast("Mapping[str, Any]", value), field, named)
        if is_list(value):
            return [self._value(item, f"{field}[{i}]", False) for i, item in enumerate(cast("list[Any]", value))]
        return value


def _some(paths: list[str]) -> str:
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return ", ".join(f"`{path}`" for path in paths[:SHOWN]) + more
