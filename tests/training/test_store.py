import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tiny_run import ROOT

from workbench.errors import RunError
from workbench.training import status
from workbench.training.durable_io import EventWriter, Lock
from workbench.training.run import Run
from workbench.training.store import create_run, find_run, known_roots, list_runs, runs_root


def make_run(root, **job):
    return create_run(
        {"name": "a run", "samples": {"prompts": []}, **job}, lambda path: path.write_bytes(b"rows"), root
    )


def log_events(run, *events):
    """Append events, then let go of the run."""
    with Lock(run.dir / "run.lock") as lock:
        assert lock.take()
        log = EventWriter(run.dir, lock)
        for kind, members in events:
            log.emit(kind, **members)
        log.close()


def test_a_new_run_is_private_whole_and_queued(tmp_path):
    run = make_run(tmp_path / "runs")
    assert run.dir.stat().st_mode & 0o777 == 0o700
    assert run.id.startswith("0001-") and run.id == run.dir.name
    assert run.job["id"] == run.id and run.job["version"] == 1 and run.name == "a run"
    assert run.state() == "queued"
    assert {p.name for p in run.dir.iterdir()} >= {"job.json", "rows.parquet", "events.jsonl", "control", "out"}


def test_runs_are_found_by_id_number_and_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "runs"))
    first, second = make_run(None), make_run(None)
    assert runs_root() == (tmp_path / "runs").resolve()
    assert (
        find_run(second.id).dir == second.dir == find_run(2).dir == find_run("2").dir == find_run(str(second.dir)).dir
    )
    assert find_run("0001").dir == first.dir
    assert [run.id for run in list_runs()] == [second.id, first.id]
    with pytest.raises(RunError, match=r"no run '7'.*WB601"):
        find_run(7)


def test_every_root_that_held_a_run_is_remembered(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "here"))
    elsewhere = make_run(tmp_path / "elsewhere")
    make_run(tmp_path / "elsewhere")
    assert known_roots() == [(tmp_path / "elsewhere").resolve()]
    assert find_run(elsewhere.id).dir == elsewhere.dir
    register = Path(os.environ["XDG_STATE_HOME"]) / "finetune-workbench" / "roots"
    assert register.read_text() == f"{(tmp_path / 'elsewhere').resolve()}\n"


def test_launches_at_once_get_different_numbers(tmp_path):
    runs = []
    threads = [threading.Thread(target=lambda: runs.append(make_run(tmp_path / "runs"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(int(run.id[:4]) for run in runs) == list(range(1, 9))


def test_a_directory_that_was_never_finished_is_no_run(tmp_path):
    run = make_run(tmp_path / "runs")
    (tmp_path / "runs" / "0002-abcd").mkdir()
    assert [found.id for found in list_runs(tmp_path / "runs")] == [run.id]
    assert make_run(tmp_path / "runs").id.startswith("0003-")


def test_a_damaged_job_does_not_hide_the_other_runs(tmp_path):
    good, bad = make_run(tmp_path / "runs"), make_run(tmp_path / "runs")
    (bad.dir / "job.json").write_text('{"cre')
    assert [run.id for run in list_runs(tmp_path / "runs")] == [good.id, bad.id]
    with pytest.raises(RunError, match="WB601"):
        _ = Run(bad.dir).job


@pytest.mark.parametrize("name", ["run.lock", "sup.lock"])
def test_a_run_lives_while_a_lock_is_held_and_is_dead_after(tmp_path, name):
    run = make_run(tmp_path / "runs")
    log_events(run, ("state", {"state": "running", "step": 0, "max_steps": 5}))
    with Lock(run.dir / name) as lock:
        assert lock.take()
        assert run.state() == "running"
    assert run.state() == "died"
    assert run.status().over


def test_a_terminal_state_stays_whatever_the_locks_say(tmp_path):
    run = make_run(tmp_path / "runs")
    log_events(run, ("state", {"state": "completed", "step": 5}))
    with Lock(run.dir / "run.lock") as lock:
        assert lock.take()
        assert run.state() == "completed"
    assert run.state() == "completed"


def test_silence_of_a_running_run_is_a_flag_not_a_state(tmp_path, monkeypatch):
    run = make_run(tmp_path / "runs")
    log_events(run, ("state", {"state": "running", "step": 0}), ("step", {"step": 1, "dt": 3.0}))
    now = time.time()
    with Lock(run.dir / "run.lock") as lock:
        assert lock.take()
        monkeypatch.setattr(status.time, "time", lambda: now + 20)
        assert (run.status().state, run.status().stalled) == ("running", False)  # 10 median steps are 30 s
        monkeypatch.setattr(status.time, "time", lambda: now + 40)
        assert (run.status().state, run.status().stalled) == ("running", True)
    assert (run.status().state, run.status().stalled) == ("died", False)


def test_a_summary_reads_what_the_log_says(tmp_path):
    run = make_run(tmp_path / "runs")
    log_events(
        run,
        ("state", {"state": "running", "step": 0, "max_steps": 9}),
        ("step", {"step": 1, "dt": 0.1}),
        ("metric", {"step": 1, "loss": 2.5}),
        ("metric", {"step": 1, "train_runtime": 1.0}),
        ("state", {"state": "failed", "step": 1, "error": "x"}),
    )
    summary = run.summary()
    assert summary["created"] == run.job["created"]
    del summary["created"]
    expected = {"id": run.id, "name": "a run", "state": "failed", "step": 1, "max_steps": 9, "loss": 2.5}
    assert summary == expected


def test_nothing_is_sent_to_a_run_that_is_over(tmp_path):
    run = make_run(tmp_path / "runs")
    log_events(run, ("state", {"state": "completed", "step": 5}))
    with pytest.raises(RunError, match=r"completed; it takes no 'pause'.*WB602"):
        run.pause()
    assert os.listdir(run.dir / "control") == []


def test_looking_at_runs_imports_nothing_heavy():
    code = (
        "import sys, workbench.training.store, workbench.training.launchers, workbench.training.supervisor\n"
        "heavy = {'torch', 'transformers', 'datasets', 'trl', 'peft', 'numpy', 'pyarrow', 'pandas', 'IPython'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert json.loads(done.stdout.replace("'", '"')) == [], done.stderr
