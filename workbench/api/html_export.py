"""`noun.save_html("row.html")`: a card as one HTML file, to hand out or to teach with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.api import comm
from workbench.errors import ExportError
from workbench.views import RUN_MIME
from workbench.views.page import Parts, page

STATIC = Path(__file__).parent.parent / "static"

MIME = "application/vnd.finetune-workbench."


class Showable:
    """A noun that shows itself as a card."""

    def save_html(self, path: str | Path) -> Path:
        """Write the card as one self-contained HTML file, and return its path.

        The file opens without network, kernel or Jupyter, in light and dark; what it holds can be browsed.

        Args:
            path: Where to write; a file that is there is replaced.

        Raises:
            ExportError: WB710 where the front end is not built, WB711 where the file cannot be written.
        """
        return save_html(self, path)


def save_html(noun: Any, path: str | Path) -> Path:
    """Write a noun's card as one HTML file; see `Showable.save_html`."""
    target = Path(path)
    # Half a surrogate pair, which UTF-8 cannot write, becomes a character reference: the page shows it as U+FFFD.
    made = page(parts_of(noun)).encode("utf-8", "xmlcharrefreplace")
    try:
        target.write_bytes(made)
    except OSError as error:
        message = f"{str(path)!r} cannot be written: {error.strerror or error}."
        raise ExportError(message, remedy="Name another file.", code="WB711") from error
    return target


def parts_of(noun: Any) -> Parts:
    """What the page of a noun is made of: its card where it has one, else its static HTML."""
    with comm.alone():
        bundle = bundle_of(noun)
    mime = next((name for name in bundle if name.startswith(MIME)), None)
    static = str(bundle.get("text/html", ""))
    if mime is None:
        return Parts(type(noun).__name__, static, _built("page.css"))
    shown: Mapping[str, Any] = bundle[mime]
    traits: dict[str, Any] = {"payload": shown}
    if mime == RUN_MIME:
        traits = {"payload": {**shown, "live": False}, "inert": True}
    style = _built("widgets.css") + _built("page.css")
    module = _built(f"{mime.removeprefix(MIME).removesuffix('+json')}.js")
    return Parts(str(shown.get("title") or shown.get("name")), static, style, module, _built("page.js"), traits)


def bundle_of(noun: Any) -> Mapping[str, Any]:
    """What a noun shows, by mime type."""
    if not hasattr(noun, "_repr_mimebundle_"):
        return {"text/html": noun._repr_html_()}
    made = noun._repr_mimebundle_()
    return made[0] if isinstance(made, tuple) else made


def _built(name: str) -> str:
    path = STATIC / name
    if not path.is_file():
        remedy = "Run jlpm build, or install the package from a wheel."
        raise ExportError(f"The front end's {name} is not there.", remedy=remedy, code="WB710")
    return path.read_text(encoding="utf-8")
