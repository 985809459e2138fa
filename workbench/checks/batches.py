"""Why the batch that `forward()` received is another than the preview's: WB20x, one function a cause.

    cause_of(Compared(planned, received, …)) -> Cause(Finding("WB201", …), fix="SFTConfig(padding_free=True, …)")

Values in, a Finding out; nothing here knows a trainer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from workbench.tokens.lanes import Grid, differing_columns
from workbench.tokens.pack import TrainRow
from workbench.types import IGNORE, Batch, Difference, Finding


class Cause(NamedTuple):
    """What made a difference.

    Attributes:
        finding: What is wrong, and what to do.
        effect: What it does to the training.
        fix: Python that puts it right; empty where there is no one line for it.
    """

    finding: Finding
    effect: str = ""
    fix: str = ""


class Compared:
    """A planned batch beside the received one.

    Args:
        batch: The preview's batch.
        rows: The training rows in it.
        received: Arrays that `forward()` got.
        found: Their first difference.
        order: The whole training dataset, to look for rows that came in another order, and the preview's seed.
    """

    def __init__(
        self,
        batch: Batch,
        rows: Sequence[TrainRow],
        received: Mapping[str, Grid],
        found: Difference,
        order: tuple[Sequence[TrainRow], int],
    ) -> None:
        self.batch, self.rows, self.received, self.found = batch, rows, received, found
        self.training_rows, self.seed = order
        self.planned: Mapping[str, Grid] = batch.arrays

    @property
    def is_packed(self) -> bool:
        """Whether the preview is padding-free."""
        return "position_ids" in self.planned

    def equal(self, key: str) -> bool:
        """Whether an array is there on both sides with the same values."""
        if key not in self.planned or key not in self.received:
            return False
        mine, theirs = self.planned[key], self.received[key]
        return len(mine) == len(theirs) and all(list(a) == list(b) for a, b in zip(mine, theirs, strict=True))

    @cached_property
    def received_rows(self) -> list[tuple[int, ...]]:
        """Rows that came, without padding; of a padding-free line its documents, as far as positions part them."""
        ids = self.received.get("input_ids", ())
        mask, positions = self.received.get("attention_mask"), self.received.get("position_ids")
        if mask is not None:
            return [
                tuple(token for token, kept in zip(line, keep, strict=False) if kept)
                for line, keep in zip(ids, mask, strict=False)
            ]
        out: list[tuple[int, ...]] = []
        for index, line in enumerate(ids):
            line_positions = positions[index] if positions is not None else ()
            starts = [0, *(i for i, position in enumerate(line_positions) if position == 0 and i)]
            out += [tuple(line[a:b]) for a, b in zip(starts, [*starts[1:], len(line)], strict=True)]
        return out

    @cached_property
    def planned_documents(self) -> list[tuple[int, ...]]:
        """Documents of the preview."""
        out: list[tuple[int, ...]] = []
        for line, documents in zip(self.planned["input_ids"], self.batch.documents, strict=True):
            out += [tuple(line[start:end]) for _, start, end in documents]
        return out


def cause_of(compared: Compared) -> Cause:
    """The cause of a difference; WB200 where it is none that is known."""
    for look in CAUSES:
        cause = look(compared)
        if cause is not None:
            return cause
    return _error("WB200", "The model received another batch, for a reason that is not recognised.", "", UNKNOWN)


UNKNOWN = "Compare the arrays by hand: run.captured(step) holds what came, enc.batches()[i].arrays what was planned."


def _error(code: str, message: str, effect: str, remedy: str, fix: str = "") -> Cause:
    return Cause(Finding(code, "error", message, remedy=remedy), effect, fix)


def _mask_in_packed(c: Compared) -> Cause | None:
    """Restarting positions are there, but a mask beside them makes transformers ignore them."""
    if not c.is_packed or "attention_mask" not in c.received or not c.equal("position_ids"):
        return None
    return _error(
        "WB207",
        "A packed batch came with an attention_mask.",
        "transformers infers the borders of documents from position_ids only where there is no mask, so documents "
        "read each other.",
        "Take attention_mask out of the collator's batch; TRL's own makes none under padding_free=True.",
    )


def _no_restarts(c: Compared) -> Cause | None:
    """The tokens are right, the positions run on over the documents."""
    if not c.is_packed or not _same_tokens_in_order(c):
        return None
    positions = c.received.get("position_ids")
    if positions is not None and any(list(line) != list(range(len(line))) for line in positions):
        return None
    if len(c.planned_documents) < 2:
        return None
    return _error(
        "WB201",
        "Positions do not restart at the second document.",
        "Without restarts, documents read each other, and the loss is that of another model.",
        "Cause: padding_free=False in the trainer's arguments, with rows that are packed already.",
        "SFTConfig(padding_free=True, max_length=None, packing=False)",
    )


def _restarts_elsewhere(c: Compared) -> Cause | None:
    """Positions restart at some documents and not at others."""
    if not c.is_packed or not c.equal("input_ids") or "position_ids" not in c.received:
        return None
    planned, came = (
        {i for i, position in enumerate(arrays["position_ids"][0]) if position == 0}
        for arrays in (c.planned, c.received)
    )
    if not came or not came < planned:
        return None
    return _error(
        "WB210",
        f"Positions restart at {len(came):,} of {len(planned):,} documents.",
        "Documents behind a missing restart read the one before them, and the loss is that of another model.",
        "Give packed rows their seq_lengths column: without it TRL's collator takes a packed row for one document.",
    )


def _same_tokens_in_order(c: Compared) -> bool:
    """Whether all tokens came, in order, however they are laid out in rows."""
    mine = [token for line in c.planned["input_ids"] for token in line]
    return [token for row in c.received_rows for token in row] == mine


def _first_label_trained(c: Compared) -> Cause | None:
    """The first label of a document is its own token instead of -100."""
    where = _label_columns(c)
    if where is None or not c.is_packed:
        return None
    starts = {start for _, start, _ in c.batch.documents[0]}
    if not all(column in starts for column in where[0]):
        return None
    return _error(
        "WB202",
        "First labels of documents are trained.",
        "Each asks the model to guess the beginning of a document from the end of the one before it.",
        "Set the first label of every document to -100, as TRL's collator does under padding_free=True.",
        "SFTConfig(padding_free=True, max_length=None, packing=False)",
    )


def _shifted_labels(c: Compared) -> Cause | None:
    """Labels that were moved by one before they were handed over."""
    if _label_columns(c) is None:
        return None
    mine, theirs = c.planned["labels"], c.received["labels"]
    if not all(list(b[:-1]) == list(a[1:]) for a, b in zip(mine, theirs, strict=True)):
        return None
    return _error(
        "WB203",
        "Labels are shifted by one already.",
        "The model shifts them once more, so every token is trained to be the one after the next.",
        "Give labels that stand at their own token; the loss of transformers and of TRL moves them itself.",
    )


def _other_labels(c: Compared) -> Cause | None:
    """The same tokens with another mask."""
    if _label_columns(c) is None:
        return None
    mine, theirs = (
        sum(label != IGNORE for line in arrays["labels"] for label in line) for arrays in (c.planned, c.received)
    )
    return _error(
        "WB204",
        f"Another mask: {theirs:,} tokens came trained, {mine:,} were planned.",
        "",
        "The trainer made labels of its own: hand it rows with input_ids and labels, and set neither "
        "assistant_only_loss nor completion_only_loss.",
        'SFTConfig(dataset_kwargs={"skip_prepare_dataset": True})',
    )


def _label_columns(c: Compared) -> Grid | None:
    """Columns of labels that differ, where the tokens are the same and the labels are not; else None."""
    if not c.equal("input_ids") or "labels" not in c.received or c.equal("labels"):
        return None
    return differing_columns(c.planned, c.received, ("labels",)).get("labels")


def _other_padding(c: Compared) -> Cause | None:
    """The same rows, padded to another width or on the other side."""
    if c.is_packed or "attention_mask" not in c.received or c.received_rows != c.planned_documents:
        return None
    if c.equal("input_ids") and c.equal("attention_mask"):
        return None
    mine, theirs = len(c.planned["input_ids"][0]), len(c.received["input_ids"][0])
    what = f"to {theirs:,} tokens instead of {mine:,}" if mine != theirs else "elsewhere or with another token"
    finding = Finding(
        "WB209",
        "warning",
        f"Only the padding differs: rows are padded {what}.",
        remedy="Look at pad_to_multiple_of and at the tokenizer's padding_side and pad_token.",
    )
    return Cause(finding, "What is learned is the same.")


def _truncated(c: Compared) -> Cause | None:
    """Every row that came is the beginning of the planned one."""
    rows = _planned_like(c)
    if rows is None or len(rows) != len(c.received_rows) or rows == c.received_rows:
        return None
    if not all(mine[: len(theirs)] == theirs for mine, theirs in zip(rows, c.received_rows, strict=True)):
        return None
    lost = sum(map(len, rows)) - sum(map(len, c.received_rows))
    longest = max(map(len, c.received_rows))
    return _error(
        "WB206",
        f"Rows came cut: {lost:,} tokens are missing at their ends (none is longer than {longest:,}).",
        "An answer that loses its end never learns to stop.",
        "Set max_length=None in the trainer's arguments; the rows were cut to size when they were encoded.",
        "SFTConfig(max_length=None)",
    )


def _other_order(c: Compared) -> Cause | None:
    """All rows that came are rows of the dataset, but not those of this step."""
    known = _places(c)
    places = [known.get(row) for row in c.received_rows]
    if not places or None in places:
        return None
    planned = sorted(row for documents in c.batch.documents for row, _, _ in documents)
    came = [row for place in places if place is not None for row in place]
    shown = ", ".join(map(str, came[:6])) + (", …" if len(came) > 6 else "")
    if sorted(came) == planned:
        message = f"The rows of this batch came in another order: data rows {shown}."
    else:
        message = f"Other rows of the same data came: data rows {shown}."
    return _error(
        "WB205",
        message,
        "The trainer visits the rows in another order, or at another step.",
        f"Give both the same seed (the preview uses {c.seed}), data_seed, batch size and number of processes; a "
        "resumed run must resume the data too.",
        f"SFTConfig(seed={c.seed}, data_seed={c.seed})",
    )


def _other_rows(c: Compared) -> Cause | None:
    """What came is not in the dataset at all."""
    if c.equal("input_ids"):
        return None
    known = _places(c)
    strange = sum(row not in known for row in c.received_rows)
    if not strange:
        return None
    return _error(
        "WB208",
        f"{strange:,} of {len(c.received_rows):,} rows that came are not in these data.",
        "Another tokenizer, template or file made them, or the trainer prepared the rows once more.",
        "Hand the trainer enc's rows as they are, without preparing them again.",
        'SFTConfig(dataset_kwargs={"skip_prepare_dataset": True})',
    )


def _planned_like(c: Compared) -> list[tuple[int, ...]] | None:
    """Planned rows in the unit that came: documents, or packed rows."""
    if len(c.received_rows) == len(c.planned_documents):
        return c.planned_documents
    lanes = [tuple(row.input_ids) for row in c.rows]
    return lanes if len(lanes) == len(c.received_rows) else None


def _places(c: Compared) -> dict[tuple[int, ...], tuple[int, ...]]:
    """Data rows by their tokens: of every packed row, and of every document in it."""
    out: dict[tuple[int, ...], tuple[int, ...]] = {}
    for row in c.training_rows:
        out[tuple(row.input_ids)] = tuple(index for index, _ in row.documents)
        at = 0
        for index, length in row.documents:
            out.setdefault(tuple(row.input_ids[at : at + length]), (index,))
            at += length
    return out


Look = Callable[[Compared], Cause | None]
CAUSES: tuple[Look, ...] = (
    _mask_in_packed,
    _no_restarts,
    _restarts_elsewhere,
    _first_label_trained,
    _shifted_labels,
    _other_labels,
    _other_padding,
    _truncated,
    _other_order,
    _other_rows,
)
"""In the order they are looked for: the narrower first."""
