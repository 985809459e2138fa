"""Notebooks that need no browser run from top to bottom, and say what their text says they say."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def texts(cell):
    for output in cell.outputs:
        yield output.get("text") or output.get("data", {}).get("text/plain", "")


def said_by(name, folder):
    """What each code cell of a notebook says, run in a folder."""
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(folder)}}).execute()
    return ["".join(texts(cell)) for cell in notebook.cells if cell.cell_type == "code"]


def test_rows_and_masks(tmp_path):
    said = said_by("02_rows_and_masks.ipynb", tmp_path)
    assert "type alpaca" in said[1] and "row 2: `answer` is null" in said[1]
    assert ".without(2)" in said[2] and "error" not in said[2]
    assert "Then it is replaced for free." in said[4] and said[4].count("<|im_end|>") == 2 + 0 + 4 + 2 + 1
    assert "[' very well', '<|im_end|>']" in said[5]
    assert "['answer\": 42}<|im_end|>']" in said[5]
    assert "WB570" in said[6] and "type dpo" in said[6]
    joined, separate = said[7].splitlines()[:2]
    assert joined.removeprefix("joined") != separate.removeprefix("separate")


@pytest.mark.training
def test_what_the_model_sees(tmp_path):
    said = said_by("03_what_the_model_sees.ipynb", tmp_path)
    assert "Below 57 °C it is very slow." in said[1] and said[1].count("<think>") == 1
    assert said[2].startswith("fails  prefix_preserving") and "holds  same_as_plain" in said[2]
    assert said[3].startswith("Different: the first 150 characters are the same")
    assert "⟦The opposite of break is build.<|im_end|>⟧" in said[4]
    assert "Not checked" in said[6] and "Agrees with step 2" in said[7] and "loss" in said[7]
    assert "first difference: token 22" in said[8]
    assert "The opposite of break is build." in (tmp_path / "row-3.html").read_text()


@pytest.mark.training
def test_will_it_fit(tmp_path):
    said = said_by("04_will_it_fit.ipynb", tmp_path)
    assert "RTX 4090" in said[1] and "out of memory" in said[1]
    assert "largest batch:" in said[2] and "Gradient checkpointing" in said[2] and "fits" in said[2]
    assert "A100 80GB" in said[3] and "RTX 4090" in said[4]
    assert all(moment in said[5] for moment in ("generate", "score", "optimizer"))
    assert "tiny-llama" in said[6] and "forward" in said[7]
    assert "wb-fit" in (tmp_path / "will-it-fit.html").read_text()
