"""Parts of the closed form that live through the whole step: weights, adapter, optimizer, gradients, batch."""

from __future__ import annotations

from workbench.memory.figures import Part
from workbench.memory.statics import copied_bytes, state_bytes, weight_bytes
from workbench.memory.step import Step

WORKSPACE = 2 * (4096 * 2 * 1024 + 16 * 8 * 1024)
"""cuBLAS's workspaces, of forward's thread and of autograd's (torch 2.13, ATen/cuda/CublasHandlePool.cpp)."""


def static_parts(step: Step) -> tuple[Part, ...]:
    """What lives through the whole step."""
    a, settings = step.architecture, step.settings
    adapter = a.adapter_parameters(settings)
    weights = weight_bytes(a, settings)
    copied = copied_bytes(settings)
    quantised = settings.quantisation != "none"
    trained = {"trained": step.trained, "bytes": settings.trained_bytes}
    return (
        Part(
            "weights",
            weights,
            f"{settings.quantisation} linear modules + the rest x bytes" if quantised else "parameters x bytes",
            {"parameters": a.total, "bytes": settings.rest_bytes},
            "config.json",
        ),
        Part(
            "adapter",
            adapter * settings.adapter_bytes + copied,
            f"sum over targets of r x (in + out) x {settings.adapter_bytes}" + (" + copies" if copied else ""),
            {"parameters": adapter, "r": settings.rank, **({"copies": copied} if copied else {})},
            "PEFT keeps LoRA matrices in float32; TRL casts them to bfloat16 over quantised weights",
        ),
        Part(
            "reference model",
            weights if step.full and settings.refers else 0,
            "weights once more",
            {"parameters": a.total},
            "with an adapter the reference is the model without it",
        ),
        Part(
            "optimizer",
            state_bytes(a, settings),
            "trained x bytes of state",
            trained,
            f"optim={settings.optim}",
        ),
        Part("gradients", step.gradients, "trained x bytes", trained, "torch keeps one gradient a trained parameter"),
        Part(
            "gradients so far",
            step.gradients - _gradients_to_come(step),
            "gradients, less those of the first layer's other modules and of an untied embedding",
            trained,
            "what is there when the first layer's MLP runs backward",
        ),
        _batch_part(step),
        Part(
            "workspace",
            WORKSPACE if settings.device == "cuda" else 0,
            "2 x 8.125 MiB",
            {},
            "cuBLAS keeps one for each thread that multiplies",
        ),
    )


def _batch_part(step: Step) -> Part:
    """Ids and masks."""
    settings, tokens = step.settings, step.settings.tokens
    masked = settings.masked and settings.attention != "flash_attention_2"
    mask = tokens * settings.length if masked else 0
    return Part(
        "batch",
        (24 + 2 * settings.rest_bytes * step.architecture.head_dim) * tokens + mask,
        "tokens x (3 x 8 + 2 head_dim w) + tokens x length where masked",
        {"tokens": tokens, "mask": mask},
        "ids, labels and mask in int64, rotary tables, one boolean attention mask",
    )


def _gradients_to_come(step: Step) -> int:
    """Bytes of gradients that are not there yet when the first layer's MLP runs backward."""
    a = step.architecture
    if not step.full:  # a copy of the embedding comes last
        return a.vocab * a.hidden * step.embedding_bytes
    layer = (a.linear_parameters + a.parameters["experts"]) // a.layers
    early = a.tied and step.settings.method != "reward"  # the head's gradient is there from the start
    if a.experts is None:
        layer -= a.hidden * a.intermediate  # the last module of the MLP has its own
    return (layer + (0 if early else step.head_elements)) * step.settings.weight_bytes
