"""A run that trains while we talk to it, launched through a warm spare."""

import json
import subprocess
import sys
import time

import pytest
from tiny_run import all_events, build_rows, kinds, make_job, wait_until

from workbench.errors import DataError, ModelError, RecipeError, RunError
from workbench.training import commands
from workbench.training.durable_io import held
from workbench.training.launchers import Spare, clean_environment, launch
from workbench.training.run import Run

ENDLESS = {"max_steps": 100_000}


@pytest.fixture(scope="module")
def live(tmp_path_factory, tiny_model):
    """One endless run; its tests leave it running."""
    spare = Spare().warm()
    wait_until(lambda: spare.state == "ready", 120)
    began = time.monotonic()
    run = launch(make_job(tiny_model, recipe=ENDLESS), build_rows(), tmp_path_factory.mktemp("runs"), spare)
    returned = time.monotonic()
    try:
        wait_until(lambda: kinds(run, "metric"))
        print(f"launch returned after {returned - began:.3f} s, first metric after {time.monotonic() - began:.3f} s")
        yield run
    finally:
        run.kill()
        spare.close()


def acknowledged(run, command):
    """What a command was answered, and that `accepted` came first."""
    answer = run.wait_ack(command, 60)
    statuses = [event["status"] for event in kinds(run, "ack") if event["cmd"] == command]
    assert statuses == ["accepted", answer["status"]]
    wait_until(lambda: command not in [open_one.id for open_one in commands.read(run.dir)])
    return answer


def steps_so_far(run):
    return kinds(run, "step")[-1]["step"]


