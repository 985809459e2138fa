"""A recipe's adapter: words, PEFT's configs as mappings, what does not go together; through YAML and code."""

import json

import pytest
import yaml

from workbench.api.demo import demo_recipe
from workbench.api.recipe import read_recipe
from workbench.errors import RecipeError
from workbench.recipes import Recipe

IA3 = {"peft_type": "IA3", "target_modules": ["k_proj", "down_proj"], "feedforward_modules": ["down_proj"]}


def test_words_are_configs_of_peft():
    assert Recipe().peft == {
        "peft_type": "LORA", "r": 16, "lora_alpha": 32, "lora_dropout": 0.0, "target_modules": "all-linear",
    }  # fmt: skip
    four = Recipe(adapter="qlora", r=4, target_modules=("q_proj",))
    assert (four.quantised, four.float32_rest, four.quantisation) == ("nf4", True, "none")
    assert four.peft == {**Recipe().peft, "r": 4, "target_modules": ["q_proj"]}
    assert Recipe(adapter="dora").peft["use_dora"] and Recipe(adapter="rslora").peft["use_rslora"]
    assert (Recipe(quantisation="nf4").quantised, Recipe(quantisation="nf4").float32_rest) == ("nf4", False)
    assert [Recipe(adapter=word).adapter for word in ("none", "full", None)] == ["none"] * 3
    assert Recipe(adapter="full").peft is None and Recipe(adapter="full").full


def test_configs_of_peft_itself_become_plain_mappings():
    peft = pytest.importorskip("peft")
    made = peft.LoraConfig(r=8, target_modules=["q_proj", "k_proj"], task_type="CAUSAL_LM", use_dora=True)
    recipe = Recipe(adapter=made.to_dict())
    assert recipe.adapter["peft_type"] == "LORA" and recipe.adapter["target_modules"] == ["k_proj", "q_proj"]
    assert json.loads(json.dumps(recipe.to_dict())) == recipe.to_dict()
    assert Recipe.from_dict(yaml.safe_load(yaml.safe_dump(recipe.to_dict()))) == recipe
    assert Recipe(adapter={"peft_type": "PeftType.IA3"}).adapter == {"peft_type": "IA3"}
    assert Recipe(adapter={"r": 4}).peft == {"peft_type": "LORA", "r": 4}


WRONG = {
    "a mistyped word": ({"adapter": "qlroa"}, "WB402", "'qlora'"),
    "a word in capitals": ({"adapter": "QLoRA"}, "WB402", "'qlora'"),
    "a number": ({"adapter": 7}, "WB402", "mapping with peft_type"),
    "a list": ({"adapter": ["lora"]}, "WB402", "mapping with peft_type"),
    "nothing at all": ({"adapter": {}}, "WB402", "'none'"),
    "a type that is none": ({"adapter": {"peft_type": 3}}, "WB402", "peft_type=3"),
    "a value that cannot be written": ({"adapter": {"peft_type": "LORA", "r": object()}}, "WB402", "plain values"),
    "quantised weights that train": ({"adapter": "none", "quantisation": "nf4"}, "WB402", "do not train"),
    "another quantisation than qlora's": ({"adapter": "qlora", "quantisation": "int8"}, "WB402", "4-bit"),
    "a quantisation that is none": ({"quantisation": "int4"}, "WB402", "none, nf4, int8"),
    "the other spelling": ({"quantization": "nf4"}, "WB401", "'quantisation'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_no_recipe_has_is_refused_with_what_to_do(name):
    values, code, words = WRONG[name]
    with pytest.raises(RecipeError, match=code) as caught:
        Recipe.from_dict(values)
    assert words in str(caught.value)


def test_fields_that_a_mapping_does_not_read_are_not_changed_in_silence():
    recipe = Recipe(r=32).with_(adapter=IA3)
    assert recipe.unread == ("r",) and Recipe(adapter=IA3).unread == ()
    with pytest.raises(RecipeError, match=r"r=8 is not read.*WB402"):
        recipe.with_(r=8)
    assert recipe.with_(adapter="lora").peft["r"] == 32


@pytest.fixture(scope="module")
def demo():
    return demo_recipe()


@pytest.mark.parametrize("adapter", ["qlora", "none", IA3])
def test_a_recipe_comes_back_from_its_file_and_from_its_code(adapter, demo, tmp_path):
    bound = demo.with_(adapter=adapter)
    assert Recipe.from_dict(read_recipe(bound.save(tmp_path / "recipe.yaml"))) == bound.recipe
    assert f"adapter={adapter!r}" in bound.code()
    made = eval(bound.code().removeprefix("recipe = "), {"wb": __import__("workbench"), "enc": bound.enc})
    assert made.recipe == bound.recipe


def test_an_adapter_has_a_name():
    names = [Recipe().adapter_name, Recipe(adapter="full").adapter_name, Recipe(adapter="qlora", r=4).adapter_name]
    assert names == ["lora r16", "full", "qlora r4"]
    names = [Recipe(adapter=IA3, quantisation="int8").adapter_name, Recipe(adapter={"r": 4}).adapter_name]
    assert names == ["IA3 over int8", "LORA r4"]
