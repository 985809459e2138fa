"""Renderings by a learned layout are the tracked renderings: text, origin of every character, turns, generation."""

from __future__ import annotations

import random
from itertools import product

import pytest

from tests.fuzz_scale import thorough
from tests.templates.conversations import our_templates, shared_templates, trl_templates
from workbench.errors import TemplateError
from workbench.templates import render as rendering
from workbench.templates.layouts import MOST_FAILURES, Shape, shape_of
from workbench.templates.render import render
from workbench.tracked import Tracked, join, track, track_tree
from workbench.types import Conversation, Origin, Rendered, TemplateInfo

ROWS = 36 if thorough() else 12
ROLES = (
    ("user", "assistant"),
    ("system", "user", "assistant", "user", "assistant"),
    ("user", "assistant", "user", "assistant", "user", "assistant"),
)
TRAPS = (
    "a",
    " a ",
    "",
    "  ",
    "\n",
    "b\n",
    "user",
    "assistant",
    "<|im_end|>",
    "<|im_start|>assistant\n",
    "<|eot_id|>",
    "[INST]",
    "</s>",
    "<EOS>",
    "x<EOS>",
    "</think>",
    "<think>\nx\n</think>\n\ny",
    "q</think>r</think>s",
    "None",
    "a text of some words",
    "<tool_response>x</tool_response>",
    "é\u00a0",
)
"""Texts that equal each other and what templates write, that are empty, blank, or marked."""


def talk(row: int, roles: tuple[str, ...], texts: list[str], field: str = "messages") -> Conversation:
    return Conversation(
        row,
        tuple(
            {
                "role": track(role, Origin(f"{field}[{i}].role", i, "role")),
                "content": track(text, Origin(f"{field}[{i}].content", i, "content")),
            }
            for i, (role, text) in enumerate(zip(roles, texts, strict=True))
        ),
    )


def slow(conversation: Conversation, template: TemplateInfo, variables: dict | None = None) -> Rendered:
    """The tracked rendering."""
    values = rendering._variables(conversation, template, False, variables)
    bare = [rendering._aliased(rendering._untracked(message)) for message in conversation.messages]
    program = rendering.compiled(template.source, template.name)
    plain = rendering._run_plain(program, conversation.messages, bare, values, conversation.row)
    return rendering._tracked(conversation, template, values, variables, plain)


def same(quick: Rendered, tracked: Rendered) -> bool:
    return (
        str.__str__(quick.text) == str.__str__(tracked.text)
        and quick.text.runs == tracked.text.runs
        and (quick.turns, quick.generation) == (tracked.turns, tracked.generation)
        and quick.has_generation == tracked.has_generation
    )


def outcome(conversation: Conversation, template: TemplateInfo) -> str | None:
    """None where the quick rendering is the tracked one, or both refuse; else what is wrong."""
    try:
        quick = render(conversation, template)
    except TemplateError:
        quick = None
    try:
        tracked = slow(conversation, template)
    except TemplateError:
        tracked = None
    if quick is None or tracked is None:
        return None if quick is tracked else f"{template.name} refuses one way only"
    return None if same(quick, tracked) else f"{template.name}: {[m['content'] for m in conversation.messages]}"


def hits(monkeypatch) -> list[int]:
    """Rows that a layout was used for."""
    found: list[int] = []
    find = rendering.Layouts.find

    def counted(self, conversation, shape, plain):
        made = find(self, conversation, shape, plain)
        if made is not None:
            found.append(conversation.row)
        return made

    monkeypatch.setattr(rendering.Layouts, "find", counted)
    return found


def sweep(templates: dict[str, TemplateInfo], rows: int, seed: int) -> list[str]:
    """What is wrong, over rows of ordinary text and then of traps."""
    dice = random.Random(seed)
    wrong: list[str] = []
    for template in templates.values():
        rendering._layouts.cache_clear()
        for row in range(rows):
            roles = ROLES[row % len(ROLES)]
            trapped = row > rows // 4
            texts = [dice.choice(TRAPS) if trapped else f"text {dice.randrange(9)}" for _ in roles]
            said = outcome(talk(row, roles, texts), template)
            wrong += [said] if said else []
    return wrong


def test_layouts_give_the_tracked_renderings_of_trls_templates(monkeypatch):
    found = hits(monkeypatch)
    assert sweep(trl_templates(), ROWS, seed=1) == []
    assert len(found) > 8 * ROWS


def test_layouts_give_the_tracked_renderings_of_our_templates(monkeypatch):
    found = hits(monkeypatch)
    assert sweep(our_templates(), 60, seed=2) == []
    assert found


