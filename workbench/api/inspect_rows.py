"""The JSON of `workbench inspect`: one object a row, or the collated arrays of packed batches (DESIGN section 3)."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from workbench.tokens.pairs import compare
from workbench.types import TokenizedExample

if TYPE_CHECKING:
    from workbench.api.encoded import Encoded


def row_object(enc: Encoded, row: int) -> dict[str, Any]:
    """One row: its text, tokens with offsets, labels, reasons and origins, and its findings.

    A row of one sequence has `text` and `tokens`. A preference row has `chosen` and `rejected` with these keys, and
    `pair`: tokens of the shared prompt, first differing token and character, trained tokens of each side. A text in
    chunks has `parts`.
    """
    made, found = enc.tokenized(row)
    said: dict[str, Any] = {"row": row, "type": enc.data.type}
    findings = [asdict(item) for item in found]
    if not made:
        return {**said, "text": None, "tokens": [], "findings": findings}
    shown = [_sequence(enc, row, index, part) for index, part in enumerate(made)]
    if made[0].part == "chosen":
        pair = {key: value for key, value in asdict(compare(*made)).items() if key not in ("findings", "row")}
        return {**said, "chosen": shown[0], "rejected": shown[1], "pair": pair, "findings": findings}
    if len(made) > 1:
        return {**said, "parts": shown, "findings": findings}
    label = {} if made[0].desirable is None else {"desirable": made[0].desirable}
    return {**said, **shown[0], **label, "findings": findings}


def _sequence(enc: Encoded, row: int, index: int, made: TokenizedExample) -> dict[str, Any]:
    view = enc.view_of(row, index)
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
    return {"text": text, "tokens": tokens, "truncated": made.truncated}
