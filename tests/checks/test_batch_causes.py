"""Why a batch is another than planned: batches made wrong the way collators make them wrong, TRL's among them."""

from __future__ import annotations

import random
from typing import Any

import pytest

from workbench.checks.batches import Compared, cause_of
from workbench.tokens.diff import first_difference
from workbench.tokens.lanes import lanes
from workbench.tokens.pack import Plan, TrainRow, batches, epoch_order, pack, padded
from workbench.types import IGNORE, Batch
from workbench.views.batch_verdict import Place, agreed, differing_tokens, verdict

SEED = 11


def data_rows() -> list[TrainRow]:
    dice = random.Random(3)
    made: list[TrainRow] = []
    for index in range(60):
        ids = [dice.randrange(5, 300) for _ in range(dice.randint(6, 30))]
        made.append(TrainRow(ids, [IGNORE] * 2 + ids[2:], ((index, len(ids)),)))
    return made


PACKED = pack(data_rows(), 64)
PADDED = data_rows()


def planned(training: list[TrainRow], is_packed: bool, step: int = 0) -> tuple[Batch, list[TrainRow]]:
    made = list(batches(training, Plan(4, SEED, is_packed, 0)))[step]
    order = epoch_order(len(training), SEED, 0)[4 * step : 4 * step + 4]
    return made, [training[i] for i in order]


def trl_batch(chosen: list[TrainRow], **options: Any) -> dict[str, list[list[int]]]:
    """TRL's collator over rows that are packed already."""
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    examples = [{"input_ids": list(row.input_ids), "labels": list(row.labels)} for row in chosen]
    made = DataCollatorForLanguageModeling(pad_token_id=0, **options)(examples)
    keys = ("input_ids", "labels", "attention_mask", "position_ids")
    return {key: made[key].tolist() for key in keys if key in made}


def lists(batch: Batch) -> dict[str, list[list[int]]]:
    return {name: [list(row) for row in rows] for name, rows in batch.arrays.items()}


def told(training: list[TrainRow], is_packed: bool, change: Any) -> tuple[dict[str, Any], list[Any]]:
    """The verdict on a batch after `change(received, rows) -> received`."""
    batch, chosen = planned(training, is_packed)
    received = change(lists(batch), chosen)
    found = first_difference(batch.arrays, received)
    assert found is not None
    made = lanes(batch, chosen)
    compared = Compared(batch, chosen, received, found, (training, SEED))
    assert cause_of(compared).finding.message
    return verdict(compared, made, Place(3), str), made


def starts(received: dict[str, list[list[int]]]) -> list[int]:
    return [i for i, position in enumerate(received["position_ids"][0]) if position == 0]


def running_on(received, _rows):
    received["position_ids"] = [list(range(len(received["input_ids"][0])))]
    return received


def without_positions(received, _rows):
    del received["position_ids"]
    return received


def first_labels(received, _rows):
    for start in starts(received):
        received["labels"][0][start] = received["input_ids"][0][start]
    return received


def shifted(received, _rows):
    received["labels"] = [[*line[1:], IGNORE] for line in received["labels"]]
    return received


def all_trained(received, _rows):
    received["labels"] = [
        [token if label == IGNORE and i % 7 == 3 else label for i, (token, label) in enumerate(zip(*pair, strict=True))]
        for pair in zip(received["input_ids"], received["labels"], strict=True)
    ]
    return received


def masked(received, _rows):
    received["attention_mask"] = [[1] * len(line) for line in received["input_ids"]]
    return received


def next_step(received, _rows):
    return lists(planned(PACKED, True, 1)[0])


def next_padded_step(received, _rows):
    return lists(planned(PADDED, False, 1)[0])


def other_order(received, rows):
    return lists(padded(list(reversed(rows)), 0))


def cut_rows(received, rows):
    return lists(padded([TrainRow(r.input_ids[:9], r.labels[:9], r.documents) for r in rows], 0))


def strange_rows(received, rows):
    strange = TrainRow([1, 2, 3], [1, 2, 3], ((0, 3),))
    return lists(padded([strange, *rows[1:]], 0))


def padded_to_eight(received, rows):
    return trl_batch(rows, pad_to_multiple_of=64)


def left_padded(received, rows):
    gaps = [line.count(0) for line in received["attention_mask"]]
    fills = {"input_ids": 0, "labels": IGNORE, "attention_mask": 0}
    return {
        name: [[fills[name]] * gap + line[: len(line) - gap] for line, gap in zip(lines, gaps, strict=True)]
        for name, lines in received.items()
    }


