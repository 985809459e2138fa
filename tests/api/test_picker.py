"""The picker's choices: each shows in the code, the code does the same, and a choice that cannot be changes nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.rows.formats import FORMATS

ROWS = [
    {"question": f"Is dish {i} safe?", "remark": "" if i % 2 else "raw", "answer": f"Dish {i} is safe." * (i % 5 + 1)}
    for i in range(30)
]
CHATS = [
    {"talk": [{"from": "customer", "value": f"Order {i}?"}, {"from": "gpt", "value": "Today."}], "shop": "north"}
    for i in range(12)
]
PAIRS = [{"prompt": f"{i}+2?", "chosen": f"It is {i + 2}.", "rejected": f"It is {i + 3}."} for i in range(8)]


def again(picked: Any, rows: list[Any]) -> Any:
    """What the shown code makes of the rows."""
    scope: dict[str, Any] = {"wb": wb, "rows": rows}
    exec(picked.code(), scope)
    return scope["enc"]


def same(picked: Any, rows: list[Any]) -> bool:
    """Whether the shown code gives the tokens that the picker gives."""
    ours, theirs = picked.encode(), again(picked, rows)
    return ours.totals == theirs.totals and ours._ids == theirs._ids and ours._labels == theirs._labels


def test_every_choice_shows_in_the_code_and_the_code_does_it():
    picked = wb.data(ROWS, type="alpaca").pick()
    for kind, value, shown in (
        ("role", {"column": "remark", "role": "input"}, "'input': 'remark'"),
        ("max_length", 40, "max_length=40"),
        ("template", "chatml", "wb.template('chatml')"),
        ("leave_out", 7, ".without(7)"),
        ("option", {"name": "train_on_eos", "value": "none"}, "train_on_eos='none'"),
        ("option", {"name": "train_on", "value": "all"}, "train_on='all'"),
        ("option", {"name": "default_system_message", "value": "Be brief."}, "default_system_message='Be brief.'"),
    ):
        state = picked.choose(kind, value)
        assert shown in state["code"], kind
        assert same(picked, ROWS), kind
    assert 7 not in again(picked, ROWS).usable


def test_what_is_taken_back_is_gone_from_the_code():
    picked = wb.data(ROWS, type="alpaca").pick()
    before = picked.code()
    for kind, there, back in (
        ("option", {"name": "train_on_eos", "value": "none"}, {"name": "train_on_eos", "value": "turn"}),
        ("option", {"name": "train_on", "value": "all"}, {"name": "train_on", "value": "assistant"}),
        ("option", {"name": "default_system_message", "value": "x"}, {"name": "default_system_message", "value": None}),
        ("max_length", 40, None),
        ("role", {"column": "remark", "role": "input"}, {"column": "remark", "role": None}),
    ):
        assert picked.choose(kind, there)["code"] != before
        assert picked.choose(kind, back)["code"] == before, kind
    picked.choose("leave_out", 3)
    assert picked.choose("take_back", 3)["code"] == before


def test_a_column_that_would_be_guessed_can_be_left_unused():
    rows = [{"instruction": "Add.", "input": "2, 2", "output": "4"}] * 3
    picked = wb.data(rows).pick()
    state = picked.choose("role", {"column": "input", "role": None})
    assert "'input': None" in state["code"]
    assert "2, 2" not in str(state["rendered"])
    assert same(picked, rows)


def test_a_required_role_without_a_column_is_named():
    picked = wb.data(ROWS, type="alpaca").pick()
    state = picked.choose("role", {"column": "answer", "role": None})
    assert state["absent"] == ["output"] and state["rendered"] is None and state["lengths"] is None
    assert state["misfits"]["rows"] == []
    assert picked.choose("role", {"column": "answer", "role": "output"})["absent"] == []


def test_evidence_names_the_role_of_its_column_and_follows_a_change():
    picked = wb.data(ROWS).pick()
    told = {item["role"]: item["text"] for item in picked.state()["types"][0]["evidence"]}
    assert told["output"].startswith("`answer` is text in 30")
    state = picked.choose("role", {"column": "remark", "role": "input"})
    chosen = next(item for item in state["types"] if item["name"] == state["type"])
    assert {"text": "`remark` is text or empty", "role": "input"} in chosen["evidence"]


def test_the_first_type_says_what_the_next_would_lose():
    rows = [{"instruction": "Add.", "input": f"{i}", "output": "4"} for i in range(5)]
    state = wb.data(rows).pick().choose("type", "alpaca")
    others = [item for item in state["types"] if item["name"] != "alpaca" and item["total"]]
    assert all(set(item["loses"]) <= {"instruction", "input", "output"} for item in others)
    assert {item["name"] for item in state["types"]} == set(FORMATS)


def test_rows_that_do_not_fit_are_shown_with_the_value_at_fault():
    rows = [dict(row) for row in ROWS]
    rows[4]["answer"], rows[9]["answer"] = None, 42
    picked = wb.data(rows, type="alpaca").pick()
    state = picked.state()
    assert state["fit"] == {"rows": 28, "total": 30}
    assert [item["row"] for item in state["misfits"]["rows"]] == [4, 9]
    marked = [[v["name"] for v in item["values"] if v["bad"]] for item in state["misfits"]["rows"]]
    assert marked == [["answer"], ["answer"]]
    shown = picked.choose("row", 9)["shown_row"]
    assert [value["name"] for value in shown["values"]] == ["question", "remark", "answer"]
    assert picked.choose("row", None)["shown_row"] is None
    picked.choose("leave_out", 4)
    state = picked.choose("leave_out", 9)
    assert state["misfits"]["total"] == 0 and state["left_out"] == [4, 9]


def test_a_row_found_not_to_fit_is_not_lost_while_a_change_is_answered_briefly():
    rows = [{"question": f"Question {i}?", "answer": f"Answer {i}.", "topic": "x"} for i in range(1500)]
    rows[1499] = {"question": "None?", "answer": None, "topic": "x"}
    picked = wb.data(rows, type="alpaca").pick()
    assert [item["row"] for item in picked.state()["misfits"]["rows"]] == [1499]
    picked._set_role({"column": "topic", "role": "input"})
    state = picked._state(briefly=True)
    assert state["fit"]["total"] < 1500 and len(state["lengths"]["values"]) < 400
    assert [item["row"] for item in state["misfits"]["rows"]] == [1499]
    assert picked.state()["fit"] == {"rows": 1499, "total": 1500}


def test_a_left_out_row_is_neither_measured_nor_shown():
    picked = wb.data(ROWS, type="alpaca").pick()
    state = picked.choose("leave_out", 0)
    assert state["rendered"]["row"] == 1 and state["row_numbers"] == [1, 2, 3, 4, 5]
    assert len(state["lengths"]["values"]) == state["lengths"]["rows"] == 29


def test_lengths_are_those_that_encode_gives():
    picked = wb.data(ROWS, type="alpaca").pick()
    state = picked.choose("max_length", 30)
    measured = sorted(len(ids) for ids in wb.data(ROWS, type="alpaca").encode(tokenizer="tiny-llama")._ids)
    assert state["lengths"]["values"] == measured
    assert sum(state["lengths"]["counts"]) == len(measured)
    assert state["cut"]["rows"] == sum(length > 30 for length in measured)
    assert state["cut"]["rows"] == picked.encode().totals.truncated


def test_very_unequal_lengths_get_an_axis_of_doublings():
    rows = [{"text": "short"}] * 40 + [{"text": "word " * 4000}]
    state = wb.data(rows, type="text").pick().state()
    assert state["lengths"]["scale"] == "log" and state["lengths"]["long"] == "chunked"
    edges = state["lengths"]["edges"]
    assert edges == sorted(set(edges)) and edges[-1] >= state["lengths"]["values"][-1]
    assert sum(state["lengths"]["counts"]) == 41


def test_an_unknown_speaker_is_first_and_gets_a_role():
    picked = wb.data(CHATS).pick()
    found = picked.state()["speakers"]["found"]
    assert found[0] == {"spelling": "customer", "count": 12, "role": None, "known": False}
    state = picked.choose("speaker", {"spelling": "customer", "role": "user"})
    assert "roles={'customer': 'user'}" in state["code"]
    assert state["fit"]["rows"] == 12 and state["speakers"]["found"][0]["role"] == "user"
    assert same(picked, CHATS)


def test_messages_are_read_in_cells():
    state = wb.data(CHATS).pick().state()
    assert state["preview"][0][0] == {
        "said": [{"role": "customer", "text": "Order 0?"}, {"role": "gpt", "text": "Today."}],
        "more": 0,
    }
    assert [column["kind"] for column in state["columns"]] == ["messages", "text"]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a long enough sentence", "and another one"], "text"),
        (["x", "y"] * 10, "2 values"),
        ([f"q-{i}" for i in range(20)], "all different"),
        (["some text here", ""], "text or empty"),
        ([None, "some text"], "text or null"),
        ([1.5, 2.5, 2.5], "number"),
        ([[{"role": "user", "content": "hi"}]], "messages"),
        ([True, False], "true or false"),
        ([], "empty"),
    ],
)
def test_kinds_of_columns_in_words(values, kind):
    from workbench.api import picker_cells

    assert picker_cells.kind(values) == kind


def test_a_pair_is_shared_prompt_and_two_answers_that_part_at_one_token():
    state = wb.data(PAIRS).pick().state()
    prompt, chosen, rejected = state["rendered"]["parts"]
    assert "0+2?" in prompt["pieces"][0]["text"]
    texts = ["".join(piece["text"] for piece in part["pieces"]) for part in (chosen, rejected)]
    assert "It is 2." in texts[0] and "It is 3." in texts[1]
    marked = [[piece["text"] for piece in part["pieces"] if piece["differs"]] for part in (chosen, rejected)]
    assert [len(found) for found in marked] == [1, 1] and marked[0] != marked[1]


@pytest.mark.parametrize(
    ("kind", "value", "code"),
    [
        ("type", "alpacca", "WB556"),
        ("template", "chatnl", "WB105"),
        ("leave_out", 99, "WB553"),
        ("row", 99, "WB553"),
        ("option", {"name": "train_on_eos", "value": "often"}, "WB402"),
        ("option", {"name": "trian_on", "value": "all"}, "WB401"),
        ("dance", 1, "WB402"),
    ],
)
def test_a_choice_that_cannot_be_changes_nothing(kind, value, code):
    picked = wb.data(ROWS, type="alpaca").pick()
    before = picked.state()
    with pytest.raises(WorkbenchError) as caught:
        picked.choose(kind, value)
    assert caught.value.code == code and caught.value.remedy
    assert picked.state() == before


def test_a_tokenizer_that_is_not_there_is_told_in_place():
    state = wb.data(ROWS, type="alpaca").pick(tokenizer="/nowhere/model").state()
    assert state["template"]["refusal"]["code"].startswith("WB1") and state["lengths"] is None
    assert state["columns"][0]["role"] == "instruction"


def test_a_question_is_gone_once_it_is_answered():
    rows = [{"text": f"Great film number {i}, I liked it!", "label": "positive"} for i in range(10)]
    picked = wb.data(rows).pick()
    asked = picked.state()["question"]
    assert asked["finding"]["code"] == "WB513" and len(asked["choices"]) == 2
    state = picked.choose("type", asked["choices"][1])
    assert state["question"] is None and state["chosen_by"] == "you" and state["absent"] == []
    assert {column["name"] for column in state["columns"] if column["role"]} == {"text", "label"}
    assert same(picked, rows)


def test_the_widget_answers_by_turn_and_finishes_what_a_change_left_open():
    rows = [{"question": f"Question {i}?", "answer": f"Answer {i}."} for i in range(2600)]
    rows[2599] = {"question": "None?", "answer": None}
    picked = wb.data(rows, type="alpaca").pick()
    widget = picked.widget
    widget._handle_custom_msg({"kind": "template", "value": "chatml", "turn": 1}, [])
    assert widget.state["turn"] == 1 and "chatml" in widget.code
    picked._background.join()
    assert widget.scan == {"done": 2600, "running": False}
    assert widget.state["fit"] == {"rows": 2599, "total": 2600}
    assert [item["row"] for item in widget.state["misfits"]["rows"]] == [2599]
    assert len(widget.state["lengths"]["values"]) == 400
    refused: list[Any] = []
    widget.send = lambda content, buffers=None: refused.append(content)
    widget._handle_custom_msg({"kind": "type", "value": "nonsense", "turn": 2}, [])
    assert "WB556" in refused[0]["error"] and widget.state["turn"] == 1


@pytest.mark.parametrize("name", sorted(name for name, entry in FORMATS.items() if not entry.joined))
def test_every_type_has_a_state_that_the_page_can_be_sent(name):
    rows = [dict(FORMATS[name].example)] * 3
    picked = wb.data(rows, type=name).pick()
    state = picked.state()
    json.dumps(state, allow_nan=False)
    assert state["absent"] == [] and state["type"] == name
    assert picked.data.code() in state["code"] or name in state["code"]
