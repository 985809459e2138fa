"""A card as a widget: shows a payload, answers the page's questions."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import anywidget
import traitlets

STATIC = pathlib.Path(__file__).parent.parent / "static"

Answer = Callable[[Mapping[str, Any]], dict[str, Any]]


class Card(anywidget.AnyWidget):
    """Show a payload of docs/wire.md; a subclass names the module that draws it.

    Args:
        payload: What is shown.
        answer: Answers the page's questions (`{"id", "handle", "op", …}` to `{"id", …}`).

    Attributes:
        payload: What is shown.
    """

    _css = STATIC / "widgets.css"
    payload = traitlets.Dict().tag(sync=True)

    def __init__(self, payload: dict[str, Any], answer: Answer) -> None:
        super().__init__(payload=payload)
        self._answer = answer
        self.on_msg(self._receive)

    def _receive(self, _widget: Any, message: Mapping[str, Any], _buffers: Any) -> None:
        self.send(self._answer(message))
