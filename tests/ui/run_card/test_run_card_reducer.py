"""The pure parts of the run card: reducer, pace of polling, comparing samples."""

import pytest
from card_page import event

pytestmark = pytest.mark.browser


def test_the_reducer_agrees_with_pythons_snapshot(page, payload, recorded):
    """Two readers of one log: the page from the first event on, and Python."""
    expected = payload(None)["snapshot"]
    begin = payload(1)
    begin["snapshot"].update(state="queued", step=0, max_steps=None, loss=None, samples=[], checkpoints=[], batch=None)
    begin["snapshot"]["series"] = {"step": [], "loss": []}
    got = page.evaluate("([payload, events]) => cards.reduceAll(payload, events)", [begin, recorded])
    assert got["state"] == expected["state"] and got["step"] == expected["step"]
    assert got["loss"] == expected["loss"] and got["learningRate"] == expected["learning_rate"]
    assert got["series"]["step"] == expected["series"]["step"]
    assert got["series"]["loss"] == expected["series"]["loss"]
    assert got["checkpoints"] == expected["checkpoints"]
    cell = {(s["prompt"], s["step"]): s["text"] for s in expected["samples"] if s["prompt"] is not None}
    assert {(s["prompt"], s["step"]): s["text"] for s in got["samples"]} == cell
    assert got["batch"]["steps"] == expected["batch"]["steps"]


def test_a_resumed_run_draws_its_steps_again(page, payload):
    losses = [event("metric", step=step, loss=step / 10) for step in range(11, 20)]
    again = [event("metric", step=step, loss=1.0) for step in (15, 16)]
    got = page.evaluate("([payload, events]) => cards.reduceAll(payload, events)", [payload(10), losses + again])
    assert got["series"]["step"] == list(range(1, 17))
    assert got["series"]["loss"][-3:] == [1.4, 1.0, 1.0]


def test_a_long_run_keeps_a_bounded_curve(page, payload):
    events = [event("metric", step=step, loss=2.0) for step in range(11, 9000)]
    got = page.evaluate("([payload, events]) => cards.reduceAll(payload, events)", [payload(10), events])
    steps = got["series"]["step"]
    assert 1000 <= len(steps) <= 2000
    assert steps == sorted(set(steps)) and steps[-1] > 8980
    assert got["series"]["smoothed"][-1] == pytest.approx(2.0, abs=1e-3)


@pytest.mark.parametrize(
    ("pace", "delay"),
    [
        ({"state": "running", "hidden": False, "empty": 0, "failures": 0}, 300),
        ({"state": "running", "hidden": False, "empty": 21, "failures": 0}, 1000),
        ({"state": "paused", "hidden": False, "empty": 0, "failures": 0}, 1000),
        ({"state": "running", "hidden": True, "empty": 0, "failures": 0}, 5000),
        ({"state": "running", "hidden": False, "empty": 0, "failures": 1}, 1000),
        ({"state": "running", "hidden": False, "empty": 0, "failures": 4}, 8000),
        ({"state": "running", "hidden": False, "empty": 0, "failures": 40}, 30000),
        ({"state": "completed", "hidden": False, "empty": 0, "failures": 0}, None),
        ({"state": "died", "hidden": True, "empty": 0, "failures": 0}, None),
    ],
)
def test_the_pace_of_polling(page, pace, delay):
    assert page.evaluate("pace => cards.nextDelay(pace)", pace) == delay


def test_two_samples_of_other_scripts_are_compared_by_words(page):
    compared = page.evaluate("cards.compareWords('今日は雨です。', '今日は晴れです。')")
    assert "".join(piece["text"] for piece in compared["pieces"]) == "今日は晴れです。"
    assert [piece["text"] for piece in compared["pieces"] if piece["fresh"]] == ["晴れ"]
    same = page.evaluate("cards.compareWords('a b', 'a b')")
    assert (same["fresh"], same["words"]) == (0, 2)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("the cat the cat the cat the cat", True),
        ("no no no no no no no no", True),
        ('{"a": 1} {"a": 1} {"a": 1} {"a', True),
        ("I think so, and so does she, and so do they.", False),
        ("yes yes yes", False),
        ("", False),
    ],
)
def test_a_text_that_goes_in_circles(page, text, verdict):
    assert page.evaluate("text => cards.repeats(text)", text) is verdict
