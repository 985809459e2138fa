"""The fit bar's payload, its static HTML and its plain text (docs/wire.md section 4)."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import groupby
from typing import Any

from workbench.memory.figures import GIB, Estimate, gib
from workbench.memory.kinds import ALLOCATOR, CONTEXT, KINDS, by_kind, kind_of

EDGES = (
    128, 256, 384, 512, 768, 1024, 1280, 1536, 2048, 2560, 3072, 4096, 5120, 6144, 8192, 10240, 12288, 16384, 24576,
    32768, 49152, 65536, 98304, 131072,
)  # fmt: skip
"""Lengths that the page's slider stops at: between two of them rows are counted together."""

COLOURS = {
    "weights": "#1976d2", "adapter": "#0d47a1", "gradients": "#64b5f6", "optimizer": "#90caf9",
    "activations": "#f57c00", "logits": "#ffb74d", "reference model": "#3949ab", "generation": "#ffcc80",
    "communication": "#a1887f", "other": "#bcaaa4", ALLOCATOR: "#e0e0e0", CONTEXT: "#9e9e9e",
}  # fmt: skip
"""Of the static copy, which has no style sheet; every kind is named beside its colour."""

WORDS = {ALLOCATOR: "allocator spare", CONTEXT: "CUDA context"}


@dataclass(frozen=True, slots=True)
class FitCard:
    """Memory to compare with.

    Attributes:
        bytes: What a run may use of an empty card, or of the host.
        held: Bytes that others hold.
        argument: Python that names it: `gpu='RTX 4090'`.
    """

    name: str
    bytes: int
    held: int = 0
    argument: str = ""

    @property
    def room(self) -> int:
        """Bytes this run may use."""
        return max(0, self.bytes - self.held)


@dataclass(frozen=True, slots=True)
class FitFacts:
    """What there is to say about an estimate beside its figures.

    Attributes:
        subtitle: Model, adapter and batch in words.
        tried: What the page needs to compute other settings, as in docs/wire.md; None: nothing can be tried.
        untried: Why nothing can be tried.
        curve: (phase, live bytes) over the traced steps.
        owner: What holds most at the peak of the curve, in words.
        measured: `{"title", "measured": {"live", "reserved", "shown", "kinds"}}`; None before anything was measured.
        arguments: Of the call, each a piece of Python.
    """

    subtitle: str
    code: str
    handle: str | None = None
    card: FitCard | None = None
    cards: Sequence[FitCard] = ()
    tried: Mapping[str, Any] | None = None
    untried: str = ""
    curve: Sequence[tuple[str, int]] = ()
    owner: str = ""
    measured: Mapping[str, Any] | None = None
    assumptions: Sequence[str] = ()
    arguments: Mapping[str, str] = field(default_factory=dict[str, str])


def fit_payload(made: Estimate, facts: FitFacts) -> dict[str, Any]:
    """Everything the fit bar shows.

    Args:
        made: Figures and what they are made of.
        facts: What stands around them.
    """
    host = made.device == "cpu"
    return {
        "version": 1,
        "handle": facts.handle,
        "title": "Host memory" if host else "GPU memory",
        "subtitle": facts.subtitle,
        "kind": made.kind,
        "of": "host" if host else "gpu",
        "made": breakdown(made),
        "card": None if facts.card is None else _card(facts.card),
        "cards": [_card(card) for card in facts.cards],
        "tried": None if facts.tried is None else dict(facts.tried),
        "untried": facts.untried,
        "curve": _curve(facts.curve, facts.owner),
        "measured": None if facts.measured is None else dict(facts.measured),
        "assumptions": list(facts.assumptions),
        "arguments": dict(facts.arguments),
        "code": facts.code,
    }


def breakdown(made: Estimate) -> dict[str, Any]:
    """An estimate as the page draws it: parts and peaks with their kinds; sizes in bytes."""
    parts = [
        {
            "name": part.name,
            "kind": kind_of(part.name),
            "bytes": part.bytes,
            "formula": part.formula,
            "inputs": dict(part.inputs),
            "source": part.source,
        }
        for part in made.parts
    ]
    peaks = [
        {"name": peak.name, "bytes": peak.bytes, "kinds": by_kind(peak.parts), "parts": list(peak.parts)}
        for peak in made.peaks
    ]
    return {
        "live": made.hard_minimum,
        "reserved": [made.reserved.low, made.reserved.high],
        "context": [made.context.low, made.context.high],
        "parts": parts,
        "peaks": peaks,
        "peak": made.peak.name,
    }


