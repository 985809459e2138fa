"""See what a language model is trained on, whether it fits, and whether it gets better.

    import workbench as wb
    data = wb.data("chats.jsonl")
    enc = data.encode(wb.template("qwen2.5"), tokenizer="path-or-id")
    run = wb.recipe(enc, model="tiny-llama").launch(samples=["Hello?"])

Importing this imports nothing else: names are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import Any

_PUBLIC = {
    "attach": "workbench.api.run",
    "data": "workbench.api.data",
    "demo": "workbench.api.demo",
    "open": "workbench.api.recipe",
    "recipe": "workbench.api.recipe",
    "runs": "workbench.api.run",
    "template": "workbench.api.template",
    "templates": "workbench.api.template",
    "warm": "workbench.api.run",
}

__all__ = ["__version__", "attach", "data", "demo", "open", "recipe", "runs", "template", "templates", "warm"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("workbench._version").__version__
    if name not in _PUBLIC:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    """Where JupyterLab finds the prebuilt extension (used by development installs)."""
    return [{"src": "labextension", "dest": "finetune-workbench"}]


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    """Tell Jupyter Server which module adds our routes."""
    return [{"module": "workbench.server"}]
