"""Offsets that cover the text, whatever the tokenizer reports."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.tokens.tiny_tokenizer import tiny_tokenizer
from workbench.errors import TokenizerError
from workbench.tokens.encode import encode, load_tokenizer, special_tokens
from workbench.tokens.offsets import gapless, laid


def test_a_gap_belongs_to_the_token_behind_it():
    assert gapless([(0, 2), (3, 5), (6, 7)]) == ((0, 2), (2, 5), (5, 7))
    assert gapless([(1, 2)]) == ((0, 2),)
    assert gapless([(0, 1), (0, 1), (1, 3)]) == ((0, 1), (0, 1), (1, 3)), "several tokens of one character"
    assert gapless([(0, 0), (0, 1), (2, 3), (0, 0)]) == ((0, 0), (0, 1), (1, 3), (0, 0))
    assert gapless([]) == ()
    assert gapless([(0, 1), (1, 2), (3, 5)], (7, 8, 9), {9}) == ((0, 1), (1, 3), (3, 5)), (
        "an added token is its own text"
    )
    assert gapless([(0, 0), (1, 5)], (7, 9), {9}) == ((0, 0), (0, 5)), "a token of no characters cannot grow"


@pytest.mark.parametrize("text", ["on the lo", "  on\n\nthe  ", "é🦙 👩\u200d👩", "\x00a\u2028", ""])
def test_offsets_cover_the_text_without_a_gap(text):
    from tokenizers import processors

    tokenizer, trimming = tiny_tokenizer("</s>"), tiny_tokenizer("</s>")
    trimming.backend_tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    plain, trimmed = encode([text], tokenizer)[0], encode([text], trimming)[0]
    for made in (plain, trimmed):
        covered = {at for start, end in made.offsets for at in range(start, end)}
        assert covered == set(range(len(text)))
        assert tokenizer.decode(made.input_ids, skip_special_tokens=False) == text
    assert plain == trimmed


def test_tokens_are_laid_along_the_text_past_a_byte_that_has_no_token():
    spelling = {0: b"a", 1: b"b", 2: b"\xc3", 3: b"\xa9"}
    assert laid("aéb", [0, 2, 3, 1], spelling.get) == ((0, 1), (1, 2), (1, 2), (2, 3))
    assert laid("a?b", [0, 1], spelling.get) == ((0, 1), (2, 3))
    assert laid("ab", [1, 0], spelling.get) is None
    assert laid("ab", [9], spelling.get) is None


def test_texts_are_encoded_in_order_and_none_give_none():
    tokenizer = tiny_tokenizer()
    assert encode([], tokenizer) == []
    together = encode(["on", "the", ""], tokenizer)
    assert together == [encode([text], tokenizer)[0] for text in ("on", "the", "")]


def test_special_tokens_are_named_as_templates_name_them():
    assert special_tokens(tiny_tokenizer(bos="<s>", eos="</s>")) == {"bos_token": "<s>", "eos_token": "</s>"}


def test_a_tokenizer_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(TokenizerError, match=r"cannot be loaded.*\[WB130\]"):
        load_tokenizer(str(tmp_path / "nothing here"))
    (tmp_path / "tokenizer_config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(TokenizerError, match=r"cannot be loaded.*\[WB130\]"):
        load_tokenizer(str(tmp_path))


def test_a_tokenizer_without_offsets_is_refused():
    with pytest.raises(TokenizerError, match=r"\[WB131\]"):
        load_tokenizer(SimpleNamespace(is_fast=False))


@pytest.mark.shared
@pytest.mark.parametrize("name", ["mistral-v1-sentencepiece", "mistral-v3-sentencepiece"])
def test_a_bare_sentencepiece_model_is_refused_in_words(shared, name):
    with pytest.raises(TokenizerError, match=r"\[WB13[01]\]"):
        load_tokenizer(str(shared / "testdata" / "tokenizers" / name))
