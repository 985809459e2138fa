"""PEFT's methods that read weights, its optimisers and its adapter types, on weights without values."""

import pytest

from workbench.errors import RecipeError
from workbench.memory.plan import Plan
from workbench.recipes import Recipe
from workbench.training.tracing import trace_plan

TINY = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 256,
}
LORA = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]}
A, B = 4 * (64 + 64), 4 * (64 + 32)  # elements of a layer: r columns of 64 each; r of 64 and of 32 rows


def traced(adapter, optim="adamw_torch", **changes):
    recipe = Recipe(per_device_train_batch_size=1, gradient_checkpointing=False, optim=optim)
    said = {"loop": "plain", "autocast": False, **changes}
    return trace_plan(Plan(TINY, recipe.to_dict(), [[8], [8]], adapter=adapter, **said))


def gradients(trace):
    """Bytes of the gradients of one step."""
    return sum(size for key, (size, *_) in enumerate(trace.made, 1) if trace.named.get(key) == "gradients") // 2


@pytest.mark.training
@pytest.mark.parametrize(
    ("adapter", "optim", "trained"),
    [
        (LORA, "adamw_torch", A + B),
        (LORA, "riemannian", A + B),
        (LORA, "lora-fa", B),
        ({**LORA, "init_lora_weights": "mica"}, "adamw_torch", A),
        ({**LORA, "kasa_config": {"beta": 1e-4, "gamma": 1e-3}}, "adamw_torch", A + B + 2 * 4),
    ],
)
def test_trained_parameters_are_those_of_the_method(adapter, optim, trained):
    assert gradients(traced(adapter, optim)) == 4 * trained * TINY["num_hidden_layers"]


@pytest.mark.training
def test_adamss_has_a_row_for_every_output_and_directions_for_every_cluster():
    adamss = {"peft_type": "ADAMSS", "r": 8, "num_subspaces": 4, "subspace_rank": 1, "target_modules": ["q_proj"]}
    found = traced({**adamss, "init_weights": "orthogonal", "use_asa": False})
    assert gradients(found) == 4 * 2 * (64 + 4 * 8)
    assert any("clusters of equal size" in note for note in found.notes)


@pytest.mark.training
def test_an_adapter_may_keep_the_type_of_its_weights():
    narrow = gradients(traced(LORA, autocast_adapter=False))
    assert 2 * narrow == gradients(traced(LORA))
    with pytest.raises(RecipeError, match="WB810"):
        Plan(TINY, Recipe().to_dict(), [[8]], autocast_adapter=False)


@pytest.mark.training
def test_fields_of_another_peft_that_say_nothing_are_left_out():
    assert traced({**LORA, "of_the_future": None, "another": False, "more": {}}).live == traced(LORA).live
    with pytest.raises(RecipeError, match=r"of_the_future.*WB812"):
        traced({**LORA, "of_the_future": 1})
