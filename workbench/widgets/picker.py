"""The data picker: shows a state, forwards a change, shows the next state (docs/wire.md, section 4)."""

from __future__ import annotations

import pathlib
import threading
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
        on_change: Given the kind of change and its value, returns the next state.

    Attributes:
        state: What is shown; `turn` is the number of the change it answers.
        scan: How far the whole file has been read, `{"done", "running"}`; None where nothing is left to read.
        code: The Python of `state`.
    """

    _esm = STATIC / "picker.js"
    _css = STATIC / "widgets.css"
    state = traitlets.Dict().tag(sync=True)
    scan = traitlets.Dict(default_value=None, allow_none=True).tag(sync=True)
    code = traitlets.Unicode()

    def __init__(self, state: dict[str, Any], on_change: OnChange) -> None:
        super().__init__(state=state, code=state["code"])
        self._on_change = on_change
        self._lock = threading.RLock()
        self.on_msg(self._receive)

    def refresh(self, make: Callable[[], dict[str, Any]]) -> None:
        """Show a state that no change asked for, made while no change is being answered."""
        with self._lock:
            self._show({**make(), "turn": self.state["turn"]})

    def _receive(self, _widget: Any, message: Mapping[str, Any], _buffers: Any) -> None:
        """Apply a change; a refusal is shown in the widget, which keeps its state."""
        with self._lock:
            try:
                state = self._on_change(str(message["kind"]), message["value"])
            except WorkbenchError as error:
                self.send({"error": str(error)})
                return
            self._show({**state, "turn": int(message.get("turn", 0))})

    def _show(self, state: dict[str, Any]) -> None:
        self.state = state
        self.code = state["code"]
