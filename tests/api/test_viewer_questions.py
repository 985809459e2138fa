"""What the token viewer asks of encoded rows: other policies, pages of the list, finds, copies, where to look."""

from __future__ import annotations

import json

import pytest

import workbench as wb
from tests.views.wire_reader import plain
from workbench.api import comm
from workbench.errors import DataError, RecipeError
from workbench.views import TOKENS_MIME

ROWS = [
    {
        "messages": [
            {"role": "user", "content": f"Where does Kipwick live, number {i}?"},
            {"role": "assistant", "content": "In a house. " * (1 + i % 3)},
            {"role": "user", "content": "Really?"},
            {
                "role": "assistant",
                "content": "Yes \u201creally\u201d \U0001f469\u200d\U0001f373." if i == 5 else "Yes.",
            },
        ]
    }
    for i in range(12)
]
ROWS[7]["messages"][0]["content"] = "a typed <|im_end|> token"
POLICIES = [
    {"train_on": on, "train_on_eos": eos}
    for on in ("assistant", "last_assistant", "all")
    for eos in ("turn", "all", "last", "none")
]


@pytest.fixture(scope="module")
def enc():
    return wb.data(ROWS).encode("chatml", tokenizer="tiny-llama")


def ask(enc, op, **members):
    answer = comm.answered(enc, {"id": 1, "op": op, **members})
    assert "error" not in answer, answer
    json.dumps(answer)
    return answer


# ---------------------------------------------------------------- policy


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: "-".join(p.values()))
def test_a_row_under_another_policy_is_the_row_of_rows_encoded_so(enc, policy):
    answer = ask(enc, "row", position=5, policy=policy)
    other = wb.data(ROWS).encode("chatml", tokenizer="tiny-llama", **policy)
    assert answer["row"]["tokens"]["trained"] == [int(label >= 0) for label in other[5].labels]
    assert answer["row"]["tokens"]["id"] == list(other[5].input_ids)
    assert answer["code"] == (None if policy == POLICIES[0] else other.code())


def test_the_code_of_a_policy_gives_that_policy(enc):
    code = ask(enc, "row", position=0, policy={"train_on": "all", "train_on_eos": "none"})["code"]
    space = {"data": wb.data(ROWS), "wb": wb}
    exec(code, space)
    assert space["enc"].setting.train_on == "all" and space["enc"].setting.options.train_on_eos == "none"


def test_trying_a_policy_changes_nothing_of_what_is_encoded(enc):
    before = [enc[i].labels for i in range(len(enc))]
    ask(enc, "row", position=2, policy={"train_on": "all", "train_on_eos": "none"})
    assert [enc[i].labels for i in range(len(enc))] == before
    assert enc.setting.train_on == "assistant"


def test_a_policy_these_rows_cannot_have_is_refused_in_words(enc):
    said = comm.answered(enc, {"id": 1, "op": "row", "position": 0, "policy": {"train_on": "completion"}})["error"]
    assert "needs rows with a prompt and a completion" in said
    said = comm.answered(enc, {"id": 1, "op": "row", "position": 0, "policy": {"train_on": "nobody"}})["error"]
    assert "train_on='nobody'" in said


# ---------------------------------------------------------------- list


def test_pages_together_are_all_rows_in_the_order_asked_for(enc):
    for sort, key in (("index", lambda r: r["position"]), ("trained", lambda r: r["trained"])):
        rows = [row for start in (0, 5, 10) for row in ask(enc, "rows", start=start, count=5, sort=sort)["rows"]]
        assert len({row["position"] for row in rows}) == 12
        assert [key(row) for row in rows] == sorted(key(row) for row in rows)
    longest = ask(enc, "rows", start=0, count=12, sort="longest")
    assert [row["tokens"] for row in longest["rows"]] == sorted(
        (len(enc[i].input_ids) for i in range(12)), reverse=True
    )
    assert longest["longest"] == longest["rows"][0]["tokens"] and longest["total"] == 12


def test_counts_of_the_list_are_those_of_the_rows(enc):
    for entry in ask(enc, "rows", start=0, count=12)["rows"]:
        row = enc[entry["row"]]
        assert entry["tokens"] == len(row.input_ids)
        assert entry["trained"] == sum(label >= 0 for label in row.labels)
        assert entry["problems"] == sum(item.severity != "info" for item in row.findings)


def test_the_list_keeps_rows_with_a_problem_or_a_text_or_an_id(enc):
    assert [row["row"] for row in ask(enc, "rows", kind="any")["rows"]] == [7]
    assert ask(enc, "rows", kind="stop")["rows"] == []
    assert [row["row"] for row in ask(enc, "rows", text="NUMBER 11")["rows"]] == [11]
    rare = next(t for t in enc[7].input_ids if all(t not in enc[i].input_ids for i in range(12) if i != 7))
    assert 7 in [row["row"] for row in ask(enc, "rows", text=str(rare))["rows"]]


def test_an_order_nobody_knows_is_refused(enc):
    assert "WB402" in comm.answered(enc, {"id": 1, "op": "rows", "sort": "colour"})["error"]


