"""What finished runs teach: constants of this machine, for its own card and for host memory only."""

import json
from dataclasses import replace

import pytest

from workbench.api.memory import estimate_recipe
from workbench.memory.calibration import KEPT, constants, record, refined, state_file
from workbench.memory.cards import card_named
from workbench.memory.figures import GIB, Interval
from workbench.recipes import Recipe

HERE = replace(card_named("L4"), local="NVIDIA L4")


@pytest.fixture
def made():
    return estimate_recipe(Recipe(), 64).estimate


def test_the_newest_runs_count_and_others_do_not(made):
    for index in range(KEPT + 5):
        assert record("cuda", "NVIDIA L4", 2**28 + index, f"run {index}")
    record("cuda", "NVIDIA A100", 2**29, "other")
    found = constants("cuda", "NVIDIA L4")
    assert (found.low, found.high, found.runs) == (2**28 + 5, 2**28 + KEPT + 4, KEPT)
    assert constants("cpu") is None


def test_only_this_machines_card_is_refined_and_the_estimate_says_so(made):
    record("cuda", "NVIDIA L4", 2**28, "r")
    after, said = refined(made, HERE)
    assert after.context == Interval(2**28, 2**28)
    assert after.shown.high == made.reserved.high + 2**28
    assert "1 run" in said[0] and "WORKBENCH_REFINE" in said[0]
    for other in (None, card_named("L4"), replace(HERE, local="NVIDIA A100")):
        assert refined(made, other) == (made, [])


def test_host_memory_gets_the_overhead_of_a_process():
    record("cpu", "", GIB // 2, "r")
    found = estimate_recipe(Recipe(), 64, device="cpu")
    assert found.nvidia_smi_bytes == found.live_bytes + GIB // 2
    assert any("refined from 1 run" in sentence for sentence in found.assumptions)
    assert not any("refined" in sentence for sentence in estimate_recipe(Recipe(), 64).assumptions)


def test_it_can_be_switched_off(monkeypatch, made):
    record("cuda", "NVIDIA L4", 2**28, "r")
    monkeypatch.setenv("WORKBENCH_REFINE", "off")
    assert refined(made, HERE) == (made, [])
    assert not record("cuda", "NVIDIA L4", 2**28, "r")
    monkeypatch.delenv("WORKBENCH_REFINE")
    assert constants("cuda", "NVIDIA L4").runs == 1


def test_readings_gone_wrong_and_damaged_lines_are_passed_over():
    for size in (0, -5, 2**60):
        assert not record("cuda", "x", size, "r")
    state_file().parent.mkdir(parents=True, exist_ok=True)
    lines = ["{", "[]", "3", json.dumps({"device": "cpu"}), json.dumps({"device": "cpu", "card": "", "bytes": "many"})]
    state_file().write_text("\n".join([*lines, json.dumps({"device": "cpu", "card": "", "bytes": 7})]) + "\n\xff")
    assert constants("cpu").runs == 1


def test_a_folder_that_cannot_be_written_is_no_error(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert not record("cpu", "", 5, "r")
    assert constants("cpu") is None
