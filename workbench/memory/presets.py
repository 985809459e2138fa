"""`config.json` values of well-known models, so that an estimate needs neither network nor weights.

    PRESETS["meta-llama/Llama-3.2-1B"]["hidden_size"]  ->  2048

Only fields that decide shapes are kept, in presets.json beside this file. Names that share shapes are listed together.
Written from what is published of each model, not read from the repositories: shapes are checked only by `parameters`,
the published number of parameters as we know it, with which they agree to the unit. Fields without weights, such as
sliding_window, are not checked. A model's own config.json, in its folder or in the hub's cache, is the better source.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_FOUND: list[dict[str, Any]] = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))

PRESETS: Mapping[str, Mapping[str, object]] = {name: item["config"] for item in _FOUND for name in item["names"]}

PUBLISHED: Mapping[str, int] = {item["names"][0]: item["parameters"] for item in _FOUND}
"""Published number of parameters, by the first name of its shapes."""


def nearest(model: str) -> str:
    """Names that look like a model's, for the remedy of an error; a few well-known ones where none does."""
    last = {name.rsplit("/", 1)[-1].lower(): name for name in PRESETS}
    found = difflib.get_close_matches(model.rsplit("/", 1)[-1].lower(), last, n=3)
    names = [last[name] for name in found] or [*PRESETS][:1]
    return f"{', '.join(names)} ({len(PRESETS)} names are known: workbench.memory.presets.PRESETS)"
