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
from itertools import accumulate, groupby, zip_longest
from typing import Any, NamedTuple, cast

import jinja2

from workbench.errors import TemplateError
from workbench.templates.compiler import Compiled, Raised, compiled
from workbench.tracked import Run, Tracked, join, track_tree
from workbench.types import Conversation, Origin, Rendered, TemplateInfo, Turn

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
    messages = [_aliased(message) for message in conversation.messages]
    plain = _run_plain(program, messages, values, template.name, conversation.row)
    text = _run_tracked(program, messages, values)
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
    turns = _turns(text, conversation, _prompts(conversation, template, variables))
    return Rendered(conversation.row, text, turns, _generation(text.runs), "endgeneration" in template.source)


@lru_cache(maxsize=256)
def _prompt(
    template_source: str,
    name: str,
    tokens: tuple[tuple[str, str], ...],
    variables: tuple[tuple[str, Any], ...],
    after: str = "user",
) -> _PromptText:
    info = TemplateInfo(name, template_source, "", "", dict(tokens))
    program = compiled(template_source, name)
    for probe in _PROBES[after]:
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
    return _PromptText(Tracked(), 0) if after == "user" else _prompt(template_source, name, tokens, variables)


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
    """Text the template adds behind a user message to ask for the assistant's turn; empty where it adds none."""
    return _prompts(None, template, variables)["user"]


def _prompts(
    talk: Conversation | None, template: TemplateInfo, variables: Mapping[str, Any] | None
) -> Mapping[str, _PromptText]:
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


def _run_plain(program: Compiled, messages: Sequence[Any], values: Mapping[str, Any], name: str, row: int) -> str:
    try:
        plain = values if values["tools"] is None else {**values, "tools": _untracked(values["tools"])}
        return program.plain.render(messages=[_untracked(message) for message in messages], **plain)
    except _FAILURES as error:
        why = str(error) if isinstance(error, Raised) else f"{type(error).__name__}: {error}"
        raise TemplateError(
            f"Template {name!r} refuses row {row}: {why}",
            remedy=_remedy(messages, error),
            code="WB102",
            row=row,
        ) from None


def _remedy(messages: Sequence[Mapping[str, Any]], error: BaseException) -> str:
    """What to do about a refused row: where the template merely broke, null or typed content is the usual cause."""
    lacking = re.search(r"'(\w+_token)' is undefined", str(error))
    if lacking:
        return f"The tokenizer has no {lacking[1]}, which the template writes: take the template's own tokenizer."
    other = "choose a template that takes this kind of conversation."
    for index, message in enumerate(() if isinstance(error, Raised) else messages):
        if "content" in message and message["content"] is None:
            return f"messages[{index}].content is null: give an empty text instead, or {other}"
        if isinstance(message.get("content"), list):
            return f"messages[{index}].content is a list of parts: give it as one text, or {other}"
    return f"Change the row, or {other}"


def _run_tracked(program: Compiled, messages: Sequence[Mapping[str, Any]], values: Mapping[str, Any]) -> Tracked:
    environment = program.tracking
    with environment.lock:
        environment.begin(messages)
        return join("", program.tracked.generate(messages=list(messages), **values))


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


class _Stretch(NamedTuple):
    """Neighbouring runs of one message."""

    message: int | None
    start: int
    runs: tuple[Run, ...]

    @property
    def end(self) -> int:
        return self.start + sum(run.length for run in self.runs)

    @property
    def is_framed(self) -> bool:
        """Whether template text stands in it."""
        return any(run.origin and run.origin.key == "template" for run in self.runs)


def _stretches(text: Tracked) -> list[_Stretch]:
    made: list[_Stretch] = []
    at = 0
    for message, runs in groupby(text.runs, lambda run: run.origin.message if run.origin else None):
        made.append(_Stretch(message, at, tuple(runs)))
        at = made[-1].end
    return made


def _turns(text: Tracked, talk: Conversation, prompts: Mapping[str, _PromptText]) -> tuple[Turn, ...]:
    return tuple(
        _turn(text, talk, prompts, stretch)
        for stretch in _without_quotes(_stretches(text))
        if stretch.message is not None and stretch.message < len(talk.messages)
    )


def _without_quotes(stretches: list[_Stretch]) -> list[_Stretch]:
    """Text of a message that another message's turn quotes (a call's name before its result) joins that turn.

    It is a quotation when the turn goes on behind it and the message has a turn of its own, with template text.
    Text of no message that stands in the middle of a turn joins it too.
    """
    own = {stretch.message for stretch in stretches if stretch.is_framed}
    made: list[_Stretch] = []
    for stretch, after in zip_longest(stretches, stretches[1:]):
        before = made[-1] if made else None
        quoted = stretch.message is None or (stretch.message in own and not stretch.is_framed)
        inside = before and after and before.message is not None and before.message == after.message
        if before and (before.message == stretch.message or (quoted and inside)):
            made[-1] = _Stretch(before.message, before.start, before.runs + stretch.runs)
        else:
            made.append(stretch)
    return made


def _turn(text: Tracked, talk: Conversation, prompts: Mapping[str, _PromptText], stretch: _Stretch) -> Turn:
    message, start, end = stretch.message or 0, stretch.start, stretch.end
    data_start, data_end, at = end, start, start
    for run in stretch.runs:
        if is_data(run.origin):
            data_start, data_end = min(data_start, at), at + run.length
        at += run.length
    role = str.__str__(str(talk.messages[message].get("role", "")))
    body = data_start
    if role == "assistant":
        after = str(talk.messages[message - 1].get("role")) if message else "user"
        lead = str.__str__(text)[start:data_start]
        body = start + max(_header_length(lead, prompts[role]) for role in {"user", after} & set(prompts))
    flag = talk.train[message] if talk.train else None
    return Turn(message, role, start, body, max(data_end, body), end, flag)


_TAG_ENDS = (">", "]", ":", "\n", " ")
"""Where a header may end that a prompt and a turn share only in part: `<|assistant|><` is shared up to `>`."""


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
    shared = _shared(lead, prompt)
    if shared in (len(lead), len(prompt)):
        return shared
    return max(lead.rfind(mark, 0, shared) for mark in _TAG_ENDS) + 1


def _shared(one: str, other: str) -> int:
    """Length of the common beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))
