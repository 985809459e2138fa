"""Tokens of a batch: one document of it, or a whole packed or padded row in the token viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.api import comm
from workbench.api.html_export import Showable
from workbench.tokens.lanes import Document
from workbench.types import IGNORE, Reason
from workbench.views import TOKENS_MIME
from workbench.views.columns import joined_view, padded_view
from workbench.views.compact import compact
from workbench.views.tokens import Heading, payload, plain_text, static_html
from workbench.views.window import ASKED_TOKENS, SAVED_TOKENS, cut, labelled, window

if TYPE_CHECKING:
    from workbench.api.batches import ShownBatch


def document_row(
    shown: ShownBatch, lane: int, document: Document, most: int, around: int | None = None
) -> dict[str, Any]:
    """A document as the model gets it: its first label masked where the collator masks it, with losses if known.

    Args:
        shown: The batch.
        lane: Which lane it is in.
        document: Which document.
        most: Tokens that are shown.
        around: Token that must be among them.
    """
    view = {**_document_view(shown, lane, document), "title": f"Data row {document.row}"}
    if "position_ids" in shown.arrays:
        view = _first_masked(view)
    length = document.length
    measures = {name: list(values[:length]) for name, values in view.get("measures", {}).items()}
    if shown.losses is not None:
        measures["loss"] = list(shown.losses[document.line][document.at : document.at + length])
    chosen = window(view["tokens"]["trained"], most, around)
    made = labelled(cut(view, chosen), chosen, length)
    if measures:
        made["measures"] = {name: values[chosen.start : chosen.stop] for name, values in measures.items()}
    return made


def _document_view(shown: ShownBatch, lane: int, document: Document) -> dict[str, Any]:
    row = shown.rows[lane]
    kept = slice(document.start, document.start + document.length)
    return shown.batches.source.document_view(document.row, row.input_ids[kept], row.labels[kept])


def _first_masked(view: dict[str, Any]) -> dict[str, Any]:
    """The view with its first token masked, as every document of a packed batch begins."""
    tokens = {name: list(values) for name, values in view["tokens"].items()}
    tables = {name: list(values) for name, values in view["tables"].items()}
    if str(Reason.DOCUMENT_START) not in tables["reason"]:
        tables["reason"].append(str(Reason.DOCUMENT_START))
    segments = [dict(segment) for segment in view["segments"]]
    segments[0]["trained"] -= tokens["trained"][0]
    tokens["trained"][0], tokens["reason"][0] = 0, tables["reason"].index(str(Reason.DOCUMENT_START))
    return {**view, "tokens": tokens, "tables": tables, "segments": segments}


class BatchTokens(Showable):
    """A batch in the token viewer: its rows one after the other, documents parted, padding shown.

    Args:
        shown: The batch.
    """

    def __init__(self, shown: ShownBatch) -> None:
        self.shown = shown

    def questions(self) -> dict[str, comm.Question]:
        """What the page can ask."""
        source = self.shown.batches.source
        return {
            **comm.row_questions(self),
            "source": lambda asked: {"payload": source.source_payload(int(asked["row"]))},
        }

    def row_at(self, position: int) -> dict[str, Any]:
        """View of one row of the batch, of the tokens around the first difference where it is too long for the page."""
        return self.shown.batches.source.explain(self.row_view(position, ASKED_TOKENS))

    def position_with(self, text: str, after: int) -> int | None:
        """Position of the next row with the text."""
        return next((i for i in self._from(after) if text in "".join(self._whole_view(i)["tokens"]["text"])), None)

    def position_of_problem(self, after: int) -> int | None:
        """Position of the next row with a finding."""
        return next((i for i in self._from(after) if self._whole_view(i)["findings"]), None)

    def _from(self, after: int) -> list[int]:
        count = len(self.shown.rows)
        return [(after + step) % count for step in range(1, count + 1)]

    def row_view(self, position: int, most: int) -> dict[str, Any]:
        """View of a row, of at most so many of its tokens."""
        whole = self._whole_view(position)
        length = len(whole["tokens"]["id"])
        chosen = window(whole["tokens"]["trained"], most, self._around(position))
        return labelled(cut(whole, chosen), chosen, length)

    def _around(self, position: int) -> int | None:
        """Token of the row at which what came first differs; None where it is another row."""
        found = self.shown.verdict["difference"]
        index = found["index"] if found else ()
        if len(index) < 2:
            return None
        first = self.shown.lanes[position].documents[0]
        column = index[1] - first.at
        return column if first.line == index[0] and 0 <= column < self._width(position) else None

    def _width(self, position: int) -> int:
        lane = self.shown.lanes[position]
        return lane.tokens + lane.padding

    def _whole_view(self, position: int) -> dict[str, Any]:
        shown = self.shown
        parts = [_document_view(shown, position, document) for document in shown.lanes[position].documents]
        if "position_ids" in shown.arrays:
            return joined_view(parts, position=position, title=f"Packed row {position}")
        source = shown.batches.source
        pad_id = source.plan.pad_id
        return {**padded_view(parts[0], self._width(position), pad_id, source.spell(pad_id)), "position": position}

    def __repr__(self) -> str:
        return repr(self.shown)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        shown = self.shown
        count = min(2, len(shown.rows))
        views = [self.row_view(i, SAVED_TOKENS // count) for i in range(count)]
        labels = [label for row in shown.arrays["labels"] for label in row]
        facts = shown.batches.source.facts
        totals = {
            "rows": len(shown.rows),
            "tokens": len(labels),
            "trained": sum(label != IGNORE for label in labels),
            "truncated": 0,
            "errors": 0,
            "warnings": 0,
        }
        heading = Heading(
            title=f"Batch {shown.batch.step} of epoch {shown.batch.epoch}",
            subtitle=f"{'packed' if shown.batches.plan.is_packed else 'padded'}, {facts.title}",
            code=f"{shown.code()}.tokens",
            row_count=len(shown.rows),
            totals=totals,
            handle=comm.share(self),
            badge={name: shown.verdict[name] for name in ("state", "step", "difference")},
            kind="batch",
        )
        made = payload(views, heading)
        return {
            TOKENS_MIME: compact(made),
            "text/html": static_html(made),
            "text/plain": f"{self!r}\n{plain_text(made)}",
        }
