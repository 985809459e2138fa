"""Which stretches of a row's text came from which field of the data, and from which characters of it.

sources_of(runs, (0, 120), index)  ->  [[12, 40, 3, 0], …]   characters 12 to 39 are characters 0 to 27 of field 3
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from workbench.tracked import Run

Source = list[int]
"""First character, one past the last, index of the field, offset of the first character within the field."""


def sources_of(runs: Sequence[Run], within: tuple[int, int], index: Callable[[str], int]) -> list[Source]:
    """Stretches of data in text order; what lies between them the template wrote.

    Args:
        runs: Origins of the whole text.
        within: Characters (from, to) that are asked about; a stretch over an edge is given whole.
        index: Gives a field its place in the row's table.
    """
    low, high = within
    found: list[Source] = []
    at = 0
    for run in runs:
        start, at = at, at + run.length
        field = run.origin.field if run.origin else None
        if field is None or not run.length or at <= low or start >= high:
            continue
        number = index(field)
        last = found[-1] if found else None
        if last and last[1] == start and last[2] == number and last[3] + last[1] - last[0] == run.start:
            last[1] = at
        else:
            found.append([start, at, number, run.start])
    return found
