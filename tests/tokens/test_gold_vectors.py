"""Ten masks from the tests of LLaMA-Factory and axolotl (tests/golden/mask_vectors.json), every one reproduced.

Compared: the whole text, and the trained strings. Their ids are those of Llama 3's and other gated tokenizers, which
are not here; no token of theirs reaches over a border of trained text, so the trained strings say the same.
Where LLaMA-Factory trains the line break behind the stop token, ours does not (docs/decisions/0002).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.tokens.test_mask import one, spans
from tests.tokens.tiny_tokenizer import tiny_tokenizer
from workbench.options import MaskOptions
from workbench.rows.convert import convert
from workbench.templates import registry
from workbench.tokens.setting import Setting

VECTORS = json.loads((Path(__file__).parents[1] / "golden" / "mask_vectors.json").read_text(encoding="utf-8"))
TEMPLATES = {
    "llamafactory:test_encode_multiturn": "llama3",
    "llamafactory:test_gemma2_template": "gemma",
    "llamafactory:test_llama4_template": "axolotl/llama4.jinja",
    "llamafactory:test_qwen2_5_template": "qwen2_5",
    "llamafactory:test_qwen3_template{'cot_messages': False}": "qwen3",
    "axolotl:TestAssistantChatTemplateLlama3.test_llama3_load": "llama3",
    "axolotl:TestAssistantChatTemplateLlama3.test_llama3": "llama3",
    "axolotl:TestSharegptChatTemplateLlama3.test_llama3_assistant": "llama3",
    "axolotl:TestSharegptChatTemplateLlama3.test_llama3_human": "llama3",
    "axolotl:TestAssistantToolCallingChatTemplateLlama32Vision.test_llama32vision_train_on_assistant": "llama3_2",
}
BEYOND = {"llamafactory:test_gemma2_template", "llamafactory:test_qwen2_5_template"}
BEYOND |= {name for name in TEMPLATES if "qwen3" in name}
"""Where LLaMA-Factory trains the line break behind the stop token."""

TOKENS = re.compile(r"<\|\w+\|>|</?\w+_of_turn>|<bos>")
OPTIONS = ("train_on_eos", "roles_to_train", "train_on_inputs")
UNSAID = {
    "axolotl:TestAssistantChatTemplateLlama3.test_llama3_load",
    "axolotl:TestAssistantChatTemplateLlama3.test_llama3",
}
"""Vectors that give ids and text, and no labels."""


def trained_by(vector: dict[str, Any], template: str) -> tuple[str, list[str], list[str]]:
    """(text, trained strings, tokens that end a turn) of ours."""
    expected = text_of(vector)
    tokens = sorted(set(TOKENS.findall(expected)))
    tokenizer = tiny_tokenizer(*tokens, eos=next((token for token in tokens if "eot" in token), "</s>"))
    bos = "<bos>" if "<bos>" in tokens else "<|begin_of_text|>"
    source = registry.find(template).source
    info = registry.info(template, source, "", {"bos_token": bos, "eos_token": tokenizer.eos_token})
    row = vector.get("dataset_row") or {"messages": vector["messages"]}
    example, found = convert(row, 0, "sharegpt" if "conversations" in row else "messages", {})
    assert example is not None, found
    given = {name: value for name, value in vector.get("options", {}).items() if name in OPTIONS}
    using = Setting(
        tokenizer,
        info,
        "last_assistant" if "only last" in vector.get("note", "") else "assistant",
        variables={"date_string": "17 Dec 2024"} if "Today Date" in expected else {},
        options=MaskOptions.from_keywords(given),
    )
    made = one(example, using)
    return str.__str__(made.rendered.text), spans(made, tokenizer), tokens


def text_of(vector: dict[str, Any]) -> str:
    return vector.get("expected_text") or "".join(segment["text"] for segment in vector["segments"])


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_a_mask_of_their_own_tests(vector, request):
    template = TEMPLATES[vector["id"]]
    if "/" in template:
        template = str(request.getfixturevalue("shared") / "testdata" / "chat_templates" / template)
    text, trained, _ = trained_by(vector, template)
    assert text == text_of(vector)
    theirs = [segment["text"] for segment in vector.get("segments", ()) if segment["train"]]
    if vector["id"] in BEYOND:
        assert all(part.endswith("\n") for part in theirs)
        theirs = [part.removesuffix("\n") for part in theirs]
    if vector["id"] in UNSAID:
        theirs = [message["content"] + "<|eot_id|>" for message in vector["dataset_row"]["messages"][1::2]]
    assert trained == theirs


def test_every_vector_with_labels_has_them_where_its_segments_say():
    """The labels they give are the ids of their trained segments, so equal strings are equal labels."""
    compared = 0
    for vector in VECTORS:
        labels = vector.get("expected_labels")
        if labels:
            flat = [token if part["train"] else -100 for part in vector["segments"] for token in part["ids"]]
            assert flat == labels
            assert [token for part in vector["segments"] for token in part["ids"]] == vector["expected_input_ids"]
            compared += 1
    assert compared == 3
    assert {vector["id"] for vector in VECTORS} == set(TEMPLATES)
