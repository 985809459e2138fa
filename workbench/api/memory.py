"""`recipe.estimate()`: will it fit? A breakdown in which every byte shows its formula."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, fields
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from workbench.api.recipe import read_recipe
from workbench.errors import RecipeError
from workbench.memory.analytic import estimate as estimate_step
from workbench.memory.architecture import of_model, read_config
from workbench.memory.figures import Estimate, Verdict, gib
from workbench.memory.plan import Plan
from workbench.memory.settings import BatchShape, Runtime
from workbench.memory.trace import Trace
from workbench.memory.traced import assumptions_of, estimate_of, phases_of
from workbench.recipes import Recipe

if TYPE_CHECKING:
    from workbench.api.recipe import BoundRecipe

GIB = 2**30
Method = Literal["analytic", "trace"]


@dataclass(frozen=True)
class MemoryEstimate:
    """An estimate with what it was made for.

    Attributes:
        estimate: Parts, peaks and totals in bytes.
        batch: The largest micro batch.
        card: Memory to compare with, in bytes; None where nobody said.
        trace: The log behind a traced estimate.
        seconds: Time it took.
    """

    estimate: Estimate
    recipe: Recipe
    batch: BatchShape
    card: int | None = None
    trace: Trace | None = None
    seconds: float = 0.0

    @property
    def verdict(self) -> Verdict | None:
        """Whether it fits the card."""
        return None if self.card is None else self.estimate.verdict(self.card)

    def code(self) -> str:
        """Python that gives this estimate again."""
        card = "" if self.card is None else f", card_gib={self.card / GIB:g}"
        method = "" if self.trace is None else "method='trace', "
        return f"recipe.estimate({method}device={self.estimate.device!r}{card})"

    @property
    def assumptions(self) -> list[str]:
        """What the figures take for granted, in sentences."""
        if self.trace is not None:
            return assumptions_of(self.trace)
        return [
            f"the largest micro batch has {self.batch.rows} rows of {self.batch.length} tokens",
            "closed form of a dense decoder; the allocator's share is an interval from replays and published runs",
        ]

    @property
    def reserved_bytes(self) -> int:
        """What torch will report as reserved: the replay's figure, or the middle of the interval."""
        return (self.estimate.expected.low + self.estimate.expected.high) // 2

    def _phases(self) -> list[dict[str, Any]]:
        if self.trace is not None:
            return phases_of(self.trace)
        peaks = self.estimate.peaks
        return [{"phase": peak.name, "live_bytes": peak.bytes, "by_component": dict(peak.parts)} for peak in peaks]

    def to_dict(self) -> dict[str, Any]:
        """Plain values; sizes in bytes."""
        made = self.estimate
        return {
            "kind": made.kind,
            "device": made.device,
            "model": self.recipe.model,
            "scope": made.scope,
            "batch": asdict(self.batch),
            "parts": [asdict(part) for part in made.parts],
            "peak": {"name": made.peak.name, "bytes": made.peak.bytes, "parts": dict(made.peak.parts)},
            "hard_minimum_bytes": made.hard_minimum,
            "expected_bytes": asdict(made.expected),
            "shown_bytes": asdict(made.shown),
            "live_bytes": made.hard_minimum if self.trace is None else self.trace.live,
            "reserved_bytes": self.reserved_bytes,
            "nvidia_smi_bytes": (made.shown.low + made.shown.high) // 2,
            "by_component": dict(made.peak.parts),
            "phases": self._phases(),
            "assumptions": self.assumptions,
            "seconds": self.seconds,
            "verdict": asdict(self.verdict) if self.verdict else None,
        }

    def figure(self) -> Any:
        """The parts live at the peak as a plotly bar."""
        import plotly.graph_objects as go

        bars = [go.Bar(name=name, y=["peak"], x=[size / GIB], orientation="h") for name, size in self._peak_parts()]
        return go.Figure(bars).update_layout(barmode="stack", xaxis_title="GiB", title=repr(self).splitlines()[0])

    def _peak_parts(self) -> list[tuple[str, int]]:
        return sorted(((n, b) for n, b in self.estimate.peak.parts.items() if b), key=lambda item: -item[1])

    def __repr__(self) -> str:
        made = self.estimate
        head = (
            f"{self.recipe.model}, {self.batch.rows} × {self.batch.length} tokens on {made.device}: at least "
            f"{gib(made.hard_minimum)}, expected {made.expected}"
        )
        lines = [head if made.device == "cpu" else f"{head}, nvidia-smi {made.shown}"]
        lines += [f"  {gib(size):>12}  {name}" for name, size in self._peak_parts()]
        lines += [f"  {self.verdict.word}: {self.verdict.reason}"] if self.verdict else []
        return "\n".join([*lines, f"  peak: {made.peak.name}; {made.scope}"])

    def _repr_html_(self) -> str:
        parts = {part.name: part for part in self.estimate.parts}
        whole = max(1, self.estimate.peak.bytes)
        rows = "".join(
            f'<tr><td>{escape(name)}</td><td style="text-align:right">{gib(size)}</td>'
            f'<td><div style="width:{max(1, round(160 * size / whole))}px;height:10px;background:#1976d2"></div></td>'
            f"<td><code>{escape(parts[name].formula) if name in parts else ''}</code></td></tr>"
            for name, size in self._peak_parts()
        )
        head, *rest = repr(self).splitlines()
        verdict = f"<b>{self.verdict.word}</b>: {escape(self.verdict.reason)}" if self.verdict else ""
        return (
            f'<div><div style="font:13px sans-serif"><b>{escape(head)}</b></div><table style="font-size:12px">'
            f"<tr><th>kind</th><th>size</th><th>share of the peak</th><th>formula</th></tr>{rows}</table>"
            f'<div style="font:13px sans-serif">{verdict}</div>'
            f'<div style="font:12px sans-serif">{escape(rest[-1].strip())}</div></div>'
        )


