"""Rendered text + encoding -> labels, and the rule behind each.

The row's text is cut into spans by turns and policy; a token is trained when it stands for any character of a trained
span (as `apply_chat_template(return_assistant_tokens_mask=True)` counts). Nothing is searched for in the text.

Which part of an assistant turn is trained:

* inside `{% generation %}`, where the template has it: its author's word;
* else from the end of the generation prompt to the end of the stop token. The stop token is a special token in the
  template's own text behind the answer and before the turn's end: EOS if it is there, else the last special one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from operator import ge
from typing import NamedTuple

from workbench.errors import MaskError
from workbench.types import IGNORE, Encoding, Reason, Rendered, TrainOn, Turn

PLAIN_ROLES = {"text": Reason.ALL, "completion": Reason.COMPLETION, "prompt": Reason.PROMPT}
"""Roles of rows that are no conversations, and the reason their text carries."""


@dataclass(frozen=True, slots=True)
class MaskPolicy:
    """What is trained, and which token ids are special.

    Attributes:
        completion_from: First message of the completion, for conversational prompt/completion rows.
    """

    train_on: TrainOn
    special_ids: frozenset[int]
    eos_id: int | None
    completion_from: int | None = None


class Span(NamedTuple):
    """Characters with one verdict."""

    start: int
    end: int
    trained: bool
    reason: Reason


class Masked(NamedTuple):
    """Labels and reasons, both of shape (T,); `straddling` are trained tokens that reach into masked text."""

    labels: tuple[int, ...]
    reasons: tuple[Reason, ...]
    straddling: tuple[int, ...]


def mask(rendered: Rendered, encoding: Encoding, policy: MaskPolicy) -> Masked:
    """Decide every token of a row.

    Raises:
        MaskError: WB110 when `train_on="completion"` meets a conversation without a completion; WB111 when the
            template writes another message's text into a trained turn and does not mark what is generated.
    """
    if policy.train_on == "all":
        return _all(encoding)
    edges = _edges(encoding)
    spans = _spans(rendered, edges, policy)
    labels = [IGNORE] * len(encoding.input_ids)
    reasons = [Reason.BETWEEN_TURNS] * len(encoding.input_ids)
    for span in sorted(reversed(spans), key=lambda span: span.trained):
        first, last = edges.over(span.start, span.end)
        reasons[first:last] = [span.reason] * (last - first)
        if span.trained:
            labels[first:last] = encoding.input_ids[first:last]
    for index in edges.empty:
        labels[index], reasons[index] = IGNORE, Reason.SPECIAL_ADDED
    return Masked(tuple(labels), tuple(reasons), _straddling(spans, edges))


def _all(encoding: Encoding) -> Masked:
    return Masked(encoding.input_ids, (Reason.ALL,) * len(encoding.input_ids), ())


class _Edges(NamedTuple):
    """Where tokens start and end, both ascending, so that characters are found by bisection."""

    input_ids: Sequence[int]
    starts: Sequence[int]
    ends: Sequence[int]
    empty: Sequence[int]

    def over(self, start: int, end: int) -> tuple[int, int]:
        """First and one past the last token that stand for any of the characters."""
        first = bisect_right(self.ends, start)
        return first, max(first, bisect_left(self.starts, end))


def _edges(encoding: Encoding) -> _Edges:
    if not encoding.offsets:
        return _Edges((), (), (), ())
    starts, ends = zip(*encoding.offsets, strict=True)
    if not any(map(ge, starts, ends)):
        return _Edges(encoding.input_ids, starts, ends, ())
    reached = list(accumulate(ends, max))  # a token of no characters, such as an added EOS, is reported at 0
    empty = [i for i, (start, end) in enumerate(encoding.offsets) if start >= end]
    placed = list(starts)
    for i in empty:
        placed[i] = reached[i]
    return _Edges(encoding.input_ids, placed, reached, empty)


def _straddling(spans: Sequence[Span], edges: _Edges) -> tuple[int, ...]:
    """Tokens that reach over a border between trained and masked text."""
    found: set[int] = set()
    for before, after in pairwise(spans):
        if before.trained != after.trained:
            first, last = edges.over(after.start, after.start + 1)
            found.update(index for index in range(first, last) if edges.starts[index] < after.start)
    return tuple(sorted(found))


def _spans(rendered: Rendered, edges: _Edges, policy: MaskPolicy) -> list[Span]:
    """Spans that cover the whole text in order."""
    spans: list[Span] = []
    last = max((turn.message for turn in rendered.turns if turn.role == "assistant"), default=-1)
    for turn in rendered.turns:
        spans.extend(_turn_spans(turn, rendered, edges, policy, last))
    covered: list[Span] = []
    at = 0
    for span in spans:
        if span.start > at:
            covered.append(Span(at, span.start, False, Reason.BETWEEN_TURNS))
        if span.end > span.start:
            covered.append(span)
        at = max(at, span.end)
    if at < len(rendered.text):
        covered.append(Span(at, len(rendered.text), False, Reason.BETWEEN_TURNS))
    return _with_stray_generation(covered, rendered, policy)


def _with_stray_generation(spans: list[Span], rendered: Rendered, policy: MaskPolicy) -> list[Span]:
    """Generation text outside any turn is the author's word too."""
    if not rendered.generation or policy.train_on != "assistant":
        return spans
    out: list[Span] = []
    for span in spans:
        if span.reason is Reason.BETWEEN_TURNS:
            out.extend(_cut(span, rendered.generation, Reason.ASSISTANT_TEMPLATE))
        else:
            out.append(span)
    return out


