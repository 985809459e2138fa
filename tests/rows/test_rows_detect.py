import re
from pathlib import Path

import pytest

from workbench.errors import DataError
from workbench.rows.columns import guess_columns, parse_columns, role_of
from workbench.rows.detect import choose, detect, detection_findings, mixture
from workbench.rows.formats import FORMATS
from workbench.rows.load import open_source
from workbench.rows.shapes import SHAPES, shapes_of

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
CHAT = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}


@pytest.mark.parametrize("name", FORMATS)
def test_example_row_of_every_type_is_detected_as_that_type(name):
    rows = [FORMATS[name].example] * 3
    best = detect(rows)[0]
    assert (best.type, best.rows, best.total, best.counter_examples, best.missing) == (name, 3, 3, (), ())
    assert mixture(rows) == {name: 3}
    findings = detection_findings(rows)
    assert [f.code for f in findings] == ([] if FORMATS[name].supported else ["WB511"])


def test_evidence_counts_rows_and_names_those_that_do_not_fit():
    rows = [{"question": "a", "answer": "b"}] * 98 + [{"question": "a"}, {"question": 3, "answer": "b"}]
    best = detect(rows)[0]
    assert (best.type, best.columns) == ("alpaca", {"instruction": "question", "output": "answer"})
    assert (best.rows, best.total, best.counter_examples) == (98, 100, (98, 99))
    assert "`question` is text in 99 of 100 rows" in best.evidence
    assert "`answer` is text in 99 of 100 rows" in best.evidence
    assert "row 98: `answer` is missing" in best.evidence
    assert "row 99: `question` is the number 3" in best.evidence


@pytest.mark.parametrize(
    ("row", "type"),
    [
        ({"messages": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}, "sharegpt"),
        ({"conversations": CHAT["messages"]}, "messages"),
        ({"chat_log": CHAT["messages"]}, "messages"),
        ({"Question": "a", "ANSWER": "b"}, "alpaca"),
        ({"query": "a", "response": "b"}, "alpaca"),
        ({"input": "a", "output": "b"}, "alpaca"),
        ({"prompt": "a", "response": "b"}, "alpaca"),
        ({"prompt": "a", "completion": "b"}, "prompt_completion"),
        ({"prompt": CHAT["messages"], "completion": CHAT["messages"]}, "prompt_completion"),
        ({"content": "a"}, "text"),
        ({**CHAT, "label": True}, "kto"),
        ({**CHAT, "label": "politics"}, "messages"),
        ({**CHAT, "tools": "[]", "id": 3}, "messages"),
        ({"prompt": "a", "completion": "b", "label": False}, "kto"),
        ({"chosen": CHAT["messages"], "rejected": CHAT["messages"]}, "dpo"),
        ({**CHAT, "images": ["a.png"]}, "vision"),
        ({**CHAT, "ground_truth": "4"}, "rl"),
        ({"prompt": CHAT["messages"]}, "prompt_only"),
        ({"messages": []}, "messages"),
        ({"messages": '[{"role": "user", "content": "a"}]'}, "messages"),
        ({"messages": "just text"}, None),
        ({"text": 3}, None),
        ({"instruction": ["a"], "output": {}}, None),
    ],
)
def test_names_and_shapes_decide_together(row, type):
    matches = detect([row])
    assert (matches[0].type if matches and matches[0].rows else None) == type
    assert mixture([row]) == {type or "unknown": 1}


def test_type_without_fitting_rows_is_a_near_miss_that_says_what_is_missing():
    (near, *_) = detect([{"response": "a"}] * 4)
    assert (near.type, near.rows, near.missing) == ("alpaca", 0, ("`instruction` as text",))
    assert choose([near]) is None
    (finding,) = detection_findings([{"response": "a"}] * 4)
    assert finding.code == "WB512"
    assert "alpaca" in finding.message and "`instruction`" in finding.message


def test_columns_of_wrong_values_are_still_chosen_so_that_conversion_can_name_each_row():
    matches = detect([{"instruction": 3, "output": "b"}])
    assert (matches[0].rows, choose(matches).type) == (0, "alpaca")
    assert "row 0: `instruction` is the number 3" in matches[0].evidence


def test_rare_rows_of_another_type_are_counted_though_the_sample_is_small():
    rows = [CHAT] * 900 + [{"text": "a"}] * 100
    assert mixture(rows) == {"messages": 900, "text": 100}
    (finding,) = detection_findings(rows, sample=50)
    assert (finding.code, finding.severity) == ("WB510", "warning")
    assert "messages in 45, text in 5 of 50" in finding.message
    best = detect(rows, sample=50)[0]
    assert (best.type, best.rows, best.total) == ("messages", 45, 50)
    assert all(i >= 900 for i in best.counter_examples)


