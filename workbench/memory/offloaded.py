"""What of a step's kept activations is on the device where they wait in host memory.

With checkpointing that is the inputs of a few layers. Without it, what TRL's offloading leaves: a tensor that two
operators keep is offloaded for the first and stays for the second, and the last few tensors are still on their way.

Source: trl 1.16, models/activation_offloading.py (pack_tensor: storages already tracked, fwd_stash of 5).
"""

from __future__ import annotations

from workbench.memory.figures import Part
from workbench.memory.fused import applied, joined
from workbench.memory.kernels import Fused
from workbench.memory.settings import AnalyticSettings
from workbench.memory.shapes import Architecture
from workbench.memory.step import Step


def offloaded_part(step: Step) -> Part:
    """Kept activations on the device."""
    a, settings, tokens = step.architecture, step.settings, step.settings.tokens
    fused = applied(a, settings)
    if settings.checkpointing:
        size = settings.rest_bytes * a.hidden * min(fused.stays, a.layers) * tokens
        formula, twice = f"{fused.stays} x w H tokens", 0
    else:
        twice = kept_twice(a, settings, fused)
        passing = (2 if fused.mlp else 3) * settings.output_bytes * a.intermediate
        size = (a.layers * twice + passing) * tokens
        formula = f"(layers x what two operators keep + {2 if fused.mlp else 3} o I) tokens"
    return Part(
        "activations",
        size,
        formula,
        {"layers": a.layers, "tokens": tokens, "twice": twice},
        "kept tensors wait in host memory; these are still, or stay, on the device",
    )


def kept_twice(architecture: Architecture, settings: AnalyticSettings, fused: Fused) -> int:
    """Bytes a token and layer that two operators keep.

    A norm's float32 input, for its square and for its product; an input that several modules read; attention's output,
    for itself and for the projection behind it; what axolotl's kernels save twice.
    """
    a, c = architecture, settings.compute_bytes
    norms = 0 if fused.norms or a.norm == "layer" else 4 * a.norms * a.hidden
    inside = joined(fused)
    if settings.full:
        alike = c == settings.rest_bytes and a.norm != "layer"
        return norms + c * a.query + (2 * c * a.hidden if alike else 0)
    kernels = sum((fused.mlp, fused.qkv)) * settings.rest_bytes * a.hidden if fused.copies else 0
    output = c * a.query if "o_proj" in inside else 0
    return norms + kernels + output + _read_by_several(a, settings, inside)


def _read_by_several(a: Architecture, settings: AnalyticSettings, inside: frozenset[str]) -> int:
    """Bytes of activations that several LoRA matrices keep as they are, without a copy of their own."""
    low = settings.adapter_bytes == 2
    shared = settings.rest_bytes == 2 if low else not settings.autocast and settings.rest_bytes == 4
    if not shared or settings.dropout:
        return 0
    targets = [item for item in a.targets(settings) if item.name not in inside]
    counts: dict[str, int] = {}
    for item in targets:
        counts[item.reads] = counts.get(item.reads, 0) + 1
    several = [reads for reads in ("attention input", "mlp input") if counts.get(reads, 0) > 1]
    output = a.query if counts.get("attention output") else 0
    return settings.adapter_bytes * (len(several) * a.hidden + output)
