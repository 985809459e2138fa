"""A tokenizer handed to another process: it answers there as it does here, and one that would not is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.tokens.tiny_tokenizer import metaspace_tokenizer, tiny_tokenizer
from workbench.errors import TokenizerError
from workbench.tokens.backend import Facts, Handed, cleans_up, stands_alone
from workbench.tokens.encode import (
    _byte_alphabet,
    added_bos_token,
    encode,
    load_tokenizer,
    special_ids,
    special_tokens,
    token_bytes,
)
from workbench.tokens.given import spelling_of
from workbench.tokens.handing import hand_over, take_over
from workbench.tokens.pieces import Ends

TEXTS = (
    "",
    "Hello there, thank you very well",
    "  two  spaces\n\n\tand é 😀 👩\u200d👩 e\u0301 \x00\u2028",
    "<s>[INST] Hi [/INST]</s><|im_start|>user\nno<|im_end|>\n<|endoftext|>",
    "def f(x):\n    return 1234567 + x  # 你好",
)
MADE: dict[str, Any] = {
    "tiny-llama": lambda: load_tokenizer("tiny-llama"),
    "byte-level": lambda: tiny_tokenizer("<|im_start|>", "<|im_end|>", eos="</s>"),
    "adds BOS": lambda: tiny_tokenizer(bos="<s>", eos="</s>", adds_bos=True),
    "spaces before text": metaspace_tokenizer,
}
SHARED = ("gpt2", "mistral-v1", "olmo", "phi-3-mini", "qwen2.5", "tiny-bpe", "titan-tiny")


def handed(tokenizer: Any, folder: Any) -> Any:
    """The tokenizer as another process has it."""
    return take_over(json.loads(json.dumps(hand_over(tokenizer, folder))))


def same(there: Any, here: Any) -> None:
    """Both answer everything that encoding rows asks."""
    for special in (False, True):
        assert encode(TEXTS, there, add_special_tokens=special) == encode(TEXTS, here, add_special_tokens=special)
        for text in TEXTS:
            said = here(text, add_special_tokens=special, return_offsets_mapping=True)
            found = there(text, add_special_tokens=special, return_offsets_mapping=True)
            assert (found["input_ids"], found["offset_mapping"]) == (said["input_ids"], said["offset_mapping"])
    assert special_ids(there) == special_ids(here)
    assert special_tokens(there) == special_tokens(here)
    assert added_bos_token(there) == added_bos_token(here)
    assert Ends.of(there, 5) == Ends.of(here, 5)
    assert (there.eos_token, len(there), there.is_fast) == (here.eos_token, len(here), here.is_fast)
    assert there.convert_tokens_to_ids("no such token") == here.convert_tokens_to_ids("no such token")
    step = max(1, len(here) // 3000)
    ids = [*range(0, len(here), step), *sorted(special_ids(here))]
    spelt_there, spelt_here = spelling_of(there), spelling_of(here)
    for index in ids:
        assert there.convert_ids_to_tokens(index) == here.convert_ids_to_tokens(index)
        assert token_bytes(there, index) == token_bytes(here, index)
        assert there.decode([index], skip_special_tokens=False) == here.decode([index], skip_special_tokens=False)
        if here.convert_ids_to_tokens(index) is not None:
            assert spelt_there(index) == spelt_here(index)


@pytest.mark.parametrize("name", list(MADE))
def test_it_answers_as_it_does_here(name, tmp_path):
    here = MADE[name]()
    there = handed(here, tmp_path)
    assert isinstance(there, Handed)
    same(there, here)


@pytest.mark.shared
@pytest.mark.parametrize("name", SHARED)
def test_real_tokenizers_answer_as_they_do_here(shared, name, tmp_path):
    here = load_tokenizer(str(shared / "testdata" / "tokenizers" / name))
    there = handed(here, tmp_path)
    assert isinstance(there, Handed)
    same(there, here)


def test_what_was_changed_in_memory_goes_with_it(tmp_path):
    here = load_tokenizer("tiny-llama")
    here.add_special_tokens({"eos_token": "<|done|>", "additional_special_tokens": ["<|tool|>"]})
    here.split_special_tokens = True
    here(["a", "b c d e f g"], padding=True, truncation=True, max_length=3)
    there = handed(here, tmp_path)
    same(there, here)
    (code,) = encode(["<|done|>"], there)
    assert len(code.input_ids) > 1, "special tokens in text are text, as the tokenizer was told"


def test_truncation_that_a_file_brings_is_off(tmp_path):
    here = tiny_tokenizer(eos="</s>")
    core = here.backend_tokenizer
    core.enable_truncation(2)
    core.enable_padding(length=9)
    assert len(Handed(core, Facts.of(here))("on the lo")["input_ids"]) > 2


def test_a_class_of_its_own_does_not_stand_alone():
    from transformers import PreTrainedTokenizerFast

    class Named(PreTrainedTokenizerFast):
        """Adds nothing."""

    class Own(Named):
        def _encode_plus(self, *given, **more):
            return super()._encode_plus(*given, **more)

    core = tiny_tokenizer(eos="</s>").backend_tokenizer
    assert stands_alone(Named(tokenizer_object=core))
    assert not stands_alone(Own(tokenizer_object=core))
    assert not stands_alone(object())
    changed = Named(tokenizer_object=core)
    changed._encode_plus = lambda *given, **more: {}
    assert not stands_alone(changed)


def test_only_decoded_words_are_cleaned_up():
    from transformers import BertTokenizer

    assert cleans_up(BertTokenizer(vocab={"[UNK]": 0, "a": 1}, clean_up_tokenization_spaces=True))
    assert not cleans_up(BertTokenizer(vocab={"[UNK]": 0, "a": 1}, clean_up_tokenization_spaces=False))
    assert not cleans_up(tiny_tokenizer())


def test_another_backend_than_was_handed_over_is_refused(tmp_path):
    said = hand_over(tiny_tokenizer("<a>", eos="</s>"), tmp_path)
    tiny_tokenizer("<b>", eos="</s>").backend_tokenizer.save(said["file"])
    with pytest.raises(TokenizerError, match=r"not the same.*\[WB133\]"):
        take_over(said)


def test_a_backend_that_cannot_be_written_is_refused(tmp_path):
    from tokenizers import pre_tokenizers

    class Mine:
        def pre_tokenize(self, text):
            return text

    here = tiny_tokenizer()
    here.backend_tokenizer.pre_tokenizer = pre_tokenizers.PreTokenizer.custom(Mine())
    with pytest.raises(TokenizerError, match=r"cannot be written.*\[WB133\]"):
        hand_over(here, tmp_path)


def test_the_byte_alphabet_is_that_of_transformers():
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    assert {byte: char for char, byte in _byte_alphabet().items()} == bytes_to_unicode()
