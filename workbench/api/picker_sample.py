"""Rows the picker reads: which of them fit, how long they are in tokens, how one looks rendered.

    sample = Sample(data.source)
    sample.read(data)                       ->  Reading(looked, misfits, examples)
    lengths(reading, setting)               ->  {row: tokens}

Everything is made of a sample and kept, so that a change costs what it changes and no more. A change is answered from
a part of the sample (`briefly`); the whole of it follows.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from workbench.api.data import Data, _columns_seen
from workbench.api.picker_cells import Row, kind, named
from workbench.rows.files.load import RowSource
from workbench.rows.files.streams import StreamRows
from workbench.tokens.sequences import sequences
from workbench.tokens.setting import Setting
from workbench.types import (
    Conversation,
    Example,
    Finding,
    Preference,
    PromptOnly,
    TokenizedExample,
    Unpaired,
)

READ_ROWS = 2_000
"""Rows that are converted to say how many fit."""
MEASURED_ROWS = 400
"""Rows whose length is measured; the histogram says so."""
BRIEF_READ, BRIEF_MEASURED = 300, 60
"""The same while a change is answered: a person waits for it."""
MEASURED_CHARACTERS = 1_000_000
"""Where the measured rows reach this many characters, measuring ends: looking at data must not take minutes."""
PREVIEW_ROWS = 5
LOOKED_INTO = 50
"""Rows, of those found not to fit in the whole file, that are converted to say why."""
SEED = 0


@dataclass(frozen=True)
class Reading:
    """Sampled rows read as one type.

    Attributes:
        looked: Rows that were converted.
        misfits: Rows that cannot be used, with the first error of each.
        examples: Usable rows to measure, in the order they are measured.
        whole: Whether these are all rows of the sample.
        lengths: Tokens of each measured row, by what they were measured with.
    """

    looked: tuple[int, ...]
    misfits: Mapping[int, Finding]
    examples: tuple[Example, ...] = ()
    whole: bool = True
    lengths: dict[Any, dict[int, int]] = field(default_factory=dict[Any, dict[int, int]])

    @property
    def is_chat(self) -> bool:
        """Whether rows need a chat template."""
        return any(is_chat(example) for example in self.examples[:20])


class Sample:
    """Rows of a source, drawn once.

    Args:
        source: Opened rows; of a stream only the first ones are taken.
    """

    def __init__(self, source: RowSource) -> None:
        self.source = source
        rows = source.rows
        self.complete = not isinstance(rows, StreamRows) or rows.ended
        if isinstance(rows, StreamRows) and not rows.ended:
            rows.first(READ_ROWS)
            self.complete = rows.ended
        self.count = rows.known if isinstance(rows, StreamRows) else len(rows)
        self._drawn = _drawn(self.count)
        self._readings: dict[Any, Reading] = {}

    @cached_property
    def rows(self) -> Mapping[int, Row]:
        """The drawn rows by number, in order."""
        return {i: named(self.source.rows[i]) for i in sorted(self._drawn)}

    @cached_property
    def shapes(self) -> dict[str, list[frozenset[str]]]:
        """Columns of the first rows with the shapes of their values, as `wb.data` guesses columns by."""
        return _columns_seen([self.source.rows[i] for i in range(min(200, self.count))])

    @cached_property
    def names(self) -> list[str]:
        """Names of all columns, in the order they come."""
        return list(dict.fromkeys(name for row in self.rows.values() for name in row))

    @cached_property
    def kinds(self) -> dict[str, str]:
        """What each column holds, in a few words."""
        return {name: kind([row.get(name) for row in self.rows.values()]) for name in self.names}

    def read(self, data: Data, *, briefly: bool = False) -> Reading:
        """The drawn rows read as the data says; made once for each way of reading.

        Args:
            data: How to read them.
            briefly: Whether a part of them will do.
        """
        key = _key(data)
        known = self._readings.get(key)
        if known is None or not (known.whole or briefly):
            self._readings[key] = known = self._read(data, briefly)
        return known

    def look_into(self, data: Data, rows: Iterable[int]) -> Reading:
        """The reading with some rows more that may not fit; rows that can be used after all are left out."""
        reading, every = self.read(data), replace(data, left_out=())
        misfits = dict(reading.misfits)
        for row in [row for row in rows if row not in misfits][:LOOKED_INTO]:
            example, found = every.converted(row)
            if example is None:
                misfits[row] = next(item for item in found if item.severity == "error")
        self._readings[_key(data)] = replace(reading, misfits=dict(sorted(misfits.items())))
        return self._readings[_key(data)]

    def _read(self, data: Data, briefly: bool) -> Reading:
        if data.type is None:
            return Reading((), {})
        every = replace(data, left_out=())
        most, measured = (BRIEF_READ, BRIEF_MEASURED) if briefly else (READ_ROWS, MEASURED_ROWS)
        misfits: dict[int, Finding] = {}
        examples: list[Example] = []
        characters = 0
        looked = dict.fromkeys((*self._drawn[:most], *self._doubtful(data)))
        for row in looked:
            example, found = every.converted(row)
            if example is None:
                misfits[row] = next(item for item in found if item.severity == "error")
            elif characters < MEASURED_CHARACTERS and len(examples) < measured:
                examples.append(example)
                characters += _characters(data[row])
        whole = not briefly or len(self._drawn) <= BRIEF_MEASURED
        return Reading(tuple(sorted(looked)), dict(sorted(misfits.items())), tuple(examples), whole)

    def _doubtful(self, data: Data) -> list[int]:
        """Rows to look at whatever was drawn: detection, or another way of reading, found that they do not fit."""
        counter = [i for match in data.matches if match.type == data.type for i in match.counter_examples]
        known = [i for reading in self._readings.values() for i in list(reading.misfits)[:LOOKED_INTO]]
        return [i for i in dict.fromkeys((*counter, *known)) if i < self.count]

    def first(self, data: Data, reading: Reading) -> Example | None:
        """The first row that can be used and is not left out."""
        for row in range(min(READ_ROWS, self.count)):
            if row not in reading.misfits and row not in data.left_out:
                example, _ = data.converted(row)
                if example is not None:
                    return example
        return None


def _key(data: Data) -> Any:
    return data.type, tuple(sorted(data.columns.items())), repr(data.options.changed())


def _drawn(count: int) -> Sequence[int]:
    """Row numbers in the order they are measured; all of them where there are few."""
    if count <= READ_ROWS:
        taken = list(range(count))
        random.Random(SEED).shuffle(taken)
        return taken
    return random.Random(SEED).sample(range(count), READ_ROWS)


def is_chat(example: Example) -> bool:
    """Whether a row is made of messages, which need a chat template."""
    if isinstance(example, Preference):
        return isinstance(example.chosen, Conversation)
    if isinstance(example, Unpaired):
        return isinstance(example.answer, Conversation)
    if isinstance(example, PromptOnly):
        return isinstance(example.prompt, Conversation)
    return isinstance(example, Conversation)


def _characters(value: object) -> int:
    """Characters of all text in a value."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(_characters(item) for item in value.values())
    if isinstance(value, list | tuple):
        return sum(_characters(item) for item in value)
    return 8


def lengths(reading: Reading, setting: Setting, key: Any, *, briefly: bool = False) -> dict[int, int]:
    """Tokens of each measured row; of a row with two answers, of the longer one.

    Args:
        reading: The rows.
        setting: With no max_length.
        key: What of the setting lengths depend on; they are measured once for each.
        briefly: Whether some of the rows will do, where they are not measured yet.
    """
    if key in reading.lengths:
        return reading.lengths[key]
    chosen = reading.examples[:BRIEF_MEASURED] if briefly else reading.examples
    made = {parts[0].row: max(len(part.input_ids) for part in parts) for parts in _usable(sequences(chosen, setting))}
    if len(chosen) == len(reading.examples):
        reading.lengths[key] = made
    return made


def _usable(
    made: Iterable[tuple[TokenizedExample, ...] | Finding],
) -> Iterator[tuple[TokenizedExample, ...]]:
    for parts in made:
        if not isinstance(parts, Finding) and parts:
            yield parts
