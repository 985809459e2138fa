"""ZeRO's closed form against what DeepSpeed's own engine held on the CPU, from the committed table."""

import csv
from pathlib import Path

from tests.benchmarks.deepspeed_grid import PHASES, grid, ours


def runs():
    """Case -> measured bytes by phase."""
    rows = list(csv.DictReader((Path(__file__).parent / "deepspeed_grid.csv").open()))
    for number, case in enumerate(grid()):
        found = rows[number * len(PHASES) : (number + 1) * len(PHASES)]
        assert (int(found[0]["stage"]), found[0]["offload"]) == (case.stage, case.offload)
        yield case, {row["phase"]: int(row["bytes"]) for row in found}


def test_parameters_masters_state_and_buffers_between_steps_are_those_of_the_engine():
    for case, phases in runs():
        assert abs(ours(case)[0]["between"] / phases["between"] - 1) < 0.002, case


def test_the_highest_moment_of_a_step_is_within_three_percent():
    errors = []
    for case, phases in runs():
        # with a distance of 0 the engine keeps parameters all the same, which ours does not follow; products of 4-bit
        # weights are other ones on a CPU
        if case.reuse and not case.quantised:
            errors.append(abs(max(ours(case)[0].values()) / max(phases.values()) - 1))
    assert max(errors) < 0.03
    assert sorted(errors)[len(errors) // 2] < 0.005
