"""Further single changes, beyond what the page can try: the allocator's setting, and more GPUs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from workbench.errors import RecipeError
from workbench.memory.architecture import Architecture
from workbench.memory.expandable import under_conf
from workbench.memory.figures import Estimate
from workbench.memory.remedies import LEAST_SHARE, Remedy, shown
from workbench.memory.remedy_table import Said
from workbench.memory.settings import AnalyticSettings
from workbench.memory.sharded import evaluate
from workbench.memory.sharding_packed import cuttable

WORLDS = (2, 4, 8)
"""GPUs that are proposed to share a run."""

CONF = "expandable_segments:True"


def further(architecture: Architecture, settings: AnalyticSettings, card: int | None) -> tuple[Remedy, ...]:
    """What else would make a run need less, as `workbench.memory.remedies.remedies` says it; largest saving first.

    Args:
        architecture: The model's shapes.
        settings: The run as it is.
        card: Bytes that torch sees; None lists savings without verdicts.
    """
    before = evaluate(architecture, settings)
    found = [expandable(before, under_conf(before, CONF), card), _shards(architecture, settings, before, card)]
    least = max(1, round(LEAST_SHARE * shown(before)))
    kept = [remedy for remedy in found if remedy is not None and remedy.saving >= least]
    return tuple(sorted(kept, key=lambda remedy: -remedy.saving))


def expandable(before: Estimate, after: Estimate, card: int | None) -> Remedy:
    """Expandable segments as a remedy.

    Args:
        before: The run as it is, by formula or by trace.
        after: The same under `CONF`.
        card: Bytes that torch sees; None for no verdict.
    """
    title, cost = "Expandable segments", f"set PYTORCH_CUDA_ALLOC_CONF={CONF} where training starts; same live bytes"
    return _remedy("allocator", (title, cost), Said({}, {"alloc_conf": CONF}), before, (after, card))


def _shards(
    architecture: Architecture, settings: AnalyticSettings, before: Estimate, card: int | None
) -> Remedy | None:
    """FSDP over the fewest GPUs that fit, else 8; over as many as there are where DDP has several."""
    if settings.sharding not in ("none", "ddp"):
        return None
    made = None
    packed = {"bnb_4bit_quant_storage": cuttable(settings)} if settings.quantisation == "nf4" else {}
    for world in WORLDS if settings.world == 1 else (settings.world,):
        said: dict[str, Any] = {"world": world, "sharding": "fsdp", **packed}
        try:
            after = evaluate(architecture, replace(settings, **said))
        except RecipeError:  # 8-bit weights, or a family whose tensors are not known
            return None
        words = f"FSDP over {world} GPUs", "needs as many GPUs, joined fast; each has a micro batch of its own"
        made = _remedy("shards", words, Said({}, said), before, (after, card))
        if made.word == "fits":
            break
    return made


def _remedy(
    name: str, words: tuple[str, str], said: Said, before: Estimate, after: tuple[Estimate, int | None]
) -> Remedy:
    made, card = after
    word = None if card is None else made.verdict(card).word
    saving = shown(before) - shown(made)
    return Remedy(name, *words, said.code(), saving, made.hard_minimum, made.reserved.high, word)
