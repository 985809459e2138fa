"""What of a long row is shown: a stretch of its tokens, with words about the rest.

A saved notebook must stay small and the page draws at most about 100,000 tokens (labextension/src/wire.ts). Nothing is
left out in silence: title and a WB140 finding say which tokens are shown and how to get the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from workbench.types import Finding

SAVED_TOKENS = 10_000
"""Tokens of the row shown first that a saved output holds: about a hundred kilobytes."""

ASKED_TOKENS = 100_000
"""Tokens of a row that the kernel sends when the page asks for it."""

SHOWN_FINDINGS = 100
"""Findings of a row that are shown; a row of control tokens has one each."""


def window(trained: Sequence[bool], most: int, around: int | None = None) -> range:
    """Tokens of a row to show.

    Args:
        trained: Whether each token is trained.
        most: Tokens that may be shown.
        around: Token that must be among them; None takes the beginning, or, where nothing there is trained, the
            tokens around the first trained one.
    """
    length = len(trained)
    if length <= most:
        return range(length)
    if around is None:
        first = next((i for i, flag in enumerate(trained) if flag), 0)
        around = first if first >= most else 0
    start = min(max(0, around - most // 2), length - most)
    return range(start, start + most)


def cut(view: dict[str, Any], shown: range) -> dict[str, Any]:
    """A row view with only these of its tokens; segments and documents are counted from the first of them."""
    if len(shown) >= len(view["tokens"]["id"]):
        return view
    tokens = {name: values[shown.start : shown.stop] for name, values in view["tokens"].items()}
    segments = [
        {**part, "trained": sum(tokens["trained"][part["start"] : part["end"]])}
        for part in _moved(view["segments"], shown)
    ]
    findings = [_at(item, shown) for item in view["findings"]]
    moved = {name: _moved(view[name], shown) for name in ("documents", "media") if name in view}
    measures = {name: values[shown.start : shown.stop] for name, values in view.get("measures", {}).items()}
    return {**view, "tokens": tokens, "segments": segments, **moved, "findings": findings, "measures": measures}


def _at(finding: dict[str, Any], shown: range) -> dict[str, Any]:
    token = finding["token"]
    return finding if token is None else {**finding, "token": token - shown.start if token in shown else None}


def _moved(parts: Sequence[dict[str, Any]], shown: range) -> list[dict[str, Any]]:
    return [
        {
            **part,
            "start": max(part["start"], shown.start) - shown.start,
            "end": min(part["end"], shown.stop) - shown.start,
        }
        for part in parts
        if part["start"] < shown.stop and part["end"] > shown.start
    ]


def labelled(view: dict[str, Any], shown: range, length: int) -> dict[str, Any]:
    """A row view that says what of its row it shows, where that is not all.

    Args:
        view: A view of the tokens `shown`.
        shown: Which tokens of the row these are.
        length: Tokens of the whole row.
    """
    findings: list[dict[str, Any]] = list(view["findings"])
    notes: list[Finding] = []
    row = view["row"]
    if len(findings) > SHOWN_FINDINGS:
        message = f"{len(findings) - SHOWN_FINDINGS:,} of {len(findings):,} findings of {view['title']} are not shown."
        notes.append(Finding("WB140", "info", message, row=row, remedy="enc.findings holds all of them."))
    title = view["title"]
    if len(shown) < length:
        title = f"{title}, tokens {shown.start:,} to {shown.stop - 1:,} of {length:,}"
        remedy = (
            "The arrays of the batch hold all of them."
            if row is None
            else f"enc[{row}].at(n) shows those around token n; enc[{row}].input_ids and .labels hold all."
        )
        message = f"{length - len(shown):,} of {length:,} tokens of {view['title']} are not shown here."
        notes.append(Finding("WB140", "info", message, row=row, remedy=remedy))
    return {**view, "title": title, "findings": [*map(asdict, notes), *findings[:SHOWN_FINDINGS]]}
