"""Rows without messages: plain text, labelled segments, token ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from workbench.rows.assemble import Columns, Converter, Row
from workbench.rows.row_findings import RowFindings
from workbench.rows.shapes import is_list, kind_of
from workbench.types import Example, Segments, Text


def _text(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    text = notes.column_text(row, names["text"], 0, "text")
    if text == "":
        notes.error("WB523", f"`{names['text']}` is empty: nothing can be trained.", names["text"], "Drop the row.")
    return None if text is None else Text(notes.row, text)


def _input_output(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    column = names["segments"]
    if column not in row:
        notes.missing(column, row)
        return None
    value = notes.parsed(row[column], column, "a list of segments")
    if not is_list(value):
        if not notes.failed:
            notes.error("WB522", f"`{column}` must be a list of segments, but is {kind_of(value)}.", column)
        return None
    items = cast("list[Any]", value)
    segments = [_segment(item, f"{column}[{i}]", i, notes) for i, item in enumerate(items)]
    if not any(text and trained for text, trained in segments) and not notes.failed:
        message = f"Nothing can be trained: no segment of `{column}` with label true has text."
        notes.error("WB531", message, column, "Drop the row.")
    return Segments(notes.row, tuple(segments))


def _segment(item: object, path: str, index: int, notes: RowFindings) -> tuple[str, bool]:
    if not isinstance(item, Mapping):
        notes.error("WB522", f"`{path}` must be a segment, but is {kind_of(item)}.", path, "Write {label, text}.")
        return "", False
    raw = cast("Mapping[str, Any]", item)
    for name in ("label", "text"):
        if name not in raw:
            notes.missing(f"{path}.{name}", raw)
    text = notes.text(raw["text"], f"{path}.text", index, "text") if "text" in raw else None
    label = raw.get("label")
    if "label" in raw and not isinstance(label, bool):
        field = f"{path}.label"
        notes.error("WB537", f"`{field}` must be true or false, but is {kind_of(label)}.", field)
    return text or "", label is True


PLAIN: Mapping[str, Converter] = {"text": _text, "input_output": _input_output}
