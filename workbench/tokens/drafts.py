"""Examples -> drafts: the texts that are to be tokenized, and how their tokens are labelled.

One draft is one sequence. Drafts of many rows are encoded together (tokens/sequences.py), then each finishes itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, Literal, NamedTuple

from workbench.errors import DataError, TemplateError
from workbench.templates.render import render
from workbench.tokens.encode import added_bos_token
from workbench.tokens.given import spelled, spelling_of
from workbench.tokens.mask import mask
from workbench.tokens.pieces import Ends, Labelled, answer_span, glued, halves, steps_labelled, steps_text
from workbench.tokens.policy import MaskPolicy
from workbench.tokens.setting import Setting, media_of, policy_for
from workbench.tracked import join, track
from workbench.types import (
    IGNORE,
    Conversation,
    Encoding,
    Example,
    Finding,
    Origin,
    Preference,
    PromptCompletion,
    PromptOnly,
    Reason,
    Rendered,
    Segments,
    Steps,
    Text,
    TokenIds,
    Turn,
    Unpaired,
)


class Draft(NamedTuple):
    """One sequence before it has tokens.

    Attributes:
        texts: Tokenized each alone, in order.
        add_special: Let the tokenizer add what it adds to plain text (BOS).
        finish: Encodings of the texts -> tokens with labels.
        length: What happens beyond max_length: the rest is cut off, goes on in further sequences, or stays.
    """

    rendered: Rendered
    texts: tuple[str, ...]
    add_special: bool
    finish: Callable[[Sequence[Encoding]], Labelled]
    length: Literal["cut", "chunk", "keep"] = "cut"
    part: str = ""
    desirable: bool | None = None
    findings: tuple[Finding, ...] = ()


class Drafting:
    """Makes drafts for one setting.

    Raises:
        MaskError: WB112, WB113, see `tokens.setting.policy_for`.
    """

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.policy = policy_for(setting)
        self.eos = str(setting.tokenizer.eos_token or "")
        self.is_apart = setting.options.pieces == "separate"

    @cached_property
    def media_ids(self) -> frozenset[int]:
        """Tokens that stand for images, by the tokenizer's names and by what the template writes."""
        return self.policy.rules.media_ids | media_of(self.setting, self.policy.special_ids)

    @cached_property
    def spelling(self) -> Callable[[int], bytes]:
        """Bytes of every token."""
        return spelling_of(self.setting.tokenizer)

    @cached_property
    def ends(self) -> Ends:
        """What stands around plain text."""
        return Ends.of(self.setting.tokenizer, self.setting.max_length)

    def drafts(self, example: Example) -> tuple[Draft, ...]:
        """Drafts of one row.

        Raises:
            TemplateError: As `templates.render.render`; WB107 where a conversation has no template.
            DataError: WB114 for token ids outside the vocabulary.
        """
        return _MAKERS[type(example)](example, self)

    def policy_of(self, talk: Conversation) -> MaskPolicy:
        """The policy with what this row says."""
        base = self.policy
        if talk.completion_from is None and not talk.spans and not talk.images:
            return base
        rules = replace(base.rules, media_ids=self.media_ids) if talk.images else base.rules
        return replace(base, completion_from=talk.completion_from, rules=rules, spans=talk.spans)


def render_talk(talk: Conversation, setting: Setting, *, add_generation_prompt: bool = False) -> Rendered:
    """Render a conversation with the setting's template.

    Raises:
        TemplateError: As `templates.render.render`; WB107 where there is no template.
    """
    if setting.template is None:
        raise TemplateError(
            f"Row {talk.row} is a conversation, and no chat template was given.",
            remedy='Give one: data.encode(wb.template("chatml"), …).',
            code="WB107",
            row=talk.row,
        )
    return render(talk, setting.template, variables=setting.variables, add_generation_prompt=add_generation_prompt)


def _masked(rendered: Rendered, policy: MaskPolicy, parts: Sequence[Encoding]) -> Labelled:
    (encoding,) = parts
    made = mask(rendered, encoding, policy)
    return Labelled(encoding.input_ids, made.labels, encoding.offsets, made.reasons)


