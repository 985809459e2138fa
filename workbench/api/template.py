"""`wb.template`: a chat template as a noun."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import tiny_llama
from workbench.api.html_export import Showable
from workbench.api.template_edit import literal
from workbench.errors import TemplateError
from workbench.templates import registry
from workbench.templates.render import generation_prompt
from workbench.tokens.encode import Tokenizer, added_bos_token, load_tokenizer, special_tokens
from workbench.types import TemplateInfo

if TYPE_CHECKING:
    from workbench.api.render import TemplateDiff
    from workbench.api.xray import Xray
    from workbench.templates.properties import Property
    from workbench.widgets.template import TemplateXray


@dataclass(frozen=True)
class ChatTemplate(Showable):
    """A chat template: source, hash, origin.

    Attributes:
        info: The template itself.
        given: What it was asked for by; `code()` repeats it.
        tokenizer: Name or object of the tokenizer that counts tokens in its card, None where none is known.
        changes: Lines that were replaced, by `with_lines`.
    """

    info: TemplateInfo
    given: str
    tokenizer: Any = field(default=None, repr=False, compare=False)
    changes: tuple[str, ...] = field(default=(), repr=False)

    @property
    def has_generation(self) -> bool:
        """Whether its author marked what is trained with `{% generation %}`."""
        return "endgeneration" in self.info.source

    @property
    def generation_prompt(self) -> str:
        """What it adds to ask for the assistant's turn."""
        return generation_prompt(self.info)

    def code(self) -> str:
        """Python that gives this template again."""
        return f"chat = wb.template({self.arguments()}){''.join(self.changes)}"

    def arguments(self) -> str:
        """The arguments of `wb.template` as Python."""
        tokenizer = self.tokenizer if isinstance(self.tokenizer, str) and self.tokenizer != self.given else None
        return literal(self.given) + ("" if tokenizer is None else f", tokenizer={tokenizer!r}")

    def render(
        self,
        conversation: Any,
        *,
        row: int | None = None,
        tokenizer: Any = None,
        add_generation_prompt: bool = False,
        tools: Any = None,
        **variables: Any,
    ) -> Xray:
        """The text of a conversation, with the origin of every character.

        Args:
            conversation: A sample (`wb.samples.thinking`), messages, a data row, `enc[3]`; or data, with `row`.
            row: Which data row, where `conversation` is data.
            tokenizer: Path, hub id or object that makes the tokens; None takes the template's own, where it has one.
            add_generation_prompt: End with the prompt for the assistant's next turn.
            tools: JSON schemas of tools, for messages given as a list.
            variables: Further variables of the template, such as `enable_thinking`.

        Raises:
            TemplateError: WB101 where the template does not compile, WB102 where it refuses the conversation.
            DataError: For a row that is not there or no conversation.
        """
        from workbench.api.render import rendered

        options = {"row": row, "tokenizer": tokenizer, "tools": tools, "variables": variables}
        return rendered(self, conversation, add_generation_prompt=add_generation_prompt, **options)

    def diff(self, other: Any, *, conversation: Any = None, add_generation_prompt: bool = False) -> TemplateDiff:
        """This template and another one over the same conversation: where their texts first differ.

        Args:
            other: A template, or what `wb.template` takes.
            conversation: As for `render`; None takes `wb.samples.several_turns`.
            add_generation_prompt: End with the prompt for the assistant's next turn.
        """
        from workbench.api.render import compared

        return compared(self, other, conversation, add_generation_prompt)

    def properties(self) -> tuple[Property, ...]:
        """What can be relied on, failing ones first, each with a counter-example (docs/template-xray.md)."""
        from workbench.api.xray_ask import properties

        return properties(self.info)

    def with_lines(self, changes: Mapping[int | tuple[int, int], str]) -> ChatTemplate:
        """The template with some of its lines replaced.

        Args:
            changes: Line (1-based), or first and last line of a stretch, to the new text.

        Raises:
            TemplateError: WB105 for a line that is not there.
        """
        from workbench.api.template_edit import with_lines

        source = with_lines(self.info.source, changes)
        info = registry.info(self.info.name, source, f"{self.info.origin}, edited", self.info.special_tokens)
        return replace(self, info=info, changes=(*self.changes, f".with_lines({dict(changes)!r})"))

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "name": self.info.name,
            "sha256": self.info.sha256,
            "origin": self.info.origin,
            "has_generation": self.has_generation,
            "generation_prompt": self.generation_prompt,
            "source": self.info.source,
        }

    def with_tokenizer(self, tokenizer: Tokenizer) -> TemplateInfo:
        """The template with the special tokens of the tokenizer that will encode its text."""
        tokens = special_tokens(tokenizer)
        if "added_bos_token" in self.info.source:
            tokens["added_bos_token"] = added_bos_token(tokenizer)
        return replace(self.info, special_tokens=tokens)

    def __repr__(self) -> str:
        marks = "marks what is trained" if self.has_generation else "no generation markers"
        return (
            f"ChatTemplate {self.info.name} ({self.info.origin}), {marks}, "
            f"prompt {self.generation_prompt!r}, sha256 {self.info.sha256[:12]}"
        )

    @cached_property
    def _card(self) -> Xray:
        """The card; kept, so that its questions are answered as long as the template lives."""
        from workbench.api.xray import looked_at
        from workbench.api.xray_ask import Ask, Context

        return looked_at(Context(self, self.tokenizer), Ask())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {**self._card._repr_mimebundle_(), "text/plain": repr(self)}

    def widget(self) -> TemplateXray:
        """The card as a widget, for hosts that show widgets but not our mime type (VS Code, Colab, marimo)."""
        return self._card.widget()


