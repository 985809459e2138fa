"""Promises about the code itself: what an import costs, how long files are, that every code has a page."""

import json
import re
import subprocess
import sys
from pathlib import Path

import workbench

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "transformers", "datasets", "trl", "peft", "anywidget", "numpy", "IPython")


def test_importing_workbench_loads_no_heavy_library():
    code = f"import sys, json, workbench; print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert json.loads(out.stdout) == []


def test_every_public_name_is_there():
    for name in workbench.__all__:
        assert getattr(workbench, name) is not None
    assert sorted(workbench.__all__) == workbench.__all__ == dir(workbench)


def test_every_public_name_has_a_place_in_the_reference():
    page = (ROOT / "docs" / "reference.md").read_text("utf-8")
    assert [name for name in workbench.__all__ if name != "__version__" and f"wb.{name}" not in page] == []


def test_every_command_is_in_the_reference():
    from workbench.cli import COMMANDS

    line = next(
        line for line in (ROOT / "docs" / "reference.md").read_text("utf-8").splitlines() if "workbench demo" in line
    )
    assert [name for name in COMMANDS if name not in line] == []


def _sources(*folders: str, suffixes: tuple[str, ...]) -> list[Path]:
    skipped = {"static", "node_modules", "lib"}
    return [
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.suffix in suffixes and not skipped & set(path.parts) and "workbench/labextension" not in path.as_posix()
    ]


def test_no_file_is_longer_than_400_lines():
    found = _sources("workbench", "labextension", "tests", suffixes=(".py", ".ts"))
    long = {str(path.relative_to(ROOT)): n for path in found if (n := len(path.read_text("utf-8").splitlines())) > 400}
    assert not long


def test_every_code_has_an_entry_in_the_documentation():
    used = {
        code
        for path in _sources("workbench", suffixes=(".py",))
        for code in re.findall(r"[\"'](WB\d{3})[\"']", path.read_text("utf-8"))
    }
    pages = "".join((ROOT / "docs" / name).read_text("utf-8") for name in ("findings.md", "errors.md"))
    documented = set(re.findall(r"^#+ (WB\d{3})\b", pages, flags=re.MULTILINE))
    assert used - documented == set()


def test_every_reason_is_explained():
    from workbench.types import Reason
    from workbench.views.reasons import SENTENCES

    page = (ROOT / "docs" / "reasons.md").read_text("utf-8")
    assert set(SENTENCES) == set(Reason)
    assert [str(reason) for reason in Reason if f"`{reason}`" not in page] == []


def test_names_that_say_nothing_are_not_used():
    banned = {"utils", "helpers", "manager", "common", "misc"}
    assert [path.name for path in _sources("workbench", suffixes=(".py",)) if path.stem in banned] == []
