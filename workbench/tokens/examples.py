"""Rows -> tokenized examples: the one path that viewer, checks, exports and trainer share.

tokenize(examples, setting) -> (TokenizedExample | Finding) for each, in order
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from workbench.errors import MaskError, TemplateError
from workbench.templates.render import render
from workbench.tokens.encode import Tokenizer, encode, special_ids
from workbench.tokens.mask import MaskPolicy, mask
from workbench.tracked import join, track
from workbench.types import (
    Conversation,
    Encoding,
    Example,
    Finding,
    Origin,
    PromptCompletion,
    Rendered,
    Segments,
    TemplateInfo,
    Text,
    TokenizedExample,
    TrainOn,
    Turn,
)

CHUNK = 512
"""Rows handed to the tokenizer at once: enough for its threads, little enough to keep memory flat."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Everything besides the row that decides its tokens and labels."""

    tokenizer: Tokenizer
    template: TemplateInfo | None
    train_on: TrainOn = "assistant"
    max_length: int | None = None
    variables: Mapping[str, Any] = field(default_factory=dict[str, Any])


def tokenize(examples: Iterable[Example], setting: Setting) -> Iterator[TokenizedExample | Finding]:
    """Tokenize rows; one that cannot be gives a Finding of severity error in its place.

    Rows are worked on in chunks of CHUNK, so memory does not grow with their number.
    """
    special = special_ids(setting.tokenizer)
    source = iter(examples)
    while chunk := list(islice(source, CHUNK)):
        rendered = [_rendered(example, setting) for example in chunk]
        texts = [item for item in rendered if isinstance(item, Rendered)]
        chats = [isinstance(example, Conversation | Segments) for example in chunk]
        codes = iter(_encode_mixed(rendered, chats, setting.tokenizer)) if texts else iter(())
        for example, item in zip(chunk, rendered, strict=True):
            yield item if isinstance(item, Finding) else _labelled(example, item, next(codes), setting, special)


def _encode_mixed(rendered: list[Rendered | Finding], chats: list[bool], tokenizer: Tokenizer) -> list[Encoding]:
    """Encodings of the rendered rows, in order; plain text gets the tokenizer's BOS, templates write their own."""
    kinds = {True: list[int](), False: list[int]()}
    texts = [item for item in zip(rendered, chats, strict=True) if isinstance(item[0], Rendered)]
    for index, (_, chat) in enumerate(texts):
        kinds[chat].append(index)
    made: dict[int, Encoding] = {}
    for chat, indices in kinds.items():
        chosen = [item[0].text for item in (texts[i] for i in indices) if isinstance(item[0], Rendered)]
        made.update(zip(indices, encode(chosen, tokenizer, add_special_tokens=not chat), strict=True))
    return [made[i] for i in range(len(texts))]


def render_example(example: Example, setting: Setting) -> Rendered:
    """Text of one row with its origins, whatever kind of row it is.

    Raises:
        TemplateError: As `templates.render.render`; WB107 where a conversation has no template.
    """
    if isinstance(example, Conversation):
        if setting.template is None:
            raise TemplateError(
                f"Row {example.row} is a conversation, and no chat template was given.",
                remedy='Give one: data.encode(wb.template("chatml"), …).',
                code="WB107",
                row=example.row,
            )
        return render(example, setting.template, variables=setting.variables)
    eos = setting.tokenizer.eos_token or ""
    if isinstance(example, Segments):
        return _joined(example.row, [("segment", text, flag) for text, flag in example.segments])
    if isinstance(example, Text):
        return _joined(example.row, [("text", _ended(example.text, eos, 0), None)])
    completion = _ended(example.completion, eos, 1)
    return _joined(example.row, [("prompt", example.prompt, None), ("completion", completion, None)])


def _ended(text: str, eos: str, message: int) -> str:
    """Text with EOS behind it, unless it is there already (as TRL adds it; trl 1.16, sft_trainer.py, add_eos)."""
    return (
        text if not eos or str.endswith(text, eos) else join("", (text, track(eos, Origin(None, message, "template"))))
    )


def _joined(row: int, pieces: list[tuple[str, str, bool | None]]) -> Rendered:
    turns: list[Turn] = []
    at = 0
    for index, (role, text, flag) in enumerate(pieces):
        end = at + len(text)
        turns.append(Turn(index, role, at, at, end, end, flag))
        at = end
    return Rendered(row, join("", (text for _, text, _ in pieces)), tuple(turns))


def _rendered(example: Example, setting: Setting) -> Rendered | Finding:
    try:
        return render_example(example, setting)
    except TemplateError as error:
        return Finding(error.code, "error", error.message, row=example.row, remedy=error.remedy)


def _labelled(
    example: Example, rendered: Rendered, encoding: Encoding, setting: Setting, special: frozenset[int]
) -> TokenizedExample | Finding:
    completion_from = example.completion_from if isinstance(example, Conversation) else None
    train_on = setting.train_on
    if isinstance(example, PromptCompletion) and train_on != "all":
        train_on = "completion"
    if isinstance(example, Text):
        train_on = "all"
    policy = MaskPolicy(train_on, special, setting.tokenizer.eos_token_id, completion_from)
    try:
        labels, reasons, _ = mask(rendered, encoding, policy)
    except MaskError as error:
        return Finding(error.code, "error", error.message, row=example.row, remedy=error.remedy)
    keep = len(encoding.input_ids) if setting.max_length is None else min(setting.max_length, len(encoding.input_ids))
    return TokenizedExample(
        row=example.row,
        input_ids=encoding.input_ids[:keep],
        labels=labels[:keep],
        offsets=encoding.offsets[:keep],
        reasons=reasons[:keep],
        rendered=rendered,
        truncated=len(encoding.input_ids) - keep,
    )
