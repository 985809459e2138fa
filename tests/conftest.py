"""Fixtures for every test."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The project's shared test data, or a skip that says why."""
    folder = Path(os.environ.get("WORKBENCH_SHARED", ROOT.parent / "shared"))
    if not (folder / "testdata").is_dir():
        pytest.skip(f"shared test data not found at {folder.name}; set WORKBENCH_SHARED to run this")
    return folder


@pytest.fixture(autouse=True)
def isolated_state(tmp_path_factory, monkeypatch):
    """Keep run registers and hub look-ups of a test away from the person who runs it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Where browser tests are required, one that skips has failed."""
    outcome = yield
    report = outcome.get_result()
    required = os.environ.get("WORKBENCH_REQUIRE_BROWSER") and item.get_closest_marker("browser")
    if report.skipped and required and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, but browser tests are required: {report.longrepr}"
