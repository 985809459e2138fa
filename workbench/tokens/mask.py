"""Rendered text + encoding -> labels, and the rule behind each.

The row's text is cut into spans by turns and policy; a token is trained when it stands for any character of a trained
span (as `apply_chat_template(return_assistant_tokens_mask=True)` counts), and in a text that the row marks in parts
when all of its characters are marked as trained. Nothing is searched for in the text.

Which part of an assistant turn is trained:

* inside `{% generation %}`, where the template has it: its author's word;
* else from the end of the generation prompt to the end of the stop token (tokens/stops.py).

Of another role's turn, what the role says is trained, and the stop token.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from workbench.errors import MaskError
from workbench.tokens.edges import Edges, edges_of
from workbench.tokens.marks import Mark, Placed, is_prefill, joined, marks_of, placed
from workbench.tokens.policy import PLAIN_ROLES, MaskPolicy, verdicts
from workbench.tokens.stops import Stop, is_trained, stops_of
from workbench.types import IGNORE, Encoding, Reason, Rendered, Turn

__all__ = ["MaskPolicy", "Masked", "mask"]


class Span(NamedTuple):
    """Characters with one verdict.

    Attributes:
        whole: A trained span that takes only tokens wholly inside it; a masked one that takes every token it touches
            from trained spans.
    """

    start: int
    end: int
    trained: bool
    reason: Reason
    whole: bool = False


class Masked(NamedTuple):
    """Labels and reasons, both of shape (T,)."""

    labels: tuple[int, ...]
    reasons: tuple[Reason, ...]


def mask(rendered: Rendered, encoding: Encoding, policy: MaskPolicy) -> Masked:
    """Decide every token of a row.

    Raises:
        MaskError: WB110 when `train_on="completion"` meets a conversation without a completion; WB111 when the
            template writes another message's text into a trained turn and does not mark what is generated.
    """
    ids = encoding.input_ids
    if policy.train_on == "all" and not policy.whole:
        made = Masked(ids, (Reason.ALL,) * len(ids))
    else:
        made = _masked(rendered, encoding, policy)
    media = policy.rules.media_ids
    return _without_media(made, ids, media) if media and not media.isdisjoint(ids) else made


def _masked(rendered: Rendered, encoding: Encoding, policy: MaskPolicy) -> Masked:
    edges = edges_of(encoding)
    row = _Row(rendered, edges, policy)
    spans = _whole_completion(row) if policy.whole else _spans(row)
    labels = [IGNORE] * len(encoding.input_ids)
    reasons = [Reason.BETWEEN_TURNS] * len(encoding.input_ids)
    ids, over = encoding.input_ids, edges.over
    for start, end, trained, reason, _ in reversed(spans):
        if not trained:
            first, last = over(start, end)
            reasons[first:last] = [reason] * (last - first)
    for start, end, trained, reason, whole in reversed(spans):
        if trained:
            first, last = edges.inside(start, end) if whole else over(start, end)
            reasons[first:last] = [reason] * (last - first)
            labels[first:last] = ids[first:last]
    for start, end, _, reason, _ in row.taken_out:
        first, last = edges.over(start, end)
        labels[first:last], reasons[first:last] = [IGNORE] * (last - first), [reason] * (last - first)
    for index in edges.empty:
        labels[index], reasons[index] = IGNORE, Reason.SPECIAL_ADDED
    return Masked(tuple(labels), tuple(reasons))


def _without_media(made: Masked, ids: Sequence[int], media: frozenset[int]) -> Masked:
    labels, reasons = list(made.labels), list(made.reasons)
    for index, token in enumerate(ids):
        if token in media:
            labels[index], reasons[index] = IGNORE, Reason.MEDIA
    return Masked(tuple(labels), tuple(reasons))


class _Row:
    """What is known of a row while its spans are made."""

    def __init__(self, rendered: Rendered, edges: Edges, policy: MaskPolicy) -> None:
        self.rendered, self.edges, self.policy = rendered, edges, policy
        self.taken_out: list[Span] = []
        self.marks: dict[int, tuple[Mark, ...]] = marks_of(rendered, self.runs, policy.spans) if policy.spans else {}
        self.verdicts = verdicts(rendered, policy)
        for index, marks in self.marks.items():
            if self.verdicts[index][1] is not Reason.FLAG_OFF and not is_prefill(marks):
                trained = any(mark.train for mark in marks)
                self.verdicts[index] = trained, Reason.SPAN if trained else Reason.SPAN_OFF
        self.generation_ends = [end for _, end in rendered.generation]
        rules = policy.rules
        self.any_turn = rules.eos == "all" or rules.eot == "all"
        self.last_turn = rules.eos == "last" or rules.eot == "last"

    @cached_property
    def runs(self) -> Placed:
        return placed(self.rendered)

    @cached_property
    def times(self) -> Counter[int]:
        """How many turns each message has."""
        return Counter([turn.message for turn in self.rendered.turns])

    @cached_property
    def answer_stops(self) -> frozenset[int]:
        """Ids of the tokens that end answers in this row."""
        answers = (turn for turn in self.rendered.turns if turn.role == "assistant")
        return frozenset(self.edges.input_ids[stop.token] for turn in answers for stop in self.stops(turn))

    @cached_property
    def last(self) -> int:
        """Index of the last trained turn that has a stop token, -1 for none."""
        turns = list(enumerate(zip(self.rendered.turns, self.verdicts, strict=True)))
        return next((i for i, (turn, said) in reversed(turns) if said[0] and self.stops(turn)), -1)

    def generated(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Parts of a stretch that the template marks as generated."""
        for index in range(bisect_right(self.generation_ends, start), len(self.generation_ends)):
            low, high = self.rendered.generation[index]
            if low >= end:
                return
            yield max(low, start), min(high, end)

    def stops(self, turn: Turn) -> tuple[Stop, ...]:
        return stops_of(turn, self.edges, self.policy, lambda: self.answer_stops)

    def ends(self, index: int) -> list[Span]:
        """The stop tokens of a turn as spans, trained or left out."""
        rules, trained = self.policy.rules, self.verdicts[index][0]
        if not trained and not self.any_turn:
            return []
        is_last = self.last_turn and index == self.last
        made: list[Span] = []
        for stop in self.stops(self.rendered.turns[index]):
            kept = is_trained(stop, rules, trained, is_last)
            if trained or kept:
                made.append(Span(stop.start, stop.end, kept, Reason.STOP if kept else Reason.STOP_OFF))
        return made


