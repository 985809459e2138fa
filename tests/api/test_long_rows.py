"""Rows too long to be shown whole: the payload stays bounded and says what it leaves out."""

from __future__ import annotations

import json
from typing import Any

import pytest

import workbench as wb
from tests.api.hard_rows import encoded, findings
from tests.views.wire_reader import spread
from workbench.cli import main
from workbench.views import BATCH_MIME, TOKENS_MIME

LONG = [
    {"messages": [{"role": "user", "content": "word é " * 30_000}, {"role": "assistant", "content": "The answer."}]},
    {"messages": [{"role": "user", "content": "short"}, {"role": "assistant", "content": "Yes."}]},
]


def long_row_is_bounded(enc: Any) -> None:
    bundle = enc._repr_mimebundle_()
    shown = bundle[TOKENS_MIME]["rows"][0]
    whole = len(enc[0].input_ids)
    assert len(json.dumps(bundle)) < 200_000
    tokens = spread(shown)
    assert len(tokens["id"]) == 10_000 < whole
    assert f"of {whole:,}" in shown["title"] and shown["title"] in bundle["text/html"]
    assert shown["findings"][0]["code"] == "WB140" and f"{whole - 10_000:,} of {whole:,} tokens" in bundle["text/html"]
    assert 1 in tokens["trained"]  # the answer is in the window
    first = tokens["position"][0]
    assert tokens["id"] == list(enc[0].input_ids[first : first + 10_000])
    edges = [edge for part in shown["segments"] for edge in (part["start"], part["end"])]
    assert edges[0] == 0 and edges[-1] == 10_000 and edges[1:-1:2] == edges[2:-1:2]
    assert sum(part["trained"] for part in shown["segments"]) == sum(tokens["trained"])
    assert len(enc.row_at(0)["tokens"]["id"]) <= 100_000
    start = enc[0].at(0)._repr_mimebundle_()[TOKENS_MIME]
    assert spread(start["rows"][0])["position"][0] == 0 and start["code"] == "enc[0].at(0)"


def cut_row_says_so(enc: Any) -> None:
    assert {item.code for item in enc.findings} == {"WB120", "WB135"}
    assert {item.row for item in enc.findings} == {0}
    assert "cut off by max_length" in findings(enc, "WB120")[0].message
    assert len(json.dumps(enc._repr_mimebundle_())) < 1_000_000
    assert len(enc.train_rows) == 1  # the row that lost its answer is not trained


def test_a_very_long_row_is_shown_in_part_and_says_which():
    data = wb.data(LONG)
    enc = data.encode("chatml", tokenizer="tiny-llama")
    long_row_is_bounded(enc)
    cut_row_says_so(data.encode("chatml", tokenizer="tiny-llama", max_length=512))
    batch = enc.batches()[0]
    bundle = batch._repr_mimebundle_()
    assert len(json.dumps(bundle)) < 200_000
    received = {name: [list(row) for row in rows] for name, rows in batch.arrays.items()}
    received["labels"][0][12_345] += 7
    compared = batch.compare(received, 1)
    differs = compared.tokens._repr_mimebundle_()[TOKENS_MIME]
    assert differs["badge"]["difference"]["index"] == (0, 12_345)
    assert 12_345 in spread(differs["rows"][0])["position"]  # the difference is in the window
    assert len(json.dumps(compared.tokens._repr_mimebundle_())) < 200_000
    opened = compared._repr_mimebundle_()[BATCH_MIME]["opened"]
    assert 12_345 in spread(opened["row"])["position"] and opened["differences"][0]["token"] == 12_345
    state = data.pick().state()
    assert len(json.dumps(state)) < 50_000 and "characters not shown" in str(state["rendered"])


@pytest.mark.shared
def test_one_megabyte_message(shared, capsys):
    path = str(shared / "testdata" / "hard" / "one_megabyte_message.jsonl.gz")
    data = wb.data(path)
    long_row_is_bounded(data.encode("chatml", tokenizer="tiny-llama"))
    cut_row_says_so(data.encode("chatml", tokenizer="tiny-llama", max_length=512))
    bundle, _ = data._repr_mimebundle_()
    assert len(bundle["text/html"]) < 50_000
    assert main(["inspect", path, "--max-length", "512", "--json"]) == 1
    assert [len(json.loads(line)["tokens"]) for line in capsys.readouterr().out.splitlines()] == [512, 16]


def test_a_row_of_control_tokens_is_counted_whole_and_shown_in_part():
    rows = [{"messages": [{"role": "user", "content": "<|im_end|>" * 500}, {"role": "assistant", "content": "No."}]}]
    enc = encoded(rows)
    assert len(findings(enc, "WB122")) == enc.totals.errors == 500
    shown = enc._repr_mimebundle_()[TOKENS_MIME]["rows"][0]["findings"]
    assert len(shown) == 101 and shown[0]["code"] == "WB140" and "400 of 500 findings" in shown[0]["message"]
