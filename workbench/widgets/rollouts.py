"""The rollouts card as a widget, for hosts that show widgets but not our mime type."""

from __future__ import annotations

from workbench.widgets.card import STATIC, Card


class RolloutsCard(Card):
    """Show a rollouts payload (`application/vnd.finetune-workbench.rollouts+json` of docs/wire.md)."""

    _esm = STATIC / "rollouts.js"
