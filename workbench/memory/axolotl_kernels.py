"""Kernels and offloading of an axolotl config: words of `workbench.memory.kernels`, and checkpointing with them.

Source: axolotl 0.18 (067b021c): utils/schemas/config.py, check_auto_enable_lora_kernels (LoRA kernels are on unless
one of their keys is set, and off for rl, 8-bit LoRA and trust_remote_code); utils/schemas/validation.py and
core/builders/base.py, loaders/model.py (what activation_offloading makes of gradient_checkpointing);
integrations/liger/args.py and integrations/cut_cross_entropy/args.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

LIGER: Mapping[str, str] = {
    "liger_rms_norm": "liger_rms_norm",
    "liger_glu_activation": "liger_glu",
    "liger_fused_linear_cross_entropy": "liger_cross_entropy",
}
LORA: Mapping[str, str] = {"lora_mlp_kernel": "lora_mlp", "lora_qkv_kernel": "lora_qkv", "lora_o_kernel": "lora_o"}
PLUGINS = ("liger", "cut_cross_entropy")
"""Plugins whose own keys say what they do."""

KEYS = (*LIGER, *LORA, "liger_rope", "cut_cross_entropy", "activation_offloading")
"""Keys that are read here; a rotary kernel changes no tensor that is kept."""

OFFLOADS: Mapping[str, str] = {"offload": "true", "offload_disk": "disk"}


def kernels_of(values: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """Options `kernels`, and `activation_offloading`; what is taken for granted goes to `notes`."""
    words = [word for key, word in LIGER.items() if values.get(key)]
    words += _lora(values, notes)
    words += ["cut_cross_entropy"] if _cuts(values) else []
    found: dict[str, Any] = {"kernels": words} if words else {}
    return {**found, "activation_offloading": True} if offloading_of(values) else found


def _plugins(values: Mapping[str, Any]) -> list[str]:
    given = values.get("plugins")
    return [str(name) for name in cast("list[Any]", given)] if isinstance(given, list) else []


def _cuts(values: Mapping[str, Any]) -> bool:
    """Whether cut cross entropy is on: its plugin alone turns it on (integrations/cut_cross_entropy/args.py)."""
    said = values.get("cut_cross_entropy")
    return bool(said) or (said is None and any("cut_cross_entropy" in name for name in _plugins(values)))


def _lora(values: Mapping[str, Any], notes: list[str]) -> list[str]:
    said = [key for key in (*LORA, "lora_embedding_kernel") if values.get(key) is not None]
    if said or values.get("adapter") not in ("lora", "qlora"):
        return [word for key, word in LORA.items() if values.get(key)]
    eight = values.get("adapter") == "lora" and values.get("load_in_8bit")
    if values.get("rl") or eight or values.get("trust_remote_code") or _first_fsdp(values):
        return []
    notes.append(
        "no lora_*_kernel is set: axolotl 0.18 turns its LoRA kernels on (lora_mlp_kernel: false turns them off)"
    )
    return list(LORA.values())


def _first_fsdp(values: Mapping[str, Any]) -> bool:
    """Whether FSDP1 spreads the run, which the kernels are not made for."""
    return bool(values.get("fsdp") or values.get("fsdp_config")) and str(values.get("fsdp_version")) != "2"


def offloading_of(values: Mapping[str, Any]) -> str:
    """Kind of activation offloading, or nothing; `gradient_checkpointing: offload` is its older name."""
    given = values.get("activation_offloading") or OFFLOADS.get(str(values.get("gradient_checkpointing")))
    return "" if not given else str(given).lower()


def checkpointing_of(values: Mapping[str, Any]) -> bool:
    """Whether layers are computed again.

    Offloading takes the place of checkpointing where an adapter trains, except of `hidden_states`: then, and where all
    weights train, the inputs of layers are what is offloaded.
    """
    kind = offloading_of(values)
    if not kind:
        return bool(values.get("gradient_checkpointing"))
    return kind == "hidden_states" or not values.get("adapter")


def known_plugins(values: Mapping[str, Any]) -> bool:
    """Whether every plugin is one whose keys are read."""
    found = _plugins(values)
    return bool(found) and all(any(word in name for word in PLUGINS) for name in found)
