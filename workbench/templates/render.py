r"""Conversation -> text in which every character knows its origin.

    render(conversation, template) -> Rendered(text, turns, generation)

A template is rendered twice, plainly and tracked, and both texts must be equal, else an error: an origin that is shown
is an origin that is true. Turns come from origins alone, never from searching the text:

    <|im_start|>assistant\n  Hi there  <|im_end|>  \n
    └ start                 └ body   └ data_end        └ end

`body` is where the generation prompt ends: what stands before it, inference supplies; what follows, the model writes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, cast

import jinja2

from workbench.errors import TemplateError
from workbench.templates.compiler import Compiled, Raised, TrackingEnvironment, compiled
from workbench.templates.cutting import Cut, cuts_of, watched_cuts
from workbench.templates.layouts import Layout, Layouts, Shape, layout_of, observed_messages, shape_of
from workbench.templates.observed import Opaque, Trace, observe, observing
from workbench.templates.turns import PromptText, generation_spans, turns_of
from workbench.tracked import Tracked, track_tree
from workbench.types import Conversation, Rendered, TemplateInfo

REASONING_KEYS = ("reasoning_content", "thinking", "reasoning")
"""Names under which messages carry reasoning; aliased as transformers does (5.23, _alias_reasoning_fields)."""

_FAILURES = (
    Raised,
    jinja2.TemplateError,
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)
"""What running a template on a row it was not made for can raise."""


def _answered_call(arguments: object) -> tuple[dict[str, Any], ...]:
    call = {"id": "call00000", "type": "function", "function": {"name": "f", "arguments": arguments}}
    return (
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "name": "f", "tool_call_id": "call00000", "content": "r"},
    )


_PROBES: Mapping[str, tuple[tuple[dict[str, Any], ...], ...]] = {
    "user": (
        ({"role": "user", "content": "u"},),
        ({"role": "system", "content": "s"}, {"role": "user", "content": "u"}),
        ({"role": "user", "content": [{"type": "text", "text": "u"}]},),
    ),
    "tool": (_answered_call({"a": "b"}), _answered_call('{"a": "b"}')),
}
"""Conversations to learn the generation prompt from, by the role it follows; the first that is accepted is used."""


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
    layouts = _known_layouts(template, add_generation_prompt, variables)
    shape = shape_of(conversation) if layouts is not None else None
    bare = [_untracked(message) for message in conversation.messages] if shape is None else shape.messages
    plain = _run_plain(program, conversation.messages, [_aliased(m) for m in bare], values, conversation.row)
    if layouts is None or shape is None:
        return _tracked(conversation, template, values, variables, plain)
    found = layouts.find(conversation, shape, plain)
    if found is not None:
        return found
    learns = layouts.wants(shape)
    slow = _tracked(conversation, template, values, variables, plain)
    if learns:
        layouts.learn(conversation, shape, slow, _observed(template, shape, values, slow))
    return slow


def render_traced(
    conversation: Conversation,
    template: TemplateInfo,
    *,
    add_generation_prompt: bool = False,
    variables: Mapping[str, Any] | None = None,
    most_characters: int | None = None,
) -> tuple[Rendered, tuple[Cut, ...]]:
    """Render as `render` does, and find the characters of the data that did not reach the text.

    Slower than `render`: nothing that was learned from earlier rows is used.

    Raises:
        TemplateError: As `render`; WB109 for a text of more than `most_characters`.
    """
    plain = render_plain(conversation, template, add_generation_prompt=add_generation_prompt, variables=variables)
    if most_characters is not None and len(plain) > most_characters:
        raise TemplateError(
            f"Template {template.name!r} makes {len(plain):,} characters of this conversation; the X-ray shows at most "
            f"{most_characters:,}.",
            remedy="Look for a loop that repeats its text, or choose a shorter conversation.",
            code="WB109",
            row=conversation.row,
        )
    values = _variables(conversation, template, add_generation_prompt, variables)
    _prompts(conversation, template, variables)  # so that none is rendered while this rendering is watched
    with watched_cuts() as drops:
        made = _tracked(conversation, template, values, variables, plain)
    return made, cuts_of(conversation, made, drops)


def render_plain(
    conversation: Conversation,
    template: TemplateInfo,
    *,
    add_generation_prompt: bool = False,
    variables: Mapping[str, Any] | None = None,
) -> str:
    """The text alone, without origins.

    Raises:
        TemplateError: WB101, WB102 as `render`.
    """
    program = compiled(template.source, template.name)
    values = _variables(conversation, template, add_generation_prompt, variables)
    bare = [_aliased(_untracked(message)) for message in conversation.messages]
    return _run_plain(program, conversation.messages, bare, values, conversation.row)


def _tracked(
    conversation: Conversation,
    template: TemplateInfo,
    values: Mapping[str, Any],
    variables: Mapping[str, Any] | None,
    plain: str,
) -> Rendered:
    """The tracked rendering, which must be the plain one."""
    program = compiled(template.source, template.name)
    text = _run_tracked(program.tracking, program.tracked, [_aliased(m) for m in conversation.messages], values)
    if not str.__eq__(plain, text):
        at = next((i for i, (a, b) in enumerate(zip(plain, str.__str__(text), strict=False)) if a != b), 0)
        raise TemplateError(
            f"Template {template.name!r} renders row {conversation.row} differently when tracked, from character {at}: "
            f"{plain[at : at + 20]!r} became {str.__str__(text)[at : at + 20]!r}.",
            remedy="No mask is made. Unless the template uses chance (`random`), this is a fault of the workbench: "
            "please report the template.",
            code="WB103",
            row=conversation.row,
        )
    turns = turns_of(text, conversation, _prompts(conversation, template, variables))
    return Rendered(conversation.row, text, turns, generation_spans(text.runs), "endgeneration" in template.source)


@lru_cache(maxsize=64)
def _layouts(_source: str, _given: tuple[object, ...]) -> Layouts:
    return Layouts()


def _known_layouts(
    template: TemplateInfo, add_generation_prompt: bool, variables: Mapping[str, Any] | None
) -> Layouts | None:
    """What is known about rows rendered with the same variables; None where nothing can be learned."""
    given = [(name, type(value), value) for name, value in variables.items()] if variables else ()
    key = (*template.special_tokens.items(), add_generation_prompt, *given)
    try:
        made = _layouts(template.source, key)
    except TypeError:  # a variable that cannot be hashed, such as a list
        return None
    return None if made.is_hopeless else made


def _observed(template: TemplateInfo, shape: Shape, values: Mapping[str, Any], slow: Rendered) -> Layout | None:
    """The layout of a row, from one more rendering in which the template's questions about its text are noted."""
    trace = Trace()
    messages = observed_messages(shape, lambda text, slot, message, key: observe(text, slot, message, key, trace))
    try:
        environment, program = observing(template.source)
        made = _run_tracked(environment, program, [_aliased(message) for message in messages], values)
    except (Opaque, *_FAILURES):
        return None
    if str.__str__(made) != str.__str__(slow.text):
        return None
    return layout_of(slow, made.runs, tuple(trace.guards), shape)


