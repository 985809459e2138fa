"""Options of reading and masking through the nouns: data, encoding, recipe, and the command line."""

import json

import pytest
import yaml

import workbench as wb
from workbench.cli import main
from workbench.errors import DataError, RecipeError

CHATS = [
    {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "customer", "content": f"What is {i} and {i}?"},
            {"role": "assistant", "content": f"It is {i + i}."},
        ]
    }
    for i in range(4)
]
PAIRS = [
    {
        "chosen": [
            {"role": "user", "content": "Name a fruit."},
            {"role": "assistant", "content": "An apple."},
            {"role": "user", "content": "Another one."},
            {"role": "assistant", "content": f"A pear, number {i}."},
        ],
        "rejected": [
            {"role": "user", "content": "Name a fruit."},
            {"role": "assistant", "content": "An apple."},
            {"role": "user", "content": "Another one."},
            {"role": "assistant", "content": f"A stone, number {i}."},
        ],
    }
    for i in range(3)
]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def trained(row):
    example = row.example
    text = str.__str__(example.rendered.text)
    spans = zip(example.offsets, example.labels, strict=True)
    return "".join(text[start:end] for (start, end), label in spans if label >= 0)


def test_roles_and_system_message_are_read_as_asked_and_code_says_so(tmp_path):
    path = write(tmp_path / "chats.jsonl", CHATS)
    data = wb.data(path, roles={"customer": "user"}, drop_system_message=True)
    text = data.encode("chatml")[1].text
    assert "<|im_start|>user\nWhat is 1 and 1?" in text and "Be brief" not in text
    scope = {"wb": wb}
    exec(data.code(), scope)
    assert scope["data"].encode("chatml")[1].text == text
    assert not [item for item in scope["data"].encode("chatml").findings if item.code == "WB534"]


def test_rows_left_out_keep_the_numbers_of_the_others(tmp_path):
    data = wb.data(write(tmp_path / "chats.jsonl", CHATS)).without(1).without(3)
    enc = data.encode("chatml")
    assert enc.usable == [0, 2] and enc[2].text.count("2 and 2") == 1 and data.code().endswith(".without(1, 3)")
    with pytest.raises(DataError, match="no row 9"):
        data.without(9)


def test_a_recipe_keeps_every_option_and_gives_the_same_labels(tmp_path):
    data = wb.data(write(tmp_path / "chats.jsonl", CHATS), default_system_message=None, roles={"customer": "user"})
    enc = data.without(0).encode("chatml", train_on_eos="none", roles_to_train=["user"])
    assert trained(enc[2]).startswith("What is 2 and 2?") and "im_end" not in trained(enc[2])
    path = wb.recipe(enc, max_steps=1).save(tmp_path / "recipe.yaml")
    values = yaml.safe_load(path.read_text())
    assert values["data"]["options"] == {"roles": {"customer": "user"}} and values["data"]["without"] == [0]
    assert values["mask"] == {"train_on_eos": "none", "roles_to_train": ["user"]}
    again = wb.open(path).enc
    assert [again[i].labels for i in again.usable] == [enc[i].labels for i in enc.usable]
    assert again.code() == enc.code()


@pytest.mark.parametrize(
    ("call", "code", "hint"),
    [
        (lambda d: wb.data(d, split_thinkin=True), "WB401", "split_thinking"),
        (lambda d: wb.data(d, roles=["customer"]), "WB402", "mapping"),
        (lambda d: wb.data(d, drop_system_message=True, default_system_message="x"), "WB402", "None"),
        (lambda d: wb.data(d).encode("chatml", train_on_eoss="none"), "WB401", "train_on_eos"),
        (lambda d: wb.data(d).encode("chatml", train_on_eos="never"), "WB402", "turn"),
        (lambda d: wb.data(d).encode("chatml", workers=0), "WB402", "at least 1"),
        (lambda d: wb.data(d, type={"field_instruction": "a"}, columns={"output": "b"}), "WB402", "Give one"),
    ],
)
def test_a_wrong_option_names_the_right_one(call, code, hint):
    with pytest.raises(RecipeError, match=hint) as caught:
        call(CHATS)
    assert caught.value.code == code


def test_a_preference_row_has_two_sequences_and_a_pair():
    enc = wb.data(PAIRS).encode("chatml")
    assert enc.usable == [0, 1, 2] and enc.sequences[:3] == [(0, 0), (0, 1), (1, 0)]
    chosen, rejected = enc[1].parts
    assert (chosen.part, rejected.part) == ("chosen", "rejected")
    pair = enc[1].pair
    shared = pair.prompt_tokens
    assert chosen.input_ids[:shared] == rejected.input_ids[:shared] and chosen.trained and rejected.trained
    assert trained(enc[1]).startswith("A pear, number 1.<|im_end|>")  # the first round is prompt
    first = pair.first_token
    assert chosen.input_ids[:first] == rejected.input_ids[:first]
    assert chosen.input_ids[first] != rejected.input_ids[first]
    assert "Row 1, rejected" in {enc.row_at(i)["title"] for i in range(6)}
    with pytest.raises(RecipeError, match="supervised rows only") as caught:
        wb.recipe(enc)
    assert caught.value.code == "WB408"


def test_long_text_goes_on_in_a_next_sequence_and_nothing_is_lost():
    words = " ".join(f"word{i}" for i in range(60))
    enc = wb.data([{"text": words}, {"text": "short"}]).encode(max_length=32)
    parts = enc[0].parts
    assert len(parts) > 2 and all(len(part.input_ids) <= 32 for part in parts)
    whole = wb.data([{"text": words}]).encode()[0].input_ids
    assert tuple(token for part in parts for token in part.input_ids) == whole
    assert len(enc.train_rows) == len(parts) + 1
    shown = enc.batches()[0].to_dict()
    assert sum(any(row) for row in shown["arrays"]["input_ids"]) == len(parts) + 1
    cut = wb.data([{"text": words}]).encode(max_length=32, long_text="cut")
    assert len(cut[0].parts) == 1 and cut.totals.truncated == 1


def test_the_command_line_prints_pairs_and_takes_options(tmp_path, capsys):
    path = write(tmp_path / "pairs.jsonl", PAIRS)
    assert main(["inspect", path, "--template", "chatml", "--rows", "0:1", "--json"]) == 0
    row = json.loads(capsys.readouterr().out.splitlines()[0])
    assert {"row", "type", "chosen", "rejected", "pair", "findings"} == set(row)
    assert row["pair"]["first_token"] < len(row["chosen"]["tokens"])
    chats = write(tmp_path / "chats.jsonl", CHATS)
    options = ["--option", 'roles={"customer": "user"}', "--option", "train_on_eos=none", "--without", "0"]
    assert main(["inspect", chats, "--template", "chatml", *options, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    stops = [token for token in rows[1]["tokens"] if token["reason"] == "stop_off"]
    assert stops and not any(token["trained"] for token in stops) and rows[0]["tokens"] == []
    assert main(["inspect", path, "--template", "chatml", "--rows", "0:1"]) == 0
    assert "[rejected]" in capsys.readouterr().out
