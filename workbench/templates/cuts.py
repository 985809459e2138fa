r"""What templates cut off the ends of a text, as values: noted once, done again on other texts.

stripped("  a\n", (("strip", None),))  ->  "a";   kept(…)  ->  (2, 3)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Mode = tuple[tuple[str, str | None], ...]
"""What was cut off a text's ends, in order: `(("strip", None), ("rstrip", "\\n"))`; empty for the text itself."""


def stripped(text: str, mode: Mode) -> str:
    """A plain text with a mode's cuts done."""
    for method, chars in mode:
        text = CUTS[method](text, chars)
    return text


def kept(text: str, mode: Mode) -> tuple[int, int]:
    """First and one past the last character of a text that a mode leaves."""
    start, stop = 0, len(text)
    for method, chars in mode:
        part = text[start:stop]
        left = len(CUTS[_FROM_START[method]](part, chars)) if method in _FROM_START else len(part)
        right = len(CUTS[_FROM_END[method]](part, chars)) if method in _FROM_END else len(part)
        start, stop = start + len(part) - left, max(stop - (len(part) - right), start + len(part) - left)
    return start, stop


def _before(text: str, separator: Any) -> str:
    return str.split(text, separator)[0]


def _behind(text: str, separator: Any) -> str:
    return str.split(text, separator)[-1]


CUTS: Mapping[str, Callable[[str, Any], str]] = {
    "strip": str.strip,
    "lstrip": str.lstrip,
    "rstrip": str.rstrip,
    "removeprefix": str.removeprefix,
    "removesuffix": str.removesuffix,
    "before": _before,
    "behind": _behind,
}
_FROM_START = {"strip": "lstrip", "lstrip": "lstrip", "removeprefix": "removeprefix", "behind": "behind"}
_FROM_END = {"strip": "rstrip", "rstrip": "rstrip", "removesuffix": "removesuffix", "before": "before"}
"""Which cut does what a cut does at one end."""
