"""PEFT's config as the closed form takes it: which adapter, on which modules, of which rank.

adapted({"peft_type": "LORA", "r": 8, "use_dora": True})  ->  {"adapter": "dora", "rank": 8, …}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.errors import RecipeError
from workbench.memory.wanted import FIELDS, Wanted, wanted_of

LORA_FIELDS = frozenset(
    """peft_type r lora_alpha lora_dropout target_modules use_dora use_rslora task_type bias init_lora_weights
    inference_mode base_model_name_or_path peft_version auto_mapping revision fan_in_fan_out alpha_pattern
    ensure_weight_tying runtime_config loftq_config""".split()
)
"""Fields of PEFT's LoRA config that the closed form understands, or that change no size."""


def adapted(config: Mapping[str, Any] | None) -> dict[str, Any]:
    """Fields of `AnalyticSettings` for an adapter.

    Args:
        config: PEFT's config as a mapping; None trains all weights.

    Raises:
        RecipeError: For an adapter, or a field of it, that only a trace knows (WB810); a rank that is none (WB402).
    """
    if config is None:
        return {"adapter": "none"}
    kind = str(config.get("peft_type", "LORA")).upper().rsplit(".", 1)[-1]
    known = {*LORA_FIELDS, *FIELDS}
    beyond = sorted(name for name in config if name not in known and config[name] not in (None, {}, [], False))
    if kind != "LORA" or beyond:
        what = f"adapter {kind}" if kind != "LORA" else f"{', '.join(beyond)} of the adapter"
        raise RecipeError(
            f"The formula does not know {what}.", remedy="Use method='trace' (--method trace).", code="WB810"
        )
    return {
        "adapter": "dora" if config.get("use_dora") else "lora",
        "rank": _rank(config.get("r", 8)),
        "dropout": bool(config.get("lora_dropout")),
        **wanted_fields(config),
    }


def wanted_fields(adapter: Mapping[str, Any]) -> dict[str, Any]:
    """`targets` and `wanted` of a LoRA config: plain names need no more than their names.

    Raises:
        RecipeError: As `workbench.memory.wanted.wanted_of`.
    """
    wanted = wanted_of(adapter)
    targets = wanted.targets
    if isinstance(targets, tuple) and wanted == Wanted(targets=targets):
        return {"targets": targets}
    if isinstance(targets, str) and targets.lower() == "all-linear" and wanted == Wanted(targets=targets):
        return {"targets": "all-linear"}
    return {"targets": targets or (), "wanted": wanted}


def _rank(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise RecipeError(f"r={value!r} is out of range.", remedy="It must be at least 1.", code="WB402")
    return value
