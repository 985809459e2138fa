"""`wb.recipe`: encoded rows and a config, ready to estimate, launch and export."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import tiny_llama
from workbench.api.encoded import Encoded
from workbench.api.run import LiveRun, job_samples, warm
from workbench.api.run_batches import steps_per_epoch
from workbench.errors import DataError, RecipeError
from workbench.recipes import DataSpec, Recipe
from workbench.tokens.pack import TrainRow

if TYPE_CHECKING:
    from workbench.api.memory import MemoryEstimate

DECIDED = ("train_on", "mask", "chat_template_kwargs", "packing", "max_length")
"""Fields that were decided when the rows were encoded."""
CAPTURED_STEPS = (1, 2, 3)
"""Steps whose batches are compared with the preview unless asked otherwise: the first show any difference there is."""


@dataclass(frozen=True)
class BoundRecipe:
    """A recipe with the rows it trains on.

    Attributes:
        recipe: The neutral config.
        enc: Encoded rows.
    """

    recipe: Recipe
    enc: Encoded

    @cached_property
    def steps(self) -> int:
        """Optimiser steps of the run on one process (transformers 5.23, trainer.py, set_initial_training_values)."""
        if self.recipe.max_steps is not None:
            return self.recipe.max_steps
        return max(1, round(self.recipe.epochs * self._steps_per_epoch))

    @property
    def _steps_per_epoch(self) -> int:
        recipe = self.recipe
        rows = len(self.enc.train_rows)
        return steps_per_epoch(rows, recipe.per_device_train_batch_size, recipe.gradient_accumulation_steps)

    def with_(self, **changes: Any) -> BoundRecipe:
        """A copy with some fields changed; rows are encoded again where they were encoded by one of them."""
        changed = self.recipe.with_(**changes)
        again = any(getattr(changed, name) != getattr(self.recipe, name) for name in DECIDED)
        return BoundRecipe(changed, _encoded_again(self.enc, changed) if again else self.enc)

    def expected(self, steps: Sequence[int]) -> dict[str, list[dict[str, Any]]]:
        """The micro batches `forward()` should receive at optimiser steps (1-based)."""
        made: dict[str, list[dict[str, Any]]] = {}
        group = self.recipe.gradient_accumulation_steps
        for step in steps:
            epoch, inside = divmod(step - 1, self._steps_per_epoch)
            batches = self.enc.batches(self.recipe, epoch=epoch)
            made[str(step)] = [
                {name: [list(row) for row in rows] for name, rows in batches[i].arrays.items()}
                for i in range(inside * group, min((inside + 1) * group, len(batches)))
            ]
        return made

    def launch(
        self,
        samples: Sequence[Any] = (),
        *,
        sample_every: int | None = None,
        max_new_tokens: int = 64,
        capture: Sequence[int] = CAPTURED_STEPS,
        threads: int | None = None,
    ) -> LiveRun:
        """Start training in the background and return at once.

        Args:
            samples: Prompts to answer at step 0, every `sample_every` steps and at the end; text or lists of messages.
            sample_every: Steps between samples; None is about ten times a run.
            max_new_tokens: Longest answer, in tokens.
            capture: Optimiser steps (1-based) whose batches are recorded in `forward()` and compared with the preview,
                with the loss of each token (which takes one more forward, without gradients, a captured step).
            threads: CPU threads of torch; None leaves its default.

        Raises:
            DataError: WB560 where no row has a trained token.
            ModelError, RecipeError: Where the run could not even start.
        """
        from workbench.api.measure import prediction
        from workbench.training.launchers import launch

        rows = self.enc.train_rows
        if not rows:
            raise DataError(
                f"No row of {self.enc.data.source.title} has a trained token.",
                remedy="Look at enc.findings; nothing can be learned from these rows.",
                code="WB560",
            )
        steps = [step for step in capture if step <= self.steps]
        every = sample_every or max(1, self.steps // 10)
        job = {
            "recipe": self.recipe.to_dict(),
            "model": model_location(self.recipe.model),
            "tokenizer": model_location(self.enc.tokenizer_name),
            "chat_template": self.enc.setting.template.source if self.enc.setting.template else None,
            "samples": {"prompts": job_samples(samples), "every": every, "max_new_tokens": max_new_tokens},
            "capture": steps,
            "threads": threads,
            "memory": {"predicted": prediction(self, samples, max_new_tokens)},
            "name": f"{Path(self.recipe.model).name}, {self.recipe.adapter_name}",
        }
        started = launch(job, training_table(rows), spare=warm(), expected=self.expected(steps))
        return LiveRun(started.dir, self)

    def estimate(self, **runtime: Any) -> MemoryEstimate:
        """Memory the run will need: breakdown with formulas, and a verdict."""
        from workbench.api.memory import estimate

        return estimate(self, **runtime)

    def export(self, target: str, out_dir: str | Path, **options: Any) -> Any:
        """Write the config of another tool; refuses by name what it cannot express.

        Args:
            target: `axolotl` or `trl`.
            out_dir: Folder to write into.
            options: Passed to the export.

        Raises:
            ExportError: Where the target cannot express a field.
        """
        from workbench.api.export import export

        return export(self, target, Path(out_dir), **options)

    def save(self, path: str | Path) -> Path:
        """Write the recipe as YAML for `wb.open` and `workbench train`.

        Raises:
            RecipeError: WB404 where the rows are in memory only.
        """
        import yaml

        if self.recipe.data.path is None:
            raise RecipeError(
                "The rows of this recipe exist only in memory.",
                remedy="Write them to a .jsonl file and open that with wb.data.",
                code="WB404",
            )
        target = Path(path)
        target.write_text(yaml.safe_dump(self.recipe.to_dict(), sort_keys=False, allow_unicode=True), encoding="utf-8")
        return target

    def code(self) -> str:
        """Python that gives this recipe again."""
        default = Recipe()
        bound = ("data", "template", "tokenizer", "model", *DECIDED)
        changed = [
            f", {name}={value!r}"
            for name, value in self.recipe.to_dict().items()
            if name not in bound and value != default.to_dict()[name]
        ]
        return f"recipe = wb.recipe(enc, model={self.recipe.model!r}{''.join(changed)})"

    def to_dict(self) -> dict[str, Any]:
        """The recipe as plain values."""
        return self.recipe.to_dict()

    def __repr__(self) -> str:
        recipe = self.recipe
        return (
            f"Recipe: {recipe.model}, {recipe.adapter_name}, {len(self.enc.train_rows)} training rows, "
            f"{self.steps} steps of {recipe.per_device_train_batch_size} × {recipe.gradient_accumulation_steps}, "
            f"learning rate {recipe.learning_rate:g}"
        )

    def _repr_html_(self) -> str:
        default = Recipe().to_dict()
        rows = "".join(
            f'<tr style="{"" if value == default[name] else "font-weight:600"}"><td>{escape(name)}</td>'
            f"<td><code>{escape(json.dumps(value, ensure_ascii=False))}</code></td></tr>"
            for name, value in self.recipe.to_dict().items()
        )
        return (
            f'<div><div style="font:13px sans-serif">{escape(repr(self))}</div><details>'
            f'<summary style="font:12px sans-serif">All fields, changed ones in bold</summary><table>{rows}</table>'
            "</details></div>"
        )


def _encoded_again(enc: Encoded, recipe: Recipe) -> Encoded:
    """The same rows under the recipe's own policy."""
    return enc.data.encode(
        enc.template,
        tokenizer=enc.tokenizer_name,
        train_on=recipe.train_on,
        max_length=recipe.max_length,
        packing=recipe.packing,
        **recipe.mask.changed(),
        **recipe.chat_template_kwargs,
    )


