"""The server's routes for one run, answered by the kernel: for hosts that show widgets but have no server extension.

The answers are those of the server: `routes(run)("GET", "runs/0007-k3f9/events?offset=0", None)` gives
`(200, {"events": […], …})`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from workbench.errors import RunError
from workbench.training.answers import DEFAULT_PAGE_BYTES, MOST_PAGE_BYTES, captured, described, events_page, send
from workbench.training.run import Run
from workbench.views.run_card import finite

Answer = tuple[int, Any]
"""Status and body, as docs/wire.md section 5 says."""

Route = Callable[[str, str, Any], Answer]


def routes(run: Run) -> Route:
    """The routes of one run; whatever goes wrong is answered, never raised into the kernel.

    Args:
        run: The only run that is answered for.

    Returns:
        From method, path (`runs/<id>/events?offset=0`) and decoded body to status and answer.
    """

    def route(method: str, path: str, body: Any) -> Answer:
        try:
            status, answer = _routed(run, method, path, body)
        except RunError as error:
            return (409 if error.code == "WB602" else 400), {"message": str(error), "code": error.code}
        except Exception as error:  # noqa: BLE001  # the page's boundary: the error is shown where it was asked
            return 400, {"message": f"{type(error).__name__}: {error}", "code": "WB650"}
        return status, finite(answer)

    return route


def _routed(run: Run, method: str, path: str, body: Any) -> Answer:
    parts = urlsplit(path)
    names = [unquote(name) for name in parts.path.strip("/").split("/")]
    if names[:2] != ["runs", run.id]:
        return _refused(404, f"This card answers for run {run.id} only, not for {path[:80]!r}.", "WB601")
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    match (method, names[2:]):
        case ("GET", []):
            return 200, described(run)
        case ("GET", ["events"]):
            limit = min(_whole(query, "limit", DEFAULT_PAGE_BYTES), MOST_PAGE_BYTES)
            return 200, events_page(run, _whole(query, "offset", 0), max(1, limit))
        case ("GET", ["captured", step]) if step.isascii() and step.isdigit():
            return _captured(run, int(step))
        case ("POST", ["commands"]):
            return 200, {"cmd": send(run, body)}
    return _refused(404, f"There is no route {method} {path[:80]!r}.", "WB650")


def _captured(run: Run, step: int) -> Answer:
    content = captured(run, step)
    if content is None:
        return _refused(404, f"Run {run.id} recorded no batch at step {step} (or one too large to show).", "WB651")
    return 200, json.loads(content)


def _whole(query: Mapping[str, str], name: str, missing: int) -> int:
    text = query.get(name, str(missing))
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise RunError(f"{name}={text[:40]!r} is not a whole number of 0 or more.", code="WB650")
    return int(text)


def _refused(status: int, message: str, code: str) -> Answer:
    return status, {"message": message, "code": code}
