"""What a recipe may say of its adapter and its weights: a word, or PEFT's config as a mapping.

    checked_adapter("qlroa")          ->  RecipeError: … did you mean 'qlora'? [WB402]
    peft_of("dora", {"r": 8, …})      ->  {"peft_type": "LORA", "r": 8, …, "use_dora": True}

Standard library only: whether PEFT has the method and its fields is asked where PEFT is, at launch and in a trace.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Set
from enum import Enum
from typing import Any, cast

from workbench.errors import RecipeError

Adapter = str | Mapping[str, Any]

SHORTHANDS: Mapping[str, Mapping[str, Any]] = {
    "lora": {},
    "qlora": {},
    "dora": {"use_dora": True},
    "rslora": {"use_rslora": True},
}
"""Words for an adapter, with what they change in LoRA's config; qlora also quantises the weights."""

FULL = ("none", "full")
"""Words for training all weights; the first is what a recipe keeps."""

LORA_FIELDS: Mapping[str, Any] = {"r": 16, "lora_alpha": 32, "lora_dropout": 0.0, "target_modules": "all-linear"}
"""Fields of a recipe that a word for an adapter reads, and a mapping does not; with their defaults."""

QUANTISATIONS = ("none", "nf4", "int8")
"""nf4: 4-bit with double quantisation; int8: LLM.int8 (bitsandbytes, both)."""


def checked_adapter(adapter: object) -> Adapter:
    """An adapter as a recipe keeps it: a word, or a mapping of plain values with `peft_type`.

    A mapping without `peft_type` is LoRA's.

    Raises:
        RecipeError: For another word, naming the nearest, or what is neither (WB402).
    """
    if adapter is None or adapter == "full":
        return FULL[0]
    if isinstance(adapter, Mapping):
        return _checked_mapping(cast("Mapping[Any, Any]", adapter))
    words = (*FULL, *SHORTHANDS)
    if isinstance(adapter, str) and adapter in words:
        return adapter
    near = difflib.get_close_matches(adapter.lower(), words, n=1) if isinstance(adapter, str) else []
    choice = f"one of {', '.join(words)}, or PEFT's config as a mapping with peft_type"
    raise RecipeError(
        f"adapter={adapter!r} is out of range.",
        remedy=f"Did you mean {near[0]!r}? It must be {choice}." if near else f"It must be {choice}.",
        code="WB402",
    )


def _checked_mapping(given: Mapping[Any, Any]) -> dict[str, Any]:
    values = {str(name): _plain(str(name), value) for name, value in given.items()}
    if not values:
        raise RecipeError(
            "adapter={} says nothing.", remedy="Use 'none' to train all weights, or give peft_type.", code="WB402"
        )
    kind = values.pop("peft_type", None) or "LORA"
    if not isinstance(kind, str):
        raise RecipeError(
            f"adapter: peft_type={kind!r} is out of range.", remedy="It must be text, such as LORA.", code="WB402"
        )
    return {"peft_type": kind.upper().rsplit(".", 1)[-1], **values}


def _plain(name: str, value: Any) -> Any:
    """A value of PEFT's config as JSON and YAML have it."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(name, item) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, Set):
        return sorted((_plain(name, item) for item in cast("Set[Any]", value)), key=str)
    if isinstance(value, list | tuple):
        return [_plain(name, item) for item in cast("list[Any]", value)]
    raise RecipeError(
        f"adapter: {name}={value!r:.80} cannot be written down.",
        remedy="Give plain values: text, numbers, lists, mappings.",
        code="WB402",
    )


def check_pair(adapter: Adapter, quantisation: str) -> None:
    """Refuse what does not go together.

    Args:
        adapter: As `checked_adapter` gives it.
        quantisation: One of QUANTISATIONS.

    Raises:
        RecipeError: For quantised weights that would train, or another quantisation than qlora's own (WB402).
    """
    if adapter == FULL[0] and quantisation != "none":
        raise RecipeError(
            f"quantisation={quantisation!r} is out of range with adapter='none': quantised weights do not train.",
            remedy="Train an adapter over them: adapter='qlora', or another.",
            code="WB402",
        )
    if adapter == "qlora" and quantisation not in ("none", "nf4"):
        raise RecipeError(
            f"quantisation={quantisation!r} is out of range with adapter='qlora', which is 4-bit.",
            remedy="Use adapter='lora' over other weights.",
            code="WB402",
        )


def unread(adapter: Adapter, fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Of LoRA's fields those that say something and are not read, because the adapter is a mapping."""
    if not isinstance(adapter, Mapping):
        return ()
    return tuple(name for name, default in LORA_FIELDS.items() if fields.get(name, default) != default)


def peft_of(adapter: Adapter, fields: Mapping[str, Any]) -> dict[str, Any] | None:
    """PEFT's config of an adapter as a mapping with `peft_type`; None where all weights train.

    Args:
        adapter: As `checked_adapter` gives it.
        fields: LORA_FIELDS with the recipe's values, which a word reads.
    """
    if isinstance(adapter, Mapping):
        return dict(adapter)
    if adapter == FULL[0]:
        return None
    targets = fields["target_modules"]
    return {
        "peft_type": "LORA",
        **fields,
        "target_modules": targets if isinstance(targets, str) else list(targets),
        **SHORTHANDS[adapter],
    }


def name_of(adapter: Adapter, quantisation: str, rank: int) -> str:
    """An adapter in a few words: `lora r16`, `IA3 over int8`, `full`."""
    if adapter == FULL[0]:
        return "full"
    if isinstance(adapter, Mapping):
        r = adapter.get("r") if adapter["peft_type"] == "LORA" else None
        made = f"{adapter['peft_type']}{f' r{r}' if r else ''}"
    else:
        made = f"{adapter} r{rank}"
    return made if quantisation == "none" or adapter == "qlora" else f"{made} over {quantisation}"
