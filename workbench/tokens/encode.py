"""Text -> token ids with character offsets, through the tokenizer that training and inference use.

Offsets are made gapless: some tokenizers report a leading space as belonging to no token (`trim_offsets`), which would
leave characters that no token stands for. Such a gap belongs to the token behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench import tiny_llama
from workbench.errors import TokenizerError
from workbench.types import Encoding

Tokenizer = Any
"""A fast tokenizer of transformers (PreTrainedTokenizerFast); Any because importing its type costs seconds."""


def load_tokenizer(
    source: str | Tokenizer, *, revision: str | None = None, trust_remote_code: bool = False
) -> Tokenizer:
    """Load a tokenizer by path or hub id; `tiny-llama` is the embedded one.

    Raises:
        TokenizerError: WB130 where it cannot be loaded, WB131 where it gives no character offsets.
    """
    if not isinstance(source, str | Path):
        return _fast(source, type(source).__name__)
    from transformers import AutoTokenizer

    where = str(tiny_llama.model_path()) if str(source) == "tiny-llama" else str(source)
    try:
        tokenizer = AutoTokenizer.from_pretrained(where, revision=revision, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, ImportError, KeyError, UnicodeDecodeError) as error:
        local = Path(where).exists()
        remedy = (
            "Its files are there but transformers cannot read them; a folder with tokenizer.json loads."
            if local
            else "Check the name, or the network: what is not on this machine comes from the hub. A local folder works."
        )
        why = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise TokenizerError(
            f"Tokenizer {str(source)!r} cannot be loaded: {why}",
            remedy=remedy,
            code="WB130",
        ) from error
    return _fast(tokenizer, str(source))


def _fast(tokenizer: Tokenizer, name: str) -> Tokenizer:
    if not getattr(tokenizer, "is_fast", False):
        raise TokenizerError(
            f"Tokenizer {name!r} gives no character offsets ({type(tokenizer).__name__}).",
            remedy="Use its fast version (one with tokenizer.json): a mask needs to know a token's characters.",
            code="WB131",
        )
    return tokenizer


def special_tokens(tokenizer: Tokenizer) -> dict[str, str]:
    """Special tokens by name, as a chat template sees them (`bos_token`, `eos_token`)."""
    return {name: str(text) for name, text in tokenizer.special_tokens_map.items() if isinstance(text, str)}


def special_ids(tokenizer: Tokenizer) -> frozenset[int]:
    """Ids of every token marked special, named or only added."""
    added = {index for index, token in tokenizer.added_tokens_decoder.items() if token.special}
    return frozenset(added | set(tokenizer.all_special_ids))


def encode(texts: Sequence[str], tokenizer: Tokenizer, *, add_special_tokens: bool = False) -> list[Encoding]:
    """Encode texts.

    Args:
        texts: Rendered texts; chat templates write their special tokens themselves.
        tokenizer: See `load_tokenizer`.
        add_special_tokens: Let the tokenizer add what it adds to plain text (BOS).
    """
    if not texts:
        return []
    plain = [str.__str__(text) for text in texts]
    out = tokenizer(
        plain,
        add_special_tokens=add_special_tokens,
        return_offsets_mapping=True,
        return_attention_mask=False,
        verbose=False,
    )
    return [
        Encoding(tuple(ids), _gapless(offsets))
        for ids, offsets in zip(out["input_ids"], out["offset_mapping"], strict=True)
    ]


def _gapless(offsets: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    made: list[tuple[int, int]] = []
    reached = 0
    for start, end in offsets:
        if end > start > reached:
            start = reached
        made.append((start, end))
        reached = max(reached, end)
    return tuple(made)
