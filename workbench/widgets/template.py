"""The template card as a widget, for hosts that show widgets but not our mime type."""

from __future__ import annotations

from workbench.widgets.card import STATIC, Card


class TemplateXray(Card):
    """Show a template payload (`application/vnd.finetune-workbench.template+json` of docs/wire.md)."""

    _esm = STATIC / "template.js"
