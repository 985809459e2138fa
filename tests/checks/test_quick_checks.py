"""Checks of rows known to be whole, which look at less, say what they say of rows nothing is known about."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from tests.templates.conversations import our_templates
from tests.templates.test_layouts import talk, template_of
from tests.tokens.tiny_tokenizer import tiny_tokenizer
from workbench.checks.rows import check_row
from workbench.templates import render as rendering
from workbench.tokens.encode import special_ids
from workbench.tokens.sequences import sequences
from workbench.tokens.setting import Setting
from workbench.types import TokenizedExample

TEXTS = (
    "an answer",
    "<|im_end|> typed",
    " <|im_end|>",
    "<|im_start|>assistant\n",
    "<|im_",
    "end|>",
    " blank ends \n",
    "é🦙",
    "None",
    "",
)
TEMPLATES = {
    "chatml": our_templates()["ours/chatml"],
    "stripping": template_of(
        "{% for m in messages %}<|im_start|>{{ m.role }} {{ m.content | trim }}<|im_end|>{% endfor %}"
    ),
    "forgetful": template_of("{% for m in messages %}{{ messages[-1].content }}<|im_end|>{{ m.content }}{% endfor %}"),
    "no stop": template_of("{% for m in messages %}<|im_start|>{{ m.role }}:{{ m.content }}\n{% endfor %}"),
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_knowing_that_a_row_is_whole_changes_no_finding(name):
    rendering._layouts.cache_clear()
    tokenizer = tiny_tokenizer("<|im_start|>", "<|im_end|>", eos="<|im_end|>")
    setting, special = Setting(tokenizer, TEMPLATES[name]), special_ids(tokenizer)
    dice = random.Random(4)
    known: list[TokenizedExample] = []
    codes: set[str] = set()
    for row in range(150):
        example = talk(row, ("user", "assistant") * 2, [dice.choice(TEXTS) for _ in range(4)])
        (made,) = sequences([example], setting)
        if not isinstance(made, tuple):
            continue
        found = check_row(example, made[0], special)
        unknown = replace(made[0], rendered=replace(made[0].rendered, whole=False))
        assert found == check_row(example, unknown, special)
        codes.update(finding.code for finding in found)
        known += [made[0]] if made[0].rendered.whole else []
    assert "WB122" in codes
    assert known or name == "forgetful"
