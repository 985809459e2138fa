"""A batch as a widget, for hosts that show widgets but not our mime type."""

from __future__ import annotations

from workbench.widgets.card import STATIC, Card


class BatchCard(Card):
    """Show a batch payload (`application/vnd.finetune-workbench.batch+json` of docs/wire.md)."""

    _esm = STATIC / "batch.js"
