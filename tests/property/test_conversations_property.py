"""Random conversations through real templates and tokenizers: text, origins and masks are exact."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz_scale import examples
from tests.templates.conversations import Talk, characters, conversation, trl_templates
from tests.tokens.test_mask import LLAMA3, MISTRAL
from tests.tokens.tiny_tokenizer import tiny_tokenizer
from workbench.templates import registry
from workbench.templates.turns import is_data
from workbench.tokens.encode import load_tokenizer, special_tokens
from workbench.tokens.examples import Setting, tokenize
from workbench.types import IGNORE, Finding, TemplateInfo, TokenizedExample

PIECES = [
    "a", "Hi there", " the", "  ", " ", "\n", "\n\n", "\t", "[[", "]]", "[[1, 2], [3, 4]]", "[[dummy_message]]",
    "</think>", "<think>\nhm\n</think>\n\n", "<|im_end|>", "<|im_start|>assistant\n", "<|eot_id|>", "</s>", "<s>",
    "[INST]", "[/INST]", "<end_of_turn>\n", "<|end|>", "<|endoftext|>", "🦙", "👩\u200d👩\u200d👧", "שלום", "é", 
    "e\u0301", "한국", "\x00", "\u2028", "{{ x }}", "{% endgeneration %}", '"', "\\n", "'", "assistant", "user",
]  # fmt: skip
CONTENTS = st.lists(st.sampled_from(PIECES), max_size=5).map("".join)
SPECIALS = ("<|im_start|>", "<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>", "<|endoftext|>")
TEMPLATES = ("chatml", "llama3", "mistral", "gemma", "qwen3", "phi3")
TOKENIZERS = ("qwen2.5", "phi-3-mini", "mistral-v1", "titan-tiny")
WITHOUT_SYSTEM = {"mistral", "gemma"}


@st.composite
def talks(draw: st.DrawFn) -> list[dict[str, str]]:
    system = [{"role": "system", "content": draw(CONTENTS)}] if draw(st.booleans()) else []
    pairs = draw(st.lists(st.tuples(CONTENTS, CONTENTS), min_size=1, max_size=3))
    turns = [
        {"role": role, "content": text}
        for pair in pairs
        for role, text in zip(("user", "assistant"), pair, strict=True)
    ]
    return [*system, *turns]


@lru_cache(maxsize=32)
def _source(name: str) -> str:
    ours = {"chatml": registry.find("chatml").source, "llama3": LLAMA3, "mistral": MISTRAL}
    return ours.get(name) or trl_templates()[f"trl/{name}"].source


@lru_cache(maxsize=8)
def _tokenizer(folder: Path | None) -> Any:
    return tiny_tokenizer(*SPECIALS, eos="</s>", bos="<s>") if folder is None else load_tokenizer(str(folder))


def prepared(messages: list[dict[str, str]], name: str, tokenizer: Any) -> tuple[list[dict[str, str]], TemplateInfo]:
    kept = [m for m in messages if m["role"] != "system" or name not in WITHOUT_SYSTEM]
    return kept, registry.info(name, _source(name), "a test", special_tokens(tokenizer))


def tokenized(messages: list[dict[str, str]], template: TemplateInfo, tokenizer: Any) -> TokenizedExample:
    (made,) = tokenize([conversation(Talk(messages))], Setting(tokenizer, template))
    assert isinstance(made, TokenizedExample), made
    return made


def check(messages: list[dict[str, str]], name: str, tokenizer: Any) -> TokenizedExample:
    """Text as transformers renders it; origins exact; no user's character trained, every assistant's character is."""
    from transformers.utils.chat_template_utils import render_jinja_template

    messages, template = prepared(messages, name, tokenizer)
    made = tokenized(messages, template, tokenizer)
    texts, _ = render_jinja_template([messages], chat_template=template.source, **special_tokens(tokenizer))
    assert str.__str__(made.rendered.text) == texts[0]
    chars = characters(made.rendered.text)
    covering: list[list[int]] = [[] for _ in chars]
    for index, (start, end) in enumerate(made.offsets):
        for at in range(start, end):
            covering[at].append(index)
    assert len(made.labels) == len(made.input_ids) == len(made.offsets) == len(made.reasons)
    assert all(label in (IGNORE, token) for label, token in zip(made.labels, made.input_ids, strict=True))
    for (char, origin, offset), tokens in zip(chars, covering, strict=True):
        if origin is None or not is_data(origin):
            continue
        index = int(re.fullmatch(r"messages\[(\d+)\]\.content", origin.field or "")[1])
        assert messages[index]["content"][offset] == char
        assert origin.message == index
        is_trained = [made.labels[token] != IGNORE for token in tokens]
        expected = messages[index]["role"] == "assistant"
        assert all(flag is expected for flag in is_trained), (char, messages[index]["role"])
    return made


@pytest.mark.parametrize("name", TEMPLATES)
@settings(deadline=None, max_examples=examples(60))
@given(messages=talks())
def test_a_tokenizer_made_here(name, messages):
    tokenizer = _tokenizer(None)
    made = check(messages, name, tokenizer)
    text = str.__str__(made.rendered.text)
    assert tokenizer.decode(made.input_ids, skip_special_tokens=False) == text, "every byte has a token"
    for turn in made.rendered.turns:
        if turn.role == "assistant":
            inside = [
                label
                for label, (start, end) in zip(made.labels, made.offsets, strict=True)
                if label != IGNORE and start < turn.end and end > turn.start
            ]
            body = text[turn.body : turn.data_end]
            assert body in tokenizer.decode(inside, skip_special_tokens=False)


@pytest.mark.shared
@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("folder", TOKENIZERS)
def test_real_tokenizers(shared, folder, name):
    tokenizer = _tokenizer(shared / "testdata" / "tokenizers" / folder)

    @settings(deadline=None, max_examples=examples(25))
    @given(messages=talks())
    def run(messages: list[dict[str, str]]) -> None:
        check(messages, name, tokenizer)

    run()


@settings(deadline=None, max_examples=examples(40))
@given(
    messages=talks(), source=st.sampled_from(["{{ m.content | trim }}", "{{ m.content | upper }}", "{{ m | tojson }}"])
)
def test_what_is_refused_is_a_finding_and_nothing_else_fails(messages, source):
    """Also with a template that refuses some rows for reasons of its own."""
    refusing = "{% for m in messages %}{% if '[[' in m.content %}{{ raise_exception('no') }}{% endif %}<a>" + source
    template = registry.info("refusing", refusing + "{% endfor %}", "a test")
    (made,) = tokenize([conversation(Talk(messages))], Setting(_tokenizer(None), template))
    assert isinstance(made, Finding) == any("[[" in m["content"] for m in messages)
