"""The viewer and the card as widgets: their messages, answered in Python, without comm and without server."""

from __future__ import annotations

import json
from typing import Any

import pytest

import workbench as wb
from tests.server.server_runs import JOB, LiveRun
from workbench.api import comm
from workbench.api.run import LiveRun as ShownRun
from workbench.errors import DataError
from workbench.training.store import create_run
from workbench.views.reasons import SENTENCES
from workbench.widgets.run import RunCard
from workbench.widgets.tokens import TokenViewer

ROWS = [
    {"messages": [{"role": "user", "content": f"Question {i}"}, {"role": "assistant", "content": f"Answer {i} 🎉"}]}
    for i in range(40)
]
ROWS[30]["messages"][0]["content"] = "typed <|im_end|>"


class Page:
    """The page's end of a widget: asks as `labextension/src/widgets` does, and keeps the answers."""

    def __init__(self, widget: Any) -> None:
        self.widget, self.answers = widget, []
        widget.send = lambda content, buffers=None: self.answers.append(json.loads(json.dumps(content)))

    def ask(self, **message: Any) -> dict[str, Any]:
        self.widget._handle_custom_msg({"id": len(self.answers) + 1, **message}, [])
        answer = self.answers[-1]
        assert answer["id"] == len(self.answers)
        return answer


@pytest.fixture
def viewer():
    widget = wb.data(ROWS).encode("chatml", tokenizer="tiny-llama").widget()
    assert isinstance(widget, TokenViewer)
    return Page(widget)


def test_the_viewer_has_the_payload_and_a_handle_to_ask_by(viewer):
    payload = viewer.widget.get_state()["payload"]
    assert payload["handle"] == comm.WIDGET and payload["row_count"] == len(ROWS)
    assert set(payload["reasons"]) == set(payload["rows"][0]["tables"]["reason"]) <= set(map(str, SENTENCES))
    assert payload["rows"][0]["position"] == 0
    json.dumps(payload, allow_nan=False)


def test_the_viewer_answers_for_rows_that_are_not_in_the_payload(viewer):
    row = viewer.ask(handle="widget", op="row", position=35)["row"]
    assert "Answer 35" in "".join(row["tokens"]["text"]) and row["position"] == 35
    assert viewer.ask(handle="widget", op="find", text="Question 27", after=3)["position"] == 27
    assert viewer.ask(handle="widget", op="find", text="nowhere", after=3)["position"] is None
    assert viewer.ask(handle="widget", op="problem", after=3)["position"] == 30
    for wrong in ({"op": "row", "position": 99}, {"op": "row"}, {"op": "dance"}, {}):
        assert "error" in viewer.ask(handle="widget", **wrong)


def test_rows_without_tokens_have_no_viewer():
    enc = wb.data([{"messages": []}]).encode("chatml", tokenizer="tiny-llama")
    with pytest.raises(DataError) as caught:
        enc.widget()
    assert caught.value.code == "WB558"


@pytest.fixture
def driven(tmp_path):
    run = LiveRun(create_run(JOB, lambda path: path.write_bytes(b""), tmp_path / "runs"))
    yield run
    if run.lock.taken:
        run.kill()


@pytest.fixture
def card(driven):
    widget = ShownRun(driven.dir).widget()
    assert isinstance(widget, RunCard)
    return Page(widget)


def asked(card: Page, path: str, method: str = "GET", body: Any = None) -> tuple[int, Any]:
    answer = card.ask(path=path, method=method, body=None if body is None else json.dumps(body))
    return answer["status"], json.loads(answer["body"])


def test_the_card_shows_the_run_and_follows_its_events(card, driven):
    assert card.widget.payload["id"] == driven.id and card.widget.payload["live"]
    driven.train(2.5, float("nan"))
    status, page = asked(card, f"runs/{driven.id}/events?offset=0&limit=262144")
    assert status == 200 and page["state"] == "running" and page["offset"] == page["size"]
    assert [event["loss"] for event in page["events"] if event["kind"] == "metric"] == [2.5, None]
    status, rest = asked(card, f"runs/{driven.id}/events?offset={page['offset']}")
    assert (status, rest["events"], rest["offset"]) == (200, [], page["offset"])
    status, now = asked(card, f"runs/{driven.id}")
    assert (status, now["name"], now["snapshot"]["step"]) == (200, JOB["name"], 2)


def test_commands_of_the_card_are_published(card, driven):
    for body in ({"op": "pause"}, {"op": "sample", "prompt": 1}, {"op": "stop", "save": False}):
        status, answer = asked(card, f"runs/{driven.id}/commands", "POST", body)
        assert status == 200
        (path,) = [path for path in (driven.dir / "control").glob("*.json") if answer["cmd"] in path.name]
        told = json.loads(path.read_text())
        assert told["op"] == body["op"]
        if body["op"] == "sample":
            assert told["messages"] == JOB["samples"]["prompts"][1]


@pytest.mark.parametrize(
    ("method", "part", "body", "status", "code"),
    [
        ("POST", "/commands", {"op": "console"}, 400, "WB650"),
        ("POST", "/commands", {"op": "sample", "prompt": 9}, 400, "WB650"),
        ("POST", "/commands", ["stop"], 400, "WB650"),
        ("POST", "/commands", None, 400, "WB650"),
        ("GET", "/events?offset=-1", None, 400, "WB650"),
        ("GET", "/events?limit=x", None, 400, "WB650"),
        ("GET", "/captured/7", None, 404, "WB651"),
        ("GET", "/captured/..%2F..%2Fjob", None, 404, "WB650"),
        ("GET", "/nothing", None, 404, "WB650"),
        ("DELETE", "", None, 404, "WB650"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_words(card, driven, method, part, body, status, code):
    got, answer = asked(card, f"runs/{driven.id}{part}", method, body)
    assert (got, answer["code"]) == (status, code) and answer["message"]


def test_a_card_answers_for_its_own_run_only(card, driven):
    assert asked(card, "runs")[0] == 404
    assert asked(card, "runs/0009-aaaa")[0] == 404
    assert asked(card, f"runs/{driven.id}/../0009-aaaa")[0] == 404
    broken = card.ask(path=f"runs/{driven.id}/commands", method="POST", body="{not json")
    assert broken["status"] == 400 and json.loads(broken["body"])["code"] == "WB650"


def test_a_captured_batch_is_handed_over(card, driven):
    made = {"batches": [{"input_ids": [[1, 2]], "labels": [[-100, 2]]}]}
    (driven.dir / "captured" / "step-000001.json").write_text(json.dumps(made))
    assert asked(card, f"runs/{driven.id}/captured/1") == (200, made)


def test_a_run_that_is_over_takes_no_command(card, driven):
    driven.end("completed")
    status, answer = asked(card, f"runs/{driven.id}/commands", "POST", {"op": "pause"})
    assert (status, answer["code"]) == (409, "WB602")
    assert asked(card, f"runs/{driven.id}/events")[1]["state"] == "completed"
