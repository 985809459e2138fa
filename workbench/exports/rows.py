"""Training rows as JSON lines, in the form that a target reads with the same meaning.

    reason = why_tokens(recipe, facts)      None: rows can be written as text, else the sentence that says why not
    text_rows(recipe, facts)                messages or segments
    token_rows(facts)                       input_ids, attention_mask and labels

Text is written only where the target's own rendering and masking cannot mean something else; in every other case it
gets the ids and labels that were previewed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from workbench.errors import ExportError
from workbench.exports.facts import ExportFacts
from workbench.options import MaskOptions
from workbench.recipes import Recipe
from workbench.templates.turns import is_data
from workbench.tracked import runs_of
from workbench.types import IGNORE, Conversation, PromptCompletion, Reason, Segments, Text, TokenIds, TokenizedExample

ANSWERS = frozenset({Reason.ASSISTANT, Reason.COMPLETION, Reason.FLAG, Reason.STOP})
"""Reasons of tokens that axolotl trains too: what an answer says, and the token that ends it."""

PLACEHOLDERS = ("[[dummy_message]]", "zzdummymessagezz")
"""Texts that axolotl puts in place of a message to find it (0.19, prompt_strategies/chat_template.py)."""


def token_rows(facts: ExportFacts) -> Iterator[dict[str, Any]]:
    """Ids and labels as they are trained here."""
    for example in facts.tokenized:
        ids = list(example.input_ids)
        yield {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": list(example.labels)}


def text_rows(recipe: Recipe, facts: ExportFacts) -> Iterator[dict[str, Any]]:
    """Messages with their flags, segments, or text; only where `why_tokens` finds no reason against it."""
    flagged = needs_flags(recipe, facts)
    for example, tokenized in zip(facts.examples, facts.tokenized, strict=True):
        if isinstance(example, Conversation):
            yield _chat_row(example, trained_turns(tokenized) if flagged else None)
        elif isinstance(example, Text):
            yield {"text": str.__str__(example.text)}
        else:
            yield {"segments": [{"label": flag, "text": text} for text, flag in _pieces(example, facts)]}


def why_tokens(recipe: Recipe, facts: ExportFacts) -> str | None:
    """Why rows cannot be written as text without the target making other tokens or labels of them."""
    if recipe.mask != MaskOptions():
        return f"{', '.join(recipe.mask.changed())} may mean something else there"
    kinds = {type(example) for example in facts.examples}
    if len(kinds) > 1:
        return "the data mixes conversations and other rows"
    kind = kinds.pop()
    if kind is Conversation:
        return _why_no_chat(recipe, facts)
    if kind is TokenIds:
        return "they are tokens"
    if kind is Text:
        cut = any(example.truncated or example.part for example in facts.tokenized)
        return "axolotl splits long text into rows instead of cutting it" if cut else None
    if facts.encode is None:
        return "without a tokenizer nobody knows whether pieces encode like the whole"
    for example, tokenized in zip(facts.examples, facts.tokenized, strict=True):
        if not _pieces_agree(example, tokenized, facts):
            return f"the pieces of row {example.row} encode to other tokens than the whole"
    return None


def needs_flags(recipe: Recipe, facts: ExportFacts) -> bool:
    """Whether some assistant message is not trained, or some other one is, so that each message needs a flag."""
    if recipe.train_on != "assistant":
        return True
    return any(
        isinstance(example, Conversation) and any(flag is not None for flag in example.train)
        for example in facts.examples
    )


def trained_turns(example: TokenizedExample) -> frozenset[int]:
    """Indices of the messages of which any token is trained."""
    trained = [span for span, label in zip(example.offsets, example.labels, strict=True) if label != IGNORE]
    return frozenset(
        turn.message
        for turn in example.rendered.turns
        if any(start < turn.end and end > turn.start for start, end in trained)
    )


def stop_texts(facts: ExportFacts) -> tuple[str, ...]:
    """Texts of the tokens that end answers, sorted."""
    found: set[str] = set()
    for example in facts.tokenized:
        for (start, end), reason in zip(example.offsets, example.reasons, strict=True):
            if reason is Reason.STOP:
                found.add(str.__str__(example.rendered.text)[start:end])
    return tuple(sorted(found))


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write JSON lines.

    Raises:
        ExportError: For text that UTF-8 cannot hold (WB704), naming the row.
    """
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for index, row in enumerate(rows):
            try:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
            except UnicodeEncodeError as error:
                raise ExportError(
                    f"Exported row {index} holds {error.object[error.start : error.end]!r}, which UTF-8 cannot write.",
                    remedy="Remove lone surrogates from the data.",
                    code="WB704",
                ) from error


def _why_no_chat(recipe: Recipe, facts: ExportFacts) -> str | None:
    if recipe.train_on == "all":
        return "axolotl masks what the template writes, and train_on='all' trains it"
    if facts.template is not None and any(
        facts.special_tokens.get(name) != text for name, text in facts.template.special_tokens.items()
    ):
        return "the template's special tokens are not the tokenizer's"
    why = _why_no_stop(facts)
    if why:
        return why
    for example, tokenized in zip(facts.examples, facts.tokenized, strict=True):
        assert isinstance(example, Conversation)
        why = _why_no_plain_messages(example) or _why_other_labels(example, tokenized)
        if why:
            return f"row {example.row}: {why}"
    return None


