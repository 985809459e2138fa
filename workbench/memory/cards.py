"""GPUs by name: the memory that the driver reports, and what torch sees of it.

    card_named("rtx 4090").bytes  ->  25261834240       card_named("24GB").bytes  ->  25769803776

A marketing size ("80 GB") is neither: the driver's total (nvidia-smi, memory.total) is in MiB, and torch's
`total_memory` is 0.3 to 0.8 GiB less, because the driver keeps some. A run must fit into what torch sees.

Source: `driver_mib` as printed by nvidia-smi (driver 510 and later) and rocm-smi in public logs; of the four cards in
`UNSEEN` no log was read, their total is the data sheet's. `torch_gib` is the lowest that public training logs print as
`torch.cuda.get_device_properties(0).total_memory`; read in 2026. Where none was found it is the total less
`DRIVER_KEEPS`. Cards with ECC switched off report more (A40, A6000: +3 GiB); a row is the usual setting.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from workbench.errors import RecipeError
from workbench.memory.figures import GIB, gib

MIB = 2**20
DRIVER_KEEPS = round(0.48 * GIB)
"""Median of total less torch's figure over the twelve cards below that have both (0.25 to 0.85 GiB)."""

LARGEST_CARD = 16 * 1024 * GIB
"""A size above this is a slip of the keyboard."""


@dataclass(frozen=True, slots=True)
class Card:
    """A GPU, as far as memory goes.

    Attributes:
        name: What people call it.
        bytes: What torch sees of an empty one.
        driver_bytes: memory.total of nvidia-smi.
        nominal: The size on the box, in words.
        source: Where the figures come from.
        taken: Bytes that other processes hold now; 0 for a card from the table.
        local: What the driver calls it, for a card of this machine; empty for one from the table.
    """

    name: str
    bytes: int
    driver_bytes: int
    nominal: str
    source: str
    taken: int = 0
    local: str = ""

    @property
    def free(self) -> int:
        """Bytes this run may use, context included."""
        return max(0, self.bytes - self.taken)

    def to_dict(self) -> dict[str, object]:
        """Plain values, JSON-ready."""
        return {
            "name": self.name,
            "bytes": self.bytes,
            "driver_bytes": self.driver_bytes,
            "nominal": self.nominal,
            "taken_bytes": self.taken,
            "source": self.source,
        }

    def __str__(self) -> str:
        held = f", of which others hold {gib(self.taken)}" if self.taken else ""
        return f"{self.name} ({gib(self.bytes)} for torch{held})"


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of the table: driver's MiB, torch's GiB where it was found, further names."""

    driver_mib: int
    torch_gib: float | None
    nominal: str
    names: tuple[str, ...] = ()


_TABLE: Mapping[str, _Row] = {
    "GTX 1080 Ti": _Row(11264, None, "11 GB", ("1080ti",)),
    "RTX 2080 Ti": _Row(11264, None, "11 GB", ("2080ti",)),
    "RTX 3060": _Row(12288, 11.747, "12 GB", ("3060", "3060 12gb")),
    "RTX 3080": _Row(10240, None, "10 GB", ("3080",)),
    "RTX 3090": _Row(24576, 23.684, "24 GB", ("3090", "3090 ti")),
    "RTX 4060": _Row(8188, None, "8 GB", ("4060",)),
    "RTX 4060 Ti 16GB": _Row(16380, None, "16 GB", ("4060ti", "4060ti 16gb", "4060 ti")),
    "RTX 4070": _Row(12282, None, "12 GB", ("4070", "4070 super", "4070 ti")),
    "RTX 4080": _Row(16376, None, "16 GB", ("4080", "4080 super")),
    "RTX 4090": _Row(24564, 23.527, "24 GB", ("4090",)),
    "RTX 5070 Ti": _Row(16303, None, "16 GB", ("5070ti",)),
    "RTX 5080": _Row(16303, None, "16 GB", ("5080",)),
    "RTX 5090": _Row(32607, 31.342, "32 GB", ("5090",)),
    "RTX A4000": _Row(16376, None, "16 GB", ("a4000",)),
    "RTX A5000": _Row(24564, None, "24 GB", ("a5000",)),
    "RTX A6000": _Row(49140, 47.431, "48 GB", ("a6000",)),
    "RTX 6000 Ada": _Row(49140, None, "48 GB", ("6000 ada", "rtx 6000 ada generation", "a6000 ada")),
    "RTX PRO 6000 Blackwell": _Row(97887, None, "96 GB", ("pro 6000", "rtx pro 6000")),
    "V100 16GB": _Row(16384, None, "16 GB", ("v100", "v100-16", "v100-sxm2-16gb")),
    "V100 32GB": _Row(32768, None, "32 GB", ("v100-32", "v100-sxm2-32gb")),
    "T4": _Row(15360, 14.563, "16 GB", ("tesla t4",)),
    "L4": _Row(23034, 22.161, "24 GB"),
    "L40": _Row(46068, None, "48 GB"),
    "L40S": _Row(46068, 44.392, "48 GB"),
    "A10": _Row(23028, None, "24 GB"),
    "A10G": _Row(23028, None, "24 GB", ("g5",)),
    "A30": _Row(24576, None, "24 GB"),
    "A40": _Row(46068, None, "48 GB"),
    "A100 40GB": _Row(40960, 39.494, "40 GB", ("a100-40", "a100-sxm4-40gb", "a100-pcie-40gb")),
    "A100 80GB": _Row(81920, 79.151, "80 GB", ("a100", "a100-80", "a100-sxm4-80gb", "a100 80gb pcie", "a800")),
    "H100 80GB": _Row(81559, 79.179, "80 GB", ("h100", "h100-80", "h100 sxm", "h100 pcie", "h100 80gb hbm3", "h800")),
    "H100 NVL": _Row(95830, None, "94 GB", ("h100-94",)),
    "GH200": _Row(97871, None, "96 GB", ("gh200 96gb", "gh200 480gb", "h20")),
    "H200": _Row(143771, 139.7, "141 GB", ("h200 sxm", "h200 nvl")),
    "B200": _Row(183359, None, "180 GB"),
    "B300": _Row(275040, None, "288 GB"),
    "MI300X": _Row(196592, None, "192 GB", ("mi300", "instinct mi300x")),
}
"""Nominal sizes are the vendors' data sheets; they decide nothing here."""


