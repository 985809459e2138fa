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


WORDS = ("Hello", "hi", "there", "goodbye", "farewell", "I'm", "doing", "very", "well", "thank", "you")
"""Words that the second tokenizer knows whole, with and without a space before them."""


def metaspace_tokenizer() -> Any:
    """A fast tokenizer after Llama 2's: it puts a space before every text, and BOS before plain text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    merges: list[tuple[str, str]] = []
    for word in WORDS:
        merges += [(word[:i], word[i]) for i in range(1, len(word))]
    merges += [("▁", word) for word in WORDS]
    letters = [chr(code) for code in range(33, 127)] + ["▁", "\n"]
    words = dict.fromkeys(["<unk>", "<s>", "</s>", *letters, *("".join(pair) for pair in merges)])
    core = Tokenizer(
        models.BPE({word: i for i, word in enumerate(words)}, list(dict.fromkeys(merges)), unk_token="<unk>")
    )
    core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    core.decoder = decoders.Metaspace(prepend_scheme="always")
    core.add_special_tokens(["<unk>", "<s>", "</s>"])
    core.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", core.token_to_id("<s>"))]
    )
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
