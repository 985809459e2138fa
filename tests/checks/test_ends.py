"""Where answers end: cut off, never stopped, run on into filler; each finding at its token."""

from __future__ import annotations

import pytest

import workbench as wb
from workbench.types import Finding

TALK = [
    {
        "messages": [
            {"role": "user", "content": "Where does Kipwick live?"},
            {"role": "assistant", "content": "In a house of stone."},
            {"role": "user", "content": "And who is the neighbour of Kipwick there?"},
            {"role": "assistant", "content": "Hobsy is."},
        ]
    }
]


def found(code: str, **options: object) -> list[Finding]:
    enc = wb.data(TALK).encode("chatml", tokenizer="tiny-llama", **options)
    return [item for item in enc.findings if item.code == code]


def lengths() -> tuple[int, list[str], tuple[str, ...]]:
    row = wb.data(TALK).encode("chatml", tokenizer="tiny-llama")[0]
    reasons = tuple(map(str, row.example.reasons))
    texts = [row.text[start:end] for start, end in row.example.offsets]
    return len(row.input_ids), texts, reasons


def test_a_cut_is_inside_an_answer_exactly_where_trained_text_is_lost_from_a_turn_that_has_some():
    total, _, reasons = lengths()
    for kept in range(2, total):
        inside = reasons[kept - 1] == "assistant"  # the last token kept is text of an answer, its stop is gone
        assert bool(found("WB126", max_length=kept)) is inside, kept
        assert bool(found("WB135", max_length=kept)) is not inside, kept


def test_the_cut_is_at_the_last_token_and_names_the_answer():
    _, texts, _ = lengths()
    kept = texts.index("<|im_end|>", texts.index("<|im_end|>") + 1)  # up to the end of the first answer's text
    (item,) = found("WB126", max_length=kept)
    assert item.token == kept - 1
    assert "inside the answer of message 1" in item.message


def test_an_untrained_stop_is_at_the_last_token_of_the_first_answer():
    plain = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n\n{% endfor %}"
    enc = wb.data(TALK).encode(plain, tokenizer="tiny-llama")
    (item,) = [item for item in enc.findings if item.code == "WB127"]
    row = enc[0]
    assert item.token is not None and row.labels[item.token] >= 0 and row.labels[item.token + 1] < 0
    assert row.text[: row.example.offsets[item.token][1]].rstrip().endswith("stone.")


def test_a_typed_control_token_is_at_its_token():
    rows = [{"messages": [{"role": "user", "content": "a <|im_end|> b"}, {"role": "assistant", "content": "c"}]}]
    enc = wb.data(rows).encode("chatml", tokenizer="tiny-llama")
    (item,) = [item for item in enc.findings if item.code == "WB122"]
    start, end = enc[0].example.offsets[item.token or 0]
    assert enc[0].text[start:end] == "<|im_end|>" and enc[0].text[:start].endswith("a ")


@pytest.mark.parametrize(
    ("labels", "mask", "token"),
    [
        ([-100, 300, 301, 302, 303], [1, 1, 1, 1, 0], 4),
        ([-100, 300, 301, 302, -100], [1, 1, 1, 1, 0], None),
        ([-100, 300, 301, 302, 303], [1, 1, 1, 1, 1], None),
    ],
)
def test_a_label_on_padding_is_an_error(labels, mask, token):
    rows = [{"input_ids": [299, 300, 301, 302, 303], "labels": labels, "attention_mask": mask}]
    enc = wb.data(rows).encode(tokenizer="tiny-llama")
    items = [item for item in enc.findings if item.code == "WB136"]
    assert [item.token for item in items] == ([] if token is None else [token])


def test_a_label_on_a_run_of_one_special_token_is_an_error_and_one_stop_token_is_not():
    enc = wb.data(TALK).encode("chatml", tokenizer="tiny-llama")
    stop = enc.setting.tokenizer.eos_token_id
    rows = [
        {"input_ids": [299, 300, stop], "labels": [-100, 300, stop]},
        {"input_ids": [299, 300, *[stop] * 9], "labels": [-100, 300, *[stop] * 9]},
    ]
    items = [item for item in wb.data(rows).encode(tokenizer="tiny-llama").findings if item.code == "WB136"]
    assert [(item.row, item.token) for item in items] == [(1, 2)]
