"""Text -> token ids with character offsets, through the tokenizer that training and inference use.

Offsets are those of tokens/offsets.py: gapless, and laid anew where a tokenizer reports them wrongly.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

from workbench import tiny_llama
from workbench.errors import TokenizerError
from workbench.tokens.offsets import BytesOf, Spans, gapless, laid, trusted
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


def added_bos_token(tokenizer: Tokenizer) -> str:
    """BOS where the tokenizer puts it before plain text by itself, else nothing."""
    first = tokenizer("")["input_ids"][:1]
    return str(tokenizer.bos_token) if first and first[0] == tokenizer.bos_token_id else ""


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
    spell = speller(tokenizer)
    rely = trusted(tokenizer, spell)
    added = tokenizer.added_tokens_decoder
    pairs = zip(plain, out["input_ids"], out["offset_mapping"], strict=True)
    return [
        Encoding(tuple(ids), gapless(spans, ids, added) if rely else _relaid(text, ids, spans, spell))
        for text, ids, spans in pairs
    ]


def _relaid(text: str, ids: Sequence[int], reported: Sequence[tuple[int, int]], spell: BytesOf) -> Spans:
    """Spans from the tokens' spelling; special tokens keep theirs, which is always right, and part the text."""
    spans: list[tuple[int, int]] = []
    at = 0
    for is_special, group in groupby(range(len(ids)), lambda i: spell(ids[i]) is None):
        indices = list(group)
        if is_special:
            spans.extend(reported[i] for i in indices)
            at = max([at, *(reported[i][1] for i in indices)])
            continue
        after = indices[-1] + 1
        end = reported[after][0] if after < len(ids) and reported[after][0] >= at else len(text)
        found = laid(text[at:end], [ids[i] for i in indices], spell)
        if found is None:
            raise TokenizerError(
                f"The tokenizer's tokens cannot be laid along the text {text[at : at + 40]!r}.",
                remedy="Its offsets do not fit its vocabulary, so no mask is made. Use another tokenizer.json.",
                code="WB132",
            )
        spans.extend((start + at, stop + at) for start, stop in found)
        at = end
    return tuple(spans)


def speller(tokenizer: Tokenizer) -> BytesOf:
    """Bytes of a token of the plain vocabulary; None for special tokens and for other spellings. Cached."""
    return _speller(tokenizer)


@lru_cache(maxsize=16)
def _speller(tokenizer: Tokenizer) -> BytesOf:
    added = frozenset(tokenizer.added_tokens_decoder) | special_ids(tokenizer)

    @cache
    def spell(token: int) -> bytes | None:
        return None if token in added else token_bytes(tokenizer, token)

    return spell


def token_bytes(tokenizer: Tokenizer, token: int) -> bytes | None:
    """Bytes a token stands for, where its vocabulary spells bytes.

    Args:
        tokenizer: A byte-level tokenizer (GPT-2's alphabet) or one with byte fallback (`<0xE2>`).
        token: Token id.

    Returns:
        The bytes, or None where the vocabulary does not spell them.
    """
    spelling = tokenizer.convert_ids_to_tokens(token)
    if not isinstance(spelling, str):
        return None
    if BYTE_FALLBACK.fullmatch(spelling):
        return bytes([int(spelling[3:5], 16)])
    alphabet = _byte_alphabet()
    return bytes(alphabet[char] for char in spelling) if all(char in alphabet for char in spelling) else None


BYTE_FALLBACK = re.compile(r"<0x[0-9A-F]{2}>")


@lru_cache(maxsize=1)
def _byte_alphabet() -> dict[str, int]:
    """GPT-2's printable stand-in of each byte, back to the byte.

    Bytes that print in Latin-1 stand for themselves; the others have the characters from U+0100 on, in their order.
    Source: GPT-2's encoder.py, bytes_to_unicode.
    """
    printing = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(0x100) if byte not in printing]
    return {chr(byte): byte for byte in printing} | {chr(0x100 + i): byte for i, byte in enumerate(others)}
