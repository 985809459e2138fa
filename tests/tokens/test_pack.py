"""Orders, packing and batches without a trainer; tests/parity holds them equal to TRL's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workbench.tokens.diff import digest, first_difference
from workbench.tokens.pack import Plan, TrainRow, batches, epoch_order, pack, packed, padded
from workbench.types import IGNORE, Difference


def row(index: int, *ids: int) -> TrainRow:
    return TrainRow(ids, ids, ((index, len(ids)),))


@pytest.mark.parametrize("seed", [0, 1, 42, 2**31 - 1, 2**32 - 1, 2**32, 2**40 + 7])
def test_the_order_of_an_epoch_is_torchs_permutation(seed):
    import torch

    for rows in (0, 1, 2, 3, 7, 64, 1000, 4099, 30_001):
        for epoch in (0, 1, 3):
            generator = torch.Generator().manual_seed(seed + epoch)
            assert epoch_order(rows, seed, epoch) == torch.randperm(rows, generator=generator).tolist()


def test_best_fit_decreasing_packs_the_published_example():
    """Rows and bins as measured with TRL 1.16 (formats.md, 1.9)."""
    made = pack([row(0, 1, 2, 3), row(1, 4, 5), row(2, 6, 7, 8), row(3, 9)], 4)
    assert [list(bin.input_ids) for bin in made] == [[1, 2, 3, 9], [6, 7, 8], [4, 5]]
    assert [bin.documents for bin in made] == [((0, 3), (3, 1)), ((2, 3),), ((1, 2),)]


def test_wrapped_packing_which_we_do_not_offer_cuts_rows_in_two():
    """TRL's other strategy on the same rows: why `bfd` is the one we take."""
    from datasets import Dataset
    from trl.data_utils import pack_dataset

    data = Dataset.from_dict({"input_ids": [[1, 2, 3], [4, 5], [6, 7, 8], [9]]})
    made = list(pack_dataset(data, seq_length=4, strategy="wrapped"))
    assert [item["input_ids"] for item in made] == [[1, 2, 3, 4], [5, 6, 7, 8], [9]]
    assert all("seq_lengths" not in item for item in made)


def test_a_packed_batch_is_axolotls_but_for_padding_and_the_first_label_of_a_document():
    """Its V2 collator on the same two documents (formats.md, 1.9): it trains each document's first token on the
    document before it, and pads to a multiple of 8; ours does neither."""
    golden = json.loads((Path(__file__).parents[1] / "golden" / "axolotl.json").read_text(encoding="utf-8"))["packed"]
    documents = [TrainRow([5, 6, 7], [IGNORE, 6, 7], ((0, 3),)), TrainRow([8, 9], [8, 9], ((1, 2),))]
    made = packed(documents)
    for key in ("input_ids", "position_ids"):
        assert list(made.arrays[key][0]) == golden[key][0][:5]
    assert (list(made.arrays["labels"][0]), golden["labels"][0][:5]) == (
        [IGNORE, 6, 7, IGNORE, 9],
        [IGNORE, 6, 7, 8, 9],
    )
    assert golden["attention_mask"] == [[1, 1, 1, 2, 2, 0, 0, 0]], "which document a token is of, counted from 1"
    assert [label for label in golden["labels"][0][5:]] == [IGNORE] * 3
    assert [(end - start) for _, start, end in made.documents[0]] == [3, 2]


def test_packing_keeps_every_token_and_knows_whose_it_is():
    """Over more rows than one map batch (1,000); a row's ids tell which row it is."""
    data = [row(index, *[index] * (1 + index % 13)) for index in range(1, 1300)]
    made = pack(data, 32)
    assert sum(len(bin.input_ids) for bin in made) == sum(len(item.input_ids) for item in data)
    found = []
    for bin in made:
        assert len(bin.input_ids) <= 32
        at = 0
        for index, length in bin.documents:
            assert set(bin.input_ids[at : at + length]) == {index}
            found.append((index, length))
            at += length
        assert at == len(bin.input_ids)
    assert sorted(found) == [item.documents[0] for item in data]


