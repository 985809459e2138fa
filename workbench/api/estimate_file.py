"""Estimates of recipe files: our own, without data or weights, and those of other tools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.api.asked import Method
from workbench.api.memory import MemoryEstimate, estimate, estimate_recipe
from workbench.api.recipe import bind, read_recipe
from workbench.errors import RecipeError
from workbench.memory.axolotl import is_axolotl, read_axolotl
from workbench.memory.lengths import Lengths
from workbench.memory.plan import METHODS
from workbench.memory.trainer_yaml import is_trainer_yaml, read_trainer
from workbench.recipes import Recipe


@dataclass(frozen=True, slots=True)
class RecipeFile:
    """A recipe file, read as far as memory needs it.

    Attributes:
        recipe: The recipe.
        options: What the file says beside it.
        length: Tokens of the longest row, where the file bounds it.
        notes: Sentences on how it was read.
        foreign: Whether it is another tool's, whose data we do not read.
    """

    recipe: Recipe
    options: Mapping[str, Any]
    length: int | None
    notes: tuple[str, ...]
    foreign: bool


def read_file(path: str | Path, changes: Mapping[str, Any] | None = None) -> RecipeFile:
    """Read recipe.yaml, or a config of axolotl, LLaMA-Factory or TRL's command line.

    Args:
        path: The file.
        changes: Fields of the recipe that replace the file's.

    Raises:
        RecipeError: As `Recipe.from_dict`; WB406 where the file is no mapping.
    """
    values, changes = read_recipe(path), dict(changes or {})
    if is_axolotl(values) or is_trainer_yaml(values):
        reader = read_axolotl if is_axolotl(values) else read_trainer
        found = reader(values, Path(path).parent)
        options: dict[str, Any] = dict(found.options)
        for name in ("adapter", "quantisation") if "adapter" in changes else ():
            options.pop(name, None)  # the file says of another adapter
        fields = {**found.recipe, **_task_option(changes, options)}
        return RecipeFile(Recipe.from_dict(fields), options, found.length, found.assumptions, foreign=True)
    options = {}
    fields = _task_option(_model_beside(values, Path(path).parent) | changes, options)
    recipe = Recipe.from_dict(fields)
    return RecipeFile(recipe, options, recipe.max_length, (), foreign=False)


def _model_beside(values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Fields of a recipe; a model that is a path, and not here, is looked for beside the recipe."""
    model = values.get("model")
    if isinstance(model, str) and not Path(model).exists() and (folder / model).exists():
        return {**values, "model": str(folder / model)}
    return dict(values)


def _task_option(fields: Mapping[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Fields of a recipe; a method that no recipe has becomes an option."""
    if fields.get("method") in METHODS and fields["method"] != "sft":
        options["task"] = fields["method"]
        fields = {**fields, "method": "sft"}
    return dict(fields)


def _there(recipe: Recipe) -> bool:
    """Whether the rows can be read: a path that exists, or no other way to say how long they are."""
    return recipe.max_length is None or Path(str(recipe.data.path)).exists()


def estimate_file(
    path: str | Path, longest: int | Lengths | None = None, *, method: Method = "analytic", **options: Any
) -> MemoryEstimate:
    """Estimate a recipe file: on its rows where they are here and nobody said how long rows are, else without.

    Args:
        path: recipe.yaml or another tool's config. With `longest` it needs no data, no weights and no tokenizer.
        longest: Tokens of the longest row, or lengths of all; None takes the rows, or what the file bounds them to.
        method: As in `workbench.api.memory.estimate`.
        options: As `estimate_recipe`, and `recipe`: fields that replace the file's.

    Raises:
        RecipeError: As `read_file`; WB404 where nothing says how long rows are.
    """
    read = read_file(path, options.pop("recipe", None))
    recipe, notes = read.recipe, [*read.notes, *options.pop("notes", ())]
    if longest is None and not read.foreign and recipe.data.path is not None and _there(recipe):
        return estimate(bind(recipe), method=method, **{**read.options, **options}, notes=notes)
    if longest is None:
        longest = read.length
        notes += [] if read.foreign else [f"the longest row has max_length tokens, {longest}"]
    elif isinstance(longest, int) and recipe.max_length is not None and recipe.max_length != longest:
        recipe = recipe.with_(max_length=longest)
        notes = [note for note in notes if "sequence_len" not in note and "packed rows" not in note]
    if longest is None:
        raise RecipeError(
            f"{Path(path).name} names no data and does not say how long rows are.",
            remedy="Give data: {path: …}, max_length, the longest row (--length 2048) or lengths (--lengths FILE).",
            code="WB404",
        )
    return estimate_recipe(recipe, longest, method=method, **{**read.options, **options}, notes=notes)
