"""Runs with every kind of adapter and quantised weights, through the worker: trained, saved, asked, resumed."""

import json

import pytest
from test_trained_runs import curve, weights
from tiny_run import build_rows, kinds, make_job

pytestmark = pytest.mark.training

IA3 = {"peft_type": "IA3", "target_modules": ["k_proj", "down_proj"], "feedforward_modules": ["down_proj"]}
PARAMETERS = 35_296
"""Of the tiny model, whatever its weights are packed into: 2 x 261 x 32, a norm of 32, and 2 layers of 9,280."""
SAMPLES = {"prompts": ["one"], "every": 3, "max_new_tokens": 5}


def adapted(adapter, **fields):
    """A recipe of the tests' with another adapter; LoRA's own fields only where a word reads them."""
    return {"adapter": adapter, "save_steps": 3, **fields}


CASES = {
    "qlora": (adapted("qlora"), ["float32", "nf4"], ["bfloat16"], {"r": 4, "use_dora": False}),
    "int8": (adapted("lora", quantisation="int8"), ["float32", "int8"], ["bfloat16"], {"peft_type": "LORA"}),
    "dora": (adapted("dora"), ["float32"], ["float32"], {"r": 4, "use_dora": True}),
    "ia3": (adapted(IA3), ["float32"], ["float32"], {"peft_type": "IA3"}),
}


@pytest.mark.parametrize("name", CASES)
def test_what_a_recipe_says_trains_is_saved_and_answers(name, train, tiny_model):
    recipe, kept, trained, saved = CASES[name]
    run = train(make_job(tiny_model, recipe=recipe, samples=SAMPLES), build_rows())
    assert run.state() == "completed", run.snapshot()
    (setup,) = kinds(run, "setup")
    assert (setup["precision"]["weights"], setup["precision"]["trained"]) == (kept, trained)
    assert 0 < setup["trainable_parameters"] < 0.3 * setup["parameters"]
    assert setup["parameters"] - setup["trainable_parameters"] == PARAMETERS
    losses = [loss for _, loss, *_ in curve(run)]
    assert len(losses) == 6 and len(set(losses)) == 6 and all(norm > 0 for *_, norm, _ in curve(run))
    written = json.loads((run.dir / "out" / "final" / "adapter_config.json").read_text())
    assert written.items() >= saved.items()
    assert [(sample["step"], sample["base"]) for sample in kinds(run, "sample")] == [(0, True), (3, False), (6, False)]


@pytest.mark.parametrize("adapter", [{"adapter": "qlora"}, {"adapter": "lora", "quantisation": "int8"}])
def test_a_resumed_and_a_looked_at_run_over_quantised_weights_are_the_same_run(adapter, train, tiny_model):
    """The weights are quantised again, to the same bits, and stay what they are while the model answers."""
    recipe = adapted(**adapter, lora_dropout=0.1, gradient_checkpointing=True, gradient_accumulation_steps=2)
    recipe |= {"max_steps": 4, "save_steps": 2}
    whole = train(make_job(tiny_model, recipe=recipe, samples=SAMPLES, capture=[1]), build_rows())
    plain = train(make_job(tiny_model, recipe=recipe), build_rows())
    assert curve(plain) == curve(whole) and weights(plain) == weights(whole) and weights(whole)
    resumed = train(make_job(tiny_model, recipe=recipe, resume=str(whole.dir / "out" / "checkpoint-2")), build_rows())
    assert curve(resumed) == curve(whole)[2:] and len(curve(resumed)) == 2
    assert weights(resumed) == weights(whole)


@pytest.mark.parametrize(
    ("adapter", "words"),
    [
        ({"peft_type": "LORRA"}, ["no method 'LORRA'", "'LORA'"]),
        ({"peft_type": "LORA", "lora_alhpa": 4}, ["LoraConfig has no field 'lora_alhpa'", "'lora_alpha'"]),
        ({"peft_type": "LORA", "target_modules": ["nowhere"]}, ["nowhere"]),
        ({"peft_type": "HRA", "r": 4, "target_modules": ["q_proj"]}, ["HRA does not train over nf4 weights"]),
    ],
)
def test_what_peft_does_not_have_fails_with_its_name(adapter, words, train, tiny_model):
    bits = "nf4" if adapter["peft_type"] == "HRA" else "none"
    failed = train(make_job(tiny_model, recipe=adapted(adapter, quantisation=bits)), build_rows()).status().event
    assert (failed["state"], failed["code"], failed["step"]) == ("failed", "WB812", 0)
    assert all(word in failed["error"] + failed["remedy"] for word in words), failed
