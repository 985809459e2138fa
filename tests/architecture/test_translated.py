"""Every text of the front end that people read goes through the translator (labextension/translated.mjs looks)."""

import functools
import json
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHECK = ROOT / "labextension" / "translated.mjs"

KEYS = "what is printed on a key"
PYTHON = "a line of Python, or a name in one"
ARGUMENT = "the name of an argument or of a standard"
UNREAD = "cards say it in their own words (`NoKernelError`), or nobody is left to read it"
UNIT = "a unit; it is written so in every language"
WIRE = "a word of the wire, shown by `kindWord`"
DRAWN = "a style, or a text that is measured and not shown"
ALLOWED = {
    "Enter": KEYS, "Esc": KEYS, "Tab": KEYS, "Home End": KEYS,
    "import workbench as wb": PYTHON, "import workbench as wb\nwb.demo()": PYTHON,
    "import workbench as wb\nwb.runs()": PYTHON, "data = wb.data(": PYTHON,
    "cu_seqlens": ARGUMENT, "max_length": ARGUMENT, "max_length ": ARGUMENT, ", sha256 ": ARGUMENT,
    "This output has no kernel object.": UNREAD, "Nobody here can ask the kernel.": UNREAD,
    "The view was closed.": UNREAD,
    " GiB": UNIT, " MiB": UNIT, "reference model": WIRE,
    "middle right": DRAWN, "template ": DRAWN, " padding": DRAWN, "(prefers-color-scheme: dark)": DRAWN,
    "This page has no kernel: it shows what was saved in it.": "an exported page has no translator",
}  # fmt: skip
"""Texts that stay as they are, each with its reason."""

PAYLOAD = "what is wrong with a payload, for whoever writes one; docs/wire.md has the same words"
JINJA = "words of Jinja"
PLUGINS = "descriptions of plugins, for JupyterLab's own list of them"
FORMULAS = "formulas and their sources, word for word as Python sends them; a card translates the names of parts"
FILES = {
    "memory/": FORMULAS,
    "parse.ts": PAYLOAD,
    "wire/": PAYLOAD,
    "mime.ts": PLUGINS,
    "index.ts": PLUGINS,
    "components/jinjaPieces.ts": JINJA,
}
"""Files, or folders, whose prose is not for the reader of a card."""


@functools.cache
def faults(folder: Path | None = None) -> list[dict[str, object]]:
    """What the check finds in a folder of TypeScript."""
    node = shutil.which("node")
    if node is None or not (ROOT / "node_modules" / "typescript").is_dir():
        pytest.skip("node or typescript is not installed; run jlpm install")
    command = [node, str(CHECK), *([] if folder is None else [str(folder)])]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=120).stdout)


def is_allowed(fault: dict[str, object]) -> bool:
    text, file = str(fault["text"]), str(fault["file"])
    if fault["fault"] == "prose, not translated" and file.startswith(tuple(FILES)):
        return True
    return fault["fault"] != "msgid is no literal" and text in ALLOWED


def test_every_text_that_people_read_goes_through_the_translator():
    assert [fault for fault in faults() if not is_allowed(fault)] == []


def test_no_text_is_allowed_that_is_no_longer_there():
    there = [str(fault["text"]) for fault in faults()]
    assert [known for known in ALLOWED if known not in there] == []


FAULTY = {
    "h('b', {}, 'Masked');": "shown, not translated",
    "h('b', {}, ok ? 'yes' : trans.__('no'));": "shown, not translated",
    "h('b', { 'aria-label': `row ${n}` });": "shown, not translated",
    "node.textContent = count + ' rows';": "shown, not translated",
    "node.setAttribute('title', 'masked');": "shown, not translated",
    "live.say('done');": "shown, not translated",
    "const words = 'The kernel is gone.';": "prose, not translated",
    "return `${n} of ${m}`;": "prose, not translated",
    "trans.__('a' + b);": "msgid is no literal",
    "trans.__(`a ${b}`);": "msgid is no literal",
    "trans._n('%1 row', many, n);": "msgid is no literal",
}


def test_the_check_finds_what_is_not_translated(tmp_path):
    for number, line in enumerate(FAULTY):
        (tmp_path / f"{number:02}.ts").write_text(line)
    assert [found["fault"] for found in faults(tmp_path)] == list(FAULTY.values())


def test_the_check_passes_what_is_translated(tmp_path):
    (tmp_path / "a.ts").write_text(
        "h('b', { class: 'wb-b wb-warn', 'aria-label': trans.__('%1 rows', n) }, text);\n"
        "live.say(trans._n('%1 row', '%1 rows', n));\n"
        "if (event.key === 'Escape') { node.textContent = ok ? trans.__('Saved') : ''; }\n"
    )
    assert faults(tmp_path) == []
