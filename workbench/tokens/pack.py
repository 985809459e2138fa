"""Examples -> the batches the trainer will see, without the trainer.

    order = epoch_order(rows, seed, epoch)          torch's permutation, without torch
    padded(examples, pad_id) | packed(rows)         what TRL's collator makes of them

TRL trains; this previews, and is held equal to TRL bit for bit by tests/parity and, in every run, by the batches
captured in `forward()`. Packing itself is TRL's public `pack_dataset`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from workbench.types import IGNORE, Batch


class TrainRow(NamedTuple):
    """One row of the training dataset: a data row, or several packed.

    Attributes:
        input_ids, labels: Shape (T,).
        documents: (data row, tokens) of each document, in order; one for an unpacked row.
    """

    input_ids: Sequence[int]
    labels: Sequence[int]
    documents: tuple[tuple[int, int], ...]


def epoch_order(rows: int, seed: int, epoch: int) -> list[int]:
    """The order in which an epoch visits the rows.

    Source: accelerate 1.15, data_loader.py, SeedableRandomSampler seeds a generator with seed + epoch; torch 2.13,
    randperm on CPU draws one 32-bit Mersenne Twister number a swap. numpy's RandomState is the same twister.
    """
    import numpy as np

    numbers = np.frombuffer(np.random.RandomState((seed + epoch) & 0xFFFFFFFF).bytes(4 * max(rows - 1, 0)), dtype="<u4")
    order = list(range(rows))
    for i, number in enumerate(numbers.tolist()):
        j = i + number % (rows - i)
        order[i], order[j] = order[j], order[i]
    return order


def pack(rows: Sequence[TrainRow], max_length: int) -> list[TrainRow]:
    """Pack rows into bins of at most `max_length` tokens with TRL's best-fit-decreasing.

    Rows longer than `max_length` are cut at the end, as TRL's `bfd` cuts them; rows without tokens are left out.
    Packing works per thousand rows (`pack_dataset` maps in batches of 1,000).

    Source: trl 1.16, data_utils.py, pack_dataset.
    """
    from datasets import Dataset
    from trl.data_utils import pack_dataset

    filled = [row for row in rows if row.input_ids]
    if not filled:
        return []
    flat = Dataset.from_dict(
        {
            "input_ids": [list(row.input_ids) for row in filled],
            "labels": [list(row.labels) for row in filled],
            "rows": [[row.documents[0][0]] * len(row.input_ids) for row in filled],
        }
    )
    made: Any = pack_dataset(flat, seq_length=max_length, strategy="bfd")
    return [_packed_row(item) for item in made]


def _packed_row(item: dict[str, Any]) -> TrainRow:
    starts = [0]
    for length in item["seq_lengths"]:
        starts.append(starts[-1] + length)
    documents = tuple((item["rows"][start], length) for start, length in zip(starts, item["seq_lengths"], strict=False))
    return TrainRow(item["input_ids"], item["labels"], documents)


def padded(rows: Sequence[TrainRow], pad_id: int, *, epoch: int = 0, step: int = 0) -> Batch:
    """A padded batch: `input_ids`, `labels`, `attention_mask`, right-padded to the longest row.

    Source: trl 1.16, sft_trainer.py, DataCollatorForLanguageModeling.
    """
    width = max(len(row.input_ids) for row in rows)
    gaps = [width - len(row.input_ids) for row in rows]
    arrays = {
        "input_ids": tuple((*row.input_ids, *[pad_id] * gap) for row, gap in zip(rows, gaps, strict=True)),
        "labels": tuple((*row.labels, *[IGNORE] * gap) for row, gap in zip(rows, gaps, strict=True)),
        "attention_mask": tuple((1,) * len(row.input_ids) + (0,) * gap for row, gap in zip(rows, gaps, strict=True)),
    }
    return Batch(arrays, tuple(((row.documents[0][0], 0, len(row.input_ids)),) for row in rows), epoch, step)


def packed(rows: Sequence[TrainRow], *, epoch: int = 0, step: int = 0) -> Batch:
    """A padding-free batch: all rows in one line of shape (1, T), `position_ids` restarting at every document.

    The first label of every document is masked: no token of the document comes before it.
    """
    input_ids: list[int] = []
    labels: list[int] = []
    position_ids: list[int] = []
    documents: list[tuple[int, int, int]] = []
    for row in rows:
        labels.extend(row.labels)
        input_ids.extend(row.input_ids)
        for data_row, length in row.documents:
            start = len(position_ids)
            documents.append((data_row, start, start + length))
            position_ids.extend(range(length))
    for _, start, _ in documents:
        labels[start] = IGNORE
    arrays = {"input_ids": (tuple(input_ids),), "labels": (tuple(labels),), "position_ids": (tuple(position_ids),)}
    return Batch(arrays, (tuple(documents),), epoch, step)


class Plan(NamedTuple):
    """How rows become batches; fields as in TRL's SFTConfig."""

    per_device_train_batch_size: int
    seed: int
    is_packed: bool
    pad_id: int


def batches(rows: Sequence[TrainRow], plan: Plan, epoch: int = 0) -> Iterator[Batch]:
    """All micro batches of one epoch on one process, in training order."""
    order = epoch_order(len(rows), plan.seed, epoch)
    size = plan.per_device_train_batch_size
    for step, at in enumerate(range(0, len(order), size)):
        chosen = [rows[i] for i in order[at : at + size]]
        yield (
            packed(chosen, epoch=epoch, step=step)
            if plan.is_packed
            else padded(chosen, plan.pad_id, epoch=epoch, step=step)
        )