def _spans(row: _Row) -> list[Span]:
    """Spans that cover the whole text in order."""
    covered: list[Span] = []
    at = 0
    for index in range(len(row.rendered.turns)):
        for span in _turn_spans(row, index):
            if span.start > at:
                covered.append(Span(at, span.start, False, Reason.BETWEEN_TURNS))
            if span.end > span.start:
                covered.append(span)
            at = max(at, span.end)
    if at < len(row.rendered.text):
        covered.append(Span(at, len(row.rendered.text), False, Reason.BETWEEN_TURNS))
    return _with_stray_generation(covered, row)


def _with_stray_generation(spans: list[Span], row: _Row) -> list[Span]:
    """Generation text outside any turn is the author's word too."""
    policy, other = row.policy, Reason.BETWEEN_TURNS
    if not row.rendered.generation or policy.train_on != "assistant" or "assistant" not in policy.rules.roles:
        return spans
    out: list[Span] = []
    for span in spans:
        if span.reason is other:
            marked = row.generated(span.start, span.end)
            out.extend(_cut(span, [Span(low, high, True, Reason.ASSISTANT_TEMPLATE) for low, high in marked]))
        else:
            out.append(span)
    return out


def _cut(span: Span, others: Sequence[Span]) -> list[Span]:
    """A span with others, in order, laid over it."""
    out: list[Span] = []
    at = span.start
    for start, end, trained, reason, whole in others:
        low, high = max(start, at), min(end, span.end)
        if low < high:
            out += [span._replace(start=at, end=low), Span(low, high, trained, reason, whole)]
            at = high
    out.append(span._replace(start=at))
    return [piece for piece in out if piece.end > piece.start]


def _turn_spans(row: _Row, index: int) -> list[Span]:
    turn, (trained, reason) = row.rendered.turns[index], row.verdicts[index]
    if turn.role in PLAIN_ROLES or turn.role == "segment":
        return _plain(row, turn, trained, reason)
    ends = row.ends(index)
    if not trained:
        base = Span(turn.start, turn.end, False, reason)
        return _cut(base, ends) if ends else [base]
    marks = row.marks.get(index, ())
    if reason is Reason.SPAN:
        return _marked(turn, marks, ends)
    for mark in marks:
        if not mark.train:
            row.taken_out.append(Span(*mark))
    if marks and is_prefill(marks):
        row.taken_out.append(Span(turn.body, min(mark.start for mark in marks), False, Reason.PREFILL))
    if turn.role != "assistant":
        return _said(row, turn, reason, ends)
    if row.rendered.has_generation:
        return _generation_spans(row, turn, ends, reason)
    _refuse_interrupted(row, turn)
    end = ends[0].end if ends else turn.data_end
    behind = Span(end, turn.end, False, Reason.AFTER_STOP)
    return [
        Span(turn.start, turn.body, False, Reason.HEADER),
        *_body(turn, turn.body, end, ends[:1], reason),
        *(_cut(behind, ends[1:]) if ends[1:] else (behind,)),
    ]


