"""Rows without messages: plain text, labelled segments, token ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from workbench.rows.assemble import Columns, Converter, Row
from workbench.rows.row_findings import RowFindings
from workbench.rows.shapes import is_list, kind_of
from workbench.types import IGNORE, Example, Segments, Text, TokenIds


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


def _pretokenized(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    column = names["input_ids"]
    if column not in row:
        notes.missing(column, row)
        return None
    ids = _numbers(row[column], column, "token ids", notes)
    labels = _beside(row, names.get("labels"), ids, column, notes)
    mask = _beside(row, names.get("attention_mask"), ids, column, notes)
    if ids is None or notes.failed:
        return None
    if not ids:
        notes.error("WB523", f"`{column}` is empty: nothing can be trained.", column, "Drop the row.")
    at = next((i for i, token in enumerate(ids) if token < 0), None)
    if at is not None:
        message = f"`{column}[{at}]` must be a token id, but is {kind_of(ids[at])}."
        notes.error("WB522", message, f"{column}[{at}]", "Token ids are 0 or more; -100 belongs into the labels.")
    if labels is None:
        message = f"The row has no labels: every token of `{column}` is trained."
        notes.info("WB569", message, column, "Add labels with -100 for tokens that are not trained.")
    elif not notes.failed:
        _check_labels(ids, labels, names["labels"], notes)
    at = next((i for i, bit in enumerate(mask or ()) if bit not in (0, 1)), None)
    if at is not None and mask is not None:
        field = f"{names['attention_mask']}[{at}]"
        notes.error(
            "WB566", f"`{field}` must be 0 or 1, but is {kind_of(mask[at])}.", field, "1 marks a token to read."
        )
    return None if notes.failed else TokenIds(notes.row, ids, labels, mask)


def _beside(
    row: Row, column: str | None, ids: tuple[int, ...] | None, of: str, notes: RowFindings
) -> tuple[int, ...] | None:
    """A column with one number a token; None where the row has none."""
    value = row.get(column) if column else None
    if column is None or value is None:
        return None
    numbers = _numbers(value, column, "numbers", notes)
    if numbers is not None and ids is not None and len(numbers) != len(ids):
        message = f"`{column}` has {len(numbers)} items, but `{of}` has {len(ids)}."
        notes.error("WB565", message, column, "They must be of the same length: one a token.")
    return numbers


def _numbers(value: object, column: str, what: str, notes: RowFindings) -> tuple[int, ...] | None:
    """A list of whole numbers; true, false and 1.0 are none."""
    items = notes.parsed(value, column, f"a list of {what}")
    if not is_list(items):
        if not (isinstance(value, str) and notes.failed):
            message = f"`{column}` must be a list of {what}, but is {kind_of(value)}."
            notes.error("WB522", message, column, "Store a list of integers.")
        return None
    listed = cast("list[Any]", items)
    at = next((i for i, item in enumerate(listed) if type(item) is not int), None)
    if at is None:
        return tuple(listed)
    message = f"`{column}[{at}]` must be a whole number, but is {kind_of(listed[at])}."
    notes.error("WB522", message, f"{column}[{at}]", f"Store {what} as integers.")
    return None


def _check_labels(ids: tuple[int, ...], labels: tuple[int, ...], column: str, notes: RowFindings) -> None:
    """Every label must be its own token's id, or -100: the trainer shifts them itself."""
    trained = [i for i, label in enumerate(labels) if label != IGNORE]
    wrong = [i for i in trained if labels[i] != ids[i]]
    if not trained:
        notes.error("WB531", f"Nothing can be trained: every item of `{column}` is -100.", column, "Drop the row.")
    if not wrong:
        return
    at = wrong[0]
    for by, way in ((1, "left"), (-1, "right")):
        beside = [i for i in trained if 0 <= i + by < len(ids)]
        if beside and all(labels[i] == ids[i + by] for i in beside):
            message = f"`{column}` looks shifted by one to the {way}: `{column}[{at}]` is the id of token {at + by}."
            notes.error("WB579", message, column, "Undo the shift: the trainer shifts labels itself.")
            return
    message = f"`{column}[{at}]` must be -100 or its token's id {ids[at]}, but is {kind_of(labels[at])}"
    more = f"; so with {len(wrong) - 1} more" if len(wrong) > 1 else ""
    notes.error("WB579", f"{message}{more}.", f"{column}[{at}]", "Write the id where the token is trained, else -100.")


PLAIN: Mapping[str, Converter] = {"text": _text, "input_output": _input_output, "pretokenized": _pretokenized}
