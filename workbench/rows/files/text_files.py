"""Plain text files: one row a file, which holds all of it."""

from __future__ import annotations

import codecs
from array import array
from typing import BinaryIO

from workbench.rows.files.damage import BOM, Read, Row, first_bad, no_rows, size_of, wide_encoding
from workbench.rows.files.records import Records, Store
from workbench.types import Finding

PIECE = 1 << 20


def read_text(store: Store) -> Read:
    """Find the one row of a text file: `{"text": all of it}`.

    Where a row should end is a choice that the file does not make, so none is made; finding WB509 has the code for two.
    """
    with store.open() as file:
        head = file.read(4096)
        wide = wide_encoding(head)
        start = len(BOM) if head.startswith(BOM) else 0
        problem, end = (wide, 0) if wide else _checked(file, start)
    if problem is not None:
        return Read([], None, (problem,))
    name = store.path.name
    if end == start:
        return Read([], None, (no_rows(name),))
    rows = Records(store, array("Q", (start, end)), _row)
    return Read(rows, array("Q", (1,)), (_one_row(name, str(store.path)),))


def _row(raw: bytes) -> Row:
    return {"text": raw.decode()}


def _checked(file: BinaryIO, start: int) -> tuple[Finding | None, int]:
    """What is not UTF-8, and the byte offset of the end; of the start where all is white space."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    file.seek(start)
    offset, line, blank, raw = start, 1, True, b" "
    while raw:
        raw = file.read(PIECE)
        text = decoder.decode(raw, final=not raw)
        bad = first_bad(text, line, offset)
        if bad is not None:
            return bad, start
        blank = blank and not text.strip()
        offset, line = offset + size_of(text), line + text.count("\n")
    return None, start if blank else offset


def _one_row(name: str, path: str) -> Finding:
    message = f"{name} is plain text and is one row, the whole file."
    remedy = (
        "Where its paragraphs or lines are rows: "
        f'wb.data([{{"text": part}} for part in open({path!r}).read().split("\\n\\n") if part.strip()]), '
        'with "\\n" for lines.'
    )
    return Finding("WB509", "info", message, remedy=remedy)
