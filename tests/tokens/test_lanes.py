"""Lanes of a batch against its arrays, and `cu_seqlens` against TRL's own collator."""

from __future__ import annotations

import random
from typing import Any

import pytest

from workbench.tokens.lanes import cumulative_lengths, differing_columns, lanes, trained_spans
from workbench.tokens.pack import TrainRow, pack, packed, padded
from workbench.types import IGNORE


def rows(count: int = 40, trained_first: bool = True) -> list[TrainRow]:
    dice = random.Random(7)
    made: list[TrainRow] = []
    for index in range(count):
        ids = [dice.randrange(5, 200) for _ in range(dice.randint(1, 30))]
        labels = [token if (i == 0 and trained_first) or dice.random() < 0.5 else IGNORE for i, token in enumerate(ids)]
        made.append(TrainRow(ids, labels, ((index, len(ids)),)))
    return made


def collated(data: list[TrainRow]) -> dict[str, Any]:
    """What TRL's own collator makes of packed rows."""
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    collator = DataCollatorForLanguageModeling(pad_token_id=0, padding_free=True)
    return collator(
        [
            {
                "input_ids": list(row.input_ids),
                "labels": list(row.labels),
                "seq_lengths": [length for _, length in row.documents],
            }
            for row in data
        ]
    )


@pytest.mark.parametrize("size", [1, 3, 8])
def test_cumulative_lengths_are_those_of_trls_collator(size):
    data = pack(rows(), 64)[:size]
    theirs = collated(data)
    batch = packed(data)
    assert cumulative_lengths(batch.arrays["position_ids"]) == theirs["cu_seq_lens_q"].tolist()
    assert [list(line) for line in batch.arrays["labels"]] == theirs["labels"].tolist()


def test_documents_of_lanes_cover_the_line_and_say_what_is_trained():
    data = pack(rows(), 64)
    batch = packed(data)
    made = lanes(batch, data)
    assert [lane.tokens for lane in made] == [len(row.input_ids) for row in data]
    line = batch.arrays["labels"][0]
    at = 0
    for lane, row in zip(made, data, strict=True):
        for document, (data_row, length) in zip(lane.documents, row.documents, strict=True):
            assert (document.row, document.at, document.length, document.line) == (data_row, at, length, 0)
            assert row.input_ids[document.start : document.start + length] == list(
                batch.arrays["input_ids"][0][at : at + length]
            )
            marks = {at + i for start, end in document.spans for i in range(start, end)}
            assert marks == {i for i in range(at, at + length) if line[i] != IGNORE}
            assert document.trained == len(marks)
            assert document.first_masked, "every row's own first label is trained here"
            at += length
    assert at == len(line)


def test_lanes_of_a_padded_batch_are_its_rows_with_their_padding():
    data = rows(5, trained_first=False)
    batch = padded(data, 0)
    width = len(batch.arrays["input_ids"][0])
    for index, (lane, row) in enumerate(zip(lanes(batch, data), data, strict=True)):
        (document,) = lane.documents
        assert (lane.tokens, lane.padding) == (len(row.input_ids), width - len(row.input_ids))
        assert (document.line, document.at, document.first_masked) == (index, 0, False)


@pytest.mark.parametrize(
    ("labels", "spans"),
    [
        ([], ()),
        ([-100], ()),
        ([5], ((0, 1),)),
        ([5, -100, 6, 7, -100], ((0, 1), (2, 4))),
        ([-100, 6, 7], ((1, 3),)),
    ],
)
def test_trained_stretches(labels, spans):
    assert trained_spans(labels) == spans


def test_columns_that_differ_are_counted_where_shapes_agree():
    ours = {"input_ids": ((1, 2), (3, 4)), "labels": ((1, 2),)}
    theirs = {"input_ids": [[1, 9], [3, 4]], "labels": [[1, 2, 3]]}
    assert differing_columns(ours, theirs, ("input_ids", "labels", "position_ids")) == {"input_ids": [[1], []]}
