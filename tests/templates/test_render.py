"""Origins and turns of small templates, each written to try one thing."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from tests.templates.conversations import Talk, characters, conversation
from workbench.errors import TemplateError
from workbench.templates import registry
from workbench.templates.render import generation_prompt, render
from workbench.types import Conversation, Rendered, TemplateInfo

ASK = {"role": "user", "content": "Ask"}
SAY = {"role": "assistant", "content": "Say"}
CALL = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"id": "c", "type": "function", "function": {"name": "look", "arguments": {"at": "sky"}}}],
}
RESULT = {"role": "tool", "content": "blue"}


def info(source: str, **tokens: str) -> TemplateInfo:
    return registry.info("tried", source, "a test", tokens)


def rendered(source: str, *messages: dict[str, Any], **variables: Any) -> Rendered:
    return render(conversation(Talk(list(messages))), info(source), variables=variables)


def origins(source: str, *messages: dict[str, Any]) -> list[tuple[str, str, int | None]]:
    """Pieces of the text, where each came from (field or key) and the message it belongs to."""
    made: list[tuple[str, str, int | None]] = []
    for char, origin, _ in characters(rendered(source, *messages).text):
        place = (origin.field or origin.key, origin.message)
        if made and made[-1][1:] == place:
            made[-1] = (made[-1][0] + char, *place)
        else:
            made.append((char, *place))
    return made


def turns(source: str, *messages: dict[str, Any]) -> list[tuple[int, str, str]]:
    """Message index, header and the rest of each turn."""
    made = rendered(source, *messages)
    text = str.__str__(made.text)
    return [(turn.message, text[turn.start : turn.body], text[turn.body : turn.end]) for turn in made.turns]


LOOPS = {
    "items": "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}",
    "slices": "{% for m in messages[:] %}<{{ m['role'] }}>{{ m['content'] }}\n{% endfor %}",
    "indices": "{% for i in range(messages|length) %}{% set m = messages[i] %}"
    "<{{ m.role }}>{{ m.content }}\n{% endfor %}",
    "macro": "{% macro w(m) %}<{{ m.role }}>{{ m.content }}\n{% endmacro %}"
    "{% for m in messages %}{{ w(m) }}{% endfor %}",
    "concatenation": "{% for m in messages %}{{ '<' ~ m.role ~ '>' ~ m.content ~ '\n' }}{% endfor %}",
    "addition": "{% for m in messages %}{{ '<' + m.role + '>' + m.content + '\n' }}{% endfor %}",
    "set block": "{% for m in messages %}{% set x %}<{{ m.role }}>{{ m.content }}\n{% endset %}{{ x }}{% endfor %}",
    "set outside": "{% set a, z = '<', '\n' %}{% for m in messages %}{{ a + m.role }}>{{ m.content + z }}{% endfor %}",
    "namespace": "{% set n = namespace(t='') %}{% for m in messages %}"
    "{% set n.t = n.t ~ '<' ~ m.role ~ '>' ~ m.content ~ '\n' %}{% endfor %}{{ n.t }}",
    "rebuilt": "{% set n = namespace(all=[]) %}{% for m in messages %}"
    "{% set n.all = n.all + [dict(role=m.role, content=m.content)] %}{% endfor %}"
    "{% for m in n.all %}<{{ m.role }}>{{ m.content }}\n{% endfor %}",
    "filter": "{% for m in messages if m.content is string %}<{{ m.role }}>{{ m.content }}\n{% endfor %}",
    "inner loop": "{% for m in messages %}{% for k in ['role'] %}<{{ m[k] }}>{% endfor %}{{ m.content }}\n{% endfor %}",
    "left early": "{% for m in messages %}<{{ m.role }}>{% for c in m.content %}{{ c }}"
    "{% if loop.index == 3 %}{% break %}{% endif %}{% endfor %}{{ '\n' }}{% endfor %}",
}


@pytest.mark.parametrize("loop", LOOPS)
def test_text_belongs_to_the_message_whose_iteration_writes_it(loop):
    assert origins(LOOPS[loop], ASK, SAY) == [
        ("<", "template", 0),
        ("user", "messages[0].role", 0),
        (">", "template", 0),
        ("Ask", "messages[0].content", 0),
        ("\n", "template", 0),
        ("<", "template", 1),
        ("assistant", "messages[1].role", 1),
        (">", "template", 1),
        ("Say", "messages[1].content", 1),
        ("\n", "template", 1),
    ]


def test_text_behind_a_loop_belongs_to_no_message():
    assert origins("{% for m in messages %}{{ m.content }}{% endfor %}end", ASK)[-1] == ("end", "template", None)


def test_an_expression_that_makes_new_text_is_marked_as_computed():
    assert origins("{% for m in messages %}{{ m.content | length }}{% endfor %}", ASK) == [("3", "computed", 0)]


def test_lines_are_counted_in_the_template_not_in_what_it_writes():
    source = "one\n{% for m in messages %}\n{{ 'a\\n\\nb' + m.content }}\nlast\n{% endfor %}"
    made = rendered(source, ASK)
    lines = [(str.__str__(made.text)[at], run.line) for at, run in _starts(made)]
    assert str.__str__(made.text) == "one\na\n\nbAsk\nlast\n"
    assert lines == [("o", 1), ("a", 3), ("A", 3), ("\n", 3), ("l", 4)]


def _starts(made: Rendered):
    at = 0
    for run in made.text.runs:
        yield at, run
        at += run.length


def test_join_follows_a_dotted_attribute_as_jinja_does():
    source = "{% for m in messages %}{{ m.tool_calls | join('+', attribute='function.name') }}{% endfor %}"
    assert origins(source, CALL) == [("look", "messages[0].tool_calls[0].function.name", 0)]


def test_a_missing_attribute_joins_as_nothing():
    assert str.__str__(rendered("{{ messages | join('+', attribute='name') }}", ASK, SAY).text) == "+"


FAILURES = {
    "calls raise_exception": "{{ raise_exception('no tools here') }}",
    "divides by zero": "{{ 1 // 0 }}",
    "adds text to nothing": "{{ 'a' + missing }}",
    "asks for an attribute of nothing": "{{ missing.role.content }}",
    "asks for a range too big": "{% for i in range(10 ** 9) %}{% endfor %}",
    "changes a message": "{{ messages.append(1) }}",
    "reaches for the class": "{{ ''.__class__.mro() }}",
    "hides a name in a namespace": "{% set n = namespace(_x=1) %}",
    "calls itself without end": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_template_that_fails_is_an_error_that_names_template_and_row(failure):
    with pytest.raises(TemplateError, match=r"'tried' refuses row 7: .+\[WB102\]") as caught:
        rendered(FAILURES[failure], ASK)
    assert caught.value.row == 7
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_template_that_does_not_compile_names_its_line():
    with pytest.raises(TemplateError, match=r"line 2: .*% if %.*\[WB101\]"):
        rendered("fine\n{% if %}\n", ASK)


def test_the_origin_of_text_is_hidden_from_the_template():
    assert str.__str__(rendered("{{ messages[0].content.runs is defined }}", ASK).text) == "False"


def test_both_renderings_see_the_same_moment():
    made = rendered("{{ strftime_now('%H:%M:%S.%f') }}", ASK)
    assert len(made.text) == len("12:00:00.000000")


def test_rendering_twice_gives_the_same_and_leaves_the_row_alone():
    talk = conversation(Talk([ASK, SAY]))
    template = info(LOOPS["items"])
    assert render(talk, template) == render(talk, template)
    assert talk == conversation(Talk([ASK, SAY]))


HEADED = (
    "{% for m in messages %}{{ '<|' + m.role + '|>\n' }}{{ m.content }}{{ '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)


def test_a_turn_begins_where_the_generation_prompt_ends():
    assert turns(HEADED, ASK, SAY) == [
        (0, "<|user|>\n", "Ask<|end|>\n"),
        (1, "<|assistant|>\n", "Say<|end|>\n"),
    ]


def test_an_empty_answer_still_has_its_header():
    assert turns(HEADED, ASK, {**SAY, "content": ""})[1] == (1, "<|assistant|>\n", "<|end|>\n")


def test_the_prompt_in_the_answer_itself_is_not_taken_for_the_header():
    assert turns(HEADED, ASK, {**SAY, "content": "<|assistant|>\nx"})[1][1:] == (
        "<|assistant|>\n",
        "<|assistant|>\nx<|end|>\n",
    )


def test_a_header_shared_in_part_ends_at_the_end_of_a_tag():
    """The prompt opens a <think> block, the row has a call instead: `<` is not a part of the header."""
    source = (
        "{% for m in messages %}{{ '<|' + m.role + '|>\n' }}{% if m.tool_calls %}{{ '<tool>' }}"
        "{{ m.tool_calls[0].function.name }}{% endif %}{{ m.content + '<|end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>\n<think>\n' }}{% endif %}"
    )
    assert turns(source, ASK, CALL)[1] == (1, "<|assistant|>\n", "<tool>look<|end|>\n")
    assert turns(source, ASK, SAY)[1] == (1, "<|assistant|>\n", "Say<|end|>\n")


def test_a_template_without_generation_prompt_trains_its_answer_from_the_first_character():
    source = (
        "{% for m in messages %}{% if m.role == 'user' %}Q: {{ m.content }} A:{% else %} {{ m.content }}</s>{% endif %}"
        "{% endfor %}"
    )
    assert generation_prompt(info(source)) == ""
    assert turns(source, ASK, SAY)[1] == (1, "", " Say</s>")


def test_what_the_template_writes_behind_a_tool_answer_is_supplied_too():
    source = (
        "{% set n = namespace(tool=false) %}{% for m in messages %}"
        "{% if m.role == 'assistant' %}{% if n.tool %}<results end>{% set n.tool = false %}"
        "{% else %}<assistant>{% endif %}"
        "{{ m.content }}{% for c in m.tool_calls %}{{ c.function.name }}{% endfor %}</s>"
        "{% elif m.role == 'tool' %}<results>{{ m.content }}{% set n.tool = true %}{% else %}{{ m.content }}{% endif %}"
        "{% endfor %}{% if n.tool %}<results end>{% elif add_generation_prompt %}<assistant>{% endif %}"
    )
    assert turns(source, ASK, CALL, RESULT, SAY) == [
        (0, "", "Ask"),
        (1, "<assistant>", "look</s>"),
        (2, "<results>", "blue"),
        (3, "<results end>", "Say</s>"),
    ]


def test_a_call_quoted_before_its_result_belongs_to_the_turn_of_the_result():
    source = (
        "{% for m in messages %}{% if m.role == 'tool' %}<{{ messages[loop.index0 - 1].tool_calls[0].function.name }}>"
        "{{ m.content }}{% else %}[{{ m.role }}]{{ m.content }}{% for c in m.tool_calls %}{{ c.function.name }}"
        "{% endfor %}{% endif %}{% endfor %}"
    )
    assert [(turn[0], turn[1] + turn[2]) for turn in turns(source, ASK, CALL, RESULT)] == [
        (0, "[user]Ask"),
        (1, "[assistant]look"),
        (2, "<look>blue"),
    ]


def test_answers_written_in_the_iteration_of_their_question_are_found():
    source = (
        "{% for m in messages %}{% if m.role == 'user' %}Q{{ m.content }}A{{ messages[loop.index0 + 1].content }};"
        "{% endif %}{% endfor %}"
    )
    found = turns(source, ASK, SAY, ASK, SAY)
    assert [(message, head + rest) for message, head, rest in found if message in (1, 3)] == [(1, "Say"), (3, "Say")]


def test_a_system_prompt_moved_into_the_first_question_keeps_its_origin():
    source = (
        "{% for m in messages %}{% if m.role == 'user' %}[{{ messages[0].content }}|{{ m.content }}]"
        "{% elif m.role == 'assistant' %}{{ m.content }}{% endif %}{% endfor %}"
    )
    made = rendered(source, {"role": "system", "content": "Sys"}, ASK, SAY)
    assert [(turn.message, turn.role) for turn in made.turns][-1] == (2, "assistant")
    assert ("Sys", "messages[0].content", 0) in origins(source, {"role": "system", "content": "Sys"}, ASK, SAY)


def test_reasoning_is_found_under_each_of_its_names():
    source = "{% for m in messages %}{{ m.reasoning_content }}|{{ m.thinking }}{% endfor %}"
    for key in ("reasoning_content", "thinking", "reasoning"):
        pieces = origins(source, {**SAY, key: "why"})
        assert pieces == [("why", f"messages[0].{key}", 0), ("|", "template", 0), ("why", f"messages[0].{key}", 0)]


def test_the_flag_of_a_row_reaches_its_turns():
    talk = conversation(Talk([ASK, SAY]))
    flagged = Conversation(talk.row, talk.messages, None, (True, False))
    assert [turn.train for turn in render(flagged, info(HEADED)).turns] == [True, False]


def test_an_empty_rendering_has_no_turns():
    assert rendered("{{ '' }}", ASK).turns == ()


def test_a_template_that_uses_chance_is_refused():
    talk = "{% for i in range(40) %}{{ ['a', 'b', 'c', 'd'] | random }}{% endfor %}"
    with pytest.raises(TemplateError, match=r"\[WB103\]"):
        rendered(talk, ASK)