def lengths_histogram(counts: Mapping[int, int]) -> list[list[int]]:
    """`[tokens, rows]` with the longest row of every stretch between two of EDGES, shorter first."""
    counted: Counter[int] = Counter()
    longest: dict[int, int] = {}
    for length, rows in counts.items():
        index = bisect_left(EDGES, length)
        counted[index] += rows
        longest[index] = max(length, longest.get(index, 0))
    return [[longest[index], counted[index]] for index in sorted(counted)]


def _card(card: FitCard) -> dict[str, Any]:
    return {"name": card.name, "bytes": card.bytes, "held": card.held, "argument": card.argument}


def _curve(curve: Sequence[tuple[str, int]], owner: str) -> dict[str, Any] | None:
    if not curve:
        return None
    phases = [{"name": name, "length": len(list(items))} for name, items in groupby(phase for phase, _ in curve)]
    return {"bytes": [size for _, size in curve], "phases": phases, "owner": owner}


def bar_kinds(made: Mapping[str, Any]) -> dict[str, int]:
    """Kind -> bytes at the highest moment, with what comes on top; as the bar draws them."""
    peak = next((item for item in made["peaks"] if item["name"] == made["peak"]), made["peaks"][0])
    found = {kind: int(peak["kinds"].get(kind, 0)) for kind in KINDS}
    found[ALLOCATOR] = max(0, sum(made["reserved"]) // 2 - made["live"])
    found[CONTEXT] = sum(made["context"]) // 2
    return {kind: size for kind, size in found.items() if size > 0}


def fit_html(shown: Mapping[str, Any], verdict: str) -> str:
    """A snapshot without script or style sheet: figures, the bar, and a table of kinds with their formulas.

    Args:
        shown: The payload.
        verdict: Word and reason; empty where no card is known.
    """
    made = shown["made"]
    kinds = bar_kinds(made)
    judged = f'<div style="font:13px sans-serif"><b>{escape(verdict)}</b></div>' if verdict else ""
    rows = "".join(_row(made, kind, size) for kind, size in kinds.items())
    return (
        f'<div class="wb-static"><div style="font:13px sans-serif"><b>{escape(shown["title"])}</b> '
        f"{escape(shown['subtitle'])}</div>{judged}"
        f'<div style="font:13px sans-serif;margin:4px 0">{escape(figures_text(made))}</div>'
        f"{_bar(kinds, shown['card'])}"
        f'<table style="font-size:12px"><tr><th>kind</th><th>size</th><th>largest part</th></tr>{rows}</table>'
        f'<pre style="font-size:12px;margin:4px 0">{escape(shown["code"])}</pre></div>'
    )


def _bar(kinds: Mapping[str, int], card: Mapping[str, Any] | None) -> str:
    """The kinds to scale, a line where the card ends, and words for both."""
    room = None if card is None else max(0, card["bytes"] - card["held"])
    needed = sum(kinds.values())
    top = max(needed, room or 0, 1)
    pieces = "".join(
        f'<div title="{escape(WORDS.get(kind, kind))}" '
        f'style="width:{100 * size / top:.2f}%;background:{COLOURS[kind]}"></div>'
        for kind, size in kinds.items()
    )
    words, limit = f"{gib(needed)} needed", ""
    if card is not None and room is not None:
        words += f"; the line: {gib(room)} of {card['name']}"
        limit = (
            f'<div style="position:absolute;left:{100 * room / top:.2f}%;height:26px;border-left:2px solid #000"></div>'
        )
    return (
        f'<div style="position:relative;display:flex;height:22px;max-width:720px;border:1px solid #888">{pieces}{limit}'
        f'</div><div style="font:12px sans-serif;margin:4px 0">{escape(words)}</div>'
    )


def _row(made: Mapping[str, Any], kind: str, size: int) -> str:
    parts = sorted((part for part in made["parts"] if part["kind"] == kind), key=lambda part: -part["bytes"])
    formula = f"<code>{escape(parts[0]['formula'])}</code> {escape(parts[0]['source'])}" if parts else ""
    square = f'<span style="display:inline-block;width:10px;height:10px;background:{COLOURS[kind]}"></span>'
    return (
        f"<tr><td>{square} {escape(WORDS.get(kind, kind))}</td>"
        f'<td style="text-align:right">{gib(size)}</td><td>{formula}</td></tr>'
    )


def figures_text(made: Mapping[str, Any]) -> str:
    """The figures in a line, with the moment that decides."""
    low, high = made["reserved"]
    text = f"at least {gib(made['live'])} (highest at: {made['peak']})"
    if sum(made["context"]):
        shown = [low + made["context"][0], high + made["context"][1]]
        text += f", expected {_between(low, high)}, nvidia-smi {_between(*shown)}"
    return text


def _between(low: int, high: int) -> str:
    return gib(low) if low == high else f"{gib(low)} to {gib(high)}"


def fit_figure(shown: Mapping[str, Any]) -> Any:
    """The bar over the card, and the moments of the step, as a plotly figure.

    Args:
        shown: The payload.
    """
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    made = shown["made"]
    kinds = bar_kinds(made)
    titles = (f"{shown['subtitle']}: {figures_text(made)}", "moments of the step, bytes alive")
    figure: Any = make_subplots(rows=2, cols=1, row_heights=[0.34, 0.66], vertical_spacing=0.2, subplot_titles=titles)
    names = [*KINDS, ALLOCATOR, CONTEXT]
    there = [name for name in names if name in kinds or any(name in peak["kinds"] for peak in made["peaks"])]
    for name in there:
        style: dict[str, Any] = {"color": COLOURS[name], "line": {"color": "#fff", "width": 1}}
        style["pattern"] = {"shape": PATTERNS.get(name, ""), "fgcolor": "#fff", "size": 5}
        word = WORDS.get(name, name)
        common = {"name": word, "legendgroup": name, "marker": style, "orientation": "h"}
        figure.add_trace(go.Bar(y=["needed"], x=[kinds.get(name, 0) / GIB], **common), row=1, col=1)
        sizes = [peak["kinds"].get(name, 0) / GIB for peak in made["peaks"]]
        labels = [peak["name"] for peak in made["peaks"]]
        figure.add_trace(go.Bar(y=labels, x=sizes, showlegend=False, **common), row=2, col=1)
    card = shown["card"]
    if card is not None:
        room = max(0, card["bytes"] - card["held"]) / GIB
        figure.add_vline(x=room, line_width=2, line_color="#000", row="all", col=1)
        figure.add_annotation(
            x=room, y=1, yref="y domain", text=f"{card['name']}: {room:.1f}", showarrow=False, yshift=9
        )
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(title="GiB", row=2, col=1)
    return figure.update_layout(barmode="stack", template="plotly_white", height=420, font_size=12)


PATTERNS = {
    "adapter": "|", "gradients": "/", "optimizer": ".", "logits": "\\", "reference model": "-", "generation": "x",
    "communication": "+", "other": "/", ALLOCATOR: "|",
}  # fmt: skip
"""Patterns of the plotly figure: no kind by its colour alone."""


def step_figure(shown: Mapping[str, Any]) -> Any:
    """Memory over the traced steps as a plotly figure; over the moments where nothing was traced.

    Args:
        shown: The payload.
    """
    import plotly.graph_objects as go

    made, curve = shown["made"], shown["curve"]
    figure = go.Figure()
    if curve is not None:
        line = {"width": 1, "color": COLOURS["activations"]}
        figure.add_scatter(y=[size / GIB for size in curve["bytes"]], fill="tozeroy", name="alive, traced", line=line)
        at = 0
        for phase in curve["phases"]:
            figure.add_vline(x=at, line_dash="dot", line_color="#888")
            at += phase["length"]
    else:
        labels = [peak["name"] for peak in made["peaks"]]
        for name in KINDS:
            sizes = [peak["kinds"].get(name, 0) / GIB for peak in made["peaks"]]
            if any(sizes):
                figure.add_scatter(x=labels, y=sizes, stackgroup="alive", name=name, line_color=COLOURS[name])
    reserved = sum(made["reserved"]) / 2 / GIB
    figure.add_hline(y=reserved, line_dash="dash", annotation_text=f"reserved {reserved:.1f}")
    card = shown["card"]
    if card is not None:
        room = max(0, card["bytes"] - card["held"]) / GIB
        figure.add_hline(y=room, annotation_text=f"{card['name']}: {room:.1f}")
    return figure.update_layout(yaxis_title="GiB", title=shown["subtitle"], template="plotly_white", height=360)
