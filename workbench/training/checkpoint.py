"""Checkpoints that exist only when they are whole: a sha256 manifest, written last.

    seal(folder) -> sha256 of MANIFEST.json        verify(folder) -> same, or RunError that names the bad file

transformers' Trainer writes straight into `checkpoint-N`; a kill in the middle leaves a folder that looks like one
(seen: 6 of 11 random kills could not be resumed from the newest folder). So we resume only from what verifies.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from workbench.errors import RunError
from workbench.training.durable_io import publish_json, sync_file

MANIFEST = "MANIFEST.json"
_CHUNK_BYTES = 1 << 20


def seal(folder: Path) -> str:
    """Bring all files of a folder to the disk, write their sizes and sums as its manifest, and verify it.

    Returns:
        sha256 of the manifest, which stands for the whole folder.
    """
    entries = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST):
        sync_file(path)
        entries[path.relative_to(folder).as_posix()] = {"bytes": path.stat().st_size, "sha256": sha256(path)}
    publish_json(folder / MANIFEST, {"version": 1, "files": entries})
    return verify(folder)


def verify(folder: Path) -> str:
    """Check every file of a sealed folder and return the sha256 of its manifest.

    Raises:
        RunError: Naming the first file that is missing or differs.
    """
    remedy = "Resume from an older checkpoint."
    try:
        content = (folder / MANIFEST).read_bytes()
        files = json.loads(content)["files"]
    except FileNotFoundError:
        raise RunError(f"{folder} was never finished: it has no {MANIFEST}.", remedy=remedy, code="WB620") from None
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{folder / MANIFEST} is damaged: {error}.", remedy=remedy, code="WB621") from None
    for name, entry in files.items():
        path = folder / name
        if not path.is_file():
            raise RunError(f"{path} is missing from its checkpoint.", remedy=remedy, code="WB621")
        if path.stat().st_size != entry["bytes"] or sha256(path) != entry["sha256"]:
            raise RunError(f"{path} is not what was saved: its sha256 differs.", remedy=remedy, code="WB621")
    return hashlib.sha256(content).hexdigest()


def sha256(path: Path) -> str:
    """Hex sha256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_CHUNK_BYTES):
            digest.update(block)
    return digest.hexdigest()
