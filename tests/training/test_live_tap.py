"""The live tap: the batches of a step and the loss of each token in them, taken while a run trains, without a trace."""

import json
import math

import pytest
from test_trained_runs import curve, weights
from tiny_run import build_packed_rows, build_rows, kinds, make_job

from workbench.api.run import attach
from workbench.errors import RunError
from workbench.recipes import Recipe
from workbench.tokens.diff import first_difference
from workbench.tokens.pack import Plan, TrainRow, batches
from workbench.training import commands
from workbench.training.launchers import _rows_writer, complete_job
from workbench.training.store import create_run

pytestmark = pytest.mark.training

HARD = {
    "lora_dropout": 0.2, "gradient_checkpointing": True, "gradient_accumulation_steps": 2, "max_steps": 5,
    "packing": "bfd", "learning_rate": 3e-3,
}  # fmt: skip
STEPS = [1, 2, 3, 4, 5]


def captured(run, step):
    return json.loads((run.dir / "captured" / f"step-{step:06d}.json").read_bytes())


def train_rows(table):
    rows = []
    for row in table.to_pylist():
        lengths = row.get("seq_lengths") or [len(row["input_ids"])]
        documents = row.get("documents") or [row["row"]]
        rows.append(TrainRow(row["input_ids"], row["labels"], tuple(zip(documents, lengths, strict=True))))
    return rows


def planned(table, recipe, packed):
    """The preview's micro batches, epoch after epoch."""
    plan = Plan(recipe.per_device_train_batch_size, recipe.seed, packed, 0)
    while True:
        for epoch in range(100):
            yield from batches(train_rows(table), plan, epoch)


def from_dataloader(job, table, folder, count):
    """What the trainer's own dataloader gives, without training."""
    from transformers import TrainerCallback

    from workbench.training.trainer_setup import build_trainer

    folder.mkdir()
    whole = complete_job(job)
    _rows_writer(table, packed=whole["packed"])(folder / "rows.parquet")
    loader = build_trainer(whole, folder, TrainerCallback()).get_train_dataloader()
    found = []
    for epoch in range(100):
        loader.set_epoch(epoch)
        for batch in loader:
            found.append({key: value.tolist() for key, value in batch.items() if hasattr(value, "tolist")})
            if len(found) == count:
                return found
    return found


def mean_trained_loss(step):
    """As the trainer weighs it: summed over the step's micro batches, divided by all their trained tokens."""
    values = [
        loss
        for batch, losses in zip(step["batches"], step["losses"], strict=True)
        for labels, row in zip(batch["labels"], losses, strict=True)
        for label, loss in zip(labels[1:], row[1:], strict=True)
        if label != -100
    ]
    return math.fsum(values) / len(values)


@pytest.mark.parametrize("packing", ["bfd", "none"])
def test_preview_dataloader_and_forward_are_one_and_losses_average_to_the_logged_loss(
    packing, train, tiny_model, tmp_path
):
    table = build_packed_rows(8) if packing == "bfd" else build_rows(14)
    job = make_job(tiny_model, recipe={**HARD, "packing": packing}, capture=STEPS)
    run = train(job, table)
    assert run.state() == "completed", run.status()
    logged = {step: loss for step, loss, *_ in curve(run)}
    assert sorted(logged) == STEPS
    expected = planned(table, Recipe.from_dict(job["recipe"]), packing == "bfd")
    loader = iter(from_dataloader(job, table, tmp_path / "loader", 2 * len(STEPS)))
    worst = 0.0
    for step in STEPS:
        found = captured(run, step)
        for received in found["batches"]:
            assert first_difference(next(expected).arrays, received) is None
            assert first_difference(next(loader), received) is None
        worst = max(worst, abs(mean_trained_loss(found) / logged[step] - 1))
    print(f"{packing}: largest relative difference to the logged loss {worst:.1e}")
    assert worst < 2e-6


