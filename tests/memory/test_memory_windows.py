"""Windows of the closed form against the caches that transformers makes for the same configs."""

import pytest

from workbench.memory.architecture import from_config

BASE = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 13,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 500,
}
MORE = {
    "mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2},
    "qwen2_moe": {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8},
    "qwen3_moe": {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8},
}
SLIDING = {"use_sliding_window": True, "sliding_window": 24, "max_window_layers": 5}
CASES = [
    ("llama", {}),
    ("mistral", {}),
    ("mistral", {"sliding_window": None}),
    ("mistral", {"sliding_window": 24}),
    ("mixtral", {}),
    ("mixtral", {"sliding_window": 24}),
    ("phi3", {"sliding_window": 24}),
    ("gemma2", {}),
    ("gemma2", {"layer_types": ["sliding_attention"] * 3 + ["full_attention"] * 10}),
    ("gemma3_text", {"sliding_window": 24}),
    ("gemma3_text", {"sliding_window": 24, "sliding_window_pattern": 4}),
    *((family, {}) for family in ("qwen2", "qwen3", "qwen2_moe", "qwen3_moe", "smollm3", "olmo2", "granite")),
    *((family, SLIDING) for family in ("qwen2", "qwen3", "qwen2_moe", "qwen3_moe", "smollm3")),
]


@pytest.mark.parametrize(("family", "fields"), CASES)
def test_windows_are_those_of_the_cache_that_transformers_makes(family, fields):
    from transformers import AutoConfig, DynamicCache

    values = {**BASE, **MORE.get(family, {}), **fields}
    made = AutoConfig.for_model(family, **values, pad_token_id=0)
    sliding = [layer for layer in DynamicCache(config=made).layers if layer.is_sliding]
    found = from_config({"model_type": family, **values})
    assert found.windowed == len(sliding)
    assert {found.window} == ({layer.sliding_window for layer in sliding} or {0})