@pytest.mark.shared
def test_layouts_give_the_tracked_renderings_of_shared_templates(monkeypatch, shared):
    found = hits(monkeypatch)
    assert sweep(shared_templates(shared), ROWS, seed=3) == []
    assert len(found) > 8 * ROWS


def template_of(source: str) -> TemplateInfo:
    return TemplateInfo("test", source, "", "", {"eos_token": "<EOS>"})


LOOP = "{% for m in messages %}<{{ m.role }}>BODY</>{% endfor %}"
ELSE = "{% else %}{{ m.content }}{% endif %}"
BODIES = {
    "swapped by a question": "{{ m.role + m.content if 'x' in m.content else m.content + m.role }}",
    "literal in its place": "{% if m.content == 'a' %}{{ 'a' }}" + ELSE,
    "stripped by a question": "{{ m.content | trim if m.content.startswith(' a') else m.content }}",
    "first or second": "{{ (messages[0].content if 'a' in messages[1].content else messages[1].content) }}",
    "by truth": "{{ m.content or messages[0].content }}",
    "by a loop over text": "{% for c in m.content %}{{ c }}{% endfor %}",
    "by its length": "{% if m.content | length == 1 %}{{ 'a' }}" + ELSE,
    "by its place in a literal": "{% if m.content in 'abc' %}{{ 'a' if m.content == 'a' else m.content }}" + ELSE,
    "by a dictionary": "{{ {'a': 'a', 'b': 'b'}.get(m.content, m.content) }}",
    "by a list": "{% if m.content in ['a', ' a '] %}{{ 'a' }}" + ELSE,
    "by a filter": "{{ m.content | replace('a', 'a') }}",
    "by a copy": "{% set c = '%s' % [m.content] %}{% if 'a' in c %}{{ 'a' }}" + ELSE,
    "by a format": "{% set c = '{}'.format(m.content) %}{% if c == 'a' %}{{ 'a' }}" + ELSE,
    "by JSON": "{% if m.content | tojson == '\"a\"' %}{{ 'a' }}" + ELSE,
    "by a slice": "{{ m.content[:1] + m.content[1:] }}",
    "by order": "{% if m.content < 'b' %}{{ 'a' if m.content == 'a' else m.content }}" + ELSE,
    "by another text": "{% if m.content == messages[0].content %}{{ messages[0].content }}" + ELSE,
    "by a macro": "{% macro f(t) %}{{ t }}{% endmacro %}" + "{% if f(m.content) == 'a' %}{{ 'a' }}" + ELSE,
    "by a joined mixture": "{% set c = m.role ~ m.content %}{% if c == 'usera' %}{{ 'a' }}" + ELSE,
    "by halves": "{{ m.content.split('</think>')[0] + m.content.split('</think>')[-1] }}",
    "by chance of equality": "{{ m.content if loop.changed(m.content) else messages[0].content }}",
    "by a rebuilt message": "{% for n in [{'role': m.role, 'content': m.content}] %}!{{ n.content }}{% endfor %}",
    "by a namespace": "{% set ns = namespace(c=m.content) %}{{ 'a' if ns.c == 'a' else ns.c }}",
    "by tests": "{% if m.content is eq 'a' or m.content is in ['b'] %}{{ 'a' }}" + ELSE,
    "by selection": "{{ messages | selectattr('content', 'equalto', m.content) | map(attribute='content') | first }}",
    "by generation": "{% generation %}{{ m.content | trim }}{{ '<EOS>' if m.content }}{% endgeneration %}",
    "by a chain": "{% if 'a' in m.content in ['a'] %}{{ 'a' }}" + ELSE,
    "by capitals": "{{ m.content if m.content == m.content | lower else m.content | lower }}",
}


@pytest.mark.parametrize("name", BODIES)
def test_no_question_about_a_text_goes_unnoticed(name):
    """Templates that write the same text from another place when a text is a certain one: all pairs of traps."""
    template = template_of(LOOP.replace("BODY", BODIES[name]))
    rendering._layouts.cache_clear()
    words = ("c", "cc", "a", "b", " a ", "x", "", "A", "a</think>a", " ", "user")
    for row, texts in enumerate([*product(("c", "d", "cc"), repeat=2), *product(words, repeat=2)]):
        assert outcome(talk(row, ("user", "assistant"), list(texts)), template) is None, texts


