"""The routes. Files are read in threads: a slow disk must not hold up the notebooks of the same server."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import tornado.web
from jupyter_server.base.handlers import APIHandler

from workbench.errors import RunError
from workbench.server.known_runs import KnownRuns
from workbench.training.answers import DEFAULT_PAGE_BYTES, MOST_PAGE_BYTES, captured, described, events_page, send
from workbench.training.run import Run
from workbench.views.run_card import finite

RUN_ID = r"(?P<run_id>\d{4,9}-[a-z0-9]{4})"
MOST_BODY_BYTES = 1 << 20
MOST_RUNS = 1000


class _RunHandler(APIHandler):
    """What all routes share: finding the run, answering in strict JSON, refusing in words."""

    def initialize(self, runs: KnownRuns) -> None:
        self.runs = runs

    async def find(self, run_id: str) -> Run | None:
        """The run, or None after a 404 was sent."""
        run = await asyncio.to_thread(self.runs.find, run_id)
        if run is None:
            self.refuse(404, f"There is no run {run_id} under any known runs folder.", "WB601")
        return run

    def answer(self, value: Any) -> None:
        """Send JSON that every browser can parse: a loss of NaN goes out as null."""
        self.set_header("Cache-Control", "no-cache")
        self.finish(strict_json(value))

    def refuse(self, status: int, message: str, code: str) -> None:
        """Send an error with its words and code."""
        self.set_status(status)
        self.finish(json.dumps({"message": message, "code": code}))

    def whole_number(self, name: str, missing: int, most: int) -> int | None:
        """A query argument between 0 and `most`, or None after a 400 was sent."""
        text = self.get_query_argument(name, str(missing))
        if not text.isascii() or not text.isdigit() or len(text) > 18:
            self.refuse(400, f"{name}={text[:40]!r} is not a whole number of 0 or more.", "WB650")
            return None
        return min(int(text), most)


class RunListHandler(_RunHandler):
    """`GET /runs`."""

    @tornado.web.authenticated
    async def get(self) -> None:
        """One line a run over all known roots, newest first."""
        limit = self.whole_number("limit", MOST_RUNS, MOST_RUNS)
        if limit is not None:
            self.answer(await asyncio.to_thread(self.runs.summaries, limit))


class RunHandler(_RunHandler):
    """`GET /runs/<id>`."""

    @tornado.web.authenticated
    async def get(self, run_id: str) -> None:
        """Name and snapshot."""
        run = await self.find(run_id)
        if run is not None:
            self.answer(await asyncio.to_thread(described, run))


class EventsHandler(_RunHandler):
    """`GET /runs/<id>/events?offset=N&limit=BYTES`."""

    @tornado.web.authenticated
    async def get(self, run_id: str) -> None:
        """Whole events from a byte offset on, and the offset to go on from."""
        offset = self.whole_number("offset", 0, 1 << 62)
        limit = None if offset is None else self.whole_number("limit", DEFAULT_PAGE_BYTES, MOST_PAGE_BYTES)
        if offset is None or limit is None:
            return
        run = await self.find(run_id)
        if run is not None:
            self.answer(await asyncio.to_thread(events_page, run, offset, max(1, limit)))


class CommandsHandler(_RunHandler):
    """`POST /runs/<id>/commands`."""

    @tornado.web.authenticated
    async def post(self, run_id: str) -> None:
        """Publish one command and answer its id; what comes of it is an event."""
        if len(self.request.body) > MOST_BODY_BYTES:
            self.refuse(413, f"The command has {len(self.request.body)} bytes; {MOST_BODY_BYTES} are taken.", "WB650")
            return
        run = await self.find(run_id)
        if run is None:
            return
        try:
            command = await asyncio.to_thread(_send, run, self.request.body)
        except RunError as error:
            self.refuse(409 if error.code == "WB602" else 400, str(error), error.code)
            return
        self.answer({"cmd": command})


class CapturedHandler(_RunHandler):
    """`GET /runs/<id>/captured/<step>`."""

    @tornado.web.authenticated
    async def get(self, run_id: str, step: str) -> None:
        """What `forward()` received at a step."""
        run = await self.find(run_id)
        if run is None:
            return
        content = await asyncio.to_thread(captured, run, int(step))
        if content is None:
            self.refuse(404, f"Run {run_id} recorded no batch at step {int(step)} (or one too large to show).", "WB651")
        else:
            self.set_header("Cache-Control", "no-cache")
            self.finish(content)


def strict_json(value: Any) -> str:
    """JSON without NaN and Infinity, which JSON does not have; they become null."""
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return json.dumps(finite(value), separators=(",", ":"), allow_nan=False)


def _send(run: Run, body: bytes) -> str:
    try:
        wanted = json.loads(body)
    except ValueError as error:
        raise RunError(f"The command is not JSON: {error}.", code="WB650") from None
    return send(run, wanted)


ROUTES: list[tuple[str, type[_RunHandler]]] = [
    (r"runs", RunListHandler),
    (rf"runs/{RUN_ID}", RunHandler),
    (rf"runs/{RUN_ID}/events", EventsHandler),
    (rf"runs/{RUN_ID}/commands", CommandsHandler),
    (rf"runs/{RUN_ID}/captured/(?P<step>\d{{1,9}})", CapturedHandler),
]
