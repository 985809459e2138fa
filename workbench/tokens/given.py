"""Token ids of a row that was tokenized elsewhere -> the text they stand for, and each token's characters in it.

Tokens are spelled one by one from the vocabulary: as bytes where it spells bytes, else by their text. What is shown is
therefore what the ids say, not what a tokenizer would make of the text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import cast

from workbench.tokens.encode import BYTE_FALLBACK, Tokenizer, special_ids, token_bytes

SPACE = "▁"
"""SentencePiece's stand-in for a space."""

Spelling = Callable[[int], bytes]


def spelling_of(tokenizer: Tokenizer) -> Spelling:
    """UTF-8 bytes (or parts of them) of every token of a tokenizer, remembered."""
    kind = repr(tokenizer.backend_tokenizer.decoder)
    is_bytes, is_pieces = "ByteLevel" in kind, SPACE in kind or "Metaspace" in kind
    added = frozenset(tokenizer.added_tokens_decoder) | special_ids(tokenizer)

    @cache
    def spell(token: int) -> bytes:
        text = cast("str", tokenizer.convert_ids_to_tokens(token))
        if token in added:
            return text.encode()
        made = token_bytes(tokenizer, token) if is_bytes or BYTE_FALLBACK.fullmatch(text) else None
        if made is not None:
            return made
        if is_pieces:
            return text.replace(SPACE, " ").encode()
        return cast("str", tokenizer.decode([token], skip_special_tokens=False)).encode()

    return spell


def spelled(ids: Sequence[int], spell: Spelling) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Text of tokens and the characters of each.

    Bytes that are no character show as U+FFFD; tokens of parts of one character share it.
    """
    pieces = [spell(token) for token in ids]
    text = b"".join(pieces).decode("utf-8", "surrogateescape")
    char_of: list[int] = []
    for index, char in enumerate(text):
        char_of.extend([index] * len(char.encode("utf-8", "surrogateescape")))
    char_of.append(len(text))
    spans: list[tuple[int, int]] = []
    at = 0
    for piece in pieces:
        end = at + len(piece)
        spans.append((char_of[at], char_of[end - 1] + 1 if piece else char_of[at]))
        at = end
    shown = "".join("\ufffd" if "\udc80" <= char <= "\udcff" else char for char in text)
    return shown, tuple(spans)
