"""Recipe files that say something else than a recipe does."""

from __future__ import annotations

import json

import pytest

import workbench as wb
from tests.api.hard_rows import COPIES
from workbench.cli import main
from workbench.errors import RecipeError


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ((COPIES / "config_colon_value.yaml").read_text(), "WB406", ("line 2", "Quote")),
        ((COPIES / "config_trailing_space_unquoted.yaml").read_text(), "WB401", ("base_model", "'model'")),
        ("learning_rate: 2e-4\ndata: {path: rows.jsonl}\n", "WB402", ("'2e-4'", "2.0e-4")),
        ("r: '16'\n", "WB402", ("r='16'", "whole number")),
        ("max_steps: true\n", "WB402", ("max_steps=True",)),
        ("data: rows.jsonl\n", "WB402", ("rows.jsonl", "mapping")),
        ("data: {path: 3}\n", "WB402", ("data.path=3",)),
        ("data: {path: rows.jsonl, columns: [a]}\n", "WB402", ("data.columns",)),
        ("model: null\n", "WB402", ("model=None",)),
        ("gradient_checkpointing: 'no'\n", "WB402", ("gradient_checkpointing",)),
        ("- a\n- b\n", "WB406", ("no fields",)),
        ("", "WB406", ("no fields",)),
        ("a: [1\n", "WB406", ("line",)),
        ("\x00", "WB406", ("recipe",)),
        ("1: 2\n", "WB401", ("1",)),
        ("model: tiny-llama\n", "WB404", ("no data",)),
    ],
)
def test_a_recipe_file_that_says_something_else_is_refused_in_words(text, code, words, tmp_path, capsys):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError) as caught:
        wb.open(path)
    assert caught.value.code == code and caught.value.remedy
    assert all(word in str(caught.value) for word in words)
    assert main(["estimate", str(path), "--json"]) == 2
    assert json.loads(capsys.readouterr().err)["code"] == code
