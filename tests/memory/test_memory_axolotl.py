"""axolotl configs as recipes: what is read, and that nothing is dropped."""

import json

import pytest

from workbench.errors import RecipeError
from workbench.memory.axolotl import is_axolotl, read_axolotl
from workbench.memory.axolotl_keys import CHANGING, QUIET, READ
from workbench.memory.trainer_yaml import is_trainer_yaml, read_trainer
from workbench.recipes import Recipe

QLORA = {
    "base_model": "meta-llama/Llama-3.1-8B",
    "load_in_4bit": True,
    "adapter": "qlora",
    "sequence_len": 4096,
    "sample_packing": True,
    "micro_batch_size": 2,
    "gradient_accumulation_steps": 4,
    "lora_r": 32,
    "lora_alpha": 16,
    "lora_dropout": 0.05,
    "lora_target_linear": True,
    "optimizer": "paged_adamw_32bit",
    "bf16": "auto",
    "gradient_checkpointing": True,
    "flash_attention": True,
    "wandb_project": "x",
    "datasets": [{"path": "mhenrichsen/alpaca_2k_test", "type": "alpaca"}],
}


def test_a_config_becomes_a_recipe_and_options():
    found = read_axolotl(QLORA)
    recipe = Recipe.from_dict(found.recipe)
    assert (recipe.model, recipe.adapter, recipe.r, recipe.lora_alpha) == ("meta-llama/Llama-3.1-8B", "lora", 32, 16)
    assert (recipe.packing, recipe.max_length, found.length) == ("bfd", 4096, 4096)
    assert (recipe.per_device_train_batch_size, recipe.gradient_accumulation_steps) == (2, 4)
    assert (recipe.optim, recipe.gradient_checkpointing) == ("paged_adamw_32bit", True)
    assert found.options == {
        "dtype": "bfloat16",
        "autocast": True,
        "attention": "flash_attention_2",
        "quantisation": "nf4",
        "loss": "logits",
        "kernels": ["lora_mlp", "lora_qkv", "lora_o"],
    }  # fmt: skip
    assert not any("wandb" in note or "datasets" in note for note in found.assumptions)


@pytest.mark.parametrize("model", ["mistralai/Mixtral-8x7B-v0.1", "Qwen/Qwen1.5-MoE-A2.7B", "Qwen/Qwen3-30B-A3B"])
def test_linear_targets_of_experts_are_the_linear_modules_that_transformers_builds(model):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from workbench.memory.presets import PRESETS

    values = {**PRESETS[model], "num_hidden_layers": 1}
    with torch.device("meta"):
        built = AutoModelForCausalLM.from_config(AutoConfig.for_model(values.pop("model_type"), **values))
    linear = {name.split(".")[-1] for name, module in built.named_modules() if isinstance(module, torch.nn.Linear)}
    found = read_axolotl({**QLORA, "base_model": model})
    assert set(found.recipe["target_modules"]) == linear - {"lm_head"}


def test_full_fine_tuning_keeps_trained_weights_in_bfloat16():
    found = read_axolotl({"base_model": "m", "sequence_len": 8, "bf16": True})
    assert found.recipe["adapter"] == "none"
    assert found.options == {"dtype": "bfloat16", "autocast": True, "attention": "sdpa", "loss": "logits"}
    assert read_axolotl({"base_model": "m", "sequence_len": 8}).options["dtype"] == "float32"


@pytest.mark.parametrize(
    ("more", "adapter"),
    [
        ({"peft_use_dora": True}, {"use_dora": True}),
        ({"peft_use_rslora": True}, {"use_rslora": True}),
        ({"lora_modules_to_save": ["lm_head"]}, {"modules_to_save": ["lm_head"]}),
        ({"peft_layers_to_transform": [0, 1]}, {"layers_to_transform": [0, 1]}),
    ],
)
def test_what_a_recipe_cannot_say_of_an_adapter_is_peft_config(more, adapter):
    found = read_axolotl({**QLORA, **more})
    assert found.options["adapter"].items() >= {"peft_type": "LORA", "r": 32, **adapter}.items()


