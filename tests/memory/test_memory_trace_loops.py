"""Traces of other loops than TRL's over rows: all logits at once, packed rows."""

import pytest
from real_steps import SHARED_ARGUMENTS, LiveBytes, model, traced, trainer

from workbench.api.memory import estimate_recipe
from workbench.recipes import Recipe


@pytest.mark.training
@pytest.mark.parametrize("bf16", [False, True], ids=["float32", "autocast"])
def test_so_it_is_for_the_trainer_of_transformers_which_makes_all_logits(bf16, tmp_path):
    from peft import LoraConfig, get_peft_model
    from transformers import Trainer, TrainingArguments

    made = trainer("sft", False, tmp_path, bf16=bf16, gradient_checkpointing=False)
    plain = Trainer(
        model=get_peft_model(model("sft"), LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")),
        args=TrainingArguments(**{name: getattr(made.args, name) for name in SHARED_ARGUMENTS}),
        train_dataset=made.train_dataset,
        data_collator=made.data_collator,
    )
    live = LiveBytes()
    for tensor in (*plain.model.parameters(), *plain.model.buffers()):
        live.see(tensor)
    with live.watch:
        plain.train()
    found = traced("sft", True, loop="transformers", autocast=bf16)
    assert found.live == live.peak
    assert found.live != traced("sft", True, autocast=bf16).live


@pytest.mark.training
@pytest.mark.parametrize("loss", ["fused", "logits"])
def test_a_packed_batch_of_two_rows_is_one_row_of_their_tokens(loss):
    recipe = Recipe(model="tiny-llama", packing="bfd", max_length=96, per_device_train_batch_size=2)
    two = estimate_recipe(recipe, 96, method="trace", loss=loss)
    one = estimate_recipe(recipe.with_(max_length=192, per_device_train_batch_size=1), 192, method="trace", loss=loss)
    formula = estimate_recipe(recipe, 96, loss=loss)
    assert two.trace.live == one.trace.live
    assert abs(formula.estimate.hard_minimum / two.trace.live - 1) < 0.03


@pytest.mark.training
def test_dora_over_4_bit_weights_is_traced():
    """PEFT copies a layer to read its weight, which bitsandbytes' packed weights on `meta` refused."""
    from workbench.memory.plan import Plan
    from workbench.memory.presets import PRESETS
    from workbench.training.tracing import trace_plan

    config = {**PRESETS["meta-llama/Llama-3.2-1B"], "num_hidden_layers": 2, "hidden_size": 64, "vocab_size": 128}
    made = Plan.of(Recipe(adapter="dora", quantisation="nf4", r=4), config, [[16, 16]])
    found = trace_plan(made)
    assert found.live > 0 and found.peak.parts["adapter"] > 0
