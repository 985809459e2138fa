r"""Ids -> the text of each token, without a text to lay them along: for batches of a trainer that somebody else built.

    spelled([848, 201], tokenizer)  ->  [("user", None), ("\n", None)]

A token that is part of a character has no text; it has its bytes instead, as in the viewer's rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.tokens.encode import BYTE_FALLBACK, special_ids, token_bytes

Spelled = tuple[str, bytes | None]
"""Text of a token, or "" and its bytes where it is part of a character."""


def spelled(ids: Sequence[int], tokenizer: Any) -> list[Spelled]:
    """Text of every token, so that the texts joined are the text, special tokens as they are written.

    Args:
        ids: Token ids (T,).
        tokenizer: A tokenizer of transformers, or a backend with its `convert_ids_to_tokens`.
    """
    special = special_ids(tokenizer)
    byte_level = is_byte_level(tokenizer)
    out: list[Spelled] = []
    waiting: list[bytes] = []
    for token in ids:
        piece = str(tokenizer.convert_ids_to_tokens(int(token)))
        raw = None
        if token not in special and (byte_level or BYTE_FALLBACK.fullmatch(piece)):
            raw = token_bytes(tokenizer, int(token))
        if raw is None:
            out += _parts(waiting)
            waiting = []
            out.append((piece if token in special else piece.replace("\u2581", " "), None))
            continue
        waiting.append(raw)
        if _is_whole(b"".join(waiting)):
            out += _parts(waiting)
            waiting = []
    return out + _parts(waiting)


def is_byte_level(tokenizer: Any) -> bool:
    """Whether the vocabulary is spelled in GPT-2's alphabet of bytes, found by decoding one spelling."""
    decoder = getattr(getattr(tokenizer, "backend_tokenizer", None), "decoder", None)
    return decoder is not None and decoder.decode(["\u00c3\u00a9"]) == "\u00e9"


def _is_whole(raw: bytes) -> bool:
    """Whether bytes end where a character ends; broken bytes end, so that nothing waits for ever."""
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return error.reason != "unexpected end of data"
    return True


def _parts(waiting: Sequence[bytes]) -> list[Spelled]:
    """A token whose bytes are whole characters has a text; tokens that share one have bytes."""
    out: list[Spelled] = []
    for raw in waiting:
        try:
            out.append((raw.decode(), None))
        except UnicodeDecodeError:
            out.append(("", raw))
    return out
