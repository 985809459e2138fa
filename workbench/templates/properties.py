"""What a chat template can be relied on for: predicates over its renderings, each with a counter-example.

    properties_of(template)  ->  (Property("prefix_preserving", "fails", …, CounterExample(…)), Property("stop", …), …)

A property `holds`; or it `fails`, and something would go wrong in training; or the template `lacks` it, which matters
only to rows that need it; or it is `unknown`, because the template refuses every conversation it could be seen on.
Each is a pure function of the template's text: the conversations are those of samples.py. Special tokens that are not
known are stood in for by their names (`<eos_token>`), as the text around them is what is looked at.

docs/template-xray.md says what each means for training. TRL's predicates of the same kind (trl 1.16,
chat_template_utils.py) are compared with these over all templates at hand in tests/templates/test_properties.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from workbench.errors import TemplateError
from workbench.templates.abilities import generation, stop, system, tools
from workbench.templates.looks import CounterExample, Property, Renderings, in_order, line_at, unknown, with_stand_ins
from workbench.templates.prefixes import prefix_preserving, prompt_is_prefix
from workbench.templates.samples import Sample, samples
from workbench.templates.traced import first_difference
from workbench.types import TemplateInfo

__all__ = ["CounterExample", "Property", "Renderings", "in_order", "properties_from", "properties_of", "same_as_plain"]

CHECKS: tuple[Callable[[Renderings], Property], ...] = (
    prefix_preserving,
    stop,
    system,
    prompt_is_prefix,
    tools,
    generation,
)


def properties_of(template: TemplateInfo) -> tuple[Property, ...]:
    """Every property that follows from the template's own text, failing ones first.

    Raises:
        TemplateError: WB101 where it does not compile.
    """
    made = Renderings(template)
    return in_order([check(made) for check in CHECKS])


def properties_from(sent: Sequence[Mapping[str, Any]]) -> tuple[Property, ...]:
    """Properties from plain values (`dataclasses.asdict`)."""
    return tuple(
        Property(
            item["name"], item["state"], item["says"], CounterExample(**item["counter"]) if item["counter"] else None
        )
        for item in sent
    )


def same_as_plain(template: TemplateInfo) -> Property:
    """Whether our text is transformers' own, character for character, for every sample it takes.

    Imports transformers (its Jinja environment), not torch.
    """
    from transformers.utils.chat_template_utils import render_jinja_template

    known = with_stand_ins(template)
    ours, seen = Renderings(known), 0
    for name in samples:
        said: Sample = getattr(samples, name)
        traced = ours.of(said, said.tools)
        if isinstance(traced, TemplateError):
            continue
        tokens: dict[str, Any] = dict(known.special_tokens)
        texts, _ = render_jinja_template(
            [list(said)], tools=cast("Any", said.tools), chat_template=known.source, **tokens
        )
        seen += 1
        at = first_difference(str.__str__(traced.rendered.text), texts[0])
        if at is not None:
            counter = CounterExample(
                "Ours",
                str.__str__(traced.rendered.text),
                "transformers",
                texts[0],
                at,
                line_at(traced, at),
                "What is shown would not be what is trained elsewhere. Please report the template.",
            )
            return Property("same_as_plain", "fails", f"{name} differs from transformers.", counter)
    if not seen:
        return unknown("same_as_plain")
    return Property(
        "same_as_plain", "holds", f"Equal to apply_chat_template for {seen} conversations, to the character."
    )
