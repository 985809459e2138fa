"""A run directory made by the store itself, and a server with our routes."""

from pathlib import Path

import pytest
from server_runs import JOB, LiveRun

from workbench.server import _load_jupyter_server_extension
from workbench.training.store import create_run


@pytest.fixture
def runs_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The present runs root, empty."""
    root = tmp_path / "runs"
    monkeypatch.setenv("WORKBENCH_RUNS", str(root))
    return root


@pytest.fixture
def live_run(runs_root: Path):
    """A run that is training, at step 0."""
    run = LiveRun(create_run(JOB, lambda path: path.write_bytes(b""), runs_root))
    yield run
    if run.lock.taken:
        run.kill()


@pytest.fixture
def server(jp_serverapp):
    """A Jupyter server with our routes."""
    _load_jupyter_server_extension(jp_serverapp)
    return jp_serverapp