def test_a_row_longer_than_a_bin_is_cut_at_its_end():
    (bin,) = pack([row(5, 1, 2, 3, 4, 5)], 3)
    assert (list(bin.input_ids), list(bin.labels), bin.documents) == ([1, 2, 3], [1, 2, 3], ((5, 3),))


def test_rows_without_tokens_and_no_rows_at_all_pack_to_nothing():
    assert pack([], 8) == []
    made = pack([row(0), row(1, 4, 5), row(2)], 8)
    assert [(list(bin.input_ids), bin.documents) for bin in made] == [([4, 5], ((1, 2),))]


def test_padding_is_on_the_right_masked_and_unattended():
    batch = padded([row(3, 7, 8, 9), row(1, 5)], 0, epoch=2, step=4)
    assert batch.arrays == {
        "input_ids": ((7, 8, 9), (5, 0, 0)),
        "labels": ((7, 8, 9), (5, IGNORE, IGNORE)),
        "attention_mask": ((1, 1, 1), (1, 0, 0)),
    }
    assert (batch.documents, batch.epoch, batch.step) == (((((3, 0, 3)),), ((1, 0, 1),)), 2, 4)


def test_a_packed_batch_is_one_line_whose_positions_restart_and_whose_first_labels_are_masked():
    first = TrainRow([7, 8, 5], [7, 8, 5], ((3, 2), (1, 1)))
    batch = packed([first, row(9, 4, 6)])
    assert batch.arrays == {
        "input_ids": ((7, 8, 5, 4, 6),),
        "labels": ((IGNORE, 8, IGNORE, IGNORE, 6),),
        "position_ids": ((0, 1, 0, 0, 1),),
    }
    assert batch.documents == (((3, 0, 2), (1, 2, 3), (9, 3, 5)),)
    assert first.labels == [7, 8, 5], "the rows themselves stay as they are"


def test_every_row_is_visited_once_an_epoch_and_the_last_batch_is_partial():
    data = [row(index, index + 1) for index in range(10)]
    made = list(batches(data, Plan(4, 0, False, 0), epoch=1))
    assert [len(batch.documents) for batch in made] == [4, 4, 2]
    assert [batch.step for batch in made] == [0, 1, 2]
    visited = [index for batch in made for documents in batch.documents for index, _, _ in documents]
    assert visited == epoch_order(10, 0, 1)
    assert sorted(visited) == list(range(10))


ARRAYS = {"input_ids": ((1, 2), (3, 4)), "labels": ((1, -100), (3, 4))}
DIFFERENCES = {
    "an id": ({"input_ids": ((1, 2), (3, 5))}, Difference("input_ids", (1, 1), 4, 5, "2 tokens against 2")),
    "a label": ({"labels": ((1, 2), (3, 4))}, Difference("labels", (0, 1), -100, 2, "2 tokens against 2")),
    "a shorter row": ({"labels": ((1,), (3, 4))}, Difference("labels", (0, 1), -100, None, "2 tokens against 1")),
    "a missing row": ({"labels": ((1, -100),)}, Difference("labels", (1,), None, None, "2 rows against 1")),
    "an array more": (
        {"position_ids": ((0, 1), (0, 1))},
        Difference("position_ids", (), None, None, "only forward() has position_ids"),
    ),
}


@pytest.mark.parametrize("case", DIFFERENCES)
def test_the_first_difference_is_named(case):
    change, expected = DIFFERENCES[case]
    theirs = {**ARRAYS, **change}
    assert first_difference(ARRAYS, theirs) == expected
    assert digest(ARRAYS) != digest(theirs)


def test_equal_numbers_are_equal_in_any_container():
    import numpy as np

    theirs = {key: np.array(value) for key, value in ARRAYS.items()}
    as_lists = {key: value.tolist() for key, value in theirs.items()}
    assert first_difference(ARRAYS, as_lists) is None
    assert digest(ARRAYS) == digest(as_lists) == digest(theirs)


def test_arrays_that_decide_nothing_are_not_compared():
    assert first_difference(ARRAYS, {**ARRAYS, "cu_seq_lens_q": ((0, 2),)}) is None
