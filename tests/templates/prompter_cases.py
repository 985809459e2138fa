"""How each of axolotl's instruction types is read and worded here, and our text of a row in axolotl's pieces."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any, NamedTuple

from workbench.options import RowOptions
from workbench.rows.columns import guess_columns
from workbench.rows.convert import convert
from workbench.rows.shapes import shapes_of
from workbench.templates import registry
from workbench.templates.render import render
from workbench.types import Conversation, PromptCompletion

Pieces = list[list[Any]]
"""`[text, trained]` in order, neighbours differing in `trained`."""


class Style(NamedTuple):
    """Our type and template for one of axolotl's types, and the default system message it needs."""

    type: str
    template: str = ""
    system: str | None = None


EXPLAIN = "Choose the answer that best answers the question. Explain your reasoning.\n"

STYLES: Mapping[str, Style] = {
    "alpaca": Style("alpaca", "alpaca"),
    "alpaca:chat": Style("alpaca", "alpaca_chat"),
    "alpaca:chatml": Style("alpaca", "alpaca_chatml"),
    "alpaca:phi": Style("alpaca", "alpaca_phi"),
    "alpaca_chat.load": Style("alpaca", "alpaca_chat"),
    "alpaca_chat.load_concise": Style("alpaca", "alpaca_concise"),
    "alpaca_chat.load_no_prompt": Style("alpaca", "alpaca_w_system"),
    "alpaca_chat.load_qa": Style("alpaca", "alpaca_concise"),
    "alpaca_chat.load_camel_ai": Style("alpaca", "alpaca_concise"),
    "alpaca_instruct.load": Style("alpaca", "alpaca"),
    "alpaca_instruct.load_no_prompt": Style("alpaca", "alpaca_instruct_w_system"),
    "alpaca_w_system": Style("alpaca", "alpaca_w_system"),
    "alpaca_w_system.load_instruct": Style("alpaca", "alpaca_instruct_w_system"),
    "alpaca_w_system.load_open_orca": Style("alpaca", "open_orca"),
    "alpaca_w_system.load_open_orca_chatml": Style("alpaca", "open_orca_chatml"),
    "orcamini": Style("alpaca", "orcamini"),
    "gpteacher": Style("alpaca", "alpaca"),
    "gpteacher:chat": Style("alpaca", "alpaca_chat"),
    "oasst": Style("alpaca", "alpaca"),
    "oasst:phi": Style("alpaca", "alpaca_phi"),
    "jeopardy": Style("jeopardy", "alpaca"),
    "jeopardy:chatml": Style("jeopardy", "alpaca_chatml"),
    "explainchoice": Style("choice", "alpaca_choice"),
    "explainchoice:chat": Style("choice", "alpaca_chat", EXPLAIN),
    "explainchoice:chatml": Style("choice", "alpaca_chatml", EXPLAIN),
    "explainchoice:phi": Style("choice", "alpaca_phi", EXPLAIN),
    "concisechoice": Style("choice", "alpaca_choice_concise"),
    "summarizetldr": Style("summarize", "summarize"),
    "reflection": Style("reflection", "alpaca_instruct_w_system"),
    "reflection:instruct": Style("reflection", "reflection"),
    "context_qa": Style("context_qa", "context_qa"),
    "context_qa.load_v2": Style("context_qa", "context_qa_v2"),
    "context_qa.load_404": Style("context_404", "context_qa"),
    "creative_acr.load_answer": Style("creative_answer", "creative_answer"),
    "creative_acr.load_critique": Style("creative_critique", "alpaca_w_system"),
    "creative_acr.load_revise": Style("creative_critique", "alpaca_w_system"),
    "metharme": Style("metharme"),
    "pygmalion": Style("sharegpt", "pygmalion"),
}
OPTIONS = ("format", "no_input_format", "system_format", "system_prompt")
EXTRA_EOS = {"metharme": 2}
"""EOS that axolotl puts behind the one both write."""


def ours(kind: str | Mapping[str, str], row: Mapping[str, Any], bos: str, eos: str) -> Pieces:
    """Our text of a row, one piece masked, one trained, and so on."""
    if isinstance(kind, Mapping):
        columns = {name.removeprefix("field_"): column for name, column in kind.items() if name.startswith("field_")}
        options = RowOptions(**{name: kind[name] for name in OPTIONS if name in kind})
        style = Style("user_defined")
    else:
        style = STYLES[kind]
        options = RowOptions(default_system_message=style.system)
        columns = guess_columns({name: [shapes_of(value)] for name, value in row.items()}, style.type)
    example, findings = convert(row, 0, style.type, columns, options)
    assert not [finding for finding in findings if finding.severity == "error"], findings
    if isinstance(example, PromptCompletion):
        flagged = [(char, False) for char in bos + example.prompt]
        flagged += [(char, True) for char in example.completion.removesuffix(eos) + eos]
        flagged += [(eos, True)] * (EXTRA_EOS.get(kind, 0) if isinstance(kind, str) else 0)
    else:
        assert isinstance(example, Conversation)
        tokens = {"eos_token": eos, "added_bos_token": bos}
        template = registry.find(style.template)
        made = render(example, registry.info(template.name, template.source, template.origin, tokens))
        trained = {at for start, end in made.generation for at in range(start, end)}
        flagged = [(char, at in trained) for at, char in enumerate(str.__str__(made.text))]
    return in_pieces(flagged)


def in_pieces(flagged: list[tuple[str, bool]]) -> Pieces:
    """Characters with their flags as pieces."""
    return [["".join(char for char, _ in group), flag] for flag, group in groupby(flagged, key=lambda pair: pair[1])]
