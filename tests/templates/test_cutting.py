"""Characters of the data that a template leaves out: which, where, and by which line."""

import pytest

from tests.fuzz_scale import some_of
from tests.templates.conversations import TALKS, conversation, our_templates, trl_templates
from tests.ui.components.template_payloads import THINKING
from workbench.errors import TemplateError
from workbench.templates import registry
from workbench.templates.render import render, render_traced
from workbench.templates.samples import samples
from workbench.templates.traced import conversation_of
from workbench.tracked import runs_of


def traced(source, messages, **more):
    return render_traced(conversation_of(messages), registry.info("t", source, ""), **more)


def test_the_line_that_takes_the_thinking_out_is_named_and_where_it_stood():
    rendered, cuts = traced(THINKING, samples.thinking)
    (cut,) = cuts
    said = samples.thinking[2]["content"]
    assert (cut.field, cut.line) == ("messages[2].content", 5)
    assert said[cut.start : cut.end] == said[: said.index("Yes")]
    assert str.__str__(rendered.text)[cut.at :].startswith("Yes, if you")


def test_white_space_that_is_stripped_is_counted():
    source = "{% for m in messages %}\n{{ m.content | trim }}\n{% endfor %}"
    _, cuts = traced(source, [{"role": "user", "content": "  hi "}])
    assert [(cut.start, cut.end, cut.line) for cut in cuts] == [(0, 2, 2), (4, 5, 2)]


def test_what_no_line_ever_had_has_no_line():
    _, cuts = traced("{{ messages[1].content }}", samples.system)
    assert [(cut.field, cut.line) for cut in cuts] == [("messages[0].content", None), ("messages[2].content", None)]


def test_roles_and_ids_are_not_missed():
    _, cuts = traced("{% for m in messages %}{{ m.content }}{% endfor %}", samples.several_turns)
    assert cuts == ()


@pytest.mark.parametrize("templates", [trl_templates, our_templates])
def test_characters_are_either_in_the_text_or_in_a_cut_and_never_in_both(templates):
    """Counted per field: what is written and what is cut make the whole text of every message."""
    looked = 0
    for template in some_of(templates(), 3).values():
        for name, talk in TALKS.items():
            made = conversation(talk)
            try:
                rendered, cuts = render_traced(made, template, add_generation_prompt=talk.add_generation_prompt)
            except TemplateError:
                continue
            looked += 1
            plain = render(made, template, add_generation_prompt=talk.add_generation_prompt)
            assert str.__str__(plain.text) == str.__str__(rendered.text)
            written: dict[str, set[int]] = {}
            for run in runs_of(rendered.text):
                if run.origin and run.origin.field:
                    written.setdefault(run.origin.field, set()).update(range(run.start, run.start + run.length))
            for cut in cuts:
                assert not written.get(cut.field, set()) & set(range(cut.start, cut.end)), (template.name, name)
                assert 0 <= cut.at <= len(rendered.text)
            for index, message in enumerate(made.messages):
                content = message.get("content")
                if isinstance(content, str) and content:
                    field = f"messages[{index}].content"
                    gone = {i for cut in cuts if cut.field == field for i in range(cut.start, cut.end)}
                    assert written.get(field, set()) | gone == set(range(len(content))), (template.name, name)
    assert looked > 100 or templates is our_templates
