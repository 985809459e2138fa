"""The picker's line of max_length on a bare page in Chromium: by mouse, finger, keys and typing."""

import pytest
from component_page import open_component
from looking import answer, drawn, sent
from picker_payloads import picker_state

pytestmark = pytest.mark.browser

SLIDER = ".wb-slide"


def test_arrow_moves_max_length_by_one_bar_and_the_code_underlines_it(pick):
    page = pick()
    page.focus(SLIDER)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowRight")
    assert [change["value"] for change in sent(page)] == [960, 961]
    state = picker_state()
    answer(page, state | {"max_length": 961, "code": state["code"].replace("1024", "961")})
    assert page.eval_on_selector_all(".wb-changed", "nodes => nodes.map(n => n.textContent)") == ["961"]
    assert page.evaluate("document.activeElement.className") == "wb-slide"


@pytest.mark.parametrize(
    ("key", "value"), [("Home", 64), ("End", None), ("PageUp", 1280), ("PageDown", 768), ("ArrowUp", 1088)]
)
def test_keys_of_the_line(pick, key, value):
    page = pick()
    page.focus(SLIDER)
    page.keyboard.press(key)
    assert sent(page) == [{"kind": "max_length", "value": value}]


def test_the_line_is_a_slider_with_its_value_in_words(pick):
    page = pick()
    page.focus(SLIDER)
    assert page.get_attribute(SLIDER, "role") == "slider"
    assert page.get_attribute(SLIDER, "aria-valuetext") == "1,024 tokens, 39 rows (2%) would be cut"
    page.keyboard.press("End")
    assert page.get_attribute(SLIDER, "aria-valuetext") == "no limit, no row would be cut"


def test_the_line_is_dragged_with_the_mouse_and_sent_once(pick):
    page = pick()
    box = page.locator(".wb-hist").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 40, steps=5)
    assert "max_length 512" in page.text_content(".wb-hist .wb-tb")
    rows = sum(length > 512 for length in picker_state()["lengths"]["values"])
    assert f"{rows} rows" in page.inner_text(".wb-len .wb-lh")
    assert sent(page) == []
    page.mouse.up()
    assert sent(page) == [{"kind": "max_length", "value": 512}]
    assert page.evaluate("document.activeElement.className") == "wb-slide"


def test_the_line_is_moved_by_a_finger(browser, widgets):
    context = browser.new_context(has_touch=True, viewport={"width": 960, "height": 1000})
    page = context.new_page()
    open_component(page, widgets, "picker", {"state": picker_state()})
    drawn(page)
    box = page.locator(".wb-hist").bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 4, box["y"] + 40)
    page.wait_for_function("sent.length === 1")
    assert sent(page) == [{"kind": "max_length", "value": 512}]
    context.close()


def test_a_length_is_typed_and_taken_back(pick):
    page = pick()
    page.fill(".wb-exact", "777")
    page.keyboard.press("Enter")
    page.fill(".wb-exact", "")
    page.keyboard.press("Enter")
    assert [change["value"] for change in sent(page)] == [777, None]


def test_an_answer_that_comes_while_a_length_is_typed_does_not_undo_it(pick):
    page = pick()
    page.fill(".wb-exact", "777")
    page.evaluate("s => model.set('state', s)", picker_state() | {"chosen_by": "you"})
    assert page.input_value(".wb-exact") == "777"
    page.keyboard.press("Enter")
    assert sent(page) == [{"kind": "max_length", "value": 777}]


def test_what_is_behind_the_line_is_hatched_to_the_pixel(pick):
    page = pick()
    drawn(page)
    over, under = (page.locator(f".wb-hist clipPath >> nth={i} >> rect") for i in (1, 0))
    width = page.locator(".wb-hist").bounding_box()["width"]
    assert float(over.get_attribute("x")) == pytest.approx(width / 2)
    assert float(under.get_attribute("width")) == pytest.approx(width / 2)
    fill = page.eval_on_selector(".wb-over rect", "node => node.getAttribute('fill')")
    assert fill.startswith("url(#wb-hatch")


def test_an_older_answer_does_not_move_the_line_back(pick):
    page = pick()
    page.focus(SLIDER)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.evaluate("s => model.set('state', {...s, turn: 1})", picker_state() | {"max_length": 960})
    assert "max_length 896" in page.text_content(".wb-hist .wb-tb")
    answer(page, picker_state() | {"max_length": 896})
    assert "max_length 896" in page.text_content(".wb-hist .wb-tb")


def test_a_sample_is_called_one_and_text_is_chunked(pick):
    lengths = picker_state()["lengths"] | {"rows": 10_000, "long": "chunked"}
    page = pick(lengths=lengths)
    assert "Measured on 1,999 of 10,000 rows." in page.inner_text(".wb-len")
    assert "39 rows (2%) would be chunked" in page.inner_text(".wb-len")


def test_skewed_lengths_have_an_axis_of_doublings(pick):
    edges = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536]
    values = [3] * 90 + [60_000] * 10
    lengths = {"values": values, "edges": edges, "counts": [90, 0, 0, 0, 0, 0, 0, 10], "scale": "log"}
    page = pick(lengths=lengths | {"rows": 100, "long": "cut"}, max_length=256)
    drawn(page)
    box = page.locator(".wb-hist").bounding_box()
    line = float(page.get_attribute(".wb-ml", "x1"))
    assert line == pytest.approx(box["width"] / 2, abs=1)
    page.focus(SLIDER)
    page.keyboard.press("ArrowRight")
    assert sent(page) == [{"kind": "max_length", "value": 1024}]
