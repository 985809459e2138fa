"""Rows -> sequences of tokens: the one path that viewer, checks, exports and trainer share.

    sequences(examples, setting)  ->  for each row, in order, its sequences or the Finding that says why it has none

A conversation, a prompt with its completion, segments, steps, token ids and a prompt alone give one sequence; a
preference gives two (`chosen`, `rejected`); a text longer than max_length gives several (`1/3`, …).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from workbench.errors import DataError, MaskError, TemplateError
from workbench.tokens.drafts import Draft, Drafting
from workbench.tokens.encode import Tokenizer, encode
from workbench.tokens.pieces import Labelled
from workbench.tokens.setting import Setting
from workbench.types import IGNORE, Encoding, Example, Finding, Reason, Rendered, TokenizedExample, Turn

CHUNK = 32
"""Rows handed to the tokenizer at once: enough for its threads, and so few that their values are gone before the
garbage collector counts them as old (with 512 it spent 120 of 600 µs a row looking through all that was imported)."""

Parts = tuple[TokenizedExample, ...]


def sequences(examples: Iterable[Example], setting: Setting) -> Iterator[Parts | Finding]:
    """Tokenize rows; one that cannot be gives a Finding of severity error in its place.

    Rows are worked on in chunks of CHUNK, so memory does not grow with their number.

    Raises:
        MaskError: WB112, WB113 for eot tokens that cannot be, before the first row.
    """
    work = Drafting(setting)
    source = iter(examples)
    while chunk := list(islice(source, CHUNK)):
        rows = [_drafted(example, work) for example in chunk]
        codes = iter(
            _encoded([draft for row in rows if not isinstance(row, Finding) for draft in row], setting.tokenizer)
        )
        for example, row in zip(chunk, rows, strict=True):
            if isinstance(row, Finding):
                yield row
            else:
                yield _finished(example.row, [(draft, next(codes)) for draft in row], setting.max_length)


def _drafted(example: Example, work: Drafting) -> tuple[Draft, ...] | Finding:
    try:
        return work.drafts(example)
    except (TemplateError, DataError) as error:
        return _finding(error, example.row)


def _finding(error: TemplateError | MaskError | DataError, row: int) -> Finding:
    return Finding(error.code, "error", error.message, row=row, remedy=error.remedy)


def _encoded(drafts: Sequence[Draft], tokenizer: Tokenizer) -> list[list[Encoding]]:
    """Encodings of the texts of each draft; plain text gets the tokenizer's BOS, templates write their own."""
    made: dict[bool, Iterator[Encoding]] = {}
    for special in (False, True):
        texts = [text for draft in drafts if draft.add_special is special for text in draft.texts]
        made[special] = iter(encode(texts, tokenizer, add_special_tokens=special))
    return [[next(made[draft.add_special]) for _ in draft.texts] for draft in drafts]


def _finished(row: int, drafts: Sequence[tuple[Draft, list[Encoding]]], max_length: int | None) -> Parts | Finding:
    try:
        labelled = [(draft, draft.finish(codes)) for draft, codes in drafts]
    except MaskError as error:
        return _finding(error, row)
    if len(labelled) > 1:
        labelled = _levelled(labelled)
    return tuple(part for draft, made in labelled for part in _kept(row, draft, made, max_length))


def _levelled(sides: Sequence[tuple[Draft, Labelled]]) -> list[tuple[Draft, Labelled]]:
    """Both answers begin at the same token, the earlier one: a prompt is one for both (trl 1.16, dpo_trainer.py)."""
    begins = [next((i for i, label in enumerate(made.labels) if label != IGNORE), None) for _, made in sides]
    begin = min((at for at in begins if at is not None), default=0)
    out: list[tuple[Draft, Labelled]] = []
    for (draft, made), own in zip(sides, begins, strict=True):
        if own is not None and own > begin:
            labels = (*made.labels[:begin], *made.input_ids[begin:own], *made.labels[own:])
            reasons = (*made.reasons[:begin], *[Reason.COMPLETION] * (own - begin), *made.reasons[own:])
            made = made._replace(labels=labels, reasons=reasons)
        out.append((draft, made))
    return out


def _kept(row: int, draft: Draft, made: Labelled, max_length: int | None) -> Parts:
    length = len(made.input_ids)
    if draft.length == "chunk" and max_length is not None and length > max_length:
        return _chunks(row, draft, made, max_length)
    keep = length if max_length is None or draft.length == "keep" else min(max_length, length)
    example = TokenizedExample(
        row=row,
        input_ids=made.input_ids[:keep],
        labels=made.labels[:keep],
        offsets=made.offsets[:keep],
        reasons=made.reasons[:keep],
        rendered=draft.rendered,
        truncated=length - keep,
        findings=draft.findings,
        part=draft.part,
        desirable=draft.desirable,
    )
    return (example,)


def _chunks(row: int, draft: Draft, made: Labelled, size: int) -> Parts:
    """Consecutive stretches of the tokens, each with its own stretch of the text."""
    starts = range(0, len(made.input_ids), size)
    out: list[TokenizedExample] = []
    for number, at in enumerate(starts, start=1):
        labels, spans = made.labels[at : at + size], made.offsets[at : at + size]
        low = min((start for start, end in spans if end > start), default=0)
        high = max((end for start, end in spans if end > start), default=low)
        turn = Turn(0, "text", 0, 0, high - low, high - low)
        out.append(
            TokenizedExample(
                row=row,
                input_ids=made.input_ids[at : at + size],
                labels=labels,
                offsets=tuple((start - low, end - low) if end > start else (0, 0) for start, end in spans),
                reasons=made.reasons[at : at + size],
                rendered=Rendered(row, draft.rendered.text[low:high], (turn,)),
                part=f"{number}/{len(starts)}",
            )
        )
    return tuple(out)
