"""Findings of one row while it is converted, and the checks every value of a row goes through.

A row with a finding of severity error gives no example; everything else gives one. That is the whole rule, and it is
kept here so that no conversion can forget it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, cast

from workbench.options import RowOptions
from workbench.rows.shapes import kind_of
from workbench.tracked import origin_of, track
from workbench.types import Finding, Severity

DEEPEST = 64
"""Levels of nesting a value may have; chat templates recurse over values in Python."""

_HALF_PAIR = re.compile("[\ud800-\udfff]")


class RowFindings:
    """Collects the findings of one row.

    Attributes:
        row: Data row index.
        options: How the row is to be read.
        found: Findings in the order they were made.
    """

    def __init__(self, row: int, options: RowOptions | None = None) -> None:
        self.row = row
        self.options = options or RowOptions()
        self.found: list[Finding] = []
        self._failed, self._looked = False, 0

    @property
    def failed(self) -> bool:
        """Whether the row cannot be used; each finding is looked at once, a row of 10,000 messages may have as many."""
        if not self._failed:
            fresh = self.found[self._looked :] if self._looked <= len(self.found) else self.found
            self._failed = any(finding.severity == "error" for finding in fresh)
            self._looked = len(self.found)
        return self._failed

    def error(self, code: str, message: str, field: str, remedy: str = "") -> None:
        """Note something that makes the row unusable."""
        self._note(code, "error", message, field, remedy)

    def warning(self, code: str, message: str, field: str, remedy: str = "") -> None:
        """Note something that is probably not meant."""
        self._note(code, "warning", message, field, remedy)

    def info(self, code: str, message: str, field: str, remedy: str = "") -> None:
        """Note something worth knowing."""
        self._note(code, "info", message, field, remedy)

    def text(self, value: object, field: str, message: int | None, key: str) -> str | None:
        """The value as tracked text; None, with a finding, where it is not usable text.

        Args:
            value: What the row has there.
            field: Dataset path of the value.
            message: Message index for the origin.
            key: Message key for the origin.
        """
        if value is None:
            self.error("WB521", f"`{field}` is null.", field, "Fill it in, or drop the row.")
            return None
        if not isinstance(value, str):
            self.error("WB522", f"`{field}` must be text, but is {kind_of(value)}.", field, "Store it as text.")
            return None
        return track(str.__str__(value), origin_of(field, message, key)) if self._usable(value, field) else None

    def column_text(self, row: Mapping[str, Any], column: str, message: int | None, key: str) -> str | None:
        """The text of a column; None, with a finding, where it is absent or not usable text."""
        if column not in row:
            self.missing(column, row)
            return None
        return self.text(row[column], column, message, key)

    def missing(self, field: str, have: Mapping[str, Any]) -> None:
        """Note a field that is not there."""
        keys = ", ".join(f"`{key}`" for key in list(have)[:6]) or "nothing"
        self.error("WB520", f"`{field}` is missing; there is {keys}.", field, "Add it, or drop the row.")

    def tree(self, value: object, field: str, depth: int = 0) -> bool:
        """Whether a JSON-like value may go into a template; notes what may not."""
        if depth > DEEPEST:
            self.error("WB528", f"`{field}` is nested more than {DEEPEST} deep.", field, "Flatten it.")
            return False
        if isinstance(value, str):
            return self._usable(value, field)
        if isinstance(value, Mapping):
            items = cast("Mapping[Any, Any]", value)
            return all(
                [self._key(key, field) and self.tree(v, f"{field}.{key}", depth + 1) for key, v in items.items()]
            )
        if isinstance(value, list | tuple):
            parts = cast("list[Any]", value)
            return all([self.tree(item, f"{field}[{i}]", depth + 1) for i, item in enumerate(parts)])
        if value is None or isinstance(value, bool | int | float):
            return True
        self.error("WB522", f"`{field}` must be a JSON value, but is {kind_of(value)}.", field, "Store it as text.")
        return False

    def parsed(self, value: object, field: str, what: str) -> Any:
        """The value, read as JSON where it is text; None, with a finding, where that text is not JSON."""
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except (ValueError, RecursionError) as error:
            message = f"`{field}` is text that is not JSON ({_reason(error)}): it is {kind_of(value)}."
            self.error("WB525", message, field, f"Store {what}, or the JSON text of it.")
            return None

    def _usable(self, text: str, field: str) -> bool:
        half = None if text.isascii() else _HALF_PAIR.search(text)
        if half is not None:
            message = f"`{field}` has half a surrogate pair (U+{ord(half[0]):04X}) at character {half.start()}."
            self.error("WB526", message, field, "No tokenizer takes it; it is often half of an emoji that was cut.")
            return False
        if "\x00" in text:
            message = f"`{field}` has a NUL character (U+0000) at character {text.index(chr(0))}."
            self.warning("WB527", message, field, "Remove it, unless the model is to learn it.")
        return True

    def _key(self, key: object, field: str) -> bool:
        if isinstance(key, str):
            return self._usable(key, field)
        self.error("WB522", f"`{field}` has a key that is not text: {kind_of(key)}.", field, "Use text keys.")
        return False

    def _note(self, code: str, severity: Severity, message: str, field: str, remedy: str) -> None:
        self.found.append(Finding(code, severity, message, row=self.row, field=field, remedy=remedy))


def _reason(error: ValueError | RecursionError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos}"
    return "nested too deep" if isinstance(error, RecursionError) else str(error)
