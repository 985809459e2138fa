"""Notebooks for the tests in a real JupyterLab: saved ones, hostile ones, and what the page does behind our back."""

import json
from pathlib import Path
from typing import Any

from card_table import SHOWN
from hostile_texts import TEXTS

from workbench.api import comm
from workbench.api.html_export import STATIC
from workbench.views import BATCH_MIME, PAIRS_MIME, RUN_MIME, TOKENS_MIME

KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
AXE = Path(__file__).resolve().parents[3] / "node_modules" / "axe-core" / "axe.min.js"


def saved_notebook(bundles: list[dict[str, Any]], metadata: dict[str, Any] | None = None) -> str:
    """A notebook as it is on a disk, with one output a cell."""
    cells = [
        {
            "cell_type": "code", "id": f"c{i}", "metadata": {}, "execution_count": i + 1, "source": f"show_{i}",
            "outputs": [{"output_type": "execute_result", "execution_count": i + 1, "metadata": {}, "data": bundle}],
        }
        for i, bundle in enumerate(bundles)
    ]  # fmt: skip
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {**KERNEL, **(metadata or {})}, "cells": cells})


def all_cards(folder: Path, text: str = "Why does bread need salt?") -> dict[str, dict[str, Any]]:
    """The rich output of every card, as a kernel writes it, by the card's name."""
    made = {}
    for name, card in SHOWN.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        with comm.alone():
            made[name] = card.noun(text, folder / name)._repr_mimebundle_()
    return made


def crafted_notebook(folder: Path) -> str:
    """What somebody might send: our types with a handle or run id to reach for, wrong shapes, models of our widgets."""
    cards = all_cards(folder, "\n".join(TEXTS[:60]))
    tokens, run = cards["tokens"][TOKENS_MIME], cards["run"][RUN_MIME]
    bundles: list[dict[str, Any]] = [
        {TOKENS_MIME: {**tokens, "handle": "enc-1f2e3d4c", "row_count": 10**15}},
        {RUN_MIME: {**run, "id": "0007-k3f9", "live": True}},
        {RUN_MIME: {**run, "id": "../../api/contents", "live": True}},
        {BATCH_MIME: {**cards["batch"][BATCH_MIME], "handle": "enc-1f2e3d4c"}},
        {PAIRS_MIME: {**cards["pairs"][PAIRS_MIME], "handle": "enc-1f2e3d4c"}},
        {TOKENS_MIME: with_media(tokens, "http://evil.test/pixel.png")},
        {TOKENS_MIME: with_media(tokens, "javascript:window.__pwned=1")},
        {TOKENS_MIME: with_media(tokens, "data:text/html,<script>window.__pwned=1</script>")},
        {"application/vnd.jupyter.widget-view+json": {"model_id": "a" * 32, "version_major": 2, "version_minor": 0}},
    ]
    wrong: list[Any] = [None, 7, "text", [], {}, {"version": 1}, {"version": 99}, {**tokens, "rows": "x"}]
    wrong += [
        {**tokens, "rows": [{**tokens["rows"][0], "tokens": {"id": "0*999999999999"}}]},
        {**tokens, "first": 1e308},
    ]
    wrong += [{**tokens, "rows": [], "row_count": -1}, {**tokens, "__proto__": {"x": 1}}]
    for mime in (TOKENS_MIME, RUN_MIME, BATCH_MIME, PAIRS_MIME):
        bundles += [{mime: value, "text/plain": "x"} for value in wrong]
    return saved_notebook(bundles, {"widgets": {"application/vnd.jupyter.widget-state+json": _widget_state(tokens)}})


def with_media(payload: dict[str, Any], address: str) -> dict[str, Any]:
    """The payload, its first row with a picture from an address."""
    picture = {"start": 0, "end": 1, "name": "x", "thumbnail": address, "width": 10, "height": 10}
    return {**payload, "rows": [{**payload["rows"][0], "media": [picture]}]}


def _widget_state(payload: dict[str, Any]) -> dict[str, Any]:
    """The state of our own viewer with the sender's data in it.

    A module of the sender's own would run: anywidget 0.11 evaluates the `_esm` of every saved model of a notebook, be
    it trusted or not, with or without our extension (docs/saving-and-sharing.md): that tests nothing of ours.
    """
    state = {
        "_anywidget_id": "workbench.widgets.tokens.TokenViewer",
        "_esm": (STATIC / "tokens.js").read_text(),
        "_model_module": "anywidget", "_model_name": "AnyModel", "_model_module_version": "~0.11.*",
        "_view_module": "anywidget", "_view_name": "AnyView", "_view_module_version": "~0.11.*",
        "payload": {**payload, "handle": "widget", "row_count": 10**9},
    }  # fmt: skip
    model = {"model_name": "AnyModel", "model_module": "anywidget", "model_module_version": "~0.11.*", "state": state}
    return {"version_major": 2, "version_minor": 0, "state": {"a" * 32: model}}
