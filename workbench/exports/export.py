"""Write a recipe for another trainer: config, rows and template in one folder.

export(recipe, facts, "axolotl", "out/")  ->  ExportReport: files, where every field went, notes, command
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from workbench.errors import ExportError
from workbench.exports.axolotl import DATA as AXOLOTL_DATA
from workbench.exports.axolotl import to_axolotl
from workbench.exports.facts import ExportFacts, ExportReport, Form, Target
from workbench.exports.fields import AXOLOTL, TRL, Field
from workbench.exports.rows import text_rows, token_rows, why_tokens, write_lines
from workbench.exports.trl import DATA as TRL_DATA
from workbench.exports.trl import TEMPLATE, to_trl
from workbench.exports.yaml_text import yaml_text
from workbench.recipes import Recipe

TARGETS: Mapping[str, Mapping[str, Field]] = {"axolotl": AXOLOTL, "trl": TRL}


def export(
    recipe: Recipe, facts: ExportFacts, target: Target, out_dir: str | Path, *, form: Form | None = None
) -> ExportReport:
    """Write everything the target needs into a folder.

    Args:
        recipe: The recipe.
        facts: The rows and what they were made with.
        target: `axolotl` or `trl`.
        out_dir: Folder to write into; made where it is not there. Files of an earlier export are replaced.
        form: How axolotl gets the rows; None takes text wherever it is sure to mean the same. TRL gets tokens.

    Raises:
        ExportError: For an unknown target or form (WB705), fields the target cannot express (WB701, all of them
            named), rows that cannot be written as text (WB706), a folder that cannot be written (WB707).
    """
    if target not in TARGETS:
        raise ExportError(f"There is no export to {target!r}.", remedy=f"Use {' or '.join(TARGETS)}.", code="WB705")
    if form not in (None, "rows", "tokens"):
        raise ExportError(f"There is no form {form!r}.", remedy="Use 'rows' or 'tokens'.", code="WB705")
    folder = Path(out_dir)
    try:
        if target == "trl":
            return _write_trl(recipe, facts, folder, form)
        return _write_axolotl(recipe, facts, folder, form)
    except OSError as error:
        raise ExportError(f"Cannot write the export into {str(folder)!r}: {error}.", code="WB707") from error


def _write_axolotl(recipe: Recipe, facts: ExportFacts, folder: Path, form: Form | None) -> ExportReport:
    why = None if form == "tokens" else why_tokens(recipe, facts)
    if why and form == "rows":
        raise ExportError(
            f"axolotl would not train the same tokens from text rows: {why}.",
            remedy="Export with form='tokens'.",
            code="WB706",
        )
    chosen: Form = "tokens" if why or form == "tokens" else "rows"
    values, notes = to_axolotl(recipe, facts, chosen)
    if why:
        notes = (f"data: rows are written as tokens, because {why}.", *notes)
    text = yaml_text(values)
    config, data = folder / "axolotl.yaml", folder / AXOLOTL_DATA
    data.parent.mkdir(parents=True, exist_ok=True)
    write_lines(data, token_rows(facts) if chosen == "tokens" else text_rows(recipe, facts))
    config.write_text(text, encoding="utf-8", newline="\n")
    return ExportReport("axolotl", chosen, (config, data), _fields(AXOLOTL), notes, ("axolotl", "train", config.name))


def _write_trl(recipe: Recipe, facts: ExportFacts, folder: Path, form: Form | None) -> ExportReport:
    if form == "rows":
        raise ExportError(
            "TRL cannot take a mask by rule, so its rows are always tokens.", remedy="Leave form out.", code="WB706"
        )
    values, notes = to_trl(recipe, facts)
    text = yaml_text(values)
    config, data = folder / "sft.yaml", folder / TRL_DATA / "train.jsonl"
    data.parent.mkdir(parents=True, exist_ok=True)
    files: tuple[Path, ...] = (config, data)
    write_lines(data, _without_mask(facts))
    if facts.template:
        template = folder / TEMPLATE
        template.write_bytes(str.__str__(facts.template.source).encode())  # bytes: newlines stay as they are
        files = (*files, template)
    config.write_text(text, encoding="utf-8", newline="\n")
    return ExportReport("trl", "tokens", files, _fields(TRL), notes, ("trl", "sft", "--config", config.name))


def _without_mask(facts: ExportFacts) -> Any:
    for row in token_rows(facts):
        del row["attention_mask"]
        yield row


def _fields(table: Mapping[str, Field]) -> dict[str, str]:
    return {field.name: str(table[field.name]) for field in fields(Recipe)}
