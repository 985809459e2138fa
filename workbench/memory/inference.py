"""What a pass without gradients needs for a moment: answers, scores and evaluations keep nothing for backward.

    layer_bytes(architecture, settings, Pass(rows=32, tokens=512, keys=512, autocast=False, cached=True))

The highest moment of a layer is in its MLP or in its attention; earlier layers leave nothing behind but a cache and
autocast's copies of weights, which are counted elsewhere. The twin is labextension/src/memory/inference.ts.

Source: transformers 5.23 (modeling files of the families, cache_utils.py, integrations/moe.py), peft 0.21
(tuners/lora/layer.py, bnb.py, dora.py: results are added out of place), torch 2.13; held to traces of the real calls in
tests/memory/moments_trace.csv.
"""

from __future__ import annotations

from dataclasses import dataclass

from workbench.memory.linear import Linear
from workbench.memory.saved import OF_LAYERS
from workbench.memory.settings import AnalyticSettings
from workbench.memory.shapes import Architecture, Experts, adapted

PAIR_MULTIPLE = 16
"""Keys of a mask are padded to this many for CUDA's memory-efficient kernel (torch 2.13, attention.cpp)."""


@dataclass(frozen=True, slots=True)
class Pass:
    """A forward pass without gradients.

    Attributes:
        rows: Sequences.
        tokens: Tokens of each that are read.
        keys: Tokens of each that attention sees, cached ones included.
        autocast: Whether matrix products run in bfloat16 autocast.
        cached: Whether keys and values are kept for the next token.
        masked: Whether attention gets a mask.
        adapted: Whether the adapter is on.
        training: Whether modules are in training mode, in which LoRA drops inputs.
    """

    rows: int
    tokens: int
    keys: int
    autocast: bool
    cached: bool = False
    masked: bool = True
    adapted: bool = True
    training: bool = True

    @property
    def read(self) -> int:
        """Tokens of all rows that are read."""
        return self.rows * self.tokens


@dataclass(frozen=True, slots=True)
class Types:
    """Bytes of an element in a pass.

    Attributes:
        product: What a matrix product gives.
        stream: The residual stream.
        out: What a linear module gives: a quantised one the type that it was given.
        adapter: A weight of the adapter.
        lora: What the adapter's products give.
        normed: What a linear module reads behind a norm.
        roped: Queries and keys behind the rotation, which multiplies with tables in the stream's type.
    """

    product: int
    stream: int
    out: int
    adapter: int
    lora: int
    normed: int
    roped: int


def types_of(architecture: Architecture, settings: AnalyticSettings, autocast: bool) -> Types:
    """Types of a pass, with or without autocast."""
    stream = settings.rest_bytes
    product = 2 if autocast else settings.weight_bytes
    out = product if settings.quantisation == "none" else stream
    return Types(
        product=product,
        stream=stream,
        out=out,
        adapter=settings.adapter_bytes,
        lora=2 if autocast else settings.adapter_bytes,
        normed=4 if architecture.norm == "layer" and autocast else stream,
        roped=max(out, stream),
    )


def layer_bytes(a: Architecture, settings: AnalyticSettings, run: Pass) -> int:
    """Bytes of the last layer's highest moment, without the cache of the layers.

    Returns:
        The streams around it (embeddings, the layer's input, the residual, what a norm gave) and its temporaries.
    """
    return max(_mlp_moment(a, settings, run), _attention_moment(a, settings, run))


def cache_bytes(a: Architecture, settings: AnalyticSettings, run: Pass) -> int:
    """Bytes of the keys and values of all layers.

    Layers with a window keep one token less than it.

    Source: transformers 5.23, cache_utils.py (DynamicLayer, DynamicSlidingWindowLayer).
    """
    width = 2 * a.key * types_of(a, settings, run.autocast).roped * run.rows
    short = min(run.keys, a.window - 1) if a.window else run.keys
    return width * (a.windowed * short + (a.layers - a.windowed) * run.keys)


