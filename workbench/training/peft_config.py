"""PEFT's config from a mapping, whichever version of PEFT wrote it; for a run and for a trace alike."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from workbench.errors import RecipeError
from workbench.recipes import Recipe

FORMER_NAMES = {"BONE": "MISS"}
"""Methods that PEFT renamed. Source: peft 0.21, tuners/miss (MiSS is Bone's successor, with the same block)."""


def peft_config(values: Mapping[str, Any], notes: list[str]) -> Any:
    """A PEFT config from a mapping with `peft_type`.

    Args:
        values: Fields of PEFT's config, or a saved adapter_config.json (with `peft_version`), whose fields that this
            PEFT does not have are left out, as PEFT does when it loads one.
        notes: Gets a sentence for what is done in another way than it is written.

    Raises:
        RecipeError: For a type PEFT does not have, or fields its config refuses (WB812).
    """
    from dataclasses import fields

    maker, values = _maker(dict(values), notes)
    known = {field.name for field in fields(maker)}
    saved = "peft_version" in values
    # a field of another PEFT that says nothing changes nothing
    values = {key: value for key, value in values.items() if key in known or not _says_nothing(value)}
    unknown = sorted(set(values) - known - {"peft_version", "auto_mapping"})
    if unknown and not saved:
        near = difflib.get_close_matches(unknown[0], known, n=1)
        raise RecipeError(
            f"PEFT's {maker.__name__} has no field {unknown[0]!r}.",
            remedy=f"Did you mean {near[0]!r}?" if near else "Its documentation lists them.",
            code="WB812",
        )
    if unknown:
        notes.append(f"left out of the saved adapter config, as PEFT does: {', '.join(unknown)}")
    kept = {key: value for key, value in values.items() if key in known}
    kept["inference_mode"] = False
    kept.setdefault("task_type", "CAUSAL_LM")
    if "oft_block_size" in known and kept.get("r") and "oft_block_size" not in kept:
        kept["oft_block_size"] = 0  # one follows from the other, and PEFT's default is not left standing beside r
    try:
        return maker(**kept)
    except Exception as error:
        raise RecipeError(f"PEFT refuses the adapter: {str(error).splitlines()[0]}", code="WB812") from error


def _says_nothing(value: Any) -> bool:
    return value is None or value is False or value in ({}, [], "")


@contextmanager
def naming_the_adapter() -> Iterator[None]:
    """Around the making of an adapter: an error of PEFT's becomes one that says what to change.

    Raises:
        RecipeError: For an adapter that does not go with the model (WB812), such as targets that it does not have.
    """
    try:
        yield
    except (ValueError, TypeError, NotImplementedError) as error:
        frames = traceback.extract_tb(error.__traceback__)
        if "/peft/" not in frames[-1].filename.replace("\\", "/"):
            raise
        raise RecipeError(
            f"PEFT refuses the adapter: {str(error).splitlines()[0][:300]}",
            remedy="Change target_modules, or the adapter's config.",
            code="WB812",
        ) from error


@contextmanager
def over_quantised(recipe: Recipe) -> Iterator[None]:
    """Around a training: where an adapter's own code fails over quantised weights, the error says so.

    Some methods of PEFT read a weight as a matrix, which a packed one is not, and say nothing of it before their first
    product (peft 0.21: LoHa, LoKr and HRA over 4 bits).

    Raises:
        RecipeError: WB812.
    """
    try:
        yield
    except RuntimeError as error:
        frames = [frame.filename.replace("\\", "/") for frame in traceback.extract_tb(error.__traceback__)]
        own = [name for name in frames if "/torch/" not in name]
        if recipe.quantised == "none" or not own or "/peft/tuners/" not in own[-1]:
            raise
        raise RecipeError(
            f"{(recipe.peft or {})['peft_type']} does not train over {recipe.quantised} weights in this PEFT: "
            f"{str(error).splitlines()[0][:200]}",
            remedy="Set quantisation='none', or use another adapter.",
            code="WB812",
        ) from error


def _maker(values: dict[str, Any], notes: list[str]) -> tuple[Any, dict[str, Any]]:
    from peft import PEFT_TYPE_TO_CONFIG_MAPPING

    name = str(values.pop("peft_type", "LORA")).upper().rsplit(".", 1)[-1]
    kinds = {str(kind.value): made for kind, made in PEFT_TYPE_TO_CONFIG_MAPPING.items()}
    if name not in kinds and FORMER_NAMES.get(name) in kinds:
        notes.append(f"{name} is traced as {FORMER_NAMES[name]}, its name in this PEFT")
        name = FORMER_NAMES[name]
    if name not in kinds:
        near = difflib.get_close_matches(name, kinds, n=1)
        known = f"Known: {', '.join(sorted(kinds))}."
        raise RecipeError(
            f"PEFT has no method {name!r}.", remedy=f"Did you mean {near[0]!r}? {known}" if near else known,
            code="WB812",
        )  # fmt: skip
    return kinds[name], values
