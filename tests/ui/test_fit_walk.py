"""The fit bar in a real JupyterLab: a setting that fits, found by mouse and keys, and back as code that runs."""

import re

import pytest
from lab_server import EXTENSION, jupyter_lab, menu, open_notebook
from picker_files import notebook

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

CELLS = """import workbench as wb
turns = lambda n: [{"role": "user", "content": "Explain " * n}, {"role": "assistant", "content": "because " * n}]
enc = wb.data([{"messages": turns(n)} for n in range(3, 300, 9)]).encode("chatml", tokenizer="tiny-llama")
recipe = wb.recipe(enc, model="meta-llama/Llama-3.1-8B", per_device_train_batch_size=8)
recipe.estimate(gpu="A10G")"""
CARD = ".jp-OutputArea-output .wb-fit"


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    if not (EXTENSION / "package.json").is_file():
        pytest.skip("the extension is not built; run jlpm build")
    with jupyter_lab(tmp_path_factory.mktemp("fit")) as lab:
        (lab.files / "fit.ipynb").write_text(notebook(CELLS))
        page = browser.new_page(viewport={"width": 1300, "height": 1300}, locale="en-US")
        page.set_default_timeout(120_000)
        errors = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        open_notebook(page, lab, "fit.ipynb")
        menu(page, "Run", "Run All Cells")
        page.wait_for_selector(CARD)
        yield page
        assert errors == []


def figures(card) -> list[str]:
    return card.locator(".wb-fig b").all_inner_texts()


def test_a_run_that_does_not_fit_is_made_to_fit_and_its_code_runs(page):
    card = page.locator(CARD).first
    assert card.locator(".wb-verdict").inner_text() == "Out of memory"
    before = figures(card)
    card.get_by_role("switch", name="Flash attention").press("Space")
    assert figures(card) != before and "attention='flash_attention_2'" in card.locator(".wb-code pre").inner_text()
    card.get_by_role("switch", name="Flash attention").press("Space")
    assert figures(card) == before
    card.locator(".wb-fix:visible", has_text="fits").first.get_by_role("button").click()
    card.get_by_label("LoRA rank", exact=True).press("ArrowLeft")
    page.wait_for_timeout(100)
    assert card.locator(".wb-verdict").inner_text() == "Fits"
    wanted, code = figures(card), card.locator(".wb-code pre").inner_text()
    assert re.match(r"recipe = recipe\.with_\(r=8, .*\)\nrecipe\.estimate\(gpu='A10G'\)", code)

    card.get_by_role("button", name="Insert as cell").click()
    page.wait_for_selector(".wb-code >> text=Inserted below")
    page.locator(".jp-Notebook .jp-CodeCell").nth(1).locator(".cm-content").click()
    page.keyboard.press("Shift+Enter")
    page.wait_for_function(f"document.querySelectorAll('{CARD}').length === 2")
    assert figures(page.locator(CARD).nth(1)) == wanted


def test_keys_stay_in_the_card_and_escape_leads_to_its_cell(page):
    cells = page.locator(".jp-Notebook .jp-Cell").count()
    card = page.locator(CARD).first
    slider = card.get_by_label("Batch size", exact=True)
    slider.focus()
    for key in ("b", "x", "d", "d", "End"):
        page.keyboard.press(key)
    assert page.locator(".jp-Notebook .jp-Cell").count() == cells
    page.wait_for_timeout(100)
    assert slider.get_attribute("aria-valuetext") == "64"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.closest('.wb-fit') === null")
