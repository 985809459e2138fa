"""PEFT's methods that decompose or cluster weights when they are made or first run, where weights have no values.

What comes out has shapes that do not depend on the values, or hardly: those are made, and a sentence says so.

Source: peft 0.21, tuners/adamss/utils.py (clusters of rows), tuners/lora/layer.py (mica_init),
tuners/lora/variants.py (KaSA truncates the base weight, in place and once).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.util import find_spec
from types import ModuleType
from typing import Any
from unittest import mock

import torch


def value_patches(adapter: Mapping[str, Any], notes: list[str]) -> list[Any]:
    """What stands in for values while an adapter is made and runs.

    Args:
        adapter: Fields of PEFT's config.
        notes: Gets a sentence for what is taken for granted.
    """
    kind = str(adapter.get("peft_type", "LORA")).upper().rsplit(".", 1)[-1]
    if kind == "ADAMSS":
        notes.append("AdaMSS: rows are clustered by values; clusters of equal size are taken")
        return _adamss()
    if str(adapter.get("init_lora_weights")).lower() == "mica":
        from peft.tuners.lora import layer

        notes.append("MiCA: singular vectors are not made; B is frozen, as there")
        return [mock.patch.object(layer.LoraLayer, "mica_init", lambda self, name: None)]
    if adapter.get("kasa_config"):
        from peft.tuners.lora import variants

        notes.append("KaSA: the base weights are truncated before the first step, which a trace leaves out")
        truncate = staticmethod(lambda module, name: None)
        return [mock.patch.object(variants.KasaLinearVariant, "_apply_deferred_truncation", truncate)]
    return []


def _adamss() -> list[Any]:
    from peft.tuners.adamss import layer

    found = [
        mock.patch.object(layer, "clustering_Z", _equal_clusters),
        mock.patch.object(layer, "slice_pca", _shapes_of_pca),
    ]
    if find_spec("sklearn") is None:  # its config only asks whether it is there
        found.append(mock.patch.dict(sys.modules, {"sklearn": ModuleType("sklearn")}))
    return found


def _equal_clusters(rows: Any, count: int, *_: Any) -> tuple[torch.Tensor, int]:
    count = min(count, rows.shape[0])
    return torch.arange(rows.shape[0]) * count // rows.shape[0], count


def _shapes_of_pca(tensor: Any, r: int, device: Any, dtype: Any, **_: Any) -> tuple[Any, Any]:
    one, two, height, width = tensor.shape
    rank = min(r, height, width)
    made = [torch.zeros(shape, dtype=dtype, device="meta") for shape in ((rank, width), (height, rank))]
    return made[0].expand(one, two, rank, width), made[1].expand(one, two, height, rank)
