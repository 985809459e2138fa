"""The batch card, as a user meets it: lanes, keys, verdicts, opened documents; the kernel's side is the real one."""

from __future__ import annotations

import pytest
from batch_payloads import agreeing, answer, batch, differing, encoded, payload_of
from component_page import nodes_in, open_component
from looking import drawn

import workbench as wb

pytestmark = pytest.mark.browser

CURRENT = ".wb-lanes [tabindex='0']"
TOKEN = ".wb-prow [tabindex='0']"


@pytest.fixture
def show(page, widgets):
    def show(shown, **members):
        open_component(page, widgets, "batch", {"payload": payload_of(shown) | members})
        return page

    return show


def place(page) -> tuple[int, int]:
    """Lane and first document of the block in the tab order; there is exactly one."""
    found = page.eval_on_selector_all(CURRENT, "nodes => nodes.map(n => [+n.dataset.lane, +n.dataset.first])")
    assert len(found) == 1
    return tuple(found[0])


def title(page) -> str:
    return page.inner_text(".wb-open .wb-h")


def test_every_document_is_a_block_to_scale(show):
    shown = batch()
    page = show(shown)
    for index, lane in enumerate(shown.lanes):
        blocks = page.eval_on_selector_all(
            f".wb-blk[data-lane='{index}']",
            "nodes => nodes.map(n => [n.getBoundingClientRect().width, +n.dataset.last])",
        )
        assert blocks[-1][1] == len(lane.documents) - 1
        box = page.locator(".wb-blocks").nth(index).bounding_box()
        for (width, _), document in zip(blocks, lane.documents, strict=False):
            if len(blocks) == len(lane.documents):
                assert width + 2 == pytest.approx(box["width"] * document.length / 512, abs=1)
    text = page.inner_text(".wb-eff")
    tokens = sum(lane.tokens for lane in shown.lanes)
    assert f"{tokens:,}" in text and f"{4 * 512 - tokens:,} slots free" in text
    assert f"{100 * tokens / 2048:.1f} %" in text
    documents = sum(len(lane.documents) for lane in shown.lanes)
    assert f"{documents / 4:.1f} ×" in text


def test_the_trained_bar_is_where_labels_are_trained(show):
    shown = batch()
    page = show(shown)
    path = page.get_attribute(".wb-lbars path", "d")
    drawn_spans = path.count("M")
    assert drawn_spans == sum(len(document.spans) for document in shown.lanes[0].documents)


def test_arrows_walk_documents_and_lanes_and_enter_opens(show):
    shown = batch()
    page = show(shown)
    page.focus(CURRENT)
    page.keyboard.press("ArrowRight")
    assert place(page) == (0, 1)
    page.keyboard.press("Enter")
    assert answer(page, shown)[0]["op"] == "document"
    row = shown.lanes[0].documents[1].row
    page.wait_for_function(f"document.querySelector('.wb-open .wb-h').textContent === 'Data row {row}'")
    assert page.get_attribute(".wb-blk[aria-selected='true']", "data-first") == "1"
    page.keyboard.press("ArrowDown")
    assert place(page)[0] == 1
    page.keyboard.press("End")
    lane = shown.lanes[1]
    assert page.evaluate("+document.activeElement.dataset.last") == len(lane.documents) - 1
    page.keyboard.press("ArrowRight")
    assert place(page) == (2, 0)
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("+document.activeElement.dataset.lane") == 1
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Home")
    assert place(page) == (0, 0)


def test_tokens_of_the_opened_document_are_those_of_the_batch(show):
    shown = batch()
    page = show(shown)
    document = shown.lanes[0].documents[0]
    cells = page.eval_on_selector_all(".wb-prow [data-i]", "nodes => nodes.map(n => [+n.dataset.p, n.className])")
    assert [position for position, _ in cells] == list(range(min(96, document.length)))
    labels = shown.arrays["labels"][0][document.at : document.at + len(cells)]
    assert ["wb-trained" in names for _, names in cells] == [label != -100 for label in labels]
    page.focus(TOKEN)
    page.keyboard.press("ArrowRight")
    assert page.evaluate("+document.activeElement.dataset.i") == 1
    about = page.inner_text(".wb-tabout")
    assert f"id {shown.arrays['input_ids'][0][document.at + 1]}" in about
    assert f"enc[{document.row}]" in about and "position 1" in about
    page.keyboard.press("End")
    assert page.evaluate("+document.activeElement.dataset.i") == document.length - 1
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.classList.contains('wb-blk')")


