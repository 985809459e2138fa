"""A tokenizer handed to another process and taken there, proved to be the same.

    said = hand_over(tokenizer, folder)   # JSON, and files in the folder
    tokenizer = take_over(said)           # in the other process

Where the backend does all (tokens/backend.py), it is handed over as its own JSON and taken without transformers. Any
other tokenizer is saved and loaded again, with its class.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.errors import TokenizerError
from workbench.tokens.backend import Facts, Handed, cleans_up, stands_alone
from workbench.tokens.encode import Tokenizer, load_tokenizer, special_ids


def hand_over(tokenizer: Tokenizer, folder: Path) -> dict[str, Any]:
    """Write what the other process needs into a folder.

    Args:
        tokenizer: See `tokens.encode.load_tokenizer`.
        folder: Is there, and stays until the tokenizer is taken.

    Returns:
        What `take_over` needs, as JSON can hold it.

    Raises:
        TokenizerError: WB133 where the tokenizer cannot be written.
    """
    tokenizer("")  # resets what an earlier call may have left, such as truncation
    kind = type(tokenizer).__name__
    try:
        core = tokenizer.backend_tokenizer.to_str()
    except Exception as error:  # tokenizers raises no narrower one
        raise TokenizerError(
            f"The tokenizer ({kind}) cannot be written down: {error}", remedy="Use workers=1.", code="WB133"
        ) from error
    said = {"kind": kind, "digest": _digest(tokenizer, core)}
    if not stands_alone(tokenizer) or cleans_up(tokenizer):
        tokenizer.save_pretrained(str(folder / "tokenizer"))
        return {**said, "folder": str(folder / "tokenizer")}
    path = folder / "tokenizer.json"
    path.write_text(core, encoding="utf-8")
    return {**said, "file": str(path), "facts": Facts.of(tokenizer)._asdict()}


def take_over(said: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer of another process.

    Raises:
        TokenizerError: WB133 where it is not the same, WB130 where it cannot be loaded.
    """
    if "file" in said:
        from tokenizers import Tokenizer as Backend

        tokenizer = Handed(Backend.from_file(said["file"]), Facts(**said["facts"]))
    else:
        tokenizer = load_tokenizer(said["folder"])
        tokenizer("")
    if _digest(tokenizer, tokenizer.backend_tokenizer.to_str()) != said["digest"]:
        raise TokenizerError(
            f"The tokenizer ({said['kind']}) is not the same when it is saved and loaded again.",
            remedy="Use workers=1.",
            code="WB133",
        )
    return tokenizer


def _digest(tokenizer: Tokenizer, core: str) -> str:
    """Digest of everything that decides ids: the backend, the special tokens, and the class if one matters."""
    named = sorted((name, str(text)) for name, text in tokenizer.special_tokens_map.items() if isinstance(text, str))
    kind = None if stands_alone(tokenizer) else type(tokenizer).__name__
    return hashlib.sha256(json.dumps([core, named, sorted(special_ids(tokenizer)), kind]).encode()).hexdigest()
