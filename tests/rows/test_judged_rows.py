"""Rankings, wanted and unwanted answers, reasoning steps, and prompts."""

from __future__ import annotations

import json

import pytest
from converted import origin, plain
from row_origins import assert_origins_hold

from workbench.options import RowOptions
from workbench.rows.convert import convert, convert_all
from workbench.rows.files.load import open_source
from workbench.types import PromptCompletion, PromptOnly, Steps, Text, Unpaired


def u(text):
    return {"role": "user", "content": text}


def a(text):
    return {"role": "assistant", "content": text}


def said(conversation):
    return [(m["role"], m["content"]) for m in plain(conversation.messages)]


def refused(row, type):
    example, findings = convert(row, 4, type, {})
    assert example is None
    errors = [f for f in findings if f.severity == "error"]
    assert all(f.row == 4 and f.field and f.remedy for f in errors)
    return errors


ASKED = [("user", "2+2?")]
RANKED = [{"answer": "worst", "rank": 3}, {"answer": "best", "rank": 1}, {"answer": "mid", "rank": 2}]


def test_rank_one_is_chosen_and_the_last_rank_rejected():
    example, findings = convert({"prompt": "2+2?", "answers": RANKED}, 0, "ranking", {})
    assert findings == ()
    assert [said(side)[1][1] for side in (example.chosen, example.rejected)] == ["best", "worst"]
    assert origin(example.chosen.messages[1]["content"]).field == "answers[1].answer"
    assert example.explicit


@pytest.mark.parametrize(
    ("answers", "code", "severity"),
    [
        ([{"answer": "a", "rank": 1}, {"answer": "b", "rank": 1}], "WB568", "error"),
        ([{"answer": "a", "rank": 1}], "WB568", "error"),
        ([], "WB568", "error"),
        ([{"answer": "a"}, {"answer": "b", "rank": None}], "WB568", "error"),
        ([*RANKED, {"answer": "x"}], "WB568", "warning"),
        ([*RANKED, {"answer": "x", "rank": 1}], "WB568", "warning"),
        ([*RANKED, {"answer": "x", "rank": 3}], "WB568", "warning"),
        ([{"answer": "a", "rank": 1}, {"answer": "b", "rank": "2"}], "WB522", "error"),
        ([{"answer": "a", "rank": float("nan")}, {"answer": "b", "rank": 2}], "WB522", "error"),
        ([{"answer": "a", "rank": 1}, "b"], "WB522", "error"),
        ([{"answer": "a", "rank": 1}, {"answer": "a", "rank": 2}], "WB570", "error"),
        ([{"rank": 1}, {"answer": "a", "rank": 2}], "WB521", "error"),
        ("a", "WB525", "error"),
        (None, "WB522", "error"),
    ],
)
def test_ranks_that_say_no_best_or_worst_are_named(answers, code, severity):
    example, findings = convert({"prompt": "2+2?", "answers": answers}, 0, "ranking", {})
    assert (code, severity) in [(f.code, f.severity) for f in findings]
    assert (example is None) == (severity == "error")
    assert all(f.field.startswith("answers") for f in findings)


KTO = [
    {"prompt": "2+2?", "completion": "4", "label": True},
    {"prompt": [u("2+2?")], "completion": [a("4")], "label": True},
    {"prompt": "2+2?", "completion": [a("4")], "label": 1},
    {"prompt": "2+2?", "completion": a("4"), "label": "True"},
    {"prompt": "2+2?", "completion": [u("2+2?"), a("4")], "label": True},
    {"completion": [u("2+2?"), a("4")], "label": 1.0},
    {"completion": json.dumps([u("2+2?"), a("4")]), "label": True},
]


@pytest.mark.parametrize("row", KTO)
def test_every_spelling_of_a_judged_answer_gives_the_same_conversation(row):
    example, findings = convert(row, 0, "kto", {})
    assert findings == ()
    assert isinstance(example, Unpaired)
    assert (said(example.answer), example.answer.completion_from, example.label) == (
        [*ASKED, ("assistant", "4")], 1, True,
    )  # fmt: skip
    assert_origins_hold(row, example)


