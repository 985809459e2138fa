r"""Rows whose parts are tokenized alone and joined as ids: axolotl's way (`pieces="separate"`), and reasoning steps.

    ["Hello\n", "hi there!. ", "goodbye "]  ->  ids of each, one behind the other

Offsets stay those of the joined text. At inference a prompt is one text, so ids joined from parts are ids a model never
meets there, wherever a token reaches over a border or a vocabulary puts a space before every text it is given.
Source: axolotl 0.19, prompt_tokenizers.py (InstructionPromptTokenizingStrategy, _tokenize), prompt_strategies/
input_output.py and stepwise_supervised.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from workbench.tokens.encode import Tokenizer
from workbench.types import IGNORE, Conversation, Encoding, Reason, Rendered, Turn


class Labelled(NamedTuple):
    """Tokens with labels and reasons; all of shape (T,)."""

    input_ids: tuple[int, ...]
    labels: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]
    reasons: tuple[Reason, ...]


class Ends(NamedTuple):
    """What a tokenizer puts around plain text, and where axolotl cuts each part."""

    bos_id: int | None
    eos_id: int | None
    max_length: int | None
    trailing: int

    @classmethod
    def of(cls, tokenizer: Tokenizer, max_length: int | None) -> Ends:
        """Ends of a tokenizer."""
        around = list(tokenizer("")["input_ids"])
        ends_with_eos = bool(around) and around[-1] == tokenizer.eos_token_id != tokenizer.bos_token_id
        return cls(tokenizer.bos_token_id, tokenizer.eos_token_id, max_length, int(ends_with_eos))


def glued(parts: Sequence[Encoding], texts: Sequence[str]) -> Encoding:
    """Encodings of texts that stand one behind the other, as one encoding of the joined text."""
    starts = [0, *accumulate(len(text) for text in texts)]
    ids = tuple(token for part in parts for token in part.input_ids)
    spans = ((part, starts[i]) for i, part in enumerate(parts))
    return Encoding(ids, tuple((low + at, high + at) for part, at in spans for low, high in part.offsets))


def halves(prompt: Encoding, answer: Encoding, ends: Ends, eos_span: tuple[int, int]) -> tuple[Encoding, Encoding]:
    """Prompt and answer as axolotl leaves them: each cut on its own, EOS behind the answer, no BOS before it.

    Args:
        prompt: With what the tokenizer adds to plain text.
        answer: Likewise.
        ends: Of the tokenizer.
        eos_span: Characters, counted from the answer's beginning, that an added EOS stands for.
    """
    whole = _cut(answer, ends)
    ids, spans = whole.input_ids, whole.offsets
    has_room = ends.max_length is None or len(ids) < ends.max_length
    if ids and ends.eos_id is not None and ids[-1] != ends.eos_id and has_room:
        ids, spans = (*ids, ends.eos_id), (*spans, eos_span)
    if ids and ids[0] == ends.bos_id:
        ids, spans = ids[1:], spans[1:]
    return _cut(prompt, ends), Encoding(ids, spans)


def _cut(part: Encoding, ends: Ends) -> Encoding:
    """The first max_length tokens, with what the tokenizer puts behind plain text."""
    if ends.max_length is None or len(part.input_ids) <= ends.max_length:
        return part
    keep, last = ends.max_length - ends.trailing, len(part.input_ids) - ends.trailing
    return Encoding((*part.input_ids[:keep], *part.input_ids[last:]), (*part.offsets[:keep], *part.offsets[last:]))


def answer_span(talk: Conversation, rendered: Rendered, eos: str) -> tuple[int, int] | None:
    """Where the only answer begins and ends, in rows that axolotl tokenizes in two parts; None for all others.

    Those are the rows of the alpaca family, whose user message holds `instruction` and `input` beside its content. Rows
    of messages it renders with a chat template and tokenizes whole. An EOS behind the answer is a part of it where the
    row has it.
    """
    roles = [str(message.get("role")) for message in talk.messages]
    if roles.count("assistant") != 1 or roles[-1] != "assistant" or talk.completion_from is not None:
        return None
    content = talk.messages[-1].get("content")
    if not isinstance(content, str) or not any("instruction" in message for message in talk.messages):
        return None
    turn, text, said = rendered.turns[-1], rendered.text, str.__str__(content)
    marked = [(low, high) for low, high in rendered.generation if turn.start <= low and high <= turn.end]
    if not marked:
        found = str.find(text, said, turn.body, turn.end)
        return (found, found + len(said)) if found >= 0 else (turn.data_end, turn.data_end)
    start, end = marked[0][0], marked[-1][1]
    is_added = bool(eos) and not said.endswith(eos) and str.endswith(text, eos, start, end)
    return start, end - len(eos) if is_added else end


def steps_text(prompt: str, completions: Sequence[str], separator: str) -> tuple[list[str], list[Turn]]:
    """Texts of a stepwise row in order, each tokenized alone, and the turns they make."""
    texts = [prompt]
    turns = [Turn(0, "prompt", 0, 0, len(prompt), len(prompt))]
    at = len(prompt)
    for index, step in enumerate(completions, start=1):
        texts += [step, separator]
        end = at + len(step) + len(separator)
        turns.append(Turn(index, "step", at, at, at + len(step), end))
        at = end
    return texts, turns


def steps_labelled(
    parts: Sequence[Encoding], texts: Sequence[str], judged: Sequence[int | None], bos: int | None
) -> Labelled:
    """Labels of a stepwise row: each step's on the last token of its separator, all else masked.

    Args:
        parts: Encodings of the prompt, then of each step and its separator.
        texts: Their texts.
        judged: 1 or 0 for each step, None for one that is not judged.
        bos: Id put before the prompt, None for none.
    """
    whole = glued(parts, texts)
    sizes = [len(part.input_ids) for part in parts]
    labels = [IGNORE] * len(whole.input_ids)
    reasons = [Reason.PROMPT] * sizes[0] + [Reason.STEP_TEXT] * (len(labels) - sizes[0])
    ends = list(accumulate(sizes))
    for label, begin, end in zip(judged, ends[0:-1:2], ends[2::2], strict=True):
        if label is not None and end > begin:
            labels[end - 1], reasons[end - 1] = label, Reason.STEP
    if bos is None:
        return Labelled(whole.input_ids, tuple(labels), whole.offsets, tuple(reasons))
    return Labelled(
        (bos, *whole.input_ids),
        (IGNORE, *labels),
        ((0, 0), *whole.offsets),
        (Reason.SPECIAL_ADDED, *reasons),
    )