def _whole(rendered: Rendered, policy: MaskPolicy, add_special: bool, **more: Any) -> Draft:
    return Draft(rendered, (rendered.text,), add_special, partial(_masked, rendered, policy), **more)


def _conversation(talk: Conversation, work: Drafting) -> tuple[Draft, ...]:
    rendered, policy = render_talk(talk, work.setting), work.policy_of(talk)
    answer = answer_span(talk, rendered, work.eos) if work.is_apart else None
    if answer is None:
        return (_whole(rendered, policy, False),)
    return (_apart(rendered, policy, work, (*answer, rendered.turns[-1].end)),)


def _apart(rendered: Rendered, policy: MaskPolicy, work: Drafting, edges: tuple[int, int, int]) -> Draft:
    """Prompt and answer tokenized alone; the answer runs from the first edge to the second, its EOS to the third."""
    start, end, stop = edges
    text = rendered.text
    bos = added_bos_token(work.setting.tokenizer)
    begin = len(bos) if rendered.turns[0].role != "prompt" and str.startswith(text, bos) else 0
    eos_length = len(work.eos) if str.startswith(text, work.eos, end) and end + len(work.eos) <= stop else 0

    def finish(parts: Sequence[Encoding]) -> Labelled:
        asked, answer = halves(parts[0], parts[1], work.ends, (end - start, end - start + eos_length))
        whole = glued((asked, answer), (text[begin:start], text[start:]))
        spans = tuple((low + begin, high + begin) for low, high in whole.offsets)
        if begin and whole.input_ids[:1] == (work.ends.bos_id,):
            spans = ((0, begin), *spans[1:])
        return _masked(rendered, policy, (Encoding(whole.input_ids, spans),))

    return Draft(rendered, (text[begin:start], text[start:end]), True, finish)


def _prompt_completion(example: PromptCompletion, work: Drafting) -> tuple[Draft, ...]:
    rendered = joined_text(example, work.eos)
    policy = _completion_policy(work)
    if not work.is_apart:
        return (_whole(rendered, policy, True),)
    start, end = len(example.prompt), len(example.prompt) + len(example.completion)
    return (_apart(rendered, policy, work, (start, end, len(rendered.text))),)


def _completion_policy(work: Drafting) -> MaskPolicy:
    return work.policy if work.policy.train_on == "all" else replace(work.policy, train_on="completion")


def _text(example: Text, work: Drafting) -> tuple[Draft, ...]:
    rendered = row_text(example.row, [("text", ended(example.text, work.eos, 0), None)])
    length = "chunk" if work.setting.options.long_text == "chunk" else "cut"
    return (_whole(rendered, replace(work.policy, train_on="all"), True, length=length),)


def _segments(example: Segments, work: Drafting) -> tuple[Draft, ...]:
    rendered = row_text(example.row, [("segment", text, flag) for text, flag in example.segments])
    if not work.is_apart:
        return (_whole(rendered, work.policy, False),)
    texts = tuple(text for text, _ in example.segments)

    def finish(parts: Sequence[Encoding]) -> Labelled:
        return _masked(rendered, work.policy, (glued(parts, texts),))

    return (Draft(rendered, texts, False, finish),)


def _steps(example: Steps, work: Drafting) -> tuple[Draft, ...]:
    texts, turns = steps_text(example.prompt, example.completions, example.separator)
    rendered = Rendered(example.row, join("", texts), tuple(turns))

    def finish(parts: Sequence[Encoding]) -> Labelled:
        return steps_labelled(parts, texts, example.labels, work.ends.bos_id)

    return (Draft(rendered, tuple(texts), False, finish),)


def _prompt_only(example: PromptOnly, work: Drafting) -> tuple[Draft, ...]:
    def finish(parts: Sequence[Encoding]) -> Labelled:
        ids, offsets = parts[0].input_ids, parts[0].offsets
        return Labelled(ids, (IGNORE,) * len(ids), offsets, (Reason.PROMPT,) * len(ids))

    asked = example.prompt
    if isinstance(asked, Conversation):
        rendered = render_talk(asked, work.setting, add_generation_prompt=True)
    else:
        rendered = row_text(example.row, [("prompt", asked.text, None)])
    return (Draft(rendered, (rendered.text,), isinstance(asked, Text), finish, length="keep"),)