CASES = {
    "positions that run on": ("WB201", PACKED, True, running_on),
    "no positions": ("WB201", PACKED, True, without_positions),
    "padding_free off, TRL's collator": ("WB201", PACKED, True, lambda _received, rows: trl_batch(rows)),
    "first labels trained": ("WB202", PACKED, True, first_labels),
    "shifted labels": ("WB203", PACKED, True, shifted),
    "shifted labels, padded": ("WB203", PADDED, False, shifted),
    "another mask": ("WB204", PACKED, True, all_trained),
    "another mask, padded": ("WB204", PADDED, False, all_trained),
    "another step": ("WB205", PACKED, True, next_step),
    "another step, padded": ("WB205", PADDED, False, next_padded_step),
    "another order": ("WB205", PADDED, False, other_order),
    "cut rows": ("WB206", PADDED, False, cut_rows),
    "a mask in a packed batch": ("WB207", PACKED, True, masked),
    "rows of other data": ("WB208", PADDED, False, strange_rows),
    "padding to a multiple": ("WB209", PADDED, False, padded_to_eight),
    "padding on the left": ("WB209", PADDED, False, left_padded),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_cause_is_recognised(name):
    code, training, is_packed, change = CASES[name]
    found, _ = told(training, is_packed, change)
    assert found["cause"]["code"] == code, found["cause"]
    assert found["state"] == "differs" and found["cause"]["remedy"]


def test_a_padding_free_collator_without_lengths_runs_positions_on_over_documents():
    """TRL's collator given packed rows without `seq_lengths`: each packed row is one document to it."""
    found, _ = told(PACKED, True, lambda _received, rows: trl_batch(rows, padding_free=True))
    assert (found["difference"]["key"], found["cause"]["code"]) == ("position_ids", "WB210")
    assert "restart at 4 of " in found["cause"]["message"]


def test_nothing_known_says_so():
    def scrambled(received, _rows):
        received["position_ids"] = [[position + 1 for position in line] for line in received["position_ids"]]
        return received

    found, _ = told(PACKED, True, scrambled)
    assert found["cause"]["code"] == "WB200"


@pytest.mark.parametrize("received", [{}, {"input_ids": []}, {"input_ids": [[1]]}, {"labels": [[1]]}])
@pytest.mark.parametrize(("training", "is_packed"), [(PACKED, True), (PADDED, False)])
def test_arrays_that_are_no_batch_have_a_verdict_too(received, training, is_packed):
    found, _ = told(training, is_packed, lambda _received, _rows: received)
    assert found["state"] == "differs" and found["cause"]["code"].startswith("WB2")


def test_the_first_difference_is_placed_counted_and_shown():
    found, made = told(PACKED, True, running_on)
    second = made[0].documents[1]
    assert found["where"] == {"lane": 0, "document": 1}
    assert found["difference"]["index"] == (0, second.at)
    tokens = sum(lane.tokens for lane in made)
    assert found["counts"] == {"position_ids": tokens - made[0].documents[0].length}
    assert found["equal"] == ["input_ids", "labels"]
    assert found["values"] == tokens
    window = found["window"]
    assert window["index"][2] == second.at and window["ours"][2:4] == [0, 1]
    assert window["theirs"] == window["index"]


def test_missing_positions_are_shown_at_the_second_document():
    found, made = told(PACKED, True, without_positions)
    assert found["where"] == {"lane": 0, "document": 1}
    assert found["window"]["index"][2] == made[0].documents[1].at
    assert found["window"]["theirs"] == [None] * 6


def test_tokens_of_a_document_that_differ():
    batch, chosen = planned(PACKED, True)
    received = lists(batch)
    document = lanes(batch, chosen)[0].documents[1]
    received["labels"][0][document.at + 3] = 7
    ours = batch.arrays["labels"][0][document.at + 3]
    assert differing_tokens(document, batch.arrays, received) == [
        {"token": 3, "key": "labels", "ours": ours, "theirs": 7}
    ]
    assert differing_tokens(document, batch.arrays, None) == []


def test_an_equal_batch_says_which_arrays_and_how_many_values():
    batch, _ = planned(PACKED, True)
    made = agreed(batch.arrays, Place(12, 1))
    assert (made["state"], made["step"], made["micro"]) == ("agrees", 12, 1)
    assert made["arrays"] == ["input_ids", "labels", "position_ids"]
    assert made["values"] == len(batch.arrays["input_ids"][0])
