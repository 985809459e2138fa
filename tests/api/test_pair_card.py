"""`enc[3]` of preference rows: prompt once, two sides, and exactly the tokens that TRL would train on."""

import pytest

import workbench as wb
from tests.views.wire_reader import plain
from workbench.views import PAIRS_MIME, TOKENS_MIME

ROWS = [
    {"prompt": f"What is {i}+2?", "chosen": f"It is {i + 2}.", "rejected": f"It is {i + 3}, I think."} for i in range(6)
]


@pytest.fixture(scope="module")
def enc():
    return wb.data(ROWS).encode(tokenizer="tiny-llama")


def shown(noun):
    return plain(noun._repr_mimebundle_()[PAIRS_MIME])


def test_prompt_and_side_joined_are_the_whole_sequence(enc):
    view = shown(enc[3])
    (pair,) = [item for item in view["pairs"] if item["position"] == view["first"]]
    for part, side in zip(enc[3].parts, ("chosen", "rejected"), strict=True):
        joined = pair["prompt"]["tokens"]["id"] + pair[side]["row"]["tokens"]["id"]
        assert joined == list(part.input_ids)
        trained = pair["prompt"]["tokens"]["trained"] + pair[side]["row"]["tokens"]["trained"]
        assert trained == [int(label >= 0) for label in part.labels]
        assert (pair[side]["tokens"], pair[side]["trained"]) == (len(part.input_ids), part.trained)


def test_first_difference_points_at_the_first_token_that_differs(enc):
    (pair,) = shown(enc[0])["pairs"]
    first, chosen, rejected = pair["first_token"], *(part.input_ids for part in enc[0].parts)
    assert chosen[:first] == rejected[:first] and chosen[first] != rejected[first]
    for side, ids in (("chosen", chosen), ("rejected", rejected)):
        assert pair[side]["row"]["tokens"]["id"][pair[side]["first"]] == ids[first]


def test_page_asks_for_other_pairs_and_for_problems(enc):
    asked = enc.questions()
    assert asked["pair"]({"position": 5})["pair"]["row"] == 5
    assert asked["pair_problem"]({"after": 0}) == {"position": None}
    cut = wb.data(ROWS).encode(tokenizer="tiny-llama", max_length=24)
    assert cut.questions()["pair_problem"]({"after": 0})["position"] is not None


def test_all_rows_show_the_first_pair_and_other_rows_stay_token_rows(enc):
    assert shown(enc)["pair_count"] == 6 and shown(enc)["code"] == "enc"
    assert TOKENS_MIME in enc[0].at(2)._repr_mimebundle_()
    texts = wb.data([{"text": "no pair"}]).encode(tokenizer="tiny-llama")
    assert TOKENS_MIME in texts[0]._repr_mimebundle_()


def test_margin_is_shown():
    rows = [{**row, "margin": 0.5} for row in ROWS]
    (pair,) = shown(wb.data(rows).encode(tokenizer="tiny-llama")[1])["pairs"]
    assert pair["margin"] == 0.5


def test_long_sides_are_shown_around_their_difference():
    long = "word and word " * 4000
    rows = [{"prompt": "Go on: " + long, "chosen": long + "yes", "rejected": long + "no"}]
    enc = wb.data(rows, type="dpo").encode(tokenizer="tiny-llama")
    (pair,) = shown(enc[0])["pairs"]
    kept = [len(pair[name]["tokens"]["id"]) for name in ("prompt",)]
    kept += [len(pair[name]["row"]["tokens"]["id"]) for name in ("chosen", "rejected")]
    assert sum(kept) <= 10_000
    assert pair["chosen"]["first"] is not None and pair["rejected"]["first"] is not None
    assert [item["code"] for item in pair["findings"]].count("WB140") == 3
    assert pair["prompt"]["tokens"]["position"][-1] == pair["prompt_tokens"] - 1


def test_text_and_static_html_say_the_same(enc):
    bundle = enc[2]._repr_mimebundle_()
    assert "⟦It is 4." in bundle["text/plain"] and "first difference: token" in bundle["text/plain"]
    assert "<script" not in bundle["text/html"] and "first difference" in bundle["text/html"]
    hostile = [{**ROWS[0], "rejected": "<img src=x onerror=alert(1)>"}]
    html = wb.data(hostile).encode(tokenizer="tiny-llama")[0]._repr_mimebundle_()["text/html"]
    assert "<img" not in html and "&lt;" in html


def test_widget_of_preference_rows_is_the_pair_card(enc):
    card = enc.widget()
    assert type(card).__name__ == "PairCard" and card.payload["pair_count"] == 6
