"""The template card without script: what a saved notebook shows on any viewer, and its plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import accumulate
from typing import Any

from workbench.views.xray import source_lines

STATIC_CHARACTERS = 4_000
"""Characters of the text that the static snapshot shows."""

STATIC_LINES = 60
"""Lines of the template that the static snapshot shows."""

MONO = "font:12px/1.6 Menlo,Consolas,'DejaVu Sans Mono',monospace"
SANS = "font:12px/1.5 sans-serif"
BOX = "border:1px solid #8886;border-radius:3px;padding:6px 10px;white-space:pre-wrap;overflow-wrap:anywhere"
DATA = "border-bottom:1px dotted currentColor"
PROMPT = "border-bottom:2px dashed #1976d2"
SIGNS = {"fails": "✗", "lacks": "–", "unknown": "?", "holds": "✓"}


def static_html(shown: Mapping[str, Any]) -> str:
    """Template with what each line made, text with what comes from the data underlined, properties in words."""
    view = shown["view"]
    lines = source_lines(view["source"])
    head = (
        f'<div style="font:13px sans-serif"><b>Template X-ray</b> {escape(shown["title"])}, {len(lines)} lines, '
        f"{escape(shown['origin'])}, sha256 <code>{escape(shown['sha256'][:12])}</code></div>"
    )
    found = "".join(_property(item) for item in shown["properties"])
    error = _error(view["error"])
    return (
        f'<div class="wb-static">{head}<div style="{SANS}">{found}</div>{error}{_text(view)}{_difference(view)}'
        f'<details><summary style="{SANS}">Jinja, with the tokens each line made</summary>'
        f"{_source(lines, view['made'])}</details></div>"
    )


def _property(item: Mapping[str, Any]) -> str:
    return f'<span style="margin-right:12px">{SIGNS[item["state"]]} {escape(item["says"])}</span>'


def _error(error: Mapping[str, Any] | None) -> str:
    if error is None:
        return ""
    line = "" if error["line"] is None else f"Line {error['line']}: "
    style = f"{SANS};border-left:3px solid #d32f2f;padding-left:8px;margin:4px 0"
    return (
        f'<div style="{style}"><b>{escape(error["code"])}</b> '
        f"{escape(line + error['message'])} {escape(error['remedy'])}</div>"
    )


def _text(view: Mapping[str, Any]) -> str:
    made = view["rendering"]
    if made is None:
        return ""
    runs, parts = made["runs"], list[str]()
    ends = list(accumulate(runs["length"]))
    for index, end in enumerate(ends):
        start = end - runs["length"][index]
        if start >= STATIC_CHARACTERS:
            break
        parts += _removed(made["cuts"], start, end)
        text = escape(made["text"][start : min(end, STATIC_CHARACTERS)].replace("\n", "↵\n"))
        from_data = made["fields"][runs["field"][index]] is not None and not runs["role"][index]
        prompt = made["prompt_start"] is not None and start >= made["prompt_start"]
        style = PROMPT if prompt else DATA if from_data else ""
        parts.append(f'<span style="{style}">{text}</span>' if style else text)
    more = made["characters"] - STATIC_CHARACTERS
    rest = f'<div style="{SANS}">… and {more:,} more characters</div>' if more > 0 else ""
    tokens = "" if made["token_count"] is None else f", {made['token_count']:,} tokens"
    words = f"{made['characters']:,} characters{tokens}; dotted underline is your data, plain is the template."
    return f'<div style="{MONO};{BOX}">{"".join(parts)}</div>{rest}<div style="{SANS}">{words}</div>'


def _removed(cuts: Sequence[Mapping[str, Any]], start: int, end: int) -> list[str]:
    return [
        f'<span style="{SANS};border:1px dashed #d32f2f;padding:0 4px">✗ {item["end"] - item["start"]:,} characters '
        "removed</span>"
        for item in cuts
        if start <= item["at"] < end
    ]


def _line(line: int | None) -> str:
    return "" if line is None else f"line {line}"


def _difference(view: Mapping[str, Any]) -> str:
    found = view["difference"]
    if found is None:
        return ""
    sides = "".join(
        f"<tr><td>{escape(side['name'])}</td><td><code>…{escape(side['before'][-20:])}<b>{escape(side['behind'][:60])}"
        f"</b></code></td><td>{_line(side['line'])}</td></tr>"
        for side in found["sides"]
    )
    return f'<div style="{SANS}">{escape(found["says"])}<table>{sides}</table></div>'


def _source(lines: Sequence[str], made: Mapping[str, Sequence[int]]) -> str:
    rows: list[str] = []
    for number, line in enumerate(lines[:STATIC_LINES], 1):
        count = made["tokens"][number - 1] or made["characters"][number - 1]
        removed = made["removed"][number - 1]
        rows.append(f"{number:>4} {count or '':>5} {f'−{removed}' if removed else '':>5}  {escape(line)}")
    more = len(lines) - STATIC_LINES
    rest = f"\n… and {more:,} more lines" if more > 0 else ""
    return f'<pre style="{MONO}">{chr(10).join(rows)}{rest}</pre>'


def plain_text(shown: Mapping[str, Any]) -> str:
    """The text, and what each line made of it."""
    view = shown["view"]
    made = view["rendering"]
    if made is None:
        error = view["error"]
        return f"Template {shown['title']}: {error['message']} {error['remedy']}" if error else str(shown["title"])
    counts = f"{made['characters']:,} characters" + (
        "" if made["token_count"] is None else f", {made['token_count']:,} tokens"
    )
    return f"Template {shown['title']}: {counts}\n{made['text'][:STATIC_CHARACTERS]}"