UNSEEN = frozenset({"RTX 3080", "RTX 4060", "V100 16GB", "L40"})
"""Cards whose total is the vendor's data sheet, not a log."""


def _card(name: str, row: _Row) -> Card:
    driver = row.driver_mib * MIB
    if row.torch_gib is None:
        total = "vendor's data sheet" if name in UNSEEN else "driver's total in public logs"
        source = f"{total}; torch's share assumed 0.48 GiB less"
        return Card(name, driver - DRIVER_KEEPS, driver, row.nominal, source)
    return Card(name, int(row.torch_gib * GIB), driver, row.nominal, "driver's total and torch's, from public logs")


CARDS: Mapping[str, Card] = MappingProxyType({name: _card(name, row) for name, row in _TABLE.items()})
"""Cards by name, in the order of the table."""

LEAST_MODEL_NUMBER = 1000
"""From here a number without a unit is the name of a card."""
_SIZE = re.compile(r"([+-]?\d+(?:\.\d+)?(?:e\d+)?)\s*(gib|gb|g|mib|mb|)", re.IGNORECASE)
_VENDOR = re.compile(r"^(nvidia|amd|geforce|tesla|instinct|rtx|gtx|radeon)+")


def _key(text: str) -> str:
    """A name without case, spaces and dashes."""
    return re.sub(r"[^a-z0-9.]", "", text.lower())


def _bare(text: str) -> str:
    return _VENDOR.sub("", _key(text))


def _keys() -> dict[str, str]:
    found: dict[str, str] = {}
    for name, row in _TABLE.items():
        for known in (name, *row.names):
            found.setdefault(_key(known), name)
            found.setdefault(_bare(known), name)
    return found


def card_named(text: str) -> Card:
    """A card of the table by any of its names, or a size such as `24GB` or `24`.

    A size is read as GiB of memory that torch sees: no driver's share is taken off it.

    Raises:
        RecipeError: For a name that is not in the table, with the nearest ones (WB816); for a size that is not
            positive or beyond `LARGEST_CARD` (WB806).
    """
    keys = _keys()
    name = keys.get(_key(text)) or keys.get(_bare(text))
    size = _SIZE.fullmatch(text.strip())
    if size is not None and not size[2] and float(size[1]) >= LEAST_MODEL_NUMBER:
        size = None  # 4091 is a mistyped model, not 4,091 GiB
    if size is not None and (name is None or size[1][0] in "+-"):
        return card_of_size(float(size[1]) / (1024 if size[2].lower().startswith("m") else 1))
    if name is None:
        near = [keys[key] for key in difflib.get_close_matches(_bare(text) or _key(text), keys, n=4, cutoff=0.5)]
        hint = f"Nearest: {', '.join(dict.fromkeys(near))}." if near else f"Known: {', '.join(CARDS)}."
        raise RecipeError(
            f"No GPU named {text[:80]!r} is in the table.",
            remedy=f"{hint} Or give its size, such as 24GB, or local for the one in this machine.",
            code="WB816",
        )
    return CARDS[name]


def card_of_size(size_gib: float) -> Card:
    """A card of a size in GiB, as torch sees it.

    Raises:
        RecipeError: For a size that is not positive, not finite, or beyond `LARGEST_CARD` (WB806).
    """
    if not 0 < size_gib <= LARGEST_CARD / GIB:
        raise RecipeError(
            f"A GPU of {size_gib:g} GiB cannot hold a run.",
            remedy="Give its memory in GiB, such as 24, or its name (--gpu 4090).",
            code="WB806",
        )
    size = round(size_gib * GIB)
    return Card(f"{size_gib:g} GiB", size, size, f"{size_gib:g} GiB", "size as given, taken as what torch sees")
