"""The data picker: shows a state, forwards a change, shows the next state (docs/wire.md, section 4)."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import anywidget
import traitlets

from workbench.errors import WorkbenchError

STATIC = pathlib.Path(__file__).parent.parent / "static"

OnChange = Callable[[str, Any], dict[str, Any]]


class Picker(anywidget.AnyWidget):
    """Type, roles, max_length and template of a data set, with the line of Python that does the same.

    Args:
        state: What to show first; its shape is `picker` in docs/wire.md.
        on_change: Given the kind of change (`type`, `role`, `max_length`, `template`) and its value, returns the next
            state.

    Attributes:
        state: What is shown.
        code: The Python of `state`.
    """

    _esm = STATIC / "picker.js"
    _css = STATIC / "widgets.css"
    state = traitlets.Dict().tag(sync=True)
    code = traitlets.Unicode()

    def __init__(self, state: dict[str, Any], on_change: OnChange) -> None:
        super().__init__(state=state, code=state["code"])
        self._on_change = on_change
        self.on_msg(self._receive)

    def _receive(self, _widget: Any, message: Mapping[str, Any], _buffers: Any) -> None:
        """Apply a change; a refusal is shown in the widget, which keeps its state."""
        try:
            state = self._on_change(str(message["kind"]), message["value"])
        except WorkbenchError as error:
            self.send({"error": str(error)})
            return
        self.state = state
        self.code = state["code"]
