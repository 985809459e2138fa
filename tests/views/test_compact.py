"""The compact form of a payload reads back, by the page's own parser, as the plain form does."""

import copy
import random

import pytest

import workbench as wb
from tests.views.wire_reader import bundle, read
from workbench.api import comm
from workbench.views import TOKENS_MIME
from workbench.views.compact import columns, compact, figures, numbers
from workbench.views.tokens import payload

TEXTS = [
    "plain words and 12 numbers",
    "emoji 👩‍🍳🎉 and 𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
    "العربية עברית हिन्दी 日本語",
    "\x00\x1b[31m\u202e\u2028\ufeff\u200b",
    'commas, 1..5, 7*3, "quotes" and \\ backslashes\n\n\ttabs',
    "__proto__ constructor toString",
    "",
]


@pytest.fixture(scope="module")
def wire(tmp_path_factory):
    return bundle(tmp_path_factory.mktemp("wire"))


@pytest.fixture
def views():
    """Payloads of real rows, plain: one of every text, several turns, and a packed batch."""
    rows = [
        {"messages": [{"role": "user", "content": text or "x"}, {"role": "assistant", "content": f"{other} {text}"}]}
        for text in TEXTS
        for other in TEXTS[:3]
    ]
    enc = wb.data(rows).encode("chatml", tokenizer="tiny-llama", packing="bfd", max_length=200)
    plain = [payload([enc.view_of(row)], enc.heading("enc")) for row in enc.usable]
    batch = enc.batches()[0]
    return [*plain, payload([batch.tokens.row_view(i, 10_000) for i in range(len(batch.rows))], enc.heading("batch"))]


def test_real_rows_read_the_same_in_both_forms(wire, views):
    plain = read(wire, "parseTokens", views)
    short = read(wire, "parseTokens", [compact(view) for view in views])
    for before, after in zip(plain, short, strict=True):
        assert "value" in before and "value" in after, (before.get("error"), after.get("error"))
        assert before["value"]["rows"] == after["value"]["rows"]
        used = {name for row in before["value"]["rows"] for name in row["tables"]["reason"]}
        assert set(after["value"]["reasons"]) == used
        for row in after["value"]["rows"]:
            for line in (line for line in row["tables"]["line"] if line is not None):
                assert after["value"]["template"]["lines"][line - 1] == before["value"]["template"]["lines"][line - 1]


def test_columns_of_any_values_read_the_same_in_both_forms(wire, views):
    """Values that no tokenizer makes: gaps, overlaps, lone surrogates, texts that are not where offsets say."""
    seed = random.Random(7)
    letters = ["a", "bc", "", "🎉", "\ud83d", "\ude00", "\n", "é", ","]
    cases = []
    for _ in range(300):
        count = seed.randrange(0, 30)
        made = {
            name: [seed.choice([0, 0, 0, 1, 2, 3, -1, 7, 150_000]) for _ in range(count)]
            for name in ("id", "start", "end", "trained", "special", "reason", "field", "line", "role", "position")
        }
        made["text"] = [seed.choice(letters) for _ in range(count)]
        made["bytes"] = [seed.choice([None, None, "e2 80"]) for _ in range(count)]
        view = copy.deepcopy(views[0])
        view["rows"][0] |= {
            "tokens": made,
            "measures": {"loss": [seed.choice([None, 0.25, 3.0]) for _ in range(count)]},
        }
        cases.append(view)
    plain = read(wire, "parseTokens", cases)
    short = read(wire, "parseTokens", [compact(view) for view in cases])
    for before, after in zip(plain, short, strict=True):
        assert before["value"]["rows"] == after["value"]["rows"]


def test_runs_and_counts_are_written_short():
    assert numbers([0] * 19 + [1] * 78 + [0]) == "0*19,1*78,0"
    assert numbers([*range(97)]) == "0..96"
    assert numbers([*range(20), *range(4)]) == "0..19,0..3"
    assert numbers([1, 2, 3, 9]) == "1,2,3,9"
    assert numbers([None, None, None, 5, None]) == "*3,5,"
    assert numbers([-3, -2, -1, 0]) == "-3..0"
    assert numbers([]) == ""
    assert figures([None, 0.123456, 12345.6, float("nan")]) == ",0.1235,1.235e+04,"


def test_a_payload_is_not_changed_by_being_compacted(views):
    before = copy.deepcopy(views[0])
    compact(views[0])
    assert views[0] == before
    assert columns(before["rows"][0]["tokens"])["id"].count(",") > 0


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("id", "0*99999999999", "at most 2000000 numbers"),
        ("id", "0..99999999999", "at most 2000000 numbers"),
        ("id", "9..0", "at most 2000000 numbers"),
        ("id", "1,x", "numbers, n*times or first..last"),
        ("id", "1,,2", "expected a number"),
        ("id", "..5", "numbers, n*times or first..last"),
        ("trained", "0", "as many as there are ids"),
        ("text", "short", "characters, as the tokens have"),
        ("bytes", "99999:e2", "index:bytes of a token"),
        ("bytes", "0:<b>", "index:bytes of a token"),
        ("start", {}, "expected an array"),
    ],
)
def test_a_column_that_is_not_what_it_says_is_refused_by_name(wire, views, column, value, words):
    view = compact(views[0])
    view["rows"][0]["tokens"][column] = value
    (answer,) = read(wire, "parseTokens", [view])
    assert f"tokens.rows[0].tokens.{column}" in answer["error"] and words in answer["error"]


def test_names_of_the_language_are_names_like_others(wire, views):
    view = copy.deepcopy(views[0])
    view["reasons"] = {"__proto__": "a", "constructor": "b"}
    (answer,) = read(wire, "parseTokens", [view])
    assert answer["value"]["reasons"]["constructor"] == "b"


def test_a_row_sent_by_itself_explains_itself(monkeypatch):
    monkeypatch.setattr(comm, "share", lambda shown: "enc-1")
    rows = [{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}] * 3
    enc = wb.data(rows).encode("chatml", tokenizer="tiny-llama")
    assert len(enc._repr_mimebundle_()[TOKENS_MIME]["rows"]) == 1
    row = enc.row_at(2)
    assert set(row["reasons"]) == set(row["tables"]["reason"])
    assert set(row["lines"]) == {str(line) for line in row["tables"]["line"] if line is not None}
