"""Whatever a config.json says: an estimate, or a named error; no bare traceback and no number from nonsense."""

import json
import random

import pytest

from tests.fuzz_scale import examples
from workbench.api.memory import estimate_recipe
from workbench.errors import WorkbenchError
from workbench.memory.presets import PRESETS
from workbench.recipes import Recipe

ODD = (None, -1, 0, 3, 1.5, "4096", "", True, [], [1, "a"], {}, {"a": 1}, 10**9, 10**30, float("nan"), float("inf"))
FURTHER = (
    "dtype torch_dtype head_dim text_config vision_config quantization_config architectures sliding_window layer_types "
    "model_type num_experts moe_intermediate_size mlp_only_layers decoder_sparse_step shared_expert_intermediate_size"
).split()
VISION = {
    "model_type": "qwen2_5_vl",
    "text_config": {**PRESETS["Qwen/Qwen2.5-7B"], "model_type": "qwen2_5_vl_text"},
    "vision_config": {
        "depth": 32,
        "hidden_size": 1280,
        "intermediate_size": 3420,
        "num_heads": 16,
        "in_chans": 3,
        "out_hidden_size": 3584,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    },
}
CONFIGS = {
    "llama": dict(PRESETS["meta-llama/Llama-3.2-1B"]),
    "qwen3_moe": {**PRESETS["Qwen/Qwen3-30B-A3B"], "shared_expert_intermediate_size": 768},
    "gemma3": dict(PRESETS["google/gemma-3-1b-pt"]),
    "phi": dict(PRESETS["microsoft/phi-2"]),
    "vision": VISION,
    "tower": VISION["vision_config"],
}


def damaged(name):
    """Copies of a config with one field replaced; `tower` damages the vision tower."""
    whole = VISION if name == "tower" else CONFIGS[name]
    for key in (*CONFIGS[name], *(() if name == "tower" else FURTHER)):
        for value in ODD:
            part = {**CONFIGS[name], key: value}
            yield f"{key}={value!r}", {**whole, "vision_config": part} if name == "tower" else part


@pytest.mark.parametrize("name", CONFIGS)
def test_a_damaged_config_gives_an_estimate_or_a_named_error(name, tmp_path):
    path = tmp_path / "config.json"
    cases = list(damaged(name))
    random.Random(name).shuffle(cases)
    refused = 0
    for at, (words, config) in enumerate(cases[: examples(60)]):
        path.write_text(json.dumps(config))
        try:
            made = estimate_recipe(Recipe(model=str(path), adapter=("lora", "none")[at % 2]), 1024, gpu="4090")
            assert made.to_dict()["live_bytes"] > 0, words
        except WorkbenchError as error:
            refused += 1
            assert error.code in ("WB801", "WB802", "WB803"), (words, str(error))
            assert error.remedy, words
    assert refused
