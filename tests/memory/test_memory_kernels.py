"""Kernels of other tools in the closed form, and how configs and options say them."""

import pytest

from workbench.errors import RecipeError
from workbench.memory.analytic import evaluate
from workbench.memory.architecture import of_model
from workbench.memory.axolotl import read_axolotl
from workbench.memory.kernels import WORDS, check_kernels, fused_of, said_kernels
from workbench.memory.options import settings_of
from workbench.memory.plan import Plan
from workbench.memory.settings import AnalyticSettings, BatchShape
from workbench.memory.trainer_yaml import read_trainer
from workbench.recipes import Recipe

AXOLOTL = {"base_model": "m", "sequence_len": 64, "bf16": True, "gradient_checkpointing": True}
FACTORY = {"model_name_or_path": "m", "stage": "sft", "finetuning_type": "lora", "cutoff_len": 64, "bf16": True}
TRL = {"model_name_or_path": "m", "use_peft": True, "max_length": 64}
LORA = ["lora_mlp", "lora_qkv", "lora_o"]


def test_a_mistyped_word_is_refused_with_the_nearest():
    with pytest.raises(RecipeError, match=r"'ligre'.*Did you mean 'liger'.*WB815"):
        check_kernels(["ligre"])
    with pytest.raises(RecipeError, match=r"kernels names 'triton'.*WB815"):
        settings_of(Recipe(), BatchShape(1, 64), "cuda", {"kernels": "triton"})
    with pytest.raises(RecipeError, match="WB815"):
        Plan.of(Recipe(), {"model_type": "llama"}, [[8]], kernels=["unslot"])


def test_a_later_loss_takes_the_place_of_an_earlier_one():
    assert fused_of(["unsloth"]).loss == "chunked"
    assert fused_of(["unsloth", "cut_cross_entropy"]).loss == "cut"
    assert said_kernels({"kernels": "liger_glu, lora_o"}) == ("liger_glu", "lora_o")
    assert said_kernels({"arguments": {"use_liger_kernel": True}}) == ("liger",)


@pytest.mark.parametrize(
    ("more", "kernels"),
    [
        ({}, []),
        ({"adapter": "lora"}, LORA),
        ({"adapter": "lora", "lora_mlp_kernel": False}, []),
        ({"adapter": "lora", "lora_qkv_kernel": True}, ["lora_qkv"]),
        ({"adapter": "lora", "load_in_8bit": True}, []),
        ({"adapter": "qlora", "load_in_4bit": True, "fsdp": ["full_shard"]}, []),
        ({"adapter": "lora", "rl": "dpo"}, []),
        ({"plugins": ["axolotl.integrations.cut_cross_entropy.X"]}, ["cut_cross_entropy"]),
        ({"plugins": ["axolotl.integrations.cut_cross_entropy.X"], "cut_cross_entropy": False}, []),
        (
            {"liger_rms_norm": True, "liger_glu_activation": True, "liger_fused_linear_cross_entropy": True},
            ["liger_rms_norm", "liger_glu", "liger_cross_entropy"],
        ),
    ],
)
def test_kernels_of_an_axolotl_config(more, kernels):
    found = read_axolotl({**AXOLOTL, **more})
    assert found.options.get("kernels", []) == kernels
    assert not any("not modelled" in note or "not known" in note for note in found.assumptions)


@pytest.mark.parametrize(
    ("more", "checkpoints", "offloads"),
    [
        ({}, True, False),
        ({"activation_offloading": True}, True, True),
        ({"activation_offloading": True, "adapter": "lora"}, False, True),
        ({"activation_offloading": "hidden_states", "adapter": "lora"}, True, True),
        ({"gradient_checkpointing": "offload"}, True, True),
        ({"gradient_checkpointing": "offload_disk", "adapter": "lora"}, False, True),
    ],
)
def test_offloading_of_an_axolotl_config(more, checkpoints, offloads):
    found = read_axolotl({**AXOLOTL, **more})
    assert found.recipe["gradient_checkpointing"] is checkpoints
    assert found.options.get("activation_offloading", False) is offloads


