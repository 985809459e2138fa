"""`recipe.estimate().measure()`: two real steps on the longest batch, predicted beside measured; and `run.memory`.

made = recipe.estimate().measure()      # returns at once
made.wait()                             # predicted, measured, difference
run.memory.compare()                    # the same of any run
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from workbench.api.asked import by_size
from workbench.api.fit_bar import measured_bundle
from workbench.api.recipe import model_location, training_table
from workbench.api.run import LiveRun, warm
from workbench.errors import DataError, RecipeError, RunError
from workbench.memory.figures import gib
from workbench.memory.local_cards import has_gpu
from workbench.training.events import EventReader, kind_of
from workbench.training.run import Run

if TYPE_CHECKING:
    from workbench.api.memory import MemoryEstimate
    from workbench.api.recipe import BoundRecipe

STEPS = 2
"""The first step makes the optimizer's state, the second is as all others."""

OWN = frozenset({"scored_share", "padded", "adapter", "quantisation"})
"""Options that say of a recipe what it does anyway, or what it can be changed to do."""

FIGURES: Mapping[str, str] = {
    "live_bytes": "live bytes of tensors",
    "reserved_bytes": "reserved by torch's allocator",
    "nvidia_smi_bytes": "shown by nvidia-smi for the process",
    "process_bytes": "resident memory of the process, interpreter and libraries included",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One figure, predicted and measured, in bytes; None for what is not known."""

    name: str
    predicted: int | None
    measured: int | None

    @property
    def error(self) -> float | None:
        """Predicted over measured, less one."""
        return None if not self.predicted or not self.measured else self.predicted / self.measured - 1

    def __str__(self) -> str:
        shown = ["-" if size is None else gib(size) for size in (self.predicted, self.measured)]
        error = "" if self.error is None else f"{self.error:+.2%}"
        return f"  {shown[0]:>12}  {shown[1]:>12}  {error:>8}  {FIGURES[self.name]}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Predicted beside measured.

    Attributes:
        device: Where the run was.
        lines: Figures that at least one side has.
        note: A sentence where the two are not of the same thing.
    """

    device: str
    lines: tuple[Line, ...]
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, JSON-ready."""
        lines = {
            line.name: {"predicted": line.predicted, "measured": line.measured, "error": line.error}
            for line in self.lines
        }
        return {"device": self.device, "figures": lines, "note": self.note}

    def __repr__(self) -> str:
        head = f"{'predicted':>14}  {'measured':>12}  {'error':>8}  on {self.device}"
        return "\n".join([head, *map(str, self.lines), *([f"  {self.note}"] if self.note else [])])

    def _repr_html_(self) -> str:
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in _cells(line)) + "</tr>" for line in self.lines
        )
        head = "".join(f"<th>{name}</th>" for name in ("", "predicted", "measured", "error"))
        note = f'<div style="font:12px sans-serif">{escape(self.note)}</div>' if self.note else ""
        return f'<table style="font-size:12px"><tr>{head}</tr>{rows}</table>{note}'


def _cells(line: Line) -> tuple[str, ...]:
    sizes = ["" if size is None else gib(size) for size in (line.predicted, line.measured)]
    return FIGURES[line.name], *sizes, "" if line.error is None else f"{line.error:+.2%}"


@dataclass(frozen=True, slots=True)
class RunMemory:
    """What a run said of its memory.

    Attributes:
        predicted: Plain values of the estimate it was launched with; None where there was none.
        measured: The newest measurement; None before the second step.
        over: Whether that is the one of the end.
    """

    predicted: Mapping[str, Any] | None
    measured: Mapping[str, Any] | None
    over: bool

    def compare(self, estimate: MemoryEstimate | None = None) -> Comparison:
        """Predicted beside measured.

        Args:
            estimate: Another prediction; None takes the launch's.

        Raises:
            RunError: WB614 where nothing was measured yet.
        """
        if self.measured is None:
            raise RunError(
                "This run has not measured its memory yet.", remedy="Wait for its second step.", code="WB614"
            )
        predicted = self.predicted if estimate is None else prediction_of(estimate)
        return compared(predicted, self.measured)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"predicted": self.predicted, "measured": self.measured, "over": self.over}


def compared(predicted: Mapping[str, Any] | None, measured: Mapping[str, Any]) -> Comparison:
    """The figures of both, of the same device only."""
    device = str(measured["device"])
    note = "" if predicted else "the run was launched without a prediction"
    if predicted and predicted.get("device") != device:
        note, predicted = f"predicted for {predicted.get('device')}, measured on {device}: not compared", None
    said = predicted or {}
    if device == "cpu" and measured.get("live_bytes") is None:
        note = note or "tensors are counted in measured runs only; the process holds interpreter and libraries too"
    lines = (Line(name, said.get(name), measured.get(name)) for name in FIGURES)
    return Comparison(device, tuple(line for line in lines if line.predicted or line.measured), note)


def run_memory(run: Run) -> RunMemory:
    """The `memory` events of a run's log."""
    reader = EventReader(run.dir)
    predicted, measured, over = None, None, False
    while lines := reader.lines():
        for index, line in enumerate(lines):
            if kind_of(line) != b"memory":
                continue
            event = reader.decode_one(lines, index, 0) or {}
            predicted = event.get("predicted") or predicted
            measured = event.get("measured") or measured
            over = over or event.get("at") == "end"
    return RunMemory(predicted, measured, over)


def prediction_of(made: MemoryEstimate) -> dict[str, Any]:
    """An estimate as the plain values that a run keeps."""
    found = {
        "kind": made.estimate.kind,
        "device": made.estimate.device,
        "live_bytes": made.live_bytes,
        "reserved_bytes": made.reserved_bytes if made.estimate.device == "cuda" else None,
        "nvidia_smi_bytes": made.nvidia_smi_bytes if made.estimate.device == "cuda" else None,
        "by_component": made.by_component,
        "peak": made.estimate.peak.name,
        "batch": [made.batch.rows, made.batch.length],
    }
    known = made.estimate.device == "cpu" and made.estimate.context.high
    return {**found, "process_bytes": made.nvidia_smi_bytes if known else None}


def here() -> str:
    """Device that a run of this machine trains on, as far as can be told without torch."""
    return "cuda" if has_gpu() else "cpu"


def prediction(bound: BoundRecipe, samples: Sequence[Any] = (), sample_tokens: int = 64) -> dict[str, Any] | None:
    """The closed form's prediction for a launch on this machine; None where it does not know the run.

    Args:
        bound: What is launched.
        samples: Its prompts; left out where their template refuses one, since the run then goes on without it.
        sample_tokens: Longest answer.
    """
    asked = {"samples": list(samples), "sample_tokens": max(1, sample_tokens)} if samples else {}
    for options in (asked, {}):
        with suppress(ValueError):  # every error of a model or a recipe is one; a launch does not depend on an estimate
            return prediction_of(bound.estimate(device=here(), **options))
    return None


class Measurement:
    """Two real steps on the longest batch, beside their prediction; returns at once and fills itself.

    Attributes:
        run: The run that measures, in a folder of its own.
        predicted: The estimate of the very batch on the device of this machine.
    """

    def __init__(self, run: LiveRun, predicted: MemoryEstimate) -> None:
        self.run, self.predicted = run, predicted

    @property
    def state(self) -> str:
        """State of the run."""
        return self.run.state()

    @property
    def measured(self) -> Mapping[str, Any] | None:
        """What was measured; None until the second step has ended."""
        return run_memory(self.run).measured

    def wait(self, timeout: float | None = None) -> Measurement:
        """Block until both steps are done, and return itself.

        Raises:
            RunError: WB615 where the run failed, with its reason; as `run.wait` where time is up.
        """
        if self.run.wait(timeout) != "completed":
            snapshot = self.run.snapshot()
            raise RunError(
                f"The measured steps did not end: {snapshot.get('message') or self.state}.",
                remedy=f"Its log is in {self.run.dir}.",
                code="WB615",
            )
        return self

    def compare(self) -> Comparison:
        """Predicted beside measured.

        Raises:
            RunError: WB614 before the second step has ended.
        """
        return run_memory(self.run).compare(self.predicted)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        found = run_memory(self.run)
        made = found.compare(self.predicted).to_dict() if found.measured else None
        return {
            "state": self.state,
            "predicted": prediction_of(self.predicted),
            "measured": found.measured,
            **(made or {}),
        }

    def __repr__(self) -> str:
        if self.measured is None:
            return f"Measuring two steps of {self.predicted.batch.rows} × {self.predicted.batch.length}: {self.state}"
        return repr(self.compare())

    def _repr_html_(self) -> str:
        return escape(repr(self)) if self.measured is None else self.compare()._repr_html_()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        plain = {"text/html": self._repr_html_(), "text/plain": repr(self)}
        measured = self.measured
        if measured is None or measured.get("device") != self.predicted.estimate.device:
            return plain
        return {**measured_bundle(self.predicted, measured, f"run {self.run.id}, two steps measured"), **plain}

    def _ipython_display_(self) -> None:
        """Show what is known; when both steps are done, predicted beside measured takes its place."""
        from IPython.display import display

        handle = display(self._repr_mimebundle_(), raw=True, display_id=True)
        if handle is not None and self.measured is None:
            Thread(target=self._show_end, args=(handle,), name=f"measured {self.run.id}", daemon=True).start()

    def _show_end(self, handle: Any) -> None:
        self.run.wait()
        handle.update(self._repr_mimebundle_(), raw=True)


def measure(estimate: MemoryEstimate, root: Path | str | None = None) -> Measurement:
    """Run two real steps on the longest batch in the background, as `recipe.launch` would.

    Args:
        estimate: Made of a recipe with rows.
        root: Where the run is made; None is `measured` in the folder of runs, which `wb.runs()` does not list.

    Raises:
        RecipeError: WB822 without rows, or for options that a launch does not have.
        DataError: WB560 where no row has a trained token.
    """
    from workbench.training.launchers import launch
    from workbench.training.store import runs_root

    bound = estimate.bound
    beyond = sorted(set(estimate.options) - OWN)
    if bound is None or beyond:
        raise RecipeError(
            f"Steps with {', '.join(beyond)} cannot be measured." if beyond else "There are no rows to measure on.",
            remedy="Measured is what recipe.launch() trains: estimate a recipe with its rows, without further options.",
            code="WB822",
        )
    rows = by_size(bound)[-1]
    if not rows:
        raise DataError("No row has a trained token.", remedy="Look at enc.findings.", code="WB560")
    recipe = bound.recipe.with_(max_steps=STEPS, save_steps=None, logging_steps=1)
    device = here()
    predicted = estimate
    if estimate.estimate.device != device:
        predicted = bound.estimate(device=device, method="analytic" if estimate.trace is None else "trace")
    job = {
        "recipe": recipe.to_dict(),
        "model": model_location(recipe.model),
        "tokenizer": model_location(bound.enc.tokenizer_name),
        "name": f"two measured steps of {Path(recipe.model).name}",
        "measuring": True,
        "memory": {"predicted": prediction_of(predicted)},
    }
    table = training_table(rows * (STEPS * recipe.gradient_accumulation_steps))
    folder = runs_root(root) if root is not None else runs_root() / "measured"
    return Measurement(
        LiveRun(launch(job, table, folder, spare=warm()).dir, bound), replace(predicted, gpu=estimate.gpu)
    )
