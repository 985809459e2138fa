"""What would make a run fit: single changes, each with its saving, cost and code; and the fewest that fit together.

    found = remedies(architecture, settings, rows, card)
    found.single[0].saving, found.single[0].word, found.single[0].code, found.together

Every change is evaluated by the closed form, none is guessed: a change that saves nothing here is not listed. The list
is a literal table of changes, mirrored in labextension/src/memory/remedies.ts. Pure, a few milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from workbench.errors import RecipeError
from workbench.memory.architecture import Architecture
from workbench.memory.figures import Estimate, Word
from workbench.memory.search import Rows, edge
from workbench.memory.settings import AnalyticSettings
from workbench.memory.sharded import evaluate

LEAST_RANK = 8
LENGTH_STEP, LEAST_LENGTH = 64, 256
"""Lengths that are proposed are multiples of the first, and none below the second."""

LEAST_SHARE = 0.01
"""Of what is shown now: a smaller saving is no remedy."""

MOST_TOGETHER = 4
"""Changes that are proposed together at most."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run that can be changed: settings and how its batch comes about."""

    settings: AnalyticSettings
    rows: Rows

    def with_(self, rows: Mapping[str, Any] | None = None, **settings: Any) -> Run:
        """A copy with some fields changed; the batch follows its rows."""
        changed = replace(self.rows, **(rows or {}))
        return Run(changed.apply(replace(self.settings, **settings)), changed)


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
    """

    single: tuple[Remedy, ...] = ()
    together: tuple[Remedy, ...] = ()
    after: Remedy | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, JSON-ready."""
        return {
            "single": [remedy.to_dict() for remedy in self.single],
            "together": [remedy.name for remedy in self.together],
            "after": self.after.to_dict() if self.after else None,
        }


@dataclass(frozen=True, slots=True)
class Said:
    """A change as arguments of `recipe.with_` and of `recipe.estimate`."""

    recipe: Mapping[str, Any]
    options: Mapping[str, Any]

    def and_(self, other: Said) -> Said:
        """Both; the later one wins."""
        return Said({**self.recipe, **other.recipe}, {**self.options, **other.options})

    def code(self) -> str:
        """Python that estimates with the change."""
        lines = [f"recipe = recipe.with_({_arguments(self.recipe)})"] if self.recipe else []
        return "\n".join([*lines, f"recipe.estimate({_arguments(self.options)})"])


def _arguments(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in values.items())


@dataclass(frozen=True, slots=True)
class _Change:
    """A row of the table: a change and what to say of it; `make` gives None where it does not apply."""

    name: str
    title: Callable[[Run], str]
    cost: Callable[[Run, Run], str]
    says: Callable[[Run], Said]
    make: Callable[[Run, Callable[[Run], Word | None]], Run | None]


def _words(text: str) -> Callable[..., str]:
    return lambda *_: text


def _if(applies: Callable[[Run], bool], **settings: Any) -> Callable[..., Run | None]:
    return lambda run, _word: run.with_(**settings) if applies(run) else None