def test_one_odd_row_does_not_turn_a_preference_set_into_chats():
    rows = [{**CHAT, "label": True}] * 9 + [{**CHAT, "label": None}]
    assert [m.type for m in detect(rows)][:2] == ["kto", "messages"]


def test_no_rows_have_no_type():
    assert (detect([]), choose([]), mixture([]), detection_findings([])) == ([], None, {}, ())


def test_optional_column_is_not_taken_twice():
    seen = {"input": [shapes_of("a")], "output": [shapes_of("b")]}
    assert guess_columns(seen, "alpaca") == {"instruction": "input", "output": "output"}
    seen["instruction"] = [shapes_of(3)]
    assert guess_columns(seen, "alpaca") == {"instruction": "instruction", "output": "output", "input": "input"}
    assert guess_columns(seen, "alpaca", {"output": "input"})["output"] == "input"


def test_column_pairs_are_read_and_checked():
    assert parse_columns("instruction=question, output=answer", "alpaca") == {
        "instruction": "question",
        "output": "answer",
    }
    assert parse_columns(["text=body"], "text") == {"text": "body"}
    assert parse_columns({"text": "body"}, "text") == {"text": "body"}
    for wrong, says in (("instruktion=a", "'instruction'"), ("instruction", "name=column"), ("=a", "name=column")):
        with pytest.raises(DataError, match=says) as caught:
            parse_columns(wrong, "alpaca")
        assert caught.value.code == "WB556"


def test_roles_are_known_in_every_case():
    assert [role_of(name) for name in ("human", "GPT", " User ", "observation", "narrator")] == [
        "user",
        "assistant",
        "user",
        "tool",
        None,
    ]


def test_table_is_consistent():
    for name, entry in FORMATS.items():
        assert entry.required, name
        for column in entry.columns:
            assert set(column.shapes) <= set(SHAPES), (name, column.name)
        assert bool(entry.instead) != entry.supported, name


def test_every_type_and_column_is_in_the_documentation():
    page = (DOCS / "dataset-types.md").read_text(encoding="utf-8")
    for name, entry in FORMATS.items():
        section = re.search(rf"^### `{name}`\n(.*?)(?=^##|\Z)", page, re.DOTALL | re.MULTILINE)
        assert section, f"docs/dataset-types.md has no section {name}"
        for column in entry.columns:
            assert f"`{column.name}`" in section[1], (name, column.name)
            for alias in column.aliases:
                assert f"`{alias}`" in section[1], (name, alias)


def test_every_code_of_this_layer_is_in_the_documentation():
    page = (DOCS / "findings.md").read_text(encoding="utf-8")
    headings = set(re.findall(r"^#+ (WB5\d\d)\b", page, re.MULTILINE))
    source = Path(__file__).resolve().parent.parent.parent / "workbench" / "rows"
    used = {
        code for path in source.glob("*.py") for code in re.findall(r'"(WB\d{3})"', path.read_text(encoding="utf-8"))
    }
    assert len(used) >= 40
    assert used <= headings


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "type"),
    [
        ("dpo/chat_preferences.jsonl", "dpo"),
        ("dpo/intel_orca_format.jsonl", "dpo"),
        ("dpo/llamafactory_dpo.json", "dpo"),
        ("kto/kto_messages_label.json", "kto"),
        ("messages/xtuner_gsm8k.jsonl", "rl"),
        ("rl/open_instruct_rlvr.jsonl", "rl"),
        ("ms_swift/multi_modal_2.jsonl", "vision"),
        ("ms_swift/sharegpt.jsonl", "conversation_pairs"),
        ("oasst/oasst_messages_flat.jsonl", "oasst_flat"),
        ("pretokenized/conversation_llama.json", "pretokenized"),
        ("prm/trl_stepwise.jsonl", "prm"),
        ("prm/prm800k_samples.jsonl", None),
        ("tools/bfcl_live_simple.jsonl", None),
        ("ms_swift/swift_pre.jsonl", None),
    ],
)
def test_real_rows_of_other_types_are_recognised_and_not_taken_for_another(shared, name, type):
    rows = open_source(shared / "testdata" / "datasets" / name).rows
    assert mixture(rows) == {type or "unknown": len(rows)}
    assert [f.code for f in detection_findings(rows)] == ["WB511" if type else "WB512"]
