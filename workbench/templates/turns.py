r"""Which stretch of a rendered text is whose turn, from the origins of its characters alone.

<|im_start|>assistant\n  Hi there  <|im_end|>  \n
└ start                 └ body   └ data_end        └ end
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, groupby, zip_longest
from typing import NamedTuple

from workbench.tracked import Run, Tracked
from workbench.types import Conversation, Origin, Turn


class PromptText(str):
    """The generation prompt, and where its pieces begin."""

    __slots__ = ("pieces",)
    pieces: tuple[int, ...]

    def __new__(cls, text: Tracked, start: int) -> PromptText:
        """The prompt that begins at a character of a rendering."""
        part = text[start:]
        self = super().__new__(cls, part)
        ends = list(accumulate(run.length for run in part.runs))
        self.pieces = tuple(ends[:-1])
        return self


def generation_spans(runs: Sequence[Run]) -> tuple[tuple[int, int], ...]:
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


def turns_of(text: Tracked, talk: Conversation, prompts: Mapping[str, PromptText]) -> tuple[Turn, ...]:
    """The turns of a rendering, in order.

    Args:
        text: The rendering.
        talk: What was rendered.
        prompts: The generation prompts by the role they follow.
    """
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


def _turn(text: Tracked, talk: Conversation, prompts: Mapping[str, PromptText], stretch: _Stretch) -> Turn:
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
    for start in (0, *(prompt.pieces if isinstance(prompt, PromptText) else ())):
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
