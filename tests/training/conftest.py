"""Fixtures of the training kernel's tests: one tiny model, and one process that trains many jobs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_run import ROOT, build_model

TRAIN_ALL = """
import sys
from pathlib import Path
from workbench.training.attempt import Attempt, listen, stop_starting
from workbench.training.worker import heavy_imports, train_run
heavy_imports()
for line in sys.stdin:
    listen(stop_starting)
    train_run(Attempt(Path(line.strip())), lambda: None)
    print("done", flush=True)
"""


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """Folder of a model with 25 k parameters."""
    return build_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def trainer_process(tmp_path_factory):
    """Trains run directories one after the other in one process, so that imports are paid once."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    log = (tmp_path_factory.mktemp("trainer") / "log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-c", TRAIN_ALL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment
    )
    yield process
    process.stdin.close()
    process.stdout.close()
    process.wait(30)
    log.close()


@pytest.fixture
def train(trainer_process, tmp_path):
    """Train a job to its end and return its run."""
    from workbench.training.launchers import _rows_writer, complete_job
    from workbench.training.store import create_run

    def train_one(job, rows, expected=None):
        whole = complete_job(job)
        run = create_run(whole, _rows_writer(rows, packed=whole["packed"]), tmp_path / "runs", expected)
        trainer_process.stdin.write(f"{run.dir}\n".encode())
        trainer_process.stdin.flush()
        assert trainer_process.stdout.readline() == b"done\n"
        return run

    return train_one


@pytest.fixture
def run_dir(tmp_path) -> Path:
    """An empty run directory."""
    for name in ("control", "captured", "out"):
        (tmp_path / "0001-test" / name).mkdir(parents=True)
    return tmp_path / "0001-test"
