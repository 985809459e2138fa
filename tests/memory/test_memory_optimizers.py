"""State of every optimizer against the objects that transformers makes for its name; paged ones against a trace."""

import pytest

from workbench.errors import RecipeError
from workbench.memory.architecture import from_config
from workbench.memory.optimizers import OPTIMIZERS, optimizer_of
from workbench.memory.settings import AnalyticSettings, BatchShape, Runtime
from workbench.memory.statics import state_bytes
from workbench.recipes import Recipe

CONFIG = {
    "model_type": "llama",
    "hidden_size": 256,
    "intermediate_size": 704,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
    "tie_word_embeddings": False,
}
PACKAGES = {"adamw_torch_8bit": "torchao", "adamw_torch_4bit": "torchao"}
REAL = [name for name, known in OPTIMIZERS.items() if not known.paged and known.kept not in ("muon", "factored")]
TRACED = ["paged_adamw_8bit", "paged_adamw_32bit", "paged_lion_8bit", "ademamix_8bit", "rmsprop"]


def predicted(optim, adapter="none"):
    settings = AnalyticSettings(adapter=adapter, rank=8, optim=optim, weight_bytes=4, device="cpu")
    return state_bytes(from_config(CONFIG), settings)


def tensors_of(value):
    """The plain tensors that a state is made of; a step counter has no dimension, a code book is shared."""
    if hasattr(value, "__tensor_flatten__"):
        return [tensor for name in value.__tensor_flatten__()[0] for tensor in tensors_of(getattr(value, name))]
    return [value] if hasattr(value, "dim") and value.dim() else []


@pytest.mark.parametrize("optim", REAL)
@pytest.mark.parametrize("adapter", ["none", "lora"])
def test_state_has_the_bytes_of_what_transformers_makes(optim, adapter, tmp_path):
    torch = pytest.importorskip("torch")
    from transformers import AutoConfig, AutoModelForCausalLM, Trainer, TrainingArguments

    pytest.importorskip(PACKAGES.get(optim, "schedulefree" if optim.startswith("schedule_free") else "torch"))
    values = dict(CONFIG)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(values.pop("model_type"), **values))
    if adapter == "lora":
        from peft import LoraConfig, get_peft_model

        model = get_peft_model(model, LoraConfig(r=8, target_modules="all-linear"))
    trainer = Trainer(model, TrainingArguments(tmp_path, optim=optim, use_cpu=True, report_to="none"))
    optimizer = trainer.create_optimizer()
    if "bitsandbytes" in type(optimizer).__module__:
        optimizer.check_overrides()
        for at, group in enumerate(optimizer.param_groups):
            for index, parameter in enumerate(group["params"]):
                optimizer.init_state(group, parameter, at, index)
    else:
        with torch.enable_grad():
            ids = torch.arange(12).reshape(1, 12)
            model(input_ids=ids, labels=ids).loss.backward()
        if optim.startswith("schedule_free"):
            optimizer.train()
        step_without_compiling(optimizer)
    shared = ("qmap1", "qmap2")
    kept = [
        tensor
        for state in optimizer.state.values()
        for name, value in state.items()
        if name not in shared
        for tensor in tensors_of(value)
    ]
    assert predicted(optim, adapter) == sum(tensor.numel() * tensor.element_size() for tensor in kept)


def step_without_compiling(optimizer):
    import torch

    with torch.compiler.set_stance("force_eager"):
        optimizer.step()


@pytest.mark.parametrize("adapter", ["none", "lora"])
@pytest.mark.parametrize("optim", TRACED)
def test_state_and_scratch_on_the_device_are_those_of_a_trace(optim, adapter):
    from workbench.memory.analytic import estimate
    from workbench.memory.plan import Plan
    from workbench.training.tracing import trace_plan

    recipe = Recipe(model="x", adapter=adapter, r=400, optim=optim, per_device_train_batch_size=1)
    moments = trace_plan(Plan.of(recipe, CONFIG, [[64], [64]])).moments
    seen = next(moment.parts for moment in moments if moment.phase == "optimizer")
    found = estimate(from_config(CONFIG), recipe, BatchShape(1, 64), runtime=Runtime.of(recipe))
    parts = {part.name: part.bytes for part in found.parts}
    slack = 512 * 4 * 40  # the trace rounds every tensor up to 512 bytes
    assert abs(parts["optimizer"] - seen.get("optimizer state", 0)) <= slack
    assert abs(parts["optimizer temporaries"] - seen.get("optimizer temporaries", 0)) <= slack


@pytest.mark.parametrize("optim", ["adafactor", "lion_8bit"])
def test_a_plain_loop_has_the_optimizer_that_was_asked_for(optim):
    from workbench.memory.plan import Plan
    from workbench.training.tracing import trace_plan

    recipe = Recipe(model="x", adapter="none", optim=optim, per_device_train_batch_size=1)
    plan = Plan.of(recipe, {**CONFIG, "vocab_size": 8}, [[64], [64]], loop="plain")
    seen = next(moment.parts for moment in trace_plan(plan).moments if moment.phase == "optimizer")
    settings = AnalyticSettings(adapter="none", optim=optim, weight_bytes=4)
    expected = state_bytes(from_config({**CONFIG, "vocab_size": 8}), settings)
    assert abs(seen["optimizer state"] - expected) <= 512 * 3 * 25


@pytest.mark.parametrize("optim", ["adamw_torch_8bit", "muon"])
def test_what_a_trace_cannot_run_is_said_with_what_can(optim):
    from workbench.memory.plan import Plan
    from workbench.training.tracing import trace_plan

    with pytest.raises(RecipeError, match="not traced") as error:
        trace_plan(Plan.of(Recipe(model="x", optim=optim), CONFIG, [[64]]))
    assert error.value.code == "WB810"
    assert "analytic" in error.value.remedy


def test_muon_keeps_one_moment_of_matrices_two_of_embedding_and_head_none_of_norms():
    shapes = from_config(CONFIG)
    tables = 2 * 1000 * 256
    matrices = shapes.total - tables - shapes.parameters["norms"]
    assert predicted("muon") == 4 * (2 * tables + matrices)


def test_an_unknown_optimizer_is_refused_with_the_nearest():
    with pytest.raises(RecipeError, match="Did you mean 'adamw_torch_8bit'") as error:
        optimizer_of("adamw_torch_8bits")
    assert error.value.code == "WB803"


def test_every_name_but_muon_is_one_of_transformers():
    from transformers.training_args import OptimizerNames

    assert set(OPTIMIZERS) - {"muon"} <= {item.value for item in OptimizerNames}