def test_a_key_and_the_switch_show_the_attention_triangle_with_its_share(show):
    shown = batch()
    page = show(shown)
    page.focus(CURRENT)
    page.keyboard.press("a")
    lengths = [document.length for document in shown.lanes[0].documents]
    share = sum(n * (n + 1) for n in lengths) / (sum(lengths) * (sum(lengths) + 1))
    assert f"{round(100 * share)}%" in page.inner_text(".wb-att figcaption").replace("\xa0", "")
    assert page.get_attribute(".wb-open [role=switch]", "aria-checked") == "true"
    page.click(".wb-open [role=switch]")
    assert page.locator(".wb-att").count() == 0


def test_p_opens_the_data_row_in_the_card_and_escape_comes_back(show):
    shown = batch()
    page = show(shown)
    page.focus(CURRENT)
    page.keyboard.press("p")
    (asked,) = answer(page, shown)
    row = shown.lanes[0].documents[0].row
    assert (asked["op"], asked["row"]) == ("source", row)
    page.wait_for_selector(".wb-sourcebox .wb-tokens")
    assert page.inner_text(".wb-sourcebox .wb-title").startswith(f"Row {row}")
    assert f"enc[{row}]" in page.inner_text(".wb-sourcebox .wb-oh")
    page.wait_for_function("document.activeElement.closest('.wb-toks') !== null")
    page.keyboard.press("Escape")
    page.wait_for_function("document.activeElement.classList.contains('wb-blk')")
    assert not page.is_visible(".wb-sourcebox")


def test_cu_seqlens_are_there_to_copy(show):
    shown = batch()
    page = show(shown)
    lengths = [document.length for lane in shown.lanes for document in lane.documents]
    borders = [sum(lengths[:i]) for i in range(len(lengths) + 1)]
    assert page.text_content(".wb-cuv") == str(borders)


def test_a_batch_that_was_received_says_so_with_arrays_and_values(show):
    page = show(agreeing())
    assert page.inner_text(".wb-badge") == "Agrees with step 120"
    tokens = sum(lane.tokens for lane in agreeing().lanes)
    proof = " ".join(page.inner_text(".wb-proof").split())
    assert "received exactly this batch" in proof and f"3 × {tokens:,} values, all equal" in proof


def test_losses_colour_tokens_and_stand_under_them(show):
    shown = agreeing()
    page = show(shown)
    page.click(".wb-seg button:has-text('Loss')")
    document = shown.lanes[0].documents[0]
    losses = shown.losses[0][document.at : document.at + 20]
    cells = page.eval_on_selector_all(".wb-prow [data-i]", "nodes => nodes.map(n => [n.dataset.l, n.dataset.step])")[
        :20
    ]
    assert [text for text, _ in cells] == ["–", *(f"{loss:.2f}" for loss in losses[1:])]
    assert [int(step) for _, step in cells[1:]] == [sum(loss >= s for s in (0.5, 1.5, 3, 5)) for loss in losses[1:]]
    assert page.eval_on_selector(".wb-pts", "n => n.dataset.under") == "loss"
    spoken = page.get_attribute(CURRENT, "aria-label")
    mean = payload_of(shown)["lanes"][0]["loss"].split(",")[0]
    assert f"mean loss {float(mean):.3f}" in spoken


