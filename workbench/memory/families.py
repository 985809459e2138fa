"""What tells one family of decoders from another, as far as shapes and memory go: one table.

FAMILIES["gemma2"].norms  ->  4

Source of every line: transformers 5.23, models/<family>/modeling_<family>.py and configuration_<family>.py. A default
holds where config.json leaves the field out; tests/memory/test_memory_families.py builds every family.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Family:
    """Facts of a family.

    Attributes:
        layout: Names of a layer's linear modules: `llama` (q, k, v, o; gate, up, down), `fused` (Phi-3's qkv and
            gate_up), `phi` (dense, fc1, fc2), `plain` (c_fc, c_proj).
        biases: Names that always have a bias.
        attention_bias: Field of the config that gives q, k, v and o a bias; empty where there is none.
        mlp_bias: The same of the MLP.
        norms: Norms of the residual stream a layer.
        norm: As in `Architecture`.
        qk_norm: As in `Architecture`.
        tied: Whether the head is the embedding where config.json does not say.
        experts: Field that counts experts; empty for a dense family.
        expert_targets: Words for PEFT that adapt the router, gate and up, and down; none where PEFT cannot.
        defaults: Values of fields that config.json may leave out.
        post_norm: As in `Architecture`.
        gelu: As in `Architecture`.
    """

    layout: Literal["llama", "fused", "phi", "plain"] = "llama"
    biases: tuple[str, ...] = ()
    attention_bias: str = ""
    mlp_bias: str = ""
    norms: int = 2
    norm: Literal["rms", "gemma", "layer"] = "rms"
    qk_norm: Literal["", "head", "whole"] = ""
    tied: bool = False
    head_bias: bool = False
    softcap: bool = False
    experts: str = ""
    expert_targets: tuple[tuple[str, ...], ...] = ((), (), ())
    defaults: Mapping[str, int] = field(default_factory=dict[str, int])
    post_norm: bool = False
    gelu: Literal["steps", "quick", "fused"] = "steps"


QKV = ("q_proj", "k_proj", "v_proj")
GEMMA3 = {"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "vocab_size": 262208}

FAMILIES: Mapping[str, Family] = {
    "llama": Family(attention_bias="attention_bias", mlp_bias="mlp_bias"),
    "mistral": Family(),
    "qwen2": Family(biases=QKV),
    "qwen3": Family(attention_bias="attention_bias", qk_norm="head", defaults={"head_dim": 128}),
    "gemma": Family(attention_bias="attention_bias", norm="gemma", tied=True, defaults={"head_dim": 256}),
    "gemma2": Family(
        attention_bias="attention_bias", norms=4, norm="gemma", tied=True, softcap=True, defaults={"head_dim": 256}
    ),
    "gemma3_text": Family(
        attention_bias="attention_bias", norms=4, norm="gemma", qk_norm="head", tied=True, defaults=GEMMA3
    ),
    "phi": Family(layout="phi", biases=(*QKV, "dense", "fc1", "fc2"), norms=1, norm="layer", head_bias=True),
    "phi3": Family(layout="fused"),
    "mixtral": Family(experts="num_local_experts", expert_targets=(("gate",), ("w1", "w3"), ("w2",))),
    "qwen2_moe": Family(biases=QKV, experts="num_experts"),
    "qwen3_moe": Family(
        attention_bias="attention_bias",
        qk_norm="head",
        experts="num_experts",
        expert_targets=(("gate",), ("gate_proj", "up_proj"), ("down_proj",)),
    ),
    "smollm3": Family(attention_bias="attention_bias", mlp_bias="mlp_bias", tied=True),
    "olmo2": Family(attention_bias="attention_bias", qk_norm="whole", post_norm=True),
    "olmo3": Family(attention_bias="attention_bias", qk_norm="whole", post_norm=True),
    "exaone4": Family(qk_norm="head", post_norm=True),
    "starcoder2": Family(
        layout="plain", biases=(*QKV, "o_proj", "c_fc", "c_proj"), norm="layer", tied=True, gelu="fused"
    ),
    "granite": Family(attention_bias="attention_bias", mlp_bias="mlp_bias"),
    "seed_oss": Family(mlp_bias="mlp_bias", biases=QKV, defaults={"head_dim": 128}),
    "qwen2_vl": Family(biases=QKV),
    "qwen2_5_vl": Family(biases=QKV),
}
"""Families by `model_type`; the text part of a vision-language model by that of its text."""

TEXT_OF: Mapping[str, str] = {
    "qwen2_vl": "qwen2_vl",
    "qwen2_vl_text": "qwen2_vl",
    "qwen2_5_vl": "qwen2_5_vl",
    "qwen2_5_vl_text": "qwen2_5_vl",
    "gemma3": "gemma3_text",
    "llava": "llama",
}
"""`model_type` -> family of the text part, where config.json has no text_config of its own with another."""

PAIR = ("q_proj", "v_proj")
DEFAULT_TARGETS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "mixtral"), PAIR),
    "phi": (*PAIR, "fc1", "fc2"),
}
"""What PEFT adapts where a config names nothing (peft 0.21, utils/constants.py); no default for other families."""

FOREIGN = ("expert", "moe", "lora_rank", "ssm", "mamba", "conv", "encoder", "decoder", "vision", "audio", "state_size")
"""Pieces of field names that no plain Llama-like decoder has."""

PLAIN = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "vocab_size",
    "rms_norm_eps",
)
"""Fields of a config that all Llama-like decoders have."""


def is_plain(config: Mapping[str, object]) -> bool:
    """Whether an unknown family's config has all fields of a Llama-like decoder and none that it would not have."""
    foreign = any(piece in name for name in config for piece in FOREIGN if not name.startswith("is_"))
    return all(name in config for name in PLAIN) and not foreign
