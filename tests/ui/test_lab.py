"""The labextension inside a real JupyterLab: renderer, rows from the kernel, cells, keys that stay ours."""

import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

ROOT = Path(__file__).resolve().parents[2]
EXTENSION = ROOT / "workbench" / "labextension"
TOKEN = "test-only"
NEWS = "@jupyterlab/apputils-extension/notification.jupyterlab-settings"
ROWS = """import workbench as wb
rows = [{"messages": [{"role": "user", "content": f"Where does Kipwick live, number {i}?"},
                      {"role": "assistant", "content": f"In house {i}.\\nReally."}]} for i in range(200)]
enc = wb.data(rows).encode(wb.template("chatml"), tokenizer="tiny-llama", max_length=256)
enc"""


def cell(number: int, source: str) -> dict:
    return {"cell_type": "code", "id": f"c{number}", "source": source, "metadata": {}, "outputs": [], "execution_count": None}


def notebook(*sources: str) -> str:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [cell(number, source) for number, source in enumerate(sources)]
    return json.dumps({"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab with our built extension and nobody's settings."""
    if not (EXTENSION / "package.json").is_file():
        pytest.skip("the extension is not built; run jlpm build")
    home = tmp_path_factory.mktemp("lab")
    (home / "share" / "labextensions").mkdir(parents=True)
    (home / "share" / "labextensions" / "finetune-workbench").symlink_to(EXTENSION)
    (home / "settings" / NEWS).parent.mkdir(parents=True)
    (home / "settings" / NEWS).write_text('{"fetchNews": "false", "checkForUpdates": false}')
    (home / "files").mkdir()
    (home / "files" / "rows.ipynb").write_text(notebook(ROWS, "1 + 1"))
    places = {name: str(home / name.lower()) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")}
    env = os.environ | places | {
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "JUPYTER_PATH": str(home / "share"),
        "PYTHONPATH": str(ROOT),
    }
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = [f"--port={port}", f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={home / 'files'}"]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--LabApp.news_url=None", *options]
    with (home / "log").open("w") as log, subprocess.Popen(command, env=env, stdout=log, stderr=log) as server:
        try:
            wait_until_served(f"http://127.0.0.1:{port}/api?token={TOKEN}", server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def wait_until_served(url: str, server: subprocess.Popen) -> None:
    while server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, TimeoutError):
            continue
    raise RuntimeError(f"JupyterLab ended with {server.returncode} before it served")


@pytest.fixture(scope="module")
def page(browser, lab):
    """The notebook, its first cell run, its output shown."""
    page = browser.new_page(viewport={"width": 1300, "height": 1100}, locale="en-US")
    page.set_default_timeout(60_000)
    page.goto(f"{lab}/lab/tree/rows.ipynb?reset&token={TOKEN}")
    page.wait_for_function("/\\| Idle/.test(document.body.innerText)")
    page.click(".jp-Cell >> nth=0 >> .cm-content")
    page.keyboard.press("Shift+Enter")
    page.wait_for_selector(".jp-OutputArea-output .wb-tokens .wb-tline")
    return page


def active_cell(page) -> int:
    return page.evaluate("[...document.querySelectorAll('.jp-Cell')].findIndex(c => c.classList.contains('jp-mod-active'))")


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
    page.click("text=Kernel >> nth=0")
    page.click(".lm-Menu-item >> text=Restart Kernel…")
    page.click(".jp-Dialog-button.jp-mod-accept, .jp-Dialog-button.jp-mod-warn")
    page.wait_for_selector(".jp-Dialog", state="detached")
    page.wait_for_function("/\\| Idle/.test(document.body.innerText)")
    page.fill(".wb-rowno", "90")
    page.keyboard.press("Enter")
    page.wait_for_selector(".wb-tokens > [role=status]:not(.wb-vh)")
    assert page.inner_text(".wb-title") == "Row 150"
