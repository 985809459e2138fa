"""What PYTORCH_CUDA_ALLOC_CONF does to an estimate: expandable segments leave hardly anything unused.

under_conf(made, "expandable_segments:True").reserved
"""

from __future__ import annotations

from dataclasses import replace

from workbench.memory.alloc_conf import Settings
from workbench.memory.figures import Estimate, Interval
from workbench.memory.settings import rounded

EXPANDABLE = (1.0, 1.05)
"""Reserved over live with expandable segments.

Source: replay of eight traced runs (Llama 3.2 1B, LoRA and full, with and without checkpointing, equal and mixed
lengths): 1.001 to 1.040 (docs/memory.md, allocator)."""


def under_conf(made: Estimate, conf: str) -> Estimate:
    """The closed form's estimate under a setting of the allocator; only expandable segments change it.

    Raises:
        RecipeError: As `Settings.from_text` (WB807).
    """
    if not Settings.from_text(conf).expandable_segments or made.device != "cuda":
        return made
    low, high = (rounded(made.peak.bytes * factor) for factor in EXPANDABLE)
    return replace(made, reserved=Interval(min(low, made.reserved.low), min(high, made.reserved.high)))
