"""`wb.template`: a chat template as a noun."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

from workbench import tiny_llama
from workbench.api.html_export import Showable
from workbench.errors import TemplateError
from workbench.templates import registry
from workbench.templates.render import generation_prompt
from workbench.tokens.encode import Tokenizer, added_bos_token, load_tokenizer, special_tokens
from workbench.types import TemplateInfo


@dataclass(frozen=True)
class ChatTemplate(Showable):
    """A chat template: source, hash, origin.

    Attributes:
        info: The template itself.
        given: What it was asked for by; `code()` repeats it.
    """

    info: TemplateInfo
    given: str

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
        return f"chat = wb.template({self.given!r})"

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

    def _repr_html_(self) -> str:
        lines = self.info.source.splitlines()
        numbered = "\n".join(f"{i:>4}  {escape(line)}" for i, line in enumerate(lines, 1))
        return (
            f'<div><div style="font:13px sans-serif"><b>{escape(self.info.name)}</b> {escape(self.info.origin)}, '
            f"{len(lines)} lines, sha256 <code>{self.info.sha256[:12]}</code></div>"
            f'<details><summary style="font:12px sans-serif">Jinja</summary><pre style="font-size:12px">{numbered}'
            "</pre></details></div>"
        )


def template(source: str | Path | Tokenizer) -> ChatTemplate:
    """A chat template by registry name, tokenizer or model path, hub id, .jinja file, Jinja text, or tokenizer object.

    Args:
        source: What to take it from. `tiny-llama` is the embedded model's.

    Raises:
        TemplateError: WB105 or WB106 where there is none.
        TokenizerError: WB130 where a hub id cannot be loaded.
    """
    if not isinstance(source, str | Path):
        name = getattr(source, "name_or_path", "") or type(source).__name__
        return ChatTemplate(_own(source, name), name)
    text = str(source)
    if text == "tiny-llama":
        return ChatTemplate(
            replace(registry.from_folder(tiny_llama.model_path()), name=text, origin="tokenizer tiny-llama"), text
        )
    try:
        return ChatTemplate(registry.find(text), text)
    except TemplateError as error:
        if error.code != "WB105" or "/" not in text or text.endswith(".jinja"):
            raise
    return ChatTemplate(_own(load_tokenizer(text), text), text)


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
