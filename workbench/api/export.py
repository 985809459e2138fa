"""`recipe.export(…)`: hand the recipe and its rows to another tool."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.exports.export import export as write_export
from workbench.exports.facts import ExportFacts, ExportReport
from workbench.tokens.encode import special_tokens
from workbench.types import Example, TokenizedExample

if TYPE_CHECKING:
    from workbench.api.recipe import BoundRecipe


@dataclass(frozen=True)
class Exported:
    """What an export wrote."""

    report: ExportReport

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self.report), "files": [str(path) for path in self.report.files]}

    def __repr__(self) -> str:
        made = self.report
        lines = [f"{made.target}: {', '.join(path.name for path in made.files)} in {made.files[0].parent}"]
        lines += [f"  run: {' '.join(made.command)}", *(f"  note: {note}" for note in made.notes)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        config = self.report.files[0]
        pre = '<pre style="font-size:12px">'
        return (
            f"<div>{pre}{escape(repr(self))}</pre><details><summary>{escape(config.name)}</summary>"
            f"{pre}{escape(config.read_text(encoding='utf-8'))}</pre></details></div>"
        )


def export(bound: BoundRecipe, target: Any, out_dir: Path, **options: Any) -> Exported:
    """Collect the facts an export needs and write it; see `workbench.exports.export.export`."""
    from workbench.api.recipe import model_location

    enc = bound.enc
    examples, tokenized = _trained(bound)
    tokenizer = enc.setting.tokenizer
    facts = ExportFacts(
        model=model_location(bound.recipe.model),
        tokenizer=model_location(enc.tokenizer_name),
        examples=examples,
        tokenized=tokenized,
        template=enc.setting.template,
        special_tokens=special_tokens(tokenizer),
        encode=lambda text: tokenizer(text, add_special_tokens=False)["input_ids"],
        variables=enc.choice.variables,
        device="cpu" if bound.recipe.precision == "float32" else "cuda",
    )
    return Exported(write_export(bound.recipe, facts, target, out_dir, **options))


def _trained(bound: BoundRecipe) -> tuple[list[Example], list[TokenizedExample]]:
    """The rows that are trained, with their tokens."""
    from workbench.tokens.sequences import sequences

    enc = bound.enc
    wanted = set(enc.usable)
    examples = [example for example, _ in enc.data.examples() if example is not None and example.row in wanted]
    pairs = [
        (example, part)
        for example, parts in zip(examples, sequences(examples, enc.setting), strict=True)
        if isinstance(parts, tuple)
        for part in parts
        if part.trained
    ]
    return [example for example, _ in pairs], [part for _, part in pairs]
