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
from workbench.memory.architecture import Architecture
from workbench.memory.settings import AnalyticSettings, BatchShape, rounded

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
    """

    kind: Kind
    layers: int
    layer_token: float
    layer_pair: float = 0.0
    tail_token: float = 0.0
    pair_multiple: int = 1
    constant: float = 0.0
    terms: tuple[Term, ...] = ()

    def layer_bytes(self, batch: BatchShape) -> int:
        """Bytes one layer saves."""
        keys = -(-batch.length // self.pair_multiple) * self.pair_multiple
        return rounded(self.layer_token * batch.tokens + self.layer_pair * batch.tokens * keys)

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

    Source: which tensors autograd saves in transformers 5.23's Llama code, peft 0.21's LoRA layer and torch 2.13's
    scaled dot product attention; checked against saved-tensor hooks in tests/memory/test_saved.py.
    """

    def coefficients(self, architecture: Architecture, settings: AnalyticSettings) -> Coefficients:
        """Coefficients of a dense decoder."""
        terms = (
            _norms(architecture, settings),
            _attention(architecture, settings),
            Term("mlp", 3 * settings.compute_bytes * architecture.intermediate, "3 c I: gate, up and silu(gate)"),
            _linear_inputs(architecture, settings),
            _adapters(architecture, settings),
        )
        hidden = architecture.hidden
        tail = (
            4 * hidden + 4 + (settings.weight_bytes * hidden if settings.full else 0) + settings.weight_bytes * hidden
        )
        return Coefficients(
            kind="analytic",
            layers=architecture.layers,
            layer_token=sum(term.bytes for term in terms),
            layer_pair=_pair_bytes(architecture, settings),
            tail_token=tail,
            pair_multiple=16 if settings.attention == "sdpa" and settings.device == "cuda" else 1,
            constant=autocast_copies(architecture, settings),
            terms=terms,
        )


def autocast_copies(architecture: Architecture, settings: AnalyticSettings) -> int:
    """Bytes of the bfloat16 copies that autocast makes of float32 weights and that backward needs again."""
    if not settings.autocast:
        return 0
    base = architecture.linear_parameters if settings.weight_bytes == 4 else 0
    return 2 * (base + architecture.adapter_parameters(settings))


def _norms(architecture: Architecture, settings: AnalyticSettings) -> Term:
    """Float32 inputs and reciprocal deviations of the norms; with trained norms also what their weight multiplies."""
    widths = [architecture.hidden, architecture.hidden]
    counts = [1, 1]
    if architecture.qk_norm:
        widths += [architecture.query, architecture.key]
        counts += [architecture.heads, architecture.kv_heads]
    # the norms of queries and keys read what a matrix product wrote, so their product has its precision
    trained = (
        2 * settings.weight_bytes * architecture.hidden + settings.compute_bytes * sum(widths[2:])
        if settings.full
        else 0
    )
    formula = "sum over norms of 4 width + 4" + (" + one product a norm" if settings.full else "")
    return Term("norms", 4 * sum(widths) + 4 * sum(counts) + trained, formula)


def _attention(architecture: Architecture, settings: AnalyticSettings) -> Term:
    """What the attention kernel keeps."""
    c, q, k = settings.compute_bytes, architecture.query, architecture.key
    if settings.attention == "eager":
        return Term("attention", 3 * c * q, "c (q + repeated k + repeated v); the weights are counted by pair")
    repeated = settings.masked and settings.attention == "sdpa"
    kv = q if repeated else k
    formula = f"c (q + out + 2 {'repeated kv' if repeated else 'kv'}) + 4 heads"
    return Term("attention", c * (2 * q + 2 * kv) + 4 * architecture.heads, formula)


def _linear_inputs(architecture: Architecture, settings: AnalyticSettings) -> Term:
    """Inputs of linear modules whose own weight trains."""
    if not settings.full:
        return Term("linear inputs", 0, "0: frozen weights keep no input")
    c, hidden = settings.compute_bytes, architecture.hidden
    copies = 5 if c != settings.weight_bytes else 2
    # the eager kernel makes its output contiguous: another tensor than any that attention keeps
    output = c * architecture.query if settings.attention == "eager" else 0
    formula = f"c ({copies} H + I)" + (" + c q" if output else "")
    return Term("linear inputs", copies * c * hidden + c * architecture.intermediate + output, formula)


def _adapters(architecture: Architecture, settings: AnalyticSettings) -> Term:
    """Inputs of LoRA's A and B matrices.

    A bfloat16 activation is copied to the adapter's float32 for every target; in float32 throughout, targets that
    read the same activation share it. Autocast copies down to bfloat16 for every target.
    """
    targets = architecture.targets(settings)
    if not targets:
        return Term("lora inputs", 0, "0: no adapter")
    shared = not settings.autocast and settings.weight_bytes == 4
    cost = 2 if settings.autocast else 4
    if shared and not settings.dropout:
        inputs = _shared_inputs(architecture, {target.name for target in targets}, settings)
    else:
        inputs = sum(target.inputs for target in targets)
    # a fused CUDA dropout keeps a boolean mask, the CPU one a mask of the input's type
    mask_bytes = 1 if settings.device == "cuda" else 4
    dropout = mask_bytes * sum(target.inputs for target in targets) if settings.dropout else 0
    formula = f"{cost} (inputs + targets r)" + (f" + {mask_bytes} a dropped input" if dropout else "")
    return Term("lora inputs", cost * (inputs + len(targets) * settings.rank) + dropout, formula)


def _shared_inputs(architecture: Architecture, names: set[str], settings: AnalyticSettings) -> int:
    """Features of the distinct activations that the targets read and nothing else keeps."""
    inputs = 0
    if names & {"q_proj", "k_proj", "v_proj"}:
        inputs += architecture.hidden
    if "o_proj" in names and settings.attention == "eager":
        inputs += architecture.query
    if names & {"gate_proj", "up_proj"}:
        inputs += architecture.hidden
    if "down_proj" in names:
        inputs += architecture.intermediate
    return inputs


def _pair_bytes(architecture: Architecture, settings: AnalyticSettings) -> float:
    """Bytes a layer keeps for each pair of query and key."""
    c = settings.compute_bytes
    if settings.attention == "eager":
        return (4 if c == 4 else 4 + c) * architecture.heads
    return float(c) if settings.masked and settings.attention == "sdpa" else 0.0
