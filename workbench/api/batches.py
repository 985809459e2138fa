"""`enc.batches()`: what the trainer will get, batch by batch, as lanes; beside it what `forward()` received."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from workbench.api import comm
from workbench.api.batch_source import BatchSource, shared_answer
from workbench.api.batch_tokens import BatchTokens, document_row
from workbench.api.html_export import Showable
from workbench.checks.batches import Compared
from workbench.tokens.diff import digest, first_difference
from workbench.tokens.lanes import Document, Lane, lanes
from workbench.tokens.pack import TrainRow, epoch_order, packed, padded
from workbench.types import Batch
from workbench.views import BATCH_MIME
from workbench.views.batch import Heading, Losses, payload, plain_text, static_html, wire
from workbench.views.batch_verdict import UNCHECKED, Place, agreed, differing_tokens, verdict
from workbench.views.window import ASKED_TOKENS, SAVED_TOKENS

if TYPE_CHECKING:
    from workbench.widgets.batch import BatchCard


class Batches(Sequence["ShownBatch"]):
    """Batches of one epoch in training order."""

    def __init__(self, source: BatchSource, epoch: int = 0) -> None:
        self.source, self.epoch, self.plan = source, epoch, source.plan

    @cached_property
    def order(self) -> list[int]:
        """Indices into the training rows in training order."""
        return epoch_order(len(self.source.train_rows), self.plan.seed, self.epoch)

    def __len__(self) -> int:
        return -(-len(self.source.train_rows) // self.plan.per_device_train_batch_size)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        step = index + len(self) if index < 0 else index
        if not 0 <= step < len(self):
            raise IndexError(f"batch {index} of {len(self)} batches")
        size = self.plan.per_device_train_batch_size
        chosen = [self.source.train_rows[i] for i in self.order[step * size : (step + 1) * size]]
        make = packed(chosen, epoch=self.epoch, step=step) if self.plan.is_packed else None
        batch = make or padded(chosen, self.plan.pad_id, epoch=self.epoch, step=step)
        return ShownBatch(self, tuple(chosen), batch)

    def __repr__(self) -> str:
        kind = "packed" if self.plan.is_packed else "padded"
        return f"{len(self)} {kind} batches of {self.plan.per_device_train_batch_size} rows, epoch {self.epoch}"


@dataclass(frozen=True)
class Capture:
    """What `forward()` received.

    Attributes:
        arrays: Its arrays, each (B, T).
        step: 1-based optimiser step; None where no run is known.
        micro: Which micro batch of the step.
        losses: Loss in nats by token, of the shape of input_ids, on the weights of the step; None where not taken.
        code: Python that shows it.
    """

    arrays: Mapping[str, Any]
    step: int | None = None
    micro: int = 0
    losses: Losses | None = None
    code: str = ""


@dataclass(frozen=True, eq=False)
class ShownBatch(Showable):
    """One batch as `forward()` receives it.

    Attributes:
        batch: The arrays.
        capture: What `forward()` got, where the batch was compared with it.
    """

    batches: Batches
    rows: tuple[TrainRow, ...]
    batch: Batch
    capture: Capture | None = None

    @property
    def arrays(self) -> Mapping[str, tuple[tuple[int, ...], ...]]:
        """`input_ids`, `labels`, and `attention_mask` or `position_ids`, each (B, T)."""
        return self.batch.arrays

    @property
    def sha256(self) -> str:
        """Digest of the arrays, as the trainer reports it for what it received."""
        return digest(self.arrays)

    @cached_property
    def lanes(self) -> list[Lane]:
        """Packed rows, or the rows of a padded batch, with the documents in them."""
        return lanes(self.batch, self.rows)

    @property
    def losses(self) -> Losses | None:
        """Loss in nats by token, where the run was asked for it; None where what came has another shape."""
        found = self.capture.losses if self.capture else None
        shape = [len(row) for row in self.arrays["input_ids"]]
        return found if found is not None and [len(row) for row in found] == shape else None

    @property
    def tokens(self) -> BatchTokens:
        """The batch in the token viewer, one packed or padded row at a time."""
        return BatchTokens(self)

    def compare(self, received: Mapping[str, Any] | Capture, step: int | None = None) -> ShownBatch:
        """The same batch with a verdict: does it agree with what `forward()` received?

        Args:
            received: Arrays (B, T), as `run.captured(step)` gives them.
            step: 1-based optimiser step, for the words.
        """
        capture = received if isinstance(received, Capture) else Capture(received, step)
        return replace(self, capture=capture)

    @cached_property
    def verdict(self) -> Mapping[str, Any]:
        """Whether the batch agrees with what came; `state` is `unchecked`, `agrees` or `differs` (docs/wire.md)."""
        capture = self.capture
        if capture is None:
            return UNCHECKED
        place = Place(capture.step, capture.micro)
        found = first_difference(self.arrays, capture.arrays)
        if found is None:
            return agreed(self.arrays, place)
        source = self.batches.source
        order = (source.train_rows, source.plan.seed)
        compared = Compared(self.batch, self.rows, capture.arrays, found, order)
        return verdict(compared, self.lanes, place, source.spell)

    # Answers to the page

    def questions(self) -> dict[str, comm.Question]:
        """What the page can ask: the tokens of a document, the view of its data row."""
        return {
            "document": lambda asked: self.opened(int(asked["lane"]), int(asked["document"]), ASKED_TOKENS),
            "source": lambda asked: {"payload": self.batches.source.source_payload(int(asked["row"]))},
        }

    def opened(self, lane: int, document: int, most: int) -> dict[str, Any]:
        """Tokens of a document as the model gets them, with the places where what came differs.

        Args:
            lane: Which lane.
            document: Which of its documents.
            most: Tokens that are shown of a long one.
        """
        found = self._document(lane, document)
        received = self.capture.arrays if self.capture else None
        differences = differing_tokens(found, self.arrays, received)
        around = differences[0]["token"] if differences else None
        row = self.batches.source.explain(document_row(self, lane, found, most, around))
        return {"lane": lane, "document": document, "row": row, "differences": differences}

    def _document(self, lane: int, document: int) -> Document:
        return self.lanes[lane].documents[document]

    # Showing

    def code(self) -> str:
        """Python that gives this batch."""
        made = f"{self.batches.source.facts.code}epoch={self.batch.epoch})[{self.batch.step}]"
        return made if self.capture is None or not self.capture.code else self.capture.code

    def to_dict(self) -> dict[str, Any]:
        """Plain values: arrays and documents."""
        return {
            "epoch": self.batch.epoch,
            "step": self.batch.step,
            "arrays": {name: [list(row) for row in rows] for name, rows in self.arrays.items()},
            "documents": [[list(document) for document in row] for row in self.batch.documents],
            "sha256": self.sha256,
            "verdict": {name: value for name, value in self.verdict.items() if name != "columns"},
        }

    def __repr__(self) -> str:
        shape = f"{len(self.arrays['input_ids'])} × {len(self.arrays['input_ids'][0])}"
        return f"Batch {self.batch.step} of epoch {self.batch.epoch}: {shape} tokens, {len(self.rows)} rows"

    def widget(self) -> BatchCard:
        """The card as a widget, for hosts that show widgets but not our mime type (VS Code, Colab, marimo)."""
        from workbench.widgets.batch import BatchCard

        return BatchCard(wire(self._payload(comm.WIDGET)), lambda asked: shared_answer(asked, self))

    def _payload(self, handle: str | None) -> dict[str, Any]:
        heading = Heading(
            title=f"Batch {self.batch.step}" + (f" of epoch {self.batch.epoch}" if self.batch.epoch else ""),
            subtitle=self._subtitle(),
            code=self.code(),
            width=self._width(),
            handle=handle,
        )
        shown = payload(self.lanes, self.arrays, heading, self.verdict, self.losses)
        shown["rows"] = self.batches.source.facts.rows
        where = self.verdict["where"] or {"lane": 0, "document": 0}
        shown["opened"] = self.opened(where["lane"], where["document"], SAVED_TOKENS)
        return shown

    def _width(self) -> int:
        if not self.batches.plan.is_packed:
            return len(self.arrays["input_ids"][0])
        return self.batches.source.facts.width or max(lane.tokens for lane in self.lanes)

    def _subtitle(self) -> str:
        rows = len(self.lanes)
        title = self.batches.source.facts.title
        if not self.batches.plan.is_packed:
            return f"{rows} padded rows of {self._width():,}, {title}"
        documents = sum(len(lane.documents) for lane in self.lanes)
        return f"{rows} packed rows of {self._width():,}, {documents} documents, best fit decreasing, {title}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        shown = self._payload(comm.share(self))
        return {BATCH_MIME: wire(shown), "text/html": static_html(shown), "text/plain": plain_text(shown)}
