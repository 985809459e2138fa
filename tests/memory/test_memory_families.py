"""Bytes of parameters and adapters against the objects that transformers and PEFT build on the meta device."""

import pytest

from workbench.memory.architecture import from_config
from workbench.memory.families import FAMILIES
from workbench.memory.settings import AnalyticSettings

WIDE = {
    "hidden_size": 96,
    "intermediate_size": 200,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "vocab_size": 333,
    "pad_token_id": 0,
}
CLIP = {
    "model_type": "clip_vision_model",
    "hidden_size": 64,
    "intermediate_size": 100,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 56,
    "patch_size": 14,
}
SIGLIP = {**CLIP, "model_type": "siglip_vision_model"}
QWEN = {"depth": 2, "num_heads": 4, "patch_size": 14}
CONFIGS = {
    **{name: {"model_type": name, **WIDE} for name in FAMILIES if "moe" not in name and "vl" not in name},
    "llama biased": {"model_type": "llama", **WIDE, "attention_bias": True, "mlp_bias": True, "head_dim": 20},
    "qwen3 biased": {"model_type": "qwen3", **WIDE, "attention_bias": True, "tie_word_embeddings": True},
    "gemma untied": {"model_type": "gemma", **WIDE, "tie_word_embeddings": False, "head_dim": 32},
    "granite biased": {"model_type": "granite", **WIDE, "attention_bias": True, "mlp_bias": True},
    "starcoder2 without biases": {"model_type": "starcoder2", **WIDE, "use_bias": False},
    "smollm3 untied": {"model_type": "smollm3", **WIDE, "tie_word_embeddings": False},
    "mixtral": {"model_type": "mixtral", **WIDE, "num_local_experts": 4, "num_experts_per_tok": 2},
    "qwen2_moe": {
        "model_type": "qwen2_moe",
        **WIDE,
        "num_experts": 5,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 40,
        "shared_expert_intermediate_size": 72,
    },
    "qwen3_moe": {
        "model_type": "qwen3_moe",
        **WIDE,
        "num_experts": 8,
        "num_experts_per_tok": 3,
        "moe_intermediate_size": 24,
    },
    "qwen3_moe partly dense": {
        "model_type": "qwen3_moe",
        **WIDE,
        "num_hidden_layers": 6,
        "decoder_sparse_step": 2,
        "mlp_only_layers": [3],
        "num_experts": 8,
        "num_experts_per_tok": 3,
        "moe_intermediate_size": 24,
    },
    "gemma3": {"model_type": "gemma3", "text_config": {"model_type": "gemma3_text", **WIDE}, "vision_config": SIGLIP},
    "gemma3 without head": {
        "model_type": "gemma3",
        "text_config": {"model_type": "gemma3_text", **WIDE},
        "vision_config": {**SIGLIP, "vision_use_head": False},
    },
    "llava": {"model_type": "llava", "text_config": {"model_type": "llama", **WIDE}, "vision_config": CLIP},
    "llava mistral": {
        "model_type": "llava",
        "text_config": {"model_type": "mistral", **WIDE},
        "vision_config": CLIP,
        "multimodal_projector_bias": False,
        "vision_feature_layer": [-2, -1],
    },
    "qwen2_vl": {
        "model_type": "qwen2_vl",
        **WIDE,
        "tie_word_embeddings": True,
        "vision_config": {**QWEN, "embed_dim": 64, "hidden_size": 96},
    },
    "qwen2_5_vl": {
        "model_type": "qwen2_5_vl",
        **WIDE,
        "vision_config": {**QWEN, "hidden_size": 64, "intermediate_size": 52, "out_hidden_size": 96},
    },
}


def built(config):
    """The model that transformers makes of a config on meta."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

    values = dict(config)
    maker = AutoModelForImageTextToText if "vision_config" in values else AutoModelForCausalLM
    with torch.device("meta"):
        return maker.from_config(AutoConfig.for_model(values.pop("model_type"), **values), dtype=torch.bfloat16)


def size(parameters):
    return sum(parameter.numel() * parameter.element_size() for parameter in parameters)


def adapted(name, **options):
    """Bytes of the trained parameters of the adapter that PEFT builds."""
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(built(CONFIGS[name]), LoraConfig(r=5, **options))
    return size(parameter for parameter in model.parameters() if parameter.requires_grad)


@pytest.mark.parametrize("name", CONFIGS)
def test_parameters_have_exactly_the_bytes_of_the_model_that_transformers_builds(name):
    assert 2 * from_config(CONFIGS[name]).total == size(built(CONFIGS[name]).parameters())


@pytest.mark.parametrize("name", CONFIGS)
def test_an_adapter_of_all_linear_modules_has_exactly_the_bytes_of_the_one_that_peft_builds(name):
    settings = AnalyticSettings(rank=5)
    assert 4 * from_config(CONFIGS[name]).adapter_parameters(settings) == adapted(name, target_modules="all-linear")


@pytest.mark.parametrize("name", CONFIGS)
def test_an_adapter_of_named_modules_has_exactly_the_bytes_of_the_one_that_peft_builds(name):
    shapes = from_config(CONFIGS[name])
    named = [item.targets[1:] for item in shapes.modules if item.targets[1:]]
    targets = [*named[0], *named[-1]]
    dora = not any(item.reads == "expert" and {*item.targets} & {*targets} for item in shapes.modules)
    settings = AnalyticSettings(adapter="dora" if dora else "lora", rank=5, targets=tuple(targets))
    assert 4 * shapes.adapter_parameters(settings) == adapted(name, target_modules=targets, use_dora=dora)
