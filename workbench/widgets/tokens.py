"""The token-mask viewer as a widget, for hosts that show widgets but not our mime type."""

from __future__ import annotations

from workbench.widgets.card import STATIC, Card


class TokenViewer(Card):
    """Show a tokens payload (`application/vnd.finetune-workbench.tokens+json` of docs/wire.md)."""

    _esm = STATIC / "tokens.js"