def test_the_judged_answer_of_a_conversation_is_its_last_message():
    row = {"completion": [u("u1"), a("a1"), u("u2"), a("a2")], "label": False}
    example, _ = convert(row, 0, "kto", {})
    assert (example.answer.completion_from, example.label) == (3, False)


def test_kto_text_stays_text_where_that_is_asked_for():
    row = {"prompt": "a", "completion": " b", "label": False}
    example, _ = convert(row, 0, "kto", {}, RowOptions(text_as="text"))
    assert example.answer == PromptCompletion(0, "a", " b")
    worded, _ = convert(row, 0, "kto", {}, RowOptions(prompt_format="Q {prompt}", completion_format="A{completion}"))
    assert worded.answer == PromptCompletion(0, "Q a", "A b")


@pytest.mark.parametrize(
    ("row", "code", "field"),
    [
        ({"completion": "4", "label": True}, "WB572", "completion"),
        ({"completion": [a("4")], "label": True}, "WB572", "completion"),
        ({"prompt": "a", "completion": "4"}, "WB520", "label"),
        ({"prompt": "a", "completion": "4", "label": None}, "WB537", "label"),
        ({"prompt": "a", "completion": "4", "label": 2}, "WB537", "label"),
        ({"prompt": "a", "completion": "4", "label": "good"}, "WB537", "label"),
        ({"prompt": "a", "completion": [u("a"), a("b"), u("c")], "label": True}, "WB573", "completion[2]"),
        ({"prompt": [u("x")], "completion": [u("a"), a("b")], "label": True}, "WB571", "completion"),
        ({"prompt": "a", "completion": "", "label": True}, "WB523", "completion"),
    ],
)
def test_judged_answers_that_cannot_be_used_are_named(row, code, field):
    assert [(f.code, f.field) for f in refused(row, "kto")] == [(code, field)]


def test_steps_keep_their_texts_labels_and_separator():
    row = {"prompt": "2+2+1?", "completions": ["2+2 is 4.", "So 6.", "?"], "labels": [True, 0, None]}
    example, findings = convert(row, 3, "prm", {}, RowOptions(step_separator="\n\n"))
    assert findings == ()
    assert example == Steps(3, "2+2+1?", ("2+2 is 4.", "So 6.", "?"), (1, 0, None), "\n\n")
    assert origin(example.completions[1]).field == "completions[1]"
    last, _ = convert({**row, "labels": [1, 1, 0]}, 3, "prm", {}, RowOptions(train_on_last_step_only=True))
    assert last.labels == (None, None, 0)


@pytest.mark.parametrize(
    ("completions", "labels", "code", "field"),
    [
        (["a", "b"], [True], "WB565", "labels"),
        (["a"], [2], "WB566", "labels[0]"),
        (["a"], ["yes"], "WB566", "labels[0]"),
        (["a"], [float("nan")], "WB566", "labels[0]"),
        (["a", 3], [1, 0], "WB522", "completions[1]"),
        (["a"], [None], "WB531", "completions"),
        ([], [], "WB567", "completions"),
        ("a", [1], "WB525", "completions"),
        (["a"], None, "WB522", "labels"),
        (["a"], {"a": 1}, "WB522", "labels"),
    ],
)
def test_steps_that_cannot_be_used_are_named(completions, labels, code, field):
    errors = refused({"prompt": "a", "completions": completions, "labels": labels}, "prm")
    assert [(f.code, f.field) for f in errors] == [(code, field)]


def prm800k(*steps):
    return {"question": {"problem": "2+2?"}, "label": {"steps": list(steps)}}


def rated(*ratings, chosen=None, human=None):
    completions = [{"text": f"c{i}", "rating": rating} for i, rating in enumerate(ratings)]
    return {
        "completions": completions,
        "chosen_completion": chosen,
        "human_completion": human and {"text": human, "rating": None},
    }


