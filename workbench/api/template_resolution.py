"""Which chat template is used, which will be saved with the model, and who said so."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Literal

from workbench.errors import WorkbenchError
from workbench.types import TemplateInfo

if TYPE_CHECKING:
    from workbench.api.encoded import Encoded
    from workbench.api.xray_ask import Context

LOOKED = 2_000
"""Rows that are looked at for a `chat_template` of their own."""

COLUMN = "chat_template"


@dataclass(frozen=True, slots=True)
class TemplateClaim:
    """One template that somebody named.

    Attributes:
        who: `tokenizer`, `dataset` or `you`.
        name: What it is called there.
        sha256: Of its UTF-8 source.
        origin: Where it is.
        used: Whether it renders the rows.
        saved: Whether it is what training writes into the saved tokenizer.
        first_difference: First line (1-based) in which it differs from the one used, None where it is the same text.
    """

    who: Literal["tokenizer", "dataset", "you"]
    name: str
    sha256: str
    origin: str
    used: bool
    saved: bool
    first_difference: int | None


@dataclass(frozen=True, slots=True)
class TemplateResolution:
    """Every template that was named, and which one counts.

    Attributes:
        claims: Of the tokenizer, of the data, of you, in this order; those that exist.
        says: Sentences: what is used, what will be saved, what differs.
    """

    claims: tuple[TemplateClaim, ...]
    says: tuple[str, ...]

    @property
    def used(self) -> TemplateClaim | None:
        """The template that renders the rows."""
        return next((claim for claim in self.claims if claim.used), None)

    @property
    def saved(self) -> TemplateClaim | None:
        """The template that training writes into the saved tokenizer (job.json `chat_template`)."""
        return next((claim for claim in self.claims if claim.saved), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def __repr__(self) -> str:
        return "\n".join([*map(_line, self.claims), *self.says])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{escape(claim.who)}</td><td>{escape(claim.name)}</td><td><code>{claim.sha256[:12]}</code></td>"
            f"<td>{escape(_role(claim))}</td><td>{escape(claim.origin)}</td></tr>"
            for claim in self.claims
        )
        says = "".join(f"<p>{escape(sentence)}</p>" for sentence in self.says)
        return f'<div style="font:13px sans-serif"><table>{rows}</table>{says}</div>'


def _role(claim: TemplateClaim) -> str:
    used = "used and saved" if claim.used and claim.saved else "used" if claim.used else ""
    if used:
        return used
    return "same text" if claim.first_difference is None else f"differs from line {claim.first_difference}"


def _line(claim: TemplateClaim) -> str:
    return f"{claim.who:9} {claim.name}, sha256 {claim.sha256[:12]}, {_role(claim)} ({claim.origin})"


def resolution_of(context: Context, tokenizer: Any, edited: TemplateInfo | None = None) -> TemplateResolution:
    """Who says what about the template of a card.

    Args:
        context: Template, rows and tokenizer.
        tokenizer: The loaded tokenizer, None where none is known.
        edited: The template as edited in the card, None where it is not.
    """
    used = edited or context.chat.info
    own = _own(tokenizer)
    found: list[tuple[Literal["tokenizer", "dataset", "you"], str, str, str]] = []
    if own is not None:
        name = _name(tokenizer)
        found.append(("tokenizer", name, own, f"tokenizer {name}"))
    found += _from_rows(context)
    if own is None or own != used.source:
        found.append(("you", used.name, used.source, used.origin))
    claims = tuple(_claim(who, name, source, origin, used) for who, name, source, origin in found)
    claims = _one_used(claims)
    return TemplateResolution(claims, _says(claims, edited is not None))


def resolution_of_rows(enc: Encoded) -> TemplateResolution:
    """Who says what about the template of encoded rows; nobody where they need none."""
    from workbench.api.xray_ask import Context

    if enc.template is None:
        return TemplateResolution((), ("These rows need no chat template; the tokenizer is saved as it is.",))
    return resolution_of(Context(enc.template, enc=enc), enc.setting.tokenizer)


def resolution_view(found: TemplateResolution) -> dict[str, Any]:
    """Plain values for the card."""
    return {"claims": [asdict(claim) for claim in found.claims], "says": list(found.says)}


def _own(tokenizer: Any) -> str | None:
    own = getattr(tokenizer, "chat_template", None)
    return own if isinstance(own, str) else None


def _name(tokenizer: Any) -> str:
    name = str(getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__)
    return name.rstrip("/").rsplit("/", 1)[-1]


def _claim(
    who: Literal["tokenizer", "dataset", "you"], name: str, source: str, origin: str, used: TemplateInfo
) -> TemplateClaim:
    digest = hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()
    same = source == used.source
    return TemplateClaim(who, name, digest, origin, same, same, None if same else _first_line(source, used.source))


def _one_used(claims: tuple[TemplateClaim, ...]) -> tuple[TemplateClaim, ...]:
    """Where several name the same text, the last of them counts: you, then the data, then the tokenizer."""
    last = max((i for i, claim in enumerate(claims) if claim.used), default=-1)
    return tuple(
        claim
        if i == last or not claim.used
        else TemplateClaim(claim.who, claim.name, claim.sha256, claim.origin, False, False, None)
        for i, claim in enumerate(claims)
    )


def _first_line(one: str, other: str) -> int:
    pairs = zip(one.split("\n"), other.split("\n"), strict=False)
    same = next((i for i, (a, b) in enumerate(pairs, 1) if a != b), None)
    return same or min(one.count("\n"), other.count("\n")) + 2


def _from_rows(context: Context) -> list[tuple[Literal["tokenizer", "dataset", "you"], str, str, str]]:
    """Templates that the data brings: a column of its rows, or a file beside it."""
    rows = context.rows
    if rows is None:
        return []
    seen: Counter[str] = Counter()
    looked = min(LOOKED, len(rows))
    for i in range(looked):
        row = rows[i]
        value = row.get(COLUMN) if isinstance(row, Mapping) else None
        if isinstance(value, str) and value:
            seen[value] += 1
    found: list[tuple[Literal["tokenizer", "dataset", "you"], str, str, str]] = []
    for value, count in seen.most_common(3):
        source = _source_of(value)
        if source is not None:
            where = f"column {COLUMN}, {count:,} of {looked:,} rows looked at"
            found.append(("dataset", rows.source.title if source == value else value, source, where))
    return found


def _source_of(value: str) -> str | None:
    """Jinja text itself, or of the registry's template of that name."""
    if "{%" in value or "{{" in value:
        return value
    from workbench.templates import registry

    try:
        return registry.find(value).source if value in registry.names() else None
    except (WorkbenchError, OSError):
        return None


def _says(claims: tuple[TemplateClaim, ...], edited: bool) -> tuple[str, ...]:
    words = {"tokenizer": "the tokenizer's own", "dataset": "the data's", "you": "the one you chose"}
    used = next((claim for claim in claims if claim.used), None)
    if used is None:
        return ()
    says = [f"Used: {words[used.who]}, {used.name}. It is what training saves with the model, to the character."]
    if edited:
        says = ["Shown: your edit. It is used, and saved with the model, once a cell says so (Insert as cell)."]
    for claim in claims:
        if not claim.used and claim.first_difference is not None:
            says.append(f"{words[claim.who].capitalize()} differs from line {claim.first_difference} on.")
    return tuple(says)