def _why_no_stop(facts: ExportFacts) -> str | None:
    """Only as EOS, or as a text that the template spells out, does axolotl find a stop token."""
    source = facts.template.source if facts.template else ""
    eos = facts.special_tokens.get("eos_token")
    stops = stop_texts(facts)
    if eos in stops and len(stops) > 1:
        return f"answers end with EOS in some places and with {', '.join(s for s in stops if s != eos)} in others"
    for stop in stops:
        if stop != eos and stop not in source:
            return f"the template does not spell out its stop token {stop!r}"
    return None


def _why_no_plain_messages(example: Conversation) -> str | None:
    for index, message in enumerate(example.messages):
        if not isinstance(message.get("content"), str):
            return f"message {index} has no plain text content"
    return None


def _why_other_labels(example: Conversation, tokenized: TokenizedExample) -> str | None:
    """Of a message axolotl trains the content and the stop token, no more and no less."""
    for label, reason in zip(tokenized.labels, tokenized.reasons, strict=True):
        if label != IGNORE and reason not in ANSWERS:
            return f"a token is trained as {reason.value}, which axolotl masks"
    written = _trained_template_text(tokenized)
    if written:
        return f"{written!r}, which the template writes, is trained, and axolotl masks it"
    for index in trained_turns(tokenized):
        message = example.messages[index]
        extra = [key for key, value in message.items() if key not in ("role", "content") and value]
        if extra:
            return f"trained message {index} has {', '.join(extra)}, which axolotl masks"
        if not str.strip(message["content"]):
            return f"trained message {index} is empty, and axolotl cannot find it"
        if str.strip(message["content"]) in PLACEHOLDERS:
            return f"trained message {index} is the text that axolotl looks for messages with"
    return _why_stop_differs(tokenized)


def _trained_template_text(tokenized: TokenizedExample) -> str:
    """Text of the first trained token, stop tokens left out, of which no character comes from the row."""
    text = tokenized.rendered.text
    spans: list[tuple[int, int]] = []
    at = 0
    for run in runs_of(text):
        if is_data(run.origin):
            spans.append((at, at + run.length))
        at += run.length
    nearest = iter([*spans, (at, at)])
    low, high = next(nearest)
    for (start, end), label, reason in zip(tokenized.offsets, tokenized.labels, tokenized.reasons, strict=True):
        while high <= start < at:
            low, high = next(nearest)
        if label != IGNORE and reason is not Reason.STOP and start < end <= low:
            return str.__str__(text)[start:end]
    return ""


def _why_stop_differs(tokenized: TokenizedExample) -> str | None:
    ended = _turns_with(tokenized, stop=True)
    spoken = _turns_with(tokenized, stop=False)
    for index in sorted(ended - spoken):
        return f"trained message {index} has no token but its stop, and axolotl cannot find it"
    cut = max(spoken, default=-1) if tokenized.truncated else -1  # its stop token may have been cut off
    if ended and spoken - ended - {cut}:
        return "some trained messages end with a stop token and some do not"
    return None


def _turns_with(tokenized: TokenizedExample, *, stop: bool) -> set[int]:
    """Messages of which a stop token, or any other token, is trained."""
    starts = [
        start
        for (start, end), label, reason in zip(tokenized.offsets, tokenized.labels, tokenized.reasons, strict=True)
        if label != IGNORE and (reason is Reason.STOP) == stop and start < end
    ]
    return {turn.message for turn in tokenized.rendered.turns if any(turn.start <= at < turn.end for at in starts)}


def _chat_row(example: Conversation, trained: frozenset[int] | None) -> dict[str, Any]:
    messages: list[dict[str, Any]] = []
    for index, message in enumerate(example.messages):
        plain = {key: _plain(value) for key, value in message.items()}
        if trained is not None:
            plain["train"] = index in trained
        messages.append(plain)
    simple = all(set(message) <= {"role", "content", "train"} for message in messages)
    # other keys differ from row to row, and a JSON text keeps a table reader from filling the gaps with nulls
    row: dict[str, Any] = {"messages": messages if simple else json.dumps(messages, ensure_ascii=False)}
    if example.tools is not None:
        row["tools"] = json.dumps(_plain(example.tools), ensure_ascii=False)
    return row


def _pieces(example: Segments | PromptCompletion, facts: ExportFacts) -> tuple[tuple[str, bool], ...]:
    if isinstance(example, Segments):
        return tuple((str.__str__(text), flag) for text, flag in example.segments)
    eos = facts.special_tokens.get("eos_token", "")
    completion = str.__str__(example.completion)
    return (
        (str.__str__(example.prompt), False),
        (completion if completion.endswith(eos) else completion + eos, True),
    )


def _pieces_agree(example: Any, tokenized: TokenizedExample, facts: ExportFacts) -> bool:
    """Whether pieces encoded alone give our ids and labels, up to the length the row is cut to."""
    assert facts.encode is not None
    ids: list[int] = []
    labels: list[int] = []
    for text, trained in _pieces(example, facts):
        codes = list(facts.encode(text)) if text else []
        ids += codes
        labels += codes if trained else [IGNORE] * len(codes)
    keep = len(tokenized.input_ids)
    complete = len(ids) == keep + tokenized.truncated
    return complete and tuple(ids[:keep]) == tokenized.input_ids and tuple(labels[:keep]) == tokenized.labels


def _plain(value: Any) -> Any:
    """JSON-like value without tracked strings."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
