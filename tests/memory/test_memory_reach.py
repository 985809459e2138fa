"""What an adapter's patterns reach, against the objects that PEFT builds on the meta device, to the byte."""

import random

import pytest

from tests.benchmarks.peft_reach import CONFIGS, built_by_peft, of_the_formula, some_config
from workbench.errors import RecipeError, WorkbenchError
from workbench.memory.analytic import evaluate
from workbench.memory.architecture import from_config, of_model
from workbench.memory.reach import resolved
from workbench.memory.settings import AnalyticSettings, wanted_fields

RNG = random.Random(11)
SAMPLE = [(name, some_config(RNG, from_config(CONFIGS[name]))) for name in RNG.sample(list(CONFIGS), 12)]
FIXED = [
    ("llama", {"target_modules": r"model\.layers\.(0|2)\..*_proj", "exclude_modules": ["k_proj"]}),
    ("llama", {"target_modules": ["self_attn.o_proj"], "layers_to_transform": [1], "layers_pattern": "layers"}),
    ("phi", {"bias": "all", "rank_pattern": {r"layers\.1\..*": 7, "fc1": 2}}),
    ("qwen2", {"target_modules": "all-linear", "bias": "lora_only", "lora_bias": True}),
    ("gemma2", {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens", "lm_head"]}),
    ("gemma2", {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"], "ensure_weight_tying": True}),
    ("seed_oss", {"target_modules": ["v_proj", "embed_tokens"], "trainable_token_indices": None, "use_dora": True}),
    ("qwen3", {"target_modules": ["v_proj"], "trainable_token_indices": [1, 5], "modules_to_save": ["norm"]}),
    ("mixtral", {"target_modules": r".*\.(q_proj|w1|w2|w3)"}),
    ("mixtral", {"target_modules": ["q_proj"], "target_parameters": ["experts.down_proj", "gate.weight"]}),
    ("qwen2_moe", {"target_modules": ["o_proj"], "target_parameters": ["mlp.experts.gate_up_proj"]}),
    ("qwen2_5_vl", {"target_modules": r"model\.visual\.blocks\.\d+\.(attn|mlp)\..*(qkv|proj)", "bias": "all"}),
]


@pytest.mark.parametrize(("name", "config"), [*FIXED, *SAMPLE])
def test_what_trains_and_what_is_added_has_exactly_the_bytes_that_peft_builds(name, config):
    made = {"r": 5, **config}
    try:
        ours = of_the_formula(name, made)
    except WorkbenchError as refused:
        if refused.code == "WB803":
            with pytest.raises(ValueError):  # PEFT's words are its own
                built_by_peft(name, made)
        return
    assert ours == built_by_peft(name, made)


def test_layers_below_the_first_that_trains_keep_nothing():
    shapes = of_model("meta-llama/Llama-3.2-1B")
    upper = AnalyticSettings(**wanted_fields({"target_modules": ["q_proj"], "layers_to_transform": list(range(8, 16))}))
    every = AnalyticSettings(targets=("q_proj",))
    of = {name: part(evaluate(shapes, each), "activations") for name, each in (("upper", upper), ("every", every))}
    assert 0.49 < of["upper"] / of["every"] < 0.52


def part(made, name):
    return next(part.bytes for part in made.parts if part.name == name)


REFUSED = (
    ({"target_modules": r".*self_attn.*"}, "self_attn", "WB803"),
    ({"target_modules": r".*\.c_attn"}, "c_attn", "WB803"),
    ({"target_modules": "all-linear", "layers_to_transform": [1]}, "layers_to_transform", "WB803"),
    ({"target_modules": ["q_proj"], "layers_pattern": "layers"}, "layers_pattern", "WB803"),
    ({"target_modules": 7}, "target_modules", "WB803"),
    ({"target_modules": ["q_proj"], "rank_pattern": {"q_proj": 0}}, "rank_pattern", "WB803"),
    ({"target_modules": ["q_proj"], "bias": "some"}, "bias", "WB803"),
    ({"target_modules": ["q_proj"], "trainable_token_indices": {"embed_tokens": "x"}}, "token", "WB803"),
    ({"target_modules": r"(q_proj"}, "(q_proj", "WB803"),
    ({"target_modules": ["q_proj"], "modules_to_save": ["mlp"]}, "mlp", "WB810"),
    ({"target_modules": ["lm_head"]}, "lm_head", "WB810"),
)


@pytest.mark.parametrize(("config", "named", "code"), REFUSED)
def test_what_cannot_be_estimated_is_refused_by_name(config, named, code):
    with pytest.raises(RecipeError) as error:
        evaluate(of_model("meta-llama/Llama-3.2-1B"), AnalyticSettings(**wanted_fields(config)))
    assert named in str(error.value)
    assert code in str(error.value)


def test_a_family_without_default_targets_wants_them_named():
    config = {"peft_type": "LORA", "r": 4}
    with pytest.raises(RecipeError, match="no default"):
        resolved(from_config(CONFIGS["smollm3"]), AnalyticSettings(**wanted_fields(config)))


def test_patterns_of_a_deep_model_are_found_once_for_all_that_a_slider_asks():
    shapes = of_model("meta-llama/Llama-3.1-70B")
    settings = AnalyticSettings(**wanted_fields({"target_modules": r".*layers\.[4-7]\d\..*_proj"}))
    found = resolved(shapes, settings)
    assert {item.copies for item in found.reached.modules} == {40}
    assert resolved(shapes, found) is found
    assert resolved(shapes, settings).reached is found.reached
