"""Stand-ins for kernels of other tools in a trace, and the closed form against them."""

import pytest

from workbench.errors import RecipeError
from workbench.memory.analytic import evaluate
from workbench.memory.architecture import from_config
from workbench.memory.plan import Plan
from workbench.memory.saved import ClosedForm
from workbench.memory.settings import AnalyticSettings
from workbench.recipes import Recipe
from workbench.training.tracing import trace_plan

pytestmark = pytest.mark.training

TOKENS = 96
LORA = ("lora_mlp", "lora_qkv", "lora_o")
KERNELS = [
    ("liger", "liger_cross_entropy"),
    ("unsloth_2024",),
    (*LORA, "cut_cross_entropy"),
    (*LORA, "liger", "cut_cross_entropy"),
]


def config(layers):
    return {
        "model_type": "qwen3",
        "hidden_size": 256,
        "intermediate_size": 640,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 64,
        "vocab_size": 4096,
        "tie_word_embeddings": False,
    }


def plan(layers=2, *, adapter="lora", gc=False, tokens=TOKENS, **changes):
    if not isinstance(adapter, str):
        changes, adapter = {**changes, "adapter": adapter}, "lora"
    recipe = Recipe(adapter=adapter, r=4, per_device_train_batch_size=1, gradient_checkpointing=gc, optim="adamw_8bit")
    said = {"loop": "transformers", "attention": "flash_attention_2", "padded": False, "dtype": "bfloat16"}
    return Plan.of(recipe, config(layers), [[tokens], [tokens]], **{**said, **changes})


def kept(plan):
    trace = trace_plan(plan)
    sizes = [size for key, (size, *_) in enumerate(trace.made, 1) if trace.category(key) == "saved activations"]
    return sum(size for size in sizes if size > 64)  # flash attention's seeds are 24 bytes a layer


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("adapter", ["lora", "none"])
def test_a_layer_keeps_what_the_closed_form_says_to_the_byte(kernels, adapter):
    plans = [plan(layers, adapter=adapter, kernels=kernels) for layers in (2, 3)]
    settings = AnalyticSettings.of_plan(plans[0])
    found = ClosedForm().coefficients(from_config(config(2)), settings)
    own = round(found.constant) // 2 if "lora_mlp" in kernels and adapter == "lora" else 0  # the adapter in bfloat16
    told = found.layer_bytes(settings.batch) + own
    few, many = (kept(each) for each in plans)
    assert many - few == 2 * told  # of two steps


@pytest.mark.parametrize(
    "changes",
    [
        {"kernels": KERNELS[0], "gc": True},
        {"kernels": KERNELS[1], "gc": True, "activation_offloading": True},
        {"kernels": KERNELS[2], "gc": True, "quantisation": "nf4"},
        {"kernels": KERNELS[3], "activation_offloading": True},
        {"kernels": ("liger",), "loop": "trainer"},
        {"activation_offloading": True, "gc": True, "loop": "trainer"},
    ],
)
def test_the_closed_form_is_near_the_trace(changes):
    asked = plan(4, tokens=1024, **changes)
    told = evaluate(from_config(config(4)), AnalyticSettings.of_plan(asked)).hard_minimum
    assert told == pytest.approx(trace_plan(asked).live, rel=0.05)


def test_offloaded_inputs_of_layers_leave_the_device():
    def checkpointed(**more):
        return trace_plan(plan(8, gc=True, tokens=512, kernels=["unsloth", "cut_cross_entropy"], **more)).live

    assert checkpointed() - checkpointed(activation_offloading=True) >= 4 * 512 * 256 * 2


@pytest.mark.parametrize(
    "changes",
    [
        {"kernels": LORA, "adapter": {"peft_type": "LORA", "use_dora": True, "target_modules": "all-linear"}},
        {"kernels": ["cut_cross_entropy"], "method": "dpo", "loop": "trainer"},
        {"activation_offloading": True, "loop": "plain"},
    ],
)
def test_what_has_no_stand_in_is_refused(changes):
    with pytest.raises(RecipeError, match=r"cannot be traced.*WB810"):
        trace_plan(plan(**changes))
