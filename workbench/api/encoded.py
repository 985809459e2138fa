"""`data.encode(…)`: tokens and labels of every row, and the views of single rows."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from html import escape
from typing import TYPE_CHECKING, Any

from workbench.api import comm
from workbench.api.batches import Batches
from workbench.api.data import Data, _Choice
from workbench.api.template import ChatTemplate
from workbench.api.template import template as find_template
from workbench.checks.rows import check_row, summary
from workbench.errors import DataError
from workbench.rows.convert import convert
from workbench.templates.compiler import compiled
from workbench.tokens.encode import load_tokenizer, special_ids, token_bytes
from workbench.tokens.examples import Setting, tokenize
from workbench.tokens.pack import TrainRow, pack
from workbench.types import Example, Finding, TokenizedExample
from workbench.views import TOKENS_MIME
from workbench.views.columns import Vocabulary, row_view
from workbench.views.tokens import Heading, payload, plain_text, static_html
from workbench.views.window import ASKED_TOKENS, SAVED_TOKENS, labelled, window

if TYPE_CHECKING:
    from workbench.widgets.tokens import TokenViewer

WINDOW_TOKENS = 3_000
"""Tokens a saved output may hold beside the row shown first; other rows are asked from the kernel."""


@dataclass(frozen=True)
class Totals:
    """Sums over the usable rows; `truncated` counts rows, errors and warnings count findings."""

    rows: int = 0
    tokens: int = 0
    trained: int = 0
    truncated: int = 0
    errors: int = 0
    warnings: int = 0


class Encoded(Sequence["EncodedRow"]):
    """Tokens and labels of every row.

    `enc[3]` is data row 3, `enc.batches()` what the trainer gets, `enc.findings` what is wrong.

    Attributes:
        data: The rows.
        template: The chat template, None where the rows need none.
        setting: Tokenizer, template and policy: everything that decides tokens and labels.
        findings: Of the file and of every row.
        usable: Data rows that have tokens, in order.
    """

    def __init__(self, data: Data, template: ChatTemplate | None, setting: Setting, choice: _Choice, name: str) -> None:
        self.data, self.template, self.setting, self.choice, self.tokenizer_name = data, template, setting, choice, name
        self.findings: tuple[Finding, ...] = ()
        self.usable: list[int] = []
        self.totals = Totals()
        self._ids: list[array[int]] = []
        self._labels: list[array[int]] = []
        self._last: tuple[int, tuple[TokenizedExample | None, tuple[Finding, ...]]] | None = None

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return [self[i] for i in range(*row.indices(len(self)))]
        index = row + len(self) if row < 0 else row
        if not 0 <= index < len(self):
            raise IndexError(f"row {row} of {len(self)} rows")
        return EncodedRow(self, index)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """What views need to know of the tokenizer."""
        tokenizer = self.setting.tokenizer
        return Vocabulary(special_ids(tokenizer), lru_cache(maxsize=None)(lambda token: token_bytes(tokenizer, token)))

    @cached_property
    def train_rows(self) -> tuple[TrainRow, ...]:
        """What the trainer is given: rows with at least one trained token, packed where packing is on."""
        rows = [
            TrainRow(ids, labels, ((row, len(ids)),))
            for row, ids, labels in zip(self.usable, self._ids, self._labels, strict=True)
            if any(label >= 0 for label in labels)
        ]
        return tuple(pack(rows, self.choice.max_length or 0) if self.choice.packing == "bfd" else rows)

    def batches(self, recipe: Any = None, *, epoch: int = 0) -> Batches:
        """The batches of an epoch in training order.

        Args:
            recipe: A recipe whose batch size and seed are used; None takes the defaults.
            epoch: 0-based.
        """
        return Batches(self, recipe, epoch)

    def tokenized(self, row: int) -> tuple[TokenizedExample | None, tuple[Finding, ...]]:
        """One data row in full: tokens, labels, reasons, origins; None where it cannot be used."""
        if self._last is None or self._last[0] != row:  # a row is mostly asked for several times in a row
            made, found = self._tokenized(row)
            line = self.data.source.line_of(row)
            self._last = (row, (made, tuple(replace(item, line=line) for item in found)))
        return self._last[1]

    def _tokenized(self, row: int) -> tuple[TokenizedExample | None, tuple[Finding, ...]]:
        assert self.data.type is not None
        example, found = convert(self.data[row], row, self.data.type, self.data.columns)
        if example is None:
            return None, found
        made = next(iter(tokenize([example], self.setting)))
        if isinstance(made, Finding):
            return None, (*found, made)
        return made, (*found, *check_row(example, made, self.vocabulary.special_ids))

    # Answers to the page

    def row_at(self, position: int) -> dict[str, Any]:
        """View of the usable row at a position, of as many tokens as the page can show."""
        return self._shown(position, ASKED_TOKENS)

    def _shown(self, position: int, most: int, around: int | None = None) -> dict[str, Any]:
        labels = self._labels[position]
        shown = window([label >= 0 for label in labels], most, around)
        return labelled(self.view_of(self.usable[position], shown), shown, len(labels))

    def view_of(self, row: int, shown: range | None = None) -> dict[str, Any]:
        """View of a data row, or of some of its tokens."""
        made, found = self.tokenized(row)
        if made is None:
            raise DataError(
                f"Row {row} has no tokens.", remedy=" ".join(item.message for item in found), code="WB558", row=row
            )
        position = bisect_left(self.usable, row)
        kind = self.data.type or ""
        return row_view(made, self.vocabulary, position=position, type=kind, findings=found, shown=shown)

    def position_with(self, text: str, after: int) -> int | None:
        """Position of the next usable row whose text contains `text`, from the start again if need be."""
        count = len(self.usable)
        for step in range(1, count + 1):
            position = (after + step) % count
            made, _ = self.tokenized(self.usable[position])
            if made is not None and text in str.__str__(made.rendered.text):
                return position
        return None

    def position_of_problem(self, after: int) -> int | None:
        """Position of the next usable row with an error or a warning."""
        bad = {item.row for item in self.findings if item.row is not None and item.severity != "info"}
        positions = [i for i, row in enumerate(self.usable) if row in bad]
        return next((i for i in positions if i > after), positions[0] if positions else None)

    # Showing

    def code(self) -> str:
        """Python that gives these tokens again."""
        named = {"train_on": self.choice.train_on, "max_length": self.choice.max_length, "packing": self.choice.packing}
        extra = "".join(f", {name}={value!r}" for name, value in named.items() if value not in (None, "none"))
        extra += "".join(f", {name}={value!r}" for name, value in self.choice.variables.items())
        chat = f"wb.template({self.template.given!r}), " if self.template else ""
        return f"enc = data.encode({chat}tokenizer={self.tokenizer_name!r}{extra})"

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
        return self.bundle(0, "enc")

    def widget(self) -> TokenViewer:
        """The viewer as a widget, for hosts that show widgets but not our mime type (VS Code, Colab, marimo).

        Raises:
            DataError: WB558 where no row has tokens.
        """
        from workbench.widgets.tokens import TokenViewer

        if not self.usable:
            raise DataError(
                f"No row of {self.data.source.title} has tokens.", remedy="Look at enc.findings.", code="WB558"
            )
        heading = replace(self.heading("enc"), handle=comm.WIDGET)
        return TokenViewer(payload(self._window(0), heading), lambda asked: comm.answered(self, asked))

    def bundle(self, position: int, code: str, around: int | None = None) -> dict[str, Any]:
        """Mime bundle with the row at a position first and its neighbours beside it.

        Args:
            position: Which of the usable rows.
            code: Python that shows the same.
            around: Token that is shown of a row too long to show whole.
        """
        if not self.usable:
            return {"text/plain": repr(self), "text/html": _problems_html(self)}
        shown = payload(self._window(position, around), self.heading(code, position))
        return {TOKENS_MIME: shown, "text/html": static_html(shown), "text/plain": f"{self!r}\n{plain_text(shown)}"}

    def _window(self, position: int, around: int | None = None) -> list[dict[str, Any]]:
        views = [self._shown(position, SAVED_TOKENS, around)]
        room = WINDOW_TOKENS
        for beside in (position + 1, position - 1, position + 2):
            if 0 <= beside < len(self.usable) and len(self._ids[beside]) <= room:
                views.append(self._shown(beside, SAVED_TOKENS))
                room -= len(self._ids[beside])
        return sorted(views, key=lambda view: view["position"])

    def heading(self, code: str, first: int = 0) -> Heading:
        """What stands around the rows."""
        chat = f", template {self.template.info.name}" if self.template else ""
        name = self.tokenizer_name.rstrip("/").rsplit("/", 1)[-1]
        return Heading(
            title=self.data.source.title,
            subtitle=f"{chat.removeprefix(', ')}{', ' if chat else ''}tokenizer {name}",
            code=code,
            row_count=len(self.usable),
            totals=asdict(self.totals),
            template=self.setting.template,
            handle=comm.share(self),
            first=first,
        )


def _problems_html(enc: Encoded) -> str:
    items = "".join(
        f"<li><b>{escape(i.code)}</b> {escape(i.message)} {escape(i.remedy)}</li>" for i in enc.findings[:20]
    )
    return f"<div><b>{escape(enc.data.source.title)}</b>: no row can be used.<ul>{items}</ul></div>"


@dataclass(frozen=True)
class EncodedRow:
    """One row: its tokens, its text, what is wrong with it."""

    enc: Encoded
    row: int
    token: int | None = None

    def at(self, token: int) -> EncodedRow:
        """The same row, shown around a token: for rows too long to be shown whole.

        Args:
            token: 0-based token of the row; negative counts from its end.
        """
        length = len(self.input_ids)
        if not -length <= token < length:
            raise IndexError(f"token {token} of {length} tokens")
        return replace(self, token=token % length)

    @property
    def example(self) -> TokenizedExample:
        """Tokens, labels, reasons, origins.

        Raises:
            DataError: WB558 where the row cannot be used.
        """
        made, found = self.enc.tokenized(self.row)
        if made is None:
            why = " ".join(item.message for item in found)
            raise DataError(f"Row {self.row} has no tokens.", remedy=why, code="WB558", row=self.row)
        return made

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

    def code(self) -> str:
        """Python that gives this row."""
        return f"enc[{self.row}]" + ("" if self.token is None else f".at({self.token})")

    def to_dict(self) -> dict[str, Any]:
        """The JSON object that `workbench inspect --json` prints for the row."""
        from workbench.api.inspect_rows import row_object

        return row_object(self.enc, self.row)

    def __repr__(self) -> str:
        made, found = self.enc.tokenized(self.row)
        if made is None:
            return f"Row {self.row}: " + " ".join(f"{item.code}: {item.message}" for item in found)
        return f"Row {self.row}: {len(made.input_ids)} tokens, {made.trained} trained"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        position = bisect_left(self.enc.usable, self.row)
        if self.enc.usable[position : position + 1] != [self.row]:
            return {"text/plain": repr(self), "text/html": f"<pre>{escape(repr(self))}</pre>"}
        return self.enc.bundle(position, self.code(), self.token)


def encode_data(data: Data, template: ChatTemplate | str | None, tokenizer: Any, choice: _Choice) -> Encoded:
    """Encode all rows; see `Data.encode`."""
    source = "tiny-llama" if tokenizer is None else tokenizer
    loaded = load_tokenizer(source)
    name = source if isinstance(source, str) else getattr(loaded, "name_or_path", type(loaded).__name__)
    chat = _template_for(data, template, source, loaded)
    info = chat.with_tokenizer(loaded) if chat else None
    if info:
        compiled(info.source, info.name)  # a template that does not compile is one error, not one a row
    setting = Setting(loaded, info, choice.train_on, choice.max_length, choice.variables)
    enc = Encoded(data, chat, setting, choice, str(name))
    _fill(enc)
    return enc


def _template_for(data: Data, given: ChatTemplate | str | None, source: Any, tokenizer: Any) -> ChatTemplate | None:
    if isinstance(given, ChatTemplate):
        return given
    if given is not None:
        return find_template(given)
    return find_template(source if isinstance(source, str) else tokenizer) if data.is_conversation else None


def _fill(enc: Encoded) -> None:
    """Tokenize every row, keep ids and labels compactly, and collect the findings."""
    special = enc.vocabulary.special_ids
    found: list[Finding] = list(enc.data.findings)
    examples: list[Example] = []

    def usable() -> Iterator[Example]:
        for example, notes in enc.data.examples():
            found.extend(notes)
            if example is not None:
                examples.append(example)
                yield example

    total = dict.fromkeys(("tokens", "trained", "truncated"), 0)
    for made in tokenize(usable(), enc.setting):
        example = examples.pop(0)
        if isinstance(made, Finding):
            found.append(replace(made, line=enc.data.source.line_of(made.row or 0)))
            continue
        line = enc.data.source.line_of(made.row)
        found.extend(replace(item, line=line) for item in check_row(example, made, special))
        enc.usable.append(made.row)
        enc._ids.append(array("i", made.input_ids))
        enc._labels.append(array("i", made.labels))
        total["tokens"] += len(made.input_ids)
        total["trained"] += made.trained
        total["truncated"] += bool(made.truncated)
    levels = [item.severity for item in found]
    enc.findings = tuple(found)
    enc.totals = Totals(rows=len(enc.usable), **total, errors=levels.count("error"), warnings=levels.count("warning"))
