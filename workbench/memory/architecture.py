"""Shapes and parameter counts of a model, from its config.json alone.

    of_model("meta-llama/Llama-3.2-1B").total  ->  1235814400

Knows the families of workbench.memory.families, whose counts are checked against transformers. A config of another
family that has all fields of a Llama-like decoder is read as one, and `assumptions` says so; every other model_type is
refused by name. Loads no weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from os.path import isfile
from pathlib import Path
from typing import Any, cast

from workbench.errors import ModelError
from workbench.memory.families import FAMILIES, PLAIN, TEXT_OF, Family, is_plain
from workbench.memory.fields import positive
from workbench.memory.linear import Linear, Reads
from workbench.memory.presets import PRESETS, nearest
from workbench.memory.shapes import Architecture, Experts
from workbench.memory.towers import tower_of
from workbench.memory.vision import vision_of
from workbench.memory.windows import windows_of

Wide = tuple[str, int, int, Reads]
"""Name, features in, features out, and the activation that a linear module reads."""


def from_config(config: Mapping[str, Any]) -> Architecture:
    """Read an architecture from the values of a config.json.

    Raises:
        ModelError: For an unknown family or quantised weights (WB801), a missing or impossible value (WB802).
    """
    if config.get("quantization_config"):
        raise ModelError(
            "Cannot estimate memory for weights with a quantization_config.",
            remedy="Point to the unquantised model and estimate with quantisation='nf4'.",
            code="WB801",
        )
    inner = config.get("text_config")
    text = cast("Mapping[str, Any]", inner) if isinstance(inner, Mapping) else config
    name, assumptions = _family_of(config, text)
    family = FAMILIES[name]
    defaults = dict(family.defaults)
    hidden = positive(text, "hidden_size", defaults)
    heads, kv_heads, head_dim = _heads(text, family, hidden)
    layers, intermediate = positive(text, "num_hidden_layers"), positive(text, "intermediate_size")
    experts = _experts(text, family, layers)
    vision = isinstance(config.get("vision_config"), Mapping)
    linear, rest = tower_of(config, hidden) if vision else ((), 0)
    small = vision_of(config, linear) if vision else None
    prefix = "model.language_model.layers.{}." if vision else "model.layers.{}."
    shape = _Shape(hidden, heads * head_dim, kv_heads * head_dim, intermediate, layers, prefix)
    window, windowed = windows_of(text, name, layers)
    tied = next((each["tie_word_embeddings"] for each in (config, text) if "tie_word_embeddings" in each), family.tied)
    return Architecture(
        family=str(config.get("model_type")),
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        intermediate=intermediate,
        vocab=positive(text, "vocab_size", defaults),
        tied=bool(tied),
        modules=(*_modules(shape, family, text, experts), *linear),
        norms=family.norms,
        norm=family.norm,
        qk_norm=family.qk_norm,
        gated=family.layout in ("llama", "fused"),
        head_bias=family.head_bias,
        experts=experts,
        tower=rest,
        softcap=family.softcap,
        gelu=family.gelu,
        vision=small,
        assumptions=(*assumptions, *_assumed(text, family, vision)),
        window=window,
        windowed=windowed,
        post_norm=family.post_norm,
    )


def _family_of(config: Mapping[str, Any], text: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The family of the text part, and what is assumed about it."""
    kind = str(text.get("model_type") or TEXT_OF.get(str(config.get("model_type"))))
    name = TEXT_OF.get(kind, kind)
    if name in FAMILIES:
        return name, ()
    if text is config and config.get("model_type") and is_plain(config):
        said = f"model_type {kind!r} is not known to the closed form: its layers are taken for Llama's"
        return "llama", (f"{said} (a trace runs its own code)",)
    missing = [field for field in PLAIN if field not in text]
    raise ModelError(
        f"Cannot estimate memory for model_type {config.get('model_type')!r}"
        + (f": its config.json has no {', '.join(missing[:3])}." if missing else "."),
        remedy=f"Known: {', '.join(sorted({*FAMILIES, *TEXT_OF}))}. Others can be traced (--method trace).",
        code="WB801",
    )


