"""Tokenizers whose ids come from the backend alone, known without transformers.

transformers wraps a compiled tokenizer (`backend_tokenizer`, of the package tokenizers). Where no class between the two
changes how text becomes ids, asking the backend gives the same, and a process that only encodes needs neither
transformers nor torch, which take seconds to import.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

Backend = Any
"""`tokenizers.Tokenizer`."""

PLAIN_CLASS = ("transformers.tokenization_utils_tokenizers", "TokenizersBackend")
"""The class of transformers (5.23) that does nothing but ask the backend."""

OVERRIDABLE = frozenset(
    {
        "__call__",
        "__len__",
        "_convert_encoding",
        "_convert_id_to_token",
        "_convert_token_to_id_with_added_voc",
        "_decode",
        "_encode_plus",
        "_switch_to_input_mode",
        "added_tokens_decoder",
        "backend_tokenizer",
        "convert_ids_to_tokens",
        "convert_tokens_to_ids",
        "decode",
        "set_truncation_and_padding",
    }
)
"""What a class of its own may not have, to be as good as its backend."""


class Facts(NamedTuple):
    """What a tokenizer knows besides its backend, as JSON can hold it; named as transformers names it."""

    eos_token: str | None
    eos_token_id: int | None
    bos_token: str | None
    bos_token_id: int | None
    unk_token_id: int | None
    all_special_ids: Sequence[int]
    special_tokens_map: Mapping[str, str]
    split_special_tokens: bool

    @classmethod
    def of(cls, tokenizer: Any) -> Facts:
        """Facts of a tokenizer of transformers."""
        named = {name: str(text) for name, text in tokenizer.special_tokens_map.items() if isinstance(text, str)}
        return cls(
            _text(tokenizer.eos_token),
            tokenizer.eos_token_id,
            _text(tokenizer.bos_token),
            tokenizer.bos_token_id,
            tokenizer.unk_token_id,
            list(tokenizer.all_special_ids),
            named,
            bool(tokenizer.split_special_tokens),
        )


def _text(token: Any) -> str | None:
    return None if token is None else str(token)


class Handed:
    """A backend with a tokenizer's facts: as much of a fast tokenizer of transformers as encoding rows needs.

    Answers as `TokenizersBackend` of transformers does where `stands_alone` says so of the tokenizer it was made from.
    """

    is_fast = True

    def __init__(self, backend: Backend, facts: Facts) -> None:
        self.backend_tokenizer = backend
        self.eos_token, self.eos_token_id = facts.eos_token, facts.eos_token_id
        self.bos_token, self.bos_token_id = facts.bos_token, facts.bos_token_id
        self.unk_token_id = facts.unk_token_id
        self.all_special_ids = list(facts.all_special_ids)
        self.special_tokens_map = dict(facts.special_tokens_map)
        self.split_special_tokens = facts.split_special_tokens
        backend.no_truncation()
        backend.no_padding()
        backend.encode_special_tokens = facts.split_special_tokens

    def __len__(self) -> int:
        return self.backend_tokenizer.get_vocab_size(with_added_tokens=True)

    def __bool__(self) -> bool:
        return True

    def __call__(self, text: str | Sequence[str], *, add_special_tokens: bool = True, **_: Any) -> dict[str, list[Any]]:
        """Ids and offsets of one text, or lists of them for several; other options change neither."""
        if isinstance(text, str):
            code = self.backend_tokenizer.encode(text, add_special_tokens=add_special_tokens)
            return {"input_ids": code.ids, "offset_mapping": code.offsets}
        codes = self.backend_tokenizer.encode_batch(list(text), add_special_tokens=add_special_tokens)
        return {"input_ids": [code.ids for code in codes], "offset_mapping": [code.offsets for code in codes]}

    @cached_property
    def added_tokens_decoder(self) -> dict[int, Any]:
        """Added tokens by id; they do not change after a tokenizer is handed over."""
        return self.backend_tokenizer.get_added_tokens_decoder()

    def convert_ids_to_tokens(self, index: int) -> str | None:
        """Spelling of an id, None outside the vocabulary."""
        return self.backend_tokenizer.id_to_token(index)

    def convert_tokens_to_ids(self, text: str) -> int | None:
        """Id of a spelling; the unknown token's (or None) outside the vocabulary."""
        index = self.backend_tokenizer.token_to_id(text)
        return self.unk_token_id if index is None else index

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        """Text of ids."""
        return self.backend_tokenizer.decode(list(ids), skip_special_tokens=skip_special_tokens)


def stands_alone(tokenizer: Any) -> bool:
    """Whether text becomes ids, and ids text, in the backend alone: no class of its own changes how."""
    if isinstance(tokenizer, Handed):
        return True
    if OVERRIDABLE & getattr(tokenizer, "__dict__", {}).keys():
        return False
    for kind in type(tokenizer).__mro__:
        if (kind.__module__, kind.__name__) == PLAIN_CLASS:
            return True
        if OVERRIDABLE & kind.__dict__.keys():
            return False
    return False


def cleans_up(tokenizer: Any) -> bool:
    """Whether transformers takes spaces out of decoded text (BERT's way), which no backend does."""
    return bool(getattr(tokenizer, "clean_up_tokenization_spaces", False)) and (
        type(tokenizer.backend_tokenizer.model).__name__ != "BPE"
        or bool(getattr(tokenizer, "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output", False))
    )
