"""The pair card of preference rows: `enc[3]` shows the shared prompt once, then chosen and rejected side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workbench.api import comm
from workbench.errors import DataError
from workbench.tokens.pairs import compare
from workbench.types import Preference
from workbench.views import PAIRS_MIME
from workbench.views.compact import compact
from workbench.views.pairs import PairFacts, pair_view, pairs_html, pairs_payload, pairs_text
from workbench.views.tokens import explained
from workbench.views.window import ASKED_TOKENS, SAVED_TOKENS

if TYPE_CHECKING:
    from workbench.api.encoded import Encoded


def is_pair(enc: Encoded, row: int) -> bool:
    """Whether a data row is a pair of two usable sides."""
    made, _ = enc.tokenized(row)
    return bool(made) and made[0].part == "chosen"


def shows_pairs(enc: Encoded) -> bool:
    """Whether the rows as a whole are best shown as pairs: the first usable row is one."""
    return bool(enc.usable) and is_pair(enc, enc.usable[0])


def pair_at(enc: Encoded, position: int, most: int = ASKED_TOKENS) -> dict[str, Any]:
    """The view of one pair.

    Args:
        enc: The encoded rows.
        position: Which of `enc.pair_rows`.
        most: Tokens to show.

    Raises:
        DataError: WB558 where the row is no pair.
    """
    row = enc.pair_rows[position]
    if not is_pair(enc, row):
        raise DataError(f"Row {row} is no pair.", remedy="It is a text in two chunks: look at enc[row].", code="WB558")
    made, findings = enc.tokenized(row)
    example, _ = enc.data.converted(row)
    margin = example.margin if isinstance(example, Preference) else None
    facts = PairFacts(position, f"Row {row}", margin, findings, enc.data.type or "")
    return pair_view(enc.view_of(row, 0), enc.view_of(row, 1), compare(*made), facts, most)


def pair_questions(enc: Encoded) -> dict[str, comm.Question]:
    """What the pair card asks: `pair`, `pair_problem`."""

    def one(asked: Mapping[str, Any]) -> dict[str, Any]:
        return {"pair": explained(pair_at(enc, int(asked["position"])), enc.setting.template)}

    def problem(asked: Mapping[str, Any]) -> dict[str, Any]:
        after = int(asked.get("after", -1))
        bad = {item.row for item in enc.findings if item.row is not None and item.severity != "info"}
        positions = [i for i, row in enumerate(enc.pair_rows) if row in bad]
        return {"position": next((i for i in positions if i > after), positions[0] if positions else None)}

    return {"pair": one, "pair_problem": problem}


def pairs_shown(enc: Encoded, row: int, code: str, *, handle: str | None = None) -> dict[str, Any]:
    """The payload with a data row first."""
    rows = enc.pair_rows
    position = rows.index(row)
    heading = enc.heading(code, position)
    heading = replace(heading, row_count=len(rows), handle=handle or heading.handle)
    return pairs_payload([pair_at(enc, position, SAVED_TOKENS)], heading)


def pair_bundle(enc: Encoded, row: int, code: str, said: str) -> dict[str, Any]:
    """Mime bundle of a pair.

    Args:
        enc: The encoded rows.
        row: Data row of the pair.
        code: Python that shows the same.
        said: First lines of the plain text.
    """
    shown = pairs_shown(enc, row, code)
    return {PAIRS_MIME: compact(shown), "text/html": pairs_html(shown), "text/plain": f"{said}\n{pairs_text(shown)}"}
