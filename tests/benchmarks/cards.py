"""How fast the cards are and how big: a row of 100,000 tokens, data of 10,000 rows, and what is shipped; as JSON lines.

    python -m tests.benchmarks.cards [--runs 5]

Run it on an idle machine: everything but node counts and sizes depends on the load, which is printed too.
"""

import argparse
import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "ui" / "components"))

SCROLL = """async () => {
  const tasks = [];
  new PerformanceObserver(list => tasks.push(...list.getEntries().map(e => Math.round(e.duration))))
    .observe({ type: 'longtask' });
  const pane = document.querySelector('.wb-toks');
  const frames = [];
  for (let step = 0; step <= 60; step += 1) {
    const begin = performance.now();
    pane.scrollTop = (pane.scrollHeight - pane.clientHeight) * (step <= 30 ? step / 3000 : step / 60);
    await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
    frames.push(Math.round(performance.now() - begin));
  }
  await new Promise(done => setTimeout(done, 300));
  const walker = document.createTreeWalker(document.querySelector('.wb-card'), NodeFilter.SHOW_ALL);
  let nodes = 1;
  while (walker.nextNode()) { nodes += 1; }
  return { longest_task: Math.max(0, ...tasks), slowest_frame: Math.max(...frames), nodes };
}"""


def say(name: str, **figures: Any) -> None:
    """One line of the report."""
    print(json.dumps({"figure": name, **figures}), flush=True)


def modules(folder: Path) -> None:
    """The widget modules and their style sheet, minified."""
    sources = sorted((ROOT / "labextension" / "src" / "widgets").glob("*.ts"))
    entries = [str(path) for path in sources if path.stem not in ("afm", "card")]
    entries.append(str(ROOT / "labextension" / "style" / "widgets.css"))
    options = ["--bundle", "--minify", "--format=esm", "--target=es2022", "--entry-names=[name]", "--log-level=warning"]
    esbuild = str(ROOT / "node_modules" / ".bin" / "esbuild")
    subprocess.run([esbuild, *entries, *options, "--charset=utf8", f"--outdir={folder}"], cwd=ROOT, check=True)


def sizes(folder: Path) -> None:
    """Bytes of what is shipped: widget modules, minified, and the chunks of the labextension as they were built."""
    for path in [*sorted(folder.iterdir()), *sorted((ROOT / "workbench" / "labextension" / "static").glob("*.js"))]:
        raw = path.read_bytes()
        say("size", file=path.name, bytes=len(raw), gzip=len(gzip.compress(raw)))


def shown(name: str, payload: dict[str, Any], folder: Path, runs: int) -> None:
    """First paint of a payload, then scrolling through it."""
    from component_page import open_component
    from playwright.sync_api import sync_playwright

    paints, scrolls = [], []
    path = os.environ.get("WORKBENCH_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for _ in range(runs):
            page = browser.new_page(viewport={"width": 1100, "height": 900})
            open_component(page, folder, "tokens", {"payload": payload})
            paints.append(round(page.evaluate("firstPaint")))
            scrolls.append(page.evaluate(SCROLL))
            page.close()
        browser.close()
    say(
        name,
        first_paint_ms=sorted(paints),
        median_ms=statistics.median(paints),
        longest_task_ms=sorted(item["longest_task"] for item in scrolls),
        slowest_frame_ms=sorted(item["slowest_frame"] for item in scrolls),
        nodes=max(item["nodes"] for item in scrolls),
        wire_bytes=len(json.dumps(payload)),
        load=os.getloadavg()[0],
    )


def main() -> None:
    """All figures."""
    from payloads import cook, long_row, payload

    from workbench.views.compact import compact

    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=int, default=5)
    runs = options.parse_args().runs
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        modules(folder)
        shown("row of 100,000 tokens", compact(payload([long_row(100_000)])), folder, runs)
        totals = {"rows": 10_000, "tokens": 2_000_000, "trained": 10**6, "truncated": 0, "errors": 0, "warnings": 0}
        many = compact(payload([cook()], row_count=10_000, totals=totals, handle="enc-1"))
        shown("data of 10,000 rows", many, folder, runs)
        sizes(folder)


if __name__ == "__main__":
    main()