def estimate(
    bound: BoundRecipe,
    *,
    method: Method = "analytic",
    device: Literal["cuda", "cpu"] = "cuda",
    card_gib: float | None = None,
    **runtime: Any,
) -> MemoryEstimate:
    """Estimate a bound recipe on its own longest rows.

    Args:
        bound: Recipe and rows.
        method: `analytic`, a formula in a millisecond, or `trace`, the real step on tensors without data in seconds.
        device: `cuda`, or `cpu` for host memory of tensors.
        card_gib: Memory to compare with, in GiB.
        runtime: For traces: fields of `workbench.memory.plan.Plan` that the recipe does not say, such as `attention`,
            and `task` for its `method` (sft, dpo, kto, reward).

    Raises:
        ModelError: For an architecture that is not known.
        RecipeError: For a method that is not traced (WB810), or a field that no plan has (WB815).
    """
    if method == "trace":
        batches, share = _largest_batches(bound)
        return _traced(bound.recipe, batches, card_gib, {"device": device, "scored_share": share, **runtime})
    longest = max((len(row.input_ids) for row in bound.enc.train_rows), default=1)
    return estimate_recipe(bound.recipe, longest, device=device, card_gib=card_gib)


def estimate_recipe(
    recipe: Recipe,
    longest: int,
    *,
    method: Method = "analytic",
    device: Literal["cuda", "cpu"] = "cuda",
    card_gib: float | None = None,
    **runtime: Any,
) -> MemoryEstimate:
    """Estimate a recipe without its rows: every row of the batch has `longest` tokens.

    Args:
        recipe: The recipe.
        longest: Tokens of the longest row.
        method: As in `estimate`.
        device: As in `estimate`.
        card_gib: As in `estimate`.
        runtime: As in `estimate`.
    """
    batch = BatchShape.of(recipe, longest)
    if method == "trace":
        rows = [batch.length] * batch.rows
        masked = {"padded": batch.rows > 1, "device": device, **runtime}
        return _traced(recipe, [rows], card_gib, masked)
    started = time.perf_counter()
    made = estimate_step(of_model(recipe.model), recipe, batch, Runtime.of(recipe, device))
    return MemoryEstimate(made, recipe, batch, _card(card_gib), None, time.perf_counter() - started)


def estimate_file(path: str | Path, longest: int, *, method: Method = "analytic", **options: Any) -> MemoryEstimate:
    """Estimate a recipe file without its rows; its `adapter` may be a word or PEFT's config as a mapping.

    Args:
        path: recipe.yaml. Needs no data, no weights and no tokenizer.
        longest: Tokens of the longest row.
        method: As in `estimate`; only a trace takes adapters that a recipe does not have.
        options: As `estimate_recipe`, and `recipe`: fields that replace the file's.

    Raises:
        RecipeError: As `Recipe.from_dict`; WB406 where the file is no mapping, WB810 for an unknown word.
    """
    values = read_recipe(path) | dict(options.pop("recipe", {}))
    adapter = values.get("adapter", "lora")
    if adapter not in ("lora", "none"):
        values["adapter"] = "none" if adapter == "full" else "lora"
        if method == "trace":
            options.setdefault("adapter", adapter)
        elif adapter != "full":
            raise RecipeError(
                "The analytic estimate knows lora and none.",
                remedy="Use method='trace' (--method trace).",
                code="WB810",
            )
    return estimate_recipe(Recipe.from_dict(values), longest, method=method, **options)


def _traced(
    recipe: Recipe, batches: list[list[int]], card_gib: float | None, changes: dict[str, Any]
) -> MemoryEstimate:
    from workbench.training.tracing import trace_plan

    if "task" in changes:  # `method` is the estimate's own word
        changes["method"] = changes.pop("task")
    unknown = set(changes) - {item.name for item in fields(Plan)}
    if unknown:
        raise RecipeError(
            f"A traced estimate has no option {min(unknown)!r}.",
            remedy=f"It has {', '.join(item.name for item in fields(Plan))}.",
            code="WB815",
        )
    started = time.perf_counter()
    trace = trace_plan(Plan.of(recipe, read_config(recipe.model), batches, **changes))
    largest = BatchShape(len(batches[-1]), max(batches[-1]))
    seconds = time.perf_counter() - started
    return MemoryEstimate(estimate_of(trace), recipe, largest, _card(card_gib), trace, seconds)


def _card(card_gib: float | None) -> int | None:
    return None if card_gib is None else round(card_gib * GIB)


def _largest_batches(bound: BoundRecipe) -> tuple[list[list[int]], float]:
    """Row lengths of a middling and of the largest micro batch of the first epoch, and the share of trained tokens."""
    batches = bound.enc.batches(bound.recipe, epoch=0)
    found = sorted(batches, key=lambda batch: len(batch.arrays["input_ids"]) * len(batch.arrays["input_ids"][0]))
    if not found:
        return [[2]], 1.0
    largest = found[-1].arrays
    labels = [label for row in largest["labels"] for label in row]
    share = sum(label != -100 for label in labels) / max(1, len(labels))
    return [_lengths(found[len(found) // 2].arrays), _lengths(largest)], share


def _lengths(arrays: Any) -> list[int]:
    """Tokens of every row of a batch, without padding."""
    masks = arrays.get("attention_mask")
    rows = arrays["input_ids"] if masks is None else [[bit for bit in row if bit] for row in masks]
    return [max(2, len(row)) for row in rows]
