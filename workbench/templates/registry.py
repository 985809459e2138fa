"""Where chat templates come from: a tokenizer, a file, Jinja text, or a name.

    template("qwen2.5", …)   TRL's shipped template of that name, read from the installed package
    template("alpaca")       one of ours, in templates/shipped
    template("chats/my.jinja"), template("path/to/tokenizer"), template("{% for …")

A registry entry is a name for text that lives elsewhere: nothing is re-implemented, everything carries its sha256.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.metadata
import importlib.util
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from workbench.errors import TemplateError
from workbench.types import TemplateInfo

OURS = Path(__file__).parent / "shipped"


def names() -> dict[str, Path]:
    """Registry names and the file of each; ours first, then TRL's, with `.` and `_` alike in look-ups."""
    return {path.stem: path for folder in (_trl_folder(), OURS) if folder for path in sorted(folder.glob("*.jinja"))}


def find(source: str) -> TemplateInfo:
    """Read a template from a registry name, a .jinja file, a tokenizer folder or Jinja text.

    Hub ids are for the caller to resolve: they need a tokenizer.

    Raises:
        TemplateError: WB105 for a name that is none of these, with the nearest names; WB108 for a file that is no text.
    """
    if "{%" in source or "{{" in source:
        return info("inline", source, "Jinja text given in the call")
    path = Path(source).expanduser()
    if os.path.isdir(path):
        return from_folder(path)
    if os.path.isfile(path):
        return info(path.stem, _read(path), f"file {path.name}")
    known = names()
    found = {_plain(name): name for name in known}.get(_plain(source))
    if found is None:
        near = difflib.get_close_matches(_plain(source), [_plain(name) for name in known], n=3)
        hint = f"Nearest names: {', '.join(near)}." if near else f"{len(known)} names are in wb.templates()."
        raise TemplateError(
            f"No chat template {source!r}.", remedy=f"{hint} Or give a .jinja file or a tokenizer.", code="WB105"
        )
    return info(found, known[found].read_text(encoding="utf-8"), _origin(known[found]))


def from_folder(folder: Path) -> TemplateInfo:
    """The chat template saved beside a tokenizer: chat_template.jinja, or the key in tokenizer_config.json.

    Raises:
        TemplateError: WB106 where the folder holds neither, WB108 where they cannot be read.
    """
    config_path = folder / "tokenizer_config.json"
    config = _config(config_path) if config_path.is_file() else {}
    jinja_path = folder / "chat_template.jinja"
    source: Any = _read(jinja_path) if jinja_path.is_file() else config.get("chat_template")
    if isinstance(source, list):
        named = cast("list[dict[str, Any]]", source)
        source = next((item.get("template") for item in named if item.get("name") == "default"), None)
    if not isinstance(source, str):
        raise TemplateError(
            f"The tokenizer in {folder.name!r} has no chat template.",
            remedy='Choose one: wb.template("chatml"), or a .jinja file.',
            code="WB106",
        )
    return info(folder.name, source, f"tokenizer {folder.name}", special_tokens(config))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise TemplateError(
            f"{path.name} is not UTF-8 text: byte {error.start} is 0x{error.object[error.start]:02x}.",
            remedy="Save it as UTF-8.",
            code="WB108",
        ) from None


def _config(path: Path) -> dict[str, Any]:
    try:
        config: Any = json.loads(_read(path))
    except json.JSONDecodeError as error:
        raise TemplateError(
            f"{path.name} of {path.parent.name!r} is not JSON: {error.msg} at line {error.lineno}.",
            remedy="Copy the file again from where the tokenizer comes from.",
            code="WB108",
        ) from None
    return cast("dict[str, Any]", config) if isinstance(config, dict) else {}


def special_tokens(config: Mapping[str, Any]) -> dict[str, str]:
    """`bos_token` and its kind as text, from a tokenizer_config.json."""
    found: dict[str, str] = {}
    for key, value in config.items():
        if key.endswith("_token"):
            text = value.get("content") if isinstance(value, dict) else value
            if isinstance(text, str):
                found[key] = text
    return found


def info(name: str, source: str, origin: str, tokens: Mapping[str, str] | None = None) -> TemplateInfo:
    """A template with its hash."""
    digest = hashlib.sha256(source.encode("utf-8")).hexdigest()
    return TemplateInfo(name, source, digest, origin, dict(tokens or {}))


def _trl_folder() -> Path | None:
    """TRL's folder of templates, found without importing TRL (which takes seconds)."""
    spec = importlib.util.find_spec("trl")
    folder = (
        Path(spec.submodule_search_locations[0]) / "chat_templates"
        if spec and spec.submodule_search_locations
        else None
    )
    return folder if folder and folder.is_dir() else None


def _origin(path: Path) -> str:
    if path.parent == OURS:
        return "shipped with finetune-workbench"
    return f"trl {importlib.metadata.version('trl')}, chat_templates{os.sep}{path.name}"


def _plain(name: str) -> str:
    return name.lower().replace(".", "_").replace("-", "_")
