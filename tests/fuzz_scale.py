"""How many examples a property test draws.

Its own number is that of a thorough run, of which `make test` draws at most 200; `make fuzz` draws 20 times the number.
"""

import os
from collections.abc import Mapping
from typing import TypeVar

Value = TypeVar("Value")

ORDINARY_MOST = 200


def thorough() -> bool:
    """Whether a run takes all the time it needs."""
    return "WORKBENCH_FUZZ" in os.environ


def examples(number: int) -> int:
    """The number of examples to draw now."""
    return number * int(os.environ["WORKBENCH_FUZZ"]) if thorough() else min(number, ORDINARY_MOST)


def some_of(named: Mapping[str, Value], every: int) -> dict[str, Value]:
    """One of every so many, by name; all of them in a thorough run."""
    return {name: named[name] for name in (sorted(named) if thorough() else sorted(named)[::every])}
