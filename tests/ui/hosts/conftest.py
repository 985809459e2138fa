"""What the pages of other tests are made of can be used here too."""

import sys
from pathlib import Path

import pytest

UI = Path(__file__).resolve().parents[1]
sys.path += [str(UI / "components"), str(UI / "run_card")]

ROWS = """import workbench as wb
rows = [{"messages": [{"role": "user", "content": f"Where is house {i}?"},
                      {"role": "assistant", "content": f"House {i} is here."}]} for i in range(200)]
enc = wb.data(rows).encode(wb.template("chatml"), tokenizer="tiny-llama")
enc"""


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """One JupyterLab for all tests here: saved.ipynb has every card, crafted.ipynb is a stranger's, rows.ipynb runs."""
    from lab_pages import all_cards, crafted_notebook, saved_notebook
    from lab_server import EXTENSION, jupyter_lab
    from picker_files import notebook

    if not (EXTENSION / "package.json").is_file():
        pytest.skip("the extension is not built; run jlpm build")
    home = tmp_path_factory.mktemp("hosts")
    with jupyter_lab(home) as served:
        (served.files / "saved.ipynb").write_text(saved_notebook(list(all_cards(home / "cards").values())))
        (served.files / "crafted.ipynb").write_text(crafted_notebook(home / "cards"))
        (served.files / "rows.ipynb").write_text(notebook(ROWS))
        yield served
