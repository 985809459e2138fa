"""Cards keep to a thousand nodes of the page, however long their rows and wide the window."""

import json

import batch_payloads
import pair_payloads
import pytest
from component_page import nodes_in, open_component
from pair_payloads import ASKED, CHOSEN, REJECTED, pair, pairs_payload, problem
from payloads import payload, row

import workbench as wb

pytestmark = pytest.mark.browser

WIDTHS = (560, 960, 1600)
LONG = " and more notes are added to the book" * 900
CURRENT = ".wb-batch [tabindex='0'][data-lane]"


def one_letter_tokens(shown: dict) -> dict:
    """Each token of the row's text is one letter."""
    return {**shown, "tokens": {**shown["tokens"], "text": ["x" for _ in shown["tokens"]["text"]]}}


def scrolled(page, selector: str) -> None:
    """Scroll every grid of tokens by part of a line and by many lines."""
    page.eval_on_selector_all(selector, "all => all.forEach(node => { node.scrollTop = 333; })")
    page.wait_for_timeout(100)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("question", ["", LONG], ids=["short prompt", "long prompt"])
def test_long_pair(page, widgets, monkeypatch, width, question):
    monkeypatch.setattr(pair_payloads, "ASKED", [ASKED[0], ("user", "Explain LoRA to a cook." + question)])
    shown = pair(chosen=CHOSEN + LONG, rejected=REJECTED + LONG, findings=(problem(),), margin=0.5)
    page.set_viewport_size({"width": width, "height": 1000})
    open_component(page, widgets, "pairs", {"payload": pairs_payload([shown])})
    assert nodes_in(page, ".wb-pairs") <= 1000
    scrolled(page, ".wb-pairs .wb-toks")
    assert nodes_in(page, ".wb-pairs") <= 1000
    lines = page.eval_on_selector_all(".wb-sides .wb-toks", "all => all.map(node => node.clientHeight / 22)")
    assert min(lines) >= 3


def test_pair_of_one_letter_tokens_on_a_wide_page(page, widgets):
    shown = pair(chosen=CHOSEN + LONG, rejected=REJECTED + LONG)
    for side in ("chosen", "rejected"):
        shown[side]["row"] = one_letter_tokens(shown[side]["row"])
    page.set_viewport_size({"width": 2400, "height": 1000})
    open_component(page, widgets, "pairs", {"payload": pairs_payload([shown])})
    scrolled(page, ".wb-pairs .wb-toks")
    assert nodes_in(page, ".wb-pairs") <= 1000


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    ("rows", "size"), [(("bfd", 512, 60, 6), 4), (("bfd", 8192, 900, 40), 64)], ids=["small", "64 rows"]
)
def test_data_row_in_a_batch(page, widgets, width, rows, size):
    enc = batch_payloads.encoded(*rows)
    shown = enc.batches(wb.recipe(enc, per_device_train_batch_size=size))[0]
    page.set_viewport_size({"width": width, "height": 1000})
    traits = {"payload": json.loads(json.dumps(batch_payloads.payload_of(shown)))}
    open_component(page, widgets, "batch", traits)
    page.focus(CURRENT)
    page.keyboard.press("a")
    page.keyboard.press("p")
    page.wait_for_function("sent.length === 1")
    batch_payloads.answer(page, shown)
    page.wait_for_selector(".wb-sourcebox .wb-tline")
    page.wait_for_function("document.activeElement.closest('.wb-toks') !== null")
    assert nodes_in(page, ".wb-batch") <= 1000
    scrolled(page, ".wb-sourcebox .wb-toks")
    assert nodes_in(page, ".wb-batch") <= 1000
    assert page.locator(".wb-open").count() == 0
    page.keyboard.press("p")
    page.wait_for_function("document.activeElement.classList.contains('wb-blk')")
    assert page.is_visible(".wb-open .wb-prow") and not page.is_visible(".wb-sourcebox")


def test_row_of_one_letter_tokens_on_a_wide_page(page, widgets):
    shown = one_letter_tokens(row([*ASKED, ("assistant", CHOSEN + LONG)]))
    page.set_viewport_size({"width": 2400, "height": 1000})
    open_component(page, widgets, "tokens", {"payload": payload([shown])})
    scrolled(page, ".wb-toks")
    assert nodes_in(page, ".wb-tokens") <= 1000
