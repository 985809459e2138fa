"""How many examples a property test draws: its own number, times $WORKBENCH_FUZZ (`make fuzz` sets 20)."""

import os


def examples(number: int) -> int:
    """The number of examples to draw now."""
    return number * int(os.environ.get("WORKBENCH_FUZZ", "1"))
