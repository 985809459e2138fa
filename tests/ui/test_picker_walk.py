"""The picker as a person uses it in a real JupyterLab: a table and chats are understood, corrected, and inserted."""

import pytest
from axe import violations
from lab_server import EXTENSION, jupyter_lab, menu, open_notebook
from picker_files import EMPTY, kitchen_csv, notebook, pairs_jsonl, support_jsonl

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

NOTEBOOK = "picker.ipynb"
PICK = ".jp-OutputArea-output .wb-pick"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    if not (EXTENSION / "package.json").is_file():
        pytest.skip("the extension is not built; run jlpm build")
    with jupyter_lab(tmp_path_factory.mktemp("picker")) as served:
        for make in (kitchen_csv, support_jsonl, pairs_jsonl):
            make(served.files)
        opened = 'import workbench as wb\ndata = wb.data("kitchen.csv")\ndata'
        (served.files / NOTEBOOK).write_text(notebook(opened))
        yield served


@pytest.fixture(scope="module")
def page(browser, lab):
    page = browser.new_page(viewport={"width": 1300, "height": 1200}, locale="en-US")
    page.set_default_timeout(120_000)
    page.console_errors = []
    page.on("pageerror", lambda error: page.console_errors.append(str(error)))
    open_notebook(page, lab, NOTEBOOK)
    menu(page, "Run", "Run All Cells")
    page.wait_for_selector(PICK)
    return page


def card(page):
    return page.locator(PICK).last


def code(page) -> str:
    return card(page).locator(".wb-code pre").inner_text()


def answered(page) -> None:
    """Wait until the kernel has answered every change."""
    page.wait_for_function("card => !card.hasAttribute('aria-busy')", arg=card(page).element_handle())


def choose(page, name: str, value: str) -> None:
    """Choose in the selector of that name, and wait for what comes of it."""
    card(page).get_by_label(name, exact=True).select_option(value)
    answered(page)


def run_below(page, source: str) -> None:
    """A new cell at the end, run."""
    page.locator(".jp-Notebook .jp-CodeCell").last.locator(".cm-content").click()
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    page.keyboard.press("Enter")
    page.keyboard.insert_text(source)
    page.keyboard.press("Shift+Enter")


def test_a_table_with_odd_columns_is_understood_with_evidence(page):
    assert "2,000 rows, 5 columns" in card(page).locator(".wb-head").inner_text()
    assert card(page).locator(".wb-badgebox").inner_text() == "Detected, 1,999 of 2,000 rows"
    why = card(page).locator(".wb-because").inner_text()
    assert "→ output" in why and "→ instruction" in why
    assert f"Row {EMPTY:,} does not fit." in card(page).locator(".wb-misfit").inner_text()
    assert "12 values" in card(page).locator("thead").inner_text()
    assert "all different" in card(page).locator("thead").inner_text()


def test_a_role_is_changed_with_the_keyboard_alone(page):
    card(page).get_by_label("Role of column remark").focus()
    page.keyboard.type("inp")
    page.keyboard.press("Enter")
    answered(page)
    page.wait_for_function("() => /'input': 'remark'/.test(document.querySelector('.wb-code pre').textContent)")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Role of column remark"
    assert page.locator(".jp-Notebook.jp-mod-editMode").count() == 0


def test_the_row_that_does_not_fit_is_shown_and_left_out(page):
    card(page).get_by_role("button", name="Show row").click()
    answered(page)
    assert f"q-{EMPTY}" in card(page).locator(".wb-whole").inner_text()
    card(page).get_by_role("button", name="Leave it out").click()
    answered(page)
    assert f".without({EMPTY})" in code(page)
    assert f"Row {EMPTY:,}" in card(page).locator(".wb-left").inner_text()


def test_the_line_is_dragged_and_moved_by_keys(page):
    plot = card(page).locator(".wb-hist")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 3, box["y"] + 40, steps=6)
    page.mouse.up()
    answered(page)
    dragged = card(page).locator("[role=slider]").get_attribute("aria-valuenow")
    assert f"max_length={dragged})" in code(page)
    assert "would be cut" in card(page).locator(".wb-len").inner_text()
    page.keyboard.press("PageDown")
    answered(page)
    moved = card(page).locator("[role=slider]").get_attribute("aria-valuenow")
    assert int(moved) < int(dragged) and f"max_length={moved})" in code(page)


