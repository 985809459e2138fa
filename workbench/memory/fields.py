"""Fields of a config.json, read with care: whole numbers in a range that a model can have.

positive({"hidden_size": 4096}, "hidden_size")  ->  4096
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.errors import ModelError

LARGEST: Mapping[str, int] = {"vocab_size": 2**27, "num_hidden_layers": 2**14, "depth": 2**14}
"""Largest values that are taken for meant; every other field may be up to a million."""


def positive(config: Mapping[str, Any], key: str, defaults: Mapping[str, int] | None = None) -> int:
    """A positive whole number of a config.

    Args:
        config: Values of config.json, or of a part of it.
        key: The field.
        defaults: Values of fields that config.json may leave out.

    Raises:
        ModelError: When it is missing, no whole number, below 1 or absurdly large (WB802).
    """
    value: Any = config.get(key)
    if value is None and defaults:
        value = defaults.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        word = (
            "has no" if value is None else f"has {key}={value!r}; the memory estimate needs a positive whole number for"
        )
        raise ModelError(
            f"config.json {word} {key}.",
            remedy="Use the model's own config.json.",
            code="WB802",
        )
    if value > LARGEST.get(key, 2**20):
        raise ModelError(
            f"config.json has {key}={value}; no model is known with more than {LARGEST.get(key, 2**20)}.",
            remedy="Use the model's own config.json.",
            code="WB802",
        )
    return value
