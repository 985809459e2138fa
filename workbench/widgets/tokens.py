"""The token-mask viewer as a widget, for hosts that show widgets but not our mime type."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import anywidget
import traitlets

STATIC = pathlib.Path(__file__).parent.parent / "static"

Answer = Callable[[Mapping[str, Any]], dict[str, Any]]


class TokenViewer(anywidget.AnyWidget):
    """Show a tokens payload.

    Args:
        payload: `application/vnd.finetune-workbench.tokens+json` of docs/wire.md.
        answer: Answers the page's questions for other rows (`{"id", "handle", "op", …}` to `{"id", …}`).

    Attributes:
        payload: What is shown.
    """

    _esm = STATIC / "tokens.js"
    _css = STATIC / "widgets.css"
    payload = traitlets.Dict().tag(sync=True)

    def __init__(self, payload: dict[str, Any], answer: Answer) -> None:
        super().__init__(payload=payload)
        self._answer = answer
        self.on_msg(self._receive)

    def _receive(self, _widget: Any, message: Mapping[str, Any], _buffers: Any) -> None:
        self.send(self._answer(message))
