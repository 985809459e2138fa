"""Stored answers of axolotl 0.19.0 against what the workbench makes now; needs no axolotl."""

import pytest
from axolotl_golden_cases import GOLDEN, ROWS
from axolotl_ours import encoded, made_of
from axolotl_record import PAGE, full, marked, parts_of_page, stored, with_parts
from axolotl_rows import generated
from axolotl_verdicts import Context, verdict

ANSWERS = stored("masks")


def test_every_golden_case_has_answers():
    assert set(ANSWERS) == set(GOLDEN)
    assert len(GOLDEN) >= 80


@pytest.mark.parametrize("name", GOLDEN)
def test_rows_are_axolotls_or_differ_for_the_stored_reason(name, tmp_path):
    case, rows = GOLDEN[name], generated(GOLDEN[name].shape)[-ROWS:]
    enc = encoded(case, rows, {}, tmp_path, tmp_path)
    context = Context(
        case,
        enc.setting.tokenizer,
        lambda row: enc.tokenized(row)[0],
        lambda others: made_of(encoded(case, others, {}, tmp_path, tmp_path)),
    )
    found = [
        verdict(index, row, ours, theirs, context)
        for index, (row, ours, theirs) in enumerate(zip(rows, made_of(enc), full(ANSWERS[name]["rows"]), strict=True))
    ]
    assert found == ANSWERS[name]["verdicts"]


def test_most_golden_rows_are_equal():
    verdicts = [reason for answer in ANSWERS.values() for reason in answer["verdicts"]]
    print(len(verdicts), verdicts.count("equal"))
    assert verdicts.count("equal") > len(verdicts) / 2


def test_a_wrong_label_would_be_seen(tmp_path):
    """The comparison fails for one label that is not axolotl's."""
    name = "chat_template / chatml / tiny-llama"
    case, rows = GOLDEN[name], generated(GOLDEN[name].shape)[-ROWS:]
    enc = encoded(case, rows, {}, tmp_path, tmp_path)
    answer = dict(full(ANSWERS[name]["rows"][0]))
    last = max(i for i, label in enumerate(answer["labels"]) if label != -100)
    answer["labels"] = [-100 if i == last - 1 else label for i, label in enumerate(answer["labels"])]
    context = Context(case, enc.setting.tokenizer, lambda row: enc.tokenized(row)[0], lambda _: [])
    with pytest.raises(AssertionError):
        verdict(0, rows[0], made_of(enc)[0], answer, context)


def test_the_page_shows_what_is_stored():
    page = PAGE.read_text(encoding="utf-8")
    parts = parts_of_page()
    assert sorted(marked(page)) == sorted(parts)
    assert with_parts(page, parts) == page


def test_every_reason_of_the_summary_has_a_section_with_an_example():
    page, reasons = PAGE.read_text(encoding="utf-8"), set(stored("differences"))
    for entry in stored("summary").values():
        for verdict_ in entry["verdicts"]:
            if verdict_ != "equal" and not verdict_.startswith(("axolotl: ", "nothing to train")):
                assert set(verdict_.split(" + ")) <= reasons, verdict_
    for reason in reasons:
        assert f"<!-- made: {reason} -->" in page
