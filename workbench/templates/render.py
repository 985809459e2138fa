r"""Conversation -> text in which every character knows its origin.

    render(conversation, template) -> Rendered(text, turns, generation)

A template is rendered twice, plainly and tracked, and both texts must be equal, else an error: an origin that is shown
is an origin that is true. Turns come from origins alone, never from searching the text:

    <|im_start|>assistant\n  Hi there  <|im_end|>  \n
    └ start                 └ body   └ data_end        └ end

`body` is where the generation prompt ends: what stands before it, inference supplies; what follows, the model writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any, cast

import jinja2

from workbench.errors import TemplateError
from workbench.templates.compiler import Compiled, Raised, compiled
from workbench.tracked import Run, Tracked, join, track_tree
from workbench.types import Conversation, Origin, Rendered, TemplateInfo, Turn

REASONING_KEYS = ("reasoning_content", "thinking", "reasoning")
"""Names under which messages carry reasoning; aliased as transformers does (5.23, _alias_reasoning_fields)."""

_PROBES: tuple[tuple[dict[str, Any], ...], ...] = (
    ({"role": "user", "content": "u"},),
    ({"role": "system", "content": "s"}, {"role": "user", "content": "u"}),
    ({"role": "user", "content": [{"type": "text", "text": "u"}]},),
)
"""Conversations to learn the generation prompt from; the first that a template accepts is used."""


def render(
    conversation: Conversation,
    template: TemplateInfo,
    *,
    add_generation_prompt: bool = False,
    variables: Mapping[str, Any] | None = None,
) -> Rendered:
    """Render one conversation with the origin of every character.

    Args:
        conversation: Messages whose text leaves are tracked.
        template: The template; its special tokens are passed as variables.
        add_generation_prompt: End with the prompt for the assistant's next turn.
        variables: Further template variables, such as `enable_thinking`.

    Raises:
        TemplateError: WB101 where it does not compile, WB102 where it refuses the conversation, WB103 where tracking
            changed the text.
    """
    program = compiled(template.source, template.name)
    values = _variables(conversation, template, add_generation_prompt, variables)
    messages = [_aliased(message) for message in conversation.messages]
    plain = _run_plain(program, messages, values, template.name, conversation.row)
    text = _run_tracked(program, messages, values)
    if not str.__eq__(plain, text):
        at = next((i for i, (a, b) in enumerate(zip(plain, str.__str__(text), strict=False)) if a != b), 0)
        raise TemplateError(
            f"Template {template.name!r} renders row {conversation.row} differently when tracked, from character {at}: "
            f"{plain[at : at + 20]!r} became {str.__str__(text)[at : at + 20]!r}.",
            remedy="This is a fault of the workbench; no mask is made. Please report the template.",
            code="WB103",
            row=conversation.row,
        )
    prompt = generation_prompt(template, variables)
    turns = _turns(text, conversation, prompt)
    return Rendered(conversation.row, text, turns, _generation(text.runs), "endgeneration" in template.source)


@lru_cache(maxsize=256)
def _prompt(
    template_source: str, name: str, tokens: tuple[tuple[str, str], ...], variables: tuple[tuple[str, Any], ...]
) -> _PromptText:
    info = TemplateInfo(name, template_source, "", "", dict(tokens))
    program = compiled(template_source, name)
    for probe in _PROBES:
        messages = tuple(track_tree(message, f"messages[{i}]", i, "content") for i, message in enumerate(probe))
        talk = Conversation(-1, messages)
        try:
            without, _ = (
                _run_plain(program, messages, _variables(talk, info, add, dict(variables)), name, -1)
                for add in (False, True)
            )
        except TemplateError:
            continue
        asked = _run_tracked(program, messages, _variables(talk, info, True, dict(variables)))
        return _PromptText(asked, _prompt_start(asked, without))
    return _PromptText(Tracked(), 0)


def _prompt_start(asked: Tracked, without: str) -> int:
    """Where the generation prompt begins in a text that ends with it.

    It is what `add_generation_prompt` adds, from the start of the literal that adds it, and any template text
    behind the last message that is there anyway.
    """
    same = next((i for i, (a, b) in enumerate(zip(str.__str__(asked), without, strict=False)) if a != b), len(without))
    at = literal = tail = 0
    for run in asked.runs:
        if at <= same < at + run.length:
            literal = at
        at += run.length
        if run.origin and (run.origin.field is not None or run.origin.message is not None):
            tail = at
    return min(tail, literal) if same < len(asked) else tail


class _PromptText(str):
    """The generation prompt, and where its pieces begin."""

    __slots__ = ("pieces",)
    pieces: tuple[int, ...]

    def __new__(cls, text: Tracked, start: int) -> _PromptText:
        part = text[start:]
        self = super().__new__(cls, part)
        ends = list(accumulate(run.length for run in part.runs))
        self.pieces = tuple(ends[:-1])
        return self


def generation_prompt(template: TemplateInfo, variables: Mapping[str, Any] | None = None) -> str:
    """Text the template adds to ask for the assistant's turn; empty where it adds none."""
    hashable = tuple(
        (key, value) for key, value in sorted((variables or {}).items()) if isinstance(value, str | int | bool)
    )
    return _prompt(template.source, template.name, tuple(sorted(template.special_tokens.items())), hashable)