def _plain(row: _Row, turn: Turn, trained: bool, reason: Reason) -> list[Span]:
    """A text without template; EOS behind a completion can be left out."""
    base = Span(turn.start, turn.end, trained, reason)
    if turn.role != "completion" or row.policy.rules.eos != "none":
        return [base]
    first, last = row.edges.over(max(turn.start, turn.end - 1), turn.end)
    if first == last or row.edges.input_ids[last - 1] != row.policy.eos_id:
        return [base]
    return _cut(base, [Span(row.edges.starts[last - 1], turn.end, False, Reason.STOP_OFF)])


def _marked(turn: Turn, marks: Sequence[Mark], ends: Sequence[Span]) -> list[Span]:
    """A message the row marks in parts: the parts and the stop token, nothing else."""
    header = Reason.HEADER if turn.role == "assistant" else Reason.OTHER_ROLE
    parts = [Span(start, end, True, Reason.SPAN, whole=True) for start, end in joined(marks)]
    stop = ends[0].start if ends else turn.data_end
    return [
        Span(turn.start, turn.body, False, header),
        *_cut(Span(turn.body, stop, False, Reason.SPAN_OFF), parts),
        *_cut(Span(stop, turn.end, False, Reason.AFTER_STOP), ends),
    ]


def _said(row: _Row, turn: Turn, reason: Reason, ends: Sequence[Span]) -> list[Span]:
    """What another role says, from the first to the last character of its own data, and its stop token."""
    own = [
        (at, at + run.length)
        for at, run in row.runs.within(turn.start, turn.end)
        if run.origin and run.origin.message == turn.message and run.origin.field and run.origin.key != "role"
    ]
    low, high = (own[0][0], own[-1][1]) if own else (turn.body, turn.body)
    stop = ends[0].start if ends else turn.end
    return [
        Span(turn.start, low, False, Reason.OTHER_ROLE),
        Span(low, high, True, reason),
        Span(high, stop, False, Reason.OTHER_ROLE),
        *_cut(Span(stop, turn.end, False, Reason.AFTER_STOP), ends),
    ]


def _refuse_interrupted(row: _Row, turn: Turn) -> None:
    """Where text of other messages stands inside an answer, template text around it may be theirs as well."""
    if row.times[turn.message] > 1:
        raise MaskError(
            f"The template writes text of another message into the middle of message {turn.message} "
            f"of row {row.rendered.row}: which of the text around it the model writes cannot be told.",
            remedy="Take a template that marks it with {% generation %}, such as one whose name ends in _training.",
            code="WB111",
            row=row.rendered.row,
        )


def _generation_spans(row: _Row, turn: Turn, ends: Sequence[Span], reason: Reason) -> list[Span]:
    out: list[Span] = []
    at = turn.start
    for low, high in row.generated(turn.start, turn.end):
        out.append(Span(at, low, False, Reason.HEADER if low <= turn.body else Reason.AFTER_STOP))
        out += _body(turn, low, high, ends, reason)
        at = high
    return [*out, Span(at, turn.end, False, Reason.AFTER_STOP if at > turn.start else Reason.OTHER_ROLE)]


def _body(turn: Turn, start: int, end: int, ends: Sequence[Span], reason: Reason) -> list[Span]:
    """Trained spans from start to end, the answer told apart from the template's text and the stop tokens."""
    at = min(end, max(start, turn.data_end))
    pieces = [Span(start, at, True, reason)]
    for stop in ends:
        if at <= stop.start < end:
            last = min(stop.end, end)
            pieces += [Span(at, stop.start, True, Reason.ASSISTANT_TEMPLATE), stop._replace(end=last)]
            at = last
    pieces.append(Span(at, end, True, Reason.ASSISTANT_TEMPLATE))
    return [piece for piece in pieces if piece.end > piece.start]


def _whole_completion(row: _Row) -> list[Span]:
    """Everything behind the prompt, as trainers of pairs take it; stop tokens named as such."""
    turns, begin = row.rendered.turns, row.policy.completion_from
    end = len(row.rendered.text)
    spoken = [turn for turn in turns if turn.role == "completion" or (begin is not None and turn.message >= begin)]
    if not spoken:
        return [Span(0, end, False, Reason.PROMPT)]
    start = spoken[0].body if spoken[0].role == "assistant" else spoken[0].start
    stops = [
        Span(stop.start, stop.end, True, Reason.STOP)
        for turn in spoken
        if turn.role == "assistant"
        for stop in row.stops(turn)
    ]
    return [Span(0, start, False, Reason.PROMPT), *_cut(Span(start, end, True, Reason.COMPLETION), stops)]
