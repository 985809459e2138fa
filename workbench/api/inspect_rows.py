"""The JSON of `workbench inspect`: one object a row, or the collated arrays of packed batches (DESIGN section 3)."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.api.encoded import Encoded


def row_object(enc: Encoded, row: int) -> dict[str, Any]:
    """One row: its text, tokens with offsets, labels, reasons and origins, and its findings."""
    made, found = enc.tokenized(row)
    findings = [asdict(item) for item in found]
    if made is None:
        return {"row": row, "type": enc.data.type, "text": None, "tokens": [], "findings": findings}
    view = enc.view_of(row)
    columns, tables, segments = view["tokens"], view["tables"], iter(view["segments"])
    tokens: list[dict[str, Any]] = []
    segment = next(segments, None)
    for i, token in enumerate(columns["id"]):
        while segment is not None and i >= segment["end"]:
            segment = next(segments, None)
        tokens.append(
            {
                "id": token,
                "text": columns["text"][i],
                "start": columns["start"][i],
                "end": columns["end"][i],
                "label": made.labels[i],
                "trained": bool(columns["trained"][i]),
                "reason": tables["reason"][columns["reason"][i]],
                "role": tables["role"][columns["role"][i]],
                "message": segment["message"] if segment else None,
                "field": tables["field"][columns["field"][i]],
                "line": tables["line"][columns["line"][i]],
            }
        )
    text = str.__str__(made.rendered.text)
    return {
        "row": row,
        "type": enc.data.type,
        "text": text,
        "tokens": tokens,
        "truncated": made.truncated,
        "findings": findings,
    }
