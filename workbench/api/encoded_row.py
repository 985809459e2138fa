"""One row of `data.encode(…)`: its sequences, its text, what is wrong with it."""

from __future__ import annotations

import json
from bisect import bisect_left
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Any

from workbench.api.html_export import Showable
from workbench.api.pairs import is_pair, pair_bundle
from workbench.errors import DataError, RecipeError
from workbench.tokens.pairs import Pair, compare
from workbench.types import Finding, TokenizedExample
from workbench.views.copies import axolotl_debug, html_of, text_of

if TYPE_CHECKING:
    from workbench.api.encoded import Encoded
    from workbench.api.score import Scores
    from workbench.api.xray import Xray
    from workbench.widgets.tokens import TokenViewer

COLOURS = ("trained", "role", "source", "document", "reason")
MEASURES = ("loss", "probability", "base_delta")
"""Colours that need the scores of a model."""


@dataclass(frozen=True)
class EncodedRow(Showable):
    """One row: its tokens, its text, what is wrong with it."""

    enc: Encoded
    row: int
    token: int | None = None
    colour_by: str = "trained"

    def at(self, token: int) -> EncodedRow:
        """The same row, shown around a token: for rows too long to be shown whole.

        Args:
            token: 0-based token of the row; negative counts from its end.
        """
        length = len(self.input_ids)
        if not -length <= token < length:
            raise IndexError(f"token {token} of {length} tokens")
        return replace(self, token=token % length)

    def coloured(self, by: str) -> EncodedRow:
        """The same row, coloured by something; values and errors as `Encoded.look`."""
        if by not in (*COLOURS, *MEASURES):
            remedy = f"Known: {', '.join((*COLOURS, *MEASURES))}."
            raise RecipeError(f"colour_by={by!r} is out of range.", remedy=remedy, code="WB402")
        if by in MEASURES and (self.scores is None or getattr(self.scores, by) is None):
            how = "enc.score(model, base=other)" if by == "base_delta" else "enc.score(model)"
            raise DataError(f"Row {self.row} has no {by}.", remedy=f"{how} gives it.", code="WB699", row=self.row)
        return replace(self, colour_by=by)

    def score(self, model: Any, *, base: Any = None) -> EncodedRow:
        """The row with what a model makes of every token, coloured by loss; arguments and errors as `Encoded.score`."""
        return self.enc.score(model, [self.row], base=base)[self.row].coloured("loss")

    @property
    def scores(self) -> Scores | None:
        """Loss and probability of each token of the first sequence; None before `score`."""
        return self.enc.scores.get((self.row, 0))

    def as_text(self, *, marks: bool = False, part: int = 0) -> str:
        """Text of the row's tokens; with marks, its trained parts stand in ⟦…⟧.

        Args:
            marks: Mark the trained parts.
            part: Which of the row's sequences.
        """
        return text_of(self.parts[part], marks=marks)

    def as_html(self, *, part: int = 0) -> str:
        """The row as self-contained HTML: every token, inline style, no script."""
        return html_of(self.enc.view_of(self.row, part))

    def as_axolotl_debug(self, *, colour: bool = True, text_only: bool = False, part: int = 0) -> str:
        """What `axolotl preprocess --debug` (0.19) prints for the row.

        Args:
            colour: With ANSI colours, as on a terminal; axolotl writes none into a file.
            text_only: As `--debug-text-only`.
            part: Which of the row's sequences.
        """
        made, tokenizer = self.parts[part], self.enc.setting.tokenizer
        return axolotl_debug(made.input_ids, made.labels, tokenizer.decode, colour=colour, text_only=text_only)

    @property
    def parts(self) -> tuple[TokenizedExample, ...]:
        """Every sequence of the row: chosen and rejected, the chunks of a long text, or just one.

        Raises:
            DataError: WB558 where the row cannot be used.
        """
        made, found = self.enc.tokenized(self.row)
        if not made:
            why = " ".join(item.message for item in found)
            raise DataError(f"Row {self.row} has no tokens.", remedy=why, code="WB558", row=self.row)
        return made

    @property
    def example(self) -> TokenizedExample:
        """Tokens, labels, reasons, origins of the first sequence; errors as `parts`."""
        return self.parts[0]

    @property
    def pair(self) -> Pair:
        """The two sides of a preference row: shared prompt, chosen, rejected, first differing token.

        Raises:
            DataError: WB558 where the row is no preference or cannot be used.
        """
        if self.parts[0].part != "chosen":
            remedy = f"Its type is {self.enc.data.type}; pairs come from preference rows."
            raise DataError(f"Row {self.row} is no pair.", remedy=remedy, code="WB558", row=self.row)
        return compare(*self.parts)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong with the row."""
        return self.enc.tokenized(self.row)[1]

    @property
    def text(self) -> str:
        """The rendered text."""
        return str.__str__(self.example.rendered.text)

    @property
    def input_ids(self) -> tuple[int, ...]:
        """Token ids."""
        return self.example.input_ids

    @property
    def labels(self) -> tuple[int, ...]:
        """Token ids where trained, else -100."""
        return self.example.labels

    def xray(self, *, add_generation_prompt: bool = False) -> Xray:
        """The template card of this row: which template line wrote which characters and tokens.

        Raises:
            TemplateError: WB107 where the rows have no template, or as `chat.render`.
            DataError: WB558 where the row is no conversation.
        """
        return self.enc.xray(self.row, add_generation_prompt=add_generation_prompt)

    def code(self) -> str:
        """Python that gives this row."""
        if self.colour_by != "trained":
            return f"enc.look(row={self.row}, colour_by={json.dumps(self.colour_by)})"
        return f"enc[{self.row}]" + ("" if self.token is None else f".at({self.token})")

    def widget(self) -> TokenViewer:
        """The viewer as a widget, at this row; errors as `parts`."""
        _ = self.parts
        return self.enc.widget_at(bisect_left(self.enc.sequences, (self.row, 0)), self.code(), self.colour_by)

    def to_dict(self) -> dict[str, Any]:
        """The JSON object that `workbench inspect --json` prints for the row."""
        from workbench.api.inspect_rows import row_object

        return row_object(self.enc, self.row)

    def __repr__(self) -> str:
        made, found = self.enc.tokenized(self.row)
        if not made:
            return f"Row {self.row}: " + " ".join(f"{item.code}: {item.message}" for item in found)
        said = (f"{len(item.input_ids)} tokens, {item.trained} trained" for item in made)
        named = (f"{item.part}: {text}" if item.part else text for item, text in zip(made, said, strict=True))
        return f"Row {self.row}: " + "; ".join(named)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        position = bisect_left(self.enc.sequences, (self.row, 0))
        if self.enc.sequences[position : position + 1] != [(self.row, 0)]:
            return {"text/plain": repr(self), "text/html": f"<pre>{escape(repr(self))}</pre>"}
        if self.token is None and self.colour_by == "trained" and is_pair(self.enc, self.row):
            return pair_bundle(self.enc, self.row, self.code(), repr(self))
        return self.enc.bundle(position, self.code(), self.token, self.colour_by)
