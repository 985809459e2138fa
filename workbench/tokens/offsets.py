"""Character offsets that can be relied on.

Tokenizers report the characters of each token, but not always rightly: with `trim_offsets` a leading space belongs to
no token, and a byte-level vocabulary that lacks a byte drops it and shifts the spans behind it (seen with transformers
5.23 and tokenizers 0.23). So spans are taken as reported only when a probe text shows that they can be; otherwise
they are laid again, byte by byte, from the spelling of the tokens. Characters that no token stands for stay uncovered.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Container, Sequence
from operator import itemgetter
from typing import Any

Spans = tuple[tuple[int, int], ...]
BytesOf = Callable[[int], bytes | None]

PROBE = "A b\tc\n\n d  e, é 😀 f.\n"
"""Words, runs of white space, and characters of two and four bytes."""

_TRUSTED: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()


def columns(offsets: Sequence[tuple[int, int]]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Starts and ends. `zip(*offsets)` makes an iterator a token, which the garbage collector then looks through."""
    return tuple(map(_FIRST, offsets)), tuple(map(_SECOND, offsets))


_FIRST, _SECOND = itemgetter(0), itemgetter(1)


def gapless(
    offsets: Sequence[tuple[int, int]], ids: Sequence[int] = (), exact: Container[int] = frozenset[int]()
) -> Spans:
    """Give characters between two tokens to the second, or to the first where the second stands for its own text only.

    Args:
        offsets: Spans as reported.
        ids: The tokens; needed with `exact` only.
        exact: Tokens that stand for their own text and nothing else: added ones. A character before one belongs to what
            stands there, such as an accent that the tokenizer's normalization puts on the letter before it.
    """
    if not offsets:
        return ()
    starts, ends = columns(offsets)
    if starts[0] == 0 and starts[1:] == ends[:-1]:
        return tuple(offsets)
    made: list[tuple[int, int]] = []
    reached = 0
    for index, (start, end) in enumerate(offsets):
        if end > start > reached:
            if made and ids and ids[index] in exact and made[-1][0] < made[-1][1]:
                made[-1] = (made[-1][0], start)
            else:
                start = reached
        made.append((start, end))
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
    char_of = _characters(text, len(data))
    spans: list[tuple[int, int]] = []
    at = 0
    for token in ids:
        piece = bytes_of(token)
        if piece is None:
            return None
        if not piece:
            here = char_of[at - 1] + 1 if at else 0
            spans.append((here, here))
            continue
        first, last = at, at + len(piece) - 1
        if not data.startswith(piece, at):
            places = _scattered(data, piece, at)
            if places is None:
                return None
            first, last = places
        spans.append((char_of[first], char_of[last] + 1))
        at = last + 1
    return tuple(spans)


def _characters(text: str, size: int) -> Sequence[int]:
    """Character each byte of a text belongs to."""
    if size == len(text):
        return range(size)
    made: list[int] = []
    for index, char in enumerate(text):
        made += (index,) * (1 if char < "\x80" else 2 if char < "\u0800" else 3 if char < "\U00010000" else 4)
    return made


def _scattered(data: bytes, piece: bytes, at: int) -> tuple[int, int] | None:
    """First and last place of bytes that come one after the other, with bytes between that no token stands for."""
    found = at
    first = -1
    for byte in piece:
        place = data.find(byte, found)
        if place < 0:
            return None
        first = place if first < 0 else first
        found = place + 1
    return first, found - 1