def _variables(
    talk: Conversation, template: TemplateInfo, add_generation_prompt: bool, variables: Mapping[str, Any] | None
) -> dict[str, Any]:
    tools = [dict(tool) for tool in talk.tools] if talk.tools else None
    known: dict[str, Any] = {"tools": tools, "documents": None, "add_generation_prompt": add_generation_prompt}
    return known | dict(template.special_tokens) | dict(variables or {})


def _aliased(message: Mapping[str, Any]) -> dict[str, Any]:
    reasoning = next((message[key] for key in REASONING_KEYS if message.get(key) is not None), None)
    return dict(message) if reasoning is None else {"thinking": reasoning, **message, "reasoning_content": reasoning}


def _run_plain(program: Compiled, messages: Sequence[Any], values: Mapping[str, Any], name: str, row: int) -> str:
    try:
        return program.plain.render(messages=[_untracked(message) for message in messages], **_untracked(values))
    except (Raised, jinja2.TemplateError, TypeError, ValueError, KeyError, AttributeError, IndexError) as error:
        why = str(error) if isinstance(error, Raised) else f"{type(error).__name__}: {error}"
        raise TemplateError(
            f"Template {name!r} refuses row {row}: {why}",
            remedy="Change the row, or choose a template that takes this kind of conversation.",
            code="WB102",
            row=row,
        ) from None


def _run_tracked(program: Compiled, messages: Sequence[Mapping[str, Any]], values: Mapping[str, Any]) -> Tracked:
    environment = program.tracking
    with environment.lock:
        environment.begin(messages)
        return join("", program.tracked.generate(messages=list(messages), **values))


def _untracked(value: Any) -> Any:
    """Plain copies, so that the plain rendering shares nothing with the tracked one."""
    if type(value) is Tracked:
        return str.__str__(value)
    if isinstance(value, Mapping):
        return {_untracked(key): _untracked(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_untracked(item) for item in cast("list[Any]", value)]
    return value


def _generation(runs: Sequence[Run]) -> tuple[tuple[int, int], ...]:
    """Spans inside generation blocks; neighbours are joined."""
    spans: list[tuple[int, int]] = []
    at = 0
    for run in runs:
        end = at + run.length
        if run.origin and run.origin.generated:
            if spans and spans[-1][1] == at:
                spans[-1] = (spans[-1][0], end)
            else:
                spans.append((at, end))
        at = end
    return tuple(spans)


def is_data(origin: Origin | None) -> bool:
    """Whether text comes from the row, rather than from the template (role names count as the template's)."""
    return origin is not None and origin.field is not None and origin.key != "role"


def _turns(text: Tracked, talk: Conversation, prompt: str) -> tuple[Turn, ...]:
    turns: list[Turn] = []
    group: list[Run] = []
    start = at = 0
    for run in (*text.runs, Run(0, None, 0, 0)):
        message = run.origin.message if run.origin else None
        if group and (not run.length or group[0].origin is None or group[0].origin.message != message):
            turns.extend(_turn(text, talk, prompt, group, start))
            group, start = [], at
        if run.length:
            group.append(run)
        at += run.length
    return tuple(turns)


def _turn(text: Tracked, talk: Conversation, prompt: str, group: list[Run], start: int) -> list[Turn]:
    message = group[0].origin.message if group[0].origin else None
    if message is None or message >= len(talk.messages):
        return []
    end = start + sum(run.length for run in group)
    data_start, data_end, at = end, start, start
    for run in group:
        if is_data(run.origin):
            data_start, data_end = min(data_start, at), at + run.length
        at += run.length
    role = str.__str__(str(talk.messages[message].get("role", "")))
    body = start + _header_length(str.__str__(text)[start:data_start], prompt) if role == "assistant" else data_start
    flag = talk.train[message] if talk.train else None
    return [Turn(message, role, start, body, max(data_end, body), end, flag)]


def _header_length(lead: str, prompt: str) -> int:
    """Characters of a turn's opening that the generation prompt supplies.

    The opening is template text only. In it stands the whole prompt, or its last pieces, or all of it but the white
    space at its ends, or its beginning (a template may ask with `<think>` and train without).
    """
    for start in (0, *(prompt.pieces if isinstance(prompt, _PromptText) else ())):
        piece = prompt[start:]
        at = lead.find(piece) if piece.strip() else -1
        if at >= 0:
            return at + len(piece)
    core = prompt.strip()
    at = lead.find(core) if core else -1
    if at >= 0:
        end = at + len(core)
        return end + _shared(lead[end:], prompt[len(prompt.rstrip()) :])
    return _shared(lead, prompt)


def _shared(one: str, other: str) -> int:
    """Length of the common beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))
