"""The fit bar as a widget, for hosts that show widgets but not our mime type."""

from __future__ import annotations

from workbench.widgets.card import STATIC, Card


class FitBarCard(Card):
    """Show a fit payload (`application/vnd.finetune-workbench.fit+json` of docs/wire.md)."""

    _esm = STATIC / "fit.js"
