"""Options the picker offers: only those that have an effect on rows of this type, with what they are now."""

from __future__ import annotations

from typing import Any

from workbench.api.picker_sample import Reading, Sample, is_chat
from workbench.options import ENDS, MaskOptions, RowOptions
from workbench.types import Conversation, Example, PromptCompletion, Segments, Steps, Text

ROW_OPTIONS = frozenset(RowOptions.names())
MASK_OPTIONS = frozenset(MaskOptions.names())
THINKING = ("<think", "<thought", "<reasoning", "<|begin_of_thought|>", "[THINK]", "◁think▷")
"""Beginnings of blocks that `split_thinking` takes out."""

Option = dict[str, Any]


def options_view(sample: Sample, reading: Reading, rows: RowOptions, chosen: dict[str, Any]) -> list[Option]:
    """Every option with its kind, value and choices.

    Args:
        sample: The rows as they are in the file.
        reading: The rows as they are read now.
        rows: How they are read.
        chosen: What was chosen for `train_on` and of the mask options.
    """
    mask = MaskOptions.from_keywords({name: value for name, value in chosen.items() if name in MASK_OPTIONS})
    seen = reading.examples[:50]
    found: list[Option] = []
    if any(isinstance(example, Conversation) for example in seen):
        found += _trained(chosen.get("train_on"), mask, seen)
    elif any(isinstance(example, PromptCompletion) for example in seen):
        found.append(_choice("train_on", chosen.get("train_on") or "completion", ("completion", "all")))
    if any(isinstance(example, PromptCompletion | Segments) for example in seen):
        found.append(_choice("pieces", mask.pieces, ("joined", "separate")))
    if any(isinstance(example, Text) for example in seen):
        found.append(_choice("long_text", mask.long_text, ("chunk", "cut")))
    if any(isinstance(example, Steps) for example in seen):
        found.append(_flag("train_on_last_step_only", rows.train_on_last_step_only))
    if any(is_chat(example) for example in seen):
        found += _chat(sample, rows, seen)
    return found


def _trained(train_on: str | None, mask: MaskOptions, seen: tuple[Example, ...]) -> list[Option]:
    split = any(isinstance(example, Conversation) and example.completion_from is not None for example in seen)
    policies = ("completion", "assistant", "last_assistant", "all") if split else ("assistant", "last_assistant", "all")
    return [
        _choice("train_on", train_on or policies[0], policies),
        _choice("train_on_eos", mask.train_on_eos, ENDS),
        _flag("train_on_inputs", mask.train_on_inputs),
    ]


def _chat(sample: Sample, rows: RowOptions, seen: tuple[Example, ...]) -> list[Option]:
    found: list[Option] = []
    if rows.split_thinking or _has_thinking(sample):
        found.append(_flag("split_thinking", rows.split_thinking))
    has_system = any(
        isinstance(example, Conversation) and example.messages and str(example.messages[0].get("role")) == "system"
        for example in seen
    )
    if has_system or rows.drop_system_message:
        found.append(_flag("drop_system_message", rows.drop_system_message))
    if not rows.drop_system_message:
        text = rows.default_system_message
        found.append({"name": "default_system_message", "kind": "text", "value": text, "choices": []})
    return found


def _has_thinking(sample: Sample) -> bool:
    return any(_opens(value) for row in list(sample.rows.values())[:200] for value in row.values())


def _opens(value: object) -> bool:
    """Whether any text in the value has a block of thinking."""
    if isinstance(value, str):
        return any(mark in value for mark in THINKING)
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return any(_opens(item) for item in items)


def _choice(name: str, value: str, choices: tuple[str, ...]) -> Option:
    return {"name": name, "kind": "choice", "value": value, "choices": list(choices)}


def _flag(name: str, value: bool) -> Option:
    return {"name": name, "kind": "flag", "value": value, "choices": []}
