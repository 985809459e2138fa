"""Pictures of README and docs, from a real JupyterLab and a real run: `make screenshots`.

Each theme opens the first notebook, runs all cells, waits for the run to end, and takes the viewer and the card; then
the third notebook, for the X-ray and the batches; then one with three data sets, for the picker. Parts can be named, as
in `python tests/ui/screenshots.py picker seen`; `--contrast` takes the high-contrast theme instead of light and dark.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from lab_server import ROOT, Lab, jupyter_lab, menu, open_notebook
from picker_files import kitchen_csv, notebook, pairs_jsonl, support_jsonl
from playwright.sync_api import Page, sync_playwright

IMAGES = ROOT / "docs" / "images"
NOTEBOOK = "01_first_run.ipynb"
SEEN = "03_what_the_model_sees.ipynb"
VIEWER, CARD = ".wb-tokens", ".wb-run"
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark", "contrast": "JupyterLab Dark High Contrast"}

PICKERS = {"picker": "kitchen.csv", "picker-chats": "support.jsonl", "picker-pairs": "pairs.jsonl"}
"""Pictures of the picker and the files they show."""


def take(theme: str, parts: list[str]) -> None:
    """Pictures of one theme; all parts where none is named."""
    with tempfile.TemporaryDirectory() as home, sync_playwright() as started:
        chromium = started.chromium.launch(
            executable_path=os.environ.get("WORKBENCH_CHROMIUM") or shutil.which("chromium"), args=["--no-sandbox"]
        )
        with jupyter_lab(Path(home), theme=THEMES[theme]) as lab:
            for name in (NOTEBOOK, SEEN):
                shutil.copy(ROOT / "notebooks" / name, lab.files)
            page = chromium.new_page(viewport={"width": 1300, "height": 1260}, locale="en-US")
            page.set_default_timeout(300_000)
            for name, make in PARTS.items():
                if name in parts or not parts:
                    make(page, lab, theme)
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
    shown = page.locator(f".jp-OutputArea-output {VIEWER}").first
    page.evaluate("document.querySelector('.jp-WindowedPanel-outer')?.scrollTo(0, 0)")
    shown.scroll_into_view_if_needed()
    shown.screenshot(path=IMAGES / f"token-viewer-{theme}.png")


def seen_pictures(page: Page, lab: Lab, theme: str) -> None:
    """The cards of the third notebook."""
    open_notebook(page, lab, SEEN)
    menu(page, "Run", "Run All Cells")
    page.wait_for_function("document.querySelectorAll('.jp-OutputArea-output .wb-pairs').length > 0")
    shown = {
        "template-xray": (".wb-xray", 0),
        "template-diff": (".wb-xray", 1),
        "token-mask": (VIEWER, 0),
        "token-loss": (VIEWER, 1),
        "packed-batch": (".wb-batch", 0),
        "packed-batch-tapped": (".wb-batch", 1),
        "pair": (".wb-pairs", 0),
    }
    for name, (selector, index) in shown.items():
        card = page.locator(f".jp-OutputArea-output {selector}").nth(index)
        card.scroll_into_view_if_needed()
        page.wait_for_timeout(500)
        card.screenshot(path=IMAGES / f"{name}-{theme}.png")


def picker_pictures(page: Page, lab: Lab, theme: str) -> None:
    """A notebook of one data set after the other, with a limit drawn in the first."""
    for make in (kitchen_csv, support_jsonl, pairs_jsonl):
        make(lab.files)
    for name, file in PICKERS.items():
        (lab.files / f"{name}.ipynb").write_text(notebook(f'import workbench as wb\ndata = wb.data("{file}")\ndata'))
        open_notebook(page, lab, f"{name}.ipynb")
        menu(page, "Run", "Run All Cells")
        card = page.locator(".jp-OutputArea-output .wb-pick").first
        card.wait_for()
        if name == "picker":
            card.get_by_label("Role of column remark").select_option("input")
            card.locator(".wb-exact").fill("192")
            card.locator(".wb-exact").press("Enter")
            page.wait_for_function("/max_length=192/.test(document.querySelector('.wb-pick .wb-code').textContent)")
            page.wait_for_function("/on 400 of/.test(document.querySelector('.wb-pick .wb-len').textContent)")
        page.wait_for_timeout(500)
        card.screenshot(path=IMAGES / f"{name}-{theme}.png")


FITS = """import workbench as wb
turns = lambda n: [{"role": "user", "content": "Explain " * n}, {"role": "assistant", "content": "because " * n}]
enc = wb.data([{"messages": turns(n)} for n in range(3, 640, 9)]).encode("chatml", tokenizer="tiny-llama")
recipe = wb.recipe(enc, model="meta-llama/Llama-3.1-8B", per_device_train_batch_size=4)
recipe.estimate(gpu="4090")"""
TRACED = "recipe.with_(gradient_checkpointing=True).estimate(method='trace', gpu='4090')"


def fit_pictures(page: Page, lab: Lab, theme: str) -> None:
    """The fit bar of a run that does not fit, then of one that was traced."""
    (lab.files / "fit.ipynb").write_text(notebook(FITS, TRACED))
    open_notebook(page, lab, "fit.ipynb")
    menu(page, "Run", "Run All Cells")
    page.wait_for_function("document.querySelectorAll('.jp-OutputArea-output .wb-fit').length > 1")
    for index, name in enumerate(("fit-bar", "fit-bar-traced")):
        card = page.locator(".jp-OutputArea-output .wb-fit").nth(index)
        card.scroll_into_view_if_needed()
        page.wait_for_timeout(500)
        card.screenshot(path=IMAGES / f"{name}-{theme}.png")


PARTS = {"run": pictures, "seen": seen_pictures, "picker": picker_pictures, "fit": fit_pictures}

if __name__ == "__main__":
    IMAGES.mkdir(parents=True, exist_ok=True)
    named = [name for name in sys.argv[1:] if name in PARTS]
    for name in ("contrast",) if "--contrast" in sys.argv else ("light", "dark"):
        take(name, named)
