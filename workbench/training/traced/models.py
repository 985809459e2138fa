"""Models and adapters without weights: a config's own architecture on `meta`, quantised as bitsandbytes would."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from workbench.errors import ModelError, RecipeError
from workbench.memory.plan import Plan
from workbench.training.quantised import bits_config

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
HALVES = (torch.bfloat16, torch.float16)


def make_config(values: dict[str, Any]) -> Any:
    """A transformers config from the values of a config.json.

    Raises:
        ModelError: For a family that transformers does not have (WB801), or values it refuses (WB802).
    """
    from transformers import AutoConfig

    values = dict(values)
    family = str(values.pop("model_type", None))
    for name in ("quantization_config", "dtype", "torch_dtype", "auto_map"):
        values.pop(name, None)
    try:
        return AutoConfig.for_model(family, **values)
    except ValueError as error:
        raise ModelError(
            f"transformers has no architecture for model_type {family!r}.",
            remedy="Use a model whose code is part of transformers.",
            code="WB801",
        ) from error
    except Exception as error:
        raise ModelError(f"config.json is not accepted: {str(error).splitlines()[0]}", code="WB802") from error


def of_plan(plan: Plan, notes: list[str]) -> Any:
    """The plan's model on `meta`, quantised where it says so.

    Args:
        plan: The plan.
        notes: Gets a sentence for what is other than the plan says.

    Raises:
        ModelError, RecipeError: As `build` and `quantise`; WB810 for an attention that the architecture does not have.
    """
    flash = plan.attention == "flash_attention_2"
    model = build(plan.config, plan.method, plan.dtype, "sdpa" if flash else plan.attention, "meta")
    family, chosen = model.config.model_type, model.config._attn_implementation
    if flash and not model._supports_flash_attn:
        raise RecipeError(
            f"{family!r} has no flash attention in transformers.", remedy="Use sdpa or eager.", code="WB810"
        )
    if not flash and chosen != plan.attention:
        notes.append(f"{family} has no {plan.attention} attention in transformers: {chosen} is traced, as it would run")
    if plan.quantisation:
        low = plan.autocast or plan.dtype != "float32"
        quantise(model, plan.quantisation, torch.bfloat16 if low else torch.float32, plan.bnb_4bit_quant_storage)
        if plan.float32_rest:
            for parameter in model.parameters():
                if parameter.dtype in HALVES and type(parameter) is torch.nn.Parameter:
                    parameter.data = parameter.data.float()
    return model


def build(values: Mapping[str, Any], method: str, dtype: str, attention: str, device: str) -> Any:
    """A model with the weights' shapes, on `device`.

    Args:
        values: Values of a config.json.
        method: `reward` makes a model with one score; any other a language model.
        dtype: Of the weights: float32, bfloat16 or float16.
        attention: transformers' `attn_implementation`; an architecture without it gets eager, as in transformers.
        device: `meta`, or `cpu` for real random weights.

    Raises:
        ModelError: As `make_config`, or where the architecture cannot be built (WB802).
    """
    config = make_config(dict(values))
    maker = _maker(config, method)
    try:
        with torch.device(device):
            try:
                model = maker.from_config(config, attn_implementation=attention, dtype=DTYPES[dtype])
            except ValueError as error:
                if "attention implementation" not in str(error):
                    raise
                model = maker.from_config(config, attn_implementation="eager", dtype=DTYPES[dtype])
    except Exception as error:
        raise ModelError(
            f"No model can be built from this config.json: {(str(error) or repr(error)).splitlines()[0]}",
            remedy="Compare it with the model's own config.json.",
            code="WB802",
        ) from error
    return model.train()


def _maker(config: Any, method: str) -> Any:
    """Transformers' auto class for a config."""
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoModelForSequenceClassification

    if method == "reward":
        config.num_labels = 1
        return AutoModelForSequenceClassification
    if config.sub_configs and "vision_config" in config.sub_configs:
        return AutoModelForImageTextToText
    if type(config) not in AutoModelForCausalLM._model_mapping:
        raise ModelError(
            f"model_type {config.model_type!r} is no decoder: transformers has no causal language model of it.",
            remedy="Estimates are for decoder language models, with or without vision.",
            code="WB801",
        )
    return AutoModelForCausalLM


