"""Changes that can make a run fit, each with its words and code: a literal table.

    for change in TABLE: change.make(run, word)      the changed run, or None where it does not apply

Mirrored in labextension/src/memory/remedies.ts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from workbench.adapters import Adapter
from workbench.memory.figures import Word
from workbench.memory.online import Online, group_of, say_arguments
from workbench.memory.search import Rows, edge
from workbench.memory.settings import AnalyticSettings
from workbench.memory.sharding_packed import cuttable

LEAST_RANK = 8
LENGTH_STEP, LEAST_LENGTH = 64, 256
"""Lengths that are proposed are multiples of the first, and none below the second."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run that can be changed: settings, how its batch comes about, and the adapter as its recipe says it."""

    settings: AnalyticSettings
    rows: Rows
    said: Adapter = "lora"

    def with_(self, rows: Mapping[str, Any] | None = None, said: Adapter | None = None, **settings: Any) -> Run:
        """A copy with some fields changed; the batch follows its rows."""
        changed = replace(self.rows, **(rows or {}))
        return Run(changed.apply(replace(self.settings, **settings)), changed, self.said if said is None else said)


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
class Change:
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
        times, settings = batch // size, run.settings
        # as many answers are generated at once as before
        steps = settings.steps_per_generation * times
        return run.with_({"batch": size}, accumulation=settings.accumulation * times, steps_per_generation=steps)

    return next((made for made in map(at, smaller) if word(made) == "fits"), at(smaller[-1]))


def _has_engine(run: Run) -> bool:
    return run.settings.online and run.settings.generator == "vllm"


def _fewer_answers(run: Run, word: Callable[[Run], Word | None]) -> Run | None:
    """The largest divisor of the micro batches whose answers are generated at once that fits, else the smallest."""
    settings = run.settings
    if not settings.online or _has_engine(run):
        return None
    now, made = settings.steps_per_generation or settings.accumulation, None
    for steps in (size for size in range(now - 1, 0, -1) if now % size == 0):
        answers = group_of(settings.num_generations, settings.rows * steps * settings.world)
        if answers:
            made = run.with_(steps_per_generation=steps, num_generations=answers)
            if word(made) == "fits":
                return made
    return made


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
    return run.with_(said="lora", adapter="lora", weight_bytes=2 if settings.autocast else settings.weight_bytes)


def _half_weights(run: Run, _word: Callable[[Run], Word | None]) -> Run | None:
    settings = run.settings
    if settings.weight_bytes != 4 or settings.full or settings.device == "cpu":
        return None
    return run.with_(weight_bytes=2, autocast=True)


def _storage(run: Run) -> dict[str, Any]:
    """The option without which FSDP2 leaves 4-bit weights whole."""
    return {"bnb_4bit_quant_storage": cuttable(run.settings)} if run.settings.sharding == "fsdp" else {}


def _four_bits(run: Run, _word: Callable[[Run], Word | None]) -> Run | None:
    if run.settings.full or run.settings.quantisation != "none":
        return None
    plain = run.said == "lora"  # another adapter has no word for it: the rest of its weights stays as it is
    said = "qlora" if plain else run.said
    return run.with_(said=said, quantisation="nf4", float32_rest=plain, **_storage(run))


def _say_bits(run: Run) -> Said:
    return Said({"adapter": "qlora"} if run.said == "qlora" else {"quantisation": "nf4"}, _storage(run))


def _say_rank(run: Run) -> Said:
    rank = run.settings.rank
    return Said({"adapter": {**run.said, "r": rank}} if isinstance(run.said, Mapping) else {"r": rank}, {})


def _set(**values: Any) -> Callable[[Run], Said]:
    return lambda _run: Said(values, {})


def _ask(**options: Any) -> Callable[[Run], Said]:
    return lambda _run: Said({}, options)


_EIGHT_BIT = ("adamw_8bit", "adamw_bnb_8bit", "paged_adamw_8bit")
_LARGE_STATE = ("adamw_torch", "adamw_torch_fused", "paged_adamw_32bit")

