"""What an adapter's patterns mean in a model: which modules of which layers get matrices, and what else trains.

    settings = resolved(architecture, settings)  # settings.reached is there where more than plain names was asked for

Equal to the byte to what PEFT builds on the meta device in tests/memory/test_memory_reach.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import NoReturn

from workbench.errors import RecipeError
from workbench.memory.expert_names import DOUBLED, converted
from workbench.memory.families import DEFAULT_TARGETS
from workbench.memory.linear import Linear
from workbench.memory.matching import left_out, matches, rank_of
from workbench.memory.places import Place, places_of
from workbench.memory.reached import Own, Reached
from workbench.memory.settings import AnalyticSettings
from workbench.memory.shapes import Architecture
from workbench.memory.wanted import Wanted

Hit = tuple[Linear, int, int]
"""A module, the number of its layer (-1 without one), and a rank of its own (0 without one)."""


def resolved(architecture: Architecture, settings: AnalyticSettings) -> AnalyticSettings:
    """Settings whose patterns are found in the model; the same where they have none.

    Raises:
        RecipeError: For patterns that match nothing, or a module that PEFT cannot adapt (WB803), and for what only a
            trace knows (WB810).
    """
    if settings.full or settings.reached is not None:
        return settings
    wanted = settings.wanted
    if wanted is None:
        if not _needs_names(architecture, settings.targets):
            return settings
        wanted = Wanted(targets=settings.targets)
    kind = (settings.adapter == "dora", settings.dropout, settings.method == "reward")
    return replace(settings, reached=_reached(architecture, wanted, kind))


def _needs_names(architecture: Architecture, targets: tuple[str, ...] | str) -> bool:
    """Whether targets are more than the names that the shapes know: a pattern, or the end of a longer name."""
    if isinstance(targets, str):
        return targets.lower() != "all-linear" and not any(targets in item.targets for item in architecture.modules)
    return any("." in name or name in ENDS for name in targets)


ENDS = ("embed_tokens", "lm_head")
"""Modules before and behind the layers that LoRA can adapt too."""


@lru_cache(maxsize=64)
def _reached(architecture: Architecture, wanted: Wanted, kind: tuple[bool, bool, bool]) -> Reached:
    """What trains, for an adapter that is DoRA or not, drops inputs or not, and trains a reward model or not."""
    dora, dropout, reward = kind
    if wanted.targets is None and not wanted.parameters:
        wanted = replace(wanted, targets=_default(architecture))
    wanted = converted(architecture, wanted)
    hits = [*_modules(architecture, wanted), *_parameters(architecture, wanted, dora or dropout or wanted.lora_bias)]
    if reward:
        hits = [hit for hit in hits if hit[0].reads != "head"]
    if not hits:
        raise RecipeError(
            f"target_modules={wanted.targets!r} names nothing that {architecture.family} has.",
            remedy=f"Use 'all-linear' or some of {', '.join(sorted(_words(architecture)))}.",
            code="WB803",
        )
    if any(hit[0].reads == "head" for hit in hits):
        _refuse("matrices of lm_head: TRL's fused head refuses them, and other loops make all logits")
    own = (*_saved(architecture, wanted, reward), *_biases(architecture, wanted, hits), *_tokens(architecture, wanted))
    below = any(each.name in ("embedding", "tokens") for each in own) or any(
        hit[0].reads == "embedding" for hit in hits
    )
    layers = sorted({layer for item, layer, _ in hits if item.reads not in ("tower", "head", "embedding")})
    first = 0 if below else layers[0] if layers else architecture.layers
    return Reached(_grouped(hits), own, first, () if below else _first_reads(hits, first), wanted.lora_bias)


def _refuse(what: str) -> NoReturn:
    raise RecipeError(f"The formula does not know {what}.", remedy="Use method='trace' (--method trace).", code="WB810")


def _words(architecture: Architecture) -> set[str]:
    return {item.name for item in architecture.modules if item.reads != "expert"} | {*ENDS}


def _default(architecture: Architecture) -> tuple[str, ...]:
    """PEFT's own targets of a family."""
    found = DEFAULT_TARGETS.get(architecture.family)
    if found is None:
        raise RecipeError(
            f"The adapter names no target_modules, and PEFT has no default for {architecture.family!r}.",
            remedy="Name them, or use 'all-linear'.",
            code="WB803",
        )
    return found


def _modules(architecture: Architecture, wanted: Wanted) -> Iterator[Hit]:
    """Modules that get matrices.

    Source: peft 0.21, tuners/tuners_utils.py (check_target_module_exists, _maybe_include_all_linear_layers).
    """
    every = isinstance(wanted.targets, str) and wanted.targets.lower() == "all-linear"
    for place in places_of(architecture):
        if place.kind == "experts" or (every and place.kind != "linear"):
            continue
        for name, layer in place.names():
            if (every and not left_out(name, wanted)) or (not every and matches(name, wanted)):
                yield _hit(place, name, layer, wanted)


def _hit(place: Place, name: str, layer: int, wanted: Wanted) -> Hit:
    if place.linear is None:
        raise RecipeError(
            f"target_modules={wanted.targets!r} matches {name!r}, which is no linear module.",
            remedy="PEFT refuses it too: end the pattern with the modules' own names, such as (q|v)_proj.",
            code="WB803",
        )
    if wanted.lora_bias and place.kind == "embedding":
        raise RecipeError("PEFT has no lora_bias for embeddings.", remedy="Leave embed_tokens out.", code="WB803")
    return place.linear, layer, rank_of(name, wanted)


