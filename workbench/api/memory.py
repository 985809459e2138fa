"""`recipe.estimate()`: will it fit? A breakdown in which every byte shows its formula."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Literal

from workbench.memory.analytic import estimate as estimate_step
from workbench.memory.architecture import Architecture, of_model
from workbench.memory.figures import Estimate, Verdict, gib
from workbench.memory.saved import BatchShape, Runtime
from workbench.recipes import Recipe

if TYPE_CHECKING:
    from workbench.api.recipe import BoundRecipe

GIB = 2**30


@dataclass(frozen=True)
class MemoryEstimate:
    """An estimate with what it was made for.

    Attributes:
        estimate: Parts, peaks and totals in bytes.
        batch: The largest micro batch.
        card: Memory to compare with, in bytes; None where nobody said.
    """

    estimate: Estimate
    architecture: Architecture
    recipe: Recipe
    batch: BatchShape
    card: int | None = None

    @property
    def verdict(self) -> Verdict | None:
        """Whether it fits the card."""
        return None if self.card is None else self.estimate.verdict(self.card)

    def code(self) -> str:
        """Python that gives this estimate again."""
        card = "" if self.card is None else f", card_gib={self.card / GIB:g}"
        return f"recipe.estimate(device={self.estimate.device!r}{card})"

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
    bound: BoundRecipe, *, device: Literal["cuda", "cpu"] = "cuda", card_gib: float | None = None
) -> MemoryEstimate:
    """Estimate a bound recipe on its own longest rows.

    Args:
        bound: Recipe and rows.
        device: `cuda`, or `cpu` for host memory of tensors.
        card_gib: Memory to compare with, in GiB.

    Raises:
        ModelError: For an architecture that is not known.
    """
    longest = max((len(row.input_ids) for row in bound.enc.train_rows), default=1)
    return estimate_recipe(bound.recipe, longest, device=device, card_gib=card_gib)


def estimate_recipe(
    recipe: Recipe, longest: int, *, device: Literal["cuda", "cpu"] = "cuda", card_gib: float | None = None
) -> MemoryEstimate:
    """Estimate a recipe without its rows.

    Args:
        recipe: The recipe.
        longest: Tokens of the longest row.
        device: As in `estimate`.
        card_gib: As in `estimate`.
    """
    architecture = of_model(recipe.model)
    batch = BatchShape.of(recipe, longest)
    made = estimate_step(architecture, recipe, batch, Runtime.of(recipe, device))
    return MemoryEstimate(made, architecture, recipe, batch, None if card_gib is None else round(card_gib * GIB))