def quantise(model: Any, kind: str, compute: torch.dtype, storage: str = "uint8") -> None:
    """Replace linear modules by bitsandbytes' own, with the state they have after loading.

    Args:
        model: A model on `meta`, changed in place.
        kind: `nf4` (double quantisation) or `int8`.
        compute: Type in which products of 4-bit weights are computed.
        storage: Type that 4-bit weights are packed into.

    Raises:
        RecipeError: Without bitsandbytes (WB811).
    """
    packed = getattr(torch, storage)
    bits = bits_config(kind, compute, packed)
    from transformers.quantizers import AutoHfQuantizer

    head = model.get_output_embeddings()
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is torch.nn.Linear and child is not head and name not in ("lm_head", "score"):
                setattr(parent, name, _nf4(child, compute, packed) if kind == "nf4" else _int8(child))
    four = kind == "nf4"
    model.is_loaded_in_4bit, model.is_loaded_in_8bit, model.is_quantized = four, not four, True
    model.quantization_method = "bitsandbytes"
    model.config.quantization_config = bits
    model.hf_quantizer = AutoHfQuantizer.from_config(model.config.quantization_config, pre_quantized=False)


def _nf4(linear: torch.nn.Linear, compute: torch.dtype, storage: torch.dtype) -> Any:
    """4-bit blocks of 64 weights with 8-bit scales, whose own scales come in blocks of 256."""
    import bitsandbytes as bnb
    from bitsandbytes.functional import QuantState

    outputs, inputs = linear.weight.shape
    count = outputs * inputs
    blocks = -(-count // 64)
    with torch.device("meta"):
        made = bnb.nn.Linear4bit(
            inputs, outputs, linear.bias is not None, compute, quant_type="nf4", quant_storage=storage
        )
        second = QuantState(
            absmax=torch.empty(-(-blocks // 256)), code=torch.empty(256), blocksize=256, dtype=torch.float32
        )
        state = QuantState(
            absmax=torch.empty(blocks, dtype=torch.uint8),
            shape=torch.Size((outputs, inputs)),
            dtype=linear.weight.dtype,
            blocksize=64,
            quant_type="nf4",
            code=torch.empty(16),
            offset=torch.empty(()),
            state2=second,
        )
        data = torch.empty((count + 1) // (2 * storage.itemsize), 1, dtype=storage)
        made.weight = bnb.nn.Params4bit(
            data,
            requires_grad=False,
            quant_state=state,
            blocksize=64,
            quant_type="nf4",
            quant_storage=storage,
            bnb_quantized=True,
            module=made,
        )
    # DoRA reads a copy of the layer; bitsandbytes begins a weight's copy as an empty tensor of the host, into which no
    # weight on `meta` fits. Nothing changes a packed weight, so that its copy may be itself.
    made.weight.__deepcopy__ = lambda memo, weight=made.weight: weight
    made.quant_state, made.compute_type_is_set = state, True
    if linear.bias is not None:
        made.bias = linear.bias
    return made


def _int8(linear: torch.nn.Linear) -> Any:
    """8-bit weights with one float32 scale a row (LLM.int8, threshold 6)."""
    import bitsandbytes as bnb

    outputs, inputs = linear.weight.shape
    with torch.device("meta"):
        made = bnb.nn.Linear8bitLt(inputs, outputs, bias=linear.bias is not None, has_fp16_weights=False, threshold=6.0)
        data = torch.empty(outputs, inputs, dtype=torch.int8)
        scales = torch.empty(outputs, dtype=torch.float32)
        made.weight = bnb.nn.Int8Params(data, requires_grad=False, has_fp16_weights=False, CB=data, SCB=scales)
    made.weight.CB, made.weight.SCB = made.weight.data, scales
    made.state.CB, made.state.SCB = made.weight.data, scales
    if linear.bias is not None:
        made.bias = linear.bias
    return made
