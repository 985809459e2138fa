"""Loading a model: order and size of what is quantised, formula against trace, and what stays in host memory."""

import ctypes
import gc
import sys
from pathlib import Path

import pytest

from workbench.api.memory import estimate_recipe
from workbench.memory.loading_parts import host_load
from workbench.recipes import Recipe

SIZES = {"hidden_size": 256, "intermediate_size": 512, "num_attention_heads": 4, "num_key_value_heads": 2}
CONFIG = {**SIZES, "model_type": "llama", "num_hidden_layers": 11, "vocab_size": 1000, "tie_word_embeddings": False}


def written(folder, **changes):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    values = {key: value for key, value in {**CONFIG, **changes}.items() if key != "model_type"}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", **values), dtype=torch.bfloat16)
    model.save_pretrained(folder)
    return model


@pytest.mark.training
def test_weights_are_quantised_one_after_the_other_in_the_order_of_transformers(tmp_path, monkeypatch):
    bnb = pytest.importorskip("bitsandbytes")
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    written(tmp_path)
    real, quantise = [], bnb.functional.quantize_4bit

    def seen(values, *args, **kwargs):
        real.append(values.numel() * values.element_size())
        return quantise(values.flatten()[:64], *args, **kwargs)  # the model is thrown away, and a CPU is slow at this

    monkeypatch.setattr(bnb.functional, "quantize_4bit", seen)
    how = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True)
    AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.bfloat16, quantization_config=how)
    found = estimate_recipe(Recipe(model=str(tmp_path)), 64, method="trace", quantisation="nf4").trace
    put = [size for size, phase, _, operator in found.made if phase == "loading" and "aten.empty" in operator]
    assert [size for size in put if size in set(real)] == real
    live = [size for (_, size), phase in zip(found.events, found.phases, strict=True) if phase == "loading"]
    assert max(live) == live[0] > sum(real) / 4  # the allocator is given all packed bytes at once, and gives them back
    assert live[1] == -live[0]


@pytest.mark.training
@pytest.mark.parametrize("options", [{"float32_rest": True}, {}, {"quantisation": "int8"}], ids=str)
def test_formula_and_trace_agree_on_loading(options, tmp_path):
    pytest.importorskip("bitsandbytes")
    written(tmp_path)
    recipe, options = Recipe(model=str(tmp_path)), {"quantisation": "nf4", **options}
    trace = estimate_recipe(recipe, 64, method="trace", **options).trace
    formula = estimate_recipe(recipe, 64, **options).estimate
    found = next(moment.bytes for moment in trace.moments if moment.phase == "loading")
    said = next(peak.bytes for peak in formula.peaks if peak.name == "loading")
    assert said == pytest.approx(found, rel=0.03)


def resident():
    """Bytes of this process that no file backs, after what earlier tests left free has gone back to the system."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    status = Path("/proc/self/status").read_text()
    return next(1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon"))


@pytest.mark.training
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status")
def test_weights_of_the_files_own_type_take_no_host_memory_and_others_take_theirs(tmp_path):
    import torch
    from transformers import AutoModelForCausalLM

    parameters = sum(p.numel() for p in written(tmp_path, vocab_size=60_000).parameters())
    for dtype, size in ((torch.bfloat16, 2), (torch.float32, 4)):
        before = resident()
        model = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=dtype)
        taken = resident() - before
        said = host_load(parameters, "bfloat16", size, quantised=False)
        assert said.host_bytes == (0 if size == 2 else 4 * parameters)
        assert said.file_bytes == 2 * parameters
        assert abs(taken - said.host_bytes) < 0.15 * 4 * parameters
        assert model.dtype == dtype
    made = estimate_recipe(Recipe(model=str(tmp_path), adapter="none"), 64)
    assert made.to_dict()["loading"]["host_bytes"] == 4 * parameters
