"""The token viewer's payload, its static HTML and its plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import groupby
from typing import Any

from workbench.types import Reason, TemplateInfo
from workbench.views import compact
from workbench.views.reasons import SENTENCES

STATIC_TOKENS = 400
"""Tokens of a row that the static snapshot shows; a saved notebook must stay small."""

STYLE = (
    "font:12.5px/1.7 Menlo,Consolas,'DejaVu Sans Mono',monospace;border:1px solid #8886;border-radius:3px;"
    "padding:8px 12px;white-space:pre-wrap;overflow-wrap:anywhere"
)
TRAINED = "background:#1976d22e;border-bottom:2px solid #1976d2"
SPECIAL = "outline:1px solid #8889;border-radius:2px;padding:0 2px"


@dataclass(frozen=True, slots=True)
class Heading:
    """What stands around the rows.

    Attributes:
        title: Name of the data or batch.
        subtitle: Type, template and tokenizer.
        code: Python that gives this view.
        row_count: Rows that can be asked for.
        totals: rows, tokens, trained, truncated, errors, warnings.
        template: The chat template, for the inspector.
        handle: Kernel object to ask for other rows.
        badge: `{"state", "step", "difference"}` of the comparison with `forward()`.
        kind: `rows` or `batch`.
        first: Position shown first.
        colour_by: What the tokens are coloured by at first.
        problems: Kind of problem (`checks.kinds`) -> rows that have it.
        policy: `{"train_on", "train_on_eos"}` the rows were masked by; None where the page cannot change it.
    """

    title: str
    subtitle: str
    code: str
    row_count: int
    totals: Mapping[str, int]
    template: TemplateInfo | None = None
    handle: str | None = None
    badge: Mapping[str, Any] | None = None
    kind: str = "rows"
    first: int = 0
    colour_by: str = "trained"
    problems: Mapping[str, int] = field(default_factory=dict[str, int])
    policy: Mapping[str, str] | None = None


def payload(rows: Sequence[dict[str, Any]], heading: Heading) -> dict[str, Any]:
    """Everything the viewer shows (docs/wire.md section 4); rows are made by `columns.row_view` and its kin."""
    return {
        "version": 1,
        "kind": heading.kind,
        "handle": heading.handle,
        "title": heading.title,
        "subtitle": heading.subtitle,
        "row_count": heading.row_count,
        "totals": dict(heading.totals),
        "first": heading.first,
        "rows": list(rows),
        "template": template_view(heading.template),
        "reasons": {str(reason): text for reason, text in SENTENCES.items()},
        "badge": dict(heading.badge) if heading.badge else None,
        "code": heading.code,
        **_unusual(heading),
    }


def _unusual(heading: Heading) -> dict[str, Any]:
    """Members that a payload has only where they say something: every output of a notebook carries them."""
    said: dict[str, Any] = {}
    if heading.colour_by != "trained":
        said["colour_by"] = heading.colour_by
    if heading.problems:
        said["problems"] = dict(heading.problems)
    if heading.policy:
        said["policy"] = dict(heading.policy)
    return said


def explained(shown: Mapping[str, Any], template: TemplateInfo | None) -> dict[str, Any]:
    """A row to send by itself, or what has rows in it: each with the template lines and the sentences it uses."""
    lines = template.source.splitlines() if template else []
    return compact.explained(shown, lines, {str(reason): text for reason, text in SENTENCES.items()})


def template_view(template: TemplateInfo | None) -> dict[str, Any] | None:
    """A template for the inspector: its lines and where they came from."""
    if template is None:
        return None
    lines = template.source.splitlines()
    return {"name": template.name, "sha256": template.sha256, "origin": template.origin, "lines": lines}


def counts(row: Mapping[str, Any]) -> str:
    """`251 tokens, 178 trained (71 %)`."""
    tokens, trained = len(row["tokens"]["id"]), sum(row["tokens"]["trained"])
    share = round(100 * trained / tokens) if tokens else 0
    return f"{tokens:,} tokens, {trained:,} trained ({share} %)"


def static_html(view: Mapping[str, Any]) -> str:
    """A snapshot without script or style sheet: what a saved notebook shows on any viewer."""
    rows = [row for row in view["rows"] if row["position"] == view["first"]] or list(view["rows"][:1])
    head = f"<b>{escape(view['title'])}</b> <span>{escape(view['subtitle'])}</span>"
    blocks = [row_html(row) for row in rows]
    return (
        f'<div class="wb-static"><div style="font:13px sans-serif">{head}</div>{"".join(blocks)}{legend_html()}</div>'
    )


def legend_html() -> str:
    """What the marks of `row_html` mean."""
    return (
        f'<div style="font:12px sans-serif;margin-top:6px"><span style="{TRAINED}">trained</span> is filled and '
        "underlined, masked is plain; a loss is computed on trained tokens only.</div>"
    )


def row_html(row: Mapping[str, Any], *, titled: bool = True, most: int = STATIC_TOKENS) -> str:
    """One row of a snapshot: its title and counts, its tokens (at most so many), its findings."""
    tokens = row["tokens"]
    shown = range(min(len(tokens["id"]), most))
    starts = {document["start"] for document in row["documents"]}
    parts: list[str] = []
    for style, group in groupby(shown, key=lambda i: _style(tokens, i, starts)):
        indices = list(group)
        if indices[0] in starts and indices[0]:
            parts.append('<hr style="border:0;border-top:1px dashed #888;margin:4px 0">')
        text = escape("".join(_shown_text(tokens, i) for i in indices))
        parts.append(f'<span style="{style[0]}">{text}</span>' if style[0] else text)
    more = len(tokens["id"]) - len(shown)
    rest = f'<div style="font:12px sans-serif">… and {more:,} more tokens</div>' if more > 0 else ""
    findings = "".join(
        f'<div style="font:12px sans-serif;border-left:3px solid #f57c00;padding-left:8px;margin-top:4px">'
        f"<b>{escape(item['code'])}</b> {escape(item['message'])} {escape(item['remedy'])}</div>"
        for item in row["findings"][:5]
    )
    title = f'<div style="font:12px sans-serif;margin:4px 0">{escape(row["title"])}: {escape(counts(row))}</div>'
    return f'{title if titled else ""}<div style="{STYLE}">{"".join(parts)}</div>{rest}{findings}'


def _style(tokens: Mapping[str, Any], i: int, starts: set[int]) -> tuple[str, int]:
    """Style of a token, and the document it stands in: neighbours that share both share a span."""
    wanted = (TRAINED if tokens["trained"][i] else "", SPECIAL if tokens["special"][i] else "")
    return ";".join(style for style in wanted if style), sum(start <= i for start in starts)


def _shown_text(tokens: Mapping[str, Any], i: int) -> str:
    return f"[{tokens['bytes'][i]}]" if tokens["bytes"][i] else tokens["text"][i].replace("\n", "↵\n")


def plain_text(view: Mapping[str, Any]) -> str:
    """The beginning of the first row as text, trained parts in ⟦…⟧."""
    rows = [row for row in view["rows"] if row["position"] == view["first"]] or list(view["rows"][:1])
    return "\n".join(
        [f"{view['title']} ({view['subtitle']})", *(f"{row['title']}: {counts(row)}\n{_begin(row)}" for row in rows)]
    )


def _begin(row: Mapping[str, Any]) -> str:
    more = len(row["tokens"]["id"]) - STATIC_TOKENS
    return marked(row, STATIC_TOKENS) + (f"\n… and {more:,} more tokens" if more > 0 else "")


def marked(row: Mapping[str, Any], most: int | None = None) -> str:
    """A row's text, or its first tokens, with its trained parts in ⟦…⟧."""
    tokens = row["tokens"]
    out: list[str] = []
    on = False
    for i, text in enumerate(tokens["text"][:most]):
        if bool(tokens["trained"][i]) != on:
            out.append("⟦" if not on else "⟧")
            on = not on
        if row["tables"]["reason"][tokens["reason"][i]] != Reason.PADDING:
            out.append(text or (f"[{tokens['bytes'][i]}]" if tokens["bytes"][i] else ""))
    return "".join([*out, "⟧" if on else ""])
