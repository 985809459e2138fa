"""Character offsets that can be relied on.

Tokenizers report the characters of each token, but not always rightly: with `trim_offsets` a leading space belongs to
no token, and a byte-level vocabulary that lacks a byte drops it and shifts the spans behind it (seen with transformers
5.23 and tokenizers 0.23). So spans are taken as reported only when a probe text shows that they can be; otherwise
they are laid again, byte by byte, from the spelling of the tokens. Characters that no token stands for stay uncovered.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

Spans = tuple[tuple[int, int], ...]
BytesOf = Callable[[int], bytes | None]

PROBE = "A b\tc\n\n d  e, é 😀 f.\n"
"""Words, runs of white space, and characters of two and four bytes."""

_TRUSTED: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()


def gapless(offsets: Sequence[tuple[int, int]]) -> Spans:
    """Give characters between two tokens to the second."""
    if not offsets:
        return ()
    starts, ends = zip(*offsets, strict=True)
    if starts[0] == 0 and starts[1:] == ends[:-1]:
        return tuple(offsets)
    made: list[tuple[int, int]] = []
    reached = 0
    for start, end in offsets:
        made.append((reached if end > start > reached else start, end))
        reached = max(reached, end)
    return tuple(made)


def trusted(tokenizer: Any, bytes_of: BytesOf) -> bool:
    """Whether reported offsets agree with the spelling of the tokens on the probe text."""
    known = _TRUSTED.get(tokenizer)
    if known is None:
        out = tokenizer(PROBE, add_special_tokens=False, return_offsets_mapping=True)
        spelt = [bytes_of(token) for token in out["input_ids"]]
        known = None in spelt or laid(PROBE, out["input_ids"], bytes_of) == gapless(out["offset_mapping"])
        _TRUSTED[tokenizer] = known
    return known


def laid(text: str, ids: Sequence[int], bytes_of: BytesOf) -> Spans | None:
    """Lay tokens along the text by their bytes.

    Bytes that no token stands for are passed over; a vocabulary drops a byte only where it has no token for it, so the
    next byte that fits is the right one.

    Args:
        text: The encoded text.
        ids: Its tokens.
        bytes_of: Bytes of a token, None where unknown.

    Returns:
        Character spans, or None where a token's bytes do not come in the text.
    """
    data = text.encode("utf-8", "surrogatepass")
    char_of: list[int] = []
    for index, char in enumerate(text):
        char_of.extend([index] * len(char.encode("utf-8", "surrogatepass")))
    spans: list[tuple[int, int]] = []
    at = 0
    for token in ids:
        piece = bytes_of(token)
        if piece is None:
            return None
        found = [at]
        for byte in piece:
            place = data.find(byte, found[-1])
            if place < 0:
                return None
            found.append(place + 1)
        here = char_of[at - 1] + 1 if at else 0
        spans.append((char_of[found[1] - 1], char_of[found[-1] - 1] + 1) if piece else (here, here))
        at = found[-1]
    return tuple(spans)
