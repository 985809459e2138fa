"""Notebooks that need no browser and train nothing run from top to bottom, and say what their text says they say."""

from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def texts(cell):
    for output in cell.outputs:
        yield output.get("text") or output.get("data", {}).get("text/plain", "")


def test_rows_and_masks(tmp_path):
    notebook = nbformat.read(NOTEBOOKS / "02_rows_and_masks.ipynb", as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    said = ["".join(texts(cell)) for cell in notebook.cells if cell.cell_type == "code"]
    assert "type alpaca" in said[1] and "row 2: `answer` is null" in said[1]
    assert ".without(2)" in said[2] and "error" not in said[2]
    assert "Then it is replaced for free." in said[4] and said[4].count("<|im_end|>") == 2 + 0 + 4 + 2 + 1
    assert "[' very well', '<|im_end|>']" in said[5]
    assert "['answer\": 42}<|im_end|>']" in said[5]
    assert "WB570" in said[6] and "type dpo" in said[6]
    joined, separate = said[7].splitlines()[:2]
    assert joined.removeprefix("joined") != separate.removeprefix("separate")
