"""The nouns of the notebook on the embedded model: what they hold, what they show, what they refuse."""

import json

import pytest

import workbench as wb
from tests.views.wire_reader import spread
from workbench import tiny_llama
from workbench.api import comm
from workbench.errors import DataError, RecipeError, TemplateError
from workbench.views import TOKENS_MIME

ROWS = [
    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello <b>you</b>"}]},
    {"messages": [{"role": "user", "content": "no answer"}]},
    {"messages": [{"role": "user", "content": "Two?"}, {"role": "assistant", "content": "Two 🎉."}]},
]


@pytest.fixture(scope="module")
def enc():
    return wb.data(ROWS).encode(wb.template("tiny-llama"), tokenizer="tiny-llama")


def test_a_row_that_cannot_be_used_is_left_out_and_named(enc):
    assert enc.usable == [0, 2]
    assert {item.row for item in enc.findings if item.severity == "error"} == {1}
    assert "Row 1" in repr(enc[1])
    with pytest.raises(DataError, match="Row 1 has no tokens"):
        _ = enc[1].labels


def test_trained_tokens_are_the_answer_and_its_stop_token(enc):
    tokenizer = enc.setting.tokenizer
    trained = [token for token, label in zip(enc[0].input_ids, enc[0].labels, strict=True) if label != -100]
    assert tokenizer.decode(trained) == "Hello <b>you</b><|im_end|>"


def test_the_snapshot_is_inert_and_keeps_hostile_text_as_text(enc):
    bundle = enc._repr_mimebundle_()
    assert "<b>you</b>" not in bundle["text/html"] and "&lt;b&gt;you&lt;/b&gt;" in bundle["text/html"]
    assert "<script" not in bundle["text/html"]
    json.dumps(bundle)


def test_the_payload_has_a_column_entry_for_every_token(enc):
    row = enc._repr_mimebundle_()[TOKENS_MIME]["rows"][-1]
    lengths = {len(values) for values in spread(row).values()}
    assert len(lengths) == 1
    assert sum(segment["end"] - segment["start"] for segment in row["segments"]) == lengths.pop()
    assert "messages[1].content" in row["tables"]["field"]


def test_tokens_of_one_character_are_shown_by_their_bytes(enc):
    row = enc.view_of(2)
    shown = [raw for raw in row["tokens"]["bytes"] if raw]
    assert bytes.fromhex("".join(shown).replace(" ", "")).decode().strip() == "🎉"


def test_the_page_can_ask_for_rows_texts_and_problems(enc):
    comm._SHARED["enc-test"] = enc
    assert comm.answer("enc-test", {"id": 1, "op": "row", "position": 1})["row"]["row"] == 2
    assert comm.answer("enc-test", {"id": 2, "op": "find", "text": "Two 🎉", "after": 0})["position"] == 1
    assert "error" in comm.answer("enc-test", {"id": 3, "op": "row", "position": 99})
    assert "error" in comm.answer("enc-test", {"id": 4, "op": "dance"})
    assert "earlier kernel" in comm.answer("gone", {"id": 5, "op": "row", "position": 0})["error"]


def test_the_code_of_every_noun_gives_it_again(tmp_path):
    path = tmp_path / "chats.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in ROWS))
    data = wb.data(str(path))
    enc = data.encode("chatml", tokenizer="tiny-llama", max_length=40)
    recipe = wb.recipe(enc, learning_rate=1e-3, r=4)
    scope = {"wb": wb}
    for noun in (data, enc, recipe):
        exec(noun.code(), scope)
    assert scope["recipe"].recipe == recipe.recipe
    assert [scope["enc"][i].labels for i in scope["enc"].usable] == [enc[i].labels for i in enc.usable]


