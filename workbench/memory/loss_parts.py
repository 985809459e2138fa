"""Parts of the closed form around the output head: the loss while its backward runs, and the head's gradients."""

from __future__ import annotations

from workbench.memory.figures import Part
from workbench.memory.fused import applied
from workbench.memory.fused_loss import head_gradient_sum, kernel_loss_part
from workbench.memory.settings import ODDS
from workbench.memory.step import Step

TOKEN_TILE, VOCABULARY_TILE = 4096, 32768
"""Size of a tile of TRL's fused head (trl 1.16, kernels/chunked_logprob.py and trainer/utils.py)."""


def loss_part(step: Step) -> Part:
    """Head and loss while their backward runs."""
    a, settings = step.architecture, step.settings
    w, c = settings.rest_bytes, settings.compute_bytes
    if settings.method == "reward":
        source = "one score a row from the last hidden states"
        return Part("loss", 2 * w * a.hidden * settings.tokens, "2 w H tokens", {"tokens": settings.tokens}, source)
    if settings.method in ODDS:
        return _odds_part(step, w, c)
    fused = applied(a, settings)
    if fused.loss:
        return kernel_loss_part(step, fused)
    if settings.whole_logits:
        head_copy = 2 * step.head_elements if c != w else 0
        return Part(
            "loss",
            12 * a.vocab * settings.tokens + head_copy + w * a.hidden * settings.tokens,
            "12 V tokens + w H tokens" + (" + 2 V H" if head_copy else ""),
            {"vocab": a.vocab, "tokens": settings.tokens},
            "log_softmax in float32, its gradient, and the gradient of the logits",
        )
    return _fused_part(step, w, c)


def _odds_part(step: Step, w: int, c: int) -> Part:
    """Odds of chosen and rejected answers, and the likelihood of the chosen: TRL makes all logits for both.

    Source: trl 1.16, experimental/orpo and cpo (concatenated_forward) and kernels/logprob_entropy.py: gradients of two
    slices of the logits meet, and on the way one of half of them; without Triton torch sums exponentials of copies.
    """
    a, settings = step.architecture, step.settings
    given = 4 if settings.autocast else c  # accelerate gives back float32
    halves = 5 if settings.device == "cuda" else 9
    copied = 2 * step.head_elements + c * a.hidden * settings.tokens if step.full and c != w else 0
    return Part(
        "loss",
        halves * given * a.vocab * settings.tokens // 2 + copied,
        f"{halves / 2} x {given} V tokens" + (" + 2 V H + c H tokens" if copied else ""),
        {"vocab": a.vocab, "tokens": settings.tokens},
        "gradients of the logits from both terms of the loss",
    )


def _fused_part(step: Step, w: int, c: int) -> Part:
    """TRL's fused head: w bytes of its weight, c bytes of its products."""
    a, settings = step.architecture, step.settings
    scored = settings.positions
    rows, columns = min(scored, TOKEN_TILE), min(a.vocab, VOCABULARY_TILE)
    tile = rows * VOCABULARY_TILE * c
    hidden = (4 + w + (w if w != 4 else 0)) * a.hidden * scored
    # the copy of a tile of the head's weight is still there when the next one is made
    second = max(0, min(a.vocab - VOCABULARY_TILE, VOCABULARY_TILE))
    cast = c * a.hidden * (columns + second + rows) if c != w else 0
    # without Triton torch folds the tile: seven float32 tensors of its size are live at once, and a boolean one
    folded = 29 * rows * columns if settings.device == "cpu" else 0
    return Part(
        "loss",
        tile + hidden + cast + folded,
        "min(scored, 4096) x 32768 x c + H scored x (4 + w, and w for a cast)"
        + (" + c H tiles" if cast else "")
        + (" + 29 min(scored, 4096) V" if folded else ""),
        {"scored": scored, "tile": tile, "hidden": hidden, "casts": cast, "folded": folded},
        "TRL's fused head makes logits in tiles and never all of them",
    )


def head_gradient_parts(step: Step) -> tuple[Part, Part]:
    """Gradient of a trained output head: while it is summed, and what stays."""
    settings = step.settings
    w = step.head_bytes
    elements = step.head_elements if w and settings.method != "reward" else 0
    # plain logits are freed before the head's gradient is made, so only tiles meet it
    summed = (4 + (w if w != 4 else 0)) * elements if not settings.whole_logits else 0
    if (kernel := applied(step.architecture, settings).loss) and elements:
        summed = head_gradient_sum(step, kernel)
    return (
        Part(
            "head gradient sum",
            summed,
            "V H x (4, and w for the cast)",
            {"elements": elements},
            "the fused head sums its weight gradient in float32",
        ),
        Part("head gradient", w * elements, "V H w", {"elements": elements}, "gradient of the output head"),
    )


def embedding_gradient_part(step: Step) -> Part:
    """Second gradient of a tied embedding, before both are added."""
    settings = step.settings
    width, times = step.embedding_bytes, 0
    if any(own.name == "tokens" for own in settings.own):
        width, times = settings.rest_bytes, 1  # of the whole table, of which the trained rows are taken
    if step.full and step.architecture.tied and settings.method != "reward":
        # autograd adds into the head's gradient where nobody else holds it: the fused head's, but no transposed view
        times = 1 if not settings.whole_logits and settings.device == "cuda" else 2
    if step.embedding_bytes and settings.accumulation > 1:
        times += 1  # the one of this micro batch, beside what was summed before
    return Part(
        "tied embedding gradient",
        times * step.head_elements * width,
        f"{times} V H w",
        {"elements": step.head_elements},
        "a tied embedding gets a dense gradient from the input side too",
    )