@lru_cache(maxsize=256)
def _prompt(
    template_source: str,
    name: str,
    tokens: tuple[tuple[str, str], ...],
    variables: tuple[tuple[str, Any], ...],
    after: str = "user",
) -> PromptText:
    info = TemplateInfo(name, template_source, "", "", dict(tokens))
    program = compiled(template_source, name)
    for probe in _PROBES[after]:
        messages = tuple(track_tree(message, f"messages[{i}]", i, "content") for i, message in enumerate(probe))
        talk = Conversation(-1, messages)
        bare = [_untracked(message) for message in messages]
        try:
            without, _ = (
                _run_plain(program, messages, bare, _variables(talk, info, add, dict(variables)), -1)
                for add in (False, True)
            )
        except TemplateError:
            continue
        asked = _run_tracked(program.tracking, program.tracked, messages, _variables(talk, info, True, dict(variables)))
        return PromptText(asked, _prompt_start(asked, without))
    return PromptText(Tracked(), 0) if after == "user" else _prompt(template_source, name, tokens, variables)


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


def generation_prompt(template: TemplateInfo, variables: Mapping[str, Any] | None = None) -> str:
    """Text the template adds behind a user message to ask for the assistant's turn; empty where it adds none."""
    return _prompts(None, template, variables)["user"]


