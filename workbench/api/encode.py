"""What `data.encode(…)` does: find template and tokenizer, tokenize every row, collect the findings."""

from __future__ import annotations

import difflib
import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from workbench.api.data import Data, _Choice
from workbench.api.encode_rows import encode_rows
from workbench.api.encoded import Encoded, Totals
from workbench.api.template import ChatTemplate
from workbench.api.template import template as find_template
from workbench.errors import RecipeError
from workbench.options import MaskOptions
from workbench.templates.compiler import compiled
from workbench.tokens.encode import load_tokenizer
from workbench.tokens.examples import Setting
from workbench.types import IGNORE, Finding, TemplateInfo


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
    with _settled():
        _fill(enc, choice.workers)
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


@contextmanager
def _settled() -> Iterator[None]:
    """Have the garbage collector pass over what is there already, for as long as rows are encoded.

    Encoding makes millions of short-lived tuples, and they make it look again and again through the hundreds of
    thousands of objects that transformers and torch keep: a seventh of the time of a row. Who has frozen objects
    already keeps them so.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _fill(enc: Encoded, workers: int) -> None:
    """Tokenize every row, keep ids and labels compactly, and collect the findings."""
    found: list[Finding] = list(enc.data.findings)
    tokens = masked = truncated = 0
    part, last = 0, -1
    for chunk in encode_rows(enc.data, enc.setting, workers):
        found.extend(chunk.findings)
        for row, _, ids, labels in chunk.sequences():
            if row != last:
                enc.usable.append(row)
                part, last = 0, row
            else:
                part += 1
            enc.sequences.append((row, part))
            enc._ids.append(ids)
            enc._labels.append(labels)
        tokens += len(chunk.labels)
        masked += chunk.labels.count(IGNORE)
        truncated += sum(map(bool, chunk.truncated))
    levels = [item.severity for item in found]
    enc.findings = tuple(found)
    enc.totals = Totals(
        len(enc.usable), tokens, tokens - masked, truncated, levels.count("error"), levels.count("warning")
    )
