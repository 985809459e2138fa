"""What `data.encode(…)` does: find template and tokenizer, tokenize every row, collect the findings."""

from __future__ import annotations

import difflib
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from workbench.api.data import Data, _Choice
from workbench.api.encoded import Encoded, Totals
from workbench.api.template import ChatTemplate
from workbench.api.template import template as find_template
from workbench.checks.parts import check_parts
from workbench.errors import RecipeError
from workbench.options import MaskOptions
from workbench.templates.compiler import compiled
from workbench.tokens.encode import load_tokenizer
from workbench.tokens.examples import Setting
from workbench.tokens.sequences import sequences
from workbench.types import Example, Finding, TemplateInfo


def encode_data(data: Data, template: ChatTemplate | str | None, tokenizer: Any, choice: _Choice) -> Encoded:
    """Encode all rows; see `Data.encode`."""
    source = "tiny-llama" if tokenizer is None else tokenizer
    loaded = load_tokenizer(source)
    name = source if isinstance(source, str) else getattr(loaded, "name_or_path", type(loaded).__name__)
    chat = _template_for(data, template, source, loaded)
    info = chat.with_tokenizer(loaded) if chat else None
    if info:
        compiled(info.source, info.name)  # a template that does not compile is one error, not one a row
    _refuse_unused(choice.variables, info)
    setting = Setting(loaded, info, choice.train_on, choice.max_length, choice.variables, choice.mask)
    enc = Encoded(data, chat, setting, choice, str(name))
    _fill(enc)
    return enc


def _template_for(data: Data, given: ChatTemplate | str | None, source: Any, tokenizer: Any) -> ChatTemplate | None:
    if isinstance(given, ChatTemplate):
        return given
    if given is not None:
        return find_template(given)
    return find_template(source if isinstance(source, str) else tokenizer) if data.is_conversation else None


def _refuse_unused(variables: Mapping[str, Any], template: TemplateInfo | None) -> None:
    """A keyword that no option has and the template never reads is a typing error."""
    if not variables:
        return
    read = _read_by(template) if template else set[str]()
    for name in variables:
        if name not in read:
            near = difflib.get_close_matches(name, [*MaskOptions.names(), *sorted(read)], n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"The template reads {', '.join(sorted(read)) or 'none'}."
            raise RecipeError(
                f"{name!r} is neither an option nor a variable of the template.", remedy=hint, code="WB401"
            )


def _read_by(template: TemplateInfo) -> set[str]:
    """Variables a template reads."""
    from jinja2 import meta

    return set(meta.find_undeclared_variables(compiled(template.source, template.name).tracking.parse(template.source)))


def _fill(enc: Encoded) -> None:
    """Tokenize every row, keep ids and labels compactly, and collect the findings."""
    special = enc.vocabulary.special_ids
    found: list[Finding] = list(enc.data.findings)
    examples: list[Example] = []

    def usable() -> Iterator[Example]:
        for example, notes in enc.data.examples():
            found.extend(notes)
            if example is not None:
                examples.append(example)
                yield example

    total = dict.fromkeys(("tokens", "trained", "truncated"), 0)
    for made in sequences(usable(), enc.setting):
        example = examples.pop(0)
        line = enc.data.source.line_of(example.row)
        if isinstance(made, Finding):
            found.append(replace(made, line=line))
            continue
        found.extend(replace(item, line=line) for item in check_parts(example, made, special))
        enc.usable.append(example.row)
        for index, part in enumerate(made):
            enc.sequences.append((example.row, index))
            enc._ids.append(array("i", part.input_ids))
            enc._labels.append(array("i", part.labels))
            total["tokens"] += len(part.input_ids)
            total["trained"] += part.trained
            total["truncated"] += bool(part.truncated)
    levels = [item.severity for item in found]
    enc.findings = tuple(found)
    enc.totals = Totals(rows=len(enc.usable), **total, errors=levels.count("error"), warnings=levels.count("warning"))
