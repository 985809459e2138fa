"""PYTORCH_CUDA_ALLOC_CONF, as far as it changes what the caching allocator reserves.

    Settings.from_text("expandable_segments:True,max_split_size_mb:128")

Source: torch 2.13, c10/core/AllocatorConfig.h.
"""

from __future__ import annotations

from dataclasses import dataclass

from workbench.errors import RecipeError

MIB = 2**20
LARGE_SEGMENT = 20 * MIB
"""What requests of the large pool below 10 MiB take from the driver (large_segment_size_mb, 20 by default)."""


@dataclass(frozen=True, slots=True)
class Settings:
    """PYTORCH_CUDA_ALLOC_CONF, as far as it changes what is reserved.

    Attributes:
        max_split_size: Blocks of at least this many bytes are never split; None splits all.
        roundup_power2_divisions: Steps between two powers of two that requests are rounded up to; 0 rounds to 512.
        expandable_segments: Whether a segment grows by pages instead of a new one being taken.
    """

    max_split_size: int | None = None
    roundup_power2_divisions: int = 0
    expandable_segments: bool = False

    @classmethod
    def from_text(cls, text: str) -> Settings:
        """Read the value of the environment variable; options that do not change sizes are passed over.

        Raises:
            RecipeError: For a value that is no number, or out of torch's range (WB807).
        """
        values: dict[str, str] = {}
        for item in text.split(","):
            name, _, value = item.partition(":")
            values[name.strip()] = value.strip()
        split = _whole(values, "max_split_size_mb")
        if split is not None and split <= LARGE_SEGMENT // MIB:
            raise _bad("max_split_size_mb", str(split), f"more than {LARGE_SEGMENT // MIB}")
        divisions = _whole(values, "roundup_power2_divisions") or 0
        if divisions and divisions & (divisions - 1):
            raise _bad("roundup_power2_divisions", str(divisions), "a power of two; steps by size are not known here")
        expandable = values.get("expandable_segments", "False")
        if expandable not in ("True", "False"):
            raise _bad("expandable_segments", expandable, "True or False")
        return cls(None if split is None else split * MIB, divisions, expandable == "True")


def _whole(values: dict[str, str], name: str) -> int | None:
    value = values.get(name)
    if value is None:
        return None
    if not value.isdecimal():
        raise _bad(name, value, "a whole number")
    return int(value)


def _bad(name: str, value: str, want: str) -> RecipeError:
    return RecipeError(
        f"PYTORCH_CUDA_ALLOC_CONF has {name}:{value}.",
        remedy=f"It must be {want}.",
        code="WB807",
    )
