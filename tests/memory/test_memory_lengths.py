"""Files of row lengths."""

import pytest

from workbench.errors import RecipeError
from workbench.memory.lengths import Lengths, read_lengths

FORMS = {
    "one a line": "5\n9\n\n5\n",
    "a JSON list": "[5, 9, 5]",
    "a histogram": "5,2\n9,1\n",
    "a histogram with a head": "length,count\n5,2\n9,1\n",
    "with a byte order mark": "\ufefflength\n5\n9\n5\n",
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_counts(form, tmp_path):
    path = tmp_path / "lengths"
    path.write_text(FORMS[form], encoding="utf-8")
    found = read_lengths(path)
    assert found.counts == {5: 2, 9: 1}
    assert (found.rows, found.longest, found.quantile(0.5)) == (3, 9, 5)
    assert found.share_over(5) == pytest.approx(1 / 3)


WRONG = [
    "",
    "\n\n",
    "[]",
    "5\nx\n",
    "5,\n",
    "5,2,1\n",
    "-5\n",
    "0\n",
    "1.5\n",
    "[true]",
    "[1, 2",
    "1000000001",
    '["5 "]',
]


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_length_is_refused_with_its_place(text, tmp_path):
    path = tmp_path / "lengths.txt"
    path.write_text(text)
    with pytest.raises(RecipeError, match="WB818"):
        read_lengths(path)


def test_the_line_is_named(tmp_path):
    path = tmp_path / "lengths.txt"
    path.write_text("5\n6\nseven\n")
    with pytest.raises(RecipeError, match=r"line 3.*'seven'"):
        read_lengths(path)
    with pytest.raises(RecipeError, match="WB818"):
        read_lengths(tmp_path / "none")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="WB818"):
        read_lengths(tmp_path / "bytes")


def test_batches_hold_every_row_once_in_an_order_of_the_seed():
    lengths = Lengths.of([3, 3, 8, 5, 1, 9, 9])
    batches = lengths.batches(2, seed=0)
    assert sorted(length for batch in batches for length in batch) == [2, 3, 3, 5, 8, 9, 9]
    assert [len(batch) for batch in batches] == [2, 2, 2, 1]
    assert batches == lengths.batches(2, seed=0) != lengths.batches(2, seed=1)
    assert max(map(max, lengths.batches(2, seed=0, limit=4))) == 4


def test_many_rows_are_drawn_and_the_longest_is_among_them():
    lengths = Lengths({10: 10**9, 4000: 1})
    batches = lengths.batches(8, seed=3)
    assert max(map(max, batches)) == 4000
    assert sum(map(len, batches)) == 20_000
