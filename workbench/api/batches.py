"""`enc.batches()`: what the trainer will get, batch by batch, shown like rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from workbench.api import comm
from workbench.tokens.diff import digest, first_difference
from workbench.tokens.pack import Plan, TrainRow, epoch_order, packed, padded
from workbench.types import Batch, Difference
from workbench.views import TOKENS_MIME
from workbench.views.columns import joined_view, padded_view
from workbench.views.compact import compact
from workbench.views.tokens import Heading, explained, payload, plain_text, static_html
from workbench.views.window import ASKED_TOKENS, SAVED_TOKENS, cut, labelled, window

if TYPE_CHECKING:
    from workbench.api.encoded import Encoded


def plan_for(enc: Encoded, recipe: Any = None) -> Plan:
    """Batch size and seed of a recipe, or the defaults."""
    from workbench.recipes import Recipe

    config: Recipe = getattr(recipe, "recipe", recipe) or Recipe()
    tokenizer = enc.setting.tokenizer
    pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    return Plan(config.per_device_train_batch_size, config.seed, enc.choice.packing == "bfd", pad_id or 0)


class Batches(Sequence["ShownBatch"]):
    """Batches of one epoch in training order."""

    def __init__(self, enc: Encoded, recipe: Any = None, epoch: int = 0) -> None:
        self.enc, self.epoch, self.plan = enc, epoch, plan_for(enc, recipe)
        self.given = "" if recipe is None else "recipe, "

    @cached_property
    def order(self) -> list[int]:
        """Indices into `enc.train_rows` in training order."""
        return epoch_order(len(self.enc.train_rows), self.plan.seed, self.epoch)

    def __len__(self) -> int:
        return -(-len(self.enc.train_rows) // self.plan.per_device_train_batch_size)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        step = index + len(self) if index < 0 else index
        if not 0 <= step < len(self):
            raise IndexError(f"batch {index} of {len(self)} batches")
        size = self.plan.per_device_train_batch_size
        chosen = [self.enc.train_rows[i] for i in self.order[step * size : (step + 1) * size]]
        make = packed(chosen, epoch=self.epoch, step=step) if self.plan.is_packed else None
        batch = make or padded(chosen, self.plan.pad_id, epoch=self.epoch, step=step)
        return ShownBatch(self, tuple(chosen), batch)

    def __repr__(self) -> str:
        kind = "packed" if self.plan.is_packed else "padded"
        return f"{len(self)} {kind} batches of {self.plan.per_device_train_batch_size} rows, epoch {self.epoch}"


@dataclass(frozen=True, eq=False)
class ShownBatch:
    """One batch as `forward()` receives it.

    Attributes:
        batch: The arrays.
        verdict: Result of a comparison with what `forward()` got, or None.
    """

    batches: Batches
    rows: tuple[TrainRow, ...]
    batch: Batch
    verdict: Mapping[str, Any] | None = None

    @property
    def arrays(self) -> Mapping[str, tuple[tuple[int, ...], ...]]:
        """`input_ids`, `labels`, and `attention_mask` or `position_ids`, each (B, T)."""
        return self.batch.arrays

    @property
    def sha256(self) -> str:
        """Digest of the arrays, as the trainer reports it for what it received."""
        return digest(self.arrays)

    def compare(self, received: Mapping[str, Any], step: int | None = None) -> ShownBatch:
        """The same batch with a badge: does it agree with what `forward()` received?"""
        found: Difference | None = first_difference(self.arrays, received)
        verdict = {
            "state": "differs" if found else "agrees",
            "step": step,
            "difference": asdict(found) if found else None,
        }
        return ShownBatch(self.batches, self.rows, self.batch, verdict)

    def questions(self) -> dict[str, comm.Question]:
        """What the page can ask."""
        return comm.row_questions(self)

    def row_at(self, position: int) -> dict[str, Any]:
        """View of one row of the batch, of the tokens around the first difference where it is too long for the page."""
        return explained(self._row_view(position, ASKED_TOKENS), self.batches.enc.setting.template)

    def _row_view(self, position: int, most: int) -> dict[str, Any]:
        whole = self._whole_view(position)
        found = (self.verdict or {}).get("difference")
        index = found["index"] if found else ()
        around = index[1] if len(index) > 1 and index[0] == position else None
        length = len(whole["tokens"]["id"])
        shown = window(whole["tokens"]["trained"], most, around)
        return labelled(cut(whole, shown), shown, length)

    def _whole_view(self, position: int) -> dict[str, Any]:
        enc, row = self.batches.enc, self.rows[position]
        parts = _documents(enc, row)
        if self.batches.plan.is_packed:
            return joined_view(parts, position=position, title=f"Pack {position}")
        tokenizer = enc.setting.tokenizer
        width = len(self.batch.arrays["input_ids"][0])
        pad_text = tokenizer.convert_ids_to_tokens(self.batches.plan.pad_id)
        return {**padded_view(parts[0], width, self.batches.plan.pad_id, pad_text), "position": position}

    def position_with(self, text: str, after: int) -> int | None:
        """Position of the next row with the text."""
        order = [(after + step) % len(self.rows) for step in range(1, len(self.rows) + 1)]
        return next((i for i in order if text in "".join(self._whole_view(i)["tokens"]["text"])), None)

    def position_of_problem(self, after: int) -> int | None:
        """Position of the next row with a finding."""
        order = [(after + step) % len(self.rows) for step in range(1, len(self.rows) + 1)]
        return next((i for i in order if self._whole_view(i)["findings"]), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain values: arrays and documents."""
        return {
            "epoch": self.batch.epoch,
            "step": self.batch.step,
            "arrays": {name: [list(row) for row in rows] for name, rows in self.arrays.items()},
            "documents": [[list(document) for document in row] for row in self.batch.documents],
            "sha256": self.sha256,
        }

    def __repr__(self) -> str:
        shape = f"{len(self.arrays['input_ids'])} × {len(self.arrays['input_ids'][0])}"
        return f"Batch {self.batch.step} of epoch {self.batch.epoch}: {shape} tokens, {len(self.rows)} rows"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        enc = self.batches.enc
        count = min(2, len(self.rows))
        views = [self._row_view(i, SAVED_TOKENS // count) for i in range(count)]
        labels = [label for row in self.arrays["labels"] for label in row]
        totals = {
            "rows": len(self.rows),
            "tokens": len(labels),
            "trained": sum(label >= 0 for label in labels),
            "truncated": 0,
            "errors": 0,
            "warnings": 0,
        }
        heading = Heading(
            title=f"Batch {self.batch.step} of epoch {self.batch.epoch}",
            subtitle=f"{'packed' if self.batches.plan.is_packed else 'padded'}, {enc.data.source.title}",
            code=f"enc.batches({self.batches.given}epoch={self.batch.epoch})[{self.batch.step}]",
            row_count=len(self.rows),
            totals=totals,
            template=enc.setting.template,
            handle=comm.share(self),
            badge=self.verdict or {"state": "unchecked", "step": None, "difference": None},
            kind="batch",
        )
        shown = payload(views, heading)
        return {
            TOKENS_MIME: compact(shown),
            "text/html": static_html(shown),
            "text/plain": f"{self!r}\n{plain_text(shown)}",
        }


def _documents(enc: Encoded, row: TrainRow) -> list[dict[str, Any]]:
    """Views of the documents of a training row; of a data row with several sequences, the one with these tokens."""
    out: list[dict[str, Any]] = []
    at = 0
    for data_row, length in row.documents:
        ids = tuple(row.input_ids[at : at + length])
        made, _ = enc.tokenized(data_row)
        part = next((i for i, item in enumerate(made) if item.input_ids[:length] == ids), 0)
        out.append(cut(enc.view_of(data_row, part), range(length)))
        at += length
    return out
