"""A row copied in axolotl's debug format is what axolotl itself prints for it."""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path

import pytest

import workbench as wb
from workbench.tiny_llama import model_path, rows_path
from workbench.tokens.encode import load_tokenizer
from workbench.views.copies import axolotl_debug

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "golden" / "axolotl_debug.json"
TEXTS = (
    "Plain words.",
    "two\nlines\t\u00e9 \u201cquoted\u201d",
    "\U0001f469\u200d\U0001f373 \u672c\u306f",
    "\u0627\u0644\u0633\u0644\u0627\u0645",
)


def jobs(encs: list) -> list[dict]:
    """Every row of the encoded data, in both forms, and rows whose labels no mask would make."""
    rows = [
        {"input_ids": list(enc[i].input_ids), "labels": list(enc[i].labels), "text_only": text_only}
        for enc in encs
        for i in range(len(enc))
        for text_only in (False, True)
    ]
    dice = random.Random(5)
    ids = rows[0]["input_ids"]
    rows.append({"input_ids": ids, "labels": [dice.choice((-100, 0, token)) for token in ids], "text_only": False})
    rows.append({"input_ids": [], "labels": [], "text_only": False})
    return rows


def encs() -> list:
    """Rows of the tiny model, and rows with characters of several tokens."""
    odd = [
        {"messages": [{"role": "user", "content": a}, {"role": "assistant", "content": b}]}
        for a in TEXTS
        for b in TEXTS
    ]
    dev = wb.data(str(rows_path("dev")), limit=6)
    return [dev.encode(tokenizer="tiny-llama"), wb.data(odd).encode(tokenizer="tiny-llama", train_on_eos="none")]


def ours(row: dict) -> str:
    tokenizer = load_tokenizer("tiny-llama")
    return axolotl_debug(row["input_ids"], row["labels"], tokenizer.decode, text_only=row["text_only"])


def test_golden_of_axolotl():
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert golden["axolotl"].startswith("0.19") and len(golden["rows"]) > 5
    for row, messages in zip(golden["rows"], golden["answers"], strict=True):
        assert ours(row) == "\n".join(messages)


def test_the_verb_of_a_row_prints_that_row():
    enc = encs()[1]
    row = {"input_ids": enc[3].input_ids, "labels": enc[3].labels, "text_only": False}
    assert enc[3].as_axolotl_debug() == ours(row)
    bare = enc[3].as_axolotl_debug(colour=False)
    assert "\x1b" not in bare and f"Total input len: {len(enc[3].input_ids)}" in bare


@pytest.mark.parity_axolotl
def test_axolotl_prints_the_same(tmp_path):
    if not os.environ.get("AXOLOTL_PYTHON"):
        pytest.skip("AXOLOTL_PYTHON does not name an interpreter with axolotl 0.19")
    asked = jobs(encs())
    (tmp_path / "jobs.json").write_text(json.dumps({"tokenizer": str(model_path()), "rows": asked}))
    command = [os.environ["AXOLOTL_PYTHON"], str(HERE / "make_debug_golden.py"), "out.json", "jobs.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    for row, messages in zip(asked, found["answers"], strict=True):
        assert ours(row) == "\n".join(messages)
    print(f"{len(asked)} rows equal")