def test_most_rows_of_a_common_template_are_laid_out(monkeypatch):
    found = hits(monkeypatch)
    rendering._layouts.cache_clear()
    template = our_templates()["ours/chatml"]
    for row in range(20):
        render(talk(row, ROLES[0], [f"Question {row}", f"Answer {row}"]), template)
    assert found == list(range(2, 20))


def test_a_row_whose_fields_are_named_otherwise_keeps_its_names():
    rendering._layouts.cache_clear()
    template = our_templates()["ours/chatml"]
    for row, field in enumerate(("messages", "messages", "conversations", "conversations")):
        made = render(talk(row, ROLES[0], ["q", "a"], field), template)
        fields = [run.origin.field for run in made.text.runs if run.origin.key == "content"]
        assert fields == [f"{field}[0].content", f"{field}[1].content"]


def test_texts_of_several_origins(monkeypatch):
    found = hits(monkeypatch)
    rendering._layouts.cache_clear()
    template = template_of(LOOP.replace("BODY", "{{ m.content | trim }}"))

    def row_of(row: int, first: str, second: str) -> Conversation:
        gap = track("\n\n", Origin(None, 0, "template"))
        parts = [track(first, Origin("instruction", 0, "content")), track(second, Origin("input", 0, "content"))]
        asked = {"role": track("user", Origin(None, 0, "role")), "content": join(gap, parts)}
        return Conversation(row, (asked, *talk(row, ("user", "assistant"), ["", "yes"]).messages[1:]))

    texts = [*product(("do", " do", "do it"), ("this", "this ", " ", "", "\n"))] * 2
    for row, (first, second) in enumerate(texts):
        assert outcome(row_of(row, first, second), template) is None, (first, second)
    assert found


def test_flags_and_spans_of_the_row_are_its_own():
    rendering._layouts.cache_clear()
    template = our_templates()["ours/chatml"]
    for row, train in enumerate(((), (), (None, True), (None, False))):
        conversation = talk(row, ROLES[0], ["q", "a"])
        made = render(Conversation(row, conversation.messages, train=train), template)
        assert [turn.train for turn in made.turns] == [*train] or [turn.train for turn in made.turns] == [None, None]
        assert made.turns[1].train is (train[1] if train else None)
        assert made.row == row


def test_variables_have_layouts_of_their_own():
    rendering._layouts.cache_clear()
    source = LOOP.replace("BODY", "{{ m.content if flag else m.content | trim }}")
    for row, flag in enumerate((True, True, True, 1, False, False, False, 0, "", [])):
        conversation = talk(row, ROLES[0], [" q ", "a"])
        made = render(conversation, template_of(source), variables={"flag": flag})
        assert same(made, slow(conversation, template_of(source), {"flag": flag}))


def test_what_has_no_shape_is_rendered_with_tracking():
    plain = talk(0, ROLES[0], ["q", "a"])
    assert isinstance(shape_of(plain), Shape)
    typed = {"role": plain.messages[0]["role"], "content": [{"type": "text", "text": Tracked("q")}]}
    assert shape_of(Conversation(0, (typed, plain.messages[1]))) is None
    assert shape_of(Conversation(0, plain.messages, ({"name": "f"},))) is None
    elsewhere = track_tree("q", "messages[5].content", 5, "content")
    assert shape_of(Conversation(0, ({**plain.messages[0], "content": elsewhere}, plain.messages[1]))) is None
    assert shape_of(Conversation(0, ({"role": "user", "content": "untracked"},))) is None


def test_a_template_nothing_can_be_learned_about_is_not_tried_for_ever(monkeypatch):
    rendering._layouts.cache_clear()
    tried: list[int] = []
    observed = rendering._observed
    monkeypatch.setattr(rendering, "_observed", lambda *args: tried.append(1) or observed(*args))
    template = template_of(LOOP.replace("BODY", "{{ m.content[:3] }}"))
    for row in range(100):
        render(talk(row, ROLES[0], [f"q{row}", "a"]), template)
    assert len(tried) == MOST_FAILURES


def test_the_runs_of_a_laid_out_text_are_made_when_asked_for(monkeypatch):
    rendering._layouts.cache_clear()
    made: list[int] = []
    runs = rendering.Layout.runs
    monkeypatch.setattr(rendering.Layout, "runs", lambda self, shape: made.append(1) or runs(self, shape))
    template = our_templates()["ours/chatml"]
    rows = [render(talk(row, ROLES[0], ["q", "a"]), template) for row in range(5)]
    made.clear()
    assert rows[4].text[2:6] == "im_s"
    assert rows[4].text.runs is rows[4].text.runs
    assert made == [1]
