"""Saved bytes of the closed form against what autograd really keeps, on the CPU."""

import pytest

from workbench.errors import RecipeError
from workbench.memory.architecture import from_config
from workbench.memory.saved import ClosedForm, fit
from workbench.memory.settings import AnalyticSettings, BatchShape, Runtime
from workbench.recipes import Recipe

SMALL = {
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 200,
    "tie_word_embeddings": True,
}


def build(family, layers, recipe, runtime):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(family, **SMALL, num_hidden_layers=layers, head_dim=16)
    model = AutoModelForCausalLM.from_config(config, attn_implementation=runtime.attention)
    model.to(torch.bfloat16 if runtime.weight_bytes == 2 else torch.float32).train()
    if recipe.adapter == "lora":
        from peft import LoraConfig, get_peft_model

        targets = recipe.target_modules if isinstance(recipe.target_modules, str) else list(recipe.target_modules)
        model = get_peft_model(model, LoraConfig(r=recipe.r, target_modules=targets, lora_dropout=recipe.lora_dropout))
        return model.train(), model.base_model.model.model
    return model, model.model


def really_saved(family, layers, recipe, runtime, batch):
    """Bytes of the distinct storages that autograd saves in the decoder's forward pass, parameters left out."""
    import torch

    model, decoder = build(family, layers, recipe, runtime)
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)  # holding the tensor keeps its address unique
        return tensor

    ids = torch.arange(batch.tokens).reshape(batch.rows, batch.length) % 200
    mask = torch.ones_like(ids)
    mask[0, -1] = 0 if runtime.masked else 1
    with (
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=runtime.autocast),
    ):
        output = decoder(input_ids=ids, attention_mask=mask, use_cache=False)
    assert output.last_hidden_state.requires_grad
    return sum(size for size, _ in kept.values())


def one_layer(family, recipe, runtime, batch):
    """Bytes a further layer costs."""
    return really_saved(family, 3, recipe, runtime, batch) - really_saved(family, 2, recipe, runtime, batch)


def coefficients(architecture, recipe, runtime):
    return ClosedForm().coefficients(architecture, AnalyticSettings.of(recipe, BatchShape(1, 8), runtime))


RUNTIMES = {
    "float32": {"weight_bytes": 4, "autocast": False},
    "bfloat16": {"weight_bytes": 2, "autocast": False},
    "bfloat16 autocast": {"weight_bytes": 2, "autocast": True},
    "float32 weights, autocast": {"weight_bytes": 4, "autocast": True},
}
RECIPES = {
    "full": Recipe(adapter="none"),
    "lora all": Recipe(r=4),
    "lora q v": Recipe(r=4, target_modules=("q_proj", "v_proj")),
    "lora o down": Recipe(r=4, target_modules=("o_proj", "down_proj")),
}


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("precision", RUNTIMES)
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_layer_saves_to_the_byte_what_the_closed_form_says(recipe, precision, attention):
    runtime = Runtime(device="cpu", attention=attention, masked=True, **RUNTIMES[precision])
    batch = BatchShape(2, 48)
    found = coefficients(
        from_config({"model_type": "llama", **SMALL, "num_hidden_layers": 3}), RECIPES[recipe], runtime
    )
    assert found.layer_bytes(batch) + found.constant / 3 == one_layer("llama", RECIPES[recipe], runtime, batch)


@pytest.mark.parametrize("family", ["qwen2", "qwen3", "mistral"])
@pytest.mark.parametrize("recipe", ["full", "lora all"])
def test_other_families_save_to_the_byte_too(family, recipe):
    runtime = Runtime(device="cpu", attention="eager", **RUNTIMES["bfloat16"])
    config = {"model_type": family, **SMALL, "num_hidden_layers": 3, "head_dim": 16}
    batch = BatchShape(2, 40)
    found = coefficients(from_config(config), RECIPES[recipe], runtime)
    assert found.layer_bytes(batch) == one_layer(family, RECIPES[recipe], runtime, batch)


