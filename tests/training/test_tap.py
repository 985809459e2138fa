"""`wb.tap`: what is shown of a trainer's batches is what TRL's trainers train on, and looking changes nothing."""

import importlib

import pytest
import tap_trainers as trainers

import workbench as wb
from workbench.errors import RunError
from workbench.training.trainer_watch import read_ahead
from workbench.types import IGNORE, Reason
from workbench.views import PAIRS_MIME, TOKENS_MIME

pytestmark = [pytest.mark.training, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def dpo(tmp_path_factory):
    """A DPO run that was looked at before and while it trained."""
    trainer = trainers.dpo(tmp_path_factory.mktemp("dpo"))
    with wb.tap(trainer) as tap:
        before = tap.preview(2)
        trainer.train()
        tap.preview(1)
    return trainer, tap, before


def side_ids(pair, side):
    return pair["prompt"]["tokens"]["id"] + pair[side]["row"]["tokens"]["id"]


def side_trained(pair, side):
    return pair["prompt"]["tokens"]["trained"] + pair[side]["row"]["tokens"]["trained"]


def test_looking_leaves_losses_and_weights_of_a_dpo_run_bit_identical(dpo, tmp_path):
    plain = trainers.dpo(tmp_path)
    plain.train()
    assert trainers.curve(dpo[0]) == trainers.curve(plain) and len(trainers.curve(plain)) == 2
    assert trainers.weights(dpo[0]) == trainers.weights(plain)


def test_preview_draws_no_random_number_and_leaves_no_loader_behind(dpo):
    import torch

    trainer = dpo[0]
    state, loaders = torch.get_rng_state(), len(trainer.accelerator._dataloaders)
    assert len(read_ahead(trainer, 3)) == 3
    assert torch.equal(torch.get_rng_state(), state) and len(trainer.accelerator._dataloaders) == loaders
    next(iter(trainer.get_train_dataloader()))
    assert not torch.equal(torch.get_rng_state(), state)  # without the guard it does


def test_dpo_preview_is_what_forward_got_and_labels_are_those_of_compute_loss(dpo):
    _, tap, before = dpo
    assert len(tap.batches) == 2
    for ours, got in zip(before, tap.batches, strict=True):
        made = ours.arrays["input_ids"].masked_fill(ours.arrays["completion_mask"] == 0, IGNORE)
        assert ours.arrays["input_ids"].equal(got.arrays["input_ids"]) and made.equal(got.arrays["labels"])
        assert got._repr_mimebundle_()[PAIRS_MIME]["badge"]["state"] == "agrees"


@pytest.mark.parametrize("source", ["preview", "forward"])
def test_dpo_pairs_are_the_rows_of_the_trainers_dataset(dpo, source):
    trainer, tap, before = dpo
    batch = before[0] if source == "preview" else tap.batches[0]
    assert len(batch) == 2 and batch.source == source
    for position in range(2):
        pair = batch.questions()["pair"]({"position": position})["pair"]
        row = trainer.train_dataset[int(pair["title"].split("[")[1].rstrip("]"))]
        for side in ("chosen", "rejected"):
            answer = list(row[f"{side}_ids"])
            assert side_ids(pair, side) == list(row["prompt_ids"]) + answer
            assert side_trained(pair, side) == [0] * len(row["prompt_ids"]) + [1] * len(answer)
        first = pair["first_token"]
        assert side_ids(pair, "chosen")[:first] == side_ids(pair, "rejected")[:first]
        assert side_ids(pair, "chosen")[first] != side_ids(pair, "rejected")[first]


def test_texts_of_the_tokens_are_the_text(dpo):
    trainer, _, before = dpo
    pair = before[0].questions()["pair"]({"position": 0})["pair"]
    raw = b""
    for row in (pair["prompt"], pair["chosen"]["row"]):
        for text, part in zip(row["tokens"]["text"], row["tokens"]["bytes"], strict=True):
            raw += bytes.fromhex(part) if part else text.encode()
    assert raw.decode() == trainer.processing_class.decode(side_ids(pair, "chosen"), skip_special_tokens=False)


def test_pairs_that_are_cut_and_sides_without_a_completion_are_told(tmp_path):
    trainer = trainers.dpo(tmp_path, max_length=17)
    batch = wb.tap(trainer).preview(1)[0]
    codes = {item.code for item in batch.findings}
    assert {"WB126", "WB116"} <= codes
    prompt = min(map(len, trainer.train_dataset["prompt_ids"]))
    trainer.data_collator.max_length = prompt
    trainer.args.max_length = prompt
    assert "WB151" in {item.code for item in wb.tap(trainer).preview(1)[0].findings}


def test_kto_rows_say_whether_they_are_wanted_and_kl_rows_are_not_trained(tmp_path):
    trainer = trainers.kto(tmp_path, max_steps=1)
    tap = wb.tap(trainer)
    before = tap.preview(1)[0]
    trainer.train()
    views = [before.row_at(i) for i in range(4)]
    wanted = before.arrays["label"].tolist()
    assert [view["desirable"] for view in views] == [*wanted, None, None]
    assert all(sum(view["tokens"]["trained"]) == 0 for view in views[2:])
    assert views[2]["tables"]["reason"][0] == Reason.MISMATCHED and "KL row 0" in views[2]["title"]
    (got,) = tap.batches
    assert [got.row_at(i)["desirable"] for i in range(2)] == wanted  # forward() is not told; the dataset's rows are
    for row in range(2):
        labels = got.arrays["labels"][row].tolist()
        assert got.row_at(row)["tokens"]["trained"] == [int(label != IGNORE) for label in labels]
    shown = before._repr_mimebundle_()
    assert shown[TOKENS_MIME]["row_count"] == 4 and "<script" not in shown["text/html"]


def test_reward_pairs_mark_the_token_whose_score_the_model_returns(tmp_path):
    import torch

    trainer = trainers.reward(tmp_path)
    tap = wb.tap(trainer)
    trainer.train()
    (batch,) = tap.batches
    ids, mask = batch.arrays["input_ids"], batch.arrays["attention_mask"]
    with torch.no_grad():
        trainer.model.eval()
        hidden = trainer.model.model(input_ids=ids, attention_mask=mask).last_hidden_state
        scores = trainer.model.score(hidden)[..., 0]
        logits = trainer.model(input_ids=ids, attention_mask=mask).logits[:, 0]
    for position in range(2):
        pair = batch.questions()["pair"]({"position": position})["pair"]
        assert pair["margin"] == 0.5 and batch.findings == ()
        for row, side in ((position, "chosen"), (position + 2, "rejected")):
            (at,) = [i for i, flag in enumerate(side_trained(pair, side)) if flag]
            assert scores[row, at] == logits[row]
            assert pair[side]["row"]["tables"]["reason"][-1] == Reason.SCORED


def test_score_that_is_read_before_the_end_is_told(tmp_path):
    trainer = trainers.reward(tmp_path, pad="<|im_end|>")
    assert "WB155" in {item.code for item in wb.tap(trainer).preview(1)[0].findings}


def test_sft_rows_are_the_collators_and_packed_documents_are_blocks(tmp_path):
    from trl import SFTConfig, SFTTrainer

    rows = [{"prompt": row["prompt"], "completion": row["chosen"]} for row in trainers.pairs()]
    args = SFTConfig(
        **trainers.arguments(tmp_path, max_steps=1, packing=True, max_length=64, assistant_only_loss=False)
    )
    trainer = SFTTrainer(
        model=trainers.MODEL, args=args, train_dataset=trainers.dataset(rows), processing_class=trainers.tokenizer()
    )
    tap = wb.tap(trainer)
    (before,) = tap.preview(1)
    trainer.train()
    (got,) = tap.batches
    for name in ("input_ids", "labels", "position_ids"):
        assert before.arrays[name].equal(got.arrays[name])
    view = got.row_at(0)
    assert view["tokens"]["position"] == got.arrays["position_ids"][0].tolist()
    starts = [part["start"] for part in view["segments"]]
    assert starts == [i for i, position in enumerate(view["tokens"]["position"]) if position == 0] and len(starts) > 1


def test_closed_tap_sees_nothing_and_keeps_what_it_saw(dpo):
    trainer, tap, _ = dpo
    assert "closed" in repr(tap) and tap.to_dict()["seen"] == 2
    assert not trainer.model._forward_pre_hooks
    assert tap.batches[0].code() == "tap.batches[0]" and tap.code() == "tap = wb.tap(trainer)"


def test_only_the_last_batches_are_kept(tmp_path):
    trainer = trainers.kto(tmp_path, max_steps=2, loss_type="apo_zero_unpaired")
    with wb.tap(trainer, keep=1) as tap:
        trainer.train()
    assert tap.to_dict()["seen"] == 2 and [item.received.index for item in tap.batches] == [1]


@pytest.mark.parametrize("name", ["ORPO", "CPO"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_trainers_with_collators_of_their_own_are_refused_before_anything_is_hooked(name):
    module = importlib.import_module(f"trl.experimental.{name.lower()}")
    trainer = object.__new__(getattr(module, f"{name}Trainer"))
    with pytest.raises(RunError, match=f"{name}Trainer is not") as caught:
        wb.tap(trainer)
    assert caught.value.code == "WB660" and "DPOTrainer" in str(caught.value.remedy)


def test_what_is_no_trainer_is_refused():
    with pytest.raises(RunError, match="SFTTrainer") as caught:
        wb.tap(object())
    assert caught.value.code == "WB660"