def widest_row(a: Architecture, settings: AnalyticSettings, run: Pass) -> int:
    """Bytes of one layer's keys, which are there twice while a token is joined to them; values follow after."""
    return a.key * types_of(a, settings, run.autocast).roped * run.rows * max(0, run.keys - 1)


def weight_copies(a: Architecture, settings: AnalyticSettings, run: Pass) -> int:
    """Bytes of autocast's bfloat16 copies of the trained weights, without the head's.

    Source: torch 2.13, ATen/autocast_mode.cpp: float32 leaves that want gradients are kept until autocast ends.
    """
    if not run.autocast:
        return 0
    if settings.full:
        return 2 * a.linear_parameters if settings.weight_bytes == 4 else 0
    if not run.adapted or settings.adapter_bytes != 4:
        return 0
    return 2 * sum(adapted(item, settings) for item in a.targets(settings) if item.reads in OF_LAYERS)


def last_copy(a: Architecture, settings: AnalyticSettings, run: Pass) -> int:
    """Bytes of the copy of the last module, which is not made yet at a layer's highest moment."""
    wide = 0 if a.experts is not None else a.hidden * a.intermediate
    return 2 * wide if settings.full and weight_copies(a, settings, run) else 0


def tables_bytes(a: Architecture, settings: AnalyticSettings, run: Pass, rows: int) -> int:
    """Bytes of ids, rotary tables and masks.

    Args:
        a: The model.
        settings: The run.
        run: The pass.
        rows: Rows that have positions of their own.
    """
    kinds = 2 if 0 < a.windowed < a.layers else 1
    tables = 2 * kinds * settings.rest_bytes * a.head_dim * rows * run.tokens
    if not run.masked or settings.attention == "flash_attention_2":
        return tables
    pair = settings.rest_bytes if settings.attention == "eager" else 1
    return tables + kinds * pair * run.read * run.keys


def _streams(a: Architecture, t: Types, beside: int) -> int:
    """Bytes a token of the streams: embeddings, the layer's input and `beside` more, and what a norm gave."""
    normed = 0 if a.post_norm else t.normed
    first = t.stream if a.layers > 1 else 0
    return (t.stream + first + beside * (t.out if a.norms == 1 else t.stream) + normed) * a.hidden


def _adapts(a: Architecture, settings: AnalyticSettings, run: Pass, item: Linear) -> bool:
    return run.adapted and any(found.name == item.name and found.reads == item.reads for found in a.targets(settings))


def _added(settings: AnalyticSettings, t: Types) -> int:
    """Bytes an output feature while PEFT adds its product: to a copy of a quantised module's, else to the result."""
    if settings.quantisation != "none":
        return max(3 * t.out, t.out + 2 * t.lora)
    if settings.adapter == "dora":
        return t.out + t.lora + 12  # three float32 steps of scaling
    return t.out + max(2 * t.lora, t.lora + max(t.out, t.lora))


def _entering(settings: AnalyticSettings, run: Pass, t: Types) -> int:
    """Bytes an input feature while the adapter's first product runs: autocast's copy, and what dropout gave."""
    lowered = 2 if run.autocast and t.adapter == 4 else 0
    if not (settings.dropout and run.training):
        return lowered
    return t.adapter + max(1, lowered)  # its mask is there while it is made


def _mlp_moment(a: Architecture, settings: AnalyticSettings, run: Pass) -> int:
    t = types_of(a, settings, run.autocast)
    streams = _streams(a, t, 1) * run.read
    if settings.attention == "eager":  # a layer holds the attention weights that it was given back
        streams += (2 if run.autocast else t.roped) * a.heads * run.read * run.keys
    if a.experts is not None:
        return streams + _experts(a, a.experts, settings, run)
    inputs = [item for item in a.linear.values() if item.reads == "mlp input"]
    up, down = inputs[-1], next(item for item in a.linear.values() if item.reads == "product")
    gate = t.out * up.outputs if len(inputs) > 1 else 0
    if a.gated:
        acting = 3 * t.out * a.intermediate if len(inputs) > 1 else 4 * t.out * a.intermediate
    else:
        acting = (2 * t.out + 8 if run.autocast else 4 * t.out) * a.intermediate
    fused = t.out * up.outputs if a.gated and len(inputs) == 1 else 0
    return streams + max(
        gate * run.read + _linear(a, settings, run, up),
        acting * run.read,
        (t.out * a.intermediate + fused) * run.read + _linear(a, settings, run, down),
    )


