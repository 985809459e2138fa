"""The picker without script: type, evidence, first rows, code; for viewers that show neither widgets nor our types."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any


def static_html(state: Mapping[str, Any]) -> str:
    """HTML of a state."""
    chosen = next((item for item in state["types"] if item["name"] == state["type"]), None)
    why = "".join(f"<li>{_sentence(item)}</li>" for item in chosen["evidence"]) if chosen else ""
    head = "".join(
        f"<th>{escape(column['name'])}{' → <b>' + escape(column['role']) + '</b>' if column['role'] else ''}</th>"
        for column in state["columns"]
    )
    body = "".join("<tr>" + "".join(f"<td>{_cell(cell)}</td>" for cell in row) + "</tr>" for row in state["preview"])
    source, fit = state["source"], state["fit"]
    return (
        f'<div><div style="font:13px sans-serif"><b>{escape(source["title"])}</b> {source["rows"]:,} rows, type '
        f"<b>{escape(state['type'] or 'unknown')}</b>, {fit['rows']:,} of {fit['total']:,} rows fit</div>"
        f'<ul style="font:12px sans-serif">{why}</ul><table style="font-size:12px"><tr>{head}</tr>{body}</table>'
        f'<pre style="font-size:12px">{escape(state["code"])}</pre></div>'
    )


def _sentence(item: Mapping[str, Any]) -> str:
    role = f" → <b>{escape(item['role'])}</b>" if item["role"] else ""
    return escape(item["text"]) + role


def _cell(cell: Any) -> str:
    if cell is None:
        return "<i>null</i>"
    if isinstance(cell, str):
        return escape(cell)
    said = "<br>".join(f"<b>{escape(item['role'])}:</b> {escape(item['text'])}" for item in cell["said"])
    return said + (f"<br>and {cell['more']} more" if cell["more"] else "")