@pytest.mark.parametrize(
    ("more", "options"),
    [
        ({"fsdp_config": {"offload_params": True}, "dp_shard_size": 8}, {"sharding": "fsdp", "offload": "parameters"}),
        ({"fsdp": ["full_shard"]}, {"sharding": "fsdp", "offload": "none"}),
        ({"deepspeed": "deepspeed_configs/zero2.json"}, {"sharding": "zero2", "offload": "none"}),
        ({"rl": "ipo"}, {"task": "dpo"}),
        (
            {"rl": "grpo", "trl": {"num_generations": 4, "max_completion_length": 1024}},
            {"task": "grpo", "prompt": 3072, "arguments": {"num_generations": 4}},
        ),
        ({"reward_model": True}, {"task": "reward"}),
        ({"load_in_4bit": False, "load_in_8bit": True, "adapter": "lora"}, {"quantisation": "int8"}),
        ({"flash_attention": None, "attn_implementation": "eager"}, {"attention": "eager"}),
        ({"gradient_checkpointing_kwargs": {"use_reentrant": True}}, {"reentrant": True}),
        ({"bf16": "full"}, {"autocast": False}),
    ],
)
def test_options(more, options):
    assert read_axolotl({**QLORA, **more}).options.items() >= options.items()


def test_a_deepspeed_file_beside_the_config_is_read(tmp_path):
    (tmp_path / "ds.json").write_text(
        json.dumps({"zero_optimization": {"stage": 3, "offload_param": {"device": "cpu"}}})
    )
    found = read_axolotl({**QLORA, "deepspeed": "ds.json"}, tmp_path)
    assert found.options.items() >= {"sharding": "zero3", "offload": "parameters"}.items()
    (tmp_path / "bad.json").write_text("{")
    for given in ("bad.json", {"zero": 1}, {"zero_optimization": {"stage": 9}}):
        with pytest.raises(RecipeError, match="WB817"):
            read_axolotl({**QLORA, "deepspeed": given}, tmp_path)


def test_no_key_is_dropped():
    strange = {"tiled_mlp": True, "unheard_of": 3, "torch_compile": True}
    notes = " | ".join(read_axolotl({**QLORA, **strange}).assumptions)
    assert all(f"{key}=" in notes for key in strange)
    assert "not known here: unheard_of=3" in notes
    assert "unheard_of" not in " ".join(read_axolotl({**QLORA, "unheard_of": None}).assumptions)


def test_the_tables_of_keys_do_not_overlap():
    assert not READ & QUIET and not READ & set(CHANGING) and not QUIET & set(CHANGING)


@pytest.mark.parametrize(
    ("key", "value"),
    [("micro_batch_size", 0), ("micro_batch_size", "two"), ("sequence_len", -1), ("lora_r", 1.5), ("base_model", None)],
)
def test_values_that_no_config_can_have_are_refused_by_key(key, value):
    with pytest.raises(RecipeError, match=rf"{key}.*WB402"):
        read_axolotl({**QLORA, key: value})


def test_an_axolotl_config_is_known_by_its_keys():
    assert is_axolotl(QLORA)
    assert not is_axolotl(Recipe().to_dict())
    assert not is_axolotl({"base_model": "m"})


FACTORY = {
    "model_name_or_path": "meta-llama/Llama-2-7b-hf",
    "stage": "sft",
    "finetuning_type": "lora",
    "lora_target": "all",
    "lora_rank": 8,
    "quantization_bit": 4,
    "cutoff_len": 1024,
    "per_device_train_batch_size": 1,
    "bf16": True,
    "flash_attn": "fa2",
    "template": "llama2",
    "enable_liger_kernel": True,
}


def test_configs_of_other_tools_are_read_too():
    assert is_trainer_yaml(FACTORY) and not is_trainer_yaml(QLORA) and not is_axolotl(FACTORY)
    found = read_trainer(FACTORY)
    recipe = Recipe.from_dict(found.recipe)
    assert (recipe.r, recipe.target_modules, recipe.gradient_checkpointing, found.length) == (
        8,
        "all-linear",
        True,
        1024,
    )
    assert found.options == {
        "quantisation": "nf4", "dtype": "bfloat16", "autocast": True, "attention": "flash_attention_2",
        "kernels": ["liger", "liger_cross_entropy"], "loss": "logits",
    }  # fmt: skip
    assert not any("template" in note for note in found.assumptions)
    full = read_trainer({**FACTORY, "finetuning_type": "full", "stage": "dpo", "enable_liger_kernel": False})
    assert (full.recipe["adapter"], full.options["task"]) == ("none", "dpo")
    trl = {"model_name_or_path": "m", "use_peft": True, "lora_r": 4, "max_length": 64, "load_in_4bit": True}
    found = read_trainer(trl)
    assert (found.recipe["r"], found.recipe["target_modules"], found.options["quantisation"]) == (
        4,
        ["q_proj", "v_proj"],
        "nf4",
    )
    with pytest.raises(RecipeError, match=r"lora_rank.*WB402"):
        read_trainer({**FACTORY, "lora_rank": -1})
