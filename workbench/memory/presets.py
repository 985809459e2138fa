"""`config.json` values of well-known models, so that an estimate needs neither network nor weights.

    PRESETS["meta-llama/Llama-3.2-1B"]["hidden_size"]  ->  2048

Only fields that decide shapes are kept. Instruct variants share their base model's shapes and are listed too.
Source: each repository's public config.json; the parameter counts they give are in tests/memory/test_architecture.py.
"""

from __future__ import annotations

from collections.abc import Mapping

_LLAMA_3_2_1B = {
    "model_type": "llama",
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "vocab_size": 128256,
    "tie_word_embeddings": True,
}
_LLAMA_3_2_3B = {
    "model_type": "llama",
    "hidden_size": 3072,
    "intermediate_size": 8192,
    "num_hidden_layers": 28,
    "num_attention_heads": 24,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 128256,
    "tie_word_embeddings": True,
}
_LLAMA_3_1_8B = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "tie_word_embeddings": False,
}
_LLAMA_2_7B = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "vocab_size": 32000,
    "tie_word_embeddings": False,
}
_QWEN_2_5_0_5B = {
    "model_type": "qwen2",
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "vocab_size": 151936,
    "tie_word_embeddings": True,
}
_QWEN_2_5_1_5B = {
    "model_type": "qwen2",
    "hidden_size": 1536,
    "intermediate_size": 8960,
    "num_hidden_layers": 28,
    "num_attention_heads": 12,
    "num_key_value_heads": 2,
    "vocab_size": 151936,
    "tie_word_embeddings": True,
}
_QWEN_2_5_7B = {
    "model_type": "qwen2",
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "vocab_size": 152064,
    "tie_word_embeddings": False,
}
_QWEN_3_0_6B = {
    "model_type": "qwen3",
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 151936,
    "tie_word_embeddings": True,
}
_MISTRAL_7B = {
    "model_type": "mistral",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 32000,
    "tie_word_embeddings": False,
}

PRESETS: Mapping[str, Mapping[str, object]] = {
    "meta-llama/Llama-3.2-1B": _LLAMA_3_2_1B,
    "meta-llama/Llama-3.2-1B-Instruct": _LLAMA_3_2_1B,
    "meta-llama/Llama-3.2-3B": _LLAMA_3_2_3B,
    "meta-llama/Llama-3.2-3B-Instruct": _LLAMA_3_2_3B,
    "meta-llama/Llama-3.1-8B": _LLAMA_3_1_8B,
    "meta-llama/Llama-3.1-8B-Instruct": _LLAMA_3_1_8B,
    "meta-llama/Llama-2-7b-hf": _LLAMA_2_7B,
    "Qwen/Qwen2.5-0.5B": _QWEN_2_5_0_5B,
    "Qwen/Qwen2.5-0.5B-Instruct": _QWEN_2_5_0_5B,
    "Qwen/Qwen2.5-1.5B": _QWEN_2_5_1_5B,
    "Qwen/Qwen2.5-1.5B-Instruct": _QWEN_2_5_1_5B,
    "Qwen/Qwen2.5-7B": _QWEN_2_5_7B,
    "Qwen/Qwen2.5-7B-Instruct": _QWEN_2_5_7B,
    "Qwen/Qwen3-0.6B": _QWEN_3_0_6B,
    "meta-llama/Meta-Llama-3-8B": _LLAMA_3_1_8B,
    "meta-llama/Meta-Llama-3-8B-Instruct": _LLAMA_3_1_8B,
    "NousResearch/Llama-3.2-1B": _LLAMA_3_2_1B,
    "NousResearch/Meta-Llama-3-8B": _LLAMA_3_1_8B,
    "NousResearch/Meta-Llama-3-8B-Instruct": _LLAMA_3_1_8B,
    "NousResearch/Meta-Llama-3.1-8B": _LLAMA_3_1_8B,
    "NousResearch/Llama-2-7b-hf": _LLAMA_2_7B,
    "mistralai/Mistral-7B-v0.1": _MISTRAL_7B,
}
