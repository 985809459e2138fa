"""A log continued in a straight line: a repetition that is one token longer allocates what those before it say."""

from __future__ import annotations

from itertools import pairwise

from workbench.training.traced.recorder import Recorder


def continue_log(recorder: Recorder, marks: list[int], further: int, most: int) -> None:
    """Append further repetitions of a stretch of the log.

    Args:
        recorder: Whose log; its last event is the end of the last repetition.
        marks: Where repetitions of the stretch begin, and where the last ends. They must have the same operators; what
            one frees, it or one of these before it made.
        further: How many would follow; each grows by the same bytes as the last over the one before.
        most: How many are written, evenly spread, the last among them.
    """
    stretches = [recorder.events[start:end] for start, end in pairwise(marks)]
    pattern = stretches[-1]
    if any([size > 0 for _, size in one] != [size > 0 for _, size in pattern] for one in stretches):
        recorder.notes.append("generation: its steps differ, so only the first answer tokens are in the figures")
        return
    made = [[key for key, size in one if size > 0] for one in stretches]
    origin = made[-1]
    growth = [recorder.made[b - 1][0] - recorder.made[a - 1][0] for a, b in zip(made[-2], origin, strict=True)]
    places = {key: (back, place) for back, keys in enumerate(reversed(made)) for place, key in enumerate(keys)}
    count = min(further, most)
    for number in range(1, count + 1):
        tokens = round(number * further / count)
        made.append(list[int]())
        for key, size in pattern:
            if size > 0:
                place = len(made[-1])
                made[-1].append(_grown(recorder, origin[place], tokens * growth[place]))
            elif key in places:
                back, place = places[key]
                recorder.give(made[-1 - back][place])
    # what the last real repetitions hold goes when what took its place does
    for back in range(len(stretches)):
        recorder.follows |= dict(zip(made[len(stretches) - 1 - back], made[-1 - back], strict=True))


def _grown(recorder: Recorder, key: int, more: int) -> int:
    """Allocate what `key` did, and `more` bytes; the new key."""
    size, phase, module, operator = recorder.made[key - 1]
    return recorder.take(max(1, size + more), recorder.category.get(key, ""), (phase, module, operator))
