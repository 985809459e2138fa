"""How the picker shows a row rendered: stretches of text, trained or not; of a pair, the two answers side by side."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from workbench.tokens.sequences import sequences
from workbench.tokens.setting import Setting
from workbench.types import IGNORE, Example, Finding, TokenizedExample

PIECE_CHARACTERS = 4_000
"""Characters of a stretch that are shown; a million of them would freeze the page."""
SHOWN_PIECES = 200

Piece = dict[str, Any]


def rendered(example: Example, setting: Setting) -> dict[str, Any] | Finding:
    """View of one row (docs/wire.md, picker), or why it cannot be rendered."""
    made = next(iter(sequences([example], setting)))
    if isinstance(made, Finding):
        return made
    sides = {part.part: part for part in made}
    if "chosen" in sides and "rejected" in sides:
        parts = _pair(sides["chosen"], sides["rejected"])
    else:
        parts = [{"name": "row", "pieces": _limited(pieces(made[0]))}]
    return {"row": example.row, "desirable": made[0].desirable, "parts": parts}


def pieces(made: TokenizedExample, start: int = 0) -> list[Piece]:
    """Text of the row from a character on, cut where training begins and ends."""
    text = str.__str__(made.rendered.text)
    found: list[Piece] = []
    reached = start
    for trained, group in groupby(zip(made.labels, made.offsets, strict=True), lambda item: item[0] != IGNORE):
        end = max(end for _, (_, end) in group)
        if end > reached:
            found.append({"text": text[reached:end], "trained": trained, "differs": False})
            reached = end
    return found


def _limited(found: list[Piece]) -> list[Piece]:
    """Pieces in a length that a page can show; of a long stretch only its beginning and end."""
    short = [{**piece, "text": _shortened(piece["text"])} for piece in found[:SHOWN_PIECES]]
    return short if len(found) <= SHOWN_PIECES else [*short, {"text": " …", "trained": False, "differs": False}]


def _shortened(text: str) -> str:
    if len(text) <= PIECE_CHARACTERS:
        return text
    half = PIECE_CHARACTERS // 2
    return f"{text[:half]} [… {len(text) - 2 * half:,} characters not shown …] {text[-half:]}"


def _pair(chosen: TokenizedExample, rejected: TokenizedExample) -> list[dict[str, Any]]:
    """Shared prompt, chosen and rejected; the first token that differs is marked on both sides."""
    pairs = zip(chosen.input_ids, rejected.input_ids, strict=False)
    same = next((i for i, (ours, theirs) in enumerate(pairs) if ours != theirs), None)
    if same is None:
        same = min(len(chosen.input_ids), len(rejected.input_ids))
    begin = min(_answer_at(chosen), _answer_at(rejected), _reached(chosen, same), _reached(rejected, same))
    shared = str.__str__(chosen.rendered.text)[:begin]
    parts = [{"name": "prompt", "pieces": _limited([{"text": shared, "trained": False, "differs": False}])}]
    for name, side in (("chosen", chosen), ("rejected", rejected)):
        parts.append({"name": name, "pieces": _limited(_marked(pieces(side, begin), side, same, begin))})
    return parts


def _answer_at(made: TokenizedExample) -> int:
    """First character that is trained; the end where nothing is."""
    first = next((i for i, label in enumerate(made.labels) if label != IGNORE), None)
    return len(made.rendered.text) if first is None else made.offsets[first][0]


def _reached(made: TokenizedExample, token: int) -> int:
    """First character of a token; the end of the text behind the last one."""
    return made.offsets[token][0] if token < len(made.offsets) else len(made.rendered.text)


def _marked(found: list[Piece], side: TokenizedExample, token: int, begin: int) -> list[Piece]:
    """The pieces with one token parted from the others and marked."""
    if token >= len(side.offsets):
        return found
    start, end = (at - begin for at in side.offsets[token])
    out: list[Piece] = []
    at = 0
    for piece in found:
        text = piece["text"]
        for low, high, differs in ((0, start - at, False), (start - at, end - at, True), (end - at, len(text), False)):
            part = text[max(0, low) : max(0, high)]
            if part:
                out.append({**piece, "text": part, "differs": differs})
        at += len(text)
    return out
