"""Parameter counts against the models that transformers builds on the meta device."""

import json

import pytest

from workbench.errors import ModelError, RecipeError
from workbench.memory.architecture import from_config, of_model
from workbench.memory.presets import PRESETS, PUBLISHED
from workbench.memory.settings import AnalyticSettings

BUILT = ("meta-llama/Llama-3.2-1B", "Qwen/Qwen2.5-0.5B", "Qwen/Qwen3-1.7B", "google/gemma-2-2b", "microsoft/phi-2")

SMALL = {
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 99,
}


def on_meta(config):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    values = dict(config)
    family = values.pop("model_type")
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **values))


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("name", PUBLISHED)
def test_preset_has_the_published_parameter_count(name):
    assert of_model(name).total == PUBLISHED[name]


@pytest.mark.parametrize("name", BUILT)
def test_preset_matches_the_model_transformers_builds(name):
    assert PUBLISHED[name] == count(on_meta(PRESETS[name]))


@pytest.mark.parametrize(
    "changes",
    [
        {"model_type": "llama"},
        {"model_type": "llama", "attention_bias": True, "mlp_bias": True},
        {"model_type": "llama", "head_dim": 20, "tie_word_embeddings": True},
        {"model_type": "mistral", "head_dim": None},
        {"model_type": "qwen2", "tie_word_embeddings": True},
        {"model_type": "qwen3"},
        {"model_type": "qwen3", "attention_bias": True, "head_dim": 16},
    ],
)
def test_small_config_of_every_family_matches_transformers_by_kind(changes):
    config = {**SMALL, "tie_word_embeddings": False, **changes}
    model, found = on_meta(config), from_config(config)
    kinds = dict.fromkeys(found.parameters, 0)
    for name, parameter in model.named_parameters():
        kind = "norms" if "norm" in name else next((k for k in ("mlp", "embed", "lm_head") if k in name), "attention")
        kinds[{"embed": "embedding", "lm_head": "head"}.get(kind, kind)] += parameter.numel()
    assert dict(found.parameters) == kinds


def test_missing_tie_and_kv_heads_read_as_transformers_reads_them():
    config = {"model_type": "llama", **SMALL}
    del config["num_key_value_heads"]
    assert from_config(config).total == count(on_meta(config))


@pytest.mark.parametrize("targets", ["all-linear", ("q_proj", "v_proj"), ("down_proj",)])
def test_adapter_has_as_many_parameters_as_peft_makes(targets):
    from peft import LoraConfig, get_peft_model

    config = {"model_type": "qwen2", **SMALL}
    wanted = targets if isinstance(targets, str) else list(targets)
    model = get_peft_model(on_meta(config), LoraConfig(r=5, target_modules=wanted, task_type="CAUSAL_LM"))
    made = sum(parameter.numel() for name, parameter in model.named_parameters() if "lora_" in name)
    assert from_config(config).adapter_parameters(AnalyticSettings(rank=5, targets=targets)) == made


@pytest.mark.parametrize("family", ["bert", "t5", "gpt2", None, "Llama"])
def test_unknown_architecture_is_refused_by_name(family):
    with pytest.raises(ModelError, match=f"{family!r}.*WB801"):
        from_config({**SMALL, "model_type": family})


@pytest.mark.parametrize("value", [None, 0, -1, "48", 2.5, True])
def test_config_with_a_bad_shape_is_refused(value):
    with pytest.raises(ModelError, match=r"hidden_size.*WB802"):
        from_config({**SMALL, "model_type": "llama", "hidden_size": value})


def test_quantised_weights_are_refused():
    with pytest.raises(ModelError, match="quantization_config"):
        from_config({**SMALL, "model_type": "llama", "quantization_config": {"quant_method": "bitsandbytes"}})


def test_unknown_lora_target_is_refused_by_name():
    with pytest.raises(RecipeError, match=r"'c_attn'.*WB803"):
        of_model("meta-llama/Llama-3.2-1B").targets(AnalyticSettings(targets=("q_proj", "c_attn")))


def test_config_is_read_from_a_folder(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "mistral", **SMALL}), encoding="utf-8")
    assert of_model(str(tmp_path)).family == "mistral"


@pytest.mark.parametrize("text", ["{", "[]", ""])
def test_broken_config_file_is_a_model_error(tmp_path, text):
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match="WB804"):
        of_model(str(tmp_path))


@pytest.mark.parametrize("name", ["nobody/nothing-here", "../../etc", "", "a b c"])
def test_model_that_is_nowhere_is_named_in_the_error(name):
    with pytest.raises(ModelError, match="WB804"):
        of_model(name)


def test_embedded_model_matches_its_shipped_config():
    from pathlib import Path

    import workbench

    path = Path(workbench.__path__[0], "tiny_llama", "assets", "config.json")
    if not path.is_file():
        pytest.skip("the embedded model's files are not built in this checkout")
    config = json.loads(path.read_text(encoding="utf-8"))
    wanted = {
        key: value for key, value in config.items() if key not in ("dtype", "torch_dtype", "transformers_version")
    }
    assert of_model("tiny-llama").total == count(on_meta(wanted))


LLAMA = {**SMALL, "model_type": "llama"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hidden_size": 50}, "50, which 4 heads do not divide"),
        ({"num_key_value_heads": 3}, "3 groups"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers=1000000000"),
        ({"vocab_size": float("nan")}, "vocab_size=nan"),
        ({"vocab_size": "32000"}, "vocab_size='32000'"),
        ({"intermediate_size": -4}, "intermediate_size=-4"),
    ],
)
def test_impossible_numbers_are_refused_with_the_number(changes, said):
    with pytest.raises(ModelError, match=rf"{said}.*WB802"):
        from_config({**LLAMA, **changes})


def test_unknown_family_with_all_fields_of_llama_is_read_as_one_and_says_so():
    found = from_config({**SMALL, "model_type": "brand_new", "rms_norm_eps": 1e-6})
    assert found.total == from_config(LLAMA).total
    assert "'brand_new'" in found.assumptions[0]


def test_fields_that_config_leaves_out_are_named():
    found = from_config({**SMALL, "model_type": "gemma2"})
    assert found.assumptions == ("config.json leaves out head_dim=256: transformers' defaults are taken",)


def test_unknown_vision_tower_is_refused_by_name():
    config = {"model_type": "llava", "text_config": LLAMA, "vision_config": {"model_type": "pixtral"}}
    with pytest.raises(ModelError, match=r"'pixtral'.*WB801"):
        from_config(config)
