"""One self-contained HTML file with a card: opens from a disk, asks nobody for anything.

The file holds the built module, the style sheet, the payload and the static copy. Its content security policy lets only
these scripts run, by their hashes, and lets nothing be loaded. The static copy shows where no script runs and in
print.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Mapping
from html import escape
from typing import Any, NamedTuple

EXPORT = re.compile(r"export\s*\{\s*([\w$]+) as default\s*\};?\s*$")


class Parts(NamedTuple):
    """What a page is made of.

    Attributes:
        title: Of the page, plain text.
        static: HTML of ours, without script, that shows the same.
        style: Style sheets.
        module: The card's module, an ES module whose last statement exports its default; None where there is no card.
        host: The script that opens the card.
        traits: What the module is given.
    """

    title: str
    static: str
    style: str = ""
    module: str | None = None
    host: str = ""
    traits: Mapping[str, Any] = {}  # never changed


def page(parts: Parts) -> str:
    """The whole file.

    Raises:
        ValueError: the module does not end with its default export.
    """
    scripts = [] if parts.module is None else [_inline(_told(parts.module)), _inline(parts.host)]
    hashes = " ".join(f"'sha256-{b64encode(hashlib.sha256(code.encode()).digest()).decode()}'" for code in scripts)
    policy = f"default-src 'none'; script-src {hashes or chr(39) + 'none' + chr(39)}; style-src 'unsafe-inline'; "
    policy += "img-src data:; base-uri 'none'; form-action 'none'"
    card = f'<main id="wb-card"></main>\n{_data(parts.traits)}\n' if scripts else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="generator" content="Finetune Workbench">\n<title>{escape(parts.title)}</title>\n'
        f"<style>\n{parts.style}\n</style>\n</head>\n<body>\n"
        f'<section class="wb-page-static">\n{parts.static}\n</section>\n{card}'
        + "\n".join(f'<script type="module">{code}</script>' for code in scripts)
        + "\n</body>\n</html>\n"
    )


def _told(module: str) -> str:
    """The module with its default export put where the host finds it: an inline script cannot be imported."""
    told, count = EXPORT.subn(r"globalThis.finetuneWorkbenchCard = \1;\n", module)
    if count != 1:
        raise ValueError("the module does not end with its default export")
    return told


def _inline(code: str) -> str:
    r"""Script text for a script element: what would end it, or begin a comment, stands in strings and is escaped."""
    return re.sub(r"<(?=/script|!--)", r"\\x3c", code, flags=re.IGNORECASE)


def _data(traits: Mapping[str, Any]) -> str:
    r"""JSON in an element that is never run; `<`, `>` and `&` are written as `\u003c`, so nothing in it is markup."""
    text = json.dumps(traits, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return f'<script type="application/json" id="wb-traits">{text}</script>'
