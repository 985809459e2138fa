"""The labextension inside a real JupyterLab: renderer, rows from the kernel, cells, keys that stay ours."""

import json

import pytest
from lab_server import EXTENSION, jupyter_lab, menu, open_notebook

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

ROWS = """import workbench as wb
rows = [{"messages": [{"role": "user", "content": f"Where does Kipwick live, number {i}?"},
                      {"role": "assistant", "content": f"In house {i}.\\nReally."}]} for i in range(200)]
enc = wb.data(rows).encode(wb.template("chatml"), tokenizer="tiny-llama", max_length=256)
enc"""


def cell(number: int, source: str) -> dict:
    return {
        "cell_type": "code",
        "id": f"c{number}",
        "source": source,
        "metadata": {},
        "outputs": [],
        "execution_count": None,
    }


def notebook(*sources: str) -> str:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [cell(number, source) for number, source in enumerate(sources)]
    return json.dumps({"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A JupyterLab with a notebook that shows 200 encoded rows."""
    if not (EXTENSION / "package.json").is_file():
        pytest.skip("the extension is not built; run jlpm build")
    with jupyter_lab(tmp_path_factory.mktemp("lab")) as served:
        (served.files / "rows.ipynb").write_text(notebook(ROWS, "1 + 1"))
        yield served


@pytest.fixture(scope="module")
def page(browser, lab):
    """The notebook, its first cell run, its output shown."""
    page = browser.new_page(viewport={"width": 1300, "height": 1100}, locale="en-US")
    page.set_default_timeout(60_000)
    open_notebook(page, lab, "rows.ipynb")
    page.click(".jp-Cell >> nth=0 >> .cm-content")
    page.keyboard.press("Shift+Enter")
    page.wait_for_selector(".jp-OutputArea-output .wb-tokens .wb-tline")
    return page


def active_cell(page) -> int:
    return page.evaluate(
        "[...document.querySelectorAll('.jp-Cell')].findIndex(c => c.classList.contains('jp-mod-active'))"
    )


def test_output_is_the_viewer_and_not_the_static_snapshot(page):
    assert page.inner_text(".jp-OutputArea-output .wb-title") == "Row 0"
    assert page.locator(".jp-OutputArea-output .wb-static").count() == 0


def test_j_shows_the_next_row_and_lab_stays_on_its_cell(page):
    page.click(".wb-tline [data-i='3']")
    cell_before = active_cell(page)
    page.keyboard.press("j")
    page.wait_for_function("document.querySelector('.wb-title').textContent === 'Row 1'")
    assert page.evaluate("document.activeElement.closest('.wb-toks') !== null")
    assert active_cell(page) == cell_before


def test_row_far_from_the_output_comes_from_the_kernel(page):
    page.fill(".wb-rowno", "150")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('.wb-title').textContent === 'Row 150'")
    assert "150" in page.inner_text(".wb-toks")


def test_insert_makes_a_cell_below_the_output(page):
    cells = page.locator(".jp-Cell").count()
    page.click(".wb-code >> text=Insert as cell")
    page.wait_for_selector(".wb-code >> text=Inserted below")
    assert page.locator(".jp-Cell").count() == cells + 1
    assert page.locator(".jp-Cell").nth(1).locator(".cm-content").inner_text() == page.inner_text(".wb-code pre")


def test_escape_gives_the_focus_back_to_the_cell(page):
    page.focus(".wb-tline [tabindex='0']")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.classList.contains('jp-Cell')")


def test_commands_are_in_the_palette(page):
    page.keyboard.press("Control+Shift+C")
    page.fill(".lm-CommandPalette-input", "fine-tune")
    page.wait_for_selector(".lm-CommandPalette-item >> text=Look at Training Data")
    page.keyboard.press("Escape")


def test_restarted_kernel_is_told_and_the_row_stays(page):
    menu(page, "Kernel", "Restart Kernel…")
    page.click(".jp-Dialog-button.jp-mod-accept, .jp-Dialog-button.jp-mod-warn")
    page.wait_for_selector(".jp-Dialog", state="detached")
    page.wait_for_function("/\\| Idle/.test(document.body.innerText)")
    page.fill(".wb-rowno", "90")
    page.keyboard.press("Enter")
    page.wait_for_selector(".wb-tokens > [role=status]:not(.wb-vh, .wb-hint)")
    assert page.inner_text(".wb-title") == "Row 150"
