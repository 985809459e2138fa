"""What layers do not keep because nothing at or below them trains: whole layers, and the beginning of the first one.

    idle_layers(settings), unsaved(architecture, settings)

Autograd keeps what backward reads, and backward ends at the first module that trains. Gradient checkpointing makes the
embedding's output ask for a gradient, so then nothing is left out.

Source: which tensors ask for a gradient in torch's autograd; checked against traces in tests/memory/analytic_trace.csv.
"""

from __future__ import annotations

from workbench.memory.fused import applied
from workbench.memory.settings import AnalyticSettings
from workbench.memory.shapes import Architecture


def idle_layers(settings: AnalyticSettings) -> int:
    """Layers that keep nothing: those below the first that trains."""
    if settings.full or settings.checkpointing or settings.reached is None:
        return 0
    return settings.reached.first


def first_reads(architecture: Architecture, settings: AnalyticSettings) -> tuple[str, ...]:
    """Activations that adapted modules of the first layer that trains read; empty where something before it trains."""
    if settings.full or settings.checkpointing:
        return ()
    if settings.images and any(item.reads == "tower" for item in architecture.targets(settings)):
        return ()
    if settings.reached is not None:
        return settings.reached.reads
    return tuple(item.reads for item in architecture.targets(settings) if item.reads != "tower")


def unsaved(architecture: Architecture, settings: AnalyticSettings, attention: float, mlp: float) -> tuple[float, int]:
    """Bytes a token that the first layer that trains does not save, and how many of its masks or eager weights.

    In float32 a norm's input is the stream itself.

    Args:
        architecture: The model's shapes.
        settings: The run.
        attention: Bytes a token of attention's term.
        mlp: Bytes a token of the MLP's term.
    """
    reads = first_reads(architecture, settings)
    if not reads:
        return 0, 0
    norm = (settings.rest_bytes if applied(architecture, settings).norms else 4) * architecture.hidden + 4
    first = 0 if architecture.post_norm else norm
    if "attention input" in reads:
        return first, 0
    before = first + attention + _query_norms(architecture)
    if "attention output" in reads:
        return before, 1
    before += norm * max(0, architecture.norms - 1 - (architecture.norms == 4))
    if {"mlp input", "expert"} & {*reads}:
        return before, 1
    return before + mlp, 1


def _query_norms(a: Architecture) -> int:
    """Bytes a token that norms of queries and keys keep."""
    if not a.qk_norm:
        return 0
    return 4 * (a.query + a.key) + 4 * (2 if a.qk_norm == "whole" else a.heads + a.kv_heads)
