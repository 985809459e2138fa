"""Any process may be killed at any moment; the log stays whole and the state stays true."""

import contextlib
import json
import os
import signal
import subprocess
import sys

import pytest
from tiny_run import ROOT, all_events, build_rows, kinds, make_job, wait_until

from workbench.training import commands
from workbench.training.checkpoint import sha256, verify
from workbench.training.durable_io import held
from workbench.training.events import EventReader
from workbench.training.launchers import Spare, launch
from workbench.training.store import find_run

pytestmark = pytest.mark.faults


def pids(run):
    known = json.loads((run.dir / "proc.json").read_bytes())
    return known["pid"], known["supervisor"]


def exists(pid):
    """Whether a process runs; one that only waits to be reaped does not."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] != "Z"
    return False


def dense(run):
    events = all_events(run)
    return [event["seq"] for event in events] == list(range(len(events)))


def test_a_killed_trainer_is_written_down_by_its_supervisor(running):
    run = running()
    trainer, _ = pids(run)
    os.kill(trainer, signal.SIGSTOP)  # so that the commands are open when it dies
    left = run.pause()
    os.kill(trainer, signal.SIGKILL)
    assert run.wait(60) == "died"
    wait_until(lambda: not held(run.dir / "sup.lock"))
    died = run.status().event
    assert (died["state"], died["rc"], died["signal"], died["oom"]) == ("died", -9, "SIGKILL", False)
    assert died["step"] == kinds(run, "step")[-1]["step"]
    assert "Loading weights" in died["log_tail"]
    assert [(ack["cmd"], ack["status"]) for ack in kinds(run, "ack")] == [(left, "refused")]
    assert commands.read(run.dir) == [] and dense(run)
    assert "SIGKILL" in run.snapshot()["message"]


def test_a_run_goes_on_without_its_supervisor_and_can_be_stopped(running):
    run = running()
    trainer, supervisor = pids(run)
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: not held(run.dir / "sup.lock"))
    before = kinds(run, "step")[-1]["step"]
    wait_until(lambda: kinds(run, "step")[-1]["step"] > before + 2)
    assert run.state() == "running"
    run.stop()
    assert run.wait(60) == "stopped"
    assert verify(run.dir / kinds(run, "checkpoint")[-1]["path"])
    wait_until(lambda: not exists(trainer))
    assert dense(run)


def test_with_both_gone_every_reader_derives_died(running):
    run = running()
    trainer, supervisor = pids(run)
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: not exists(supervisor))
    os.kill(trainer, signal.SIGKILL)
    wait_until(lambda: run.state() == "died")
    assert run.status().event["state"] == "running"  # nobody was left to write it
    assert run.wait(60) == "died" and dense(run)
    assert run.snapshot()["message"] == "The training process is gone."


def test_without_a_supervisor_the_caller_presses_a_stop(running):
    run = running()
    trainer, supervisor = pids(run)
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: not held(run.dir / "sup.lock"))
    os.kill(trainer, signal.SIGSTOP)
    run.stop(grace_s=0.3)
    wait_until(lambda: run.state() == "died")
    assert not exists(trainer)


def test_the_supervisor_presses_a_stop_that_a_hung_trainer_does_not_take(running):
    run = running()
    trainer, _ = pids(run)
    os.kill(trainer, signal.SIGSTOP)
    stop = commands.send(run.dir, "stop", grace_s=0.3)  # as a panel does: only a file
    assert run.wait(60) == "died"
    died = run.status().event
    assert died["signal"] == "SIGKILL"
    assert died["reason"] == "stop was not taken within 0.45 s; SIGKILL sent"
    assert [(ack["cmd"], ack["status"]) for ack in kinds(run, "ack")] == [(stop, "refused")]
    assert not exists(trainer)


def test_one_sigterm_stops_with_a_checkpoint(running):
    run = running()
    os.kill(pids(run)[0], signal.SIGTERM)
    assert run.wait(60) == "stopped"
    assert kinds(run, "checkpoint")[-1]["step"] == run.status().event["step"]
    assert [(ack["cmd"], ack["status"]) for ack in kinds(run, "ack")] == [("signal", "accepted"), ("signal", "done")]


def test_a_second_signal_ends_without_a_checkpoint(running):
    run = running()
    trainer, _ = pids(run)
    os.kill(trainer, signal.SIGSTOP)
    os.kill(trainer, signal.SIGTERM)
    os.kill(trainer, signal.SIGINT)
    os.kill(trainer, signal.SIGCONT)
    assert run.wait(60) == "stopped"
    assert "second signal" in run.status().event["reason"]
    assert kinds(run, "checkpoint") == []


def test_a_killed_run_resumes_from_its_newest_whole_checkpoint_to_the_same_end(spare, tiny_model, tmp_path):
    recipe = {"max_steps": 30, "save_steps": 1, "lora_dropout": 0.1}

    def start(**members):
        wait_until(lambda: spare.state == "ready", 120)
        run = launch(make_job(tiny_model, recipe=recipe, **members), build_rows(), tmp_path / "runs", spare)
        spare.warm()
        return run

    whole = start()
    killed = start()
    wait_until(lambda: len(kinds(killed, "step")) > 9, 120)
    killed.kill()  # wherever it is; every step saves, so as a rule inside a checkpoint
    assert whole.wait(120) == "completed" and killed.wait(60) == "died"
    newest = killed.newest_checkpoint()
    assert newest == killed.dir / kinds(killed, "checkpoint")[-1]["path"]
    resumed = start(resume=str(newest))
    assert resumed.wait(120) == "completed"
    done = int(newest.name.rpartition("-")[2])
    losses = [[event["loss"] for event in kinds(run, "metric") if "loss" in event] for run in (whole, resumed)]
    assert losses[0][done:] == losses[1] and len(losses[1]) == 30 - done
    weights = [sha256(run.dir / "out" / "final" / "adapter_model.safetensors") for run in (whole, resumed)]
    assert weights[0] == weights[1]


OWNER = """
import json, os, sys, time
import pyarrow.parquet
from workbench.training.launchers import Spare, launch
what, model, root = sys.argv[1:]
spare = Spare().warm()
if what == "warm":
    while spare.state == "warming":
        time.sleep(0.05)