def _heads(text: Mapping[str, Any], family: Family, hidden: int) -> tuple[int, int, int]:
    """Heads, key and value heads, features of a head."""
    heads = positive(text, "num_attention_heads", family.defaults)
    known = {"num_key_value_heads": heads, **family.defaults}
    kv_heads = positive(text, "num_key_value_heads", known)
    if heads % kv_heads:
        raise ModelError(
            f"config.json has {heads} attention heads in {kv_heads} groups of keys and values, which does not divide.",
            remedy="Use the model's own config.json.",
            code="WB802",
        )
    if text.get("head_dim") is None and "head_dim" not in family.defaults:
        if hidden % heads:
            raise ModelError(
                f"config.json has hidden_size={hidden}, which {heads} heads do not divide, and no head_dim.",
                remedy="Use the model's own config.json.",
                code="WB802",
            )
        return heads, kv_heads, hidden // heads
    return heads, kv_heads, positive(text, "head_dim", family.defaults)


SHARED = "shared_expert_intermediate_size"


def _numbers(text: Mapping[str, Any], key: str) -> list[int]:
    """A list of layers, empty where the field is missing.

    Raises:
        ModelError: When it is no list of whole numbers (WB802).
    """
    value: Any = text.get(key) or []
    if not isinstance(value, list) or not all(type(item) is int for item in cast("list[Any]", value)):
        raise ModelError(
            f"config.json has {key}={value!r}; the memory estimate needs a list of layers.",
            remedy="Use the model's own config.json.",
            code="WB802",
        )
    return cast("list[int]", value)


def _experts(text: Mapping[str, Any], family: Family, layers: int) -> Experts | None:
    """The mixture of experts of a sparse family."""
    if not family.experts:
        return None
    sparse = len(_sparse_layers(text, layers))
    width = positive(text, "intermediate_size" if family.experts == "num_local_experts" else "moe_intermediate_size")
    shared = positive(text, SHARED) if text.get(SHARED) else 0
    chosen = positive(text, "num_experts_per_tok")
    return Experts(positive(text, family.experts), chosen, width, sparse, shared)


def _sparse_layers(text: Mapping[str, Any], layers: int) -> tuple[int, ...]:
    """Numbers of the layers that have experts."""
    dense = _numbers(text, "mlp_only_layers")
    step = positive(text, "decoder_sparse_step", {"decoder_sparse_step": 1})
    return tuple(index for index in range(layers) if index not in dense and (index + 1) % step == 0)


class _Shape:
    """Widths of a layer, and the beginning of its modules' names."""

    def __init__(self, hidden: int, query: int, key: int, intermediate: int, layers: int, prefix: str) -> None:
        self.hidden, self.query, self.key, self.intermediate, self.layers = hidden, query, key, intermediate, layers
        self.prefix = prefix

    def placed(self, item: Linear, part: str, at: tuple[int, ...]) -> Linear:
        """A module with its name in the model."""
        return replace(item, path=f"{self.prefix}{part}.{item.name}", at=() if at == tuple(range(len(at))) else at)


def _modules(shape: _Shape, family: Family, text: Mapping[str, Any], experts: Experts | None) -> tuple[Linear, ...]:
    """Linear modules of the decoder layers, in the order in which a layer runs them."""
    hidden, layers = shape.hidden, shape.layers
    sparse = _sparse_layers(text, layers) if experts else ()
    dense = tuple(index for index in range(layers) if index not in sparse)
    wide: list[Wide]
    if family.layout == "fused":
        wide = [("qkv_proj", hidden, shape.query + 2 * shape.key, "attention input")]
    else:
        wide = [
            ("q_proj", hidden, shape.query, "attention input"),
            ("k_proj", hidden, shape.key, "attention input"),
            ("v_proj", hidden, shape.key, "attention input"),
        ]
    wide.append(("dense" if family.layout == "phi" else "o_proj", shape.query, hidden, "attention output"))
    every = tuple(range(layers))
    found = [shape.placed(_linear(item, layers, family, text), "self_attn", every) for item in wide]
    mlp = [_linear(item, len(dense), family, text) for item in _mlp(family, hidden, shape.intermediate) if dense]
    found += [shape.placed(item, "mlp", dense) for item in mlp]
    return (*found, *_expert_modules(shape, family, text, experts, sparse)) if experts else tuple(found)


