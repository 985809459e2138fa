"""`data.pick()`: choose type, columns, template and length by hand; every choice is a line of Python."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from html import escape
from itertools import groupby
from typing import Any

from workbench.api.data import Data
from workbench.api.data import data as open_data
from workbench.api.encoded import Encoded
from workbench.api.template import ChatTemplate, templates
from workbench.api.template import template as find_template
from workbench.errors import WorkbenchError
from workbench.rows.formats import FORMATS
from workbench.tokens.encode import load_tokenizer
from workbench.tokens.examples import Setting, tokenize
from workbench.types import IGNORE, Conversation, Example, Finding, FormatMatch, Segments, Text, TokenizedExample

PREVIEW_ROWS = 5
SAMPLED_ROWS = 500
"""Rows whose length is measured; the histogram says so."""
BINS = 24
CELL_CHARACTERS = 120
PIECE_CHARACTERS = 4_000
"""Characters of a stretch of the first row that are shown; a million of them would freeze the page."""
SHOWN_PIECES = 200
SAMPLED_CHARACTERS = 1_000_000
"""Where the sampled rows reach this many characters, sampling ends: looking at data must not take minutes."""


class PickedData:
    """The choices made so far.

    Attributes:
        data: The rows as they are read now.
        template: The chat template, None where rows need none.
        tokenizer: Name or path.
        max_length: Tokens a row may have, None for no limit.
    """

    def __init__(self, rows: Data, tokenizer: str = "tiny-llama", template: str | None = None) -> None:
        self.data, self.tokenizer, self.max_length = rows, tokenizer, None
        self.template: str | None = template or (tokenizer if rows.type and rows.is_conversation else None)
        self._widget: Any = None

    def choose(self, kind: str, value: Any) -> dict[str, Any]:
        """Apply one change of the picker and return what to show.

        Args:
            kind: `type`, `role`, `max_length` or `template`.
            value: What the page sent for it.

        Raises:
            WorkbenchError: For a choice that cannot be; nothing changes then.
        """
        if kind == "type":
            self._read_as(str(value), None)
        elif kind == "role":
            self._set_role(str(value["column"]), value["role"])
        elif kind == "max_length":
            self.max_length = max(1, int(value))
        elif kind == "template":
            find_template(str(value))
            self.template = str(value)
        return self.state()

    def _read_as(self, type: str, columns: Mapping[str, str] | None) -> None:
        """Open the rows again as another type; the opened source is used again."""
        self.data = open_data(self.data.source.path or self.data.source.rows, type=type, columns=columns)
        if self.data.is_conversation and self.template is None:
            self.template = self.tokenizer

    def _set_role(self, column: str, role: str | None) -> None:
        columns = {name: where for name, where in self.data.columns.items() if where != column and name != role}
        if role:
            columns[role] = column
        self._read_as(self.data.type or "messages", columns)

    def encode(self, **more: Any) -> Encoded:
        """Encode with the choices made."""
        return self.data.encode(self.template, tokenizer=self.tokenizer, max_length=self.max_length, **more)

    def code(self) -> str:
        """The lines of Python that do the same."""
        length = f", max_length={self.max_length}" if self.max_length else ""
        chat = f"wb.template({self.template!r}), " if self.template else ""
        return f"{self.data.code()}\nenc = data.encode({chat}tokenizer={self.tokenizer!r}{length})"

    def state(self) -> dict[str, Any]:
        """What the picker shows (docs/wire.md section 4)."""
        rows = self.data.source.rows
        shown = [_named(rows[i]) for i in range(min(PREVIEW_ROWS, len(rows)))]
        names = list(dict.fromkeys(name for row in shown for name in row))
        entry = FORMATS.get(self.data.type or "")
        lengths, rendered = self._measured()
        return {
            "source": {
                "title": self.data.source.title,
                "rows": len(rows),
                "columns": len(names),
                "bytes": self.data.source.bytes,
            },
            "type": self.data.type,
            "types": [_type_view(match) for match in self.data.matches[:3]] + _other_types(self.data),
            "chosen_by": self.data.chosen_by,
            "columns": [_column_view(name, shown, self.data) for name in names],
            "roles": [column.name for column in entry.columns] if entry else [],
            "preview": [[_cell(row.get(name)) for name in names] for row in shown],
            "row_numbers": list(range(len(shown))),
            "counter_examples": [asdict(item) for item in self._counter_examples()],
            "lengths": _histogram(lengths),
            "max_length": self.max_length,
            "cut": _cut(lengths, self.max_length),
            "template": {"name": self.template, "choices": self._choices()},
            "rendered": {"pieces": rendered} if rendered else None,
            "code": self.code(),
        }

    def _choices(self) -> list[str]:
        own = [name for name in (self.template, self.tokenizer) if name]
        return list(dict.fromkeys([*own, *templates()])) if self.template else []

    def _counter_examples(self) -> list[Finding]:
        """Rows that do not fit, one finding each, at most three."""
        found: dict[int | None, Finding] = {}
        for item in self.data.findings:
            found.setdefault(item.row, item)
        if self.data.type:
            for _, notes in self.data.examples(limit=SAMPLED_ROWS):
                for item in notes:
                    if item.severity == "error":
                        found.setdefault(item.row, item)
        return list(found.values())[:3]

    def _measured(self) -> tuple[list[int], list[dict[str, Any]]]:
        """Token lengths of the sampled rows, and the first row in pieces, trained or not."""
        made = [item for item in self._sample() if isinstance(item, TokenizedExample)]
        return [len(item.input_ids) for item in made], _pieces(made[0]) if made else []

    def _sample(self) -> list[TokenizedExample | Finding]:
        if not self.data.type:
            return []
        examples = list(_within(SAMPLED_CHARACTERS, self.data.examples(limit=SAMPLED_ROWS)))
        tokenizer = load_tokenizer(self.tokenizer)
        chat: ChatTemplate | None = find_template(self.template) if self.template else None
        policy = "completion" if self.data.type == "prompt_completion" else "assistant"
        return list(tokenize(examples, Setting(tokenizer, chat.with_tokenizer(tokenizer) if chat else None, policy)))

    @property
    def widget(self) -> Any:
        """The anywidget."""
        if self._widget is None:
            from workbench.widgets.picker import Picker

            self._widget = Picker(self.state(), self.choose)
        return self._widget

    def __repr__(self) -> str:
        return self.code()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        made = self.widget._repr_mimebundle_(include=include, exclude=exclude)
        bundle, metadata = made if isinstance(made, tuple) else (made, {})
        return {**(bundle or {}), "text/html": static_html(self.widget.state), "text/plain": repr(self)}, metadata


def _within(most: int, converted: Iterable[tuple[Example | None, Any]]) -> Iterator[Example]:
    """Usable rows until they hold this many characters; one at least."""
    characters = 0
    for example, _ in converted:
        if example is None:
            continue
        yield example
        characters += _characters(example)
        if characters >= most:
            return


def _characters(example: Example) -> int:
    """Characters of text in the row, roughly."""
    if isinstance(example, Conversation):
        return sum(len(value) for message in example.messages for value in message.values() if isinstance(value, str))
    if isinstance(example, Text):
        return len(example.text)
    if isinstance(example, Segments):
        return sum(len(text) for text, _ in example.segments)
    return len(example.prompt) + len(example.completion)


def picker(rows: Data, tokenizer: str = "tiny-llama") -> PickedData:
    """A picker for the rows."""
    return PickedData(rows, tokenizer)


def mimebundle(rows: Data) -> Any:
    """What a cell that ends in `data` shows: the picker, with a static table and text for other viewers."""
    try:
        bundle, metadata = PickedData(rows)._repr_mimebundle_()
    except WorkbenchError as error:
        return {"text/plain": f"{rows!r}\n{error}", "text/html": f"<pre>{escape(f'{rows!r}')}</pre>"}
    return {**bundle, "text/plain": repr(rows)}, metadata


def _type_view(match: FormatMatch) -> dict[str, Any]:
    return {
        "name": match.type,
        "label": FORMATS[match.type].label,
        "rows": match.rows,
        "total": match.total,
        "evidence": list(match.evidence),
        "missing": list(match.missing),
    }


def _other_types(rows: Data) -> list[dict[str, Any]]:
    """Supported types that were not candidates, so that they can still be chosen."""
    taken = {match.type for match in rows.matches[:3]}
    blank: dict[str, Any] = {"rows": 0, "total": 0, "evidence": [], "missing": []}
    return [
        {"name": entry.name, "label": entry.label, **blank} for entry in FORMATS.values() if entry.name not in taken
    ]


def _named(row: object) -> Mapping[str, Any]:
    """A row with its column names as text; rows made in Python may have others."""
    return {str(name): value for name, value in row.items()} if isinstance(row, Mapping) else {}


def _column_view(name: str, shown: Sequence[Mapping[str, Any]], rows: Data) -> dict[str, Any]:
    kinds = list(dict.fromkeys(_kind(row.get(name)) for row in shown))
    role = next((ours for ours, theirs in rows.columns.items() if theirs == name), None)
    return {"name": name, "kind": " or ".join(kinds[:3]), "role": role}


def _kind(value: object) -> str:
    """What a cell holds, in a word."""
    if value is None or value == "":
        return "empty"
    names = {str: "text", bool: "true or false", int: "number", float: "number", list: "list", dict: "object"}
    return names.get(type(value), type(value).__name__)


def _cell(value: object) -> str | None:
    text = value if isinstance(value, str) or value is None else repr(value)
    return text if text is None or len(text) <= CELL_CHARACTERS else text[: CELL_CHARACTERS - 1] + "…"


def _histogram(lengths: list[int]) -> dict[str, list[int]] | None:
    if not lengths:
        return None
    top = max(max(lengths), 1)
    width = -(-top // BINS)
    counts = [0] * BINS
    for length in lengths:
        counts[min((length - 1) // width, BINS - 1) if length else 0] += 1
    return {"edges": [i * width for i in range(BINS + 1)], "counts": counts}


def _cut(lengths: list[int], limit: int | None) -> dict[str, Any]:
    over = sum(length > limit for length in lengths) if limit else 0
    return {"rows": over, "share": over / len(lengths) if lengths else 0.0}


def _pieces(made: TokenizedExample) -> list[dict[str, Any]]:
    """Text of the row, cut where training begins and ends; of a long stretch only its beginning and end."""
    text = str.__str__(made.rendered.text)
    pieces: list[dict[str, Any]] = []
    start = reached = 0
    for trained, group in groupby(zip(made.labels, made.offsets, strict=True), lambda item: item[0] != IGNORE):
        reached = max(reached, max(end for _, (_, end) in group))
        if reached > start:
            pieces.append({"text": _shortened(text[start:reached]), "trained": trained})
        start = reached
    return pieces if len(pieces) <= SHOWN_PIECES else [*pieces[:SHOWN_PIECES], {"text": " …", "trained": False}]


def _shortened(text: str) -> str:
    if len(text) <= PIECE_CHARACTERS:
        return text
    half = PIECE_CHARACTERS // 2
    return f"{text[:half]} [… {len(text) - 2 * half:,} characters not shown …] {text[-half:]}"


def static_html(state: Mapping[str, Any]) -> str:
    """The picker without script: type, evidence, first rows, code."""
    first = state["types"][0] if state["types"] else None
    why = "".join(f"<li>{escape(sentence)}</li>" for sentence in first["evidence"]) if first else ""
    head = "".join(
        f"<th>{escape(column['name'])}{' → <b>' + escape(column['role']) + '</b>' if column['role'] else ''}</th>"
        for column in state["columns"]
    )
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell) if cell is not None else '<i>null</i>'}</td>" for cell in row) + "</tr>"
        for row in state["preview"]
    )
    source = state["source"]
    return (
        f'<div><div style="font:13px sans-serif"><b>{escape(source["title"])}</b> {source["rows"]:,} rows, type '
        f'<b>{escape(state["type"] or "unknown")}</b></div><ul style="font:12px sans-serif">{why}</ul>'
        f'<table style="font-size:12px"><tr>{head}</tr>{body}</table>'
        f'<pre style="font-size:12px">{escape(state["code"])}</pre></div>'
    )
