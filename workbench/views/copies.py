"""A row to paste elsewhere: as text, as HTML, and as axolotl prints it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from workbench.types import IGNORE, TokenizedExample
from workbench.views.tokens import legend_html, row_html

RED, GREEN, YELLOW, WHITE = 31, 32, 33, 97
"""ANSI colours as termcolor 3 names them."""


def text_of(tokens: TokenizedExample, *, marks: bool = False) -> str:
    """Text of the tokens of a row; with marks, its trained parts stand in ⟦…⟧."""
    text = str.__str__(tokens.rendered.text)
    out: list[str] = []
    at, on = 0, False
    for (start, end), label in zip(tokens.offsets, tokens.labels, strict=True):
        fresh = text[max(start, at) : end]  # tokens of parts of one character share it
        if marks and fresh and (label != IGNORE) is not on:
            on = not on
            out.append("⟦" if on else "⟧")
        out.append(fresh)
        at = max(at, end)
    return "".join([*out, "⟧" if on else ""])


def html_of(row: Mapping[str, Any]) -> str:
    """A row view as self-contained HTML: inline style, no script, nothing to load."""
    return f"<div>{row_html(row, most=len(row['tokens']['id']))}{legend_html()}</div>"


def axolotl_debug(
    input_ids: Sequence[int],
    labels: Sequence[int],
    decode: Callable[[int], str],
    *,
    colour: bool = True,
    text_only: bool = False,
) -> str:
    """What `axolotl preprocess --debug` prints for a row.

    Source: axolotl 0.19, utils/tokenization.py, `check_example_labels`: one message with every token as text and
    `(label, id)`, an empty one, the number of tokens, the number of labels. Red is masked, green trained, yellow a
    label of 0, trained as well.

    Args:
        input_ids: Of the row, shape (T,).
        labels: The same ids where trained, else -100, shape (T,).
        decode: Text of one id.
        colour: With ANSI colours, as on a terminal.
        text_only: Without `(label, id)`, as `--debug-text-only`.
    """

    def painted(text: str, code: int) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if colour else text

    parts: list[str] = []
    for token, label in zip(input_ids, labels, strict=True):
        code = RED if label == IGNORE else YELLOW if label == 0 else GREEN
        parts.append(painted(decode(token), code) + ("" if text_only else painted(f"({label}, {token})", WHITE)))
    trained = sum(label != IGNORE for label in labels)
    line = ("" if text_only else " ").join(parts)
    return "\n".join([line, "\n\n\n", f"Total input len: {len(input_ids)}", f"Count of labels: {trained}"])
