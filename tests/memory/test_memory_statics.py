"""Quantised weights and optimizer state against the objects of bitsandbytes, torch and transformers, to the byte."""

import pytest

from workbench.memory.architecture import from_config
from workbench.memory.settings import AnalyticSettings
from workbench.memory.statics import state_bytes, weight_bytes

CONFIG = {
    "model_type": "qwen2",
    "hidden_size": 192,
    "intermediate_size": 320,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "vocab_size": 500,
    "tie_word_embeddings": False,
}


def model(device="cpu", **changes):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    values = {**CONFIG, **changes}
    with torch.device(device):
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(values.pop("model_type"), **values))


def adapted(made, **options):
    from peft import LoraConfig, get_peft_model

    return get_peft_model(made, LoraConfig(r=8, target_modules="all-linear", **options))


def size(tensors):
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def quantised_size(parameter):
    """Bytes of a bitsandbytes weight and of the state that its products need."""
    import torch

    state = getattr(parameter, "quant_state", None)
    found = {parameter.data_ptr(): parameter.data}
    for holder in (state, getattr(state, "state2", None), parameter):
        for name in ("absmax", "code", "offset", "SCB"):
            tensor = getattr(holder, name, None)
            if isinstance(tensor, torch.Tensor):
                found[id(tensor)] = tensor
    return size(found.values())


@pytest.mark.parametrize("shape", [(192, 320), (320, 192), (64, 192)])
def test_a_linear_module_quantised_on_the_cpu_has_the_predicted_bytes(shape):
    import torch

    bitsandbytes = pytest.importorskip("bitsandbytes")
    linear = bitsandbytes.nn.Linear4bit(*shape, bias=False, quant_type="nf4", compress_statistics=True)
    linear.weight = bitsandbytes.nn.Params4bit(
        torch.randn(shape[1], shape[0]), requires_grad=False, quant_type="nf4", compress_statistics=True
    )
    made = linear.to("cpu")
    if made.weight.quant_state is None:
        pytest.skip("this bitsandbytes does not quantise on the CPU")
    from workbench.memory.statics import packed_bytes

    assert packed_bytes(shape[0] * shape[1], shape[1], "nf4") == quantised_size(made.weight)


@pytest.mark.parametrize("adapter", ["none", "lora", "dora"])
@pytest.mark.parametrize("family", ["qwen2", "gemma2", "phi", "qwen3"])
def test_state_of_adamw_after_a_real_step_has_the_predicted_bytes(adapter, family):
    import torch

    made = model(model_type=family, pad_token_id=0)
    if adapter != "none":
        made = adapted(made, use_dora=adapter == "dora")
    optimizer = torch.optim.AdamW([p for p in made.parameters() if p.requires_grad])
    stepped(made, optimizer)
    assert predicted(family, adapter, "adamw_torch") == size(moments(optimizer))


@pytest.mark.parametrize("adapter", ["none", "lora"])
def test_state_of_adafactor_after_a_real_step_has_the_predicted_bytes(adapter):
    from transformers.optimization import Adafactor

    made = model() if adapter == "none" else adapted(model())
    optimizer = Adafactor(
        [p for p in made.parameters() if p.requires_grad], scale_parameter=False, relative_step=False, lr=1e-3
    )
    stepped(made, optimizer)
    assert predicted("qwen2", adapter, "adafactor") == size(moments(optimizer))


@pytest.mark.parametrize("optim", ["sgd", "adamw_8bit"])
def test_state_of_other_optimizers_after_a_real_step_has_the_predicted_bytes(optim):
    import torch

    made = adapted(model())
    trained = [p for p in made.parameters() if p.requires_grad]
    if optim == "sgd":
        optimizer = torch.optim.SGD(trained, lr=1e-3)
        stepped(made, optimizer)
        assert predicted("qwen2", "lora", optim) == size(moments(optimizer)) == 0
        return
    bitsandbytes = pytest.importorskip("bitsandbytes")
    optimizer = bitsandbytes.optim.AdamW8bit(trained, lr=1e-3)
    for group_index, group in enumerate(optimizer.param_groups):
        for index, parameter in enumerate(group["params"]):
            optimizer.init_state(group, parameter, group_index, index)
    kept = [
        state[name]
        for state in optimizer.state.values()
        for name in ("state1", "state2", "absmax1", "absmax2")
        if name in state
    ]
    assert predicted("qwen2", "lora", optim) == size(kept)


def stepped(made, optimizer):
    """One real step on a few tokens."""
    import torch

    ids = torch.arange(12).reshape(1, 12)
    made(input_ids=ids, labels=ids).loss.backward()
    optimizer.step()


def moments(optimizer):
    """Tensors of an optimizer's state, without step counters."""
    import torch

    values = [value for state in optimizer.state.values() for value in state.values()]
    return [value for value in values if isinstance(value, torch.Tensor) and value.dim()]


def predicted(family, adapter, optim):
    settings = AnalyticSettings(adapter=adapter, rank=8, optim=optim, weight_bytes=4)
    return state_bytes(from_config({**CONFIG, "model_type": family}), settings)


def test_weights_without_quantisation_are_those_of_the_model():
    shapes = from_config(CONFIG)
    for dtype_bytes in (2, 4):
        assert weight_bytes(shapes, AnalyticSettings(weight_bytes=dtype_bytes)) * 4 == dtype_bytes * size(
            model("meta").parameters()
        )
