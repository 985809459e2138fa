"""A byte-level tokenizer made on the spot: letters, a few merges, and the special tokens a test asks for."""

from __future__ import annotations

from typing import Any

MERGES = [("a", "n"), ("an", "s"), ("h", "e"), ("Ġ", "t"), ("Ġt", "he"), ("Ċ", "Ċ"), ("o", "n"), ("]", "]"), ("l", "o")]
"""A few merges, some over spaces and line breaks, so that tokens can reach over a border of the text."""


def tiny_tokenizer(*specials: str, eos: str | None = None, bos: str | None = None, adds_bos: bool = False) -> Any:
    """A fast tokenizer of 256 bytes, MERGES and the special tokens, in this order of ids: specials, bytes, merges."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    named = [token for token in (bos, eos) if token]
    words = [*dict.fromkeys([*specials, *named]), *sorted(pre_tokenizers.ByteLevel.alphabet())]
    words += ["".join(pair) for pair in MERGES]
    core = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=MERGES))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens(list(dict.fromkeys([*specials, *named])))
    if adds_bos:
        core.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, core.token_to_id(bos))]
        )
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token=bos, eos_token=eos)
