"""What the closed form needs to know of a model: its linear modules, its parameters by kind, its widths.

    architecture.total, architecture.targets(settings), architecture.to_dict()

Values only; workbench.memory.architecture reads them from a config.json. `to_dict` is what the twin in
TypeScript takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

from workbench.errors import RecipeError
from workbench.memory.linear import Linear, Reads
from workbench.memory.settings import AnalyticSettings

KINDS_OF_READS: Mapping[Reads, str] = {
    "attention input": "attention",
    "attention output": "attention",
    "mlp input": "mlp",
    "product": "mlp",
    "expert": "experts",
    "tower": "tower",
    "embedding": "embedding",
    "head": "head",
}


@dataclass(frozen=True, slots=True)
class Experts:
    """A mixture of experts in place of the MLP.

    Attributes:
        count: Experts a layer.
        chosen: Experts a token goes to.
        intermediate: Width of one.
        layers: Layers that have them.
        shared: Width of an expert that every token goes through; 0 where there is none.
    """

    count: int
    chosen: int
    intermediate: int
    layers: int
    shared: int = 0


@dataclass(frozen=True)
class Vision:
    """A vision tower and how it meets the decoder.

    Attributes:
        tower: Its layers as a model of their own.
        used: Layers whose output the decoder reads.
        patches: Patches of an image of fixed size, a class token among them; 0 where the size is free.
        merged: Patches that become one token where the size is free.
        tokens: Tokens of an image of fixed size; 0 where the size is free.
        pixels: Values of an image, or of a patch where the size is free.
        states: Whether the outputs of all layers are given back.
        middle: Width of the projector's activation; 0 where it has none.
        normed: Whether a norm stands before the projector, over patches.
        pooled: Whether patches are averaged to tokens before it.
    """

    tower: Architecture
    used: int
    patches: int = 0
    merged: int = 1
    tokens: int = 0
    pixels: int = 0
    states: bool = False
    middle: int = 0
    normed: bool = False
    pooled: bool = False


@dataclass(frozen=True)
class Architecture:
    """Shapes of a model.

    Attributes:
        family: `model_type` of the config.
        hidden: Width of the residual stream.
        heads: Attention heads.
        kv_heads: Key and value heads (fewer than `heads` with grouped queries).
        intermediate: Width of the MLP.
        vocab: Rows of the embedding, padding rows included.
        tied: Whether the output head is the embedding.
        modules: All linear modules but the output head.
        norms: Norms of the residual stream a layer.
        norm: `rms`; `gemma`, which multiplies in float32; `layer`, torch's LayerNorm with a bias.
        qk_norm: Norm of queries and keys: none, a `head` or the `whole` width.
        gated: Whether the MLP has a gate.
        head_bias: Whether the output head has a bias.
        gelu: How an MLP without a gate makes its activation: in `steps`, as x sigmoid(x) (`quick`), or as one kernel.
        tower: Elements of a vision tower and projector that are in no linear module.
        vision: The vision tower's layers; None without one.
        assumptions: What was taken for granted where config.json is silent, in sentences.
        window: Tokens that a layer with a sliding window sees; 0 where there is none. `windowed`: how many layers do.
        post_norm: Whether norms stand behind attention and MLP only.
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
    modules: tuple[Linear, ...] = ()
    norms: int = 2
    norm: Literal["rms", "gemma", "layer"] = "rms"
    qk_norm: Literal["", "head", "whole"] = ""
    gated: bool = True
    head_bias: bool = False
    experts: Experts | None = None
    tower: int = 0
    softcap: bool = False
    gelu: Literal["steps", "quick", "fused"] = "steps"
    vision: Vision | None = None
    assumptions: tuple[str, ...] = field(default=(), compare=False)
    window: int = 0
    windowed: int = 0
    post_norm: bool = False

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
        """Linear modules of a decoder layer by name; neither the output head nor experts nor a vision tower's."""
        return MappingProxyType({item.name: item for item in self.modules if item.reads not in ("tower", "expert")})

    @cached_property
    def parameters(self) -> Mapping[str, int]:
        """Parameters by kind: embedding, attention, mlp, experts, norms, head (0 when tied), tower."""
        scale = 2 if self.norm == "layer" else 1
        queries = {"": 0, "head": 2 * self.head_dim, "whole": self.query + self.key}[self.qk_norm]
        norms = scale * self.hidden * (self.layers * self.norms + 1) + self.layers * queries
        found = {"attention": 0, "mlp": 0, "experts": 0, "tower": self.tower}
        for item in self.modules:
            found[KINDS_OF_READS[item.reads]] += item.copies * item.parameters
        head = (0 if self.tied else self.vocab * self.hidden) + (self.vocab if self.head_bias else 0)
        embedding = {"embedding": self.vocab * self.hidden}
        return MappingProxyType({**embedding, **found, "norms": norms, "head": head})

    @cached_property
    def total(self) -> int:
        """All parameters; a tied head counts once."""
        return sum(self.parameters.values())

    @cached_property
    def text(self) -> int:
        """Parameters without the vision tower and its projector, which rows of text never reach."""
        return self.total - self.parameters["tower"]

    @cached_property
    def linear_parameters(self) -> int:
        """Parameters of the linear modules of all decoder layers."""
        return self.parameters["attention"] + self.parameters["mlp"]

    def targets(self, settings: AnalyticSettings) -> tuple[Linear, ...]:
        """Linear modules that get a LoRA adapter; none with `adapter="none"`.

        Raises:
            RecipeError: For a target this model does not have, or DoRA or dropout on experts (WB803).

        Source: peft 0.21, tuners/tuners_utils.py: `all-linear` takes every linear module but the output head, a vision
        tower's too; a name takes every module whose name ends with it. utils/transformers_weight_conversion.py:
        Mixtral's and Qwen3-MoE's experts and routers are adapted by the names that their modules once had.
        """
        if settings.full:
            return ()
        if settings.reached is not None:
            return settings.reached.modules
        names = (settings.targets,) if isinstance(settings.targets, str) else settings.targets
        known = {word for item in self.modules for word in item.targets}
        for name in names:
            if name not in known:
                raise RecipeError(
                    f"target_modules names {name!r}, which no {self.family} layer has.",
                    remedy=f"Use 'all-linear' or some of {', '.join(sorted(known))}; a pattern is a string.",
                    code="WB803",
                )
        found = tuple(item for item in self.modules if set(names) & {*item.targets})
        if (settings.adapter == "dora" or settings.dropout) and any(item.reads == "expert" for item in found):
            raise RecipeError(
                f"PEFT adapts the experts of {self.family} neither with DoRA nor with dropout.",
                remedy="Name the attention's modules in target_modules, or take lora with lora_dropout=0.",
                code="WB803",
            )
        return found

    def adapter_parameters(self, settings: AnalyticSettings) -> int:
        """Elements of all LoRA matrices, and of DoRA's magnitudes; 0 with `adapter="none"`.

        Source: a rank-r adapter is A (r, in) and B (out, r); DoRA adds one number an output feature, lora_bias another
        (peft 0.21, tuners/lora/layer.py and dora.py).
        """
        return sum(adapted(item, settings) for item in self.targets(settings))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, JSON-ready: the `Shapes` of the twin in TypeScript."""
        made = {**asdict(self), "modules": [asdict(item) for item in self.modules]}
        if self.vision is not None:
            made["vision"] = {**asdict(self.vision), "tower": self.vision.tower.to_dict()}
        return {**made, "parameters": dict(self.parameters), "total": self.total, "text": self.text}


def adapted(item: Linear, settings: AnalyticSettings) -> int:
    """Elements that adapt all copies of a linear module."""
    more = (settings.adapter == "dora") + settings.lora_bias
    return item.copies * (item.rank_of(settings.rank) * (item.inputs + item.outputs) + more * item.outputs)
