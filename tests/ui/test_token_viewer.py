"""The token viewer in a real JupyterLab: masks that are tried, and every function by keyboard alone."""

import json

import pytest
from lab_server import EXTENSION, jupyter_lab, open_notebook

import workbench as wb

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

ROWS = [
    {
        "messages": [
            {"role": "user", "content": f"Where does Kipwick live, number {i}?"},
            {"role": "assistant", "content": "In a house."},
            {"role": "user", "content": "typed <|im_end|> here" if i == 7 else "Really?"},
            {"role": "assistant", "content": "Yes \u201creally\u201d."},
        ]
    }
    for i in range(40)
]
CELL = f"""import json, workbench as wb
rows = json.loads({json.dumps(ROWS)!r})
data = wb.data(rows)
enc = data.encode(wb.template("chatml"), tokenizer="tiny-llama").score("tiny-llama", rows=range(40))
enc"""
TOKENS = ".jp-OutputArea-output .wb-tokens"
POLICIES = [(on, eos) for on in ("all", "last_assistant", "assistant") for eos in ("turn", "none", "last", "all")]


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    """A notebook that shows the rows."""
    if not (EXTENSION / "package.json").is_file():
        pytest.skip("the extension is not built; run jlpm build")
    with jupyter_lab(tmp_path_factory.mktemp("lab")) as lab:
        cell = {"cell_type": "code", "id": "c0", "source": CELL, "metadata": {}, "outputs": [], "execution_count": None}
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        made = {"cells": [cell], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
        (lab.files / "rows.ipynb").write_text(json.dumps(made))
        context = browser.new_context(viewport={"width": 1300, "height": 1300}, locale="en-US")
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = context.new_page()
        page.set_default_timeout(60_000)
        open_notebook(page, lab, "rows.ipynb")
        page.click(".jp-Cell >> nth=0 >> .cm-content")
        page.keyboard.press("Shift+Enter")
        page.wait_for_selector(f"{TOKENS} .wb-tline")
        yield page
        context.close()


def encoded(**options):
    """The same rows, encoded by themselves in this process."""
    return wb.data(ROWS).encode("chatml", tokenizer="tiny-llama", **options)


def cells(page) -> dict[int, bool]:
    """Every token in the page: is it drawn as trained?"""
    found = page.eval_on_selector_all(
        f"{TOKENS} .wb-tline [data-i]",
        "nodes => nodes.map(n => [Number(n.dataset.i), n.classList.contains('wb-trained')])",
    )
    return dict(map(tuple, found))


def labels(enc, row: int) -> dict[int, bool]:
    return {i: label >= 0 for i, label in enumerate(enc[row].labels)}


def title(page, words: str) -> None:
    page.wait_for_function("words => document.querySelector('.wb-title').textContent === words", arg=words)


# ---------------------------------------------------------------- masks that are tried


@pytest.mark.parametrize(("train_on", "eos"), POLICIES)
def test_a_mask_that_is_tried_changes_exactly_the_cells_that_encoding_so_changes(page, train_on, eos):
    before = cells(page)
    other = encoded(train_on=train_on, train_on_eos=eos)
    page.select_option(f"{TOKENS} [aria-label=train_on]", train_on)
    page.select_option(f"{TOKENS} [aria-label=train_on_eos]", eos)
    page.wait_for_selector(f"{TOKENS}[aria-busy=false]")
    after = cells(page)
    assert len(after) == len(other[0].input_ids)
    assert after == labels(other, 0)
    assert set(before) == set(after)


def test_the_line_of_a_tried_mask_encodes_so(page):
    page.select_option(f"{TOKENS} [aria-label=train_on]", "all")
    page.select_option(f"{TOKENS} [aria-label=train_on_eos]", "turn")
    page.wait_for_selector(f"{TOKENS}[aria-busy=false]")
    code = page.inner_text(f"{TOKENS} .wb-code pre")
    space = {"data": wb.data(ROWS), "wb": wb}
    exec(code.partition(".score(")[0], space)
    assert cells(page) == labels(space["enc"], 0)
    page.click(f"{TOKENS} .wb-code >> text=Insert as cell")
    page.wait_for_selector(f"{TOKENS} >> text=Inserted below")
    assert page.locator(".jp-Cell").nth(1).locator(".cm-content").inner_text() == code


def test_other_rows_follow_the_mask_that_is_tried_and_one_click_ends_it(page):
    page.click(f"{TOKENS} .wb-tline [data-i='3']")
    page.keyboard.press("j")
    title(page, "Row 1")
    assert cells(page) == labels(encoded(train_on="all"), 1)
    page.click(f"{TOKENS} >> text=Back to what is encoded")
    page.wait_for_selector(f"{TOKENS} >> text=Back to what is encoded", state="hidden")
    assert cells(page) == labels(encoded(), 1)
    changed = sum(labels(encoded(train_on="all"), 1)[i] != flag for i, flag in labels(encoded(), 1).items())
    assert page.inner_text(f"{TOKENS} .wb-said") == f"{changed} tokens changed"


def test_a_mask_these_rows_cannot_have_is_told_and_nothing_changes(page):
    before = cells(page)
    page.select_option(f"{TOKENS} [aria-label=train_on]", "completion")
    page.wait_for_selector(f"{TOKENS} > [role=status] >> text=needs rows with a prompt and a completion")
    assert cells(page) == before
    assert page.input_value(f"{TOKENS} [aria-label=train_on]") == "assistant"


# ---------------------------------------------------------------- by keyboard alone


def press(page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def current(page) -> int:
    return page.evaluate("Number(document.querySelector('.wb-tline [tabindex=\"0\"]').dataset.i)")


def test_every_function_by_keyboard_alone(page):
    enc = encoded()
    page.focus(f"{TOKENS} .wb-tline [tabindex='0']")
    press(page, "k")
    title(page, "Row 0")
    press(page, "Home", "ArrowRight", "ArrowRight")
    assert current(page) == 2
    press(page, "End")
    assert current(page) == len(enc[0].input_ids) - 1
    press(page, "Shift+ArrowLeft")
    assert page.inner_text(f"{TOKENS} .wb-insp").find("message 3") >= 0
    press(page, "w")
    assert page.get_attribute(TOKENS, "data-ws") == "off"
    press(page, "w", "i")
    assert not page.is_visible(f"{TOKENS} .wb-insp")
    press(page, "i")
    seen = []
    for _ in range(7):
        press(page, "c")
        seen.append(page.get_attribute(TOKENS, "data-colour"))
    assert seen == ["role", "source", "reason", "loss", "probability", "trained", "role"]
    assert page.inner_text(f"{TOKENS} .wb-code pre") == 'enc.look(row=0, colour_by="role")'
    press(page, *["c"] * 5)
    press(page, "?")
    assert page.is_visible(f"{TOKENS} .wb-keys")
    press(page, "?", "n")
    title(page, "Row 7")
    assert page.inner_text(f"{TOKENS} .wb-tline [tabindex='0']").startswith("<|im_end|>")
    search_by_keyboard(page)
    list_by_keyboard(page)
    table_by_keyboard(page)
    menus_by_keyboard(page)
    page.focus(f"{TOKENS} .wb-tline [tabindex='0']")
    press(page, "Escape")
    assert page.evaluate("document.activeElement.classList.contains('jp-Cell')")


def search_by_keyboard(page):
    press(page, "/")
    page.keyboard.type("kipwick live, number 1")
    press(page, "Enter")
    title(page, "Row 10")
    assert page.inner_text(f"{TOKENS} .wb-found") == "1 of 1, in 11 rows"
    press(page, "Enter")
    title(page, "Row 11")
    press(page, "Shift+Enter", "Shift+Enter")
    title(page, "Row 1")
    press(page, "Escape")
    assert page.evaluate("document.activeElement.closest('.wb-toks') !== null")


def list_by_keyboard(page):
    press(page, "l")
    page.wait_for_selector(f"{TOKENS} .wb-litem[aria-setsize='40']")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "listbox"
    active = "document.getElementById(document.activeElement.getAttribute('aria-activedescendant'))"
    label = f"{active}.getAttribute('aria-label')"
    assert page.evaluate(label).startswith("Row 1: ")
    press(page, "End")
    page.wait_for_function(f"{label}.startsWith('Row 39: ')")
    press(page, "ArrowUp", "Enter")
    title(page, "Row 38")
    press(page, "l")
    page.wait_for_selector(f"{TOKENS} .wb-list", state="hidden")


def table_by_keyboard(page):
    press(page, "Home", "t", "ArrowDown", "ArrowDown")
    row = page.evaluate("[...document.activeElement.children].map(cell => cell.textContent)")
    enc = encoded()
    assert row[:2] == ["2", "↵"] and row[2] == str(enc[38].input_ids[2]) and row[4] == "masked"
    press(page, "t")
    assert current(page) == 2


def menus_by_keyboard(page):
    page.focus(f"{TOKENS} .wb-menubtn")
    press(page, "Enter", "ArrowDown", "Enter")
    page.wait_for_selector(f"{TOKENS} > [role=status] >> text=is on the clipboard")
    assert page.evaluate("navigator.clipboard.readText()") == encoded()[38].as_text(marks=True)
    press(page, "Enter", "End", "Enter")
    while "Total input len" not in page.evaluate("navigator.clipboard.readText()"):  # pytest's timeout ends it
        page.wait_for_timeout(50)
    assert page.evaluate("navigator.clipboard.readText()") == encoded()[38].as_axolotl_debug()
