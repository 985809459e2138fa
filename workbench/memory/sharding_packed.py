"""Quantised weights over several devices: in which shape they are packed, what of them is cut, what is whole.

    bnb_4bit_quant_storage   uint8 (the default)        the run's bfloat16
    fsdp                     packed weights are whole   packed weights are cut, scales and code books are whole
    zero1, zero2             all of it is whole         the same
    zero3                    as in the right column     packed weights are cut, scales and code books are whole

Source: bitsandbytes 0.50, functional.py (quantize_4bit packs into one column of the storage type; int8 keeps its
shape) and nn/modules.py (scales are attributes of the weight and of its module, no parameters); accelerate 1.15,
utils/fsdp_utils.py, fsdp2_prepare_model (4-bit weights that are not floating are ignored parameters, and nothing is
cast to float32 where there are any).
"""

from __future__ import annotations

from collections.abc import Mapping

from workbench.errors import RecipeError
from workbench.memory.linear import Linear
from workbench.memory.settings import AnalyticSettings
from workbench.memory.shapes import Architecture
from workbench.memory.statics import packed_bytes

STORAGES: Mapping[str, int] = {"uint8": 1, "bfloat16": 2, "float16": 2, "float32": 4}
"""Types that 4-bit weights may be packed into, with the bytes of an element."""


def is_packed(item: Linear, settings: AnalyticSettings) -> bool:
    """Whether the module's weight is quantised: bitsandbytes leaves stacked experts as they are."""
    return settings.quantisation != "none" and item.reads != "expert"


def packed_shape(item: Linear, settings: AnalyticSettings) -> tuple[int, int, int]:
    """Rows, columns and bytes of an element of a quantised weight."""
    if settings.quantisation == "int8":
        return item.outputs, item.inputs, 1
    size = STORAGES[settings.bnb_4bit_quant_storage]
    return (item.inputs * item.outputs + 1) // (2 * size), 1, size


def quant_state_bytes(architecture: Architecture, settings: AnalyticSettings) -> int:
    """Bytes of scales and code books of all quantised weights: every rank has them whole."""
    found = 0
    for item in architecture.modules:
        if is_packed(item, settings):
            count = item.inputs * item.outputs
            packed = count if settings.quantisation == "int8" else (count + 1) // 2
            found += item.copies * (packed_bytes(count, item.outputs, settings.quantisation) - packed)
    return found


def is_cut(settings: AnalyticSettings) -> bool:
    """Whether FSDP2 cuts the packed weights: those that are stored as floating numbers."""
    return settings.sharding != "fsdp" or settings.bnb_4bit_quant_storage != "uint8"


def cuttable(settings: AnalyticSettings) -> str:
    """The storage type with which FSDP2 cuts 4-bit weights: the one that gathering leaves as it is."""
    return "bfloat16" if settings.compute_bytes == STORAGES["bfloat16"] else "float32"


def require_cuttable(settings: AnalyticSettings, strategy: str) -> None:
    """Refuse quantised weights that cannot be cut in this way.

    Raises:
        RecipeError: 8-bit weights with fsdp, and 4-bit ones whose storage would be cast when gathered (WB821).
    """
    if settings.quantisation == "none" or strategy != "fsdp":
        return
    if settings.quantisation == "int8":
        raise RecipeError(
            "8-bit weights cannot be cut by fsdp: bitsandbytes looks for their scales on the weight, and the gathered"
            " weight of FSDP2 has none.",
            remedy="Use 4-bit weights with bnb_4bit_quant_storage='bfloat16', or ddp.",
            code="WB821",
        )
    storage, fits = settings.bnb_4bit_quant_storage, cuttable(settings)
    if storage != "uint8" and STORAGES[storage] != STORAGES[fits]:
        raise RecipeError(
            f"4-bit weights packed into {storage} would be cast to {fits} when fsdp gathers them, which destroys them.",
            remedy=f"Use bnb_4bit_quant_storage={fits!r}.",
            code="WB821",
        )
