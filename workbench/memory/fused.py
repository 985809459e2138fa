"""What kernels of other tools change in the closed form: what a layer keeps, and what it needs while it runs.

    fused = applied(architecture, settings)

Each function gives the terms of one replacement; those of transformers' own code stay in `saved` and `step`.

Sources: the revisions that workbench.memory.kernels names; what is kept is each autograd function's
`save_for_backward`, what it needs in between its own allocations.
"""

from __future__ import annotations

from dataclasses import replace

from workbench.memory.kernels import Fused, fused_of
from workbench.memory.linear import Linear
from workbench.memory.settings import AnalyticSettings
from workbench.memory.shapes import Architecture

NOTHING = Fused()
MLP = frozenset({"gate_proj", "up_proj", "down_proj"})
QKV = frozenset({"q_proj", "k_proj", "v_proj"})
OUT = frozenset({"o_proj"})


def applied(architecture: Architecture, settings: AnalyticSettings) -> Fused:
    """What the kernels of the settings replace in this model with this adapter.

    LoRA kernels need an adapter on every module they join; Unsloth's none of DoRA, dropout and biases beside it, and
    they leave full training to other code. Norms are root mean square norms, the gate that of a dense MLP.
    """
    if not settings.kernels:
        return NOTHING
    found, a = fused_of(settings.kernels), architecture
    targets = {item.name: item for item in a.targets(settings)}
    refused = found.plain and (settings.adapter == "dora" or settings.dropout)
    fits = {
        name: bool(getattr(found, name)) and not refused and _all_of(targets, modules, found.plain)
        for name, modules in (("mlp", MLP), ("qkv", QKV), ("o", OUT))
    }
    return replace(
        found,
        norms=found.norms and a.norm != "layer" and not (found.plain and settings.full),
        glu=found.glu and a.gated and a.experts is None and not fits["mlp"],
        mlp=fits["mlp"] and a.gated and a.experts is None,
        qkv=fits["qkv"],
        o=fits["o"],
    )


def _all_of(targets: dict[str, Linear], modules: frozenset[str], plain: bool) -> bool:
    """Whether all of these modules have an adapter, and none a bias where that matters."""
    return modules <= targets.keys() and not (plain and any(targets[name].bias for name in modules))


def joined(fused: Fused) -> frozenset[str]:
    """Modules whose LoRA runs inside of a kernel."""
    return (MLP if fused.mlp else frozenset()) | (QKV if fused.qkv else frozenset()) | (OUT if fused.o else frozenset())


def norm_bytes(architecture: Architecture, settings: AnalyticSettings) -> int:
    """Bytes a token and layer that fused norms keep: their inputs as they are, and one number a row."""
    a = architecture
    inner = (a.query + a.key) if a.qk_norm else 0
    counts = {"": 0, "head": a.heads + a.kv_heads, "whole": 2}[a.qk_norm]
    stream = settings.rest_bytes * a.norms * a.hidden
    return stream + settings.compute_bytes * inner + 4 * (a.norms + counts)


def lora_bytes(architecture: Architecture, settings: AnalyticSettings, fused: Fused) -> int:
    """Bytes a token and layer that LoRA kernels keep, without gate and up: inputs, and what DoRA and dropout add."""
    a, c, rest = architecture, settings.compute_bytes, settings.rest_bytes
    found = 0
    for on, inputs, outputs, width in (
        (fused.mlp, rest * a.hidden, 2 * a.intermediate + a.hidden, a.hidden),
        (fused.qkv, rest * a.hidden, a.query + 2 * a.key, a.hidden),
        # attention keeps its own output, which is the input here; the eager kernel makes another one
        (fused.o, c * a.query if settings.attention == "eager" else 0, a.hidden, a.query),
    ):
        if on:
            dropped = (rest + 1) * width if settings.dropout else 0
            found += inputs + dropped + (c * outputs if settings.adapter == "dora" else 0)
    return found


def adapter_copies(architecture: Architecture, settings: AnalyticSettings, fused: Fused) -> int:
    """Elements of the adapter of which kernels keep no copy, or one of their own, in place of autocast's."""
    inside = joined(fused)
    sizes = [
        item.copies * item.rank_of(settings.rank) * (item.inputs + item.outputs)
        for item in architecture.targets(settings)
        if item.name in inside
    ]
    return sum(sizes)


def mlp_temporaries(architecture: Architecture, settings: AnalyticSettings, fused: Fused) -> tuple[int, int]:
    """Bytes above what a layer keeps while the joined MLP runs: forward, and backward.

    Forward: the product, the output and one dequantised weight. Backward: the product's gradient, which gate's and up's
    take over in place, the incoming gradient, the outgoing one where it has a place of its own, one dequantised weight,
    and LoRA's product where it is made beside.
    """
    a, c, tokens = architecture, settings.compute_bytes, settings.tokens
    beside = c * a.intermediate if fused.beside else 0
    weight = c * a.hidden * a.intermediate if settings.quantisation == "nf4" else 0
    outgoing = c * a.hidden if fused.copies else 0
    forward = (c * a.intermediate + 2 * c * a.hidden) * tokens + weight
    return forward, (c * a.intermediate + settings.rest_bytes * a.hidden + outgoing + beside) * tokens + weight
