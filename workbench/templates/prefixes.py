"""Whether earlier messages are rendered the same whatever follows, and whether the prompt is how the answer begins."""

from __future__ import annotations

from typing import Any

from workbench.errors import TemplateError
from workbench.templates.looks import (
    CounterExample,
    Messages,
    Property,
    Renderings,
    line_at,
    line_of_difference,
    unknown,
)
from workbench.templates.samples import Sample, samples
from workbench.templates.traced import Traced, first_difference


def prefix_pairs() -> list[tuple[str, Messages, Messages, Any, bool]]:
    """(what, shorter, longer, tools, whether the longer one ends with the generation prompt) to compare."""
    pairs: list[tuple[str, Messages, Messages, Any, bool]] = []
    for name in ("several_turns", "thinking"):
        said: Sample = getattr(samples, name)
        ends = [i + 1 for i, message in enumerate(said) if message["role"] == "assistant"]
        pairs += [(name, said[:end], said[: end + 2], None, False) for end in ends[:-1]]
    for call in (samples.tool_call, with_text_arguments(samples.tool_call)):
        pairs.append(("tool_call", call[:2], call[:3], None, True))
    return pairs


def with_text_arguments(said: Sample) -> list[dict[str, Any]]:
    """The same with the arguments of calls as text, which some templates want."""
    made = [dict(message) for message in said]
    for message in made:
        if "tool_calls" in message:
            message["tool_calls"] = [
                {**call, "function": {**call["function"], "arguments": '{"celsius": 63}'}}
                for call in message["tool_calls"]
            ]
    return made


def prefix_preserving(made: Renderings) -> Property:
    """Whether a message is rendered the same whatever follows it."""
    seen = 0
    for what, shorter, longer, tools, prompt in prefix_pairs():
        one, other = made.of(shorter, tools), made.of(longer, tools, prompt=prompt)
        if isinstance(one, TemplateError) or isinstance(other, TemplateError):
            continue
        seen += 1
        counter = _not_prefix(one, other, len(shorter), len(longer), what)
        if counter is not None:
            return Property("prefix_preserving", "fails", "Adding a turn changes what came before.", counter)
    if not seen:
        return unknown("prefix_preserving")
    return Property("prefix_preserving", "holds", "A message is rendered the same whatever follows it.")


MEANS = {
    "thinking": "Masks found by comparing prefixes would be wrong here; ours come from provenance and stay right. "
    "But only the answers behind the last question of a row keep their thinking.",
    "tool_call": "A trainer that finds the tool's tokens by comparing prefixes (TRL's GRPO with tools) cannot use it; "
    "our masks come from provenance and stay right.",
    "several_turns": "Masks found by comparing prefixes would be wrong here; ours come from provenance and stay right. "
    "A conversation cut after an answer is not what the model saw in training.",
}


def _not_prefix(one: Traced, other: Traced, short: int, long: int, what: str) -> CounterExample | None:
    text, longer = str.__str__(one.rendered.text), str.__str__(other.rendered.text)
    if longer.startswith(text):
        return None
    at = first_difference(text, longer[: len(text)]) or 0
    if what == "thinking" and len(other.cuts) <= len(one.cuts):
        what = "several_turns"  # it differs, but not because thinking was left out
    behind = f"{short} to {long - 1}" if long - 1 > short else str(short)
    return CounterExample(
        f"Messages 0 to {short - 1} alone",
        text,
        f"the same, with {behind} behind them",
        longer,
        at,
        line_of_difference(one, other, at),
        MEANS[what],
    )


def prompt_is_prefix(made: Renderings) -> Property:
    """Whether what inference sends is how the training text begins."""
    seen = 0
    for name in ("one_turn", "several_turns", "thinking"):
        said: Sample = getattr(samples, name)
        last = max(i for i, message in enumerate(said) if message["role"] == "assistant")
        asked, plain = made.of(said[:last], prompt=True), made.of(said[:last])
        full = made.of(said[: last + 1])
        if isinstance(asked, TemplateError) or isinstance(full, TemplateError) or isinstance(plain, TemplateError):
            continue
        seen += 1
        text, whole = str.__str__(asked.rendered.text), str.__str__(full.rendered.text)
        if text == str.__str__(plain.rendered.text):
            says = "It adds no generation prompt: inference asks with the conversation alone."
            return Property("prompt_is_prefix", "lacks", says)
        if not whole.startswith(text):
            return Property(
                "prompt_is_prefix",
                "fails",
                "The prompt of inference is not how the training text begins.",
                _prompt_counter(asked, full, last),
            )
    if not seen:
        return unknown("prompt_is_prefix")
    return Property("prompt_is_prefix", "holds", "The prompt is how every answer begins in training.")


def _prompt_counter(asked: Traced, full: Traced, last: int) -> CounterExample:
    text, whole = str.__str__(asked.rendered.text), str.__str__(full.rendered.text)
    at = first_difference(text, whole[: len(text)]) or 0
    return CounterExample(
        f"Messages 0 to {last - 1} with the generation prompt",
        text,
        f"messages 0 to {last}, as trained",
        whole,
        at,
        line_at(asked, at) or line_at(full, at),
        "The model is asked with a beginning it has not seen in training. Often it is an opening <think> that rows "
        "without thinking do not have: train on rows with it, or switch it off where the template can.",
    )
