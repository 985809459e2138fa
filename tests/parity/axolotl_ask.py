"""Asks axolotl, in its own interpreter, what it makes of the rows of every case."""

import json
import os
import subprocess
from pathlib import Path

from axolotl_cases import Case
from axolotl_rows import generated, shared_rows
from axolotl_tokenizers import tokenizer_folder

ORACLE = Path(__file__).with_name("axolotl_oracle.py")
GENERATED = 200


def rows_of(case: Case, testdata: Path) -> list[dict]:
    """The rows of a case: all of the test data that have its shape, and generated ones."""
    return shared_rows(case.shape, testdata) + generated(case.shape, GENERATED)


def job(case: Case, testdata: Path, root: Path) -> dict:
    """What the oracle is told of a case."""
    return {
        "name": case.name,
        "tokenizer": str(tokenizer_folder(case.tokenizer, testdata, root)),
        "config": dict(case.config),
        "dataset": dict(case.axolotl),
        "forced": dict(case.forced),
        "rows": rows_of(case, testdata),
    }


def ask(jobs: list[dict], root: Path) -> tuple[dict, dict[str, dict]]:
    """What axolotl has (`templates`, `functions`), and its answer to each job by name, from one process."""
    root.mkdir(parents=True, exist_ok=True)
    asked, said = root / "jobs.jsonl", root / "answers.jsonl"
    asked.write_text("".join(json.dumps(item) + "\n" for item in jobs), encoding="utf-8")
    command = [os.environ["AXOLOTL_PYTHON"], str(ORACLE), str(asked), str(said)]
    done = subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=3000, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    first, *lines = said.read_text(encoding="utf-8").splitlines()
    answers = [json.loads(line) for line in lines]
    return json.loads(first), {answer["name"]: answer for answer in answers}
