"""A browser for the front end's tests, and the front end bundled for it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def chromium():
    """Headless Chromium: $WORKBENCH_CHROMIUM, else the system's, else Playwright's own."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = os.environ.get("WORKBENCH_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with playwright.sync_playwright() as started:
        try:
            launched = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        except playwright.Error as error:
            pytest.skip(f"no Chromium to drive: {error.message.splitlines()[0]}")
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def browser(chromium):
    """Chromium for the tests of one module, whose pages end with it."""
    yield chromium
    for context in chromium.contexts:
        context.close()


@pytest.fixture(scope="session")
def widgets(tmp_path_factory) -> Path:
    """The widget modules and their style sheet, bundled from the sources; else as they were built."""
    esbuild = ROOT / "node_modules" / ".bin" / "esbuild"
    built = ROOT / "workbench" / "static"
    if not esbuild.exists():
        if not (built / "tokens.js").is_file():
            pytest.skip("the front end is not built; run jlpm install and jlpm build")
        return built
    out = tmp_path_factory.mktemp("widgets")
    sources = ROOT / "labextension" / "src" / "widgets"
    names = {path.stem for path in sources.glob("*.ts")} - {"afm", "card"}
    entries = [f"labextension/src/widgets/{name}.ts" for name in sorted(names)]
    bundle = [
        str(esbuild),
        *entries,
        "labextension/style/widgets.css",
        "--bundle",
        "--format=esm",
        "--entry-names=[name]",
    ]
    subprocess.run([*bundle, f"--outdir={out}", "--log-level=warning"], cwd=ROOT, check=True, timeout=120)
    return out


@pytest.fixture(autouse=True)
def jp_asyncio_loop():
    """No loop: pytest-jupyter's fixture of this name would close the one that Playwright runs on."""


@pytest.fixture(autouse=True)
def jp_server_cleanup():
    """Nothing to clean, for the same reason."""
