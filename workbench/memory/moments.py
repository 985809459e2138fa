"""Moments between steps: answers that a method generates, their scores, samples; each with what it needs for itself.

    for moment in further_moments(step): moment.name, moment.parts

They keep nothing for backward. What stays through all of training (weights, adapter, optimizer) is beside them; what
a step holds is not, but for the gradients of earlier micro batches. The twin is labextension/src/memory/moments.ts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from workbench.memory.figures import Part
from workbench.memory.inference import (
    Pass,
    cache_bytes,
    last_copy,
    layer_bytes,
    tables_bytes,
    types_of,
    weight_copies,
    widest_row,
)
from workbench.memory.loss_parts import TOKEN_TILE, VOCABULARY_TILE
from workbench.memory.online import Online
from workbench.memory.step import Step

STAYING = ("weights", "adapter", "reference model", "optimizer", "workspace", "vllm engine")
"""Parts that are live in every moment of training."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment between steps.

    Attributes:
        held: Parts of the step that are live in it, beside `STAYING`.
        parts: What it needs for itself.
    """

    name: str
    held: tuple[str, ...]
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Need:
    """What one way through a moment needs, in bytes."""

    cache: int = 0
    copies: int = 0
    temporaries: int = 0
    logits: int = 0
    where: str = ""

    @property
    def total(self) -> int:
        """All of it."""
        return self.cache + self.copies + self.temporaries + self.logits


def further_moments(step: Step) -> tuple[Moment, ...]:
    """The moments that the settings ask for, in the order of training."""
    settings, found = step.settings, list[Moment]()
    if settings.online:
        online = Online.of(settings)
        held = ("gradients",) if online.between else ()
        if settings.generator != "vllm":
            run = Pass(online.rows, online.prompt, online.prompt, _answering_casts(step), True, settings.masked)
            found.append(Moment("generate", held, _parts("generate", _answers(step, run, online.answer, sampled=True))))
        else:
            found.append(Moment("generate", (*held, "vllm engine awake"), ()))
        if online.scores_policy or online.scores_reference:
            found.append(Moment("score", held, _parts("score", _score(step, online))))
    if settings.samples:
        run = Pass(
            1, settings.sample_prompt, settings.sample_prompt, _answering_casts(step), True, False, training=False
        )
        found.append(Moment("sample", (), _parts("sample", _answers(step, run, settings.sample_tokens, sampled=False))))
    return tuple(found)


def engine_parts(step: Step) -> tuple[Part, ...]:
    """The engine of vLLM, where it is in the same process."""
    settings = step.settings
    if not settings.online or settings.generator != "vllm":
        return ()
    name = "vllm engine awake" if settings.vllm_sleeps else "vllm engine"
    source = "TRL's vllm_gpu_memory_utilization, a share of the card" + (
        "; asleep while TRL trains" if settings.vllm_sleeps else ""
    )
    return (Part(name, settings.vllm_bytes, "vllm_bytes", {"bytes": settings.vllm_bytes}, source),)


def _answering_casts(step: Step) -> bool:
    """Whether `generate` runs in autocast: accelerate wraps the forward of the whole model, not the one inside PEFT's.

    Source: accelerate 1.15, accelerator.py (prepare_model); peft 0.21, peft_model.py (generate calls the base model's).
    """
    return step.full and step.settings.autocast


def _parts(name: str, need: Need) -> tuple[Part, ...]:
    words = {
        "cache": ("2 x kv features x rows x tokens x layers", "keys and values of every token so far"),
        "copies": ("2 x float32 weights that train", "autocast keeps its bfloat16 copies until the pass ends"),
        "temporaries": ("streams H + the widest moment of a layer, x tokens", "nothing is kept for backward"),
        "logits": ("the output head's own", "TRL's fused head where it scores, else the last token of a row"),
    }
    return tuple(
        Part(f"{name} {kind}", getattr(need, kind), formula, {}, f"{source}; highest {need.where}")
        for kind, (formula, source) in words.items()
        if getattr(need, kind)
    )


def _answers(step: Step, first: Pass, tokens: int, *, sampled: bool) -> Need:
    """The highest of reading the prompts, adding the last token, and choosing it."""
    a, settings = step.architecture, step.settings
    last = replace(first, tokens=1, keys=first.tokens + tokens - 1)
    copies, late = weight_copies(a, settings, first), last_copy(a, settings, first)
    head = _head_copy(step, first)
    row = first.rows * a.vocab
    # the loop still holds the scores of the token before, and their softmax where it draws
    before = (8 if sampled else 4) * row
    product = types_of(a, settings, first.autocast).product
    widened = 4 * row if first.autocast else 0  # accelerate gives back float32
    choosing = (product + (16 if sampled else 8)) * row
    ids = 40 * first.rows * last.keys
    stream = settings.rest_bytes * a.hidden
    ways = [
        Need(
            cache_bytes(a, settings, first),
            copies - late,
            layer_bytes(a, settings, first) + tables_bytes(a, settings, first, first.rows) + 40 * first.read,
            where="while it reads the prompts",
        ),
        Need(
            cache_bytes(a, settings, first),
            copies + head,
            stream * first.read + tables_bytes(a, settings, first, first.rows) + 40 * first.read,
            (product * row) + widened,
            "at the head behind the prompts",
        ),
    ]
    if tokens > 1:
        cached, joined = cache_bytes(a, settings, last), widest_row(a, settings, last)
        layer = max(joined, layer_bytes(a, settings, last))
        ways += [
            Need(cached, copies - late, layer + ids, before, "at the last token"),
            Need(cached, copies + head, ids, before + product * row + widened, "at the head of the last token"),
            Need(cached, 0, ids, choosing, "while it chooses the last token"),
        ]
    return max(ways, key=lambda way: way.total)


def _head_copy(step: Step, run: Pass) -> int:
    """Bytes of autocast's copy of the whole output head."""
    return 2 * step.head_elements if run.autocast and step.full and step.settings.weight_bytes == 4 else 0


def _score(step: Step, online: Online) -> Need:
    """Log probabilities of a micro batch's answers, by TRL's fused head."""
    settings = step.settings
    run = Pass(
        settings.rows, settings.length, settings.length, settings.autocast, masked=settings.masked,
        adapted=online.scores_policy or step.full,
    )  # fmt: skip
    ids = 32 * online.rows * settings.length + 24 * run.read
    return _scored(step, run, settings.rows * online.answer, ids)


def _scored(step: Step, run: Pass, scored: int, ids: int) -> Need:
    """A pass whose scored positions go through TRL's fused head."""
    a, settings = step.architecture, step.settings
    t = types_of(a, settings, run.autocast)
    copies, late = weight_copies(a, settings, run), last_copy(a, settings, run)
    beside = tables_bytes(a, settings, run, 1) + ids
    rows, columns = min(scored, TOKEN_TILE), min(a.vocab, VOCABULARY_TILE)
    tile = rows * VOCABULARY_TILE * t.product
    casts = t.product * a.hidden * (columns + rows) if t.product != t.stream else 0
    hidden = t.stream * a.hidden * (run.read + scored)
    return max(
        Need(0, copies - late, layer_bytes(a, settings, run) + beside, 0, "in the last layer"),
        Need(0, copies, hidden + ids, tile + casts, "at the head"),
        key=lambda way: way.total,
    )
