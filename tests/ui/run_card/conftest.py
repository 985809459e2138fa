"""The run card on a bare page in Chromium, fed with the event log of a real training run of tiny-llama."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from card_page import until_step

from workbench.training.run import Run

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
PROMPTS = ["Where does Kipwick live?", "Which food should I bring to Hobsy?", "What does Wildle like to eat?"]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The page, bundled."""
    esbuild = ROOT / "node_modules" / ".bin" / "esbuild"
    if not esbuild.exists():
        pytest.skip("the front end's packages are not installed; run jlpm install")
    out = tmp_path_factory.mktemp("run_card_page")
    bundle = [str(esbuild), "--bundle", "--format=iife", f"--outdir={out}", "--log-level=warning"]
    entries = ["tests/ui/run_card/run_card_page.ts", "labextension/style/widgets.css"]
    subprocess.run([*bundle, "--outbase=.", *entries, "--entry-names=[name]"], cwd=ROOT, check=True, timeout=120)
    shutil.copy(HERE / "run_card_page.html", out)
    return out


@pytest.fixture
def page(browser, site):
    """A fresh page; a script error fails the test."""
    context = browser.new_context(viewport={"width": 960, "height": 1000}, locale="en-US")
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto((site / "run_card_page.html").as_uri())
    yield page
    context.close()
    assert errors == []


@pytest.fixture(scope="module")
def recorded() -> list[dict]:
    """The events of the recorded run."""
    return [json.loads(line) for line in (HERE / "recorded_run.jsonl").read_text().splitlines()]


@pytest.fixture
def payload(tmp_path, recorded):
    """Make the payload of a card from the first `step` steps, as Python makes it."""

    def make(step: int | None, **told) -> dict:
        count = len(recorded) if step is None else len(until_step(recorded, step))
        folder = tmp_path / "0007-k3f9"
        folder.mkdir(exist_ok=True)
        prompts = [[{"role": "user", "content": text}] for text in PROMPTS]
        (folder / "job.json").write_text(json.dumps({"id": "0007-k3f9", "samples": {"prompts": prompts}}))
        lines = (HERE / "recorded_run.jsonl").read_bytes().splitlines(keepends=True)
        (folder / "events.jsonl").write_bytes(b"".join(lines[:count]))
        snapshot = {
            **Run(folder).snapshot(),
            "message": None,
            **({"state": "running"} if step is not None else {}),
            **told,
        }
        return {
            "version": 1,
            "id": "0007-k3f9",
            "name": "tiny-llama, lora r16",
            "live": True,
            "snapshot": snapshot,
            "code": 'run = wb.attach("0007-k3f9")',
        }

    return make
