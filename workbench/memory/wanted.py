"""What PEFT's LoRA config asks for beyond a rank and names: patterns, layers, modules that train whole.

    wanted_of({"target_modules": ".*(q|v)_proj", "modules_to_save": ["embed_tokens"], "bias": "all"})

Plain hashable values; workbench.memory.reach finds what they mean in a model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from workbench.errors import RecipeError

FIELDS = (
    "target_modules",
    "exclude_modules",
    "layers_to_transform",
    "layers_pattern",
    "rank_pattern",
    "target_parameters",
    "modules_to_save",
    "bias",
    "lora_bias",
    "trainable_token_indices",
    "ensure_weight_tying",
)
"""Fields of PEFT's config that are read here."""

BIASES = ("none", "all", "lora_only")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a model is asked to train.

    Attributes:
        targets: A pattern for a module's whole name, or endings of names; None takes PEFT's for the family.
        excluded: The same for modules that are left out.
        layers: Numbers of the layers whose modules are adapted; empty for all.
        layers_pattern: Names that a layer's number follows.
        ranks: Patterns of names with the rank of what they match.
        parameters: Endings of names of parameters that are adapted (experts).
        saved: Endings of names of modules that are copied and train whole.
        bias: Which biases of the model train: `none`, `all`, `lora_only`.
        lora_bias: Whether B has a bias.
        tokens: Names of embeddings with how many of their rows train.
        tied: Whether a copy of a tied embedding stays tied (ensure_weight_tying).
    """

    targets: str | tuple[str, ...] | None = None
    excluded: str | tuple[str, ...] = ()
    layers: tuple[int, ...] = ()
    layers_pattern: tuple[str, ...] = ()
    ranks: tuple[tuple[str, int], ...] = ()
    parameters: tuple[str, ...] = ()
    saved: tuple[str, ...] = ()
    bias: str = "none"
    lora_bias: bool = False
    tokens: tuple[tuple[str, int], ...] = ()
    tied: bool = False


def wanted_of(config: Mapping[str, Any]) -> Wanted:
    """What a LoRA config asks for.

    Args:
        config: Fields of PEFT's LoraConfig.

    Raises:
        RecipeError: For a value of another type than PEFT takes, or fields that exclude each other (WB803).

    Source: peft 0.21, tuners/lora/config.py.
    """
    targets = _names(config, "target_modules", pattern=True)
    layers = _numbers(config.get("layers_to_transform"))
    pattern = _names(config, "layers_pattern", pattern=True)
    if isinstance(targets, str) and (layers or pattern):
        _refuse("layers_to_transform", config.get("layers_to_transform"), "a list of target_modules beside it")
    if pattern and not layers:
        _refuse("layers_pattern", pattern, "layers_to_transform beside it")
    bias = config.get("bias") or "none"
    if bias not in BIASES:
        _refuse("bias", bias, f"one of {', '.join(BIASES)}")
    excluded = _names(config, "exclude_modules", pattern=True)
    return Wanted(
        targets=targets,
        excluded=excluded if excluded is not None else (),
        layers=layers,
        layers_pattern=tuple(
            _pattern("layers_pattern", each) for each in ((pattern,) if isinstance(pattern, str) else pattern or ())
        ),
        ranks=_ranks(config.get("rank_pattern")),
        parameters=_listed(config, "target_parameters"),
        saved=tuple(_pattern("modules_to_save", name) for name in _listed(config, "modules_to_save")),
        bias=str(bias),
        lora_bias=bool(config.get("lora_bias")),
        tokens=_tokens(config.get("trainable_token_indices")),
        tied=bool(config.get("ensure_weight_tying")),
    )


def _refuse(field: str, value: object, needed: str) -> NoReturn:
    raise RecipeError(f"The adapter's {field}={value!r} cannot be read.", remedy=f"PEFT takes {needed}.", code="WB803")


def _names(config: Mapping[str, Any], field: str, pattern: bool = False) -> str | tuple[str, ...] | None:
    value: Any = config.get(field)
    if value is None or (isinstance(value, str) and pattern):
        return _pattern(field, value) if value else None
    if isinstance(value, str) or not isinstance(value, (Sequence, set, frozenset)):
        _refuse(field, value, "a list of names")
    names = cast("Sequence[Any]", sorted(value, key=str) if isinstance(value, (set, frozenset)) else value)
    if not all(isinstance(name, str) and name for name in names):
        _refuse(field, value, "a list of names")
    return tuple(dict.fromkeys(cast("Sequence[str]", names)))


def _pattern(field: str, value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise RecipeError(
            f"The adapter's {field}={value!r} is no pattern: {error}.",
            remedy="Mend the regular expression, or give a list of names.",
            code="WB803",
        ) from error
    return value


def _listed(config: Mapping[str, Any], field: str) -> tuple[str, ...]:
    return cast("tuple[str, ...] | None", _names(config, field)) or ()


def _numbers(value: Any) -> tuple[int, ...]:
    found: Any = [value] if isinstance(value, int) else value or []
    if not isinstance(found, (list, tuple)) or not all(type(each) is int for each in cast("Sequence[Any]", found)):
        _refuse("layers_to_transform", value, "a layer's number, or a list of them")
    return tuple(cast("Sequence[int]", found))


def _ranks(value: Any) -> tuple[tuple[str, int], ...]:
    if value is None:
        return ()
    if isinstance(value, Mapping):
        found = cast("Mapping[Any, Any]", value)
        if all(isinstance(name, str) and type(rank) is int and rank > 0 for name, rank in found.items()):
            return tuple((_pattern("rank_pattern", str(name)), int(rank)) for name, rank in found.items())
    _refuse("rank_pattern", value, "a mapping of names to ranks of at least 1")


def _tokens(value: Any) -> tuple[tuple[str, int], ...]:
    """Embeddings with the number of their trained rows; a list alone means the input embedding."""
    if not value:
        return ()
    found = cast("Mapping[str, Any]", value if isinstance(value, Mapping) else {"embed_tokens": value})
    for indices in found.values():
        if not isinstance(indices, (list, tuple)) or not all(
            type(each) is int for each in cast("Sequence[Any]", indices)
        ):
            _refuse("trainable_token_indices", value, "a list of ids, or lists by an embedding's name")
    return tuple((str(name), len(indices)) for name, indices in found.items())
