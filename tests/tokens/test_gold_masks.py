"""Masks that others made: transformers' assistant masks."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.templates.conversations import Talk, conversation, trl_templates
from tests.tokens.test_mask import one
from workbench.templates import registry
from workbench.tokens.encode import load_tokenizer, special_tokens
from workbench.tokens.examples import Setting
from workbench.types import IGNORE, Rendered, TemplateInfo

pytestmark = pytest.mark.shared

TOKENIZERS = ("qwen2.5", "phi-3-mini", "mistral-v1", "titan-tiny")


def _template(tokenizer: Any, path: Path) -> TemplateInfo:
    return registry.info(path.stem, path.read_text(encoding="utf-8"), path.name, special_tokens(tokenizer))


def test_every_gold_mask_is_reproduced_token_for_token(shared):
    """Ids and masks of transformers' apply_chat_template; 29 of the 87 need a tokenizer we do not have."""
    data = shared / "testdata"
    counts: Counter[str] = Counter()
    loaded: dict[Path, Any] = {}
    for entry in json.loads(_gold(shared)):
        folder = data / Path(entry["tokenizer"]).relative_to("shared")
        if not folder.is_dir():
            counts["no tokenizer"] += 1
            continue
        tokenizer = loaded.get(folder) or loaded.setdefault(folder, load_tokenizer(str(folder)))
        template = _template(tokenizer, data / Path(entry["template"]).relative_to("shared"))
        made = one(conversation(Talk(entry["messages"])), Setting(tokenizer, template))
        assert list(made.input_ids) == entry["input_ids"], entry["source"]
        assert [int(label != IGNORE) for label in made.labels] == entry["assistant_mask"], entry["source"]
        counts[folder.name] += 1
    assert counts == {"qwen2.5": 29, "phi-3-mini": 29, "no tokenizer": 29}


BEYOND = {"qwen2.5": {"Ċ"}, "phi-3-mini": {"<|endoftext|>"}}
"""What these templates' authors train behind the stop token: qwen's line break, phi's EOS behind the last turn."""


@pytest.mark.parametrize("name", BEYOND)
def test_the_stop_rule_alone_gives_the_gold_masks_up_to_the_stop_token(shared, name):
    data = shared / "testdata"
    tokenizer = load_tokenizer(str(data / "tokenizers" / name))
    compared = 0
    for entry in json.loads(_gold(shared)):
        if Path(entry["tokenizer"]).name != name:
            continue
        marked = _template(tokenizer, data / Path(entry["template"]).relative_to("shared"))
        source = re.sub(r"\{%-?\s*(end)?generation\s*-?%\}", "", marked.source)
        plain = registry.info("plain", source, "without markers", marked.special_tokens)
        ours = one(conversation(Talk(entry["messages"])), Setting(tokenizer, plain))
        assert not ours.rendered.has_generation
        differing = [i for i, label in enumerate(ours.labels) if int(label != IGNORE) != entry["assistant_mask"][i]]
        assert {tokenizer.convert_ids_to_tokens(ours.input_ids[i]) for i in differing} == BEYOND[name]
        assert all(entry["assistant_mask"][i] and ours.labels[i] == IGNORE for i in differing)
        compared += 1
    assert compared == 29


@pytest.mark.parametrize("name", TOKENIZERS)
def test_text_and_ids_are_those_of_apply_chat_template(shared, name):
    tokenizer = load_tokenizer(str(shared / "testdata" / "tokenizers" / name))
    talks = [entry["messages"] for entry in json.loads(_gold(shared))[:29]]
    counts: Counter[str] = Counter()
    own = [] if tokenizer.chat_template is None else [registry.info("own", tokenizer.chat_template, "tokenizer")]
    for template in [*own, *trl_templates().values()]:
        info = registry.info(template.name, template.source, template.origin, special_tokens(tokenizer))
        for messages in talks[::15]:
            counts[_compared(tokenizer, info, messages)] += 1
    assert counts["same"] >= 120
    assert counts["same"] + counts["refused"] == (len(trl_templates()) + len(own)) * 2


def _gold(shared: Path) -> str:
    return (shared / "testdata" / "vectors" / "assistant_mask_gold.json").read_text(encoding="utf-8")


def _compared(tokenizer: Any, template: TemplateInfo, messages: list[dict[str, Any]]) -> str:
    import jinja2

    from workbench.errors import TemplateError
    from workbench.templates.render import render
    from workbench.tokens.encode import encode

    try:
        text = tokenizer.apply_chat_template(messages, chat_template=template.source, tokenize=False)
    except (jinja2.TemplateError, TypeError):
        with pytest.raises(TemplateError):
            render(conversation(Talk(messages)), template)
        return "refused"
    ids = tokenizer.apply_chat_template(messages, chat_template=template.source, return_dict=True)["input_ids"]
    ours = render(conversation(Talk(messages)), template)
    assert isinstance(ours, Rendered)
    assert str.__str__(ours.text) == text
    assert list(encode([ours.text], tokenizer)[0].input_ids) == ids
    return "same"