def test_losses_are_those_of_the_step_with_its_dropout(train, tiny_model):
    """Without the same random numbers they would be other ones: dropout is on, and the step's loss says so."""
    table = build_packed_rows(8)
    recipe = {**HARD, "lora_dropout": 0.9, "learning_rate": 0.05}
    run = train(make_job(tiny_model, recipe=recipe, capture=STEPS), table)
    calm = train(make_job(tiny_model, recipe={**recipe, "lora_dropout": 0.0}, capture=STEPS), table)
    last = captured(run, 5)
    assert mean_trained_loss(last) == pytest.approx(dict((s, x) for s, x, *_ in curve(run))[5], rel=2e-6)
    assert mean_trained_loss(last) != pytest.approx(mean_trained_loss(captured(calm, 5)), rel=1e-4)


def test_full_fine_tuning_too(train, tiny_model):
    recipe = {**HARD, "adapter": "none"}
    run = train(make_job(tiny_model, recipe=recipe, capture=[1, 5]), build_packed_rows(8))
    logged = {step: loss for step, loss, *_ in curve(run)}
    for step in (1, 5):
        assert mean_trained_loss(captured(run, step)) == pytest.approx(logged[step], rel=2e-6)


@pytest.fixture
def train_with(trainer_process, tmp_path):
    """Train a job to its end with commands that wait for it from the beginning."""

    def train_one(job, rows, *asked):
        whole = complete_job(job)
        run = create_run(whole, _rows_writer(rows, packed=whole["packed"]), tmp_path / "runs")
        sent = [commands.send(run.dir, "tap", **members) for members in asked]
        trainer_process.stdin.write(f"{run.dir}\n".encode())
        trainer_process.stdin.flush()
        assert trainer_process.stdout.readline() == b"done\n"
        return run, sent

    return train_one


@pytest.mark.parametrize("adapter", ["lora", "none"])
def test_a_tapped_run_is_bit_for_bit_the_run_that_was_not(adapter, train, train_with, tiny_model):
    """Loss, grad_norm, learning rate and saved weights, with dropout, gradient checkpointing and accumulation."""
    job = make_job(tiny_model, recipe={**HARD, "adapter": adapter})
    plain = train(job, build_packed_rows(8))
    tapped, sent = train_with(job, build_packed_rows(8), {"step": None}, {"step": 4}, {"step": 1}, {"step": 6})
    assert curve(plain) == curve(tapped) and len(curve(plain)) == 5
    assert weights(plain) == weights(tapped) and weights(plain)
    answers = {event["cmd"]: event for event in kinds(tapped, "ack") if event["status"] != "accepted"}
    assert [answers[command]["status"] for command in sent] == ["done", "done", "refused", "refused"]
    assert [answers[command]["captures"] for command in sent[:2]] == [2, 4]
    assert "step 1 cannot be captured at step 1 of 5" in answers[sent[2]]["error"]
    assert sorted({event["step"] for event in kinds(tapped, "batch")}) == [2, 4]
    assert not (plain.dir / "captured" / "step-000002.json").exists()
    logged = {step: loss for step, loss, *_ in curve(tapped)}
    for step in (2, 4):
        assert mean_trained_loss(captured(tapped, step)) == pytest.approx(logged[step], rel=2e-6)


def test_a_run_that_was_attached_to_shows_its_batches(train, tiny_model):
    """Without recipe and rows: the preview is made again from the run directory."""
    run = train(make_job(tiny_model, recipe=HARD, capture=[1, 3]), build_packed_rows(8))
    shown = attach(run.dir).batch(3, 1)
    assert shown.verdict["state"] == "agrees" and shown.verdict["step"] == 3
    payload = shown._payload(None)
    means = [item["loss"] for lane in payload["lanes"] for item in lane["documents"]]
    assert all(isinstance(mean, float) for mean in means)
    assert payload["opened"]["row"]["measures"]["loss"][0] is None
    found = captured(run, 3)
    assert shown.losses == found["losses"][1]
    assert payload["code"] == "run.batch(3, 1)"
    row = payload["lanes"][0]["documents"][0]["row"]
    source = shown.questions()["source"]({"row": row})["payload"]
    assert source["rows"][0]["row"] == row
    assert attach(run.dir).batch().capture.step == 3, "a run that is over shows its last captured step"
    with pytest.raises(RunError, match="WB610"):
        attach(run.dir).batch(2)
    with pytest.raises(RunError, match="WB610"):
        attach(run.dir).batch(3, 7)
    (run.dir / "rows.parquet").unlink()
    with pytest.raises(RunError, match="WB611"):
        attach(run.dir).batch(3)