def test_a_saved_recipe_opens_to_the_same(tmp_path):
    path = tmp_path / "chats.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in ROWS))
    recipe = wb.recipe(wb.data(str(path)).encode(tokenizer="tiny-llama"), epochs=3, target_modules=["q_proj"])
    opened = wb.open(recipe.save(tmp_path / "recipe.yaml"))
    assert opened.recipe == recipe.recipe
    assert [row.labels for row in opened.enc.train_rows] == [row.labels for row in recipe.enc.train_rows]


@pytest.mark.parametrize(
    ("make", "error", "code"),
    [
        (lambda: wb.template("qwen25"), TemplateError, "WB105"),
        (lambda: wb.template("{% for m in messages %}{{ m.content }"), TemplateError, "WB101"),
        (lambda: wb.data(ROWS).encode(tokenizer="tiny-llama", packing="bfd"), RecipeError, "WB403"),
        (lambda: wb.data([{"a": 1}]).encode(tokenizer="tiny-llama"), DataError, "WB559"),
        (lambda: wb.recipe(wb.data(ROWS).encode(tokenizer="tiny-llama"), learning_rte=1), RecipeError, "WB401"),
        (lambda: wb.recipe(wb.data(ROWS).encode(tokenizer="tiny-llama"), train_on="all"), RecipeError, "WB405"),
        (lambda: wb.recipe(wb.data(ROWS[1:2], type="messages").encode()).launch(), DataError, "WB560"),
    ],
)
def test_wrong_calls_say_what_to_do(make, error, code):
    with pytest.raises(error) as caught:
        given = make()
        given.encode(tokenizer="tiny-llama") if hasattr(given, "encode") else wb.data(ROWS).encode(given)
    assert caught.value.code == code and caught.value.remedy


def test_the_expected_batches_follow_epochs_and_accumulation(enc):
    recipe = wb.recipe(enc, per_device_train_batch_size=1, gradient_accumulation_steps=2, epochs=3)
    assert recipe.steps == 3
    made = recipe.expected([1, 2, 3])
    assert [len(made[str(step)]) for step in (1, 2, 3)] == [2, 2, 2]
    flat = [batch["input_ids"][0] for batch in made["2"]]
    order = [list(enc.train_rows[i].input_ids) for i in enc.batches(recipe, epoch=1).order]
    assert flat == order


def test_a_batch_that_differs_says_where(enc):
    batch = enc.batches(wb.recipe(enc, per_device_train_batch_size=2))[0]
    same = {name: [list(row) for row in rows] for name, rows in batch.arrays.items()}
    assert batch.compare(same, 1).verdict["state"] == "agrees"
    same["labels"][1][5] = 7
    verdict = batch.compare(same, 1).verdict
    assert verdict["state"] == "differs"
    assert (verdict["difference"]["key"], verdict["difference"]["index"]) == ("labels", (1, 5))


def test_the_picker_changes_code_with_every_choice(tmp_path):
    path = tmp_path / "qa.jsonl"
    path.write_text('{"question": "Is raw flour safe?", "answer": "No, bake it first.", "topic": "food"}\n' * 3)
    picked = wb.data(str(path), type="alpaca", columns={"instruction": "question", "output": "answer"}).pick()
    state = picked.state()
    assert {column["name"]: column["role"] for column in state["columns"]} == {
        "question": "instruction", "answer": "output", "topic": None,
    }  # fmt: skip
    assert "max_length=12" in picked.choose("max_length", 12)["code"]
    assert picked.state()["cut"]["rows"] == 3
    assert "'input': 'topic'" in picked.choose("role", {"column": "topic", "role": "input"})["code"]
    assert "wb.template('chatml')" in picked.choose("template", "chatml")["code"]
    scope = {"wb": wb}
    exec(picked.code(), scope)
    assert scope["enc"].totals == picked.encode().totals


def test_the_embedded_rows_have_no_problem():
    enc = wb.data(tiny_llama.rows_path("train")).encode(tokenizer="tiny-llama")
    assert enc.totals.errors == enc.totals.warnings == 0
    assert enc.totals.rows == len(enc.data) > 500
