"""Names of a model's modules and parameters, as transformers 5.23 has them, for patterns that pick some of them.

places_of(architecture)[0].path  ->  "model.layers.{}.self_attn.q_proj"
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from workbench.memory.linear import Linear
from workbench.memory.shapes import Architecture

Kind = Literal["linear", "experts", "embedding", "head", "norm", "other"]


@dataclass(frozen=True, slots=True)
class Place:
    """A module, or a stacked parameter, of a model.

    Attributes:
        path: Its name, with `{}` for the number of its layer.
        kind: What can be done to it: `experts` is a parameter, `other` a module that no LoRA layer replaces.
        layers: Numbers of its layers; empty where it is there once.
        linear: Its shapes; None for a norm or another module.
        vectors: Features of its vectors: a norm's weight and bias.
    """

    path: str
    kind: Kind
    layers: tuple[int, ...] = ()
    linear: Linear | None = None
    vectors: tuple[int, ...] = ()

    @property
    def in_tower(self) -> bool:
        """Whether only images reach it."""
        return self.path.startswith(("model.vision_tower.", "model.visual.", "model.multi_modal_projector."))

    def names(self) -> Iterator[tuple[str, int]]:
        """Every name with the number of its layer; -1 where it has none."""
        if "{}" not in self.path:
            yield self.path, -1
        for layer in self.layers:
            yield self.path.format(layer), layer


@lru_cache(maxsize=16)
def places_of(architecture: Architecture) -> tuple[Place, ...]:
    """Every place of a model that the closed form knows by name, containers among them."""
    found = [_of_module(item) for item in architecture.modules if item.path]
    found += [*_ends(architecture), *_norms(architecture), *_tower_norms(architecture)]
    known = {place.path for place in found}
    containers: dict[str, tuple[int, ...]] = {}
    for place in found:
        path = place.path
        while "." in path:
            path = path.rpartition(".")[0]
            if path not in known:
                layers = {*containers.get(path, ()), *place.layers} if "{}" in path else ()
                containers[path] = tuple(sorted(layers))
    return (*found, *(Place(path, "other", layers) for path, layers in containers.items()))


def beginning(architecture: Architecture) -> str:
    """The beginning of the names of the decoder: its layers, embedding and last norm."""
    return architecture.modules[0].path.partition("layers.{}")[0]


def _of_module(item: Linear) -> Place:
    layers = item.layers if "{}" in item.path else ()
    if item.reads == "expert" and item.name == "gate":
        return Place(f"{item.path}.weight", "experts", layers, item)
    return Place(item.path, "experts" if item.reads == "expert" else "linear", layers, item)


def _ends(a: Architecture) -> tuple[Place, ...]:
    """Embedding and output head, as LoRA would adapt them."""
    embedding = Linear("embed_tokens", a.vocab, a.hidden, reads="embedding", path=f"{beginning(a)}embed_tokens")
    head = Linear("lm_head", a.hidden, a.vocab, a.head_bias, reads="head", path="lm_head")
    return Place(embedding.path, "embedding", (), embedding), Place(head.path, "head", (), head)


def _norms(a: Architecture) -> list[Place]:
    """Norms of the decoder."""
    start, scale = beginning(a), 2 if a.norm == "layer" else 1
    layers, stream = tuple(range(a.layers)), (a.hidden,) * scale
    last = "final_layernorm" if a.norms == 1 else "norm"
    found = [Place(f"{start}{last}", "norm", (), None, stream)]
    found += [Place(f"{start}layers.{{}}.{name}", "norm", layers, None, stream) for name in NORMS[_norm_names(a)]]
    if a.qk_norm:
        widths = (a.head_dim, a.head_dim) if a.qk_norm == "head" else (a.query, a.key)
        for name, width in zip(("q_norm", "k_norm"), widths, strict=True):
            found.append(Place(f"{start}layers.{{}}.self_attn.{name}", "norm", layers, None, (width,)))
    return found


def _tower_norms(a: Architecture) -> list[Place]:
    """Norms of a vision tower and its projector."""
    tower = [item for item in a.modules if item.reads == "tower"]
    if not tower:
        return []
    width, count = tower[0].inputs, tower[0].copies
    vectors = (width,) * (1 if a.family == "qwen2_5_vl" else 2)
    found: list[Place] = []
    for path in TOWER_NORMS[a.family]:
        if ".head." in path and not any(".head." in item.path for item in tower):
            continue
        layers = tuple(range(count)) if "{}" in path else ()
        found.append(Place(path, "norm", layers, None, (width,) if path.endswith("mm_soft_emb_norm") else vectors))
    return found


_LAYER = "model.vision_tower.encoder.layers.{}.layer_norm"
_BLOCK = ("model.visual.blocks.{}.norm1", "model.visual.blocks.{}.norm2", "model.visual.merger.ln_q")
_LAST = "model.vision_tower.post_layernorm"
TOWER_NORMS = {
    "llava": (f"{_LAYER}1", f"{_LAYER}2", "model.vision_tower.pre_layrnorm", _LAST),
    "gemma3": (
        f"{_LAYER}1",
        f"{_LAYER}2",
        _LAST,
        "model.vision_tower.head.layernorm",
        "model.multi_modal_projector.mm_soft_emb_norm",
    ),
    "qwen2_vl": _BLOCK,
    "qwen2_5_vl": _BLOCK,
}
"""Names of the norms of a vision tower."""

NORMS = {
    "one": ("input_layernorm",),
    "two": ("input_layernorm", "post_attention_layernorm"),
    "behind": ("post_attention_layernorm", "post_feedforward_layernorm"),
    "four": (
        "input_layernorm",
        "post_attention_layernorm",
        "pre_feedforward_layernorm",
        "post_feedforward_layernorm",
    ),
}
"""Names of a layer's norms."""


def _norm_names(a: Architecture) -> str:
    if a.post_norm:
        return "behind"
    return {1: "one", 4: "four"}.get(a.norms, "two")
