"""What would make a run fit: single changes, each with its saving, cost and code; and the fewest that fit together.

    found = remedies(architecture, settings, rows, card)
    found.single[0].saving, found.single[0].word, found.single[0].code, found.together

Every change is evaluated by the closed form, none is guessed: a change that saves nothing here is not listed. The
changes are those of `workbench.memory.remedy_table`. Pure, a few milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from workbench.adapters import Adapter
from workbench.errors import RecipeError
from workbench.memory.architecture import Architecture
from workbench.memory.figures import Estimate, Word
from workbench.memory.remedy_table import TABLE, Change, Run, Said
from workbench.memory.search import Rows
from workbench.memory.settings import AnalyticSettings
from workbench.memory.sharded import evaluate

LEAST_SHARE = 0.01
"""Of what is shown now: a smaller saving is no remedy."""

MOST_TOGETHER = 4
"""Changes that are proposed together at most."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """One change.

    Attributes:
        name: Of the change, short and stable.
        title: What to do, in words.
        cost: What it costs, in words.
        code: Python that estimates a `recipe` with it.
        saving: Bytes that nvidia-smi would show less, the middle of the interval.
        live: Live bytes after it.
        reserved: Upper end of what is reserved after it.
        word: Verdict after it; None without a card.
    """

    name: str
    title: str
    cost: str
    code: str
    saving: int
    live: int
    reserved: int
    word: Word | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, JSON-ready."""
        return {
            "name": self.name,
            "title": self.title,
            "cost": self.cost,
            "code": self.code,
            "saving_bytes": self.saving,
            "live_bytes": self.live,
            "reserved_bytes": self.reserved,
            "verdict": self.word,
        }


@dataclass(frozen=True, slots=True)
class Remedies:
    """What would make a run fit.

    Attributes:
        single: One change each, largest saving first.
        together: The fewest changes that fit together, where no single one does; empty where one does, the run fits
            already, or nothing in the table is enough.
        after: The run with them all as a remedy of its own.
        further: Changes beyond the table: those of `workbench.memory.further`.
    """

    single: tuple[Remedy, ...] = ()
    together: tuple[Remedy, ...] = ()
    after: Remedy | None = None
    further: tuple[Remedy, ...] = ()

    @property
    def all(self) -> tuple[Remedy, ...]:
        """Every single change, largest saving first."""
        return tuple(sorted((*self.single, *self.further), key=lambda remedy: -remedy.saving))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, JSON-ready."""
        return {
            "single": [remedy.to_dict() for remedy in self.all],
            "together": [remedy.name for remedy in self.together],
            "after": self.after.to_dict() if self.after else None,
        }


def remedies(
    architecture: Architecture, settings: AnalyticSettings, rows: Rows, card: int | None, adapter: Adapter = "lora"
) -> Remedies:
    """What would make a run fit a card, or need less where there is none.

    Args:
        architecture: The model's shapes.
        settings: The run as it is.
        rows: How its batch comes about.
        card: Bytes that torch sees; None lists savings without verdicts.
        adapter: The recipe's, so that code says what is changed of it.
    """
    run = Run(settings, rows, "none" if settings.full else adapter)
    before = evaluate(architecture, settings)
    least = max(1, round(LEAST_SHARE * shown(before)))

    def word(changed: Run) -> Word | None:
        made = evaluate(architecture, changed.settings)  # a setting that the formula does not know says so here
        return None if card is None else made.verdict(card).word

    found, applicable = list[Remedy](), list[Change]()
    for change in TABLE:
        made = _made(change, run, word)
        if made is not None:
            applicable.append(change)
            found.append(_remedy(change, run, made, before, evaluate(architecture, made.settings), word(made)))
    listed = [remedy for remedy in found if remedy.saving >= least]
    single = tuple(sorted(listed, key=lambda remedy: -remedy.saving))
    if card is None or word(run) == "fits" or any(remedy.word == "fits" for remedy in single):
        return Remedies(single)
    steps, after = _together(architecture, run, before, applicable, word)
    return Remedies(single, steps, after)


def shown(made: Estimate) -> int:
    """What nvidia-smi would show, the middle of the interval, in bytes."""
    return (made.shown.low + made.shown.high) // 2


def _made(change: Change, run: Run, word: Callable[[Run], Word | None]) -> Run | None:
    try:
        made = change.make(run, word)
        if made is not None:
            word(made)
    except RecipeError:  # a setting that the formula does not know is no proposal
        return None
    return made


def _remedy(change: Change, run: Run, made: Run, before: Estimate, after: Estimate, word: Word | None) -> Remedy:
    return Remedy(
        change.name,
        change.title(made),
        change.cost(run, made),
        change.says(made).code(),
        shown(before) - shown(after),
        after.hard_minimum,
        after.reserved.high,
        word,
    )


def _together(
    architecture: Architecture,
    run: Run,
    before: Estimate,
    applicable: list[Change],
    word: Callable[[Run], Word | None],
) -> tuple[tuple[Remedy, ...], Remedy | None]:
    """The fewest changes that fit together, also such that save nothing alone: another moment was the highest.

    Changes are made in the order of the table, each on the run that the one before has left.
    """
    everything = run
    for change in applicable:
        everything = _made(change, everything, word) or everything
    if word(everything) != "fits":
        return (), None
    for size in range(2, MOST_TOGETHER + 1):
        for chosen in combinations(applicable, size):
            made, steps, said = run, list[Remedy](), Said({}, {})
            for change in chosen:
                changed = _made(change, made, word)
                if changed is None:
                    break
                after = evaluate(architecture, changed.settings)
                steps.append(_remedy(change, run, changed, before, after, word(changed)))
                made, said = changed, said.and_(change.says(changed))
            if len(steps) == size and word(made) == "fits":
                title = ", ".join(step.title for step in steps)
                cost = "; ".join(step.cost for step in steps)
                return tuple(steps), replace(steps[-1], name="together", title=title, cost=cost, code=said.code())
    return (), None