def _prompts(
    talk: Conversation | None, template: TemplateInfo, variables: Mapping[str, Any] | None
) -> Mapping[str, PromptText]:
    """The generation prompts by the role they follow; the one behind a tool's answer only where the row has one."""
    hashable = tuple(
        (key, value) for key, value in sorted((variables or {}).items()) if isinstance(value, str | int | bool)
    )
    known = (template.source, template.name, tuple(sorted(template.special_tokens.items())), hashable)
    prompts = {"user": _prompt(*known)}
    if talk and any(message.get("role") == "tool" for message in talk.messages):
        prompts["tool"] = _prompt(*known, "tool")
    return prompts


def _variables(
    talk: Conversation, template: TemplateInfo, add_generation_prompt: bool, variables: Mapping[str, Any] | None
) -> dict[str, Any]:
    tools = [dict(tool) for tool in talk.tools] if talk.tools else None
    known: dict[str, Any] = {"tools": tools, "documents": None, "add_generation_prompt": add_generation_prompt}
    known["strftime_now"] = datetime.now().strftime  # one moment for both renderings
    return known | dict(template.special_tokens) | dict(variables or {})


def _aliased(message: Mapping[str, Any]) -> dict[str, Any]:
    reasoning = next((message[key] for key in REASONING_KEYS if message.get(key) is not None), None)
    return dict(message) if reasoning is None else {"thinking": reasoning, **message, "reasoning_content": reasoning}


def _run_plain(
    program: Compiled, messages: Sequence[Mapping[str, Any]], bare: list[Any], values: Mapping[str, Any], row: int
) -> str:
    """The plain rendering of bare messages; the tracked ones name the cause where it fails."""
    try:
        plain = values if values["tools"] is None else {**values, "tools": _untracked(values["tools"])}
        return program.plain.render(messages=bare, **plain)
    except _FAILURES as error:
        why = str(error) if isinstance(error, Raised) else f"{type(error).__name__}: {error}"
        raise TemplateError(
            f"Template {program.name!r} refuses {'this conversation' if row < 0 else f'row {row}'}: {why}",
            remedy=_remedy(messages, error),
            code="WB102",
            row=row,
            line=_line_of(error),
        ) from None


def _line_of(error: BaseException) -> int | None:
    """Template line of the innermost call; Jinja gives its templates' frames the file `<template>`."""
    line, at = None, error.__traceback__
    while at is not None:
        if at.tb_frame.f_code.co_filename == "<template>":
            line = at.tb_lineno
        at = at.tb_next
    return line


def _remedy(messages: Sequence[Mapping[str, Any]], error: BaseException) -> str:
    """What to do about a refused row: where the template merely broke, null or typed content is the usual cause."""
    lacking = re.search(r"'(\w+_token)' is undefined", str(error))
    if lacking:
        return f"The tokenizer has no {lacking[1]}, which the template writes: take the template's own tokenizer."
    other = "choose a template that takes this kind of conversation."
    for index, message in enumerate(() if isinstance(error, Raised) else messages):
        if "content" in message and message["content"] is None:
            return f"messages[{index}].content is null: give an empty text instead, or {other}"
        content = message.get("content")
        if isinstance(content, list) and any("text" not in part for part in content):
            return f"messages[{index}].content has images: choose a template of a model that reads images."
        if isinstance(content, list):
            return f"messages[{index}].content is a list of parts: give it as one text, or {other}"
    return f"Change the row, or {other}"


def _run_tracked(
    environment: TrackingEnvironment,
    template: jinja2.Template,
    messages: Sequence[Mapping[str, Any]],
    values: Mapping[str, Any],
) -> Tracked:
    with environment.lock:
        environment.begin(messages)
        return environment.wb_concat(template.generate(messages=list(messages), **values))


def _untracked(value: Any) -> Any:
    """Plain copies, so that the plain rendering shares nothing with the tracked one."""
    if type(value) is Tracked:
        return str.__str__(value)
    if isinstance(value, str | int | float | None):
        return value
    if isinstance(value, Mapping):
        return {_untracked(key): _untracked(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_untracked(item) for item in cast("list[Any]", value)]
    return value