def test_another_type_and_back_keep_what_was_left_out(page):
    choose(page, "Type", "text")
    assert "type='text'" in code(page) and f".without({EMPTY})" in code(page)
    assert "You chose" in card(page).locator(".wb-badgebox").inner_text()
    assert "No column is text" in card(page).locator(".wb-absent").inner_text()
    choose(page, "Type", "alpaca")
    assert "type='alpaca'" in code(page)
    assert card(page).locator(".wb-absent").count() == 0


def test_a_template_is_chosen_and_the_first_row_shown_in_it(page):
    choose(page, "Chat template", "chatml")
    assert "<|im_start|>" in card(page).locator(".wb-prev").inner_text()
    assert "As" not in card(page).locator(".wb-prev mark").first.inner_text()[:2]
    assert "wb.template('chatml')" in code(page)


def test_the_inserted_cell_runs_and_shows_the_same_tokens(page):
    said = code(page)
    card(page).get_by_role("button", name="Insert as cell").click()
    page.wait_for_function("document.querySelectorAll('.jp-Notebook .jp-CodeCell').length === 2")
    inserted = page.locator(".jp-Notebook .jp-CodeCell").nth(1)
    assert inserted.locator(".cm-content").inner_text().replace("\n", "") == said.replace("\n", "")
    page.keyboard.press("Shift+Enter")
    run_below(page, "print(len(enc.usable), 1204 in enc.usable, enc.setting.max_length)")
    page.wait_for_selector(".jp-OutputArea-output:has-text('1999 False')")
    run_below(page, "enc")
    page.wait_for_selector(".jp-OutputArea-output .wb-tokens")


def test_an_unknown_speaker_gets_a_role(page):
    run_below(page, 'chats = wb.data("support.jsonl")\nchats')
    page.wait_for_selector(f"{PICK} >> text=support.jsonl")
    strip = card(page).locator(".wb-speakers")
    assert "customer" in strip.inner_text() and "unknown" in strip.inner_text()
    choose(page, "Role of speaker customer", "user")
    assert "roles={'customer': 'user'}" in code(page)
    assert "60 of 60 rows" in card(page).locator(".wb-badgebox").inner_text()
    assert "order 0" in card(page).locator(".wb-prev").inner_text()


def test_options_show_in_the_code(page):
    card(page).locator(".wb-further summary").click()
    choose(page, "Stop tokens trained", "none")
    assert "train_on_eos='none'" in code(page)
    card(page).get_by_label("System message where there is none").fill("Be brief.")
    page.keyboard.press("Tab")
    answered(page)
    assert "default_system_message='Be brief.'" in code(page)


def test_a_pair_is_compared(page):
    run_below(page, 'wb.data("pairs.jsonl")')
    page.wait_for_selector(f"{PICK} >> text=pairs.jsonl")
    assert card(page).locator(".wb-part").count() == 3
    assert card(page).locator(".wb-differs").count() == 2


def test_a_refused_choice_is_said_in_place_and_nothing_is_lost(page):
    before = code(page)
    card(page).locator("[data-key=type]").evaluate(
        "node => { node.append(new Option('nonsense', 'nonsense')); node.value = 'nonsense'; "
        "node.dispatchEvent(new Event('change', { bubbles: true })); }"
    )
    card(page).locator(".wb-error").first.wait_for()
    assert "nonsense" in card(page).locator("[role=alert]").inner_text()
    assert code(page) == before


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Dark High Contrast", "JupyterLab Light"])
def test_no_serious_violation_in_any_theme_of_lab(page, theme):
    menu(page, "Settings", "Theme", theme)
    page.wait_for_function(f"document.body.dataset.jpThemeName === '{theme}'")
    assert violations(page, PICK) == []


def test_nothing_went_wrong_on_the_page(page):
    assert page.console_errors == []
