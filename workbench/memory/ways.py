"""Ways through a moment between steps, each with what it needs; the highest of them is the moment's.

    answers(step, first, tokens=256, sampled=True).total

Bytes by what they are for: a cache, autocast's copies of weights, temporaries, the head's. The twin is
labextension/src/memory/ways.ts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

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
from workbench.memory.settings import ODDS, rounded
from workbench.memory.step import Step


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


def answering_casts(step: Step) -> bool:
    """Whether `generate` runs in autocast: accelerate wraps the forward of the whole model, not the one inside PEFT's.

    Source: accelerate 1.15, accelerator.py (prepare_model); peft 0.21, peft_model.py (generate calls the base model's).
    """
    return step.full and step.settings.autocast


def answers(step: Step, first: Pass, tokens: int, *, sampled: bool) -> Need:
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


def score(step: Step, online: Online) -> Need:
    """Log probabilities of a micro batch's answers, by TRL's fused head."""
    settings = step.settings
    run = Pass(
        settings.rows, settings.length, settings.length, settings.autocast, masked=settings.masked,
        adapted=online.scores_policy or step.full,
    )  # fmt: skip
    ids = 32 * online.rows * settings.length + 24 * run.read
    return scored_pass(step, run, settings.rows * online.answer, ids)


def scored_pass(step: Step, run: Pass, scored: int, ids: int) -> Need:
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


def evaluated(step: Step) -> Need:
    """A batch of an evaluation at the longest row: the loss alone, as nobody asks for predictions.

    Source: transformers 5.23, trainer.py (prediction_loss_only without compute_metrics); trl 1.16, the trainers'
    prediction_step.
    """
    settings = step.settings
    rows = settings.per_device_eval_batch_size
    if settings.online:
        return _evaluated_online(step, rows)
    sequences, length = rows * settings.sequences // settings.rows, settings.length
    if settings.packed_row:
        sequences, length = 1, rows * settings.packed_row
    run = Pass(sequences, length, length, settings.autocast, masked=settings.masked, training=False)
    ids = 48 * run.read
    if settings.method == "reward":
        copies = weight_copies(step.architecture, settings, run) - last_copy(step.architecture, settings, run)
        layer = layer_bytes(step.architecture, settings, run) + tables_bytes(step.architecture, settings, run, 1)
        return Need(0, copies, layer + ids, 0, "in the last layer")
    if settings.whole_logits:
        return _whole_logits(step, run, ids)
    share = settings.scored / (settings.rows * settings.length) if settings.method == "sft" else 1
    return scored_pass(step, run, max(1, rounded(share * run.read)), ids)


def _evaluated_online(step: Step, rows: int) -> Need:
    """Answers of a batch, their scores, and the loss, which scores them once more."""
    settings = step.settings
    online = Online.of(replace(settings, rows=rows, steps_per_generation=1))
    run = Pass(rows, settings.length, settings.length, settings.autocast, masked=settings.masked, training=False)
    scores = scored_pass(step, run, rows * online.answer, 56 * run.read)
    if settings.generator == "vllm":
        return scores
    first = Pass(rows, online.prompt, online.prompt, answering_casts(step), True, settings.masked, training=False)
    return max(answers(step, first, online.answer, sampled=True), scores, key=lambda way: way.total)


def _whole_logits(step: Step, run: Pass, ids: int) -> Need:
    """A pass that makes all logits: for transformers' own loss, or for the odds of chosen and rejected answers."""
    a, settings = step.architecture, step.settings
    t = types_of(a, settings, run.autocast)
    copies, late = weight_copies(a, settings, run), last_copy(a, settings, run)
    beside = tables_bytes(a, settings, run, 1) + ids
    given = 4 if run.autocast else t.product  # accelerate gives back float32
    odds = 2 * given * a.vocab * run.read
    lost = (t.product + 8) * a.vocab * run.read
    if settings.method in ODDS:
        head = Need(0, 0, ids, odds, "behind the head")
    else:
        head = Need(0, copies + _head_copy(step, run), t.stream * a.hidden * run.read + ids, lost, "at the head")
    layer = Need(0, copies - late, layer_bytes(a, settings, run) + beside, 0, "in the last layer")
    return max(layer, head, key=lambda way: way.total)
