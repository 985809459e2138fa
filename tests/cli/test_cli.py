"""The command line as a user calls it: output, JSON, exit status."""

import json
from pathlib import Path

import pytest

from workbench.cli import main

CHAT = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello there"}]}


@pytest.fixture
def chats(tmp_path):
    path = tmp_path / "chats.jsonl"
    path.write_text(json.dumps(CHAT) + "\n" + json.dumps(CHAT) + "\n")
    return str(path)


def test_inspect_prints_one_object_a_row_with_the_documented_members(chats, capsys):
    assert main(["inspect", chats, "--tokenizer", "tiny-llama", "--rows", "0:1", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    row = json.loads(line)
    assert {"row", "type", "text", "tokens", "findings"} <= set(row)
    members = {"id", "text", "start", "end", "label", "trained", "reason", "role", "message", "field"}
    assert all(members <= set(token) for token in row["tokens"])
    trained = "".join(token["text"] for token in row["tokens"] if token["trained"])
    assert trained == "Hello there<|im_end|>"
    assert {token["field"] for token in row["tokens"] if token["reason"] == "assistant"} == {"messages[1].content"}
    assert all(
        (token["label"] == token["id"]) if token["trained"] else token["label"] == -100 for token in row["tokens"]
    )


def test_inspect_prints_collated_batches(chats, capsys):
    assert main(["inspect", chats, "--batches", "0:1", "--batch-size", "2", "--json"]) == 0
    batch = json.loads(capsys.readouterr().out)
    assert set(batch["arrays"]) == {"input_ids", "labels", "attention_mask"}
    assert len(batch["arrays"]["labels"]) == 2


def test_errors_in_the_rows_give_status_1_and_wrong_calls_2(tmp_path, chats, capsys):
    bad = tmp_path / "bad.jsonl"
    bad.write_text(json.dumps(CHAT) + '\n{"messages": []}\n')
    assert main(["inspect", str(bad)]) == 1
    assert "WB5" in capsys.readouterr().out
    assert main(["inspect", str(tmp_path / "none.jsonl"), "--json"]) == 2
    told = json.loads(capsys.readouterr().err)
    assert told["code"] == "WB550" and told["remedy"]
    assert main(["inspect", chats, "--rows", "x"]) == 2
    with pytest.raises(SystemExit) as left:
        main(["dance"])
    assert left.value.code == 2


def test_estimate_says_whether_it_fits(chats, capsys):
    small = ["estimate", chats, "--model", "meta-llama/Llama-3.2-1B", "--tokenizer", "tiny-llama", "--json"]
    assert main([*small, "--card-gib", "80"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["verdict"] == "fits"
    assert made["peak"]["bytes"] == sum(made["peak"]["parts"].values())
    assert main([*small, "--card-gib", "2"]) == 1


@pytest.mark.parametrize("target", ["axolotl", "trl"])
def test_export_writes_files(target, chats, tmp_path, capsys):
    assert main(["export", chats, "--target", target, "--out", str(tmp_path / "out"), "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["files"] and all(Path(path).is_file() for path in made["files"])
    assert made["files"][0].endswith(".yaml")


def test_runs_of_an_account_without_runs(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "runs"))
    assert main(["runs"]) == 0
    assert "No runs yet" in capsys.readouterr().out
    assert main(["attach", "0001-none"]) == 2
