"""Shapes and parameter counts of a model, from its config.json alone.

    of_model("meta-llama/Llama-3.2-1B").total  ->  1235814400

Knows the dense decoder families whose counts are checked against transformers in tests/memory: llama, mistral, qwen2,
qwen3. Any other model_type is refused by name; nothing here guesses from a model's name. Loads no weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from os.path import isfile
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from workbench.errors import ModelError, RecipeError
from workbench.memory.presets import PRESETS
from workbench.memory.settings import AnalyticSettings

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
"""Values of `model_type` that are known (transformers 5.23, models/<family>/modeling_<family>.py)."""

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP = ("gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear module that every layer has once.

    Attributes:
        inputs: Features in.
        outputs: Features out.
    """

    name: str
    inputs: int
    outputs: int
    bias: bool = False

    @property
    def parameters(self) -> int:
        """Weight and bias elements."""
        return self.inputs * self.outputs + (self.outputs if self.bias else 0)


@dataclass(frozen=True)
class Architecture:
    """Everything the closed form needs to know of a model.

    Attributes:
        family: `model_type` of the config.
        hidden: Width of the residual stream.
        heads: Attention heads.
        kv_heads: Key and value heads (fewer than `heads` with grouped queries).
        intermediate: Width of the gated MLP.
        vocab: Rows of the embedding, padding rows included.
        tied: Whether the output head is the embedding.
        biased: Names of the linear modules that have a bias.
        qk_norm: Whether queries and keys are normalised a head (qwen3).
    """

    family: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocab: int
    tied: bool
    biased: tuple[str, ...] = ()
    qk_norm: bool = False

    @property
    def query(self) -> int:
        """Features of all queries of a token."""
        return self.heads * self.head_dim

    @property
    def key(self) -> int:
        """Features of all keys (or values) of a token."""
        return self.kv_heads * self.head_dim

    @cached_property
    def linear(self) -> Mapping[str, Linear]:
        """Linear modules of one layer by name; the output head is not among them."""
        shapes = {
            "q_proj": (self.hidden, self.query),
            "k_proj": (self.hidden, self.key),
            "v_proj": (self.hidden, self.key),
            "o_proj": (self.query, self.hidden),
            "gate_proj": (self.hidden, self.intermediate),
            "up_proj": (self.hidden, self.intermediate),
            "down_proj": (self.intermediate, self.hidden),
        }
        return MappingProxyType({name: Linear(name, *shape, name in self.biased) for name, shape in shapes.items()})

    @cached_property
    def parameters(self) -> Mapping[str, int]:
        """Parameters by kind: embedding, attention, mlp, norms, head (0 when tied)."""
        norms = self.layers * (2 * self.hidden + (2 * self.head_dim if self.qk_norm else 0)) + self.hidden
        return MappingProxyType(
            {
                "embedding": self.vocab * self.hidden,
                "attention": self.layers * sum(self.linear[name].parameters for name in ATTENTION),
                "mlp": self.layers * sum(self.linear[name].parameters for name in MLP),
                "norms": norms,
                "head": 0 if self.tied else self.vocab * self.hidden,
            }
        )

    @cached_property
    def total(self) -> int:
        """All parameters; a tied head counts once."""
        return sum(self.parameters.values())

    def to_dict(self) -> dict[str, Any]:
        """Plain values, JSON-ready: the `Shapes` of the twin in TypeScript."""
        names = ("family", "hidden", "layers", "heads", "kv_heads", "head_dim", "intermediate", "vocab", "tied")
        return {
            **{name: getattr(self, name) for name in names},
            "qk_norm": self.qk_norm,
            "total": self.total,
            "linear": [
                {"name": item.name, "inputs": item.inputs, "outputs": item.outputs, "bias": item.bias}
                for item in self.linear.values()
            ],
        }

    @property
    def linear_parameters(self) -> int:
        """Parameters of the linear modules of all layers."""
        return self.parameters["attention"] + self.parameters["mlp"]

    def targets(self, settings: AnalyticSettings) -> tuple[Linear, ...]:
        """Linear modules that get a LoRA adapter; none with `adapter="none"`.

        Raises:
            RecipeError: For a target this model does not have (WB803).

        Source: PEFT's `all-linear` takes every linear module but the output head.
        """
        if settings.full:
            return ()
        if settings.targets == "all-linear":
            return tuple(self.linear.values())
        names = (settings.targets,) if isinstance(settings.targets, str) else settings.targets
        for name in names:
            if name not in self.linear:
                raise RecipeError(
                    f"target_modules names {name!r}, which no {self.family} layer has.",
                    remedy=f"Use 'all-linear' or some of {', '.join(self.linear)}; patterns cannot be estimated.",
                    code="WB803",
                )
        return tuple(self.linear[name] for name in dict.fromkeys(names))

    def adapter_parameters(self, settings: AnalyticSettings) -> int:
        """Elements of all LoRA A and B matrices; 0 with `adapter="none"`.

        Source: a rank-r adapter is A (r, in) and B (out, r) without bias (PEFT, tuners/lora/layer.py).
        """
        return self.layers * settings.rank * sum(linear.inputs + linear.outputs for linear in self.targets(settings))


def from_config(config: Mapping[str, Any]) -> Architecture:
    """Read an architecture from the values of a config.json.

    Raises:
        ModelError: For an unknown family (WB801), a missing value (WB802) or quantised weights (WB801).
    """
    family = str(config.get("model_type"))
    if family not in FAMILIES:
        raise ModelError(
            f"Cannot estimate memory for model_type {config.get('model_type')!r}.",
            remedy=f"Known: {', '.join(FAMILIES)}. Measure a step instead.",
            code="WB801",
        )
    if config.get("quantization_config"):
        raise ModelError(
            "Cannot estimate memory for weights with a quantization_config.",
            remedy="Point to the unquantised model.",
            code="WB801",
        )
    hidden, heads = _positive(config, "hidden_size"), _positive(config, "num_attention_heads")
    kv_heads = heads if config.get("num_key_value_heads") is None else _positive(config, "num_key_value_heads")
    head_dim = hidden // heads if config.get("head_dim") is None else _positive(config, "head_dim")
    if family == "qwen3" and config.get("head_dim") is None:
        head_dim = 128  # NOTE(default of Qwen3Config, which does not divide hidden_size)
    return Architecture(
        family=family,
        hidden=hidden,
        layers=_positive(config, "num_hidden_layers"),
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        intermediate=_positive(config, "intermediate_size"),
        vocab=_positive(config, "vocab_size"),
        tied=bool(config.get("tie_word_embeddings", False)),
        biased=_biased(family, config),
        qk_norm=family == "qwen3",
    )


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
            remedy=f"Give a folder that holds one, download the model, or use one of {', '.join(PRESETS)}.",
            code="WB804",
        )
    return Path(found)


def _positive(config: Mapping[str, Any], key: str) -> int:
    value = config.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ModelError(
            f"config.json has {key}={value!r}; the memory estimate needs a positive whole number.",
            remedy="Use the model's own config.json.",
            code="WB802",
        )
    return value


def _biased(family: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the linear modules with a bias, as the family's modelling code builds them."""
    if family == "qwen2":
        return ("q_proj", "k_proj", "v_proj")
    if family == "mistral":
        return ()
    attention = ATTENTION if config.get("attention_bias") else ()
    return attention + (MLP if family == "llama" and config.get("mlp_bias") else ())