@pytest.mark.training
def test_a_warm_launch_goes_through_every_state_in_order(live):
    events = all_events(live)
    told = [event.get("state") or event["name"] for event in events if event["kind"] in ("state", "phase")]
    assert told[:6] == ["queued", "starting", "process", "imported", "trainer-built", "running"]
    known = json.loads((live.dir / "proc.json").read_bytes())
    assert events[1]["supervisor"] == known["supervisor"]
    assert kinds(live, "phase")[0]["pid"] == known["pid"]
    assert held(live.dir / "run.lock") and held(live.dir / "sup.lock")
    assert (live.dir / "inspect.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.training
def test_pause_holds_the_steps_and_resume_goes_on(live):
    assert acknowledged(live, live.pause())["status"] == "done"
    assert live.state() == "paused"
    held_at = steps_so_far(live)
    assert acknowledged(live, live.send("ping"))["step"] == held_at  # commands are heard while paused
    assert live.sample("while paused", gen={"max_new_tokens": 4}).result(60)["step"] == held_at
    assert steps_so_far(live) == held_at
    assert acknowledged(live, live.resume())["status"] == "done"
    assert live.state() == "running"
    wait_until(lambda: steps_so_far(live) > held_at + 2)


@pytest.mark.training
def test_a_sample_streams_and_says_what_it_was(live):
    sample = live.sample("hello", gen={"max_new_tokens": 40}, seed=3)
    pieces = list(sample)
    result = sample.result(60)
    assert "".join(pieces) == result["text"]
    assert (result["prompt"], result["base"], result["cut"]) == (None, False, False)
    assert result["tokens"] == 40 or result["stopped"]
    base = live.sample("hello", gen={"max_new_tokens": 40}, seed=3, base=True).result(60)
    assert base["base"] is True


@pytest.mark.training
def test_the_base_answer_stays_while_the_model_learns(live):
    ask = {"gen": {"max_new_tokens": 16}, "base": True}
    first = live.sample("a", **ask).result(60)
    wait_until(lambda: steps_so_far(live) > first["step"] + 5)
    later = live.sample("a", **ask).result(60)
    assert later["step"] > first["step"] and later["text"] == first["text"]


@pytest.mark.training
def test_cancel_ends_a_long_sample_and_not_the_training(live):
    sample = live.sample("long", gen={"max_new_tokens": 1900, "min_new_tokens": 1900})
    pieces = iter(sample)
    next(pieces)
    cancel = live.send("cancel")
    result = sample.result(60)
    assert result["cut"] and result["tokens"] < 1900
    assert acknowledged(live, cancel)["status"] == "done"
    before = steps_so_far(live)
    wait_until(lambda: steps_so_far(live) > before)


@pytest.mark.training
@pytest.mark.parametrize(
    ("op", "members", "text"),
    [
        ("frobnicate", {}, "unknown op 'frobnicate'"),
        ("sample", {}, "`messages` must be a list"),
        ("sample", {"messages": "hi"}, "`messages` must be a list"),
        (
            "sample",
            {"messages": [{"role": "user", "content": "x"}], "gen": {"temperature": "hot", "do_sample": True}},
            "",
        ),
    ],
)
def test_a_wrong_command_is_refused_and_training_goes_on(live, op, members, text):
    answer = acknowledged(live, live.send(op, **members))
    assert answer["status"] == "refused" and text in answer["error"] and answer["error"]
    before = steps_so_far(live)
    wait_until(lambda: steps_so_far(live) > before)


@pytest.mark.training
def test_a_command_that_is_not_json_is_refused(live):
    (live.dir / "control" / "1-torn.json").write_bytes(b'{"op": "sto')
    wait_until(lambda: [e for e in kinds(live, "ack") if e["cmd"] == "torn" and e["status"] == "refused"])
    wait_until(lambda: not (live.dir / "control" / "1-torn.json").exists())


@pytest.mark.training
def test_save_makes_a_checkpoint_and_goes_on(live):
    step = acknowledged(live, live.send("save"))["step"]
    wait_until(lambda: [event for event in kinds(live, "checkpoint") if event["step"] == step])
    assert live.state() == "running"


@pytest.mark.training
def test_expressions_see_the_live_objects(live):
    assert live.peek("model.config.hidden_size") == 32
    assert live.peek("trainer.state.global_step", boundary=True) >= 1
    assert live.peek("batch['input_ids'].shape[0]", boundary=True) == 2
    with pytest.raises(RunError, match="ZeroDivisionError"):
        live.peek("1/0")
    with pytest.raises(RunError, match="NameError"):
        live.peek("nonsense", boundary=True)


@pytest.mark.training
def test_a_wrong_token_sees_nothing(live, tmp_path):
    address = json.loads((live.dir / "inspect.json").read_bytes())
    (tmp_path / "inspect.json").write_text(json.dumps({**address, "token": "0" * 32}))
    with pytest.raises(RunError, match="wrong token"):
        Run(tmp_path).peek("1")


@pytest.mark.training
def test_a_console_opens_on_the_live_kernel(live):
    client_of = pytest.importorskip("jupyter_client").BlockingKernelClient
    console = live.console()
    assert console["command"] == f"jupyter console --existing {live.dir / 'kernel.json'}"
    assert (live.dir / "kernel.json").stat().st_mode & 0o777 == 0o600
    assert live.console() == console  # a second request finds the first
    client = client_of()
    client.load_connection_file(console["connection_file"])
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        results = []
        client.execute_interactive(
            "type(trainer).__name__, trainer.model is model, model.config.hidden_size",
            timeout=60,
            output_hook=lambda message: results.append(message["content"].get("data", {}).get("text/plain")),
        )
    finally:
        client.stop_channels()
    assert "('SFTTrainer', True, 32)" in results
    before = steps_so_far(live)
    wait_until(lambda: steps_so_far(live) > before)


@pytest.mark.training
def test_readers_in_two_processes_see_one_log(live):
    code = (
        "import sys; from workbench.training.run import Run\n"
        "run = Run(sys.argv[1]); events, offset = run.events(limit=int(sys.argv[2]))\n"
        "print(len(events), events[-1]['seq'], offset, run.state())"
    )
    wait_until(lambda: (live.dir / "events.jsonl").stat().st_size > 20_000)
    ours, offset = live.events(limit=20_000)
    there = subprocess.run(
        [sys.executable, "-c", code, str(live.dir), "20000"],
        capture_output=True, text=True, timeout=60, env=clean_environment(),
    )  # fmt: skip
    assert there.stdout.split() == [str(len(ours)), str(ours[-1]["seq"]), str(offset), "running"], there.stderr


@pytest.mark.training
def test_a_live_run_shows_the_batch_of_its_next_step_and_of_one_to_come(live):
    from workbench.api.run import attach

    before = steps_so_far(live)
    shown = attach(live.dir).tap(60)
    assert shown.verdict["state"] == "agrees" and shown.verdict["step"] > before
    assert shown.losses is not None and shown.losses[0][0] is None
    later = steps_so_far(live) + 40
    assert attach(live.dir).batch(later).verdict["step"] == later
    with pytest.raises(RunError, match="step 1 cannot be captured"):
        attach(live.dir).batch(1)


@pytest.mark.training
def test_stop_ends_a_running_sample_leaves_a_checkpoint_and_lets_go(live):
    """Last of this file: it ends the run."""
    sample = live.sample("long", gen={"max_new_tokens": 1900, "min_new_tokens": 1900})
    next(iter(sample))
    stop = live.stop()
    assert live.wait(60) == "stopped"
    assert sample.result(60)["cut"]
    events = all_events(live)
    assert [event["seq"] for event in events] == list(range(len(events)))
    states = [event["state"] for event in events if event["kind"] == "state"]
    assert states[-2:] == ["stopping", "stopped"]
    assert kinds(live, "checkpoint")[-1]["step"] == events[-1]["step"] == steps_so_far(live)
    assert acknowledged(live, stop)["status"] == "done"
    assert commands.read(live.dir) == []
    assert not (live.dir / "out" / "final").exists()
    wait_until(lambda: not held(live.dir / "sup.lock"))
    with pytest.raises(RunError, match=r"stopped; it takes no 'pause'.*WB602"):
        live.pause()
    with pytest.raises(RunError, match="WB608"):
        live.peek("1")


@pytest.mark.training
def test_a_stop_during_the_imports_ends_the_process_at_once(tmp_path, tiny_model):
    run = launch(make_job(tiny_model), build_rows(), tmp_path)
    wait_until(lambda: kinds(run, "phase"))
    stop = run.stop()
    assert run.wait(60) == "stopped"
    assert [event["name"] for event in kinds(run, "phase")] == ["process"]
    assert [event["status"] for event in kinds(run, "ack") if event["cmd"] == stop] == ["accepted", "done"]
    assert commands.read(run.dir) == []
    assert "while starting" in run.snapshot()["message"]


def test_what_cannot_be_trained_is_refused_before_anything_is_made(tmp_path, tiny_model):
    import pyarrow as pa

    good, root = make_job(tiny_model), tmp_path / "runs"
    with pytest.raises(RecipeError, match="WB401"):
        launch({**good, "recipe": {**good["recipe"], "learning_rte": 1}}, build_rows(), root)
    with pytest.raises(ModelError, match="WB695"):
        launch({**good, "recipe": {**good["recipe"], "model": "./nowhere"}}, build_rows(), root)
    with pytest.raises(DataError, match=r"lack labels.*WB640"):
        launch(good, pa.table({"input_ids": [[1]]}), root)
    with pytest.raises(DataError, match="WB641"):
        launch(good, build_rows().slice(0, 0), root)
    with pytest.raises(DataError, match="lack seq_lengths"):
        launch({**good, "packed": True}, build_rows(), root)
    with pytest.raises(RunError, match="WB620"):
        launch({**good, "resume": str(tmp_path)}, build_rows(), root)
    assert not root.exists()


def test_the_trainer_gets_no_part_of_the_notebook_kernels_environment(monkeypatch):
    monkeypatch.setenv("JPY_PARENT_PID", "1")
    monkeypatch.setenv("JUPYTER_TOKEN", "secret")
    monkeypatch.setenv("WORKBENCH_TEST", "kept")
    environment = clean_environment()
    assert "JPY_PARENT_PID" not in environment and "JUPYTER_TOKEN" not in environment
    assert environment["WORKBENCH_TEST"] == "kept"
    assert environment["HF_HUB_DISABLE_TELEMETRY"] == "1"