def model_location(name: str) -> str:
    """Folder of the embedded model for its name; other names as they are."""
    return str(tiny_llama.model_path()) if name == "tiny-llama" else name


def training_table(rows: Sequence[TrainRow]) -> Any:
    """rows.parquet of a run (docs/wire.md section 1) as a pyarrow table."""
    import pyarrow as pa

    columns: dict[str, Any] = {
        "input_ids": pa.array([list(row.input_ids) for row in rows], pa.list_(pa.int32())),
        "labels": pa.array([list(row.labels) for row in rows], pa.list_(pa.int32())),
    }
    if any(len(row.documents) > 1 for row in rows):
        lengths = [[length for _, length in row.documents] for row in rows]
        columns["seq_lengths"] = pa.array(lengths, pa.list_(pa.int64()))
        columns["documents"] = pa.array([[index for index, _ in row.documents] for row in rows], pa.list_(pa.int64()))
    else:
        columns["row"] = pa.array([row.documents[0][0] for row in rows], pa.int64())
    return pa.table(columns)


def recipe(enc: Encoded, **fields: Any) -> BoundRecipe:
    """A recipe for encoded rows.

    Args:
        enc: What is trained on; its data, template, tokenizer and policy become part of the recipe.
        fields: Fields of `Recipe`: model, adapter, r, learning_rate, epochs, max_steps, …

    Raises:
        RecipeError: For an unknown field, a bad value, or one that the rows have already decided.
    """
    _refuse_other_kinds(enc)
    decided = {"data", "template", *DECIDED} & set(fields)
    if decided:
        raise RecipeError(
            f"{', '.join(sorted(decided))} was decided when the rows were encoded.",
            remedy="Change it in data.encode(…).",
            code="WB405",
        )
    choice = enc.choice
    rows = enc.data
    spec = DataSpec(rows.source.path, rows.type, dict(rows.columns), rows.options, rows.left_out)
    bound: Mapping[str, Any] = {
        "data": spec,
        "template": enc.template.given if enc.template else None,
        "tokenizer": enc.tokenizer_name,
        "train_on": choice.train_on,
        "mask": choice.mask,
        "chat_template_kwargs": dict(choice.variables),
        "packing": choice.packing,
        "max_length": choice.max_length,
    }
    return BoundRecipe(Recipe.from_dict({**bound, **fields}), enc)


