"""`data.encode(…)`: tokens and labels of every row, and the views of single rows."""

from __future__ import annotations

import copy
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from html import escape
from typing import TYPE_CHECKING, Any

from workbench.api import comm
from workbench.api.batch_source import EncodedSource
from workbench.api.batches import Batches
from workbench.api.data import Data, _Choice
from workbench.api.edited import policy_of
from workbench.api.encoded_row import EncodedRow
from workbench.api.html_export import Showable
from workbench.api.pairs import pair_bundle, pair_questions, pairs_shown, shows_pairs
from workbench.api.row_list import RowList, worst
from workbench.api.row_media import row_media
from workbench.api.row_questions import viewer_questions
from workbench.api.template import ChatTemplate
from workbench.checks.parts import check_parts
from workbench.checks.rows import summary
from workbench.errors import DataError
from workbench.tokens.encode import special_ids, token_bytes
from workbench.tokens.examples import Setting
from workbench.tokens.pack import TrainRow, pack
from workbench.tokens.sequences import sequences
from workbench.types import Finding, TokenizedExample
from workbench.views import TOKENS_MIME
from workbench.views.columns import Vocabulary, row_view
from workbench.views.compact import compact
from workbench.views.tokens import Heading, explained, payload, plain_text, static_html
from workbench.views.window import ASKED_TOKENS, SAVED_TOKENS, labelled, window

if TYPE_CHECKING:
    from workbench.api.score import Scores
    from workbench.api.template_resolution import TemplateResolution
    from workbench.api.xray import Xray
    from workbench.widgets.card import Card
    from workbench.widgets.tokens import TokenViewer

Parts = tuple[TokenizedExample, ...]
"""The sequences of one data row."""

WINDOW_TOKENS = 3_000
"""Tokens of other rows beside the one shown first, where there is no kernel to ask for them."""

EXPORTED_TOKENS = 30_000
"""The same in an exported HTML file: about 400 kB."""


@dataclass(frozen=True)
class Totals:
    """Sums over the usable rows; `truncated` counts rows, errors and warnings count findings."""

    rows: int = 0
    tokens: int = 0
    trained: int = 0
    truncated: int = 0
    errors: int = 0
    warnings: int = 0