def template(source: str | Path | Tokenizer, *, tokenizer: str | Tokenizer | None = None) -> ChatTemplate:
    """A chat template by registry name, tokenizer or model path, hub id, .jinja file, Jinja text, or tokenizer object.

    Args:
        source: What to take it from. `tiny-llama` is the embedded model's.
        tokenizer: Path, hub id or object that makes the tokens in the card; None takes the one the template comes
            with, where it does.

    Raises:
        TemplateError: WB105 or WB106 where there is none.
        TokenizerError: WB130 where a hub id cannot be loaded.
    """
    found = _found(source)
    return found if tokenizer is None else replace(found, tokenizer=tokenizer)


def _found(source: str | Path | Tokenizer) -> ChatTemplate:
    if not isinstance(source, str | Path):
        name = getattr(source, "name_or_path", "") or type(source).__name__
        return ChatTemplate(_own(source, name), name, source)
    text = str(source)
    if text == "tiny-llama":
        return ChatTemplate(
            replace(registry.from_folder(tiny_llama.model_path()), name=text, origin="tokenizer tiny-llama"), text, text
        )
    try:
        return ChatTemplate(registry.find(text), text, _tokenizer_at(text))
    except TemplateError as error:
        if error.code != "WB105" or "/" not in text or text.endswith(".jinja"):
            raise
    loaded = load_tokenizer(text)
    return ChatTemplate(_own(loaded, text), text, loaded)


def _tokenizer_at(path: str) -> str | None:
    """The folder itself where it holds a fast tokenizer."""
    return path if os.path.isfile(os.path.join(os.path.expanduser(path), "tokenizer.json")) else None


def _own(tokenizer: Tokenizer, name: str) -> TemplateInfo:
    if not isinstance(tokenizer.chat_template, str):
        raise TemplateError(
            f"The tokenizer {name!r} has no chat template.",
            remedy='Choose one: wb.template("chatml"), or a .jinja file.',
            code="WB106",
        )
    return registry.info(name, tokenizer.chat_template, f"tokenizer {name}", special_tokens(tokenizer))


def templates() -> list[str]:
    """Names in the registry: ours, and those TRL ships."""
    return sorted(registry.names())
