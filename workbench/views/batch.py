"""A batch as lanes: its payload (docs/wire.md section 4), its static HTML, its plain text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from workbench.tokens.lanes import Document, Grid, Lane, cumulative_lengths
from workbench.views.compact import compact, figures, numbers

MOST_SPANS = 40
"""Trained stretches that are drawn of one document."""

STATIC_LANES = 12

Losses = Sequence[Sequence[float | None]]
"""Loss in nats by token, of the shape of input_ids; None where no token comes before."""


class Heading(NamedTuple):
    """What stands around the lanes.

    Attributes:
        title: Which batch it is.
        subtitle: What it is made of.
        code: Python that gives this view, with the line that compares it where there is one.
        width: Tokens a lane has room for.
        handle: Kernel object to ask for tokens.
        step: Optimiser step and micro batch it belongs to, for the code line.
    """

    title: str
    subtitle: str
    code: str
    width: int
    handle: str | None = None


def payload(
    lanes: Sequence[Lane],
    arrays: Mapping[str, Grid],
    heading: Heading,
    verdict: Mapping[str, Any],
    losses: Losses | None = None,
) -> dict[str, Any]:
    """Everything the card shows but the tokens of documents, which are asked for.

    Args:
        lanes: Of the batch.
        arrays: The batch's arrays.
        heading: What stands around them.
        verdict: See `workbench.api.batch_verdict.verdict`; its `columns` say which columns differ.
        losses: Loss by token, where it is known.
    """
    columns: Mapping[str, Grid] = verdict.get("columns") or {}
    is_packed = "position_ids" in arrays
    tokens = sum(lane.tokens for lane in lanes)
    return {
        "version": 1,
        "handle": heading.handle,
        "title": heading.title,
        "subtitle": heading.subtitle,
        "layout": "packed" if is_packed else "padded",
        "width": heading.width,
        "arrays": [{"name": name, "shape": [len(rows), len(rows[0])]} for name, rows in arrays.items()],
        "figures": {
            "slots": heading.width * len(lanes),
            "tokens": tokens,
            "padding": sum(lane.padding for lane in lanes),
            "trained": sum(document.trained for lane in lanes for document in lane.documents),
            "documents": sum(len(lane.documents) for lane in lanes),
            "loss": _mean_loss(lanes, arrays, losses),
        },
        "lanes": [
            {
                "documents": [_document(document, arrays, columns, losses) for document in lane.documents],
                "tokens": lane.tokens,
                "padding": lane.padding,
            }
            for lane in lanes
        ],
        "cu_seqlens": cumulative_lengths(arrays["position_ids"]) if is_packed else None,
        "verdict": {name: value for name, value in verdict.items() if name != "columns"},
        "opened": None,
        "code": heading.code,
    }


def wire(shown: Mapping[str, Any]) -> dict[str, Any]:
    """The payload as outputs and widgets hold it: documents are columns, and a column is one string."""
    made = compact({**shown, "lanes": []})
    made["lanes"] = [_lane_columns(lane) for lane in shown["lanes"]]
    made["cu_seqlens"] = None if shown["cu_seqlens"] is None else numbers(shown["cu_seqlens"])
    return made


def _lane_columns(lane: Mapping[str, Any]) -> dict[str, Any]:
    documents = lane["documents"]
    spans = [item["start"] + at for item in documents for span in item["spans"] for at in span]
    losses = [item["loss"] for item in documents]
    return {
        "row": numbers([item["row"] for item in documents]),
        "length": numbers([item["length"] for item in documents]),
        "trained": numbers([item["trained"] for item in documents]),
        "first_masked": numbers([int(item["first_masked"]) for item in documents]),
        "differs": numbers([item["differs"] for item in documents]),
        "loss": None if all(loss is None for loss in losses) else figures(losses),
        "spans": numbers(spans),
        "padding": lane["padding"],
    }


def _document(
    document: Document, arrays: Mapping[str, Grid], columns: Mapping[str, Grid], losses: Losses | None
) -> dict[str, Any]:
    at, end = document.at, document.at + document.length
    differing = {column for rows in columns.values() for column in rows[document.line] if at <= column < end}
    return {
        "row": document.row,
        "start": document.start,
        "at": at,
        "length": document.length,
        "trained": document.trained,
        "spans": [list(span) for span in merged(document.spans, MOST_SPANS)],
        "first_masked": document.first_masked,
        "differs": len(differing),
        "loss": None if losses is None else _mean(trained_losses(document, losses)),
    }


def merged(spans: Sequence[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    """At most so many stretches: those with the smallest gaps between them become one."""
    out = list(spans)
    if len(out) <= most:
        return out
    gaps = sorted(range(1, len(out)), key=lambda i: out[i][0] - out[i - 1][1])[: len(out) - most]
    closed = frozenset(gaps)
    made: list[tuple[int, int]] = []
    for i, span in enumerate(out):
        if i in closed:
            made[-1] = (made[-1][0], span[1])
        else:
            made.append(span)
    return made


def trained_losses(document: Document, losses: Losses) -> list[float]:
    """Losses of a document's trained tokens."""
    line = losses[document.line]
    found = (line[document.at + i] for start, end in document.spans for i in range(start, end))
    return [value for value in found if value is not None]


def _mean_loss(lanes: Sequence[Lane], arrays: Mapping[str, Grid], losses: Losses | None) -> float | None:
    if losses is None:
        return None
    return _mean([value for lane in lanes for document in lane.documents for value in trained_losses(document, losses)])


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


# Words

