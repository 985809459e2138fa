"""The prompt styles we ship write what axolotl's prompters write, character for character, and train the same of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.templates.prompter_cases import STYLES, ours
from workbench.rows.formats import FORMATS
from workbench.templates import registry

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "axolotl_prompters.json").read_text(encoding="utf-8"))
ROWS = [
    pytest.param(case["type"], row, answer, id=f"{number}-{str(case['type'])[:40]}-{index}")
    for number, case in enumerate(GOLDEN["cases"])
    for index, (row, answer) in enumerate(zip(case["rows"], case["answers"], strict=True))
]


@pytest.mark.parametrize(("kind", "row", "answer"), ROWS)
def test_text_and_trained_part_are_axolotls(kind, row, answer):
    assert ours(kind, row, GOLDEN["bos"], GOLDEN["eos"]) == answer


def test_the_goldens_are_axolotl_0_19s_and_cover_every_style():
    assert GOLDEN["axolotl"].startswith("0.19.")
    kinds = [case["type"] for case in GOLDEN["cases"]]
    assert {kind for kind in kinds if isinstance(kind, str)} == set(STYLES)
    assert sum(isinstance(kind, dict) for kind in kinds) == 3


def test_templates_named_in_the_table_exist_and_are_those_the_goldens_prove():
    named = {entry.template for entry in FORMATS.values() if entry.template}
    for entry in FORMATS.values():
        for variant in entry.variants:
            template = variant.note.partition("`")[2].partition("`")[0] if variant.note.startswith("template `") else ""
            named |= {template} - {""}
            if variant.axolotl in STYLES and entry.name == STYLES[variant.axolotl].type and template:
                assert STYLES[variant.axolotl].template == template
    assert named <= set(registry.names())
    for name in ("alpaca", "jeopardy", "summarizetldr", "reflection", "context_qa", "creative_acr.load_answer"):
        entry = next(entry for entry in FORMATS.values() if entry.axolotl == name)
        assert (entry.name, entry.template) == STYLES[name][:2]
