"""The first notebook as a new user goes through it, in a real JupyterLab, with a real training run."""

import json
import re
import subprocess
import sys

import pytest
from lab_server import EXTENSION, ROOT, jupyter_lab, menu, open_notebook

pytestmark = [pytest.mark.browser, pytest.mark.training, pytest.mark.timeout(300)]

CARD = ".jp-OutputArea-output .wb-run"
NOTEBOOK = "01_first_run.ipynb"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    if not (EXTENSION / "package.json").is_file():
        pytest.skip("the extension is not built; run jlpm build")
    with jupyter_lab(tmp_path_factory.mktemp("first-run")) as served:
        made = json.loads((ROOT / "notebooks" / NOTEBOOK).read_text())
        for cell in made["cells"]:
            # A longer run than the notebook has, so that all below happens while it trains; the last test stops it.
            cell["source"] = "".join(cell["source"]).replace("**settings)", "**{**settings, 'max_steps': 2000})")
            cell["source"] = cell["source"].replace("sample_every=20", "sample_every=4")
        (served.files / NOTEBOOK).write_text(json.dumps(made))
        yield served


@pytest.fixture(scope="module")
def page(browser, lab):
    page = browser.new_page(viewport={"width": 1300, "height": 1100}, locale="en-US")
    page.set_default_timeout(120_000)
    page.console_errors = []
    page.on("pageerror", lambda error: page.console_errors.append(str(error)))
    open_notebook(page, lab, NOTEBOOK)
    page.evaluate("document.querySelector('.jp-Notebook').scrollTop = 0")
    menu(page, "Run", "Run All Cells")
    page.wait_for_selector(CARD, state="attached")
    page.locator(CARD).scroll_into_view_if_needed()
    return page


def show_card(page, state: str) -> None:
    """Bring the card into view until it shows a state; out of sight it does not draw, and outputs above still grow."""
    while not page.locator(f"{CARD}[data-state={state}]").count():
        page.locator(CARD).scroll_into_view_if_needed()
        page.wait_for_timeout(300)


def shown_step(page) -> int:
    """The step the card's first line tells (`214 of 2,000, 3 min left`)."""
    found = re.search(r"([\d,]+) of 2,?000", page.inner_text(CARD))
    return int(found.group(1).replace(",", "")) if found else -1


def run_id(page) -> str:
    return page.get_attribute(CARD, "aria-label").split()[-1]


def workbench(lab, *arguments: str) -> str:
    command = [sys.executable, "-m", "workbench.cli", *arguments]
    return subprocess.run(command, env=lab.env, cwd=lab.files, capture_output=True, text=True, check=True).stdout


def snapshot(lab, run: str) -> dict:
    return json.loads(workbench(lab, "attach", run, "--json"))["snapshot"]


def run_cell(page, source: str) -> str:
    """Type a cell at the end of the notebook, run it, and return what it prints."""
    page.locator(".jp-Notebook .jp-CodeCell").last.locator(".cm-content").click()
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    page.keyboard.press("Enter")
    page.keyboard.insert_text(source)
    page.keyboard.press("Shift+Enter")
    output = page.locator(f".jp-CodeCell:has(.cm-content:has-text('{source[:20]}')) .jp-OutputArea-output").last
    output.wait_for()
    return output.inner_text()


def test_viewer_and_picker_appear(page):
    page.wait_for_selector(".jp-OutputArea-output .wb-tokens", state="attached")
    page.wait_for_selector(".jp-OutputArea-output .wb-pick", state="attached")


def test_card_shows_a_live_chart_and_three_generations_of_samples(page):
    show_card(page, "running")
    page.wait_for_selector(f"{CARD} .js-plotly-plot .scatterlayer .js-line", state="attached")
    page.wait_for_function(f"document.querySelectorAll('{CARD} .wb-grid thead th').length >= 4")
    assert page.locator(f"{CARD} .wb-grid tbody tr").count() == 4


def test_batches_in_forward_agree_with_the_preview(page):
    page.wait_for_selector(f"{CARD} >> text=Batches agree with the preview (steps 1, 2, 3)")


def test_another_cell_runs_while_training_goes_on(page, lab):
    run = run_id(page)
    before = snapshot(lab, run)["step"]
    assert "42" in run_cell(page, "6 * 7")
    while snapshot(lab, run)["step"] <= before:
        pass
    assert snapshot(lab, run)["state"] == "running"


def test_card_is_live_again_after_a_reload(page, lab):
    run = run_id(page)
    menu(page, "File", "Save Notebook")
    page.wait_for_function("!document.querySelector('.jp-mod-dirty')")
    open_notebook(page, lab, NOTEBOOK)
    page.wait_for_selector(CARD, state="attached")
    show_card(page, "running")
    seen = snapshot(lab, run)["step"]
    while shown_step(page) <= seen:
        page.locator(CARD).scroll_into_view_if_needed()
        page.wait_for_timeout(300)


def test_run_outlives_its_kernel_and_a_fresh_kernel_misses_no_event(page, lab):
    run = run_id(page)
    for kernel in lab.api("GET", "/api/kernels"):
        lab.api("DELETE", f"/api/kernels/{kernel['id']}")
    before = snapshot(lab, run)["step"]
    while snapshot(lab, run)["step"] <= before:
        pass
    code = (
        "import workbench as wb\n"
        f"again = wb.attach({run!r})\n"
        "found, _ = again.events(limit=1 << 30)\n"
        "print(again.state(), [e['seq'] for e in found] == list(range(len(found))), len(found) > 20)\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], env=lab.env, cwd=lab.files, capture_output=True, text=True, check=True
    )
    assert out.stdout.split() == ["running", "True", "True"]


def test_stop_button_ends_the_run_with_a_checkpoint(page, lab):
    run = run_id(page)
    page.locator(CARD).scroll_into_view_if_needed()
    page.click(f"{CARD} >> text=Stop and save")
    page.locator(f"{CARD} .wb-question button", has_text="Stop and save").click()
    show_card(page, "stopped")
    ended = snapshot(lab, run)
    assert ended["state"] == "stopped" and ended["checkpoints"]
    assert page.console_errors == []