def read_recipe(path: str | Path) -> dict[str, Any]:
    """Values of a recipe file.

    Raises:
        RecipeError: WB406 where the file is no YAML mapping.
    """
    import yaml

    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        place = getattr(error, "problem_mark", None)
        where = f"line {place.line + 1}" if place else str(error)
        raise RecipeError(
            f"{Path(path).name} is no readable recipe: {where}.",
            remedy="Quote values that contain `: ` or end in a colon.",
            code="WB406",
        ) from error
    if not isinstance(values, Mapping):
        raise RecipeError(f"{Path(path).name} holds no fields.", remedy="Write one with recipe.save(…).", code="WB406")
    return dict(values)


def open(path: str | Path) -> BoundRecipe:
    """Open a recipe written by `recipe.save`: reads and encodes its rows.

    Raises:
        RecipeError: WB406 where the file is no YAML mapping, WB401 for unknown fields.
        WorkbenchError: As `wb.data` and `data.encode`.
    """
    return bind(Recipe.from_dict(read_recipe(path)))


def bind(config: Recipe) -> BoundRecipe:
    """Read and encode the rows of a recipe; errors as `open`."""
    from workbench.api.data import data as open_data

    if config.data.path is None:
        raise RecipeError("The recipe names no data.", remedy="Give data: {path: …}.", code="WB404")
    spec = config.data
    rows = open_data(spec.path, type=spec.type, columns=dict(spec.columns) or None, **spec.options.changed())
    rows = rows.without(*spec.without)
    enc = rows.encode(
        config.template,
        tokenizer=config.tokenizer or config.model,
        train_on=config.train_on,
        max_length=config.max_length,
        packing=config.packing,
        **config.mask.changed(),
        **config.chat_template_kwargs,
    )
    return BoundRecipe(config, enc)


def _refuse_other_kinds(enc: Encoded) -> None:
    entry = enc.data.entry
    if entry is not None and entry.kind != "sft":
        raise RecipeError(
            f"Rows of type {entry.name!r} are for {KINDS[entry.kind]}, and this version trains supervised rows only.",
            remedy="Look at them here, export is for later; for SFT on the better answers make prompt/completion rows.",
            code="WB408",
        )


KINDS = {
    "preference": "preference training (DPO, ORPO, reward models)",
    "unpaired": "KTO",
    "prompts": "reinforcement learning (GRPO, RLOO)",
    "steps": "process reward models",
}
"""What rows that are not supervised are for."""
