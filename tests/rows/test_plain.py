"""Rows that were tokenized elsewhere: ids, labels and mask are taken as they are, or refused by index."""

from __future__ import annotations

import pytest
from converted import codes

from workbench.rows.convert import convert, convert_all
from workbench.rows.detect import choose, detect
from workbench.rows.files.load import open_source
from workbench.types import TokenIds


def test_ids_labels_and_mask_are_taken_as_they_are():
    row = {"input_ids": [1, 2, 0], "labels": [-100, 2, 0], "attention_mask": [1, 1, 0]}
    example, findings = convert(row, 3, "pretokenized", {})
    assert (example, findings) == (TokenIds(3, (1, 2, 0), (-100, 2, 0), (1, 1, 0)), ())


def test_json_text_of_the_lists_is_read_as_csv_files_hold_it():
    row = {"input_ids": "[1, 2]", "labels": "[-100, 2]", "attention_mask": "[1, 1]"}
    assert convert(row, 0, "pretokenized", {})[0] == TokenIds(0, (1, 2), (-100, 2), (1, 1))


@pytest.mark.parametrize("labels", [{}, {"labels": None}])
def test_without_labels_everything_is_trained_and_that_is_said(labels):
    example, findings = convert({"input_ids": [1, 2], **labels}, 0, "pretokenized", {})
    assert example == TokenIds(0, (1, 2))
    assert [(f.code, f.severity) for f in findings] == [("WB569", "info")]


@pytest.mark.parametrize(
    ("row", "code", "field", "said"),
    [
        ({"input_ids": [1, -1]}, "WB522", "input_ids[1]", "the number -1"),
        ({"input_ids": [1, 2.0]}, "WB522", "input_ids[1]", "the number 2.0"),
        ({"input_ids": [1, True]}, "WB522", "input_ids[1]", "the boolean true"),
        ({"input_ids": [1, "2"]}, "WB522", "input_ids[1]", 'the text'),
        ({"input_ids": [[1, 2]]}, "WB522", "input_ids[0]", "a list of 2"),
        ({"input_ids": []}, "WB523", "input_ids", "empty"),
        ({"input_ids": 5}, "WB522", "input_ids", "the number 5"),
        ({"input_ids": "1 2 3"}, "WB525", "input_ids", "not JSON"),
        ({"input_ids": None}, "WB522", "input_ids", "null"),
        ({"labels": [1]}, "WB520", "input_ids", "missing"),
        ({"input_ids": [1, 2], "labels": [1]}, "WB565", "labels", "has 1 items, but `input_ids` has 2"),
        ({"input_ids": [1, 2], "attention_mask": [1]}, "WB565", "attention_mask", "has 1 items"),
        ({"input_ids": [1, 2], "attention_mask": [1, 2]}, "WB566", "attention_mask[1]", "the number 2"),
        ({"input_ids": [1, 2], "labels": [-100, -100]}, "WB531", "labels", "-100"),
        ({"input_ids": [1, 2, 3], "labels": [-100, 2, 7]}, "WB579", "labels[2]", "its token's id 3"),
        ({"input_ids": [1, 2, 3], "labels": [-100, 8, 7]}, "WB579", "labels[1]", "1 more"),
        ({"input_ids": [1, 2], "labels": [-100, 2.5]}, "WB522", "labels[1]", "whole number"),
        ({"input_ids": [1, 2, 3], "labels": [2, 3, -100]}, "WB579", "labels", "shifted by one to the left"),
        ({"input_ids": [1, 2, 3], "labels": [-100, 1, 2]}, "WB579", "labels", "shifted by one to the right"),
        ({"input_ids": [5], "labels": [6]}, "WB579", "labels[0]", "its token's id 5"),
    ],
)  # fmt: skip
def test_ids_and_labels_that_do_not_fit_are_named_by_index(row, code, field, said):
    example, findings = convert(row, 4, "pretokenized", {})
    assert example is None
    (error,) = [f for f in findings if f.severity == "error"]
    assert (error.code, error.field, error.row) == (code, field, 4)
    assert said in error.message
    assert error.remedy


@pytest.mark.shared
def test_the_real_pretokenized_row_is_used(shared):
    rows = open_source(shared / "testdata" / "datasets" / "pretokenized" / "conversation_llama.json").rows
    match = choose(detect(rows))
    ((example, findings),) = list(convert_all(rows, match.type, match.columns))
    assert (match.type, codes(findings)) == ("pretokenized", [])
    assert list(example.input_ids) == rows[0]["input_ids"]
    assert list(example.labels) == rows[0]["labels"]
    assert 0 < sum(label != -100 for label in example.labels) < len(example.labels)