@pytest.mark.parametrize(
    ("values", "options"),
    [
        ({**FACTORY, "enable_liger_kernel": True}, {"kernels": ["liger", "liger_cross_entropy"]}),
        ({**FACTORY, "stage": "dpo", "enable_liger_kernel": True}, {"kernels": ["liger"]}),
        ({**FACTORY, "use_unsloth": True}, {"kernels": ["unsloth"], "activation_offloading": True}),
        ({**FACTORY, "use_unsloth_gc": True}, {"kernels": ["unsloth_gc"], "activation_offloading": True}),
        ({**TRL, "use_liger_kernel": True}, {"kernels": ["liger"]}),
        ({**TRL, "activation_offloading": True}, {"activation_offloading": True}),
    ],
)
def test_kernels_of_other_configs(values, options):
    found = read_trainer(values)
    said = {name: value for name, value in found.options.items() if name in ("kernels", "activation_offloading")}
    assert said == options
    assert not any("not known here" in note for note in found.assumptions)


def live(kernels=(), **changes):
    values = {"rows": 2, "length": 4096, "scored": 8192, "loss": "logits", "attention": "flash_attention_2"}
    values |= {"masked": False, "kernels": tuple(kernels), **changes}
    return evaluate(of_model("meta-llama/Llama-3.1-8B"), AnalyticSettings(**values))


@pytest.mark.parametrize("word", [word for word in WORDS if word != "unsloth_gc"])
@pytest.mark.parametrize("checkpointing", [True, False])
def test_no_kernel_needs_more_than_what_it_replaces(word, checkpointing):
    assert live([word], checkpointing=checkpointing).hard_minimum <= live(checkpointing=checkpointing).hard_minimum


def test_kernels_apply_only_where_their_tool_applies_them():
    def kept(kernels, **changes):
        return next(part for part in live(kernels, **changes).parts if part.name == "activations").inputs

    joined = kept(LORA)
    assert joined["lora inputs"] == 2 * 2 * 4096  # bfloat16 inputs of the MLP and of q, k, v
    assert joined["mlp"] == 2 * 2 * 14336  # gate and up
    some = kept(LORA, targets=("q_proj", "v_proj", "up_proj"))
    assert (some["mlp"], some["lora inputs"]) == (3 * 2 * 14336, 2 * (3 * 4096 + 3 * 16))
    assert kept(["unsloth"], dropout=True)["mlp"] == 3 * 2 * 14336  # leaves dropout to PEFT
    assert kept(LORA, dropout=True)["lora inputs"] == 2 * 2 * 4096 + 3 * 3 * 4096
    assert kept(["unsloth"], adapter="none") == kept([], adapter="none")  # its kernels are LoRA's


def test_offloading_leaves_a_few_tensors_on_the_device():
    parts = live(checkpointing=True, activation_offloading=True).peak.parts
    assert parts["activations"] == 5 * 2 * 4096 * 8192
    assert (
        live(["unsloth"], checkpointing=True, activation_offloading=True).peak.parts["activations"]
        < parts["activations"]
    )


def test_options_say_what_they_assume():
    settings, notes = settings_of(
        Recipe(), BatchShape(1, 64), "cuda", {"kernels": ["unsloth"], "activation_offloading": True}
    )
    assert (settings.kernels, settings.attention, settings.masked) == (("unsloth",), "flash_attention_2", False)
    assert any("not measured" in note for note in notes) and any("pinned host memory" in note for note in notes)
    made = Plan.of(Recipe(), {"model_type": "llama"}, [[8]], kernels="unsloth", arguments={"use_liger_kernel": True})
    assert (made.attention, tuple(made.kernels), made.arguments) == ("flash_attention_2", ("liger", "unsloth"), {})
