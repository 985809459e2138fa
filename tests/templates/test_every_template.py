"""Every chat template at hand, with every kind of conversation, against transformers' own rendering."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import NamedTuple

import jinja2
import pytest

from tests.templates.conversations import (
    TALKS,
    TOKENS,
    characters,
    conversation,
    our_templates,
    shared_templates,
    trl_templates,
)
from workbench.errors import TemplateError
from workbench.templates.render import render
from workbench.templates.turns import is_data
from workbench.types import Rendered, TemplateInfo

Counts = Mapping[str, tuple[int, int, int]]
"""Talk -> renderings, refusals, renderings with `{% generation %}`."""

SHARED: Counts = {
    "system": (75, 6, 11),
    "no_system": (79, 2, 12),
    "typed": (41, 40, 4),
    "typed_no_system": (52, 29, 8),
    "tools_dict": (55, 26, 8),
    "tools_string": (54, 27, 8),
    "tools_nested": (55, 26, 8),
    "reasoning": (79, 2, 12),
    "generation_prompt": (79, 2, 12),
}
TRL_1_16: Counts = {
    "system": (68, 4, 32),
    "no_system": (70, 2, 33),
    "typed": (40, 32, 18),
    "typed_no_system": (58, 14, 27),
    "tools_dict": (57, 15, 27),
    "tools_string": (30, 42, 12),
    "tools_nested": (57, 15, 27),
    "reasoning": (70, 2, 33),
    "generation_prompt": (70, 2, 33),
}
OURS: Counts = {
    talk: (0, 19, 0) if talk.startswith("typed") else (1, 18, 1) if talk.startswith("tools") else (19, 0, 19)
    for talk in TALKS
}
"""Prompt styles refuse a conversation with a tool's answer, which they have no words for; ChatML takes any role."""

DIFFERS: Mapping[str, str] = {
    "deepseek_r1_distill_training": "its author trains <｜Assistant｜>, which the generation prompt supplies",
    "deepseekv3_training": "as deepseek_r1_distill_training",
    "gptoss_training": "its author trains <|start|>assistant, which the generation prompt supplies",
    "muse_glimmer_training": "as gptoss_training",
    "nemotron_3_5_lightning_training": "its author trains <think>, which the generation prompt supplies",
    "nemotron_3_nano_training": "as nemotron_3_5_lightning_training",
    "nemotron_3_super_training": "as nemotron_3_5_lightning_training",
    "nemotron_3_ultra_training": "as nemotron_3_5_lightning_training",
    "qwen3_5_nothink_training": "its author trains the empty <think> block, which the generation prompt supplies",
    "qwen3_5_think_training": "as nemotron_3_5_lightning_training",
    "qwen3_6_training": "as nemotron_3_5_lightning_training",
    "qwen3_8_training": "as nemotron_3_5_lightning_training",
    "phi3_training": "its author trains EOS behind the whole conversation, which is no one's turn",
    "phi3_5_training": "as phi3_training",
    "diffusion_gemma_training": "a tool's answer stands inside the call's turn; without markers such a row is refused",
}
"""Templates whose `{% generation %}` differs from the rule "behind the generation prompt to the end of the turn" by
more than white space at the end."""


class Outcome(NamedTuple):
    """What both made of one template and talk; None or an error where it was refused."""

    template: TemplateInfo
    talk: str
    theirs: str | None
    their_spans: list[tuple[int, int]]
    ours: Rendered | TemplateError


def _outcome(template: TemplateInfo, name: str) -> Outcome:
    from transformers.utils.chat_template_utils import render_jinja_template

    talk = TALKS[name]
    theirs, spans = None, []
    try:
        texts, indices = render_jinja_template(
            [talk.messages],
            tools=talk.tools,
            chat_template=template.source,
            add_generation_prompt=talk.add_generation_prompt,
            return_assistant_tokens_mask=True,
            **TOKENS,
        )
        theirs, spans = texts[0], indices[0]
    except (jinja2.TemplateError, TypeError, ValueError, LookupError):
        pass
    try:
        ours = render(conversation(talk), template, add_generation_prompt=talk.add_generation_prompt)
    except TemplateError as error:
        ours = error
    return Outcome(template, name, theirs, spans, ours)


def _outcomes(templates: Iterable[TemplateInfo]) -> list[Outcome]:
    return [_outcome(template, talk) for template in templates for talk in TALKS]


@pytest.fixture(scope="module")
def trl_outcomes() -> list[Outcome]:
    return _outcomes(trl_templates().values())


@pytest.fixture(scope="module")
def our_outcomes() -> list[Outcome]:
    return _outcomes(our_templates().values())


@pytest.fixture(scope="module")
def shared_outcomes(shared) -> list[Outcome]:
    return _outcomes(shared_templates(shared).values())


@pytest.fixture(params=["trl_outcomes", "our_outcomes", pytest.param("shared_outcomes", marks=pytest.mark.shared)])
def outcomes(request) -> list[Outcome]:
    return request.getfixturevalue(request.param)


