"""See what a language model is trained on, whether it fits, and whether it gets better.

    import workbench as wb
    data = wb.data("chats.jsonl")
    enc = data.encode(wb.template("qwen2.5"), tokenizer="path-or-id")
    run = wb.recipe(enc, model="tiny-llama").launch(samples=["Hello?"])

Importing this imports nothing else: names are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for editors and type checkers; at run time names are loaded when first used
    from workbench._version import __version__
    from workbench.api.data import data
    from workbench.api.demo import demo
    from workbench.api.recipe import open, recipe
    from workbench.api.run import attach, runs, warm
    from workbench.api.tap import tap
    from workbench.api.template import template, templates
    from workbench.templates.samples import samples

_PUBLIC = {
    "attach": "workbench.api.run",
    "data": "workbench.api.data",
    "demo": "workbench.api.demo",
    "open": "workbench.api.recipe",
    "recipe": "workbench.api.recipe",
    "runs": "workbench.api.run",
    "samples": "workbench.templates.samples",
    "tap": "workbench.api.tap",
    "template": "workbench.api.template",
    "templates": "workbench.api.template",
    "warm": "workbench.api.run",
}

__all__ = [
    "__version__",
    "attach",
    "data",
    "demo",
    "open",
    "recipe",
    "runs",
    "samples",
    "tap",
    "template",
    "templates",
    "warm",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("workbench._version").__version__
    if name not in _PUBLIC:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)


def _jupyter_labextension_paths() -> list[dict[str, str]]:  # pyright: ignore[reportUnusedFunction]  # JupyterLab's hook
    """Where JupyterLab finds the prebuilt extension (used by development installs)."""
    return [{"src": "labextension", "dest": "finetune-workbench"}]


def _jupyter_server_extension_points() -> list[dict[str, str]]:  # pyright: ignore[reportUnusedFunction]  # server's
    """Tell Jupyter Server which module adds our routes."""
    return [{"module": "workbench.server"}]