VERDICTS = {"agrees": "Agrees with step {step}", "differs": "Differs from step {step}", "unchecked": "Not checked"}


def plain_text(shown: Mapping[str, Any]) -> str:
    """The batch in a few lines: figures, lanes, verdict."""
    lines = [f"{shown['title']} ({shown['subtitle']})", figures_line(shown)]
    for index, lane in enumerate(shown["lanes"][:STATIC_LANES]):
        documents = " | ".join(f"row {item['row']}: {item['length']:,}" for item in lane["documents"])
        lines.append(f"  {index}: {documents}{_rest(shown, lane)}")
    more = len(shown["lanes"]) - STATIC_LANES
    if more > 0:
        lines.append(f"  … and {more} more lanes")
    lines.append(verdict_line(shown["verdict"]))
    return "\n".join(lines)


def figures_line(shown: Mapping[str, Any]) -> str:
    """Tokens, padding, trained share, efficiency, rows saved."""
    figures = shown["figures"]
    slots, tokens = figures["slots"] or 1, figures["tokens"] or 1
    parts = [
        f"{100 * figures['tokens'] / slots:.1f} % of {figures['slots']:,} slots are text",
        f"{figures['tokens']:,} tokens, {figures['padding']:,} padding",
        f"{figures['trained']:,} trained ({round(100 * figures['trained'] / tokens)} %)",
    ]
    if shown["layout"] == "packed" and shown["lanes"]:
        saved = figures["documents"] / len(shown["lanes"])
        parts.append(f"{saved:.1f} × fewer rows than without packing")
    if figures["loss"] is not None:
        parts.append(f"loss {figures['loss']:.4f} over the trained tokens")
    return "; ".join(parts)


def verdict_line(verdict: Mapping[str, Any]) -> str:
    """The verdict in words, with the first difference and its cause."""
    step = "forward()" if verdict["step"] is None else verdict["step"]
    words = VERDICTS[verdict["state"]].format(step=step)
    difference, cause = verdict["difference"], verdict["cause"]
    if difference is None:
        return words
    place = ", ".join(map(str, difference["index"]))
    said = f"{words}: {difference['key']}[{place}] is {difference['theirs']}, planned {difference['ours']}."
    if difference["ours"] is None and difference["theirs"] is None:
        said = f"{words}: {difference['what']}."
    return said if cause is None else f"{said} {cause['code']}: {cause['message']} {cause['remedy']}"


def _rest(shown: Mapping[str, Any], lane: Mapping[str, Any]) -> str:
    if lane["padding"]:
        return f" | {lane['padding']:,} padding"
    free = shown["width"] - lane["tokens"]
    return f" | {free:,} free" if free > 0 else ""


FONT = "font:12px sans-serif"
HATCH = "repeating-linear-gradient(135deg,#999 0 1px,transparent 1px 5px)"


def static_html(shown: Mapping[str, Any]) -> str:
    """A snapshot without script or style sheet: lanes to scale, figures, verdict."""
    head = f"<b>{escape(shown['title'])}</b> <span>{escape(shown['subtitle'])}</span>"
    lanes = "".join(_lane_html(shown, index) for index in range(min(STATIC_LANES, len(shown["lanes"]))))
    more = len(shown["lanes"]) - STATIC_LANES
    rest = f'<div style="{FONT}">… and {more} more lanes</div>' if more > 0 else ""
    legend = (
        f'<div style="{FONT}">Each block is a document, to scale: data row and length; the bar at its foot is what is '
        "trained, hatching is padding or room left free.</div>"
    )
    return (
        f'<div class="wb-static"><div style="font:13px sans-serif">{head}</div>'
        f'<div style="{FONT};margin:4px 0">{escape(figures_line(shown))}</div>{lanes}{rest}{legend}'
        f'<div style="{FONT};margin-top:4px"><b>{escape(verdict_line(shown["verdict"]))}</b></div></div>'
    )


def _lane_html(shown: Mapping[str, Any], index: int) -> str:
    lane, width = shown["lanes"][index], shown["width"] or 1
    blocks = "".join(_block_html(item, width) for item in lane["documents"])
    empty = max(0, width - lane["tokens"])
    if empty:
        blocks += (
            f'<span title="{empty:,} {"padding" if lane["padding"] else "free"}" style="flex:none;width:'
            f'{100 * empty / width:.3f}%;background:{HATCH};border:1px dashed #999;box-sizing:border-box"></span>'
        )
    return (
        f'<div style="display:flex;height:30px;margin:2px 0;{FONT}"><span style="width:24px">{index}</span>'
        f'<span style="display:flex;flex:1;min-width:0">{blocks}</span></div>'
    )


def _block_html(item: Mapping[str, Any], width: int) -> str:
    stops: list[str] = []
    for start, end in item["spans"]:
        a, b = (100 * at / item["length"] for at in (start, end))
        stops += [f"transparent {a:.2f}%", f"#1976d2 {a:.2f}% {b:.2f}%", f"transparent {b:.2f}%"]
    bar = f"background:linear-gradient(to right,{','.join(stops)}) bottom/100% 6px no-repeat;" if stops else ""
    mark = "≠ " if item["differs"] else ""
    title = f"data row {item['row']}: {item['length']:,} tokens, {item['trained']:,} trained"
    return (
        f'<span title="{title}" style="flex:none;'
        f"width:{100 * item['length'] / width:.3f}%;overflow:hidden;white-space:nowrap;box-sizing:border-box;"
        f'border:1px solid #888;{bar}">{mark}row {item["row"]} {item["length"]:,}</span>'
    )
