"""Types with a task and its answer in columns of their own."""

import pytest
import yaml
from converted import codes, origin, plain
from hypothesis import given, settings
from hypothesis import strategies as st
from row_origins import assert_origins_hold

from tests.fuzz_scale import examples
from workbench.errors import RecipeError
from workbench.options import RowOptions
from workbench.rows.convert import convert
from workbench.rows.creative import CRITIQUE, REVISE
from workbench.rows.formats import FORMATS
from workbench.rows.instructions import INSTRUCTIONS
from workbench.rows.tracked_yaml import tracked_yaml
from workbench.rows.user_formats import check_formats
from workbench.types import Conversation, PromptCompletion


def said(row, type, columns=None, options=None):
    example, findings = convert(row, 0, type, columns or {}, options or RowOptions())
    assert codes(findings, "error") == []
    assert_origins_hold(row, example)
    return [(message["role"], message["content"]) for message in example.messages]


def test_reflection_puts_three_answers_into_one_message():
    row = {"instruction": "2+2?", "input": "", "output": "5", "reflection": "Off by one.", "corrected": "4"}
    example, findings = convert(row, 0, "reflection", {})
    assert findings == ()
    answer = example.messages[1]["content"]
    assert answer == "### Thought:\n5\n\n### Agent Reflection:\nOff by one.\n\n### Final Response:\n4"
    assert [run.origin.field for run in answer.runs] == [None, "output", None, "reflection", None, "corrected"]
    assert {run.origin.message for run in answer.runs} == {1}


def test_choices_are_lines_and_each_keeps_its_index():
    row = {"question": "2+2?", "choices": ["3", '"4"'], "solution": "4"}
    assert said(row, "choice") == [("user", '2+2?\n\n- "3"\n- ""4""'), ("assistant", "4")]
    example, _ = convert(row, 0, "choice", {})
    assert example.messages[0]["input"] == '- "3"\n- ""4""'
    fields = [run.origin.field for run in example.messages[0]["input"].runs if run.origin.field]
    assert fields == ["choices[0]", "choices[1]"]


def test_choices_may_be_the_json_text_of_a_list():
    assert said({"question": "a", "choices": '["x"]', "solution": "y"}, "choice")[0] == ("user", 'a\n\n- "x"')


def test_no_choices_are_a_warning_and_leave_the_question_alone():
    example, findings = convert({"question": "a", "choices": [], "solution": "y"}, 0, "choice", {})
    assert codes(findings) == ["WB523"] and findings[0].severity == "warning"
    assert plain(example.messages[0]) == {"role": "user", "content": "a", "instruction": "a", "input": ""}


def test_jeopardy_answers_with_what_is():
    row = {"question": "It is 2+2.", "category": "Sums", "answer": "four"}
    assert said(row, "jeopardy") == [("user", "It is 2+2.\n\nSums"), ("assistant", "what is four")]


def test_context_and_question_are_parts_of_the_user_message():
    row = {"context": "Two and two is four.", "question": "2+2?", "answer": "4"}
    assert said(row, "context_qa") == [("user", "Two and two is four.\n===\n2+2?"), ("assistant", "4")]
    example, _ = convert(row, 0, "context_qa", {})
    user = example.messages[0]
    assert (user["context"], user["question"]) == ("Two and two is four.", "2+2?")
    assert (origin(user["context"]).field, origin(user["question"]).field) == ("context", "question")


def test_a_question_the_text_does_not_answer_gets_the_fixed_answer():
    row = {"article": "Two and two is four.", "unanswerable_question": "3+3?"}
    example, _ = convert(row, 0, "context_404", {})
    answer = example.messages[1]["content"]
    assert answer.startswith("The context provided does not contain any information about your inquiry.")
    assert (origin(answer).field, origin(answer).message, origin(answer).key) == (None, 1, "template")


def test_summary_and_creative_answer_are_question_and_answer():
    assert said({"article": "Long.", "summary": "S"}, "summarize") == [("user", "Long."), ("assistant", "S")]
    row = {"instruction": "Praise four.", "answer": "Four.", "revision": "O four!"}
    assert said(row, "creative_answer") == [("user", "Praise four."), ("assistant", "O four!")]


def test_a_critique_is_yaml_and_a_revision_takes_its_place():
    row = {
        "instruction": "Praise four.",
        "answer": "Four.",
        "scores": {"style": 3, "depth": None},
        "critiques": {"style": 'It\'s dull: "four"'},
    }
    evaluation = "depth: null\nstyle: 3\nstyle: 'It''s dull: \"four\"'\n"
    assert said(row, "creative_critique") == [
        ("user", f"{CRITIQUE}Praise four.\nAnswer: Four.\n"),
        ("assistant", evaluation),
    ]
    assert said({**row, "revision": "O four!"}, "creative_critique") == [
        ("user", f"{REVISE}Praise four.\nAnswer: Four.\nEvaluation:\n{evaluation}\n"),
        ("assistant", "O four!"),
    ]
    assert said({**row, "revision": None}, "creative_critique")[1] == ("assistant", evaluation)
    kept = said({**row, "revision": "O four!"}, "creative_critique", {"revision": "nowhere"})
    assert kept[1] == ("assistant", evaluation)