def _smaller_batch(run: Run, word: Callable[[Run], Word | None]) -> Run | None:
    """The largest divisor of the batch that fits, else 1; accumulation makes up for it."""
    batch = run.rows.batch
    smaller = [size for size in range(batch - 1, 0, -1) if batch % size == 0]
    if not smaller:
        return None

    def at(size: int) -> Run:
        return run.with_({"batch": size}, accumulation=run.settings.accumulation * (batch // size))

    return next((made for made in map(at, smaller) if word(made) == "fits"), at(smaller[-1]))


def _shorter(run: Run, word: Callable[[Run], Word | None]) -> Run | None:
    """The longest length that fits, in steps, else half."""
    steps = (run.rows.length - 1) // LENGTH_STEP
    if run.rows.length <= LEAST_LENGTH or steps < 1:
        return None
    found = edge(lambda step: word(run.with_({"max_length": step * LENGTH_STEP})) == "fits", steps) * LENGTH_STEP
    half = max(LEAST_LENGTH, run.rows.length // 2 // LENGTH_STEP * LENGTH_STEP)
    return run.with_({"max_length": found if found >= LEAST_LENGTH else half})


def _shorter_cost(before: Run, after: Run) -> str:
    length, lengths = after.rows.length, before.rows.lengths
    if before.rows.packed:
        return f"rows over {length:,} tokens are cut, packs get shorter"
    if lengths is None:
        return f"rows over {length:,} tokens are cut"
    return f"cuts {lengths.share_over(length):.1%} of the rows"


def _lower_rank(run: Run, word: Callable[[Run], Word | None]) -> Run | None:
    """Half the rank until it fits, not below 8."""
    rank = run.settings.rank
    if run.settings.full or rank <= LEAST_RANK:
        return None
    while rank > LEAST_RANK:
        rank = max(LEAST_RANK, rank // 2)
        if word(run.with_(rank=rank)) == "fits":
            break
    return run.with_(rank=rank)


def _lora(run: Run, _word: Callable[[Run], Word | None]) -> Run | None:
    settings = run.settings
    if not settings.full:
        return None
    return run.with_(adapter="lora", weight_bytes=2 if settings.autocast else settings.weight_bytes)


def _half_weights(run: Run, _word: Callable[[Run], Word | None]) -> Run | None:
    settings = run.settings
    if settings.weight_bytes != 4 or settings.full or settings.device == "cpu":
        return None
    return run.with_(weight_bytes=2, autocast=True)


def _set(**values: Any) -> Callable[[Run], Said]:
    return lambda _run: Said(values, {})


def _ask(**options: Any) -> Callable[[Run], Said]:
    return lambda _run: Said({}, options)


_EIGHT_BIT = ("adamw_8bit", "adamw_bnb_8bit", "paged_adamw_8bit")
_LARGE_STATE = ("adamw_torch", "adamw_torch_fused", "paged_adamw_32bit")

TABLE: tuple[_Change, ...] = (
    _Change(
        "checkpointing",
        _words("Gradient checkpointing"),
        _words("a step takes about a third longer"),
        _set(gradient_checkpointing=True),
        _if(lambda run: not run.settings.checkpointing, checkpointing=True),
    ),
    _Change(
        "attention",
        _words("Flash attention"),
        _words("needs flash-attn and a card that it supports; tell the trainer to use it"),
        _ask(attention="flash_attention_2"),
        _if(lambda run: run.settings.attention != "flash_attention_2", attention="flash_attention_2"),
    ),
    _Change(
        "fused optimizer",
        _words("Fused optimizer"),
        _words("none: the same updates"),
        _set(optim="adamw_torch_fused"),
        _if(lambda run: run.settings.optim == "adamw_torch", optim="adamw_torch_fused"),
    ),
    _Change(
        "optimizer",
        _words("8-bit optimizer"),
        _words("moments in 8 bits; needs bitsandbytes"),
        _set(optim="adamw_8bit"),
        _if(lambda run: run.settings.optim in _LARGE_STATE, optim="adamw_8bit"),
    ),
    _Change(
        "paged optimizer",
        _words("Paged 8-bit optimizer"),
        _words("moments move to host memory under pressure: slower steps; needs bitsandbytes"),
        _set(optim="paged_adamw_8bit"),
        _if(lambda run: run.settings.optim in (*_LARGE_STATE, *_EIGHT_BIT[:2]), optim="paged_adamw_8bit"),
    ),
    _Change(
        "bfloat16",
        _words("Frozen weights in bfloat16"),
        _words("rounds the frozen weights; needs a card with bfloat16"),
        _set(precision="bfloat16"),
        _half_weights,
    ),
    _Change(
        "batch",
        lambda run: f"Batch of {run.rows.batch}, accumulation {run.settings.accumulation}",
        _words("same effective batch; more and smaller products"),
        lambda run: Said(
            {
                "per_device_train_batch_size": run.rows.batch,
                "gradient_accumulation_steps": run.settings.accumulation,
            },
            {},
        ),
        _smaller_batch,
    ),
    _Change(
        "quantisation",
        _words("4-bit weights (QLoRA)"),
        _words("quantised weights are slower and a little worse; needs bitsandbytes"),
        _ask(adapter="qlora"),
        _if(
            lambda run: not run.settings.full and run.settings.quantisation == "none",
            quantisation="nf4", float32_rest=True,
        ),
    ),
    _Change(
        "rank",
        lambda run: f"LoRA rank {run.settings.rank}",
        _words("a smaller adapter learns less"),
        lambda run: Said({"r": run.settings.rank}, {}),
        _lower_rank,
    ),
    _Change(
        "adapter",
        _words("LoRA instead of all weights"),
        _words("trains an adapter, not the model"),
        _set(adapter="lora"),
        _lora,
    ),
    _Change(
        "length",
        lambda run: f"Rows of at most {run.rows.length:,} tokens",
        _shorter_cost,
        lambda run: Said({"max_length": run.rows.length}, {}),
        _shorter,
    ),
)  # fmt: skip
"""Changes, the least painful first: among combinations of one size the earlier one is proposed."""


def remedies(architecture: Architecture, settings: AnalyticSettings, rows: Rows, card: int | None) -> Remedies:
    """What would make a run fit a card, or need less where there is none.

    Args:
        architecture: The model's shapes.
        settings: The run as it is.
        rows: How its batch comes about.
        card: Bytes that torch sees; None lists savings without verdicts.
    """
    run = Run(settings, rows)
    before = evaluate(architecture, settings)
    least = max(1, round(LEAST_SHARE * shown(before)))

    def word(changed: Run) -> Word | None:
        made = evaluate(architecture, changed.settings)  # a setting that the formula does not know says so here
        return None if card is None else made.verdict(card).word

    found, applicable = list[Remedy](), list[_Change]()
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


def _made(change: _Change, run: Run, word: Callable[[Run], Word | None]) -> Run | None:
    try:
        made = change.make(run, word)
        if made is not None:
            word(made)
    except RecipeError:  # a setting that the formula does not know is no proposal
        return None
    return made


def _remedy(change: _Change, run: Run, made: Run, before: Estimate, after: Estimate, word: Word | None) -> Remedy:
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
    applicable: list[_Change],
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
