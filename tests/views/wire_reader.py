"""The front end's own parsers, run by node: what the page would read."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
READ = """
const { %(parser)s: parse } = require(process.argv[2]);
let text = '';
process.stdin.on('data', piece => { text += piece; }).on('end', () => {
  const read = JSON.parse(text).map(value => {
    try { return { value: parse(value) }; } catch (error) { return { error: error.message }; }
  });
  process.stdout.write(JSON.stringify(read));
});
"""


def bundle(folder: Path) -> Path:
    """The front end's wire module as one file for node."""
    esbuild = ROOT / "node_modules" / ".bin" / "esbuild"
    if not esbuild.exists() or shutil.which("node") is None:
        pytest.skip("the front end's packages are not installed; run jlpm install")
    made = folder / "wire.cjs"
    options = ["--bundle", "--format=cjs", "--platform=node", f"--outfile={made}", "--log-level=warning"]
    subprocess.run([str(esbuild), "labextension/src/wire.ts", *options], cwd=ROOT, check=True, timeout=120)
    return made


def read(wire: Path, parser: str, values: list[Any]) -> list[dict[str, Any]]:
    """What a parser makes of each value: `{"value": …}` or `{"error": "path: expected …"}`."""
    script = wire.with_name(f"{parser}.cjs")
    script.write_text(READ % {"parser": parser})
    asked = json.dumps(values)
    done = subprocess.run(
        ["node", str(script), str(wire)], input=asked, capture_output=True, text=True, check=True, timeout=120
    )
    return json.loads(done.stdout)


def plain(shown: Any) -> Any:
    """A payload with the columns of its rows as lists, as docs/wire.md says they are to be read."""
    if isinstance(shown, list):
        return [plain(item) for item in shown]
    if not isinstance(shown, dict):
        return shown
    made = {name: plain(item) for name, item in shown.items()}
    if "tables" in shown and isinstance(shown.get("tokens", {}).get("id"), str):
        made["tokens"] = spread(shown)
        flat = _numbers(shown.get("sources", ""))
        made["sources"] = [flat[at : at + 4] for at in range(0, len(flat), 4)]
    return made


def spread(row: dict[str, Any]) -> dict[str, list[Any]]:
    """The columns of a row in compact form, as lists."""
    packed = row["tokens"]
    made: dict[str, list[Any]] = {
        name: _numbers(text) for name, text in packed.items() if name not in ("text", "bytes")
    }
    raw = dict(item.split(":") for item in packed["bytes"].split(",") if item)
    made["bytes"] = [raw.get(str(i)) for i in range(len(made["id"]))]
    gaps, lengths, end = made["start"], made["end"], 0
    made["start"], made["end"] = [], []
    for gap, length in zip(gaps, lengths, strict=True):
        made["start"].append(end + gap)
        end += gap + length
        made["end"].append(end)
    cut = made.pop("cut", None) or [0 if part else length for part, length in zip(made["bytes"], lengths, strict=True)]
    made["text"], at = [], 0
    for length in cut:
        made["text"].append(packed["text"][at : at + length])
        at += length
    return made


def _numbers(text: str) -> list[int]:
    found: list[int] = []
    for item in text.split(",") if text else []:
        if ".." in item:
            first, last = item.split("..")
            found += range(int(first), int(last) + 1)
        else:
            value, _, times = item.partition("*")
            found += [int(value)] * int(times or 1)
    return found