def _pair_side(side: Conversation | PromptCompletion, work: Drafting, **more: Any) -> Draft:
    if isinstance(side, PromptCompletion):
        return _whole(joined_text(side, work.eos), replace(work.policy, whole=True), True, **more)
    return _whole(render_talk(side, work.setting), replace(work.policy_of(side), whole=True), False, **more)


def _preference(example: Preference, work: Drafting) -> tuple[Draft, ...]:
    return tuple(_pair_side(getattr(example, part), work, part=part) for part in ("chosen", "rejected"))


def _unpaired(example: Unpaired, work: Drafting) -> tuple[Draft, ...]:
    return (_pair_side(example.answer, work, desirable=example.label),)


def _token_ids(example: TokenIds, work: Drafting) -> tuple[Draft, ...]:
    ids, size = example.input_ids, len(work.setting.tokenizer)
    labels = example.labels or ids
    for name, values in (("input_ids", ids), ("labels", labels)):
        bad = next((i for i, token in enumerate(values) if not 0 <= token < size and token != IGNORE), None)
        if name == "input_ids" and bad is None and IGNORE in values:
            bad = values.index(IGNORE)
        if bad is not None:
            raise DataError(
                f"{name}[{bad}] of row {example.row} is {values[bad]}, but the tokenizer has ids 0 to {size - 1}.",
                remedy="Take the tokenizer that the row was tokenized with.",
                code="WB114",
                row=example.row,
            )
    text, offsets = spelled(ids, work.spelling)
    reasons = tuple(Reason.GIVEN_OFF if label == IGNORE else Reason.GIVEN for label in labels)
    rendered = row_text(example.row, [("text", text, None)])
    found = _attended_padding(example, labels)
    return (Draft(rendered, (), False, lambda _: Labelled(ids, labels, offsets, reasons), findings=found),)


def _attended_padding(example: TokenIds, labels: Sequence[int]) -> tuple[Finding, ...]:
    """Tokens that the row's attention_mask leaves out, before a trained token: the trainer's batch attends to them."""
    mask = example.attention_mask
    if mask is None or 0 not in mask:
        return ()
    at = mask.index(0)
    if all(label == IGNORE for label in labels[at:]):
        return ()
    message = (
        f"attention_mask[{at}] of row {example.row} is 0, before trained tokens: training makes its own mask, in which "
        "every token of a row is attended to."
    )
    remedy = "Take the padding out of the row; batches are padded when they are made."
    return (Finding("WB117", "warning", message, row=example.row, field="attention_mask", remedy=remedy),)


def ended(text: str, eos: str, message: int) -> str:
    """Text with EOS behind it, unless it is there already (as TRL adds it; trl 1.16, sft_trainer.py, add_eos)."""
    if not eos or str.endswith(text, eos):
        return text
    return join("", (text, track(eos, Origin(None, message, "template"))))


def joined_text(example: PromptCompletion, eos: str) -> Rendered:
    """Prompt and completion as one text, EOS behind it."""
    completion = ended(example.completion, eos, 1)
    return row_text(example.row, [("prompt", example.prompt, None), ("completion", completion, None)])


def row_text(row: int, pieces: Sequence[tuple[str, str, bool | None]]) -> Rendered:
    """Texts (role, text, flag) joined, each a turn of its own."""
    turns: list[Turn] = []
    at = 0
    for index, (role, text, flag) in enumerate(pieces):
        end = at + len(text)
        turns.append(Turn(index, role, at, at, end, end, flag))
        at = end
    return Rendered(row, join("", (text for _, text, _ in pieces)), tuple(turns))


_MAKERS: dict[type, Callable[[Any, Drafting], tuple[Draft, ...]]] = {
    Conversation: _conversation,
    PromptCompletion: _prompt_completion,
    Text: _text,
    Segments: _segments,
    Steps: _steps,
    PromptOnly: _prompt_only,
    Preference: _preference,
    Unpaired: _unpaired,
    TokenIds: _token_ids,
}