def _parameters(architecture: Architecture, wanted: Wanted, beyond: bool) -> Iterator[Hit]:
    """Stacked parameters of experts that get matrices, by target_parameters."""
    for place in places_of(architecture):
        if place.kind != "experts" or place.linear is None:
            continue
        for name, layer in place.names():
            if any(name == word or name.endswith(f".{word}") for word in wanted.parameters):
                if beyond:
                    raise RecipeError(
                        f"PEFT adapts the experts of {architecture.family} neither with DoRA, nor with dropout, nor"
                        " with lora_bias.",
                        remedy="Name the attention's modules in target_modules, or take lora with lora_dropout=0.",
                        code="WB803",
                    )
                doubled = rank_of(name, wanted) == DOUBLED
                item = replace(place.linear, ranks=2 if doubled else 1)
                yield item, layer, 0 if doubled else rank_of(name, wanted)


def _grouped(hits: list[Hit]) -> tuple[Linear, ...]:
    """Modules with as many copies as layers of them are adapted, those of another rank apart."""
    layers: dict[tuple[Linear, int], list[int]] = {}
    for item, layer, rank in hits:
        layers.setdefault((item, rank), []).append(layer)
    return tuple(replace(item, copies=len(at), rank=rank, at=(), targets=()) for (item, rank), at in layers.items())


def _first_reads(hits: list[Hit], first: int) -> tuple[str, ...]:
    """Activations that adapted modules of the first layer that trains read."""
    return tuple(sorted({item.reads for item, layer, _ in hits if layer == first and item.reads != "tower"}))


def _saved(architecture: Architecture, wanted: Wanted, reward: bool) -> Iterator[Own]:
    """Tensors of the copies that modules_to_save makes.

    Source: peft 0.21, utils/other.py (_set_trainable): any module whose name ends with the word, dot or not.
    """
    if not wanted.saved:
        return
    for place in places_of(architecture):
        count = sum(any(name.endswith(word) for word in wanted.saved) for name, _ in place.names())
        if not count or place.kind == "experts" or (reward and place.kind == "head"):
            continue
        if place.kind == "other":
            _refuse(f"copies of {place.path!r} (modules_to_save)")
        tied = place.kind == "head" and wanted.tied and architecture.tied and "embed_tokens" in wanted.saved
        yield from () if tied else _copies(place, count)
    if reward and "score" in wanted.saved:
        yield Own("score", 1, architecture.hidden, 1, copied=True)


def _copies(place: Place, count: int) -> Iterator[Own]:
    name = {"embedding": "embedding", "head": "head"}.get(place.kind, place.path.rsplit(".", 1)[-1])
    item = place.linear
    if place.kind == "embedding" and item is not None:
        yield Own(name, item.inputs, item.outputs, count, copied=True)
    elif item is not None:
        yield Own(name, item.outputs, item.inputs, count, copied=True, tower=place.in_tower)
        if item.bias:
            yield Own(f"{name} bias", item.outputs, 1, count, copied=True, tower=place.in_tower)
    for width in place.vectors:
        yield Own(name, width, 1, count, copied=True, tower=place.in_tower)


def _biases(architecture: Architecture, wanted: Wanted, hits: list[Hit]) -> Iterator[Own]:
    """Biases of the model that train where they are."""
    if wanted.bias == "lora_only":
        found: dict[Linear, int] = {}
        for item, _, _ in hits:
            if item.bias:
                found[item] = found.get(item, 0) + 1
        for item, count in found.items():
            yield Own("bias", item.outputs, 1, count, copied=False, tower=item.reads == "tower")
    if wanted.bias != "all":
        return
    for place in places_of(architecture):
        copies = sum(not any(name.endswith(word) for word in wanted.saved) for name, _ in place.names())
        widths = [place.linear.outputs] if place.linear is not None and place.linear.bias else []
        widths += place.vectors[1:]
        for width in widths if copies else ():
            yield Own("bias", width, 1, copies, copied=False, tower=place.in_tower)
    for width in _nameless_biases(architecture):
        yield Own("bias", width, 1, 1, copied=False, tower=True)


def _nameless_biases(architecture: Architecture) -> tuple[int, ...]:
    """Features of a vision tower's biases that belong to no module of `places`: its patches'."""
    tower = [item for item in architecture.modules if item.reads == "tower"]
    return (tower[0].inputs,) if architecture.family == "gemma3" else ()


def _tokens(architecture: Architecture, wanted: Wanted) -> Iterator[Own]:
    """Rows of embeddings that train.

    Source: peft 0.21, tuners/trainable_tokens/layer.py: the rows and their first values, both in the adapter's type.
    """
    for name, count in wanted.tokens:
        place = next((item for item in places_of(architecture) if item.path.endswith(name)), None)
        if architecture.tied or name.endswith("lm_head"):
            _refuse("trained rows of a head, or of an embedding tied to it: TRL's fused head refuses them")
        if place is None or place.kind != "embedding":
            raise RecipeError(
                f"trainable_token_indices names {name!r}, which is no embedding of {architecture.family}.",
                remedy="Use embed_tokens.",
                code="WB803",
            )
        yield Own("tokens", count, architecture.hidden, 1, copied=True)
