"""What a run says of its memory, and two measured steps: exact on the CPU, and without influence on the run."""

import gc

import pytest
from test_trained_runs import curve, weights
from tiny_run import build_rows, kinds, make_job

from workbench.api.measure import compared, run_memory
from workbench.errors import RecipeError, RunError
from workbench.training.memory_watch import TensorBytes, peak_process_bytes

pytestmark = pytest.mark.training

HARD = {"lora_dropout": 0.1, "gradient_checkpointing": True, "gradient_accumulation_steps": 2}
PREDICTED = {"device": "cpu", "live_bytes": 10_000_000}


def test_tensors_are_counted_until_their_last_reference_is_gone():
    torch = pytest.importorskip("torch")
    bytes_ = TensorBytes()
    weight = torch.nn.Linear(10, 10, bias=False)
    with bytes_.counting(weight):
        one = torch.zeros(1000)
        view = one[:10].view(2, 5)
        assert bytes_.now == 400 + 4000
        two = one + one
        del one
        assert bytes_.now == 400 + 8000  # a view holds the storage
        del view, two
        gc.collect()
    assert (bytes_.now, bytes_.peak) == (400, 8400)
    assert peak_process_bytes() > 10 << 20


def test_every_run_logs_predicted_and_measured(train, tiny_model):
    run = train(make_job(tiny_model, memory={"predicted": PREDICTED}), build_rows())
    events = kinds(run, "memory")
    assert [(event["at"], event["step"]) for event in events] == [("start", 0), ("step", 2), ("end", 6)]
    found = run_memory(run)
    assert (found.predicted, found.over) == (PREDICTED, True)
    assert found.measured["live_bytes"] is None  # counting tensors would slow a run
    assert found.measured["process_bytes"] >= kinds(run, "step")[-1]["rss_bytes"] * 0.9
    assert found.compare().device == "cpu"
    other = compared({"device": "cuda", "live_bytes": 1}, found.measured)
    assert "not compared" in other.note and all(line.predicted is None for line in other.lines)


def test_measuring_is_exact_and_changes_nothing(train, tiny_model):
    rows = build_rows(16)
    job = {"recipe": {**HARD, "max_steps": 2, "per_device_train_batch_size": 4}, "capture": ()}
    measured = train(make_job(tiny_model, **job, measuring=True), rows)
    again = train(make_job(tiny_model, **job, measuring=True), rows)
    live = run_memory(measured).measured["live_bytes"]
    assert live == run_memory(again).measured["live_bytes"] > 100_000
    assert measured.state() == "completed"
    assert not weights(measured)  # nothing of a measurement is kept
    assert len(curve(measured)) == 2 and curve(measured) == curve(again)


def test_counting_leaves_every_number_of_a_run_alone(train, tiny_model):
    """Measured rows come in their order, others are drawn: equal rows make both the same run."""
    rows = build_rows(8).take([3] * 8)
    recipe = {"gradient_checkpointing": True, "max_steps": 4, "per_device_train_batch_size": 4}
    plain = train(make_job(tiny_model, recipe=recipe), rows)
    counted = train(make_job(tiny_model, recipe=recipe, measuring=True), rows)
    assert curve(plain) == curve(counted) and len(curve(plain)) == 4


def test_a_run_that_has_not_come_far_cannot_be_compared(run_dir):
    from workbench.training.run import Run

    with pytest.raises(RunError, match="WB614"):
        run_memory(Run(run_dir)).compare()


def test_only_what_a_launch_would_train_is_measured():
    from workbench.api.memory import estimate_recipe
    from workbench.recipes import Recipe

    with pytest.raises(RecipeError, match="WB822"):
        estimate_recipe(Recipe(), 64).measure()
