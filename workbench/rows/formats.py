"""The table of dataset types: one literal entry a type, read by detection, conversion and the documentation.

    FORMATS["alpaca"].columns  ->  instruction, input?, output, system?, history?

To add a type: one `Format` here, one function in `workbench.rows.convert`, one test. A type with `supported=False` is
only recognised, so that it is named instead of being taken for another type that shares its columns.

Sources: axolotl `prompt_strategies`, TRL 1.16 dataset formats, LLaMA-Factory `dataset_info.json` (read, not copied).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.errors import DataError


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a dataset type.

    Attributes:
        name: Our name, and the name looked for first.
        shapes: Value shapes it may have (`workbench.rows.shapes.SHAPES`).
        aliases: Other names in use; upper and lower case are not told apart.
        required: Whether a row without it cannot be used.
        by_shape: Whether a column of any name is taken when it is the only one of the shape.
    """

    name: str
    shapes: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    required: bool = True
    by_shape: bool = False


@dataclass(frozen=True, slots=True)
class Format:
    """A dataset type.

    Attributes:
        name: What `wb.data(…, type=…)` takes.
        label: One line for people.
        columns: Required and optional columns.
        trains: What is trained with the default policy.
        axolotl, trl, llama_factory: Its name there; empty where there is none.
        example: A row.
        supported: Whether this version converts it.
        precedence: A row that fits several types counts for the highest; types that give other types' columns
            another meaning (a `label` beside `messages`) are above them.
        instead: For types that are only recognised: what to do.
    """

    name: str
    label: str
    columns: tuple[Column, ...]
    trains: str
    axolotl: str = ""
    trl: str = ""
    llama_factory: str = ""
    example: Mapping[str, Any] = field(default_factory=dict)
    supported: bool = True
    precedence: int = 0
    instead: str = ""

    @property
    def required(self) -> tuple[Column, ...]:
        """Columns without which a row cannot be used."""
        return tuple(column for column in self.columns if column.required)


SYSTEM = Column("system", ("text",), ("system_prompt", "system_message"), required=False)
TOOLS = Column("tools", ("objects",), ("functions",), required=False)
CHATS = ("conversations", "conversation", "chat", "dialogue", "dialog")
QUESTIONS = ("question", "query", "prompt", "input", "user")
ANYTHING_SAID = ("text", "messages", "turns")

