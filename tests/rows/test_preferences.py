"""Preference pairs: every shape against TRL's own reading, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from converted import codes, origin, plain
from hypothesis import given, settings
from hypothesis import strategies as st
from row_origins import assert_origins_hold

from tests.fuzz_scale import examples
from workbench.errors import RecipeError
from workbench.options import RowOptions
from workbench.rows.answers import shared_text
from workbench.rows.convert import convert, convert_all
from workbench.rows.detect import choose, detect
from workbench.rows.files.load import open_source
from workbench.types import Conversation, PromptCompletion

SHAPES = Path(__file__).resolve().parent.parent / "data" / "shapes"


def u(text):
    return {"role": "user", "content": text}


def a(text):
    return {"role": "assistant", "content": text}


def said(conversation):
    return [(m["role"], m["content"]) for m in plain(conversation.messages)]


def pair(row, columns=None, **options):
    example, findings = convert(row, 4, "dpo", columns or {}, RowOptions(**options))
    assert example is not None, findings
    assert example.chosen.row == example.rejected.row == example.row == 4
    assert_origins_hold(row, example)
    return example, findings


def refused(row, **options):
    example, findings = convert(row, 4, "dpo", {}, RowOptions(**options))
    assert example is None
    errors = [f for f in findings if f.severity == "error"]
    assert all(f.row == 4 and f.field and f.remedy for f in errors)
    return errors


ASKED = [("user", "2+2?")]
TURNS = {"conversations": [{"from": "human", "value": "2+2?"}]}
SIDES = [
    ({"prompt": "2+2?", "chosen": "4", "rejected": "5"}, {}),
    ({"question": "2+2?", "chosen": "4", "rejected": "5"}, {"prompt": "question"}),
    ({"input": "2+2?", "chosen_response": "4", "rejected_response": "5"},
     {"prompt": "input", "chosen": "chosen_response", "rejected": "rejected_response"}),
    ({"prompt": [u("2+2?")], "chosen": "4", "rejected": "5"}, {}),
    ({"prompt": u("2+2?"), "chosen": a("4"), "rejected": a("5")}, {}),
    ({"prompt": [u("2+2?")], "chosen": [a("4")], "rejected": [a("5")]}, {}),
    ({"prompt": "2+2?", "chosen": [a("4")], "rejected": "5"}, {}),
    ({"messages": [u("2+2?")], "chosen": a("4"), "rejected": a("5")}, {"prompt": "messages"}),
    ({**TURNS, "chosen": {"from": "gpt", "value": "4"}, "rejected": {"from": "gpt", "value": "5"}},
     {"prompt": "conversations"}),
    ({"prompt": json.dumps([u("2+2?")]), "chosen": json.dumps(a("4")), "rejected": json.dumps([a("5")])}, {}),
]  # fmt: skip
WHOLE = [
    ({"prompt": "2+2?", "chosen": [u("2+2?"), a("4")], "rejected": [u("2+2?"), a("5")]}, {}),
    ({"prompt": [u("2+2?")], "chosen": [u("2+2?"), a("4")], "rejected": [u("2+2?"), a("5")]}, {}),
    ({"chosen": [u("2+2?"), a("4")], "rejected": [u("2+2?"), a("5")]}, {}),
    ({"prompt": None, "chosen": [u("2+2?"), a("4")], "rejected": [u("2+2?"), a("5")]}, {}),
    ({"prompt": [u("2+2?")], "chosen": [u("2+2?"), a("4")], "rejected": [a("5")]}, {}),
    ({"chosen": json.dumps([u("2+2?"), a("4")]), "rejected": json.dumps([u("2+2?"), a("5")])}, {}),
]


@pytest.mark.parametrize(("row", "columns"), SIDES + WHOLE)
def test_every_spelling_of_one_pair_gives_the_same_two_conversations(row, columns):
    example, findings = pair(row, columns)
    assert findings == ()
    assert said(example.chosen) == [*ASKED, ("assistant", "4")]
    assert said(example.rejected) == [*ASKED, ("assistant", "5")]
    assert example.chosen.completion_from == example.rejected.completion_from == 1
    assert example.explicit is ((row, columns) in SIDES)


@pytest.mark.parametrize(("row", "columns"), SIDES + WHOLE)
def test_a_system_column_becomes_the_first_message_of_both_sides(row, columns):
    example, _ = pair({**row, "system": "Be brief."}, columns)
    for side in (example.chosen, example.rejected):
        assert said(side)[0] == ("system", "Be brief.")
        assert side.completion_from == 2
        assert [origin(m["content"]).message for m in side.messages] == [0, 1, 2]


def test_a_system_message_that_the_conversations_have_too_is_said_once():
    side = [{"role": "system", "content": "Be brief."}, u("2+2?")]
    row = {"system": "Be brief.", "prompt": "2+2?", "chosen": [*side, a("4")], "rejected": [*side, a("5")]}
    example, findings = pair(row)
    assert findings == ()
    assert [role for role, _ in said(example.chosen)] == ["system", "user", "assistant"]
    assert origin(example.chosen.messages[0]["content"]).field == "chosen[0].content"


def test_options_for_the_system_message_move_the_prompt_alike_on_both_sides():
    row = {"chosen": [u("2+2?"), a("4")], "rejected": [u("2+2?"), a("5")]}
    added, _ = pair(row, default_system_message="Be brief.")
    assert (added.chosen.completion_from, added.rejected.completion_from, len(added.chosen.messages)) == (2, 2, 3)
    dropped, _ = pair({**row, "system": "Be long."}, drop_system_message=True)
    assert (dropped.chosen.completion_from, dropped.rejected.completion_from, len(dropped.chosen.messages)) == (1, 1, 2)


def test_multi_turn_pairs_keep_every_shared_turn_in_the_prompt():
    start = [u("u1"), a("a1"), u("u2")]
    row = {"chosen": [*start, a("good"), u("u3"), a("better")], "rejected": [*start, a("bad")]}
    example, _ = pair(row)
    assert example.chosen.completion_from == example.rejected.completion_from == 3
    assert said(example.chosen)[3:] == [("assistant", "good"), ("user", "u3"), ("assistant", "better")]
    assert said(example.rejected)[3:] == [("assistant", "bad")]
    assert example.explicit is False


def test_one_multi_turn_row_among_a_thousand_single_turn_rows_is_kept_apart():
    rows = [{"chosen": [u(f"q{i}"), a("good")], "rejected": [u(f"q{i}"), a("bad")]} for i in range(1000)]
    start = [u("u1"), a("a1"), u("u2")]
    rows[617] = {"chosen": [*start, a("good")], "rejected": [*start, a("bad")]}
    match = choose(detect(rows))
    starts = [example.chosen.completion_from for example, _ in convert_all(rows, match.type, match.columns)]
    assert (match.type, {i: n for i, n in enumerate(starts) if n != 1}) == ("dpo", {617: 3})


def test_an_explicit_prompt_stays_as_it_is_even_where_answers_begin_alike():
    row = {"prompt": [u("u1")], "chosen": [a("a1"), u("u2"), a("x")], "rejected": [a("a1"), u("u2"), a("y")]}
    example, _ = pair(row)
    assert (example.chosen.completion_from, example.explicit) == (1, True)


def test_tools_are_read_once_and_given_to_both_sides():
    row = {"prompt": "a", "chosen": "b", "rejected": "c", "tools": '[{"name": "f", "parameters": {"type": "object"}}]'}
    example, findings = pair(row)
    assert example.chosen.tools == example.rejected.tools
    assert example.chosen.tools[0]["function"]["name"] == "f"
    assert len(findings) == len(set(findings))


@pytest.mark.parametrize(
    ("extra", "margin"),
    [
        ({"margin": 0.5}, 0.5),
        ({"chosen_score": 5, "rejected_score": 1.5}, 3.5),
        ({"chosen_score": 5}, None),
        ({"chosen_score": 5, "rejected_score": "1"}, None),
        ({"chosen_score": True, "rejected_score": False}, None),
        ({"chosen_score": float("nan"), "rejected_score": 1}, None),
        ({"chosen_score": 10**400, "rejected_score": 1}, None),
        ({}, None),
    ],
)
def test_scores_give_the_margin(extra, margin):
    example, _ = pair({"prompt": "a", "chosen": "b", "rejected": "c", **extra})
    assert example.margin == margin


def test_rows_of_text_stay_text_where_that_is_asked_for():
    row = {"prompt": "The sky is", "chosen": " blue.", "rejected": " green."}
    assert isinstance(pair(row)[0].chosen, Conversation)
    example, findings = pair(row, text_as="text")
    assert (example.chosen, example.rejected) == (
        PromptCompletion(4, "The sky is", " blue."),
        PromptCompletion(4, "The sky is", " green."),
    )
    assert findings == ()
    assert origin(example.rejected.completion).field == "rejected"


def test_text_without_a_prompt_is_split_where_the_sides_part_and_never_made_a_message():
    example, _ = pair({"chosen": "The sky is blue.", "rejected": "The sky is green."})
    assert (example.chosen.prompt, example.chosen.completion) == ("The sky is", " blue.")
    assert (example.rejected.prompt, example.rejected.completion) == ("The sky is", " green.")
    assert example.explicit is False


def test_a_system_or_tools_column_that_text_has_no_place_for_is_named():
    row = {"system": "Be brief.", "prompt": "a", "chosen": "b", "rejected": "c"}
    _, findings = pair(row, text_as="text")
    assert [(f.code, f.severity, f.field) for f in findings] == [("WB577", "warning", "system")]


def test_formats_word_prompt_and_answers_as_axolotls_user_defined_type_does():
    row = {"system": "Be {brief}.", "prompt": "2+2?", "chosen": "4", "rejected": "5"}
    example, findings = pair(
        row,
        prompt_format="{system}\nQ: {prompt}\nA:",
        chosen_format=" {chosen}!",
        rejected_format="{{{rejected}}}",
    )
    assert findings == ()
    assert example.chosen == PromptCompletion(4, "Be {brief}.\nQ: 2+2?\nA:", " 4!")
    assert example.rejected == PromptCompletion(4, "Be {brief}.\nQ: 2+2?\nA:", "{5}")
    del row["system"]
    assert pair(row, prompt_format="{system}{prompt}")[0].chosen.prompt == "2+2?"


@pytest.mark.parametrize("wording", ["{chosen}", "{prompt!r}", "{prompt:>9}", "{prompt", "{}", "{prompt.__class__}"])
def test_a_format_that_cannot_be_filled_in_is_a_wrong_call(wording):
    with pytest.raises(RecipeError, match="prompt_format"):
        convert({"prompt": "a", "chosen": "b", "rejected": "c"}, 0, "dpo", {}, RowOptions(prompt_format=wording))


def test_formats_do_not_word_messages():
    (error,) = refused({"prompt": [u("a")], "chosen": "b", "rejected": "c"}, prompt_format="{prompt}")
    assert (error.code, error.field) == ("WB576", "prompt")


@pytest.mark.parametrize(
    ("row", "code", "field"),
    [
        ({"prompt": "a", "chosen": "b", "rejected": "b"}, "WB570", "rejected"),
        ({"prompt": [u("a")], "chosen": [a("b")], "rejected": a("b")}, "WB570", "rejected"),
        ({"chosen": [u("a"), a("b")], "rejected": [u("a"), a("b")]}, "WB570", "rejected"),
        ({"chosen": "same", "rejected": "same"}, "WB570", "rejected"),
        ({"chosen": [u("a"), a("b")], "rejected": [u("A"), a("c")]}, "WB571", "chosen[0]"),
        (
            {"chosen": [u("a"), a("b"), u("c"), a("d")], "rejected": [u("a"), a("b"), u("C"), a("D")]},
            "WB571",
            "chosen[2]",
        ),
        ({"prompt": [u("x")], "chosen": [u("a"), a("b")], "rejected": [u("a"), a("c")]}, "WB571", "chosen"),
        ({"prompt": [u("a")], "chosen": [u("a"), a("b")], "rejected": [u("x"), a("c")]}, "WB571", "chosen[0]"),
        ({"chosen": "b", "rejected": "c"}, "WB572", "chosen"),
        ({"chosen": [a("b")], "rejected": [a("c")]}, "WB572", "chosen"),
        ({"prompt": "a", "chosen": [a("b"), u("c")], "rejected": "d"}, "WB573", "chosen[1]"),
        ({"prompt": "a", "chosen": "b", "rejected": [u("c")]}, "WB571", "prompt"),
        ({"prompt": "a", "chosen": "", "rejected": "d"}, "WB523", "chosen"),
        ({"prompt": "a", "chosen": "b", "rejected": []}, "WB523", "rejected"),
        ({"prompt": "a", "chosen": [a("b")], "rejected": [a("")]}, "WB531", "rejected"),
        ({"prompt": "a", "chosen": None, "rejected": "d"}, "WB521", "chosen"),
        ({"prompt": "a", "chosen": 3, "rejected": "d"}, "WB522", "chosen"),
        ({"prompt": 3, "chosen": "c", "rejected": "d"}, "WB522", "prompt"),
        ({"prompt": "a", "rejected": "d"}, "WB520", "chosen"),
        ({"prompt": "a", "chosen": {"content": "b"}, "rejected": "d"}, "WB520", "chosen.role"),
    ],
)
def test_pairs_that_cannot_be_used_are_named(row, code, field):
    errors = refused(row)
    assert [(f.code, f.field) for f in errors] == [(code, field)], errors


def test_a_text_prompt_that_is_nowhere_in_the_conversations_is_left_out_aloud():
    row = {"prompt": "other", "chosen": [u("a"), a("b")], "rejected": [u("a"), a("c")]}
    example, findings = pair(row)
    assert [(f.code, f.severity, f.field) for f in findings] == [("WB575", "warning", "prompt")]
    assert said(example.chosen)[0] == ("user", "a")


def test_an_answer_that_begins_with_all_of_the_other_is_pointed_out():
    row = {"chosen": [u("a"), a("b")], "rejected": [u("a"), a("b"), u("c"), a("d")]}
    example, findings = pair(row)
    assert (example.chosen.completion_from, codes(findings)) == (1, ["WB578"])


PIECES = st.sampled_from(["a", "b", "The sky is ", "", " ", "\n", "🎉"])
TURN = st.builds(
    lambda role, text: {"role": role, "content": text}, st.sampled_from(["user", "assistant"]), st.sampled_from("abc")
)
MESSAGES = st.lists(TURN, min_size=1, max_size=4)


@settings(deadline=None, max_examples=examples(150))
@given(st.lists(PIECES, max_size=4).map("".join), st.lists(PIECES, max_size=3).map("".join),
       st.lists(PIECES, max_size=3).map("".join))  # fmt: skip
def test_text_is_split_where_trl_splits_it(start, chosen, rejected):
    from trl.data_utils import extract_prompt

    chosen, rejected = start + chosen, start + rejected
    if not chosen or not rejected or chosen[0] != rejected[0]:
        return
    theirs = extract_prompt({"chosen": chosen, "rejected": rejected})
    assert chosen[: shared_text(chosen, rejected)] == theirs["prompt"]


@settings(deadline=None, max_examples=examples(300))
@given(MESSAGES, MESSAGES, MESSAGES, st.sampled_from(["absent", "text", "list"]))
def test_prompt_and_answers_are_what_trl_makes_of_them(start, chosen, rejected, prompt):
    from trl.data_utils import maybe_extract_prompt

    row = {"chosen": [*start, *chosen], "rejected": [*start, *rejected]}
    if prompt == "list":
        row = {"prompt": start, "chosen": chosen, "rejected": rejected}
    elif prompt == "text" and start[0]["role"] == "user":  # else the lists hold only answers, and TRL drops the prompt
        row["prompt"] = start[0]["content"]
    example, findings = convert(row, 0, "dpo", {})
    if example is None:
        assert {f.code for f in findings if f.severity == "error"} <= {"WB570", "WB571", "WB572", "WB573", "WB531"}
        return
    theirs = maybe_extract_prompt(row)
    if prompt == "list" and not example.explicit:  # TRL says the prompt twice here
        assert chosen[0]["role"] == "user" or rejected[0]["role"] == "user"
        return
    at = example.chosen.completion_from
    assert plain(example.chosen.messages[:at]) == plain(example.rejected.messages[:at]) == theirs["prompt"]
    assert plain(example.chosen.messages[at:]) == theirs["chosen"]
    assert plain(example.rejected.messages[at:]) == theirs["rejected"]


@pytest.mark.parametrize(
    ("name", "type", "starts", "margins"),
    [
        ("dpo_mix_7k.jsonl", "dpo", [1, 1, 3, 1, 5], [3.0, 3.25, 2.0, 3.5, None]),
        ("orca_dpo_pairs.jsonl", "dpo", [1, 2, 2], None),
        ("kto_mix_15k.jsonl", "kto", [1, 1, 3, 1], None),
    ],
)
def test_the_datasets_people_ask_about_first(name, type, starts, margins):
    rows = open_source(SHAPES / name).rows
    match = choose(detect(rows))
    made = list(convert_all(rows, match.type, match.columns))
    assert match.type == type
    assert all(findings == () for _, findings in made)
    answers = [example.answer if type == "kto" else example.chosen for example, _ in made]
    assert [answer.completion_from for answer in answers] == starts
    if margins:
        assert [example.margin for example, _ in made][:4] == margins[:4]


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "type", "rows"),
    [
        ("dpo/chat_preferences.jsonl", "dpo", 5),
        ("dpo/intel_orca_format.jsonl", "dpo", 40),
        ("dpo/llamafactory_dpo.json", "dpo", 40),
        ("kto/kto_messages_label.json", "kto", 40),
        ("prm/trl_stepwise.jsonl", "prm", 6),
        ("prm/prm800k_samples.jsonl", "prm800k", 6),
        ("rl/open_instruct_rlvr.jsonl", "rl", 100),
        ("messages/xtuner_gsm8k.jsonl", "rl", 30),
    ],
)
def test_every_real_row_is_used(shared, name, type, rows):
    source = open_source(shared / "testdata" / "datasets" / name)
    match = choose(detect(source.rows))
    assert (match.type, len(source.rows)) == (type, rows)
    for row, (example, findings) in zip(source.rows, convert_all(source.rows, type, match.columns), strict=True):
        assert findings == ()
        assert assert_origins_hold(row, example) > 0


@pytest.mark.parametrize("shape", ["long", "turns"])
def test_large_pairs_take_no_more_than_linear_work(shape):
    """A message of 1 MB, and 10,000 turns: both convert; the shared beginning is found at its end."""
    if shape == "long":
        start = [u("x" * 1_000_000)]
    else:
        start = [turn for i in range(4999) for turn in (u(f"q{i}"), a(f"a{i}"))] + [u("last")]
    example, findings = convert({"chosen": [*start, a("good")], "rejected": [*start, a("bad")]}, 0, "dpo", {})
    assert findings == ()
    assert example.chosen.completion_from == len(start)
