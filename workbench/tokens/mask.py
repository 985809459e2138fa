"""Rendered text + encoding -> labels, and the rule behind each.

The row's text is cut into spans by turns and policy; a token is trained when it stands for any character of a trained
span (as `apply_chat_template(return_assistant_tokens_mask=True)` counts). Nothing is searched for in the text.

Which part of an assistant turn is trained:

* inside `{% generation %}`, where the template has it: its author's word;
* else from the end of the generation prompt to the end of the stop token. The stop token is a special token in the
  template's own text behind the answer and before the turn's end: EOS if it is there, else the last special one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
        MaskError: WB110 when `train_on="completion"` meets a conversation without a completion.
    """
    if policy.train_on == "all":
        return _all(encoding)
    spans = _spans(rendered, encoding, policy)
    labels: list[int] = []
    reasons: list[Reason] = []
    straddling: list[int] = []
    first = 0
    for index, (token, (start, end)) in enumerate(zip(encoding.input_ids, encoding.offsets, strict=True)):
        if end <= start:
            labels.append(IGNORE)
            reasons.append(Reason.SPECIAL_ADDED)
            continue
        while first < len(spans) and spans[first].end <= start:
            first += 1
        over = _overlapping(spans, first, end)
        chosen = next((span for span in over if span.trained), over[0])
        labels.append(token if chosen.trained else IGNORE)
        reasons.append(chosen.reason)
        if chosen.trained and not all(span.trained for span in over):
            straddling.append(index)
    return Masked(tuple(labels), tuple(reasons), tuple(straddling))


def _all(encoding: Encoding) -> Masked:
    return Masked(encoding.input_ids, (Reason.ALL,) * len(encoding.input_ids), ())


def _overlapping(spans: Sequence[Span], first: int, end: int) -> list[Span]:
    found: list[Span] = []
    for span in spans[first:]:
        if span.start >= end:
            break
        found.append(span)
    return found or [Span(0, end, False, Reason.BETWEEN_TURNS)]


def _spans(rendered: Rendered, encoding: Encoding, policy: MaskPolicy) -> list[Span]:
    """Spans that cover the whole text in order."""
    spans: list[Span] = []
    last = max((turn.message for turn in rendered.turns if turn.role == "assistant"), default=-1)
    for turn in rendered.turns:
        spans.extend(_turn_spans(turn, rendered, encoding, policy, last))
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


def _turn_spans(turn: Turn, rendered: Rendered, encoding: Encoding, policy: MaskPolicy, last: int) -> list[Span]:
    trained, reason = _verdict(turn, policy, last)
    if turn.role in PLAIN_ROLES or turn.role == "segment":
        return [Span(turn.start, turn.end, trained, reason)]
    if not trained:
        return [Span(turn.start, turn.end, False, reason)]
    stop = _stop(turn, encoding, policy)
    if rendered.has_generation and turn.role == "assistant":
        return _generation_spans(turn, rendered, stop, reason)
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


def _stop(turn: Turn, encoding: Encoding, policy: MaskPolicy) -> tuple[int, int] | None:
    """Characters of the token that ends the turn, or None where the template writes none."""
    tail = [
        (token, span)
        for token, span in zip(encoding.input_ids, encoding.offsets, strict=True)
        if turn.data_end <= span[0] < span[1] <= turn.end and token in policy.special_ids
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