def test_metharme_is_a_prompt_and_its_completion():
    row = {"prompt": "<|user|>2+2?<|model|>", "generation": "4"}
    example, findings = convert(row, 0, "metharme", {})
    assert (example, findings) == (PromptCompletion(0, "<|user|>2+2?<|model|>", "4"), ())
    assert (origin(example.prompt).field, origin(example.completion).field) == ("prompt", "generation")


def test_pairs_become_messages():
    row = {"system": "S", "conversation": [{"human": "a", "assistant": "b"}, {"human": "c", "assistant": "d"}]}
    assert said(row, "conversation_pairs") == [
        ("system", "S"),
        ("user", "a"),
        ("assistant", "b"),
        ("user", "c"),
        ("assistant", "d"),
    ]
    example, _ = convert(row, 0, "conversation_pairs", {})
    last = origin(example.messages[4]["content"])
    assert (last.field, last.message) == ("conversation[1].assistant", 4)


@pytest.mark.parametrize(
    ("pairs", "code", "field"),
    [
        ([], "WB530", "conversation"),
        (None, "WB521", "conversation"),
        ("null", "WB522", "conversation"),
        ("[{", "WB525", "conversation"),
        ({}, "WB522", "conversation"),
        (["a"], "WB522", "conversation[0]"),
        ([{"human": "a"}], "WB520", "conversation[0].assistant"),
        ([{"human": "a", "assistant": "b"}, {"human": 3, "assistant": "b"}], "WB522", "conversation[1].human"),
        ([{"human": "a", "assistant": None}], "WB521", "conversation[0].assistant"),
        ([{"human": "a", "assistant": ""}], "WB531", "conversation"),
    ],
)
def test_unusable_pairs_are_named(pairs, code, field):
    example, findings = convert({"conversation": pairs}, 0, "conversation_pairs", {})
    assert example is None
    assert [(f.code, f.field) for f in findings if f.severity == "error"] == [(code, field)]


ROW = {"instruction": "Add {input}.", "input": "{instruction}", "output": "4"}


def worded(row, **options):
    made = RowOptions(**options)
    check_formats(made)
    example, findings = convert(row, 0, "user_defined", {}, made)
    assert codes(findings, "error") == []
    assert_origins_hold(row, example)
    return example.prompt


def test_a_format_takes_text_of_the_row_as_it_is():
    assert worded(ROW, format="{{Q}} {instruction}|{input}\nA: ") == "{Q} Add {input}.|{instruction}\nA: "
    assert worded(ROW) == "Add {input}. {instruction} "
    example, _ = convert(ROW, 0, "user_defined", {}, RowOptions(format="<{input}>"))
    assert [(run.length, run.origin.field) for run in example.prompt.runs] == [(1, None), (13, "input"), (1, None)]
    assert (example.completion, origin(example.completion).field) == ("4", "output")


@pytest.mark.parametrize("extra", [{}, {"input": ""}, {"input": None}])
def test_rows_without_input_are_worded_by_the_other_format(extra):
    assert worded({"instruction": "a", "output": "b", **extra}, no_input_format="[{instruction}]") == "[a]"


@pytest.mark.parametrize(
    ("system", "prompt"),
    [({}, "<D>a "), ({"system": "S"}, "<S>a "), ({"system": ""}, "a "), ({"system": None}, "a ")],
)
def test_the_default_system_prompt_is_for_rows_without_the_column(system, prompt):
    row = {"instruction": "a", "output": "b", **system}
    assert worded(row, system_format="<{system}>", system_prompt="D") == prompt


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("format", "{instructoin}", "Did you mean {instruction}?"),
        ("format", "{system}", "It takes {instruction} and {input}"),
        ("format", "{}", "there is no {}"),
        ("format", "{0}", "there is no {0}"),
        ("format", "{instruction.x}", "there is no {instruction.x}"),
        ("format", "{instruction!r}", "Write {instruction} alone."),
        ("format", "{instruction:>9}", "Write {instruction} alone."),
        ("format", '{"a": 1', "Write {{ or }}"),
        ("format", "}", "Write {{ or }}"),
        ("no_input_format", "{instruction} {input}", "leave {input} out"),
        ("system_format", "{instruction}", "It takes {system}"),
    ],
)
def test_a_format_with_an_unknown_placeholder_is_refused(name, text, said):
    with pytest.raises(RecipeError) as caught:
        check_formats(RowOptions(**{name: text}))
    assert caught.value.code == "WB564"
    assert f"{name}={text!r}" in str(caught.value) and said in str(caught.value)


def test_good_formats_and_defaults_pass():
    check_formats(RowOptions())
    check_formats(RowOptions(format="", no_input_format="{{{instruction}}}", system_format="{system}\n"))


# Every row gives an example or an error that names row and field.

