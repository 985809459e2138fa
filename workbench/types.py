"""The nouns every layer speaks: frozen values, standard library only.

    row -> Conversation | Preference | Text | …                   rows/convert
    Conversation -> Rendered(text, turns)                         templates/render
    Rendered.text -> Encoding(input_ids, offsets)                 tokens/encode
    Rendered + Encoding -> TokenizedExample(labels, reasons)      tokens/mask
    TokenizedExample… -> Batch                                    tokens/pack

Nothing here computes. Text leaves are `workbench.tracked.Tracked`, a str that knows its origin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

IGNORE = -100
"""Label of a token that is not trained (torch.nn.CrossEntropyLoss, default ignore_index)."""

Severity = Literal["error", "warning", "info"]
TrainOn = Literal["assistant", "last_assistant", "completion", "all"]
Packing = Literal["none", "bfd"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about the user's data that the user can mend; returned, never raised.

    Attributes:
        code: `WBnnn`, explained in docs/findings.md.
        message: What is wrong, with the value.
        row: Data row index (0-based), or None when it is about the whole file.
        field: Dataset path, such as `messages[1].content`.
        remedy: What to do about it.
        line: Line of the source file (1-based), where rows are lines.
        token: Token of the row's (first) sequence that it is about, 0-based; None where it is about a field or the row.
    """

    code: str
    severity: Severity
    message: str
    row: int | None = None
    field: str | None = None
    remedy: str = ""
    line: int | None = None
    token: int | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a run of characters came from.

    Attributes:
        field: Dataset path (`conversations[0].value`); None for text that the template wrote.
        message: Index of the message in whose turn the text stands; None outside any turn.
        key: Message key (`content`, `role`, `tool_calls`, …), `template` for literal template text,
            `computed` for text an expression made without keeping its origin (a number, `upper`).
        generated: Whether it stands inside a `{% generation %}` block.
    """

    field: str | None
    message: int | None
    key: str
    generated: bool = False


@dataclass(frozen=True, slots=True)
class CharSpan:
    """Characters `start` to before `end` of one text of the data, trained or not.

    Attributes:
        why: `span` where the data marks the part, `prefill` where it is the beginning that inference supplies.
    """

    start: int
    end: int
    train: bool
    why: Literal["span", "prefill"] = "span"


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages ready for a chat template.

    Attributes:
        row: Data row index.
        messages: JSON-like message mappings; every string leaf is `Tracked`.
        tools: JSON schemas of the tools, or None.
        train: One flag a message where the data has them (None = policy decides).
        completion_from: Index of the first message of the completion, for rows with a prompt and a completion.
        spans: Dataset path of a text -> which of its characters are trained, for texts the data marks in parts; the
            characters of such a text outside every span are masked.
        images: What the image parts stand for, in order: paths, URLs, or objects the row holds.
    """

    row: int
    messages: tuple[Mapping[str, Any], ...]
    tools: tuple[Mapping[str, Any], ...] | None = None
    train: tuple[bool | None, ...] = ()
    completion_from: int | None = None
    spans: Mapping[str, tuple[CharSpan, ...]] = field(default_factory=dict[str, "tuple[CharSpan, ...]"])
    images: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class PromptCompletion:
    """A prompt and its completion as plain text, joined without a chat template."""

    row: int
    prompt: str
    completion: str


@dataclass(frozen=True, slots=True)
class Text:
    """Plain text, trained whole."""

    row: int
    text: str


@dataclass(frozen=True, slots=True)
class Segments:
    """Template-free `input_output` row: pieces of text, each trained or not."""

    row: int
    segments: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class TokenIds:
    """A row that was tokenized elsewhere. All sequences have shape (T,).

    Attributes:
        labels: Token id where trained, else -100; None trains everything.
        attention_mask: As the row has it, None where it has none.
    """

    row: int
    input_ids: tuple[int, ...]
    labels: tuple[int, ...] | None = None
    attention_mask: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Steps:
    """A prompt and reasoning steps, each with a label (process reward).

    Attributes:
        labels: 1 for a good step, 0 for a bad one, None for a step that is not judged; one a completion.
        separator: Text behind each step; its last token carries the step's label.
    """

    row: int
    prompt: str
    completions: tuple[str, ...]
    labels: tuple[int | None, ...]
    separator: str = "\n"


