"""Batches of a run: its preview, from the recipe or from the run directory, beside what `forward()` received."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.api.batch_source import BatchSource, EncodedSource, Facts
from workbench.api.batches import Batches, Capture, ShownBatch
from workbench.errors import RunError, TokenizerError
from workbench.recipes import Recipe
from workbench.tokens.encode import load_tokenizer, special_ids, token_bytes
from workbench.tokens.given import spelled, spelling_of
from workbench.tokens.pack import Plan, TrainRow
from workbench.types import IGNORE, Reason, Rendered, TokenizedExample
from workbench.views.columns import Vocabulary, joined_view, row_view
from workbench.views.compact import compact
from workbench.views.tokens import Heading, explained, payload
from workbench.views.window import ASKED_TOKENS, cut, labelled, window

if TYPE_CHECKING:
    from workbench.api.run import LiveRun


def run_batch(run: LiveRun, step: int, micro: int) -> ShownBatch:
    """The preview's batch of a captured optimiser step, compared with what came.

    Args:
        run: The run.
        step: 1-based.
        micro: 0-based micro batch of the step.

    Raises:
        RunError: WB610 where the step or the micro batch was not captured, WB611 where there is no preview.
    """
    received = captured_step(run.dir, step)
    batches, losses = received["batches"], received.get("losses") or []
    if not 0 <= micro < len(batches):
        remedy = f"Step {step} has {len(batches)}, counted from 0."
        raise RunError(f"Step {step} of run {run.id} has no micro batch {micro}.", remedy=remedy, code="WB610")
    source, recipe = _source(run)
    size, group = recipe.per_device_train_batch_size, recipe.gradient_accumulation_steps
    epoch, inside = divmod(step - 1, steps_per_epoch(len(source.train_rows), size, group))
    preview: ShownBatch = Batches(source, epoch)[inside * group + micro]
    code = f"run.batch({step}{f', {micro}' if micro else ''})"
    taken = losses[micro] if micro < len(losses) else None
    return preview.compare(Capture(batches[micro], step, micro, taken, code))


def steps_per_epoch(rows: int, batch_size: int, accumulation: int) -> int:
    """Optimiser steps of an epoch on one process (transformers 5.23, trainer.py, set_initial_training_values)."""
    micro = -(-rows // batch_size)
    return max(1, -(-micro // accumulation))


def captured_steps(run_dir: Path) -> list[int]:
    """Steps of a run that were captured, in order."""
    return sorted(int(item.stem.split("-")[1]) for item in (run_dir / "captured").glob("step-*.json"))


def captured_step(run_dir: Path, step: int) -> dict[str, Any]:
    """captured/step-NNNNNN.json of docs/wire.md.

    Raises:
        RunError: WB610 where the step was not captured.
    """
    path = run_dir / "captured" / f"step-{step:06d}.json"
    if not path.is_file():
        raise RunError(
            f"Step {step} of run {run_dir.name} was not captured.",
            remedy=f"Captured steps: {captured_steps(run_dir)}. Name others with launch(capture=…), or call "
            "run.batch() while it trains.",
            code="WB610",
        )
    made = json.loads(path.read_text(encoding="utf-8"))
    return made if isinstance(made, dict) else {"batches": made}


def _source(run: LiveRun) -> tuple[BatchSource, Recipe]:
    if run.recipe is not None:
        return EncodedSource(run.recipe.enc, run.recipe), run.recipe.recipe
    return RunSource(run.dir, run.job), Recipe.from_dict(run.job["recipe"])


class RunSource:
    """Batches of a run that was only attached to, from the files it was launched with.

    Args:
        run_dir: Its directory.
        job: Its job.json.

    Raises:
        RunError: WB611 where its rows or its tokenizer are not there any more.
    """

    def __init__(self, run_dir: Path, job: Mapping[str, Any]) -> None:
        recipe = Recipe.from_dict(job["recipe"])
        self._path = run_dir / job["dataset"]
        try:
            self._tokenizer = load_tokenizer(str(job["tokenizer"]))
        except TokenizerError as error:
            raise _no_preview(run_dir, error.message) from None
        if not self._path.is_file():
            raise _no_preview(run_dir, f"{self._path.name} is gone.")
        pad = self._tokenizer.pad_token_id
        pad_id = pad if pad is not None else self._tokenizer.eos_token_id
        self.plan = Plan(recipe.per_device_train_batch_size, recipe.seed, bool(job["packed"]), pad_id or 0)
        self.facts = Facts(f"rows of run {run_dir.name}", recipe.max_length, "", None)
        self._spell = spelling_of(self._tokenizer)
        self._vocabulary = Vocabulary(special_ids(self._tokenizer), lambda token: token_bytes(self._tokenizer, token))

    @cached_property
    def train_rows(self) -> Sequence[TrainRow]:
        """rows.parquet."""
        import pyarrow.parquet as pq

        return [_train_row(number, row) for number, row in enumerate(pq.read_table(self._path).to_pylist())]

    def document_view(self, row: int, ids: Sequence[int], labels: Sequence[int]) -> dict[str, Any]:
        """Tokens with the text they stand for; where they come from is not in a run directory."""
        text, offsets = spelled(ids, self._spell)
        reasons = tuple(Reason.GIVEN_OFF if label == IGNORE else Reason.GIVEN for label in labels)
        rendered = Rendered(row, text, ())
        example = TokenizedExample(row, tuple(ids), tuple(labels), offsets, reasons, rendered)
        return row_view(example, self._vocabulary, position=0, type="")

    def explain(self, row: dict[str, Any]) -> dict[str, Any]:
        """With sentences; there is no template."""
        return explained(row, None)

    def source_payload(self, row: int) -> dict[str, Any]:
        """All that the run trains on of a data row."""
        parts: list[dict[str, Any]] = []
        for item in self.train_rows:
            at = 0
            for index, length in item.documents:
                if index == row:
                    parts.append(
                        self.document_view(row, item.input_ids[at : at + length], item.labels[at : at + length])
                    )
                at += length
        view = parts[0] if len(parts) == 1 else joined_view(parts, position=0, title=f"Row {row}")
        chosen = window(view["tokens"]["trained"], ASKED_TOKENS)
        shown = labelled(cut(view, chosen), chosen, len(view["tokens"]["id"]))
        totals = {"rows": 1, "tokens": len(view["tokens"]["id"]), "trained": sum(view["tokens"]["trained"])}
        heading = Heading(
            title=self.facts.title, subtitle="as token ids", code="run.captured(step)", row_count=1,
            totals={**totals, "truncated": 0, "errors": 0, "warnings": 0},
        )  # fmt: skip
        return compact(payload([shown], heading))

    def spell(self, token: int) -> str:
        """Text of a token id."""
        return self._spell(token).decode("utf-8", "replace")


def _no_preview(run_dir: Path, why: str) -> RunError:
    return RunError(
        f"Run {run_dir.name} has no preview to compare with: {why}",
        remedy="Compare in the notebook that launched it, or read run.captured(step).",
        code="WB611",
    )


def _train_row(number: int, row: Mapping[str, Any]) -> TrainRow:
    ids = row["input_ids"]
    lengths = row.get("seq_lengths") or [len(ids)]
    given = row.get("documents") or [row.get("row") if row.get("row") is not None else number]
    rows = given if len(given) == len(lengths) else [number] * len(lengths)
    return TrainRow(ids, row["labels"], tuple(zip(rows, lengths, strict=True)))
