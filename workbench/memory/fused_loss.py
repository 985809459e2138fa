"""Parts of the closed form for losses of other tools: logits in chunks, none at all, or overwritten in place.

Sources: Liger-Kernel ead96b61, ops/fused_linear_cross_entropy.py; ml-cross-entropy d42911f9, cut_cross_entropy/cce.py
and cce_backward.py; unsloth-zoo ce232d6c, fused_losses/cross_entropy_loss.py; unsloth 015bdef0,
kernels/cross_entropy_loss.py.
"""

from __future__ import annotations

from workbench.memory.figures import Part
from workbench.memory.kernels import Fused, LossKernel
from workbench.memory.step import Step

CHUNK_TARGET = 4 * 2**30
"""Most bytes of float32 logits in one of Unsloth's chunks; half of the free memory where that is less."""


def kernel_loss_part(step: Step, fused: Fused) -> Part:
    """Head and loss in one kernel of another tool; or the last norm's backward, where that needs more."""
    kernel = fused.loss
    a, settings, tokens = step.architecture, step.settings, step.settings.tokens
    w, c = settings.rest_bytes, settings.compute_bytes
    rows = chunk_rows(kernel, tokens, a.vocab, a.hidden)
    chunks = 2 if tokens > rows else 1  # the one before is still there while the next is made
    logits, formula = {
        "liger": (c * (chunks * a.vocab + a.hidden) * rows, f"c ({chunks} V + H) chunk"),
        "chunked": (4 * a.vocab * rows, "4 V chunk"),
        "cut": (8 * a.vocab + 12 * tokens, "8 V + 12 tokens"),
        "in place": (c * a.vocab * tokens, "c V tokens"),
    }[kernel]
    # hidden states and their gradient; a copy of both where products have another type
    hidden = (2 * w + (2 * c if kernel == "cut" and c != w else 0)) * a.hidden * tokens
    copy = 2 * step.head_elements if c != w else 0
    # transformers' norm has its gradient in float32 five times over for a moment
    norm = 0 if fused.norms or a.norm == "layer" else 20 * a.hidden * tokens
    return Part(
        "loss",
        max(logits + hidden + copy, norm),
        f"{formula} + 2 w H tokens{' + 2 V H' if copy else ''}" + (", at least 20 H tokens" if norm else ""),
        {"vocab": a.vocab, "tokens": tokens, "chunk": rows},
        SAYS[kernel],
    )


SAYS = {
    "liger": "Liger makes logits and their gradients chunk by chunk in forward",
    "chunked": "Unsloth makes logits and their gradients chunk by chunk in forward, up to 4 GiB at once",
    "cut": "cut cross entropy makes no logits",
    "in place": "Unsloth's kernel overwrites the logits with their gradient",
}


def chunk_rows(kernel: LossKernel, tokens: int, vocab: int, hidden: int) -> int:
    """Tokens whose logits are there at once."""
    if kernel == "liger":
        wanted = -(-tokens // -(-vocab // hidden))
        return min(tokens, 1 << (wanted - 1).bit_length())
    if kernel == "chunked":
        size = 4 * vocab * tokens
        return tokens if size <= CHUNK_TARGET else -(-tokens // (4 * -(-size // (4 * CHUNK_TARGET))))
    return 0 if kernel == "cut" else tokens


def head_gradient_sum(step: Step, kernel: LossKernel) -> int:
    """Bytes of a trained head's gradient while a kernel sums it, beyond what stays.

    Liger adds a float32 copy of each chunk's product to it, but where its sum is float32 and the products are not.
    """
    w, c = step.settings.weight_bytes, step.settings.compute_bytes
    if kernel == "liger":
        return (w if w == 4 != c else w + c + 4) * step.head_elements
    if kernel in ("cut", "chunked"):
        return (c + (w if w != c else 0)) * step.head_elements
    return 0
