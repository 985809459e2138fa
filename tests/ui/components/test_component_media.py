"""Images among the tokens of a row, and the label of a KTO row, as a user meets them."""

import base64
import copy

import pytest
from component_page import open_component
from looking import CURRENT, current
from payloads import COOK, finding, payload, row

pytestmark = pytest.mark.browser

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
PICTURE = f"data:image/png;base64,{PIXEL}"


def vision(*, trained: bool = False, picture: str | None = PICTURE, tokens: int = 576):
    """A row with an image of many tokens behind the third one."""
    made = row(COOK[1:3])
    columns = made["tokens"]
    for name, values in columns.items():
        fill = {"text": "<image>", "special": 1, "trained": int(trained), "id": 32000}.get(name, values[3])
        columns[name] = values[:3] + [fill] * tokens + values[3:]
    columns["position"] = list(range(len(columns["id"])))
    for part in made["segments"]:
        part["start"] += tokens if part["start"] > 3 else 0
        part["end"] += tokens
    made["media"] = [
        {"start": 3, "end": 3 + tokens, "name": "<image>", "thumbnail": picture, "width": 336, "height": 336}
    ]
    return made


def test_tokens_of_an_image_are_one_chip_with_its_picture(show):
    page = show(vision())
    chip = page.locator(".wb-tline .wb-media")
    assert chip.count() == 1 and chip.inner_text() == "<image>×576"
    assert chip.locator("img").get_attribute("alt") == "Image, 336 by 336 pixels"
    assert page.eval_on_selector(".wb-tline .wb-media img", "n => n.complete && n.naturalWidth") == 1
    assert page.locator(".wb-tline [data-i]").count() == len(row(COOK[1:3])["tokens"]["id"]) + 1


def test_an_image_is_one_step_for_the_keys(show):
    page = show(vision())
    page.focus(CURRENT)
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert current(page) == 3
    assert page.get_attribute(CURRENT, "aria-label") == "Image, 336 by 336 pixels, 576 tokens, masked"
    page.keyboard.press("ArrowRight")
    assert current(page) == 579
    page.keyboard.press("ArrowLeft")
    assert current(page) == 3


def test_inspector_shows_the_image_its_size_and_its_tokens(show):
    page = show(vision())
    page.click(".wb-media")
    words = page.inner_text(".wb-insp .wb-medium")
    assert "336 by 336 pixels" in words and "576 tokens, 3 to 578" in words and "none of them trained" in words
    assert page.locator(".wb-insp .wb-medium img").count() == 1


def test_trained_image_tokens_are_in_the_error_style(show):
    made = vision(trained=True)
    made["findings"] = [finding("WB150", "error", "576 of 576 tokens of image 0 are trained.") | {"token": 3}]
    page = show(made)
    chip = page.locator(".wb-tline .wb-media")
    assert "wb-supervised" in chip.get_attribute("class") and chip.locator("svg").count() == 1
    assert page.eval_on_selector(".wb-tline .wb-media", "n => getComputedStyle(n).borderTopStyle") == "dashed"
    page.click(".wb-media")
    assert "576 of them trained" in page.inner_text(".wb-insp .wb-medium")
    assert "1 problem" in page.inner_text(".wb-head")


def test_image_without_a_picture_says_so(show):
    page = show(vision(picture=None))
    assert page.locator(".wb-tline .wb-media img").count() == 0
    page.click(".wb-media")
    assert "no picture on this machine" in page.inner_text(".wb-insp .wb-medium")


def test_lines_with_images_stay_inside_the_card(show):
    page = show(vision())
    for width in (960, 600, 420):
        page.set_viewport_size({"width": width, "height": 1000})
        page.wait_for_timeout(50)
        over = page.evaluate(
            """() => Math.max(...[...document.querySelectorAll('.wb-tline')].map(line =>
              Math.max(0, ...[...line.querySelectorAll('[data-i]')].map(n =>
                n.getBoundingClientRect().right - line.parentElement.getBoundingClientRect().right))))"""
        )
        assert over <= 2


@pytest.mark.parametrize(
    "picture",
    [
        "https://example.invalid/cat.png",
        "javascript:alert(1)",
        "data:image/svg+xml;base64," + base64.b64encode(b"<svg onload='alert(1)'/>").decode(),
        "data:text/html;base64,PGI+",
        'data:image/png;base64,AAAA" onerror="alert(1)',
        "data:image/png;base64," + "A" * 400_000,
    ],
)
def test_only_a_small_png_in_the_payload_itself_is_taken(page, widgets, picture):
    open_component(page, widgets, "tokens", {"payload": payload([vision()])})
    broken = copy.deepcopy(payload([vision(picture=picture)]))
    message = page.evaluate(
        "p => { try { model.set('payload', p); return ''; } catch (e) { return e.message; } }", broken
    )
    assert "tokens.rows[0].media[0].thumbnail: expected a small PNG as a data URL" in message


@pytest.mark.parametrize(("label", "words"), [(True, "wanted answer"), (False, "unwanted answer")])
def test_label_of_a_kto_row_is_a_badge_with_a_sign_and_a_word(show, label, words):
    page = show(row(COOK[1:3]) | {"desirable": label})
    badge = page.locator(".wb-head .wb-badge", has_text=words).first
    assert badge.inner_text() == words and badge.locator("svg").count() == 1
