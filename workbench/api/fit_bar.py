"""The fit bar of `recipe.estimate()`: what is shown, and what the page needs to compute other settings itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from workbench.api import comm
from workbench.api.html_export import Showable
from workbench.memory.architecture import of_model
from workbench.memory.cards import CARDS, Card
from workbench.memory.reach import resolved
from workbench.recipes import Recipe
from workbench.views import FIT_MIME
from workbench.views.fit_bar import FitCard, FitFacts, fit_figure, fit_html, fit_payload, lengths_histogram, step_figure

if TYPE_CHECKING:
    from workbench.api.memory import MemoryEstimate
    from workbench.widgets.fit import FitBarCard


def measured_bundle(predicted: MemoryEstimate, measured: Mapping[str, Any], title: str) -> dict[str, Any]:
    """Mime bundle of an estimate beside what was measured.

    Args:
        predicted: The estimate.
        measured: Bytes by `live_bytes`, `reserved_bytes`, `nvidia_smi_bytes`, `process_bytes`; None or absent: unknown.
        title: What was measured, in words.
    """
    host = predicted.estimate.device == "cpu"
    known = not host or predicted.estimate.context.high > 0
    shown = measured.get("process_bytes" if host else "nvidia_smi_bytes") if known else None
    found = {"live": measured.get("live_bytes"), "reserved": None, "shown": shown, "kinds": None}
    if not host:
        found["reserved"] = measured.get("reserved_bytes")
    payload = {**predicted.payload(), "measured": {"title": title, "measured": found}}
    return {FIT_MIME: payload, "text/html": predicted._repr_html_()}


class FitBar(Showable):
    """A memory estimate that shows itself as the fit bar."""

    def payload(self, handle: str | None = None) -> dict[str, Any]:
        """What the card shows (docs/wire.md)."""
        shown = cast("MemoryEstimate", self)
        return fit_payload(shown.estimate, _facts(shown, handle))

    def figure(self, of: str = "peak") -> Any:
        """The estimate as a plotly figure.

        Args:
            of: `peak`, the bar over the card and the moments of the step, or `step`, memory over time.
        """
        return step_figure(self.payload()) if of == "step" else fit_figure(self.payload())

    def widget(self) -> FitBarCard:
        """The card as a widget, for hosts that show widgets but not our mime type (VS Code, Colab, marimo)."""
        from workbench.widgets.fit import FitBarCard

        return FitBarCard(self.payload(comm.WIDGET), lambda asked: comm.answered(self, asked))

    def questions(self) -> dict[str, comm.Question]:
        """The page computes by itself; there is nothing to ask."""
        return {}

    def _repr_html_(self) -> str:
        verdict = cast("MemoryEstimate", self).verdict
        return fit_html(self.payload(), f"{verdict.word}: {verdict.reason}" if verdict else "")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {FIT_MIME: self.payload(), "text/html": self._repr_html_(), "text/plain": repr(self)}


def _facts(shown: MemoryEstimate, handle: str | None) -> FitFacts:
    trace = shown.trace
    said = {
        **({} if trace is None else {"method": "trace"}),
        **({} if shown.estimate.device == "cuda" else {"device": shown.estimate.device}),
        **shown.said,
    }
    gpu = shown.gpu
    tried, untried = _tried(shown)
    return FitFacts(
        subtitle=_subtitle(shown),
        code=shown.code(),
        handle=handle,
        card=None if gpu is None else _card(gpu),
        cards=() if shown.estimate.device == "cpu" else [_card(card) for card in CARDS.values()],
        tried=tried,
        untried=untried,
        curve=trace.curve() if trace else (),
        owner=trace.peak.owner if trace else "",
        assumptions=shown.assumptions,
        arguments={name: repr(value) for name, value in said.items()},
    )


def _card(card: Card) -> FitCard:
    return FitCard(card.name, card.bytes, card.taken, f"gpu={card.name!r}")


def _subtitle(shown: MemoryEstimate) -> str:
    batch = shown.batch
    return f"{shown.recipe.model}, {_adapter(shown.recipe)}, {batch.rows} × {batch.length:,} tokens"


SPELT: Mapping[str, str] = {"lora": "LoRA", "qlora": "QLoRA", "dora": "DoRA", "rslora": "rsLoRA"}


def _adapter(recipe: Recipe) -> str:
    """What trains, and over which weights, in words."""
    if recipe.full:
        return "all weights train"
    over = "" if recipe.quantised == "none" or recipe.adapter == "qlora" else f" over {recipe.quantised} weights"
    if isinstance(recipe.adapter, Mapping):
        return f"{recipe.adapter_name.partition(' over')[0]} adapter{over}"
    names = recipe.target_modules
    where = "all linear layers" if names == "all-linear" else names if isinstance(names, str) else ", ".join(names)
    return f"{SPELT[recipe.adapter]} r{recipe.r} on {where}{over}"


def _tried(shown: MemoryEstimate) -> tuple[dict[str, Any] | None, str]:
    """What the page needs to compute other settings; None where the closed form does not know them, with why."""
    recipe = shown.recipe
    try:
        architecture = of_model(recipe.model)
        shapes, settings = architecture.to_dict(), resolved(architecture, shown.settings)
    except ValueError as error:  # every WorkbenchError of a model or recipe is one
        return None, getattr(error, "message", str(error))
    rows = shown.rows
    found = {
        "shapes": shapes,
        "settings": settings.to_dict(),
        "adapter": recipe.to_dict()["adapter"],
        "quantisation": recipe.quantisation,
        "batch": rows.batch,
        "max_length": rows.max_length,
        "longest": rows.longest,
        "packed": rows.packed,
        "masked": rows.masked,
        "lengths": None if rows.lengths is None else lengths_histogram(rows.lengths.counts),
    }
    return found, ""
