"""How a template ends an answer, and what of a row it can write: system messages, tools, markers of what is trained."""

from __future__ import annotations

import re
from dataclasses import replace

from workbench.errors import TemplateError
from workbench.templates.looks import CounterExample, Property, Renderings, line_at, unknown
from workbench.templates.prefixes import with_text_arguments
from workbench.templates.samples import samples
from workbench.templates.traced import Traced
from workbench.tracked import runs_of
from workbench.types import TemplateInfo, Turn

TAG = re.compile(r"<[|｜]?[^\s<>]{1,40}[|｜]?>|\[[|｜][^\s\[\]]{1,40}[|｜]\]|\[/?[A-Z_]{2,20}\]")
"""What special tokens look like, for templates that come without a tokenizer."""


def stop(made: Renderings) -> Property:
    """Whether every answer ends with one stop token, and inside the markers where there are some."""
    for name in ("several_turns", "one_turn"):
        said = getattr(samples, name)
        traced = made.of(said)
        if not isinstance(traced, TemplateError):
            return _stop_of(made.template, traced)
    return unknown("stop")


def _stop_of(template: TemplateInfo, traced: Traced) -> Property:
    text = str.__str__(traced.rendered.text)
    answers = [turn for turn in traced.rendered.turns if turn.role == "assistant"]
    for turn in answers:
        stops = stop_tokens(template, text, turn)
        if not stops:
            return _no_stop(traced, turn)
        last = text[slice(*stops[-1])]
        if sum(text[start:end] == last for start, end in stops) > 1:
            says = f"It ends an answer with {last} more than once."
            return Property(
                "stop", "fails", says, _stop_counter(traced, turn, "The model learns to write all of them.")
            )
        if traced.rendered.has_generation and not _inside(traced, *stops[-1]):
            means = "With masks from the markers the model would not learn to stop."
            return Property(
                "stop", "fails", "The stop token is outside {% generation %}.", _stop_counter(traced, turn, means)
            )
    if not answers:
        return Property("stop", "fails", "No answer stands in the text.", None)
    start, end = stop_tokens(template, text, answers[0])[-1]
    line = line_at(traced, start)
    return Property("stop", "holds", f"{text[start:end]} ends every answer, written by line {line}, and is trained.")


def stop_tokens(template: TemplateInfo, text: str, turn: Turn) -> list[tuple[int, int]]:
    """Spans of the special tokens behind the data of a turn."""
    tail = text[turn.data_end : turn.end]
    named = sorted((re.escape(token) for token in template.special_tokens.values() if token), key=len, reverse=True)
    shape = re.compile("|".join([*named, TAG.pattern]))
    return [(turn.data_end + found.start(), turn.data_end + found.end()) for found in shape.finditer(tail)]


def _inside(traced: Traced, start: int, end: int) -> bool:
    return any(low <= start and end <= high for low, high in traced.rendered.generation)


def _no_stop(traced: Traced, turn: Turn) -> Property:
    means = "The model would not learn to stop: it is only shown how the next message begins."
    return Property("stop", "fails", "No stop token ends an answer.", _stop_counter(traced, turn, means))


def _stop_counter(traced: Traced, turn: Turn, means: str) -> CounterExample:
    text = str.__str__(traced.rendered.text)
    line = line_at(traced, max(turn.end - 1, 0))
    return CounterExample(
        f"Message {turn.message}",
        text[turn.start : turn.end],
        "behind it",
        text[turn.end : turn.end + 60],
        None,
        line,
        means,
    )


def generation(made: Renderings) -> Property:
    """Whether its author marked what is trained."""
    if "endgeneration" in made.template.source:
        return Property("generation", "holds", "{% generation %} marks what is trained.")
    says = "No {% generation %}: masks come from provenance. TRL's assistant_only_loss needs the markers."
    return Property("generation", "lacks", says)


def system(made: Renderings) -> Property:
    """Whether a system message is accepted and written."""
    traced = made.of(samples.system)
    if isinstance(traced, TemplateError):
        if isinstance(made.of(samples.one_turn), TemplateError):
            return unknown("system")
        return Property("system", "lacks", "It refuses a system message.", _refusal(traced, "a system message"))
    missing = _left_out(traced, "messages[0].content")
    if missing is None:
        return Property("system", "holds", "A system message is written.")
    means = "Rows with a system message are trained without it, and nothing says so."
    return Property("system", "fails", "It drops system messages.", replace(missing, means=means))


def tools(made: Renderings) -> Property:
    """Whether the tools, a call and its answer are written."""
    said = samples.tool_call
    for messages in (said, with_text_arguments(said)):
        traced = made.of(messages, said.tools)
        if not isinstance(traced, TemplateError):
            return _tools_of(traced)
    refused = made.of(said, said.tools)
    if not isinstance(refused, TemplateError) or isinstance(made.of(samples.one_turn), TemplateError):
        return unknown("tools")
    return Property("tools", "lacks", "It refuses a conversation with tools.", _refusal(refused, "a tool call"))


def _tools_of(traced: Traced) -> Property:
    written = {run.origin.field for run in runs_of(traced.rendered.text) if run.origin and run.origin.field}
    parts = {
        "the tools": any(field.startswith("tools[") for field in written),
        "the call": any(".tool_calls[" in field for field in written),
        "its answer": "messages[2].content" in written,
    }
    missing = [name for name, there in parts.items() if not there]
    if not missing:
        return Property("tools", "holds", "Tools, calls and their answers are written.")
    says = f"It drops {' and '.join(missing)}."
    means = "Rows with tools are trained without them; choose a template with tools for such rows."
    text = str.__str__(traced.rendered.text)
    counter = CounterExample("A tool call", text, "missing from it", ", ".join(missing), None, None, means)
    return Property("tools", "lacks", says, counter)


def _left_out(traced: Traced, field: str) -> CounterExample | None:
    written = any(run.origin and run.origin.field == field for run in runs_of(traced.rendered.text))
    if written:
        return None
    line = next((item.line for item in traced.cuts if item.field == field and item.line is not None), None)
    text = str.__str__(traced.rendered.text)
    return CounterExample("The text", text, "missing from it", field, None, line, "")


def _refusal(error: TemplateError, what: str) -> CounterExample:
    means = f"Rows with {what} cannot be trained with this template."
    return CounterExample(f"With {what}", "", "it says", error.message, None, error.line, means)
