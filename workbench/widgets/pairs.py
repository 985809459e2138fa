"""The pair card as a widget, for hosts that show widgets but not our mime type."""

from __future__ import annotations

from workbench.widgets.card import STATIC, Card


class PairCard(Card):
    """Show a pairs payload (`application/vnd.finetune-workbench.pairs+json` of docs/wire.md)."""

    _esm = STATIC / "pairs.js"