def _linear(a: Architecture, settings: AnalyticSettings, run: Pass, item: Linear) -> int:
    """Highest bytes of a linear module beside its input, with its adapter."""
    t = types_of(a, settings, run.autocast)
    given = t.out if item.reads == "product" else t.normed
    lowered = 2 * item.inputs * run.read if run.autocast and given == 4 else 0
    matrix = item.inputs * item.outputs
    dequantised = t.product * matrix if settings.quantisation == "nf4" else 0
    plain = t.out * item.outputs * run.read + max(lowered, dequantised)
    if not _adapts(a, settings, run, item):
        return plain
    copied = t.adapter * item.inputs * run.read if given != t.adapter else 0
    adding = _added(settings, t) * item.outputs * run.read
    first = t.out * item.outputs * run.read + _entering(settings, run, t) * item.inputs * run.read
    if settings.adapter == "dora":
        # the weight and the adapter's product in float32; before it a unit matrix to multiply the adapter with
        adding += 8 * matrix
        first = max(first, t.out * item.outputs * run.read + 4 * item.inputs**2 + 4 * matrix)
    return max(plain, copied + max(adding, first))


def _experts(a: Architecture, experts: Experts, settings: AnalyticSettings, run: Pass) -> int:
    """Bytes while a layer's experts run: for one token a row the weights of its experts are gathered.

    Source: transformers 5.23, integrations/moe.py: grouped products, and batched ones while it decodes.
    """
    c = types_of(a, settings, run.autocast).product
    width, matrix = experts.intermediate, a.hidden * experts.intermediate
    summed = run.adapted and any(item.reads == "expert" for item in a.targets(settings))
    weights = c * matrix * experts.count if summed else 0
    if run.cached and run.tokens == 1:
        return 3 * (weights + c * matrix * experts.chosen * run.rows)
    each = c * experts.chosen * run.read
    return max((4 * width + a.hidden) * each + 2 * weights, 4 * a.hidden * each + 3 * weights)


def _attention_moment(a: Architecture, settings: AnalyticSettings, run: Pass) -> int:
    t = types_of(a, settings, run.autocast)
    kernel = 2 if run.autocast else t.roped
    fused = t.out * (a.query + 2 * a.key) if "qkv_proj" in a.linear else 0
    own = 0 if run.cached else (t.roped + t.out) * a.key
    around = (_streams(a, t, 0) + t.roped * a.query + fused + own) * run.read
    kept = t.roped if run.cached else t.out
    if settings.attention == "eager":
        repeated = (t.roped + kept) * a.query * run.rows * run.keys if 1 < a.kv_heads < a.heads else 0
        return around + repeated + (2 * kernel + 4) * a.heads * run.read * run.keys
    given = around + kernel * a.query * run.read
    if settings.attention == "flash_attention_2":
        # padding is taken out: keys and then values are made contiguous and gathered
        return given + (3 * kernel * a.key * run.rows * run.keys if run.masked else 0)
    return given + _fused_attention(a, run, t.roped, kept)


def _fused_attention(a: Architecture, run: Pass, roped: int, kept: int) -> int:
    """Bytes of repeated keys and values, of their copies in the kernel's type, and of a mask."""
    kernel, keys = 2 if run.autocast else roped, run.rows * run.keys
    repeats = 1 < a.kv_heads < a.heads and run.masked and run.tokens > 1
    repeated = (roped + kept) * a.query * keys if repeats else 0
    wide = a.query if repeats else a.key
    values = kernel * wide * keys if kept != kernel else 0
    cast = kernel * (a.query * run.read + wide * keys) + values if kernel != roped else 0
    padded = -(-run.keys // PAIR_MULTIPLE) * PAIR_MULTIPLE
    return repeated + cast + (kernel * run.read * padded if run.masked else 0)
