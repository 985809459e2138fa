"""The same cards in other hosts: Notebook 7, JupyterLab's themes and second views, nbconvert, bare widget hosts."""

import re
import subprocess
import sys

import pytest
from axe import violations
from card_table import CARDS, SHOWN
from component_page import open_component
from lab_pages import all_cards, saved_notebook
from lab_server import ROOT, TOKEN, menu, open_notebook
from watched_page import watched

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

THEMES = ["JupyterLab Light", "JupyterLab Dark", "JupyterLab Dark High Contrast"]


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1300, "height": 1400}, locale="en-US")
    page.set_default_timeout(60_000)
    yield page
    page.close()


@pytest.fixture(scope="module")
def saved(browser, lab):
    """The saved cards in JupyterLab; themes change under them."""
    page = browser.new_page(viewport={"width": 1300, "height": 1400}, locale="en-US")
    page.set_default_timeout(60_000)
    page.goto(lab.address("saved.ipynb"))
    page.wait_for_selector(".jp-OutputArea-output .wb-card")
    yield page
    page.close()


@pytest.mark.parametrize("theme", THEMES)
def test_no_card_has_a_serious_violation_in_any_theme_of_lab(saved, theme):
    menu(saved, "Settings", "Theme", theme)
    saved.wait_for_function(f"document.body.dataset.jpThemeName === '{theme}'")
    found = {}
    for index, (name, card) in enumerate(SHOWN.items()):
        saved.evaluate("i => document.querySelectorAll('.jp-Notebook .jp-Cell')[i].scrollIntoView()", index)
        saved.locator(".jp-Notebook .jp-Cell").nth(index).locator(card.selector).wait_for()
        saved.wait_for_timeout(100)
        found[name] = violations(saved, f".jp-OutputArea-output {card.selector}")
    assert {name: told for name, told in found.items() if told} == {}


def test_notebook_7_shows_the_cards_and_asks_its_kernel_for_rows(page, lab):
    page.set_default_timeout(150_000)  # the kernel imports torch
    page.goto(f"{lab.url}/notebooks/rows.ipynb?token={TOKEN}")
    page.wait_for_selector(".jp-Notebook .jp-Cell .cm-content")
    lab.wait_for_kernel("rows.ipynb")
    menu(page, "Run", "Run All Cells")
    page.wait_for_selector(".jp-OutputArea-output .wb-tokens .wb-tline")
    page.fill(".wb-rowno", "150")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('.wb-title').textContent === 'Row 150'")
    page.click(".wb-tline [data-i='3']")
    page.keyboard.press("j")
    page.wait_for_function("document.querySelector('.wb-title').textContent === 'Row 151'")
    assert page.evaluate("document.activeElement.closest('.wb-toks') !== null")
    page.click(".wb-code >> text=Insert as cell")
    page.wait_for_selector(".wb-code >> text=Inserted below")
    assert page.locator(".jp-Notebook .jp-Cell").count() >= 2


def test_a_second_view_of_an_output_shows_the_same_card_and_works(page, lab):
    open_notebook(page, lab, "rows.ipynb")
    menu(page, "Run", "Run All Cells")
    page.wait_for_selector(".jp-OutputArea-output .wb-tokens .wb-tline")
    page.locator(".jp-OutputArea-output .wb-tokens .wb-title").click(button="right")
    page.click(".lm-Menu-itemLabel:text-is('Create New View for Cell Output')")
    view = page.locator(".jp-LinkedOutputView .wb-tokens")
    view.wait_for()
    view.locator(".wb-rowno").fill("90")
    view.locator(".wb-rowno").press("Enter")
    page.wait_for_function("document.querySelector('.jp-LinkedOutputView .wb-title').textContent === 'Row 90'")
    assert page.locator(".jp-Notebook .wb-tokens .wb-title").inner_text() == "Row 0"


def test_nbconvert_shows_the_static_copy_of_every_card(browser, tmp_path):
    (tmp_path / "saved.ipynb").write_text(saved_notebook(list(all_cards(tmp_path / "cards").values())))
    convert = [sys.executable, "-m", "nbconvert", "--to", "html", "--template", "basic", "saved.ipynb"]
    subprocess.run(convert, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    with watched(browser) as seen:
        seen.page.goto((tmp_path / "saved.html").as_uri())
        shown = seen.page.inner_text("body").replace("\u00b7", " ")
        assert {name: card.static for name, card in SHOWN.items() if card.static not in shown} == {}
        seen.assert_nothing_ran()


# ---------------------------------------------------------------- widgets where there is no Jupyter page around


def test_modules_export_render_and_import_nothing_from_a_network(browser, widgets):
    for path in sorted((ROOT / "workbench" / "static").glob("*.js")):
        text = path.read_text()
        assert not re.search(r"""\bimport\s*\(?\s*["'](?:https?:)?//""", text), path.name
        assert not re.search(r"^\s*import\s", text, flags=re.MULTILINE), path.name
        if path.name != "page.js":
            assert re.search(r"export\s*\{\s*[\w$]+ as default\s*\};?\s*$", text), path.name


@pytest.mark.parametrize("name", [name for name in CARDS if name != "batch tokens"])
def test_two_views_of_one_widget_live_beside_each_other(browser, widgets, name):
    card = CARDS[name]
    with watched(browser, own=("http://component.test/", "data:image/svg+xml", "data:text/css")) as seen:
        open_component(seen.page, widgets, card.module, card.traits("Why does bread need salt?"))
        seen.page.evaluate(
            """() => {
              const el = document.createElement('div');
              document.body.append(el);
              window.closeSecond = window.widget.render({ model: window.model, el });
            }"""
        )
        assert seen.page.locator(card.selector).count() == 2
        ids = seen.page.evaluate(
            "[...document.querySelectorAll('[id]')].map(n => n.id).filter(id => id.startsWith('wb-'))"
        )
        assert len(ids) == len(set(ids))
        seen.page.evaluate("closeSecond()")
        trait = next(iter(card.traits("x")))
        before = seen.page.locator(card.selector).first.inner_html()
        seen.page.evaluate("([trait, value]) => model.set(trait, value)", [trait, card.traits("Another text")[trait]])
        assert seen.page.locator(card.selector).first.inner_html() != before
        seen.assert_nothing_ran()
