"""The GPUs of this machine, asked of the driver through nvidia-smi: total memory, and what others hold now.

Imports no torch and makes no CUDA context, so that looking takes no GPU memory. Other vendors' cards are not asked.
"""

from __future__ import annotations

import os
import shutil
import subprocess

from workbench.errors import RecipeError
from workbench.memory.cards import CARDS, DRIVER_KEEPS, MIB, Card, card_named, card_of_size

TIMEOUT_S = 10.0
_FIELDS = "index,name,memory.total,memory.used"


def local_cards() -> tuple[Card, ...]:
    """GPUs that nvidia-smi lists, in its order; empty where there is none or no driver answers."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    try:
        answer = subprocess.run(
            [program, f"--query-gpu={_FIELDS}", "--format=csv,noheader,nounits"],
            capture_output=True, text=True, timeout=TIMEOUT_S, check=True,
        ).stdout  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(card for line in answer.splitlines() if (card := read_line(line)) is not None)


def has_gpu() -> bool:
    """Whether this machine has a driver for NVIDIA GPUs and shows them to programs; asks nothing."""
    return shutil.which("nvidia-smi") is not None and os.environ.get("CUDA_VISIBLE_DEVICES") != ""


def read_line(line: str) -> Card | None:
    """A card from a line of nvidia-smi's CSV; None where it does not say its memory (MIG, a failed card)."""
    parts = [part.strip() for part in line.split(",")]
    if len(parts) != 4 or not parts[2].isdigit() or not parts[3].isdigit():
        return None
    index, name, total, used = parts[0], parts[1], int(parts[2]) * MIB, int(parts[3]) * MIB
    if total <= DRIVER_KEEPS:
        return None
    known = next((card for card in CARDS.values() if card.driver_bytes == total), None)
    seen = known.bytes if known else total - DRIVER_KEEPS
    source = "nvidia-smi of this machine; torch's share " + (f"as for {known.name}" if known else "0.48 GiB less")
    return Card(f"{name}, GPU {index} here", seen, total, f"{total // MIB} MiB", source, taken=used, local=name)


def freest_local_card() -> Card:
    """The GPU of this machine with the most memory left.

    Raises:
        RecipeError: When there is none (WB816).
    """
    found = local_cards()
    if not found:
        raise RecipeError(
            "No GPU was found in this machine (nvidia-smi gave none).",
            remedy="Name the card the run is for, such as --gpu 4090 or --gpu 24GB.",
            code="WB816",
        )
    return max(found, key=lambda card: card.free)


def named_card(text: str) -> Card:
    """A card by name or size; `local` is the freest GPU of this machine."""
    return freest_local_card() if text.strip().lower() == "local" else card_named(text)


def pick_card(gpu: str | None, card_gib: float | None) -> Card | None:
    """The card of the two ways to name one; None for neither.

    Raises:
        RecipeError: WB816 for both.
    """
    if gpu is not None and card_gib is not None:
        raise RecipeError(f"gpu={gpu!r} and card_gib={card_gib:g} both name a card.", remedy="Give one.", code="WB816")
    if gpu is not None:
        return named_card(gpu)
    return None if card_gib is None else card_of_size(card_gib)