@dataclass(frozen=True, slots=True)
class PromptOnly:
    """A prompt whose answer the model writes itself (GRPO, RLOO).

    Attributes:
        prompt: A conversation that ends before the answer, or text.
        extras: Other columns, for the reward function.
    """

    row: int
    prompt: Conversation | Text
    extras: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Preference:
    """Two answers to one prompt; both sides hold the whole prompt and share it.

    Attributes:
        chosen, rejected: A conversation whose `completion_from` is where the answer begins, or prompt and completion
            as text.
        explicit: Whether the row has a prompt of its own; else it is what both sides begin with.
        margin: How much better the chosen answer is, where the row says so.
    """

    row: int
    chosen: Conversation | PromptCompletion
    rejected: Conversation | PromptCompletion
    explicit: bool = True
    margin: float | None = None


@dataclass(frozen=True, slots=True)
class Unpaired:
    """An answer that is wanted or not (KTO)."""

    row: int
    answer: Conversation | PromptCompletion
    label: bool


Example = Conversation | PromptCompletion | Text | Segments | TokenIds | Steps | PromptOnly | Preference | Unpaired


@dataclass(frozen=True, slots=True)
class FormatMatch:
    """One candidate dataset type with its evidence.

    Attributes:
        type: Name in `workbench.rows.formats.FORMATS`.
        columns: Our name -> column of the data (`{"instruction": "question"}`).
        rows: How many of the looked-at rows fit.
        total: How many rows were looked at.
        evidence: Sentences that say why.
        counter_examples: Indices of rows that do not fit (at most 10).
        missing: Columns or shapes this type would need and the data lacks.
    """

    type: str
    columns: Mapping[str, str]
    rows: int
    total: int
    evidence: tuple[str, ...] = ()
    counter_examples: tuple[int, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """A stretch of the rendered text that belongs to one message (or prompt, completion, segment).

    Attributes:
        message: Message index (segment index for segments).
        role: `assistant`, `user`, …; `prompt`, `completion`, `text`, `segment` for rows without messages.
        start: First character of the turn.
        body: First character the model itself would write: after the generation prompt.
        data_end: One past the last character that comes from the row; the stop token is looked for behind it.
        end: One past the last character of the turn.
        train: The row's own flag, None when it has none.
    """

    message: int
    role: str
    start: int
    body: int
    data_end: int
    end: int
    train: bool | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    """Text of one row with the origin of every character.

    Attributes:
        text: A `Tracked` string.
        turns: In text order, not overlapping.
        generation: Character spans inside `{% generation %}`; empty where the template has none.
        whole: Whether every message's content is known to stand in the text once and whole; False is not known.
    """

    row: int
    text: str
    turns: tuple[Turn, ...]
    generation: tuple[tuple[int, int], ...] = ()
    has_generation: bool = False
    whole: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Encoding:
    """Token ids with their character spans in the rendered text, both of shape (T,)."""

    input_ids: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]