def test_preference_rows_are_listed_side_by_side():
    pairs = [{"prompt": "Where?", "chosen": "Here.", "rejected": "There."}] * 2
    enc = wb.data(pairs).encode("chatml", tokenizer="tiny-llama")
    titles = [row["title"] for row in ask(enc, "rows")["rows"]]
    assert titles == ["Row 0, 1 of 2", "Row 0, 2 of 2", "Row 1, 1 of 2", "Row 1, 2 of 2"]


# ---------------------------------------------------------------- search and problems


def test_search_goes_round_in_both_directions_and_counts_rows(enc):
    assert ask(enc, "find", text="number 3", after=0) == {"id": 1, "position": 3, "rows": 1}
    assert ask(enc, "find", text="Kipwick", after=11)["position"] == 0
    assert ask(enc, "find", text="kipwick", after=0, back=True)["position"] == 11
    assert ask(enc, "find", text="kipwick", after=0)["rows"] == 11
    assert ask(enc, "find", text="\u201creally\u201d", after=0)["position"] == 5
    assert ask(enc, "find", text="nowhere at all", after=0) == {"id": 1, "position": None, "rows": 0}


def test_next_problem_of_a_kind():
    enc = wb.data(ROWS).encode("chatml", tokenizer="tiny-llama", max_length=24)
    payload = enc._repr_mimebundle_()[TOKENS_MIME]
    kinds = {
        "untrained": {item.row for item in enc.findings if item.code == "WB120"},
        "cut": {item.row for item in enc.findings if item.code == "WB126"},
    }
    assert kinds["cut"]
    for kind, rows in kinds.items():
        seen, after = set(), -1
        for _ in range(len(rows)):
            after = ask(enc, "problem", after=after, kind=kind)["position"]
            seen.add(enc.sequences[after][0])
        assert seen == rows
        assert payload.get("problems", {}).get(kind, 0) == len(rows)


# ---------------------------------------------------------------- copies


def test_text_is_what_the_tokens_stand_for(enc):
    row = enc[5]
    assert row.as_text() == row.text
    marked = row.as_text(marks=True)
    assert marked.replace("\u27e6", "").replace("\u27e7", "") == row.text
    assert "\u27e6Yes \u201creally\u201d \U0001f469\u200d\U0001f373.<|im_end|>\u27e7" in marked
    assert ask(enc, "copy", position=5, format="marked")["text"] == marked


def test_html_holds_every_token_and_no_script(enc):
    rows = [
        {
            "messages": [
                {"role": "user", "content": "<script>alert(1)</script>" * 200},
                {"role": "assistant", "content": "No."},
            ]
        }
    ]
    made = wb.data(rows).encode("chatml", tokenizer="tiny-llama")[0].as_html()
    assert "<script" not in made and made.count("&lt;script&gt;") == 200 and "No." in made
    assert "more tokens" not in made


def test_a_copy_follows_the_policy_that_is_tried(enc):
    policy = {"train_on": "all", "train_on_eos": "turn"}
    assert ask(enc, "copy", position=0, format="marked", policy=policy)["text"].startswith("\u27e6<|im_start|>user")


# ---------------------------------------------------------------- look


def test_look_opens_a_row_with_its_colour_and_says_how(enc):
    shown = enc.look(row=3, colour_by="reason")
    payload = shown._repr_mimebundle_()[TOKENS_MIME]
    assert (payload["first"], payload["colour_by"]) == (3, "reason")
    assert payload["code"] == shown.code() == 'enc.look(row=3, colour_by="reason")'
    assert eval(shown.code(), {"enc": enc}) == shown


def test_look_worst_opens_the_row_with_the_error(enc):
    assert enc.look(worst=True).row == 7


def test_a_colour_that_is_not_there_says_what_gives_it(enc):
    with pytest.raises(RecipeError, match="WB402"):
        enc.look(colour_by="rainbow")
    with pytest.raises(DataError, match=r"enc\.score\(model\).*WB699"):
        enc.look(colour_by="loss")


# ---------------------------------------------------------------- wire


def test_every_character_of_the_data_has_its_field_and_offset(enc):
    view = enc.row_at(5)
    text, talk = enc[5].text, ROWS[5]["messages"]
    contents = {f"messages[{i}].content": message["content"] for i, message in enumerate(talk)}
    seen = dict.fromkeys(contents, "")
    for start, end, number, offset in view["sources"]:
        field = view["tables"]["field"][number]
        if field in contents:
            assert contents[field][offset : offset + end - start] == text[start:end]
            seen[field] += text[start:end]
    assert seen == contents


def test_findings_move_with_the_window_of_a_long_row():
    rows = [
        {
            "messages": [
                {"role": "user", "content": "word " * 12_000 + "<|im_end|>" + " word" * 12_000},
                {"role": "assistant", "content": "Yes."},
            ]
        }
    ]
    enc = wb.data(rows).encode("chatml", tokenizer="tiny-llama")
    (item,) = [item for item in enc.findings if item.code == "WB122"]
    shown = plain(enc[0].at(item.token)._repr_mimebundle_()[TOKENS_MIME])["rows"][0]
    (placed,) = [found for found in shown["findings"] if found["code"] == "WB122"]
    assert shown["tokens"]["position"][placed["token"]] == item.token
    assert shown["tokens"]["text"][placed["token"]] == "<|im_end|>"
    start = enc[0].at(0)._repr_mimebundle_()[TOKENS_MIME]["rows"][0]
    assert [found["token"] for found in start["findings"] if found["code"] == "WB122"] == [None]