def _counted(outcomes: list[Outcome]) -> dict[str, tuple[int, int, int]]:
    made: dict[str, Counter[str]] = {talk: Counter() for talk in TALKS}
    for outcome in outcomes:
        rendered = isinstance(outcome.ours, Rendered)
        made[outcome.talk]["rendered" if rendered else "refused"] += 1
        made[outcome.talk]["marked"] += rendered and outcome.ours.has_generation
    return {talk: (count["rendered"], count["refused"], count["marked"]) for talk, count in made.items()}


def _marked(spans: Iterable[tuple[int, int]]) -> set[int]:
    return {at for start, end in spans for at in range(start, end)}


def test_tracked_text_is_what_transformers_renders(outcomes):
    rendered = [outcome for outcome in outcomes if outcome.theirs is not None]
    assert [(o.template.name, o.talk) for o in rendered if str.__str__(getattr(o.ours, "text", "")) != o.theirs] == []


def test_what_transformers_refuses_is_refused_with_the_row_and_only_that(outcomes):
    refused = [outcome for outcome in outcomes if isinstance(outcome.ours, TemplateError)]
    assert [o for o in outcomes if (o.theirs is None) != isinstance(o.ours, TemplateError)] == []
    assert {(outcome.ours.code, outcome.ours.row) for outcome in refused} <= {("WB102", 7)}
    assert all("row 7" in str(outcome.ours) for outcome in refused)


def test_generation_spans_are_those_of_transformers(outcomes):
    marked = [outcome for outcome in outcomes if isinstance(outcome.ours, Rendered) and outcome.ours.has_generation]
    assert marked
    assert [(o.template.name, o.talk) for o in marked if _marked(o.ours.generation) != _marked(o.their_spans)] == []


@pytest.mark.shared
def test_no_shared_template_is_skipped(shared_outcomes):
    assert _counted(shared_outcomes) == SHARED


def test_no_template_of_trl_is_skipped(trl_outcomes):
    counts = _counted(trl_outcomes)
    if version("trl").startswith("1.16."):
        assert counts == TRL_1_16
    assert sum(rendered + refused for rendered, refused, _ in counts.values()) == len(trl_templates()) * len(TALKS)
    assert sum(rendered for rendered, _, _ in counts.values()) >= 500


def test_no_template_of_ours_is_skipped(our_outcomes):
    assert _counted(our_outcomes) == OURS


def test_every_character_of_a_rendering_has_an_origin(outcomes):
    """What a template writes is its own, a field's, or computed; nothing stays unknown, and lines are counted."""
    rendered = [outcome.ours for outcome in outcomes if isinstance(outcome.ours, Rendered)]
    lost = [run for item in rendered for run in item.text.runs if run.origin is None or run.line < 1 or run.length < 1]
    assert lost == []
    assert all(sum(run.length for run in item.text.runs) == len(item.text) for item in rendered)


def test_turns_are_in_order_and_do_not_overlap(outcomes):
    for outcome in outcomes:
        if isinstance(outcome.ours, Rendered):
            edges = [edge for t in outcome.ours.turns for edge in (t.start, t.body, t.data_end, t.end)]
            assert edges == sorted(edges), (outcome.template.name, outcome.talk)


def _difference(outcome: Outcome) -> tuple[str, bool]:
    """Characters on which the rule and the markers disagree, and whether one of them is the row's own text."""
    rule = _marked((turn.body, turn.end) for turn in outcome.ours.turns if turn.role == "assistant")
    chars = characters(outcome.ours.text)
    differing = [chars[at] for at in sorted(rule ^ _marked(outcome.ours.generation))]
    return "".join(char for char, _, _ in differing), any(is_data(origin) for _, origin, _ in differing)


def test_the_rule_without_markers_agrees_with_markers_but_for_the_templates_listed(outcomes):
    """`Turn.body` to the end is what a template's author marks, up to trailing template white space."""
    marked = [outcome for outcome in outcomes if isinstance(outcome.ours, Rendered) and outcome.ours.has_generation]
    differing = {o.template.name for o in marked if _difference(o)[0].strip()}
    assert differing <= set(DIFFERS)
    names = {outcome.template.name for outcome in marked}
    assert differing == set(DIFFERS) & names, "a template listed in DIFFERS agrees by now"


def test_the_rule_and_the_markers_never_disagree_about_text_of_the_row(outcomes):
    marked = [outcome for outcome in outcomes if isinstance(outcome.ours, Rendered) and outcome.ours.has_generation]
    about_data = {(o.template.name, o.talk) for o in marked if _difference(o)[1]}
    interrupted = {(o.template.name, o.talk) for o in marked if _interrupted(o.ours)}
    assert about_data <= interrupted, "without markers these rows are refused (WB111)"


def test_answers_interrupted_by_other_messages_are_only_those_of_gemma4(outcomes):
    found = {o.template.name for o in outcomes if isinstance(o.ours, Rendered) and _interrupted(o.ours)}
    assert found <= {"gemma4", "gemma4_v3", "gemma4_v4", "gemma4_v5", "diffusion_gemma", "diffusion_gemma_training"}


def _interrupted(rendered: Rendered) -> bool:
    answers = Counter(turn.message for turn in rendered.turns if turn.role == "assistant")
    return any(count > 1 for count in answers.values())
