"""The run card as a widget, for hosts without the Jupyter server's routes."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import anywidget
import traitlets

STATIC = pathlib.Path(__file__).parent.parent / "static"

Route = Callable[[str, str, Any], tuple[int, Any]]


class RunCard(anywidget.AnyWidget):
    """Show a run payload and keep it live.

    Args:
        payload: `application/vnd.finetune-workbench.run+json` of docs/wire.md.
        route: Stands in for the server: given method, path (`runs/0007-k3f9/events?offset=0`) and body, returns
            status and answer of docs/wire.md, section 5.

    Attributes:
        payload: What is shown until the first answer.
    """

    _esm = STATIC / "run.js"
    _css = STATIC / "widgets.css"
    payload = traitlets.Dict().tag(sync=True)

    def __init__(self, payload: dict[str, Any], route: Route) -> None:
        super().__init__(payload=payload)
        self._route = route
        self.on_msg(self._receive)

    def _receive(self, _widget: Any, message: Mapping[str, Any], _buffers: Any) -> None:
        body = message.get("body")
        try:
            asked = None if body is None else json.loads(body)
        except ValueError as error:
            refusal = {"message": f"The command is not JSON: {error}.", "code": "WB650"}
            self.send({"id": message["id"], "status": 400, "body": json.dumps(refusal)})
            return
        status, answer = self._route(str(message["method"]), str(message["path"]), asked)
        self.send({"id": message["id"], "status": status, "body": json.dumps(answer)})
