"""Words that once named the modules of experts, as PEFT turns them into today's stacked parameters.

converted(architecture, wanted)  # Mixtral's w1 and w3 are the parameter gate_up_proj, at twice the rank

Source: peft 0.21, utils/transformers_weight_conversion.py. A pattern and `all-linear` lose their layers there: they
become endings of names.
"""

from __future__ import annotations

import re
from dataclasses import replace

from workbench.errors import RecipeError
from workbench.memory.families import FAMILIES, TEXT_OF
from workbench.memory.matching import matches
from workbench.memory.places import places_of
from workbench.memory.shapes import Architecture
from workbench.memory.wanted import Wanted

TODAY = ("gate.weight", "gate_up_proj", "down_proj")
"""Parameters of a router and of its experts."""

DOUBLED = -2
"""Stands for twice the run's rank in `Wanted.ranks`, which are otherwise numbers."""


def converted(architecture: Architecture, wanted: Wanted) -> Wanted:
    """What is wanted with words for experts as target_parameters; the same where PEFT does not convert them.

    Raises:
        RecipeError: For one of two fused words without the other (WB803).
    """
    family = FAMILIES.get(TEXT_OF.get(architecture.family, architecture.family))
    if family is None or not any(family.expert_targets):
        return wanted
    mapping = {word: name for words, name in zip(family.expert_targets, TODAY, strict=True) for word in words}
    targets = wanted.targets
    if isinstance(targets, str):
        targets = tuple(sorted(_leaves(architecture, wanted, targets, mapping)))
    found: dict[str, str] = {}
    kept: list[str] = []
    for target in targets or ():
        old = next((word for word in mapping if target == word or target.endswith(f".{word}")), None)
        if old is None:
            kept.append(target)
        else:
            found[old] = mapping[old]
    fused = set(family.expert_targets[1])
    present = fused & {*found}
    if present and present != fused:
        raise RecipeError(
            f"PEFT cannot adapt {', '.join(sorted(present))} of {architecture.family} without"
            f" {', '.join(sorted(fused - present))}: they are one parameter.",
            remedy="Name both, or neither.",
            code="WB803",
        )
    doubled = ((rf".*\.{re.escape(TODAY[1])}", DOUBLED),) if present else ()
    parameters = tuple(dict.fromkeys((*wanted.parameters, *found.values())))
    return replace(wanted, targets=tuple(kept), parameters=parameters, ranks=(*wanted.ranks, *doubled))


def _leaves(architecture: Architecture, wanted: Wanted, pattern: str, mapping: dict[str, str]) -> set[str]:
    """Last parts of the names that a pattern or `all-linear` takes."""
    places = places_of(architecture)
    if pattern.lower() == "all-linear":
        return {place.path.rsplit(".", 1)[-1] for place in places if place.kind == "linear"} | {*mapping}
    names = [name for place in places for name, _ in place.names()]
    found = {name.rsplit(".", 1)[-1] for name in names if matches(name, wanted)}
    for old, new in mapping.items():
        if old not in found and any(
            matches(f"{name.rpartition('.')[0]}.{old}", wanted) for name in names if name.endswith(f".{new}")
        ):
            found.add(old)
    return found