def test_a_difference_is_placed_counted_and_walked(show):
    shown = differing()
    page = show(shown)
    assert page.inner_text(".wb-badge") == "Differs from step 3"
    proof = " ".join(page.inner_text(".wb-proof").split())
    document = shown.lanes[1].documents[1]
    assert proof.startswith("WB204") and f"data row {document.row}, marked ≠ above" in proof
    assert "2 of " in proof and "input_ids and position_ids are equal" in proof
    assert page.locator(".wb-blk.wb-diffs").count() == 2
    assert title(page) == f"Data row {document.row}", "the document that differs is open"
    assert page.locator(".wb-tdiff").count() == 1
    assert "labels planned" in page.get_attribute(TOKEN, "aria-label")
    table = page.eval_on_selector_all(".wb-difft tr", "rows => rows.map(r => [...r.cells].map(c => c.textContent))")
    assert table[3][0] == "forward() received" and any("-100 differs" in cell for cell in table[3])
    page.focus(CURRENT)
    page.keyboard.press("n")
    answer(page, shown)
    row = shown.lanes[3].documents[0].row
    page.wait_for_function(f"document.querySelector('.wb-open .wb-h').textContent === 'Data row {row}'")
    page.keyboard.press("n")
    page.wait_for_function(f"document.querySelector('.wb-open .wb-h').textContent === 'Data row {document.row}'")


def test_an_unchecked_batch_says_so(show):
    page = show(batch())
    assert page.inner_text(".wb-badge") == "Not checked" and page.inner_text(".wb-proof") == ""


def test_padded_rows_are_lanes_with_hatched_padding(show):
    shown = batch("none")
    page = show(shown)
    assert page.locator(".wb-lane").count() == 4
    paddings = [lane.padding for lane in shown.lanes if lane.padding]
    assert page.locator(".wb-gap2.wb-pad2").count() == len(paddings)
    assert f"{sum(paddings):,} padding" in page.inner_text(".wb-eff")
    assert page.locator(".wb-cuv").count() == 0


def test_without_a_kernel_only_the_saved_document_opens(show):
    page = show(batch(), handle=None)
    page.focus(CURRENT)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_selector(".wb-said")
    assert "saved in this output" in page.inner_text(".wb-said")


def test_an_error_of_the_kernel_is_shown_and_the_card_goes_on(show):
    shown = batch()
    page = show(shown)
    page.focus(CURRENT)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    (asked,) = page.evaluate("window.sent")
    page.evaluate("id => model.receive({ id, error: 'KeyError: gone' })", asked["id"])
    page.wait_for_selector(".wb-said")
    assert "KeyError: gone" in page.inner_text(".wb-said")
    page.keyboard.press("ArrowRight")
    assert place(page) == (0, 2)


def test_64_rows_of_2000_tokens_stay_light(show):
    enc = encoded("bfd", 2048, 900, 10)
    recipe = wb.recipe(enc, per_device_train_batch_size=64)
    shown = enc.batches(recipe)[0]
    page = show(shown)
    assert len(shown.lanes) == 64 and sum(lane.tokens for lane in shown.lanes) > 120_000
    assert nodes_in(page, ".wb-batch") <= 1000
    page.focus(CURRENT)
    page.keyboard.press("a")
    assert nodes_in(page, ".wb-batch") <= 1000
    for _ in range(len(shown.lanes) - 1):
        page.keyboard.press("ArrowDown")
    drawn(page)
    assert page.evaluate("+document.activeElement.dataset.lane") == len(shown.lanes) - 1
    assert nodes_in(page, ".wb-batch") <= 1000
    assert page.evaluate("document.querySelector('.wb-lanes').scrollTop") > 0


def test_readers_get_a_grid_of_sentences(show):
    shown = batch()
    page = show(shown)
    document = shown.lanes[0].documents[0]
    share = round(100 * document.trained / document.length)
    assert (
        page.get_attribute(CURRENT, "aria-label")
        .replace("\xa0", "")
        .startswith(
            f"data row {document.row}, {document.length} tokens, {share}% trained, positions 0 to {document.length - 1}"
        )
    )
    lane = page.get_attribute(".wb-lane", "aria-label")
    assert lane.startswith(f"packed row 0, {len(shown.lanes[0].documents)} documents, {shown.lanes[0].tokens} tokens")
    assert page.get_attribute(".wb-lanes", "role") == "grid"


@pytest.mark.parametrize("make", [batch, agreeing, differing])
def test_axe_finds_nothing_serious(show, make):
    page = show(make())
    page.keyboard.press("Tab")
    page.add_script_tag(path="node_modules/axe-core/axe.min.js")
    found = page.evaluate("() => axe.run('.wb-batch', { resultTypes: ['violations'] })")["violations"]
    serious = [(item["id"], item["nodes"][0]["html"]) for item in found if item["impact"] in ("serious", "critical")]
    assert serious == []
