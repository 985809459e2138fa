"""Edited templates render in a process that can be ended; what it answers is what the kernel would."""

import os
import time

import pytest

from tests.templates.conversations import trl_templates
from workbench.errors import TemplateError
from workbench.templates import registry
from workbench.templates.guarded import GuardedRenderer
from workbench.templates.properties import properties_of
from workbench.templates.samples import samples
from workbench.templates.traced import conversation_of, trace
from workbench.tracked import runs_of


@pytest.fixture
def guarded():
    made = GuardedRenderer(seconds=2)
    yield made
    made.close()


def info(source):
    return registry.info("edited", source, "")


@pytest.mark.parametrize("name", ["trl/qwen3", "trl/llama3", "trl/gptoss", "trl/deepseekv3"])
def test_answers_are_those_of_this_process_to_the_origin(guarded, name):
    template = trl_templates()[name]
    for sample in ("thinking", "tool_call", "several_turns"):
        said = getattr(samples, sample)
        talk = conversation_of(said, said.tools)
        try:
            here = trace(talk, template, add_generation_prompt=True)
        except TemplateError as error:
            with pytest.raises(TemplateError) as there:
                guarded.trace(talk, template, add_generation_prompt=True)
            assert (there.value.code, there.value.line, str(there.value)) == (error.code, error.line, str(error))
            continue
        there = guarded.trace(talk, template, add_generation_prompt=True)
        assert str.__str__(there.rendered.text) == str.__str__(here.rendered.text)
        assert runs_of(there.rendered.text) == runs_of(here.rendered.text)
        assert (there.rendered.turns, there.rendered.generation) == (here.rendered.turns, here.rendered.generation)
        assert (there.cuts, there.prompt_start) == (here.cuts, here.prompt_start)


def test_properties_are_those_of_this_process(guarded):
    template = trl_templates()["trl/qwen3"]
    assert guarded.properties(template) == properties_of(template)


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{{ 'a' * 10 ** 10 }}",
        "{% macro m(n) %}{{ m(n) }}{{ m(n) }}{% endmacro %}{% for i in range(99999) %}{{ 'x' * 9999 }}{% endfor %}",
    ],
    ids=["endless", "memory", "text"],
)
def test_a_template_that_does_not_end_is_stopped_and_the_next_one_renders(guarded, source):
    talk = conversation_of(samples.one_turn)
    with pytest.raises(TemplateError) as stopped:
        guarded.trace(talk, info(source))
    assert stopped.value.code == "WB109"
    made = guarded.trace(talk, info("{{ messages[0].content }}"))
    assert str.__str__(made.rendered.text) == "How long do I boil an egg?"


def test_syntax_errors_and_refusals_name_their_line(guarded):
    talk = conversation_of(samples.one_turn)
    with pytest.raises(TemplateError) as syntax:
        guarded.trace(talk, info("fine\n{{ messages | }}"))
    assert (syntax.value.code, syntax.value.line) == ("WB101", 2)
    with pytest.raises(TemplateError) as raised:
        guarded.trace(talk, info("fine\n\n{{ raise_exception('no such role') }}"))
    assert (raised.value.code, raised.value.line) == ("WB102", 3)
    assert "no such role" in str(raised.value)
    assert "this conversation" in str(raised.value)


def test_the_process_ends_with_its_renderer(guarded):
    guarded.trace(conversation_of(samples.one_turn), info("x"))
    process = guarded._process
    guarded.close()
    assert process.poll() is not None
    for _ in range(100):
        if not os.path.exists(f"/proc/{process.pid}"):
            break
        time.sleep(0.02)