class Encoded(Showable, Sequence[EncodedRow]):
    """Tokens and labels of every row.

    `enc[3]` is data row 3, `enc.batches()` what the trainer gets, `enc.findings` what is wrong.

    Attributes:
        data: The rows.
        template: The chat template, None where the rows need none.
        setting: Tokenizer, template and policy: everything that decides tokens and labels.
        findings: Of the file and of every row.
        usable: Data rows that have tokens, in order.
        sequences: (data row, which of its sequences) of every sequence, in order: a preference row has two, a long
            text one a chunk, every other row one.
        scores: (data row, which of its sequences) -> what a model makes of its tokens; empty before `score`.
    """

    def __init__(self, data: Data, template: ChatTemplate | None, setting: Setting, choice: _Choice, name: str) -> None:
        self.data, self.template, self.setting, self.choice, self.tokenizer_name = data, template, setting, choice, name
        self.findings: tuple[Finding, ...] = ()
        self.usable: list[int] = []
        self.sequences: list[tuple[int, int]] = []
        self.totals = Totals()
        self.scores: Mapping[tuple[int, int], Scores] = {}
        self.scored_by = ""
        self.tried: dict[tuple[str, str], Encoded] = {}
        self._ids: list[array[int]] = []
        self._labels: list[array[int]] = []
        self._last: tuple[int, tuple[Parts, tuple[Finding, ...]]] | None = None

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return [self[i] for i in range(*row.indices(len(self)))]
        index = row + len(self) if row < 0 else row
        if not 0 <= index < len(self):
            raise IndexError(f"row {row} of {len(self)} rows")
        return EncodedRow(self, index)

    def twin(self) -> Encoded:
        """A copy that shares the rows, to be given other scores or another policy."""
        made = copy.copy(self)
        made.tried, made._last = {}, None
        made.__dict__.pop("row_list", None)
        return made

    @cached_property
    def row_list(self) -> RowList:
        """The rows to sort, filter and search."""
        return RowList(self)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """What views need to know of the tokenizer."""
        tokenizer = self.setting.tokenizer
        return Vocabulary(special_ids(tokenizer), lru_cache(maxsize=None)(lambda token: token_bytes(tokenizer, token)))

    @cached_property
    def pair_rows(self) -> list[int]:
        """Data rows that have two sequences, in order: the pairs, and in a mixture a text of two chunks."""
        parts: dict[int, int] = {}
        for row, part in self.sequences:
            parts[row] = part + 1
        return [row for row, count in parts.items() if count == 2]

    @cached_property
    def train_rows(self) -> tuple[TrainRow, ...]:
        """What the trainer is given: rows with at least one trained token, packed where packing is on."""
        rows = [
            TrainRow(ids, labels, ((row, len(ids)),))
            for (row, _), ids, labels in zip(self.sequences, self._ids, self._labels, strict=True)
            if any(label >= 0 for label in labels)
        ]
        return tuple(pack(rows, self.choice.max_length or 0) if self.choice.packing == "bfd" else rows)

    def batches(self, recipe: Any = None, *, epoch: int = 0) -> Batches:
        """The batches of an epoch in training order.

        Args:
            recipe: A recipe whose batch size and seed are used; None takes the defaults.
            epoch: 0-based.
        """
        return Batches(EncodedSource(self, recipe), epoch)

    def score(self, model: Any, rows: Iterable[int] | None = None, *, base: Any = None) -> Encoded:
        """The same rows with what a model makes of every token: loss, probability, difference to a base model.

        Args:
            model: A path, hub id, adapter folder, `tiny-llama`, or a live transformers or PEFT model. A PEFT model is
                compared with itself without its adapter.
            rows: Data rows to score; None takes all. One forward a sequence.
            base: A second model to compare with.

        Raises:
            ModelError: WB693 where a model cannot be loaded, WB697 for another vocabulary, WB698 for no model.
            DataError: WB558 for a row without tokens.
        """
        from workbench.api.score import score

        return score(self, model, rows, base)

    def look(self, row: int | None = None, *, colour_by: str = "trained", worst: bool = False) -> EncodedRow:
        """The viewer at a row, coloured by something.

        Args:
            row: Data row; None takes the first that has tokens.
            colour_by: `trained`, `role`, `source`, `document`, `reason`, and for scored rows `loss`, `probability`,
                `base_delta`.
            worst: Open at the row that most asks for a look: errors first, then warnings, then a high loss, then few
                trained tokens.

        Raises:
            RecipeError: WB402 for another colour. DataError: WB558 where no row has tokens, WB699 for a colour that
                needs scores the row does not have.
        """
        if row is None:
            row = self._worst_row() if worst else (self.usable or [0])[0]
        return self[row].coloured(colour_by)

    def _worst_row(self) -> int:
        return self.sequences[worst(self.row_list)][0] if self.sequences else 0

    def tokenized(self, row: int) -> tuple[Parts, tuple[Finding, ...]]:
        """One data row in full: tokens, labels, reasons, origins of each of its sequences; none where it is unusable.

        Returns:
            (sequences, findings); a preference row has two sequences, chosen and rejected.
        """
        if self._last is None or self._last[0] != row:  # a row is mostly asked for several times in a row
            made, found = self._tokenized(row)
            line = self.data.source.line_of(row)
            self._last = (row, (made, tuple(replace(item, line=line) for item in found)))
        return self._last[1]

    def _tokenized(self, row: int) -> tuple[Parts, tuple[Finding, ...]]:
        example, found = self.data.converted(row)
        if example is None:
            return (), found
        made = next(iter(sequences([example], self.setting)))
        if isinstance(made, Finding):
            return (), (*found, made)
        return made, (*found, *check_parts(example, made, self.vocabulary.special_ids))

    def xray(self, row: int | None = None, *, add_generation_prompt: bool = False) -> Xray:
        """The template card of a row (None: the first usable one), with every other row in its conversation picker.

        Raises:
            TemplateError: WB107 where the rows have no template, or as `chat.render`.
            DataError: WB558 where the row is no conversation.
        """
        from workbench.api.render import xray_of_rows

        return xray_of_rows(self, row, add_generation_prompt)

    @property
    def template_resolution(self) -> TemplateResolution:
        """Which chat template is used and which will be saved with the model: the tokenizer's, the data's or yours."""
        from workbench.api.template_resolution import resolution_of_rows

        return resolution_of_rows(self)

    # Answers to the page

    def questions(self) -> dict[str, comm.Question]:
        """What the page can ask."""
        return {**comm.row_questions(self), **viewer_questions(self), **pair_questions(self)}

    def row_at(self, position: int) -> dict[str, Any]:
        """View of the sequence at a position, of as many tokens as the page can show."""
        return explained(self._shown(position, ASKED_TOKENS), self.setting.template)

    def _shown(self, position: int, most: int, around: int | None = None) -> dict[str, Any]:
        row, part = self.sequences[position]
        made, _ = self.tokenized(row)
        labels = made[part].labels if part < len(made) else ()
        shown = window([label >= 0 for label in labels], most, around)
        return labelled(self.view_of(row, part, shown), shown, len(labels))

    def view_of(self, row: int, part: int = 0, shown: range | None = None) -> dict[str, Any]:
        """View of one sequence of a data row, or of some of its tokens."""
        made, found = self.tokenized(row)
        if not made:
            raise DataError(
                f"Row {row} has no tokens.", remedy=" ".join(item.message for item in found), code="WB558", row=row
            )
        position = bisect_left(self.sequences, (row, part))
        kind = self.data.type or ""
        view = row_view(made[part], self.vocabulary, position=position, type=kind, findings=found, shown=shown)
        if made[part].part:
            view["title"] = f"Row {row}, {made[part].part}"
        view["desirable"] = made[part].desirable
        view["media"] = row_media(self, made[part], shown or range(len(made[part].input_ids)))
        if (row, part) in self.scores:
            view["measures"] = self.scores[row, part].measures(shown or range(len(made[part].labels)))
        return view

    def position_with(self, text: str, after: int) -> int | None:
        """Position of the next sequence whose text contains `text`, from the start again if need be."""
        return self.row_list.next_with(text, after)

    def position_of_problem(self, after: int) -> int | None:
        """Position of the next usable row with an error or a warning."""
        positions = self.row_list.with_problem()
        return next((i for i in positions if i > after), positions[0] if positions else None)

    # Showing

    def code(self) -> str:
        """Python that gives these tokens again."""
        named = {"train_on": self.choice.train_on, "max_length": self.choice.max_length, "packing": self.choice.packing}
        extra = "".join(f", {name}={value!r}" for name, value in named.items() if value not in (None, "none"))
        more = {**self.choice.mask.changed(), **self.choice.variables}
        extra += "".join(f", {name}={value!r}" for name, value in more.items())
        chat = f"wb.template({self.template.given!r}), " if self.template else ""
        return f"enc = data.encode({chat}tokenizer={self.tokenizer_name!r}{extra}){self.scored_by}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, without the tokens."""
        return {
            "title": self.data.source.title,
            "type": self.data.type,
            "template": self.template.info.name if self.template else None,
            "tokenizer": self.tokenizer_name,
            "train_on": self.choice.train_on,
            "max_length": self.choice.max_length,
            "packing": self.choice.packing,
            "mask": self.choice.mask.changed(),
            "totals": asdict(self.totals),
            "codes": summary(self.findings),
        }

    def __repr__(self) -> str:
        total = self.totals
        share = round(100 * total.trained / total.tokens) if total.tokens else 0
        lines = [
            f"{self.data.source.title}: {total.rows:,} of {len(self):,} rows, {total.tokens:,} tokens, "
            f"{total.trained:,} trained ({share} %), {total.truncated} truncated"
        ]
        lines += [f"  {count} × {code}" for code, count in summary(self.findings).items()]
        return "\n".join(lines)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        if shows_pairs(self):
            return pair_bundle(self, self.usable[0], "enc", repr(self))
        return self.bundle(0, "enc")

    def widget(self) -> Card:
        """The viewer (of preference rows the pair card) as a widget, for hosts that show widgets but not our mime type.

        Raises:
            DataError: WB558 where no row has tokens.
        """
        from workbench.widgets.pairs import PairCard

        if self.usable and shows_pairs(self):
            shown = pairs_shown(self, self.usable[0], "enc", handle=comm.WIDGET)
            return PairCard(compact(shown), lambda asked: comm.answered(self, asked))
        return self.widget_at(0, "enc")

    def widget_at(self, position: int, code: str, colour_by: str = "trained") -> TokenViewer:
        """The viewer as a widget, at a position; errors as `widget`."""
        from workbench.widgets.tokens import TokenViewer

        if not self.usable:
            raise DataError(
                f"No row of {self.data.source.title} has tokens.", remedy="Look at enc.findings.", code="WB558"
            )
        heading = replace(self.heading(code, position, colour_by), handle=comm.WIDGET)
        return TokenViewer(compact(payload(self._window(position), heading)), lambda asked: comm.answered(self, asked))

    def bundle(self, position: int, code: str, around: int | None = None, colour_by: str = "trained") -> dict[str, Any]:
        """Mime bundle with the row at a position first and its neighbours beside it.

        Args:
            position: Which of the sequences.
            code: Python that shows the same.
            around: Token that is shown of a row too long to show whole.
            colour_by: What the tokens are coloured by at first.
        """
        if not self.usable:
            return {"text/plain": repr(self), "text/html": _problems_html(self)}
        shown = payload(self._window(position, around), self.heading(code, position, colour_by))
        return {
            TOKENS_MIME: compact(shown),
            "text/html": static_html(shown),
            "text/plain": f"{self!r}\n{plain_text(shown)}",
        }

    def _window(self, position: int, around: int | None = None) -> list[dict[str, Any]]:
        views = [self._shown(position, SAVED_TOKENS, around)]
        room = EXPORTED_TOKENS if comm.is_alone() else 0 if comm.share(self) else WINDOW_TOKENS
        near = sorted(range(len(self.sequences)), key=lambda other: abs(other - position - 0.25))
        for beside in near[1:] if room else ():
            room -= len(self._ids[beside])
            if room < 0:
                break
            views.append(self._shown(beside, SAVED_TOKENS))
        return sorted(views, key=lambda view: view["position"])

    def heading(self, code: str, first: int = 0, colour_by: str = "trained") -> Heading:
        """What stands around the rows."""
        chat = f", template {self.template.info.name}" if self.template else ""
        name = self.tokenizer_name.rstrip("/").rsplit("/", 1)[-1]
        return Heading(
            title=self.data.source.title,
            subtitle=f"{chat.removeprefix(', ')}{', ' if chat else ''}tokenizer {name}",
            code=code,
            row_count=len(self.sequences),
            totals=asdict(self.totals),
            template=self.setting.template,
            handle=comm.share(self),
            first=first,
            colour_by=colour_by,
            problems=self.row_list.counts(),
            policy=policy_of(self),
        )


def _problems_html(enc: Encoded) -> str:
    items = "".join(
        f"<li><b>{escape(i.code)}</b> {escape(i.message)} {escape(i.remedy)}</li>" for i in enc.findings[:20]
    )
    return f"<div><b>{escape(enc.data.source.title)}</b>: no row can be used.<ul>{items}</ul></div>"
