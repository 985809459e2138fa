"""What `chat.render` and `chat.diff` do: find the conversation that is meant, and look at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from html import escape
from typing import Any, cast

from workbench.api.data import Data
from workbench.api.data import data as open_data
from workbench.api.encoded import Encoded
from workbench.api.encoded_row import EncodedRow
from workbench.api.html_export import Showable
from workbench.api.template import ChatTemplate, template
from workbench.api.xray import Xray, looked_at
from workbench.api.xray_ask import OWN, ROW, Ask, Context, talk_of_row
from workbench.errors import DataError, TemplateError
from workbench.templates.samples import Sample, samples
from workbench.templates.traced import conversation_of
from workbench.types import Conversation
from workbench.views.template_diff import difference_view

INLINE_CODE = 300
"""Messages whose Python is longer are called `messages` in the code line."""


def rendered(chat: ChatTemplate, conversation: Any, *, add_generation_prompt: bool, **options: Any) -> Xray:
    """See `ChatTemplate.render`."""
    shown = look(chat, conversation, add_generation_prompt, options)
    if shown.examined.error is not None:
        raise shown.examined.error
    return shown


def look(chat: ChatTemplate, conversation: Any, prompt: bool, options: Mapping[str, Any]) -> Xray:
    """The rendering, or the refusal in its place."""
    context, ask = _found(chat, conversation, options)
    return looked_at(context, replace(ask, generation_prompt=prompt))


def _found(chat: ChatTemplate, said: Any, options: Mapping[str, Any]) -> tuple[Context, Ask]:
    """What the card can be asked, and which of its conversations is meant."""
    row, tools = options.get("row"), options.get("tools")
    tokenizer = options.get("tokenizer")
    context = Context(
        chat, chat.tokenizer if tokenizer is None else tokenizer, variables=options.get("variables") or {}
    )
    if isinstance(said, EncodedRow):
        return replace(context, enc=said.enc), Ask(ROW, said.row)
    if isinstance(said, Encoded):
        return replace(context, enc=said), Ask(ROW, _row(row))
    if isinstance(said, Data):
        return replace(context, data=said), Ask(ROW, _row(row))
    if isinstance(said, Sample) and tools is None and said == getattr(samples, said.name):
        return context, Ask(said.name)
    if isinstance(said, Conversation):
        return replace(context, own=said), Ask(OWN)
    if isinstance(said, Mapping):
        rows = open_data([said])
        return replace(context, own=talk_of_row(rows, 0), own_code=_code(said, "row")), Ask(OWN)
    return replace(context, own=_messages(said, tools), own_code=_code(said, "messages")), Ask(OWN)


def _row(row: int | None) -> int:
    if row is None:
        raise DataError("Which row?", remedy="Say it: chat.render(data, row=3).", code="WB553")
    return row


def _messages(said: Any, tools: Any) -> Conversation:
    known = tools if tools is not None else getattr(said, "tools", None)
    if not isinstance(said, list | tuple) or not all(isinstance(message, Mapping) for message in said):
        raise DataError(
            f"{type(said).__name__} is no conversation.",
            remedy="Give a list of messages ({'role': …, 'content': …}), a data row, or a sample of wb.samples.",
            code="WB558",
        )
    return conversation_of(cast("list[Mapping[str, Any]]", said), known)


def _code(said: Any, name: str) -> str:
    text = repr(dict(said) if isinstance(said, Mapping) else list(said))
    return text if len(text) <= INLINE_CODE else name


def xray_of_rows(enc: Encoded, row: int | None, prompt: bool) -> Xray:
    """See `Encoded.xray`."""
    if enc.template is None:
        raise TemplateError(
            f"{enc.data.source.title} is encoded without a chat template.",
            remedy='Give one: data.encode(wb.template("chatml"), …).',
            code="WB107",
        )
    first = enc.usable[0] if enc.usable else 0
    return enc.template.render(enc, row=first if row is None else row, add_generation_prompt=prompt)


@dataclass(frozen=True, eq=False)
class TemplateDiff(Showable):
    """Two templates over one conversation.

    Attributes:
        left, right: The renderings, each with its text or its refusal.
        equal: Whether both texts are the same.
        at: First character at which they differ.
        left_line, right_line: Template lines that wrote that character.
    """

    left: Xray
    right: Xray
    equal: bool
    at: int | None
    left_line: int | None
    right_line: int | None
    says: str

    def code(self) -> str:
        """Python that gives this comparison again."""
        return self.left.code()

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return difference_view(self.left.examined, self.right.examined)

    def __repr__(self) -> str:
        lines = (
            (side.context.chat.info.name, line)
            for side, line in ((self.left, self.left_line), (self.right, self.right_line))
        )
        made = "; ".join(f"{name} line {line}" for name, line in lines if line is not None)
        return self.says + (f" Made by {made}." if made and not self.equal else "")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {**self.left._repr_mimebundle_(), "text/plain": repr(self)}

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self))}</p>"


def compared(chat: ChatTemplate, other: Any, conversation: Any, prompt: bool) -> TemplateDiff:
    """See `ChatTemplate.diff`."""
    theirs = other if isinstance(other, ChatTemplate) else template(other)
    said = samples.several_turns if conversation is None else conversation
    right = look(theirs, said, prompt, {"row": None})
    left = look(chat, said, prompt, {"row": None})
    left = looked_at(left.context, replace(left.ask, against=theirs.given))
    for side in (left, right):
        if side.examined.error is not None and not isinstance(side.examined.error, TemplateError):
            raise side.examined.error
    found = difference_view(left.examined, right.examined)
    lines = [None if found["equal"] else side["line"] for side in found["sides"]]
    return TemplateDiff(left, right, found["equal"], found["at"], lines[0], lines[1], found["says"])
