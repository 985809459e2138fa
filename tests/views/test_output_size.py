"""What a hundred outputs add to a saved notebook (docs/saving-and-sharing.md says what is counted)."""

import json
import random
from typing import Any

import nbformat
import pytest

import workbench as wb
from workbench import tiny_llama
from workbench.api import comm
from workbench.views import TOKENS_MIME

DRAWN = ("rows", "template", "reasons", "title", "subtitle", "totals", "badge", "code", "policy", "problems")
"""Members of a tokens payload that the card draws: with the static HTML and the text they are the snapshot."""


@pytest.fixture(scope="module")
def enc():
    """The embedded model's own training rows, as a notebook in a kernel shows them, and rows of several lengths."""
    rows = [json.loads(line) for line in tiny_llama.rows_path("train").read_text().splitlines()][:400]
    words = [word for row in rows for message in row["messages"] for word in message["content"].split()]
    seed = random.Random(3)
    for length in (100, 500, 3000):
        said = " ".join(seed.choice(words) for _ in range(length * 4 // 7))
        rows.append({"messages": [{"role": "user", "content": "Go on."}, {"role": "assistant", "content": said}]})
    return wb.data(rows).encode(wb.template("chatml"), tokenizer="tiny-llama")


@pytest.fixture(autouse=True)
def kernel(monkeypatch):
    monkeypatch.setattr(comm, "share", lambda shown: "enc-1f2e3d4c")


def notebook_bytes(bundles: list[dict[str, Any]]) -> int:
    """Bytes of the file, as Jupyter writes it, that are there because of the outputs' data."""

    def size(data: list[dict[str, Any]]) -> int:
        book = nbformat.v4.new_notebook()
        for number, bundle in enumerate(data):
            output = nbformat.v4.new_output("execute_result", data=bundle, execution_count=number + 1)
            book.cells.append(nbformat.v4.new_code_cell(f"enc[{number}]", outputs=[output], id=f"c{number}"))
        return len(nbformat.writes(book).encode())

    return size(bundles) - size([{} for _ in bundles])


def bundles_of(enc: Any, count: int) -> list[dict[str, Any]]:
    return [enc[row]._repr_mimebundle_() for row in range(count)]


def test_a_hundred_outputs_are_at_most_20_kb_more_than_their_snapshots(enc):
    bundles = bundles_of(enc, 100)
    beyond = [
        {TOKENS_MIME: {name: value for name, value in bundle[TOKENS_MIME].items() if name not in DRAWN}}
        for bundle in bundles
    ]
    for bundle in bundles:
        assert len(bundle[TOKENS_MIME]["rows"]) == 1  # the kernel has the others
    assert notebook_bytes(beyond) <= 20_000


@pytest.mark.parametrize("row", [-3, -2, -1])
def test_an_output_costs_at_most_fourteen_bytes_a_token_and_six_kilobytes(enc, row):
    shown = enc[row]
    assert notebook_bytes([shown._repr_mimebundle_()]) <= 6_000 + 14 * len(shown.input_ids)


def test_of_template_and_reasons_an_output_holds_only_what_its_row_uses(enc):
    shown = enc[0]._repr_mimebundle_()[TOKENS_MIME]
    (row,) = shown["rows"]
    assert set(shown["reasons"]) == set(row["tables"]["reason"])
    assert set(shown["template"]["lines"]) <= {str(line) for line in row["tables"]["line"]}


def test_static_html_and_text_stay_small_for_a_long_row(enc):
    bundle = enc[-1]._repr_mimebundle_()
    assert len(bundle["text/html"]) < 20_000 and "more tokens" in bundle["text/html"]
    assert len(bundle["text/plain"]) < 10_000 and "more tokens" in bundle["text/plain"]
