"""tiny-llama: a Llama small enough to ship, and to fine-tune on two CPU cores while you watch.

    model_path()            folder for AutoModelForCausalLM.from_pretrained and AutoTokenizer.from_pretrained
    rows_path("train")      chat rows as JSON lines; the prompts of "dev" and "heldout" are never trained on
    RECIPE["lora"]          recommended settings, named as in peft's LoraConfig and TRL's SFTConfig
    SAMPLES                 held-out prompts to watch while it learns, each a tuple of messages
    verify()                are the shipped files the ones in SHA256SUMS?

Importing this needs the standard library only. What the model knows is made up: see `world`. How it was made,
and what it can and cannot do: docs/tiny-llama.md.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

__all__ = ["RECIPE", "SAMPLES", "model_path", "rows_path", "verify"]

_ASSETS = Path(__file__).parent / "assets"
_SPLITS = ("train", "dev", "heldout")

# Chosen on the dev rows; measured in docs/tiny-llama.md.
RECIPE: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "lora": MappingProxyType(
            {
                "learning_rate": 2e-3,
                "max_steps": 120,
                "per_device_train_batch_size": 32,
                "lr_scheduler_type": "cosine",
                "warmup_steps": 10,
                "weight_decay": 0.0,
                "r": 16,
                "lora_alpha": 32,
                "lora_dropout": 0.0,
                "target_modules": "all-linear",
            }
        ),
        "full": MappingProxyType(
            {
                "learning_rate": 5e-4,
                "max_steps": 120,
                "per_device_train_batch_size": 32,
                "lr_scheduler_type": "cosine",
                "warmup_steps": 10,
                "weight_decay": 0.0,
            }
        ),
    }
)

# Held-out prompts that show the change from completing text to answering: a fact, a voice, a format, numbers.
SAMPLES: tuple[tuple[Mapping[str, str], ...], ...] = (
    ({"role": "user", "content": "Where does Kipwick live?"},),
    (
        {"role": "system", "content": "Talk like a pirate."},
        {"role": "user", "content": "Which food should I bring to Hobsy?"},
    ),
    (
        {"role": "system", "content": "Answer with a tool call: letter, parcel or ship."},
        {"role": "user", "content": "Write a letter to Wildle in Thistledown."},
    ),
    ({"role": "user", "content": "Please count from 9 up to 14."},),
)


def model_path() -> Path:
    """Return the folder of the base model and its tokenizer."""
    return _ASSETS


def rows_path(split: str) -> Path:
    """Return the file of chat rows of one split: train, dev or heldout.

    Raises:
        ValueError: There is no such split.
    """
    if split not in _SPLITS:
        raise ValueError(f"tiny-llama has no split {split!r}; its splits are {', '.join(_SPLITS)}.")
    return _ASSETS / f"chat_{split}.jsonl"


def verify() -> None:
    """Compare every shipped file with SHA256SUMS.

    Raises:
        RuntimeError: A file is missing or differs.
    """
    for line in (_ASSETS / "SHA256SUMS").read_text().splitlines():
        expected, name = line.split("  ", 1)
        path = _ASSETS / name
        if not path.is_file():
            raise RuntimeError(f"tiny-llama is incomplete: {path} is missing. Install the package again.")
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != expected:
            raise RuntimeError(
                f"tiny-llama is damaged: {path} has SHA-256 {found}, expected {expected}. Install the package again."
            )