TABLE: tuple[Change, ...] = (
    Change(
        "checkpointing",
        _words("Gradient checkpointing"),
        _words("a step takes about a third longer"),
        _set(gradient_checkpointing=True),
        _if(lambda run: not run.settings.checkpointing, checkpointing=True),
    ),
    Change(
        "attention",
        _words("Flash attention"),
        _words("needs flash-attn and a card that it supports; tell the trainer to use it"),
        _ask(attention="flash_attention_2"),
        _if(lambda run: run.settings.attention != "flash_attention_2", attention="flash_attention_2"),
    ),
    Change(
        "fused optimizer",
        _words("Fused optimizer"),
        _words("none: the same updates"),
        _set(optim="adamw_torch_fused"),
        _if(lambda run: run.settings.optim == "adamw_torch", optim="adamw_torch_fused"),
    ),
    Change(
        "optimizer",
        _words("8-bit optimizer"),
        _words("moments in 8 bits; needs bitsandbytes"),
        _set(optim="adamw_8bit"),
        _if(lambda run: run.settings.optim in _LARGE_STATE, optim="adamw_8bit"),
    ),
    Change(
        "paged optimizer",
        _words("Paged 8-bit optimizer"),
        _words("moments move to host memory under pressure: slower steps; needs bitsandbytes"),
        _set(optim="paged_adamw_8bit"),
        _if(lambda run: run.settings.optim in (*_LARGE_STATE, *_EIGHT_BIT[:2]), optim="paged_adamw_8bit"),
    ),
    Change(
        "engine sleeps",
        _words("vLLM sleeps while TRL trains"),
        _words("the engine's weights are moved back and forth"),
        _ask(vllm_sleeps=True),
        _if(lambda run: _has_engine(run) and not run.settings.vllm_sleeps, vllm_sleeps=True),
    ),
    Change(
        "reference before",
        _words("Reference log probabilities computed before"),
        _words("one pass over the data before training"),
        lambda run: Said({}, say_arguments(run.settings)),
        _if(lambda run: run.settings.method == "dpo" and not run.settings.precomputed, precomputed=True),
    ),
    Change(
        "bfloat16",
        _words("Frozen weights in bfloat16"),
        _words("rounds the frozen weights; needs a card with bfloat16"),
        _set(precision="bfloat16"),
        _half_weights,
    ),
    Change(
        "batch",
        lambda run: f"Batch of {run.rows.batch}, accumulation {run.settings.accumulation}",
        _words("same effective batch; more and smaller products"),
        lambda run: Said(
            {
                "per_device_train_batch_size": run.rows.batch,
                "gradient_accumulation_steps": run.settings.accumulation,
            },
            say_arguments(run.settings) if run.settings.steps_per_generation else {},
        ),
        _smaller_batch,
    ),
    Change(
        "answers",
        lambda run: f"{Online.of(run.settings).rows} answers at once",
        _words("answers come in smaller batches; groups may get smaller"),
        lambda run: Said({}, say_arguments(run.settings)),
        _fewer_answers,
    ),
    Change(
        "quantisation",
        _words("4-bit weights"),
        _words("quantised weights are slower and a little worse; needs bitsandbytes"),
        _say_bits,
        _four_bits,
    ),
    Change(
        "rank",
        lambda run: f"LoRA rank {run.settings.rank}",
        _words("a smaller adapter learns less"),
        _say_rank,
        _lower_rank,
    ),
    Change(
        "adapter",
        _words("LoRA instead of all weights"),
        _words("trains an adapter, not the model"),
        _set(adapter="lora"),
        _lora,
    ),
    Change(
        "no reference",
        _words("No reference model (beta 0)"),
        _words("nothing holds the model near its start"),
        lambda run: Said({}, say_arguments(run.settings)),
        _if(lambda run: run.settings.online and run.settings.refers, beta=0.0),
    ),
    Change(
        "length",
        lambda run: f"Rows of at most {run.rows.length:,} tokens",
        _shorter_cost,
        lambda run: Said({"max_length": run.rows.length}, {}),
        _shorter,
    ),
)  # fmt: skip
"""Changes, the least painful first: among combinations of one size the earlier one is proposed."""
