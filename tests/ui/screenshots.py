"""Pictures of README and docs, from a real JupyterLab and a real run: `make screenshots`.

Each theme opens the first notebook, runs all cells, waits for the run to end, and takes the viewer and the card.
"""

import os
import shutil
import tempfile
from pathlib import Path

from lab_server import ROOT, Lab, jupyter_lab, menu, open_notebook
from playwright.sync_api import Page, sync_playwright

IMAGES = ROOT / "docs" / "images"
NOTEBOOK = "01_first_run.ipynb"
VIEWER, CARD = ".wb-tokens", ".wb-run"


def take(theme: str) -> None:
    """All pictures of one theme."""
    with tempfile.TemporaryDirectory() as home, sync_playwright() as started:
        chromium = started.chromium.launch(
            executable_path=os.environ.get("WORKBENCH_CHROMIUM") or shutil.which("chromium"), args=["--no-sandbox"]
        )
        with jupyter_lab(Path(home), dark=theme == "dark") as lab:
            shutil.copy(ROOT / "notebooks" / NOTEBOOK, lab.files)
            page = chromium.new_page(viewport={"width": 1300, "height": 1260}, locale="en-US")
            page.set_default_timeout(300_000)
            pictures(page, lab, theme)
        chromium.close()


def pictures(page: Page, lab: Lab, theme: str) -> None:
    """Run the notebook and take its cards."""
    open_notebook(page, lab, NOTEBOOK)
    menu(page, "Run", "Run All Cells")
    page.wait_for_selector(f".jp-OutputArea-output {CARD}", state="attached")
    card = page.locator(f".jp-OutputArea-output {CARD}").first
    card.scroll_into_view_if_needed()
    page.wait_for_function(f"document.querySelectorAll('{CARD} .wb-grid thead th').length >= 4")
    page.screenshot(path=IMAGES / f"running-{theme}.png")
    page.wait_for_selector(f"{CARD}[data-state=completed]")
    card.evaluate("node => node.closest('.jp-Cell').scrollIntoView()")
    page.wait_for_timeout(1000)
    page.screenshot(path=IMAGES / f"first-run-{theme}.png")
    card.screenshot(path=IMAGES / f"run-card-{theme}.png")
    for name, selector in (("token-viewer", VIEWER), ("picker", ".wb-pick")):
        shown = page.locator(f".jp-OutputArea-output {selector}").first
        page.evaluate("document.querySelector('.jp-WindowedPanel-outer')?.scrollTo(0, 0)")
        shown.scroll_into_view_if_needed()
        shown.screenshot(path=IMAGES / f"{name}-{theme}.png")


if __name__ == "__main__":
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name in ("light", "dark"):
        take(name)
