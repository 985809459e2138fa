"""Fixtures of the fault tests: the training tests' tiny model, and launches that overlap their imports."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "training"))

from tiny_run import build_model, build_rows, kinds, make_job, wait_until

from workbench.training.launchers import Spare, launch


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """Folder of a model with 35 k parameters."""
    return build_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def spare():
    """A spare that is warmed again while a test looks at the run it became."""
    spare = Spare().warm()
    yield spare
    spare.close()


@pytest.fixture
def running(spare, tiny_model, tmp_path):
    """Launches an endless run and waits for its third step; kills it after the test."""
    runs = []

    def start(**members):
        job = make_job(tiny_model, recipe={"max_steps": 100_000}, **members)
        wait_until(lambda: spare.state == "ready", 120)
        run = launch(job, build_rows(), tmp_path / "runs", spare)
        runs.append(run)
        spare.warm()
        wait_until(lambda: len(kinds(run, "step")) > 2, 120)
        return run

    yield start
    for run in runs:
        run.kill()