def _expert_modules(
    shape: _Shape, family: Family, text: Mapping[str, Any], experts: Experts, at: tuple[int, ...]
) -> list[Linear]:
    """Router and experts, which are parameters, and the shared expert's linear modules.

    Source: transformers 5.23 keeps the experts of a layer as two stacked parameters.
    """
    count, layers, hidden, width = experts.count, experts.layers, shape.hidden, experts.intermediate
    gate, gate_up, down = ((("all-linear", *words) if words else ()) for words in family.expert_targets)
    gate_up_proj = Linear("gate_up_proj", hidden, 2 * width, False, layers, "expert", gate_up, count, 2)
    down_proj = Linear("down_proj", width, hidden, False, layers, "expert", down, count)
    found = [
        shape.placed(Linear("gate", hidden, count, False, layers, "expert", gate), "mlp", at),
        *(shape.placed(item, "mlp.experts", at) for item in (gate_up_proj, down_proj)),
    ]
    if experts.shared:
        shared = [_linear(item, layers, family, text) for item in _mlp(family, hidden, experts.shared)]
        found += [shape.placed(item, "mlp.shared_expert", at) for item in shared]
        switch = _linear(("shared_expert_gate", hidden, 1, "mlp input"), layers, family, text)
        found.append(shape.placed(switch, "mlp", at))
    return found


def _mlp(family: Family, hidden: int, width: int) -> list[Wide]:
    if family.layout == "plain":
        return [("c_fc", hidden, width, "mlp input"), ("c_proj", width, hidden, "product")]
    if family.layout == "phi":
        return [("fc1", hidden, width, "mlp input"), ("fc2", width, hidden, "product")]
    if family.layout == "fused":
        return [("gate_up_proj", hidden, 2 * width, "mlp input"), ("down_proj", width, hidden, "product")]
    return [
        ("gate_proj", hidden, width, "mlp input"),
        ("up_proj", hidden, width, "mlp input"),
        ("down_proj", width, hidden, "product"),
    ]


def _linear(item: Wide, copies: int, family: Family, text: Mapping[str, Any]) -> Linear:
    name, inputs, outputs, reads = item
    switch = family.attention_bias if reads.startswith("attention") else family.mlp_bias
    biased = name in family.biases and text.get("use_bias") is not False
    bias = biased or bool(switch and text.get(switch))
    renamed = any(name in words for words in family.expert_targets)  # PEFT reads the word as the experts' alone
    return Linear(name, inputs, outputs, bias, copies, reads, () if renamed else ("all-linear", name))


def _assumed(text: Mapping[str, Any], family: Family, vision: bool) -> tuple[str, ...]:
    """Sentences about what config.json leaves out."""
    silent = [f"{name}={value}" for name, value in family.defaults.items() if text.get(name) is None]
    found = [f"config.json leaves out {', '.join(silent)}: transformers' defaults are taken"] if silent else []
    return (*found, *(["without images=1 rows are text, of which the vision tower keeps nothing"] if vision else []))


def of_model(model: str) -> Architecture:
    """The architecture of a model, without network; errors as `read_config` and `from_config`."""
    return from_config(read_config(model))


def read_config(model: str) -> dict[str, Any]:
    """Values of a model's config.json: a folder, the file itself, the embedded demo, a preset, or the local hub cache.

    Raises:
        ModelError: When no config.json can be found, or it is none (WB804).
    """
    folder = Path(__file__).resolve().parent.parent / "tiny_llama" / "assets" if model == "tiny-llama" else Path(model)
    path = folder if folder.suffix == ".json" and isfile(folder) else folder / "config.json"
    if not isfile(path):  # says no where a name is too long or no name, which Path.is_file raises for
        if model in PRESETS:
            return dict(PRESETS[model])
        path = _cached(model)
    try:
        config: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path.name} of {model!r} cannot be read: {error}.", code="WB804") from error
    if not isinstance(config, dict):
        raise ModelError(f"config.json of {model!r} is no JSON object.", code="WB804")
    return cast("dict[str, Any]", config)


def _cached(model: str) -> Path:
    """config.json in the local hub cache."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(model, "config.json")
    except HFValidationError:
        found = None
    if not isinstance(found, str):
        raise ModelError(
            f"No config.json found for model {model!r}.",
            remedy=f"Give a folder that holds one, download the model, or use a known name, such as {nearest(model)}.",
            code="WB804",
        )
    return Path(found)