if what in ("warm", "cold"):
    job = {"recipe": {"model": model, "max_steps": 60, "per_device_train_batch_size": 2}, "threads": 1}
    print(launch(job, root + "/rows.parquet", root + "/runs", spare if what == "warm" else None).id, flush=True)
else:
    print(spare._process.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def owner(tmp_path, tiny_model):
    """Starts a process that launches, or only keeps a spare, and returns it with its one line of output."""
    import pyarrow.parquet as pq

    pq.write_table(build_rows(), tmp_path / "rows.parquet")
    started = []

    def start(what):
        process = subprocess.Popen(
            [sys.executable, "-c", OWNER, what, str(tiny_model), str(tmp_path)],
            stdout=subprocess.PIPE, text=True, start_new_session=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        started.append(process)
        return process, process.stdout.readline().strip()

    yield start
    for process in started:
        process.kill()
        process.wait(10)
        process.stdout.close()


def children(pid):
    out = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, IndexError), open(f"/proc/{name}/stat") as stat:
                if int(stat.read().rpartition(")")[2].split()[1]) == pid:
                    out.append(int(name))
    return out


@pytest.mark.parametrize("what", ["warm", "cold"])
def test_a_run_survives_the_process_that_launched_it(owner, tmp_path, what):
    process, run_id = owner(what)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
    run = find_run(run_id, tmp_path / "runs")
    assert run.wait(120) == "completed"
    assert kinds(run, "step")[-1]["step"] == 60 and dense(run)
    assert verify(run.dir / "out" / "final")


@pytest.mark.parametrize("moment", ["starting", "importing"])
def test_a_spare_dies_with_its_owner(owner, moment):
    process, supervisor = owner("spare")
    if moment == "importing":
        wait_until(lambda: children(int(supervisor)))
    (spare,) = wait_until(lambda: children(int(supervisor)))
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    wait_until(lambda: not exists(int(supervisor)) and not exists(spare))


def test_a_ready_spare_dies_with_its_owner_or_its_supervisor(spare):
    for victim in ("owner", "supervisor"):
        mine = Spare().warm()
        wait_until(lambda mine=mine: mine.state == "ready", 120)
        supervisor = mine._process.pid
        (child,) = children(supervisor)
        if victim == "owner":
            mine.close()
        else:
            os.kill(supervisor, signal.SIGKILL)
        wait_until(lambda child=child: not exists(child))
        assert mine.state == "cold"


def test_a_launch_through_a_dead_spare_starts_a_cold_trainer(tiny_model, tmp_path):
    spare = Spare().warm()
    wait_until(lambda: children(spare._process.pid))
    os.kill(children(spare._process.pid)[0], signal.SIGKILL)
    run = launch(make_job(tiny_model, recipe={"max_steps": 2}), build_rows(), tmp_path / "runs", spare)
    assert run.wait(120) == "completed" and dense(run)


ACKNOWLEDGED = """
import os, sys
from pathlib import Path
from workbench.training.durable_io import EventWriter, Lock
run = Path(sys.argv[1]); lock = Lock(run / "run.lock"); assert lock.take(10); log = EventWriter(run, lock)
while True:
    os.write(1, b"%d\\n" % log.emit("step", step=log.seq, text="x" * (log.seq % 300)))
"""


def test_no_acknowledged_event_is_lost_whenever_the_writer_is_killed(tmp_path):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    acknowledged = -1
    for kill_after in (1, 7, 60, 300, 1500, 4000):
        command = [sys.executable, "-c", ACKNOWLEDGED, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=env) as writer:
            for _ in range(kill_after):
                acknowledged = int(writer.stdout.readline())
            writer.kill()
            for line in writer.stdout.read().splitlines():
                acknowledged = max(acknowledged, int(line))
        reader = EventReader(tmp_path)
        numbers = [event["seq"] for event in reader.all()]
        assert numbers == list(range(len(numbers))) and reader.bad_count == 0
        assert len(numbers) > acknowledged
