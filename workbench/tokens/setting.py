"""Everything besides the row that decides its tokens and labels, and what it means for one tokenizer and template."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from workbench.errors import MaskError, TemplateError
from workbench.options import MaskOptions
from workbench.rows.columns import role_of
from workbench.templates.render import render
from workbench.tokens.encode import Tokenizer, special_ids
from workbench.tokens.policy import MaskPolicy, Rules
from workbench.types import Conversation, TemplateInfo, TrainOn

IMAGE_TOKEN = re.compile(r"image|img|vision|video|boi|eoi")
"""Names under which tokenizers keep the tokens that stand for images (`image_token`, `boi_token`, …)."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Everything besides the row that decides its tokens and labels."""

    tokenizer: Tokenizer
    template: TemplateInfo | None
    train_on: TrainOn = "assistant"
    max_length: int | None = None
    variables: Mapping[str, Any] = field(default_factory=dict[str, Any])
    options: MaskOptions = field(default_factory=MaskOptions)


def policy_for(setting: Setting) -> MaskPolicy:
    """What is trained of a row that is a conversation without anything special.

    Raises:
        MaskError: WB112 for an eot token that is not one token or that the template never writes, WB113 where EOS is
            among the eot tokens and the two options contradict each other.
    """
    options = setting.options
    rules = Rules(
        roles=frozenset(role_of(role) or role for role in options.roles_to_train),
        train_on_inputs=options.train_on_inputs,
        eos=options.train_on_eos,
        eot=options.ends_of_eot,
        eot_ids=frozenset(_eot_id(token, setting) for token in options.eot_tokens),
        media_ids=_named_media(setting.tokenizer),
    )
    if setting.tokenizer.eos_token_id in rules.eot_ids and rules.eos != rules.eot:
        raise MaskError(
            f"EOS {setting.tokenizer.eos_token!r} is among the eot_tokens, but train_on_eos={rules.eos!r} and "
            f"train_on_eot={rules.eot!r} say different things about it.",
            remedy="Take it out of eot_tokens, or give both options the same value.",
            code="WB113",
        )
    return MaskPolicy(setting.train_on, special_ids(setting.tokenizer), setting.tokenizer.eos_token_id, rules=rules)


def _eot_id(token: str, setting: Setting) -> int:
    ids = cast("list[int]", setting.tokenizer(token, add_special_tokens=False)["input_ids"])
    if len(ids) != 1:
        raise MaskError(
            f"eot token {token!r} is {len(ids)} tokens for this tokenizer, not one.",
            remedy="Name a token of its vocabulary; a special token that is not in it must be added to the tokenizer.",
            code="WB112",
        )
    template = setting.template
    if template is None:
        raise MaskError(
            f"eot token {token!r} can never stand at the end of a turn: these rows have no chat template.",
            remedy="Leave eot_tokens out, or give a template.",
            code="WB112",
        )
    if token not in template.source and not any(token in text for text in _probes(template, setting.variables)):
        raise MaskError(
            f"Template {template.name!r} never writes eot token {token!r}.",
            remedy="Name the token that ends its turns, or leave eot_tokens out: it is then found by itself.",
            code="WB112",
        )
    return ids[0]


_TALK: tuple[dict[str, Any], ...] = ({"role": "user", "content": "u"}, {"role": "assistant", "content": "a"})
_CALL = {"type": "function", "id": "call00000", "function": {"name": "f", "arguments": {"a": "b"}}}
_CALLED = ({"role": "user", "content": "u"}, {"role": "assistant", "content": "", "tool_calls": [_CALL]})
_SEEN = ({"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "u"}]},)
_BLIND = ({"role": "user", "content": [{"type": "text", "text": "u"}]},)


def _probes(template: TemplateInfo, variables: Mapping[str, Any]) -> list[str]:
    """What the template writes for an answer and for a tool call."""
    texts = [_rendered(messages, template, variables) for messages in (_TALK * 2, _CALLED)]
    return [text for text in texts if text is not None]


def _rendered(messages: tuple[dict[str, Any], ...], template: TemplateInfo, variables: Mapping[str, Any]) -> str | None:
    try:
        return str.__str__(render(Conversation(-1, messages), template, variables=variables).text)
    except TemplateError:
        return None


def _named_media(tokenizer: Tokenizer) -> frozenset[int]:
    """Ids of the tokens that the tokenizer names as standing for images."""
    named = cast("dict[str, object]", tokenizer.special_tokens_map)
    texts = [text for name, text in named.items() if IMAGE_TOKEN.search(name) and isinstance(text, str)]
    ids = cast("list[int]", [tokenizer.convert_tokens_to_ids(text) for text in texts])
    return frozenset(index for index, text in zip(ids, texts, strict=True) if _spelling(tokenizer, index) == text)


def _spelling(tokenizer: Tokenizer, index: int | None) -> str | None:
    """Text of an id; a token that is not in the vocabulary has the id of the unknown one, or none."""
    return None if index is None else cast("str", tokenizer.convert_ids_to_tokens(index))


def media_of(setting: Setting, special: frozenset[int]) -> frozenset[int]:
    """Ids of the special tokens that the template writes for an image: what it adds when a message holds one."""
    if setting.template is None:
        return frozenset()
    seen, blind = (_rendered(messages, setting.template, setting.variables) for messages in (_SEEN, _BLIND))
    if seen is None or blind is None:
        return frozenset()
    seen_ids, blind_ids = (
        cast("list[int]", setting.tokenizer(text, add_special_tokens=False)["input_ids"]) for text in (seen, blind)
    )
    return (frozenset(seen_ids) & special) - frozenset(blind_ids)