TEXTS = st.one_of(
    st.sampled_from(
        ["a", " a ", "{input}", "{{x}}", "}", "👩\u200d👧", "\u2028", "</s>", "- x", "'", '"', "a\n\n b", "<|im_end|>"]
    ),
    st.text(max_size=30).filter(lambda text: not any("\ud800" <= char <= "\udfff" for char in text)),
)  # fmt: skip
NOT_TEXT = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.lists(st.integers(), max_size=2), st.just({})
)
HALF = st.just("half \ud83d")
JSON = st.recursive(
    TEXTS | st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
PAIRS = st.lists(st.fixed_dictionaries({"human": TEXTS, "assistant": TEXTS}), min_size=1, max_size=3)
VALUE = JSON.filter(lambda value: value is not None)
GOOD = {"choices": st.lists(TEXTS, max_size=3), "conversation": PAIRS, "scores": VALUE, "critiques": VALUE}
OPTIONAL = {"input": TEXTS | st.none(), "system": TEXTS | st.none(), "revision": TEXTS | st.none()}
TYPES = sorted(INSTRUCTIONS)


@st.composite
def rows(draw, spoil=False):
    """A type and a row of it; with `spoil`, one required column is absent or holds something else."""
    type = draw(st.sampled_from(TYPES))
    row = {column.name: draw(GOOD.get(column.name, TEXTS)) for column in FORMATS[type].required}
    for column in FORMATS[type].columns:
        if column.name in OPTIONAL and not column.required and draw(st.booleans()):
            row[column.name] = draw(OPTIONAL[column.name])
    if not spoil:
        return type, row, None
    column = draw(st.sampled_from([column.name for column in FORMATS[type].required]))
    if draw(st.booleans()):
        del row[column]
        return type, row, column
    anything = st.none() | HALF if column in ("scores", "critiques") else NOT_TEXT | HALF
    if column == "choices":
        anything = st.one_of(st.none(), st.booleans(), st.floats(), HALF, st.lists(NOT_TEXT, min_size=1, max_size=2))
    row[column] = draw(anything)
    return type, row, column


@settings(max_examples=examples(300), deadline=None)
@given(rows())
def test_generated_rows_keep_every_character_and_where_it_came_from(drawn):
    type, row, _ = drawn
    example, findings = convert(row, 5, type, {})
    errors = [finding for finding in findings if finding.severity == "error"]
    assert (example is None) == bool(errors)
    if errors:
        assert all(finding.row == 5 and finding.code in ("WB523", "WB531") for finding in errors)
        return
    assert_origins_hold(row, example)
    found = by_field(example)
    unused = {"scores", "critiques", *(["system"] if not row.get("system") else [])}
    for name in set(row) - unused:
        if isinstance(row[name], str):
            assert found.get(name, "") == row[name], name


def by_field(example):
    """The text that came from each dataset path, in the text that is trained or prompts it."""
    texts = [example.prompt, example.completion] if isinstance(example, PromptCompletion) else []
    if isinstance(example, Conversation):
        texts = [message["content"] for message in example.messages]
    found = {}
    for leaf in filter(None, texts):
        at = 0
        for run in leaf.runs:
            part = str.__str__(leaf)[at : at + run.length]
            found[run.origin.field] = found.get(run.origin.field, "") + part
            at += run.length
    return found


@settings(max_examples=examples(300), deadline=None)
@given(rows(spoil=True))
def test_a_spoilt_column_is_an_error_that_names_row_and_field(drawn):
    type, row, column = drawn
    example, findings = convert(row, 5, type, {})
    errors = [finding for finding in findings if finding.severity == "error"]
    assert example is None
    assert any(finding.row == 5 and finding.field.startswith(column) for finding in errors), findings
    assert {finding.code for finding in errors} <= {
        "WB520",
        "WB521",
        "WB522",
        "WB523",
        "WB525",
        "WB526",
        "WB530",
        "WB531",
    }


@settings(max_examples=examples(300), deadline=None)
@given(JSON)
def test_yaml_text_is_pyyamls_and_texts_know_their_place(value):
    made = tracked_yaml(value, "c", 1)
    assert made == yaml.dump(value, default_flow_style=False)
    at = 0
    for run in made.runs:
        at += run.length
    assert at == len(made)
    assert_origins_hold({"c": value}, Conversation(0, ({"content": made},)))


def test_plain_words_of_yaml_are_all_tracked():
    value = {"a": "word " * 60 + "end", "b": ["it's", 'say "so"', "two\nlines", "tab\tand é"]}
    made = tracked_yaml(value, "c", 1)
    tracked = {}
    for run in made.runs:
        if run.origin.field:
            tracked[run.origin.field] = tracked.get(run.origin.field, 0) + run.length
    folds = made.count("word\n  word")
    lost = {"c.a": folds, "c.b[3]": 2}  # a fold stands for a space; the tab and the letter are escapes
    assert folds == 3
    lengths = {"c.a": len(value["a"]), **{f"c.b[{i}]": len(text) for i, text in enumerate(value["b"])}}
    assert {name: lengths[name] - count for name, count in tracked.items() if lengths[name] != count} == lost


def test_a_number_too_long_to_print_is_named():
    row = {"instruction": "a", "answer": "b", "scores": 10**5000, "critiques": "c"}
    example, findings = convert(row, 0, "creative_critique", {})
    assert example is None
    assert [(f.code, f.field) for f in findings] == [("WB522", "scores")]
