r"""One data row to one example, or to findings that say why not.

    convert({"instruction": "Add.", "input": "2, 2", "output": "4"}, 0, "alpaca", {})
      ->  Conversation(messages=({"role": "user", "content": "Add.\n\n2, 2", …}, {"role": "assistant", …}), …), ()

Every row gives an example or at least one finding of severity error, never both and never neither. Every piece of text
in an example knows the path it came from (`messages[1].content`). Special tokens written out in the data are not looked
at here; the token layer does that, because only a tokenizer knows them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from workbench.options import RowOptions
from workbench.rows.assemble import Columns, Converter, Row
from workbench.rows.conversations import SPOKEN
from workbench.rows.formats import format_named
from workbench.rows.images import IMAGES
from workbench.rows.instructions import INSTRUCTIONS
from workbench.rows.plain import PLAIN
from workbench.rows.preferences import PREFERENCES
from workbench.rows.row_findings import RowFindings
from workbench.rows.shapes import kind_of
from workbench.rows.tool_texts import TOOL_TEXTS
from workbench.types import Example, Finding

DEFAULT = RowOptions()
CONVERTERS: Mapping[str, Converter] = {**SPOKEN, **INSTRUCTIONS, **PLAIN, **IMAGES, **PREFERENCES, **TOOL_TEXTS}
"""Type -> conversion; a test holds its keys equal to those of `FORMATS` whose rows need not be joined first."""


def convert(
    row: Row, index: int, type: str, columns: Columns, options: RowOptions = DEFAULT
) -> tuple[Example | None, tuple[Finding, ...]]:
    """Convert one row.

    Args:
        row: The row.
        index: Its index in the data.
        type: A supported name in `FORMATS`.
        columns: Our column name -> column of the row; names that are not given stand for themselves.
        options: How rows are read.

    Returns:
        The example, None where the row is not usable, and everything to say about the row.

    Raises:
        DataError: For an unknown type (WB556).
    """
    entry = format_named(type)
    notes = RowFindings(index, options)
    if not isinstance(row, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  # data keeps no promises
        notes.error("WB522", f"The row must be an object, but is {kind_of(row)}.", "", "Make it {column: value}.")
        return None, tuple(notes.found)
    taken = set(columns.values())
    own = {c.name: c.name for c in entry.columns if c.required or c.name not in taken}
    example = CONVERTERS[type](row, {**own, **columns}, notes)
    return (None if notes.failed else example), tuple(notes.found)


def convert_all(
    rows: Iterable[Row], type: str, columns: Columns, options: RowOptions = DEFAULT
) -> Iterator[tuple[Example | None, tuple[Finding, ...]]]:
    """Convert rows one after the other, holding one at a time."""
    for index, row in enumerate(rows):
        yield convert(row, index, type, columns, options)
