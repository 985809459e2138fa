"""Adapters and quantised weights in the targets' own keys, against what TRL and PEFT make of them."""

import pytest
from export_cases import CHATS, facts_of

from workbench.errors import ExportError
from workbench.exports.adapters import AXOLOTL_LORA, TRL_LORA
from workbench.exports.axolotl import to_axolotl
from workbench.exports.export import export
from workbench.exports.trl import to_trl
from workbench.memory.axolotl import read_axolotl
from workbench.memory.axolotl_keys import READ as AXOLOTL_READ
from workbench.memory.trainer_yaml import READ as TRL_READ
from workbench.memory.trainer_yaml import read_trainer
from workbench.recipes import Recipe

WIDE = {
    "peft_type": "LORA",
    "r": 12,
    "lora_alpha": 6,
    "target_modules": ["q_proj", "v_proj"],
    "modules_to_save": ["lm_head"],
    "use_dora": True,
    "bias": "none",
    "init_lora_weights": True,
}
ADAPTERS = {
    "lora": {"adapter": "lora"},
    "qlora": {"adapter": "qlora", "r": 4},
    "dora": {"adapter": "dora"},
    "rslora": {"adapter": "rslora", "quantisation": "nf4"},
    "int8": {"adapter": "lora", "quantisation": "int8", "target_modules": ("q_proj", "k_proj")},
    "mapping": {"adapter": WIDE},
    "mapping of defaults": {"adapter": {"peft_type": "LORA"}},
}


@pytest.mark.training
@pytest.mark.parametrize("name", ADAPTERS)
def test_trl_makes_of_its_file_the_adapter_that_we_train(name, model, tmp_path, monkeypatch):
    """TRL's own parser, and its own way to PEFT's and transformers' configs."""
    import torch
    from trl import ModelConfig, ScriptArguments, SFTConfig, TrlParser, get_peft_config, get_quantization_config

    from workbench.training.quantised import bits_config
    from workbench.training.trainer_setup import adapter_config

    recipe = Recipe(**ADAPTERS[name])
    report = export(recipe, facts_of(model, CHATS, "messages", recipe), "trl", tmp_path)
    monkeypatch.chdir(tmp_path)
    parser = TrlParser((ScriptArguments, SFTConfig, ModelConfig))
    *_, arguments = parser.parse_args_and_config(["--config", report.files[0].name])
    assert get_peft_config(arguments).to_dict() == adapter_config(recipe).to_dict()
    theirs, ours = get_quantization_config(arguments), bits_config(recipe.quantised, torch.float32)
    assert (theirs is None) == (ours is None) == (recipe.quantised == "none")
    if ours is not None:
        assert theirs.load_in_4bit == ours.load_in_4bit and theirs.load_in_8bit == ours.load_in_8bit
    if recipe.quantised == "nf4":
        assert theirs.to_dict() == ours.to_dict()


AXOLOTL_KEYS = {
    "lora": {"adapter": "lora", "lora_target_linear": True},
    "qlora": {"adapter": "qlora", "load_in_4bit": True, "lora_r": 4},
    "dora": {"adapter": "lora", "peft_use_dora": True},
    "rslora": {"adapter": "qlora", "load_in_4bit": True, "peft_use_rslora": True},
    "int8": {"adapter": "lora", "load_in_8bit": True, "lora_target_modules": ["q_proj", "k_proj"]},
    "mapping": {"adapter": "lora", "lora_r": 12, "lora_modules_to_save": ["lm_head"], "peft_use_dora": True},
}


@pytest.mark.parametrize("name", AXOLOTL_KEYS)
def test_axolotl_gets_its_own_keys_and_they_are_read_back(name, model):
    recipe = Recipe(**ADAPTERS[name])
    values, notes = to_axolotl(recipe, facts_of(model, CHATS, "messages", recipe), "rows")
    assert values.items() >= AXOLOTL_KEYS[name].items()
    assert ("load_in_4bit" in values) + ("load_in_8bit" in values) == (recipe.quantised != "none")
    assert any("not quantised" in note for note in notes) == (recipe.quantised != "none")
    read = read_axolotl(values)
    assert read.options.get("quantisation", "none") == recipe.quantised
    peft = read.options.get("adapter") or Recipe.from_dict(read.recipe).peft
    assert {key: peft.get(key) for key in ("r", "target_modules")} == {
        key: recipe.peft.get(key) for key in ("r", "target_modules")
    }
    assert bool(peft.get("use_dora")) == bool(recipe.peft.get("use_dora"))


@pytest.mark.parametrize("name", ADAPTERS)
def test_trl_s_file_is_read_back(name, model):
    recipe = Recipe(**ADAPTERS[name], max_length=64)
    values, _ = to_trl(recipe, facts_of(model, CHATS, "messages", recipe))
    read = read_trainer(values)
    assert read.options.get("quantisation", "none") == recipe.quantised
    assert not [note for note in read.assumptions if "not known" in note and ("lora" in note or "quant" in note)]
    peft = read.options.get("adapter") or Recipe.from_dict(read.recipe).peft
    for field in ("r", "modules_to_save", "use_dora", "use_rslora"):
        assert peft.get(field) == ({"r": 8, **recipe.peft}).get(field), field


def test_every_key_that_is_written_is_read_back():
    """But for layers that run several times, which the formula does not know."""
    assert set(AXOLOTL_LORA.values()) - AXOLOTL_READ == {"peft_layer_replication"}
    assert set(TRL_LORA.values()) <= TRL_READ


@pytest.mark.parametrize(
    ("adapter", "refused"),
    [
        ({"peft_type": "IA3"}, {"axolotl": "IA3", "trl": "IA3"}),
        ({"peft_type": "LORA", "target_modules": ["q_proj"], "megatron_core": "x"}, {"axolotl": "megatron", "trl": ""}),
        ({"peft_type": "LORA", "target_modules": ["q_proj"], "rank_pattern": {"q_proj": 4}}, {"trl": "rank_pattern"}),
        ({"peft_type": "LORA"}, {"axolotl": "target_modules"}),
    ],
)
def test_what_a_target_cannot_say_of_an_adapter_is_refused_by_name(adapter, refused, model):
    recipe = Recipe(adapter=adapter)
    facts = facts_of(model, CHATS, "messages", recipe)
    for target, write in {
        "axolotl": lambda: to_axolotl(recipe, facts, "rows"),
        "trl": lambda: to_trl(recipe, facts),
    }.items():
        if target not in refused:
            write()
            continue
        with pytest.raises(ExportError, match="WB701") as caught:
            write()
        assert "cannot express adapter " in caught.value.message and refused[target] in caught.value.message
