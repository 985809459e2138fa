"""`recipe.launch(…)` and `wb.attach`: a run as a noun; all work is in workbench.training."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.api.html_export import Showable
from workbench.training.launchers import Spare
from workbench.training.run import Run
from workbench.training.store import find_run, list_runs
from workbench.views import RUN_MIME
from workbench.views.run_card import finite, payload, plain_text, static_html

if TYPE_CHECKING:
    from workbench.api.batches import ShownBatch
    from workbench.api.measure import RunMemory
    from workbench.api.recipe import BoundRecipe
    from workbench.widgets.run import RunCard

FOLLOW_S = 0.1
"""Pause between two looks at the log while following it."""

TERMINAL = frozenset({"stopped", "completed", "failed", "died"})


@cache
def _spare() -> Spare:
    return Spare()


def warm() -> Spare:
    """Start a training process ahead, so that the next launch need not wait for imports (about 480 MB of memory)."""
    return _spare().warm()


class LiveRun(Showable, Run):
    """A run that shows itself; see `workbench.training.run.Run` for its verbs.

    Attributes:
        recipe: The recipe it was launched from; None where it was attached to.
    """

    def __init__(self, path: Path | str, recipe: BoundRecipe | None = None) -> None:
        super().__init__(path)
        self.recipe = recipe

    def batch(self, step: int | None = None, micro: int = 0, timeout: float = 120.0) -> ShownBatch:
        """The preview's batch of an optimiser step beside what `forward()` received, with the loss of each token.

        Args:
            step: 1-based optimiser step: a captured one, or of a run that trains one that is to come, which is then
                captured. None takes the next one of a run that trains, else the last one that was captured.
            micro: Which micro batch of the step.
            timeout: Seconds to wait for a step that is to come.

        Raises:
            RunError: WB610 where the step was not captured, WB611 where there is no preview, WB603 to WB605 where a
                step to come was not captured.
        """
        from workbench.api.run_batches import captured_steps, run_batch

        known = captured_steps(self.dir)
        if step is None and self.status().over and known:
            step = known[-1]
        if step not in known and not self.status().over:
            step = self.capture(step, timeout)
        return run_batch(self, step or 1, micro)

    def tap(self, timeout: float = 120.0) -> ShownBatch:
        """The next step's batch, as `batch()`: what the model gets now, on the weights it has now.

        Raises:
            RunError: Where the run is over, or ends before its next step.
        """
        return self.batch(self.capture(None, timeout))

    def captured(self, step: int) -> list[dict[str, Any]]:
        """What `forward()` received at an optimiser step: one mapping of arrays a micro batch.

        Raises:
            RunError: WB610 where the step was not captured.
        """
        from workbench.api.run_batches import captured_step

        return captured_step(self.dir, step)["batches"]

    def follow(self) -> Iterator[dict[str, Any]]:
        """Every event from the first on, as they come, until the run is over."""
        offset = 0
        while True:
            over = self.state() in TERMINAL
            fresh, offset = self.events(offset)
            yield from fresh
            if over and not fresh:
                return
            if not fresh:
                time.sleep(FOLLOW_S)

    def losses(self) -> Any:
        """The loss curve as a plotly figure."""
        import plotly.graph_objects as go

        series = self.snapshot()["series"]
        figure = go.Figure(go.Scatter(x=series["step"], y=series["loss"], mode="lines", name="loss"))
        return figure.update_layout(title=f"{self.id} {self.name}", xaxis_title="step", yaxis_title="loss")

    @property
    def memory(self) -> RunMemory:
        """What was predicted and what was measured; `run.memory.compare()` sets them side by side."""
        from workbench.api.measure import run_memory

        return run_memory(self)

    def widget(self) -> RunCard:
        """The card as a widget, for hosts that show widgets but have no Jupyter server (VS Code, Colab, marimo)."""
        from workbench.api.run_routes import routes
        from workbench.widgets.run import RunCard

        return RunCard(self._payload(), routes(self))

    def code(self) -> str:
        """Python that attaches to this run."""
        return f'run = wb.attach("{self.id}")'

    def to_dict(self) -> dict[str, Any]:
        """Summary as plain values."""
        return finite({**self.summary(), "dir": str(self.dir), "snapshot": self.snapshot()})

    def __repr__(self) -> str:
        return plain_text(self._payload())

    def _payload(self) -> dict[str, Any]:
        return payload(self.id, self.name, self.snapshot(), self.code())

    def _bundle(self) -> dict[str, Any]:
        shown = self._payload()
        return {RUN_MIME: shown, "text/html": static_html(shown), "text/plain": plain_text(shown)}

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return self._bundle()

    def _ipython_display_(self) -> None:
        """Show the card; when the run ends, write its last state into the output, so that the saved notebook has it."""
        from IPython.display import display

        handle = display(self._bundle(), raw=True, display_id=True)
        if handle is not None and self.state() not in TERMINAL:
            threading.Thread(target=self._show_end, args=(handle,), name=f"card {self.id}", daemon=True).start()

    def _show_end(self, handle: Any) -> None:
        self.wait()
        handle.update(self._bundle(), raw=True)


def job_samples(samples: Sequence[Any]) -> list[list[dict[str, Any]]]:
    """Prompts as conversations: text becomes a user message."""
    return [
        [{"role": "user", "content": prompt}] if isinstance(prompt, str) else [dict(message) for message in prompt]
        for prompt in samples
    ]


def attach(which: str | int | Path) -> LiveRun:
    """A run by id, number or directory, from any kernel.

    Raises:
        RunError: Where there is none.
    """
    return LiveRun(find_run(which).dir)


class RunList(Sequence[LiveRun]):
    """Runs of all known roots, newest first."""

    def __init__(self, found: Sequence[Run]) -> None:
        self._runs = [LiveRun(run.dir) for run in found]

    def __len__(self) -> int:
        return len(self._runs)

    def __getitem__(self, index: Any) -> Any:
        return self._runs[index]

    def __iter__(self) -> Iterator[LiveRun]:
        return iter(self._runs)

    def to_dict(self) -> list[dict[str, Any]]:
        """One summary a run."""
        return [finite(run.summary()) for run in self._runs]

    def __repr__(self) -> str:
        if not self._runs:
            return "No runs yet."
        return "\n".join(
            f"{item['id']}  {item['state']:<10} {item['step']:>6}/{item['max_steps'] or '?':<6} {item['name']}"
            for item in self.to_dict()
        )

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in ("run", "state", "step", "loss", "name"))
        body = "".join(
            f"<tr><td><code>{escape(item['id'])}</code></td><td>{escape(item['state'])}</td>"
            f"<td>{item['step']} of {item['max_steps'] or '?'}</td>"
            f"<td>{_short(item['loss'])}</td><td>{escape(item['name'])}</td></tr>"
            for item in self.to_dict()
        )
        return f"<table><tr>{head}</tr>{body}</table>" if self._runs else "<i>No runs yet.</i>"


def _short(loss: float | None) -> str:
    return "" if loss is None else f"{loss:.3g}"


def runs() -> RunList:
    """All runs this account knows of, newest first."""
    return RunList(list_runs())