class Reason(StrEnum):
    """The rule that decided whether a token is trained; sentences in docs/reasons.md."""

    ASSISTANT = "assistant"  # trained: text of an assistant message
    ASSISTANT_TEMPLATE = "assistant_template"  # trained: template text the model must write in its turn
    STOP = "stop"  # trained: the token that ends the answer
    COMPLETION = "completion"  # trained: completion of a prompt/completion row
    SEGMENT = "segment"  # trained: segment with label true
    ALL = "all"  # trained: train_on="all"
    ROLE = "role"  # trained: a role in roles_to_train, other than the assistant
    INPUT = "input"  # trained: train_on_inputs
    SPAN = "span"  # trained: characters the row marks as trained
    GIVEN = "given"  # trained: label of a row tokenized elsewhere
    LABEL = "label"  # trained: a trainer's own label
    STEP = "step"  # labelled: end of a reasoning step
    SCORED = "scored"  # read: a reward model's head scores the text here
    FLAG = "flag"  # trained: the row says train=true for this message
    HEADER = "header"  # masked: the inference prompt supplies it
    AFTER_STOP = "after_stop"  # masked: stands after the stop token
    OTHER_ROLE = "other_role"  # masked: not the assistant's
    PROMPT = "prompt"  # masked: prompt of a prompt/completion row
    EARLIER_TURN = "earlier_turn"  # masked: train_on="last_assistant" and not the last
    FLAG_OFF = "flag_off"  # masked: the row says train=false
    SEGMENT_OFF = "segment_off"  # masked: segment with label false
    STOP_OFF = "stop_off"  # masked: stop token that train_on_eos or train_on_eot leaves out
    SPAN_OFF = "span_off"  # masked: characters the row does not mark as trained
    PREFILL = "prefill"  # masked: beginning of the answer that inference supplies
    LABEL_OFF = "label_off"  # masked: a trainer's own label -100
    GIVEN_OFF = "given_off"  # masked: label -100 of a row tokenized elsewhere
    STEP_TEXT = "step_text"  # masked: text of a reasoning step
    NOT_SCORED = "not_scored"  # masked: a reward model reads it, and scores the end
    MISMATCHED = "mismatched"  # masked: KTO's mismatched pair, which only estimates the KL term
    LEFT_OUT = "left_out"  # masked: a completion or a tool's text that the trainer takes out of the loss
    MEDIA = "media"  # masked: stands for an image
    BETWEEN_TURNS = "between_turns"  # masked: template text outside any turn
    SPECIAL_ADDED = "special_added"  # masked: added by the tokenizer, not by the template
    DOCUMENT_START = "document_start"  # masked: first token of a packed document has no predecessor
    PADDING = "padding"  # masked


@dataclass(frozen=True, slots=True)
class TokenizedExample:
    """One row as the trainer gets it. All sequences have shape (T,).

    Attributes:
        labels: Token id where trained, else -100; not shifted.
        reasons: Why each label is what it is.
        truncated: Tokens cut off by max_length.
        part: Which sequence of its row this is: `chosen` or `rejected`, `2/3` for a chunk, empty for the only one.
        desirable: Label of a KTO row, None for all others.
    """

    row: int
    input_ids: tuple[int, ...]
    labels: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]
    reasons: tuple[Reason, ...]
    rendered: Rendered
    truncated: int = 0
    findings: tuple[Finding, ...] = ()
    part: str = ""
    desirable: bool | None = None

    @property
    def trained(self) -> int:
        """Number of trained tokens."""
        return len(self.labels) - self.labels.count(IGNORE)


@dataclass(frozen=True, slots=True)
class Batch:
    """What `forward()` receives, as nested tuples of ints.

    Attributes:
        arrays: `input_ids`, `labels`, and `attention_mask` (padded) or `position_ids` (packed); each (B, T).
        documents: One tuple a batch row of (data row, start, end) token spans.
        epoch, step: Place in the run, both 0-based; `step` counts micro batches within the epoch.
    """

    arrays: Mapping[str, tuple[tuple[int, ...], ...]]
    documents: tuple[tuple[tuple[int, int, int], ...], ...]
    epoch: int = 0
    step: int = 0


@dataclass(frozen=True, slots=True)
class Difference:
    """First place where two batches or rows differ; `ours` and `theirs` are None where one side is missing."""

    key: str
    index: tuple[int, ...]
    ours: int | None
    theirs: int | None
    what: str = ""


@dataclass(frozen=True, slots=True)
class TemplateInfo:
    """A chat template and where it came from.

    Attributes:
        name: Registry name, file name, or the tokenizer's name.
        source: Jinja text.
        sha256: Of the UTF-8 source.
        origin: Sentence naming package and version, file, or tokenizer.
        special_tokens: `bos_token`, `eos_token`, … strings a tokenizer brings along.
    """

    name: str
    source: str
    sha256: str
    origin: str
    special_tokens: Mapping[str, str] = field(default_factory=dict)