_TABLE = (
    Format(
        "messages",
        "chat messages with role and content (OpenAI style), with or without tools",
        (Column("messages", ("messages",), CHATS, by_shape=True), SYSTEM, TOOLS),
        "assistant messages, unless a message says otherwise with `train` or `weight`",
        axolotl="chat_template",
        trl="language modeling, conversational",
        llama_factory="openai",
        example={
            "messages": [
                {"role": "user", "content": "What is 2+2?"},
                {"role": "assistant", "content": "4"},
            ]
        },
    ),
    Format(
        "sharegpt",
        "chat turns with from and value (ShareGPT style)",
        (
            Column("conversations", ("turns",), ("conversation", "messages", "chat", "dialogue"), by_shape=True),
            SYSTEM,
            TOOLS,
        ),
        "gpt turns, function calls included",
        axolotl="chat_template with field_messages: conversations and message_property_mappings",
        trl="conversations with from and value (roles are not mapped there)",
        llama_factory="sharegpt",
        example={
            "conversations": [
                {"from": "human", "value": "What is 2+2?"},
                {"from": "gpt", "value": "4"},
            ]
        },
    ),
    Format(
        "alpaca",
        "instruction, optional input, and output",
        (
            Column("instruction", ("text",), QUESTIONS),
            Column("output", ("text",), ("response", "answer", "completion", "target")),
            Column("input", ("text",), ("context",), required=False),
            SYSTEM,
            Column("history", ("pairs",), required=False),
        ),
        "the output",
        axolotl="alpaca",
        trl="prompt-completion, after renaming",
        llama_factory="alpaca",
        example={"instruction": "Add the numbers.", "input": "2 and 2", "output": "4"},
    ),
    Format(
        "prompt_completion",
        "a prompt and its completion, as text or as two lists of messages",
        (Column("prompt", ("text", "messages")), Column("completion", ("text", "messages")), TOOLS),
        "the completion",
        axolotl="",
        trl="prompt-completion",
        llama_factory="alpaca with columns prompt: prompt, response: completion",
        example={"prompt": "The sky is", "completion": " blue."},
        precedence=1,
    ),
    Format(
        "text",
        "plain text, nothing masked",
        (Column("text", ("text",), ("content", "document")),),
        "everything",
        axolotl="completion",
        trl="language modeling, standard",
        llama_factory="alpaca with stage pt",
        example={"text": "The sky is blue."},
    ),
    Format(
        "input_output",
        "pieces of text, each with a label that says whether it is trained; no template",
        (Column("segments", ("segments",), by_shape=True),),
        "segments with label true",
        axolotl="input_output",
        example={"segments": [{"label": False, "text": "<s>2+2? "}, {"label": True, "text": "4</s>"}]},
    ),
    Format(
        "dpo",
        "preferences: a chosen and a rejected answer",
        (
            Column("chosen", (*ANYTHING_SAID, "message", "turn"), ("chosen_response",)),
            Column("rejected", (*ANYTHING_SAID, "message", "turn"), ("rejected_response",)),
            Column("prompt", ANYTHING_SAID, ("question", "input", "instruction", *CHATS, "messages"), required=False),
            SYSTEM,
        ),
        "the difference between chosen and rejected",
        axolotl="rl: dpo",
        trl="preference",
        llama_factory="ranking: true",
        example={"prompt": "2+2?", "chosen": "4", "rejected": "5"},
        supported=False,
        precedence=3,
        instead="To train on the chosen answers alone, make rows with `prompt` and `completion` from them.",
    ),
    Format(
        "kto",
        "answers with a boolean label: wanted or not",
        (
            Column("completion", ANYTHING_SAID, ("messages", "response", "output", *CHATS)),
            Column("label", ("flag",), ("kto_tag",)),
            Column("prompt", ANYTHING_SAID, ("question", "instruction"), required=False),
        ),
        "towards answers with label true, away from the others",
        axolotl="rl: kto",
        trl="unpaired preference",
        llama_factory="columns.kto_tag",
        example={"prompt": "2+2?", "completion": "4", "label": True},
        supported=False,
        precedence=2,
        instead="To train on the wanted answers alone, keep the rows with label true and drop the column.",
    ),
    Format(
        "prm",
        "reasoning steps, each with a label (process reward)",
        (
            Column("prompt", ("text",), ("question",)),
            Column("completions", ("texts",), ("steps",)),
            Column("labels", ("flags", "numbers")),
        ),
        "one value a step",
        axolotl="stepwise_supervised",
        trl="stepwise supervision",
        example={"prompt": "2+2+1?", "completions": ["2+2 is 4.", "So 5."], "labels": [True, True]},
        supported=False,
        precedence=3,
        instead="TRL 1.16 has no PRM trainer.",
    ),
    Format(
        "pretokenized",
        "token ids, made elsewhere",
        (
            Column("input_ids", ("numbers",)),
            Column("labels", ("numbers",), required=False),
            Column("attention_mask", ("numbers",), required=False),
        ),
        "tokens whose label is not -100",
        axolotl="empty type, with input_ids, attention_mask, labels",
        trl="pre-tokenized",
        example={"input_ids": [1, 2, 3], "attention_mask": [1, 1, 1], "labels": [-100, 2, 3]},
        supported=False,
        precedence=4,
        instead="Pass the rows the ids were made from.",
    ),
    Format(
        "rl",
        "prompts with a checkable answer, for reinforcement learning",
        (
            Column("prompt", ("text", "messages"), ("messages", "question", "problem")),
            Column("ground_truth", ("text", "number", "object", "texts"), ("reward_model", "solution")),
        ),
        "answers the model writes itself, by their reward",
        trl="prompt-only, with extra columns for the reward",
        example={"prompt": [{"role": "user", "content": "2+2?"}], "ground_truth": "4"},
        supported=False,
        precedence=2,
        instead="For supervised training the rows need answers written out.",
    ),
    Format(
        "vision",
        "text with images",
        (
            Column("images", ("texts", "objects", "text", "object", "binary"), ("image",)),
            Column(
                "text", ANYTHING_SAID, ("messages", *CHATS, "query", "prompt", "question", "instruction", "caption")
            ),
        ),
        "the answers",
        axolotl="chat_template with processor_type",
        trl="conversational, with images",
        llama_factory="columns.images",
        example={"messages": [{"role": "user", "content": "<image>What is it?"}], "images": ["cat.png"]},
        supported=False,
        precedence=3,
        instead="Drop the image column and the rows that need it.",
    ),
    Format(
        "oasst_flat",
        "one message a row, joined into trees by parent_id (Open Assistant export)",
        (
            Column("message_id", ("text",)),
            Column("parent_id", ("text", "null")),
            Column("text", ("text",)),
            Column("role", ("text",)),
        ),
        "nothing before the trees are joined",
        example={"message_id": "b", "parent_id": "a", "text": "4", "role": "assistant"},
        supported=False,
        precedence=3,
        instead="Join each path from a root to a leaf into one `messages` row.",
    ),
    Format(
        "conversation_pairs",
        "turns as pairs of human and assistant text (ms-swift)",
        (Column("conversation", ("human_assistant",), ("conversations",), by_shape=True), SYSTEM),
        "the assistant texts",
        example={"conversation": [{"human": "2+2?", "assistant": "4"}]},
        supported=False,
        instead="Write each pair as two messages: role user and role assistant.",
    ),
    Format(
        "glaive_text",
        "a whole conversation as one text with USER: and ASSISTANT: marks (glaive function calling v2)",
        (Column("system", ("text",)), Column("chat", ("text",))),
        "the ASSISTANT parts",
        example={"system": "SYSTEM: Be brief.", "chat": "USER: 2+2? ASSISTANT: 4 <|endoftext|>"},
        supported=False,
        instead="Use a converted copy with a `conversations` column.",
    ),
    Format(
        "ranking",
        "several answers to one prompt, each with a rank",
        (Column("prompt", ("text",), ("question",)), Column("answers", ("ranked",), by_shape=True)),
        "better ranks over worse ones",
        axolotl="zephyr.nectar",
        example={"prompt": "2+2?", "answers": [{"answer": "4", "rank": 1}, {"answer": "5", "rank": 2}]},
        supported=False,
        precedence=3,
        instead="Keep the best answer of each row as `completion`.",
    ),
    Format(
        "prompt_only",
        "prompts without answers",
        (Column("prompt", ("text", "messages")),),
        "answers the model writes itself",
        trl="prompt-only",
        example={"prompt": "2+2?"},
        supported=False,
        instead="For supervised training the rows need answers.",
    ),
)

FORMATS: Mapping[str, Format] = {entry.name: entry for entry in _TABLE}
"""Every dataset type by name, supported ones first."""


def format_named(name: str, *, supported: bool = True) -> Format:
    """The type of that name.

    Args:
        name: As in `FORMATS`.
        supported: Refuse types that are only recognised.

    Raises:
        DataError: For an unknown name (WB556), or one that this version does not convert (WB557).
    """
    if name not in FORMATS:
        near = difflib.get_close_matches(name, FORMATS, n=1)
        hint = (
            f"Did you mean {near[0]!r}?"
            if near
            else f"Known: {', '.join(n for n, f in FORMATS.items() if f.supported)}."
        )
        raise DataError(f"There is no dataset type {name!r}.", remedy=hint, code="WB556")
    entry = FORMATS[name]
    if supported and not entry.supported:
        raise DataError(
            f"Dataset type {name!r} ({entry.label}) is recognised, but not supported in this version.",
            remedy=entry.instead,
            code="WB557",
        )
    return entry
