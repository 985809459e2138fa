"""What memory is for, in the ten words that every view uses, whatever an estimate calls its parts.

    kind_of("saved activations")  ->  "activations"

The closed form and the trace keep finer names; both are gathered here, so that a bar can show either.
"""

from __future__ import annotations

from collections.abc import Mapping

WEIGHTS, ADAPTER, GRADIENTS, OPTIMIZER = "weights", "adapter", "gradients", "optimizer"
ACTIVATIONS, LOGITS, REFERENCE, GENERATION = "activations", "logits", "reference model", "generation"
COMMUNICATION, OTHER = "communication", "other"

KINDS: tuple[str, ...] = (
    WEIGHTS,
    ADAPTER,
    GRADIENTS,
    OPTIMIZER,
    ACTIVATIONS,
    LOGITS,
    REFERENCE,
    GENERATION,
    COMMUNICATION,
    OTHER,
)
"""Kinds of live bytes in the order of a bar."""

ALLOCATOR, CONTEXT = "allocator", "context"
"""What comes on top of live bytes: cached by the allocator, and the driver's own."""

OF_PART: Mapping[str, str] = {
    "loading temporaries": WEIGHTS,
    "optimizer state": OPTIMIZER,
    "optimizer temporaries": OPTIMIZER,
    "gradients so far": GRADIENTS,
    "head gradient": GRADIENTS,
    "tied embedding gradient": GRADIENTS,
    "tail": ACTIVATIONS,
    "autocast copies": ACTIVATIONS,
    "layer copies": ACTIVATIONS,
    "pixels": OTHER,
    "vision activations": ACTIVATIONS,
    "projector activations": ACTIVATIONS,
    "vision outputs": ACTIVATIONS,
    "vision layer": ACTIVATIONS,
    "forward copies": ACTIVATIONS,
    "recomputed layer": ACTIVATIONS,
    "adapted experts": ACTIVATIONS,
    "layer forward": ACTIVATIONS,
    "layer backward": ACTIVATIONS,
    "attention backward": ACTIVATIONS,
    "dequantised weights": ACTIVATIONS,
    "saved activations": ACTIVATIONS,
    "recomputed activations": ACTIVATIONS,
    "forward temporaries": ACTIVATIONS,
    "backward temporaries": ACTIVATIONS,
    "scoring temporaries": ACTIVATIONS,
    "loss": LOGITS,
    "head gradient sum": LOGITS,
    "kept outputs": LOGITS,
    "logits and loss": LOGITS,
    "loss backward temporaries": LOGITS,
    "generate cache": GENERATION,
    "generate copies": GENERATION,
    "generate temporaries": GENERATION,
    "generate logits": GENERATION,
    "sample cache": GENERATION,
    "sample copies": GENERATION,
    "sample temporaries": GENERATION,
    "sample logits": GENERATION,
    "vllm engine": GENERATION,
    "vllm engine awake": GENERATION,
    "score copies": ACTIVATIONS,
    "score temporaries": ACTIVATIONS,
    "score logits": LOGITS,
    "evaluation copies": ACTIVATIONS,
    "evaluation temporaries": ACTIVATIONS,
    "evaluation logits": LOGITS,
    "master weights": OPTIMIZER,
    "unsharded gradients": GRADIENTS,
    "unsharded parameters": COMMUNICATION,
    "gather buffers": COMMUNICATION,
    "reduce buffers": COMMUNICATION,
}
"""Part or category -> kind, where the two differ."""


def kind_of(part: str) -> str:
    """Kind of a part of the closed form or of a trace's category; `other` for what has none."""
    if part in KINDS:
        return part
    return OF_PART.get(part, OTHER)


def by_kind(parts: Mapping[str, int]) -> dict[str, int]:
    """Part -> bytes gathered to kind -> bytes, in the order of `KINDS`, empty kinds left out."""
    found: dict[str, int] = dict.fromkeys(KINDS, 0)
    for name, size in parts.items():
        found[kind_of(name)] += size
    return {kind: size for kind, size in found.items() if size}