def test_prm800k_follows_the_solution_step_by_step():
    row = prm800k(
        rated(1, chosen=0), rated(-1, -1, human="by hand"), rated(0, 1, chosen=0), rated(-1, 1), rated(1, chosen=0)
    )
    example, findings = convert(row, 0, "prm800k", {})
    assert findings == ()
    assert (example.completions, example.labels) == (("c0", "by hand", "c0", "c0"), (1, 1, 0, 0))
    assert [origin(text).field for text in example.completions[:2]] == [
        "label.steps[0].completions[0].text",
        "label.steps[1].human_completion.text",
    ]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (prm800k(), "WB567"),
        (prm800k(rated()), "WB567"),
        (prm800k(rated(1, chosen=1)), "WB567"),
        (prm800k(rated(1, chosen=True)), "WB567"),
        (prm800k(rated(7, chosen=0)), "WB566"),
        (prm800k(rated(None, chosen=0)), "WB531"),
        (prm800k({"completions": [{"rating": 1}], "chosen_completion": 0}), "WB520"),
        (prm800k({"completions": 3}), "WB522"),
        (prm800k("a"), "WB522"),
        ({"question": {}, "label": {"steps": []}}, "WB520"),
        ({"question": "a", "label": {"steps": []}}, "WB525"),
        ({"question": {"problem": "a"}, "label": {}}, "WB520"),
    ],
)
def test_prm800k_rows_that_cannot_be_used_are_named(row, code):
    assert code in [f.code for f in refused(row, "prm800k")]


def test_a_prompt_with_its_ground_truth_keeps_the_columns_for_the_reward():
    row = {"prompt": [u("2+2?")], "reward_model": {"ground_truth": "4", "style": "rule"}, "level": 3}
    example, findings = convert(row, 0, "rl", {"ground_truth": "reward_model"})
    assert findings == ()
    assert isinstance(example, PromptOnly)
    assert said(example.prompt) == ASKED
    assert example.extras == {"reward_model": row["reward_model"], "level": 3}


def test_prompts_as_text_are_messages_or_stay_text():
    row = {"prompt": "2+2?", "answer": "4"}
    example, _ = convert(row, 0, "prompt_only", {})
    assert (said(example.prompt), example.extras) == (ASKED, {"answer": "4"})
    example, _ = convert(row, 0, "prompt_only", {}, RowOptions(text_as="text"))
    assert example.prompt == Text(0, "2+2?")


def test_an_answer_behind_the_prompt_is_left_out_aloud():
    row = {"messages": [u("a"), a("b"), u("c"), a("d")], "ground_truth": "d"}
    example, findings = convert(row, 0, "rl", {"prompt": "messages"})
    assert [(f.code, f.severity, f.field) for f in findings] == [("WB574", "warning", "messages[3]")]
    assert [content for _, content in said(example.prompt)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("row", "code", "field"),
    [
        ({"prompt": [a("b")], "ground_truth": "b"}, "WB572", "prompt"),
        ({"prompt": "a", "ground_truth": None}, "WB521", "ground_truth"),
        ({"prompt": "a", "ground_truth": ""}, "WB523", "ground_truth"),
        ({"prompt": "a", "ground_truth": {"style": "rule"}}, "WB520", "ground_truth.ground_truth"),
        ({"prompt": "a", "ground_truth": {"ground_truth": None}}, "WB521", "ground_truth.ground_truth"),
        ({"prompt": "a"}, "WB520", "ground_truth"),
        ({"prompt": "", "ground_truth": "b"}, "WB523", "prompt"),
        ({"ground_truth": "b"}, "WB520", "prompt"),
    ],
)
def test_prompts_that_cannot_be_used_are_named(row, code, field):
    assert (code, field) in [(f.code, f.field) for f in refused(row, "rl")]


@pytest.mark.shared
def test_prm800k_rows_agree_with_their_stepwise_form_but_for_neutral_steps(shared):
    """The copy in TRL's columns was made with neutral steps as good; ours follows TRL's own script: they are not."""
    folder = shared / "testdata" / "datasets" / "prm"
    ours = [e for e, _ in convert_all(open_source(folder / "prm800k_samples.jsonl").rows, "prm800k", {})]
    theirs = [e for e, _ in convert_all(open_source(folder / "trl_stepwise.jsonl").rows, "prm", {})]
    differing = []
    for made, copied in zip(ours, theirs, strict=True):
        assert (made.prompt, made.completions) == (copied.prompt, copied.completions)
        pairs = zip(made.labels, copied.labels, strict=True)
        differing += [(made.row, i) for i, (one, other) in enumerate(pairs) if one != other]
    assert differing == [(1, 1)]