def _cut(span: Span, trained: Sequence[tuple[int, int]], reason: Reason) -> list[Span]:
    out: list[Span] = []
    at = span.start
    for start, end in trained:
        low, high = max(start, at), min(end, span.end)
        if low < high:
            out += [Span(at, low, False, span.reason), Span(low, high, True, reason)]
            at = high
    out.append(Span(at, span.end, False, span.reason))
    return [piece for piece in out if piece.end > piece.start]


def _turn_spans(turn: Turn, rendered: Rendered, edges: _Edges, policy: MaskPolicy, last: int) -> list[Span]:
    trained, reason = _verdict(turn, policy, last)
    if turn.role in PLAIN_ROLES or turn.role == "segment":
        return [Span(turn.start, turn.end, trained, reason)]
    if not trained:
        return [Span(turn.start, turn.end, False, reason)]
    stop = _stop(turn, edges, policy)
    if rendered.has_generation and turn.role == "assistant":
        return _generation_spans(turn, rendered, stop, reason)
    _refuse_interrupted(turn, rendered)
    end = stop[1] if stop else turn.data_end
    header = Reason.HEADER if turn.role == "assistant" else Reason.OTHER_ROLE
    return [
        Span(turn.start, turn.body, False, header),
        *_body(turn, turn.body, end, stop, reason),
        Span(end, turn.end, False, Reason.AFTER_STOP),
    ]


def _verdict(turn: Turn, policy: MaskPolicy, last: int) -> tuple[bool, Reason]:
    """Whether a turn is trained, and why; the row's own flag goes first."""
    if turn.role == "segment":
        return (True, Reason.SEGMENT) if turn.train else (False, Reason.SEGMENT_OFF)
    if turn.role in PLAIN_ROLES:
        return turn.role != "prompt", PLAIN_ROLES[turn.role]
    if turn.train is not None:
        return (
            (True, Reason.ASSISTANT if turn.role == "assistant" else Reason.FLAG)
            if turn.train
            else (False, Reason.FLAG_OFF)
        )
    if turn.role != "assistant":
        return False, Reason.OTHER_ROLE
    if policy.train_on == "last_assistant":
        return (True, Reason.ASSISTANT) if turn.message == last else (False, Reason.EARLIER_TURN)
    if policy.train_on == "completion":
        if policy.completion_from is None:
            raise MaskError(
                'train_on="completion" needs rows with a prompt and a completion; this is a conversation.',
                remedy='Use train_on="assistant" or "last_assistant".',
                code="WB110",
            )
        return (True, Reason.COMPLETION) if turn.message >= policy.completion_from else (False, Reason.PROMPT)
    return True, Reason.ASSISTANT


def _refuse_interrupted(turn: Turn, rendered: Rendered) -> None:
    """Where text of other messages stands inside an answer, template text around it may be theirs as well."""
    if turn.role == "assistant" and sum(other.message == turn.message for other in rendered.turns) > 1:
        raise MaskError(
            f"The template writes text of another message into the middle of message {turn.message} "
            f"of row {rendered.row}: which of the text around it the model writes cannot be told.",
            remedy="Take a template that marks it with {% generation %}, such as one whose name ends in _training.",
            code="WB111",
            row=rendered.row,
        )


def _stop(turn: Turn, edges: _Edges, policy: MaskPolicy) -> tuple[int, int] | None:
    """Characters of the token that ends the turn, or None where the template writes none."""
    first, last = bisect_left(edges.starts, turn.data_end), bisect_left(edges.starts, turn.end)
    tail = [
        (edges.input_ids[i], (edges.starts[i], edges.ends[i]))
        for i in range(first, last)
        if edges.starts[i] < edges.ends[i] <= turn.end and edges.input_ids[i] in policy.special_ids
    ]
    ends = [span for token, span in tail if token == policy.eos_id]
    return ends[0] if ends else tail[-1][1] if tail else None


def _generation_spans(turn: Turn, rendered: Rendered, stop: tuple[int, int] | None, reason: Reason) -> list[Span]:
    out: list[Span] = []
    at = turn.start
    for start, end in rendered.generation:
        low, high = max(start, turn.start), min(end, turn.end)
        if low < high:
            out += [Span(at, low, False, Reason.HEADER if low <= turn.body else Reason.AFTER_STOP)]
            out += _body(turn, low, high, stop, reason)
            at = high
    return [*out, Span(at, turn.end, False, Reason.AFTER_STOP if at > turn.start else Reason.OTHER_ROLE)]


def _body(turn: Turn, start: int, end: int, stop: tuple[int, int] | None, reason: Reason) -> list[Span]:
    """Trained spans from start to end, the answer told apart from the stop token."""
    answer_end = min(end, max(start, turn.data_end))
    pieces = [Span(start, answer_end, True, reason)]
    if stop and answer_end <= stop[0] < end:
        between = Span(answer_end, stop[0], True, Reason.ASSISTANT_TEMPLATE)
        pieces += [between, Span(stop[0], min(stop[1], end), True, Reason.STOP)]
        answer_end = min(stop[1], end)
    pieces.append(Span(answer_end, end, True, Reason.ASSISTANT_TEMPLATE))
    return [piece for piece in pieces if piece.end > piece.start]
