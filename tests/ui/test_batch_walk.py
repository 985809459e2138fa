"""Batches in a real JupyterLab: lanes, a data row, a batch that came wrong, a live run tapped."""

import json

import pytest
from lab_server import EXTENSION, jupyter_lab, menu, open_notebook
from picker_files import notebook

from workbench import tiny_llama

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

CELLS = """import json
import workbench as wb
data = wb.data("chats.jsonl")
enc = data.encode(wb.template("tiny-llama"), tokenizer="tiny-llama", max_length=512, packing="bfd")
hard = {"lora_dropout": 0.1, "gradient_checkpointing": True}
recipe = wb.recipe(enc, model="tiny-llama", per_device_train_batch_size=4, **hard)
enc.batches(recipe)[0]"""
TAMPERED = """batch = enc.batches(recipe)[0]
received = {name: [list(row) for row in rows] for name, rows in batch.arrays.items()}
received["position_ids"] = [list(range(len(received["input_ids"][0])))]
batch.compare(received, 120)"""
TAPPED = """run = recipe.launch(capture=(), threads=1)
shown = run.batch()
run.stop(save=False)
shown"""
CARD = ".jp-OutputArea-output .wb-batch"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    if not (EXTENSION / "package.json").is_file():
        pytest.skip("the extension is not built; run jlpm build")
    lines = [json.loads(line)["messages"] for line in tiny_llama.rows_path("train").read_text("utf-8").splitlines()]
    rows = [{"messages": [m for part in lines[i : i + 1 + i % 6] for m in part]} for i in range(0, 700, 7)]
    with jupyter_lab(tmp_path_factory.mktemp("batches")) as served:
        (served.files / "chats.jsonl").write_text("\n".join(map(json.dumps, rows)))
        (served.files / "batches.ipynb").write_text(notebook(CELLS))
        yield served


@pytest.fixture(scope="module")
def page(browser, lab):
    page = browser.new_page(viewport={"width": 1300, "height": 1500}, locale="en-US")
    page.set_default_timeout(120_000)
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    open_notebook(page, lab, "batches.ipynb")
    menu(page, "Run", "Run All Cells")
    page.wait_for_selector(CARD)
    yield page
    assert errors == []


def run_below(page, source: str) -> None:
    """A new cell at the end, run."""
    page.locator(".jp-Notebook .jp-CodeCell").last.locator(".cm-content").click()
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    page.keyboard.press("Enter")
    page.keyboard.insert_text(source)
    page.keyboard.press("Shift+Enter")


def opened(page, card: int) -> str:
    return page.locator(CARD).nth(card).locator(".wb-open .wb-h").inner_text()


def test_a_document_is_opened_with_the_keyboard_and_its_tokens_come_from_the_kernel(page):
    page.locator(f"{CARD} .wb-lanes [tabindex='0']").first.focus()
    before = opened(page, 0)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_function(
        "before => document.querySelector('.wb-batch .wb-open .wb-h').textContent !== before", arg=before
    )
    row = page.evaluate("document.activeElement.getAttribute('aria-label')").split(",")[0]
    assert opened(page, 0).lower() == row
    page.keyboard.press("a")
    assert page.locator(f"{CARD} .wb-att").is_visible()
    assert "of the full triangle" in page.inner_text(f"{CARD} .wb-att figcaption")


def test_p_shows_the_data_row_and_escape_goes_back_to_the_lanes(page):
    row = opened(page, 0).rsplit(" ", 1)[1]
    page.keyboard.press("p")
    page.wait_for_selector(f"{CARD} .wb-sourcebox .wb-tokens")
    assert page.inner_text(f"{CARD} .wb-sourcebox .wb-oh code") == f"enc[{row}]"
    page.wait_for_function("document.activeElement.closest('.wb-sourcebox .wb-toks') !== null")
    page.keyboard.press("Escape")
    page.wait_for_function("document.activeElement.classList.contains('wb-blk')")
    page.keyboard.press("Escape")
    page.wait_for_function("document.activeElement.closest('.wb-batch') === null")


def test_a_batch_that_came_wrong_shows_where_and_why(page):
    run_below(page, TAMPERED)
    page.wait_for_selector(f"{CARD} .wb-proof .wb-error")
    proof = " ".join(page.inner_text(f"{CARD} .wb-proof .wb-error").split())
    assert proof.startswith("WB201 Positions do not restart at the second document.")
    assert "SFTConfig(padding_free=True" in proof
    assert page.locator(CARD).nth(1).locator(".wb-badge").inner_text() == "Differs from step 120"


def test_a_live_run_is_tapped_and_shows_its_losses(page):
    run_below(page, TAPPED)
    page.wait_for_selector(f"{CARD} .wb-proof .wb-good")
    card = page.locator(CARD).nth(2)
    assert card.locator(".wb-badge").inner_text().startswith("Agrees with step")
    assert "loss over the trained tokens" in card.locator(".wb-eff").inner_text()
    card.locator(".wb-seg button:has-text('Loss')").click()
    cells = card.locator(".wb-prow [data-i]").evaluate_all("nodes => nodes.slice(0, 20).map(n => n.dataset.l)")
    assert cells[0] == "–" and all(float(cell) >= 0 for cell in cells[1:])