@pytest.mark.parametrize("precision", ["float32", "bfloat16 autocast"])
def test_dropout_masks_are_counted(precision):
    runtime = Runtime(device="cpu", attention="eager", **RUNTIMES[precision])
    recipe, batch = Recipe(r=4, lora_dropout=0.1), BatchShape(2, 32)
    found = coefficients(from_config({"model_type": "llama", **SMALL, "num_hidden_layers": 3}), recipe, runtime)
    assert found.layer_bytes(batch) + found.constant / 3 == one_layer("llama", recipe, runtime, batch)


def test_without_a_mask_sdpa_keeps_keys_and_values_once():
    runtime = Runtime(device="cpu", attention="sdpa", masked=False, weight_bytes=2, autocast=False)
    recipe, batch = Recipe(adapter="none"), BatchShape(2, 48)
    architecture = from_config({"model_type": "llama", **SMALL, "num_hidden_layers": 3})
    found = ClosedForm().coefficients(architecture, AnalyticSettings.of(recipe, BatchShape(1, 8), runtime))
    assert found.layer_pair == 0
    assert found.layer_bytes(batch) == one_layer("llama", recipe, runtime, batch)


def test_coefficients_fitted_from_two_measured_lengths_predict_a_third():
    runtime = Runtime(device="cpu", attention="eager", **RUNTIMES["float32"])
    recipe = RECIPES["lora all"]
    architecture = from_config({"model_type": "llama", **SMALL, "num_hidden_layers": 2})
    base = coefficients(architecture, recipe, runtime)
    points = [
        (shape, really_saved("llama", 2, recipe, runtime, shape)) for shape in (BatchShape(2, 24), BatchShape(2, 56))
    ]
    fitted = fit(base, points, "measured").coefficients(
        architecture, AnalyticSettings.of(recipe, BatchShape(1, 8), runtime)
    )
    third = BatchShape(2, 80)
    assert fitted.kind == "measured"
    # the boolean mask is one pair term for the whole model, a quarter of a percent here
    assert fitted.saved_bytes(third) == pytest.approx(really_saved("llama", 2, recipe, runtime, third), rel=0.005)


def test_fit_finds_a_slope_the_closed_form_did_not_know():
    runtime = Runtime(device="cpu", attention="flash_attention_2", **RUNTIMES["bfloat16"])
    architecture = from_config({"model_type": "llama", **SMALL, "num_hidden_layers": 2})
    base = coefficients(architecture, Recipe(), runtime)
    points = [(BatchShape(1, n), 5000 + 777 * n) for n in (100, 300)]
    fitted = fit(base, points, "traced").coefficients(architecture, AnalyticSettings())
    assert fitted.saved_bytes(BatchShape(1, 900)) == 5000 + 777 * 900


def test_fit_refuses_points_that_make_no_line():
    architecture = from_config({"model_type": "llama", **SMALL, "num_hidden_layers": 2})
    base = coefficients(architecture, Recipe(), Runtime())
    same = [(BatchShape(2, 10), 1), (BatchShape(1, 20), 2)]
    for points in (same, same[:1]):
        with pytest.raises(RecipeError, match="WB805"):
            fit(base, points, "measured")


def test_coefficients_of_another_model_are_refused():
    two = from_config({"model_type": "llama", **SMALL, "num_hidden_layers": 2})
    three = from_config({"model_type": "llama", **SMALL, "num_hidden_layers": 3})
    base = coefficients(two, Recipe(), Runtime())
    fitted = fit(base, [(BatchShape(1, 10), 10), (BatchShape(1, 20), 20)], "traced")
    with pytest.raises(RecipeError, match=r"2 layers.*3"):
        fitted.coefficients(three, AnalyticSettings())


def test_batch_of_a_recipe_is_its_largest():
    assert BatchShape.of(Recipe(per_device_train_batch_size=4), 700) == BatchShape(4, 700)
    assert BatchShape.of(Recipe(per_device_train_batch_size=4, max_length=512), 700) == BatchShape(4, 512)
    packed = Recipe(per_device_train_batch_size=4, max_length=512, packing="bfd")
    assert BatchShape.of(packed, 300, trained=90) == BatchShape(1, 2048, 90)


def test_empty_batch_is_refused():
    with pytest.raises(RecipeError, match="length=0"):
        BatchShape(1, 0)
