"""What the template card is asked to show, and the values that answer it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from workbench.errors import DataError, MaskError, TemplateError, TokenizerError
from workbench.templates import registry
from workbench.templates.guarded import GuardedRenderer
from workbench.templates.looks import with_stand_ins
from workbench.templates.properties import Property, in_order, properties_of, same_as_plain
from workbench.templates.samples import samples
from workbench.templates.traced import conversation_of, trace
from workbench.tokens.drafts import Drafting
from workbench.tokens.encode import Tokenizer, encode, load_tokenizer
from workbench.tokens.mask import mask
from workbench.tokens.setting import Setting
from workbench.types import IGNORE, Conversation, Example, Preference, PromptOnly, TemplateInfo, Unpaired
from workbench.views.xray import Examined

if TYPE_CHECKING:
    from workbench.api.data import Data
    from workbench.api.encoded import Encoded
    from workbench.api.template import ChatTemplate

OWN = "own"
"""Name of a conversation that was given in the call."""

ROW = "row"
"""Name of a conversation that is a data row."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What the card shows.

    Attributes:
        conversation: A name in `wb.samples`, `own`, or `row`.
        row: Data row, where the conversation is one.
        generation_prompt: End with the prompt for the assistant's next turn.
        source: Jinja text in place of the template's own, None for its own.
        against: Registry name (or what else `wb.template` takes) of a template to compare with.
        tokenizer: Path or hub id chosen in the card, None for the one that is known.
    """

    conversation: str = "several_turns"
    row: int | None = None
    generation_prompt: bool = False
    source: str | None = None
    against: str | None = None
    tokenizer: str | None = None

    @classmethod
    def from_page(cls, sent: Mapping[str, Any]) -> Ask:
        """What the page sends with `"op": "xray"`."""

        def text(name: str) -> str | None:
            value = sent.get(name)
            return None if value is None else str(value)

        row = sent.get("row")
        return cls(
            text("conversation") or "several_turns",
            None if row is None else int(row),
            bool(sent.get("generation_prompt")),
            text("source"),
            text("against"),
            text("tokenizer"),
        )


@dataclass(frozen=True, eq=False)
class Context:
    """What the card can be asked about.

    Attributes:
        chat: The template.
        tokenizer: Name or object, None where none is known.
        enc: Rows with their setting, where the card was reached from them.
        data: Rows without one.
        own: A conversation given in the call.
        own_code: Python for it.
        variables: Further variables of the template.
    """

    chat: ChatTemplate
    tokenizer: Any = None
    enc: Encoded | None = None
    data: Data | None = None
    own: Conversation | None = None
    own_code: str = "messages"
    variables: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> Data | None:
        """The rows that can be looked at."""
        return self.enc.data if self.enc is not None else self.data

    def loaded(self, ask: Ask) -> Tokenizer | None:
        """The tokenizer, None where none is known.

        Raises:
            TokenizerError: WB130, WB131.
        """
        if ask.tokenizer is not None:
            return _loaded(ask.tokenizer)
        if self.enc is not None:
            return self.enc.setting.tokenizer
        return _loaded(self.tokenizer) if isinstance(self.tokenizer, str) else self.tokenizer

    def talk(self, ask: Ask) -> Conversation:
        """The conversation that is asked for.

        Raises:
            DataError: WB558 for a row that is no conversation, WB553 for one that is not there.
        """
        if ask.conversation == OWN and self.own is not None:
            return self.own
        if ask.conversation == ROW and self.rows is not None:
            return talk_of_row(self.rows, 0 if ask.row is None else ask.row)
        if ask.conversation not in samples:
            raise DataError(
                f"There is no conversation {ask.conversation!r} here.",
                remedy=f"wb.samples has {', '.join(samples)}.",
                code="WB553",
            )
        said = getattr(samples, ask.conversation)
        return conversation_of(said, said.tools)


@lru_cache(maxsize=4)
def _loaded(name: str) -> Tokenizer:
    return load_tokenizer(name)


def talk_of_row(rows: Data, row: int) -> Conversation:
    """The conversation of a data row; of a preference the chosen side, of a prompt the prompt.

    Raises:
        DataError: WB553 for a row that is not there, WB558 where it is no conversation.
    """
    if not 0 <= row < len(rows):
        raise DataError(f"There is no row {row}.", remedy=f"Rows go from 0 to {len(rows) - 1}.", code="WB553")
    example, found = rows.converted(row)
    said: Example | Any = example
    if isinstance(said, Preference):
        said = said.chosen
    elif isinstance(said, Unpaired):
        said = said.answer
    elif isinstance(said, PromptOnly):
        said = said.prompt
    if isinstance(said, Conversation):
        return said
    why = " ".join(item.message for item in found) or f"Its type is {rows.type}, which needs no template."
    raise DataError(f"Row {row} is no conversation.", remedy=why, code="WB558", row=row)


@lru_cache(maxsize=1)
def guarded() -> GuardedRenderer:
    """The process that renders edited templates; it starts with the first edit."""
    return GuardedRenderer()


def template_of(context: Context, ask: Ask, tokenizer: Tokenizer | None) -> TemplateInfo:
    """The template as it is asked for: the chat's own, or edited; with the tokenizer's special tokens."""
    chat = context.chat
    if ask.source is not None and ask.source != chat.info.source:
        edited = registry.info(chat.info.name, ask.source, f"{chat.info.origin}, edited", chat.info.special_tokens)
        chat = replace(chat, info=edited)
    return chat.info if tokenizer is None else chat.with_tokenizer(tokenizer)


def examine(context: Context, ask: Ask) -> Examined:
    """Template over conversation; a refusal is a value."""
    tokenizer, notes = None, []
    try:
        tokenizer = context.loaded(ask)
    except TokenizerError as error:
        notes.append(str(error))
    template = template_of(context, ask, tokenizer)
    if tokenizer is None:
        known, template = template, with_stand_ins(template)
        names = sorted(set(template.special_tokens) - set(known.special_tokens))
        if names:
            notes.append(f"No tokenizer is known: the names of {', '.join(names)} stand in for them.")
    try:
        talk = context.talk(ask)
    except DataError as error:
        told = TemplateError(error.message, remedy=error.remedy, code=error.code, row=error.row)
        return Examined(template, error=told, notes=tuple(notes))
    tracing = trace if template.source == context.chat.info.source else guarded().trace
    variables = {**(context.enc.setting.variables if context.enc else {}), **context.variables}
    try:
        traced = tracing(talk, template, add_generation_prompt=ask.generation_prompt, variables=variables)
    except TemplateError as error:
        return Examined(template, error=error, notes=tuple(notes))
    made = Examined(template, traced.rendered, traced.cuts, traced.prompt_start, notes=tuple(notes))
    return made if tokenizer is None else _with_tokens(made, context, talk, tokenizer)


def _with_tokens(made: Examined, context: Context, talk: Conversation, tokenizer: Tokenizer) -> Examined:
    """With tokens and labels; where no mask can be made, the reason is a note and nothing is trained."""
    rendered = made.rendered
    if rendered is None:
        return made
    try:
        encoding = encode([rendered.text], tokenizer)[0]
    except TokenizerError as error:
        return replace(made, notes=(*made.notes, str(error)))
    base = context.enc.setting if context.enc is not None else None
    setting = Setting(tokenizer, made.template) if base is None else replace(base, template=made.template)
    try:
        labels = mask(rendered, encoding, Drafting(setting).policy_of(talk)).labels
        return replace(made, encoding=encoding, labels=labels)
    except MaskError as error:
        labels = (IGNORE,) * len(encoding.input_ids)
        return replace(made, encoding=encoding, labels=labels, notes=(*made.notes, str(error)))


def properties(template: TemplateInfo, *, edited: bool = False) -> tuple[Property, ...]:
    """Properties of a template, failing ones first; of an edited one from the guarded process.

    Raises:
        TemplateError: WB101 where it does not compile, WB109 where it does not end.
    """
    tokens = tuple(sorted(template.special_tokens.items()))
    return _properties(template.source, template.name, tokens, edited)


@lru_cache(maxsize=32)
def _properties(source: str, name: str, tokens: tuple[tuple[str, str], ...], edited: bool) -> tuple[Property, ...]:
    template = registry.info(name, source, "", dict(tokens))
    found = guarded().properties(template) if edited else properties_of(template)
    # what the guarded process got through in time, this process renders too
    return in_order([*found, same_as_plain(template)])
