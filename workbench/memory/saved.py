"""What one training step keeps for its backward pass: bytes a token, as coefficients.

    ClosedForm().coefficients(architecture, settings).saved_bytes(batch)

This is the seam between the closed form and a trace or a measurement: all of them answer with `Coefficients`. Between
two lengths the saved bytes grow linearly except for terms in token pairs (a mask or eager attention), so `fit` makes
coefficients for any model, known or not, from two traced or measured lengths. Allocates nothing, imports no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from workbench.errors import RecipeError
from workbench.memory.first_layer import idle_layers, unsaved
from workbench.memory.fused import adapter_copies, applied, joined, lora_bytes, norm_bytes
from workbench.memory.kernels import Fused
from workbench.memory.linear import Linear
from workbench.memory.settings import AnalyticSettings, BatchShape, rounded
from workbench.memory.shapes import Architecture, Experts, adapted

Kind = Literal["analytic", "traced", "measured"]


@dataclass(frozen=True, slots=True)
class Term:
    """Bytes saved by one mechanism, for every layer and token."""

    name: str
    bytes: float
    formula: str


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Bytes saved for backward.

    Attributes:
        layers: Decoder layers.
        layer_token: Bytes a layer and token.
        layer_pair: Bytes a layer and pair of (query token, key token); 0 without a mask or eager attention.
        tail_token: Bytes a token behind the last layer.
        pair_multiple: Keys of a pair are rounded up to this many.
        constant: Bytes that do not depend on the batch.
        terms: What `layer_token` is made of; empty where it was fitted.
        idle: Layers that save nothing, below the first that trains.
        first_token: Bytes a token that the first layer that trains does not save.
        first_pairs: How many times the pairs' bytes it does not save: 0 or 1.
    """

    kind: Kind
    layers: int
    layer_token: float
    layer_pair: float = 0.0
    tail_token: float = 0.0
    pair_multiple: int = 1
    constant: float = 0.0
    terms: tuple[Term, ...] = ()
    idle: int = 0
    first_token: float = 0.0
    first_pairs: int = 0

    def layer_bytes(self, batch: BatchShape) -> int:
        """Bytes one layer saves."""
        return rounded(self.layer_token * batch.tokens + self._pairs(batch))

    def _pairs(self, batch: BatchShape) -> float:
        keys = -(-batch.length // self.pair_multiple) * self.pair_multiple
        return self.layer_pair * batch.tokens * keys

    def unsaved_bytes(self, batch: BatchShape) -> int:
        """Bytes that layers do not save because nothing at or below them trains."""
        first = rounded(self.first_token * batch.tokens + self.first_pairs * self._pairs(batch))
        return self.idle * self.layer_bytes(batch) + (first if self.idle < self.layers else 0)

    def tail_bytes(self, batch: BatchShape) -> int:
        """Bytes saved behind the last layer, without the loss."""
        return rounded(self.tail_token * batch.tokens)

    def saved_bytes(self, batch: BatchShape) -> int:
        """Bytes all layers and the tail save, without gradient checkpointing."""
        return rounded(self.constant) + self.layers * self.layer_bytes(batch) + self.tail_bytes(batch)


class MemorySource(Protocol):
    """Anything that knows what a step saves: the closed form, a trace on meta tensors, or a measured step."""

    def coefficients(self, architecture: Architecture, settings: AnalyticSettings) -> Coefficients:
        """Coefficients of this model with these settings."""
        ...


@dataclass(frozen=True, slots=True)
class Fitted:
    """Coefficients that were traced or measured for one model and settings, used as they are."""

    found: Coefficients

    def coefficients(self, architecture: Architecture, settings: AnalyticSettings) -> Coefficients:
        """The fitted coefficients.

        Raises:
            RecipeError: When they were fitted for a model with another number of layers (WB805).
        """
        if self.found.layers != architecture.layers:
            raise RecipeError(
                f"Memory coefficients were {self.found.kind} for {self.found.layers} layers,"
                f" but the model has {architecture.layers}.",
                remedy="Trace this model again.",
                code="WB805",
            )
        return self.found


def fit(base: Coefficients, points: Sequence[tuple[BatchShape, int]], kind: Kind) -> Fitted:
    """Recalibrate coefficients from saved bytes at two lengths.

    Slope and intercept replace `layer_token` and `constant`. The pair term keeps its closed form and is taken off
    before fitting, because two points cannot tell it from the slope; `tail_token` keeps its closed form too.

    Args:
        base: Coefficients of the closed form.
        points: Two batches of different token counts and the bytes saved at each, tail included.
        kind: Where the bytes come from.

    Raises:
        RecipeError: When the points cannot determine a line (WB805).
    """
    if len(points) != 2 or points[0][0].tokens == points[1][0].tokens:
        raise RecipeError(
            f"Fitting memory coefficients needs two batches of different size, got {len(points)} points.",
            remedy="Trace two lengths, such as 256 and 1,024 tokens.",
            code="WB805",
        )
    pairs = replace(base, layer_token=0.0, tail_token=0.0, constant=0.0)
    (short, short_bytes), (long, long_bytes) = ((batch, size - pairs.saved_bytes(batch)) for batch, size in points)
    slope = (long_bytes - short_bytes) / (long.tokens - short.tokens)
    constant = short_bytes - slope * short.tokens
    per_layer = (slope - base.tail_token) / base.layers
    return Fitted(replace(base, kind=kind, layer_token=per_layer, constant=constant, terms=()))


class ClosedForm:
    """Coefficients from the shapes of the model.

    H hidden, I intermediate, q and k features of queries and keys; c bytes of what a matrix product gives, w of the
    residual stream, o of what a linear module gives (a quantised one gives the type of its input).

    Source: which tensors autograd saves in transformers 5.23's code, peft 0.21's LoRA layer and torch 2.13's
    attention; checked against saved-tensor hooks in tests/memory/test_memory_saved.py and against traces.
    """

    def coefficients(self, architecture: Architecture, settings: AnalyticSettings) -> Coefficients:
        """Coefficients of a decoder."""
        fused = applied(architecture, settings)
        terms = (
            _norms(architecture, settings, fused),
            _attention(architecture, settings),
            _mlp(architecture, settings, fused),
            _linear_inputs(architecture, settings),
            _adapters(architecture, settings, fused),
        )
        hidden, rest = architecture.hidden, settings.rest_bytes
        products = (4 if architecture.norm == "gemma" else rest) * hidden if settings.full else 0
        token, pairs = unsaved(architecture, settings, terms[1].bytes, terms[2].bytes)
        return Coefficients(
            kind="analytic",
            layers=architecture.layers,
            layer_token=_added(terms),
            layer_pair=_pair_bytes(architecture, settings),
            tail_token=settings.rest_bytes * hidden + 4 if fused.norms else 4 * hidden + 4 + products,
            pair_multiple=16 if settings.attention == "sdpa" and settings.device == "cuda" else 1,
            constant=autocast_copies(architecture, settings),
            terms=terms,
            idle=idle_layers(settings),
            first_token=token,
            first_pairs=pairs,
        )


def _added(terms: Sequence[Term]) -> float:
    """Bytes of all terms, added in order: newer Pythons add floats in another way than the twin in TypeScript does."""
    found = 0.0
    for term in terms:
        found += term.bytes
    return found


def autocast_copies(architecture: Architecture, settings: AnalyticSettings) -> int:
    """Bytes of the bfloat16 copies that autocast makes of float32 weights and that backward needs again.

    LoRA kernels keep the adapter as it is (Unsloth's) or a copy of their own, autocast or not (axolotl's).
    """
    fused = applied(architecture, settings)
    inside = adapter_copies(architecture, settings, fused) if settings.adapter_bytes == 4 else 0
    own = inside if fused.copies and settings.compute_bytes == 2 else 0
    if not settings.autocast:
        return 2 * own
    base = architecture.linear_parameters if settings.weight_bytes == 4 and settings.quantisation == "none" else 0
    if base and settings.images:
        base += sum(item.copies * item.parameters for item in architecture.modules if item.reads == "tower")
    # an embedding's rows are looked up and not multiplied, and rows of text never reach a tower
    away = ("embedding",) if settings.images else ("embedding", "tower")
    multiplied = [item for item in architecture.targets(settings) if item.reads not in away]
    adapter = sum(adapted(item, settings) for item in multiplied) if settings.adapter_bytes == 4 else 0
    return 2 * (base + adapter - inside + own)


def kept_inputs(architecture: Architecture, settings: AnalyticSettings) -> int:
    """Bytes a token and layer that 8-bit products keep for their own backward, which checkpointing does not see.

    Source: bitsandbytes 0.50, autograd/_functions.py: inputs are attributes of the node, not saved tensors.
    """
    if settings.quantisation != "int8":
        return 0
    return settings.rest_bytes * (2 * architecture.hidden + architecture.intermediate)


def _norms(architecture: Architecture, settings: AnalyticSettings, fused: Fused) -> Term:
    """Float32 inputs and reciprocal deviations of the norms; with trained norms also what their weight multiplies."""
    a, c = architecture, settings.compute_bytes
    if fused.norms:
        return Term("norms", norm_bytes(a, settings), "sum over norms of w width + 4: their kernel keeps what it reads")
    stream, rest = a.norms * a.hidden, settings.rest_bytes
    if a.norm == "layer":
        # under autocast it runs in float32, and it reads a copy where the stream is narrower
        wide = 4 if settings.autocast else rest
        return Term("norms", wide * stream + 8 * a.norms, "norms (4 H + 8)")
    inner = {"": 0, "head": a.query + a.key, "whole": a.query + a.key}[a.qk_norm]
    counts = {"": 0, "head": a.heads + a.kv_heads, "whole": 2}[a.qk_norm]
    trained = 0
    if settings.full:
        trained = 4 * (stream + inner) if a.norm == "gemma" else rest * stream + c * inner
    formula = "sum over norms of 4 width + 4" + (" + one product a norm" if settings.full else "")
    return Term("norms", 4 * (stream + inner) + 4 * (a.norms + counts) + trained, formula)


def _attention(architecture: Architecture, settings: AnalyticSettings) -> Term:
    """What the attention kernel keeps."""
    a, c, q, k = architecture, settings.compute_bytes, architecture.query, architecture.key
    if settings.attention == "eager":
        return Term("attention", 3 * c * q, "c (q + repeated k + repeated v); the weights are counted by pair")
    repeated = settings.masked and settings.attention == "sdpa"
    kv = q if repeated and a.kv_heads > 1 else k  # one head is repeated as a view
    # values that stay a part of the fused projection's output keep all of it
    fused = "qkv_proj" in a.linear and not (repeated and a.heads != a.kv_heads)
    whole = c * (q + k) if fused else 0
    formula = f"c (q + out + 2 {'repeated kv' if repeated else 'kv'}) + 4 heads" + (" + c (q + k)" if fused else "")
    return Term("attention", c * (2 * q + 2 * kv) + 4 * a.heads + whole, formula)


def _mlp(architecture: Architecture, settings: AnalyticSettings, fused: Fused) -> Term:
    """What the MLP keeps between its linear modules, over dense and sparse layers on average."""
    a, out = architecture, settings.output_bytes
    if a.experts is not None:
        return _experts(a, a.experts, settings)
    if fused.glu or fused.mlp:
        each = settings.compute_bytes if fused.mlp else out
        return Term("mlp", 2 * each * a.intermediate, "2 o I: gate and up, whose kernel makes the activation again")
    if a.gated:
        return Term("mlp", 3 * out * a.intermediate, "3 o I: gate, up and its activation")
    # gelu written out: its input, tanh and 1 + tanh in float32 under autocast, and half of the input
    steps = 12 + out if settings.autocast else 4 * out
    cost = {"steps": steps, "quick": 2 * out, "fused": out}[a.gelu]
    return Term("mlp", cost * a.intermediate, f"{cost} I: the steps of gelu")


def _experts(a: Architecture, experts: Experts, settings: AnalyticSettings) -> Term:
    """Chosen experts: gate and up, the activation, the outputs; adapted or trained ones keep their inputs too."""
    c, dense = settings.compute_bytes, a.layers - experts.layers
    kept = 3 * experts.intermediate + a.hidden
    if settings.full or any(item.reads == "expert" for item in a.targets(settings)):
        kept += experts.intermediate + a.hidden
    sparse = c * experts.chosen * kept + 3 * c * experts.shared + 20 * experts.chosen + 8 * experts.count
    total = experts.layers * sparse + dense * 3 * c * a.intermediate
    return Term("mlp", total / a.layers, "c chosen (3 I + H, and I + H where experts train) + 3 c shared, a layer")


def _linear_inputs(architecture: Architecture, settings: AnalyticSettings) -> Term:
    """Inputs of linear modules whose own weight trains."""
    if settings.quantisation == "int8":
        kept = kept_inputs(architecture, settings)
        return Term("linear inputs", kept, "w (2 H + I): 8-bit products keep what they read")
    if not settings.full:
        return Term("linear inputs", 0, "0: frozen weights keep no input")
    a, c = architecture, settings.compute_bytes
    inputs = [item for item in a.linear.values() if item.reads in ("attention input", "mlp input")]
    wider = settings.rest_bytes if a.norm != "layer" or not settings.autocast else 4
    # one activation in place, or a copy for every module that reads it
    copies = len(inputs) if c != wider else len({item.reads for item in inputs}) if a.norms > 1 else 1
    # the eager kernel makes its output contiguous: another tensor than any that attention keeps
    output = c * a.query if settings.attention == "eager" else 0
    product = c * a.intermediate if a.experts is None else 0
    formula = f"c ({copies} H + I)" + (" + c q" if output else "")
    return Term("linear inputs", copies * c * a.hidden + product + output, formula)


def _adapters(architecture: Architecture, settings: AnalyticSettings, fused: Fused) -> Term:
    """Inputs of LoRA's A and B matrices.

    A bfloat16 activation is copied to the adapter's float32 for every target; in float32 throughout, targets that
    read the same activation share it. Autocast copies down to bfloat16 for every target.
    """
    own, inside = lora_bytes(architecture, settings, fused), joined(fused)
    targets = [item for item in architecture.targets(settings) if item.reads in OF_LAYERS and item.name not in inside]
    layers = _adapted_layers(architecture, settings)
    if not targets:
        return Term("lora inputs", own, "w H for each kernel: its input once" if own else "0: no adapter")
    # what has the adapter's type already is kept as it is, once for all that read it
    low = settings.adapter_bytes == 2
    shared = settings.rest_bytes == 2 if low else not settings.autocast and settings.rest_bytes == 4
    cost = 2 if settings.autocast or low else 4
    # attention's output has the adapter's type in bfloat16, so that nothing is copied
    copied = [item for item in targets if not (low and item.reads == "attention output")]
    every = sum(item.inputs * item.copies for item in copied) / layers
    ranks = sum(item.rank_of(settings.rank) * item.copies for item in targets) / layers
    inputs = _shared_inputs(targets, settings) if shared and not settings.dropout else every
    # a fused CUDA dropout keeps a boolean mask, the CPU one a mask of the input's type
    mask_bytes = 1 if settings.device == "cuda" else 4
    dropout = mask_bytes * every if settings.dropout else 0
    formula = f"{cost} (inputs + targets r)" + (f" + {mask_bytes} a dropped input" if dropout else "")
    formula += " + w H a kernel" if own else ""
    made = cost * (inputs + ranks) + dropout + own
    if settings.adapter == "dora":
        made += _dora(targets, settings)
        formula += " + what DoRA scales"
    return Term("lora inputs", made, formula)


OF_LAYERS = ("attention input", "attention output", "mlp input", "product")


def _adapted_layers(architecture: Architecture, settings: AnalyticSettings) -> int:
    """Layers over which adapters are spread evenly: those that save, or with checkpointing one of which is there."""
    if settings.reached is None:
        return architecture.layers
    if settings.checkpointing:
        return max((item.copies for item in settings.reached.modules if item.reads in OF_LAYERS), default=1)
    return max(1, architecture.layers - idle_layers(settings))


def _dora(targets: Sequence[Linear], settings: AnalyticSettings) -> int:
    """What DoRA's scaling of every output keeps."""
    return sum(2 * settings.compute_bytes * item.outputs for item in targets)


def _shared_inputs(targets: Sequence[Linear], settings: AnalyticSettings) -> float:
    """Features of the distinct activations that the targets read and nothing else keeps."""
    found = {item.reads: item.inputs for item in targets}
    if settings.attention != "eager":
        found.pop("attention output", None)  # attention itself keeps its output
    return sum(found.values())


def _pair_bytes(architecture: Architecture, settings: AnalyticSettings) -> float:
    """Bytes a layer keeps for each pair of query and key."""
    c = settings.compute_bytes
    if settings.attention == "eager":
        softcap = 2 * c if architecture.softcap else 0
        return (4 if c == 4 else 4 + c) * architecture.heads + softcap * architecture.heads
    return float(c) if settings.masked and settings.attention == "sdpa" else 0.0
