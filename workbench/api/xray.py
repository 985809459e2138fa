"""`chat.render(…)`: a template over a conversation, and the card that shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from workbench.api import comm
from workbench.api.html_export import Showable
from workbench.api.template_edit import edit_code, literal
from workbench.api.template_resolution import resolution_of, resolution_view
from workbench.api.xray_ask import OWN, ROW, Ask, Context, examine, properties
from workbench.errors import TemplateError, WorkbenchError
from workbench.templates import registry
from workbench.templates.cutting import Cut
from workbench.templates.properties import Property
from workbench.templates.samples import samples
from workbench.tokens.encode import special_ids, token_bytes
from workbench.types import Encoding, Turn
from workbench.views import TEMPLATE_MIME
from workbench.views.columns import Vocabulary
from workbench.views.template_diff import difference_view
from workbench.views.xray import ASKED_TOKENS, SAVED_TOKENS, Examined, examined_view
from workbench.views.xray_html import plain_text, static_html

if TYPE_CHECKING:
    from workbench.widgets.template import TemplateXray


@dataclass(frozen=True, eq=False)
class Xray(Showable):
    """A rendering: its text, where every character comes from, and its tokens where a tokenizer is known.

    Attributes:
        context: What else the card can be asked.
        ask: What is shown.
        examined: The values.
    """

    context: Context = field(repr=False)
    ask: Ask
    examined: Examined = field(repr=False)

    @property
    def text(self) -> str:
        """The rendered text.

        Raises:
            TemplateError: Where the template gives none.
        """
        if self.examined.rendered is None:
            raise self.examined.error or TemplateError("There is no text.", code="WB102")
        return str.__str__(self.examined.rendered.text)

    @property
    def turns(self) -> tuple[Turn, ...]:
        """Which stretch of the text is whose turn."""
        return self.examined.rendered.turns if self.examined.rendered else ()

    @property
    def tokens(self) -> Encoding | None:
        """Token ids with their character spans, None where no tokenizer is known."""
        return self.examined.encoding

    @property
    def labels(self) -> tuple[int, ...]:
        """Token id where trained, else -100, one a token."""
        return self.examined.labels

    @property
    def cuts(self) -> tuple[Cut, ...]:
        """Characters of the data that the template did not write."""
        return self.examined.cuts

    @cached_property
    def properties(self) -> tuple[Property, ...]:
        """What the template can be relied on for, failing ones first."""
        return properties(self.examined.template, edited=self.is_edited)

    @property
    def is_edited(self) -> bool:
        """Whether the template is not the one it was found as."""
        return self.examined.template.source != self.context.chat.info.source

    def code(self) -> str:
        """Python that gives this rendering again, or the comparison with another template."""
        return "\n".join([*self._before(), self._call() if self.ask.against is None else self._comparison()])

    def _before(self) -> list[str]:
        chat = self.context.chat
        if self.ask.conversation == ROW and not self.is_edited:
            return []
        if not self.is_edited:
            return [chat.code()]
        return [edit_code(chat.arguments(), chat.info.source, self.examined.template.source)]

    def _comparison(self) -> str:
        options = ["add_generation_prompt=True"] if self.ask.generation_prompt else []
        own = {OWN: self.context.own_code, ROW: f"{'data' if self.context.enc is None else 'enc'}[{self.ask.row}]"}
        said = own.get(self.ask.conversation, f"wb.samples.{self.ask.conversation}")
        return f"chat.diff({', '.join([literal(str(self.ask.against)), f'conversation={said}', *options])})"

    def _call(self) -> str:
        options = "add_generation_prompt=True" if self.ask.generation_prompt else ""
        variables = ", ".join(f"{name}={value!r}" for name, value in self.context.variables.items())
        asked = self.ask.tokenizer or (
            self.context.tokenizer if self.context.tokenizer is not self.context.chat.tokenizer else None
        )
        named = f"tokenizer={asked!r}" if isinstance(asked, str) else ""
        if self.ask.conversation == ROW:
            if self.context.enc is not None and not self.is_edited:
                return f"enc[{self.ask.row}].xray({_listed(options)})"
            named = named or self._tokenizer_of_rows()
            call = f"chat.render(data, row={self.ask.row}{_more(options, named, variables)})"
            return call
        own = self.context.own_code if self.ask.conversation == OWN else f"wb.samples.{self.ask.conversation}"
        return f"chat.render({own}{_more(options, named, variables)})"

    def _tokenizer_of_rows(self) -> str:
        return f"tokenizer={self.context.enc.tokenizer_name!r}" if self.context.enc is not None else ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values: text, turns, cuts, tokens."""
        encoding = self.tokens
        return {
            "template": self.examined.template.name,
            "sha256": self.examined.template.sha256,
            "conversation": self.ask.conversation,
            "row": self.ask.row,
            "text": self.text,
            "turns": [asdict(turn) for turn in self.turns],
            "cuts": [asdict(item) for item in self.cuts],
            "input_ids": None if encoding is None else list(encoding.input_ids),
            "offsets": None if encoding is None else [list(span) for span in encoding.offsets],
            "labels": list(self.labels),
        }

    # Answers to the page

    def questions(self) -> dict[str, comm.Question]:
        """What the page can ask."""
        return {"xray": self._answer, "properties": self._properties}

    def _answer(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        shown = looked_at(self.context, Ask.from_page(asked))
        return {"view": shown.view(ASKED_TOKENS)}

    def _properties(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        shown = replace(self.ask, source=None if asked.get("source") is None else str(asked["source"]))
        try:
            return {"properties": property_views(looked_at(self.context, shown).properties)}
        except TemplateError:
            return {"properties": []}

    # Showing

    def view(self, most: int = SAVED_TOKENS) -> dict[str, Any]:
        """What changes with what is asked (docs/wire.md: `View`)."""
        return {
            **examined_view(self.examined, _vocabulary(self.context, self.ask), most),
            "ask": {
                "conversation": self.ask.conversation,
                "row": self.ask.row,
                "generation_prompt": self.ask.generation_prompt,
                "against": self.ask.against,
                "tokenizer": self.ask.tokenizer,
            },
            "edited": self.is_edited,
            "tokenizer": self._tokenizer_name(),
            "difference": self._difference(),
            "resolution": resolution_view(self._resolution()),
            "code": self.code(),
        }

    def _tokenizer_name(self) -> str | None:
        if self.examined.encoding is None:
            return None
        known = self.context.enc.tokenizer_name if self.context.enc is not None else self.context.tokenizer
        known = self.ask.tokenizer or known
        name = known if isinstance(known, str) else getattr(known, "name_or_path", "") or type(known).__name__
        return name.rstrip("/").rsplit("/", 1)[-1]

    def _difference(self) -> dict[str, Any] | None:
        if self.ask.against is None:
            return None
        from workbench.api.template import template

        try:
            other = replace(self.context, chat=template(self.ask.against))
            theirs = examine(other, replace(self.ask, source=None, against=None))
        except WorkbenchError as error:
            return {"name": self.ask.against, "equal": False, "at": None, "says": str(error), "sides": []}
        return difference_view(self.examined, theirs)

    def _resolution(self) -> Any:
        edited = self.examined.template if self.is_edited else None
        return resolution_of(self.context, _quietly_loaded(self.context, self.ask), edited)

    def payload(self) -> dict[str, Any]:
        """Everything the card shows (docs/wire.md section 4)."""
        template = self.context.chat.info
        rows = self.context.rows
        try:
            found = property_views(self.properties)
        except TemplateError:
            found = []
        return {
            "version": 1,
            "handle": comm.share(self),
            "title": template.name,
            "origin": template.origin,
            "sha256": template.sha256,
            "original": template.source,
            "conversations": [*samples, *([OWN] if self.context.own is not None else [])],
            "rows": None if rows is None else {"title": rows.source.title, "count": len(rows)},
            "templates": sorted(registry.names()),
            "properties": found,
            "view": self.view(),
        }

    def __repr__(self) -> str:
        return plain_text({"title": self.context.chat.info.name, "view": self.view()})

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        shown = self.payload()
        return {TEMPLATE_MIME: shown, "text/html": static_html(shown), "text/plain": plain_text(shown)}

    def widget(self) -> TemplateXray:
        """The card as a widget, for hosts that show widgets but not our mime type (VS Code, Colab, marimo)."""
        from workbench.widgets.template import TemplateXray

        return TemplateXray({**self.payload(), "handle": comm.WIDGET}, lambda asked: comm.answered(self, asked))


def looked_at(context: Context, ask: Ask) -> Xray:
    """A rendering, or the refusal in its place."""
    return Xray(context, ask, examine(context, ask))


def property_views(found: tuple[Property, ...]) -> list[dict[str, Any]]:
    """Properties as plain values."""
    return [asdict(item) for item in found]


def _quietly_loaded(context: Context, ask: Ask) -> Any:
    try:
        return context.loaded(ask)
    except WorkbenchError:
        return None


def _vocabulary(context: Context, ask: Ask) -> Vocabulary | None:
    tokenizer = _quietly_loaded(context, ask)
    return None if tokenizer is None else _vocabulary_of(tokenizer)


@lru_cache(maxsize=8)
def _vocabulary_of(tokenizer: Any) -> Vocabulary:
    return Vocabulary(special_ids(tokenizer), lru_cache(maxsize=None)(lambda token: token_bytes(tokenizer, token)))


def _listed(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _more(*parts: str) -> str:
    return "".join(f", {part}" for part in parts if part)
