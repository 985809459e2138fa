import json
import re
from pathlib import Path

import pytest

from workbench.errors import DataError
from workbench.rows.columns import ROLES, TOOL_CALL, guess_columns, parse_columns, role_of
from workbench.rows.detect import choose, detect, detection_findings, examine, mixture
from workbench.rows.files.load import open_source
from workbench.rows.formats import FORMATS
from workbench.rows.shapes import ANSWERING, ASKING, SHAPES, shapes_of

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
CHAT = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
ASKED = CHAT["messages"][:1]
PICTURE = [{"role": "user", "content": [{"type": "image", "path": "cat.png"}, {"type": "text", "text": "a"}]}]


SHAPED = Path(__file__).resolve().parent.parent / "data" / "shapes"


@pytest.mark.parametrize("name", FORMATS)
def test_example_row_of_every_type_is_detected_as_that_type(name):
    rows = [FORMATS[name].example] * 3
    best, *others = detect(rows)
    # user_defined has the columns of alpaca; only the person who words the formats can mean it
    expected = "alpaca" if name == "user_defined" else name
    assert (best.type, best.rows, best.total, best.counter_examples, best.missing) == (expected, 3, 3, (), ())
    assert (name in {best.type, *(other.type for other in others)}) == (name != "user_defined")
    assert mixture(rows) == {expected: 3}
    asked = [f.code for f in detection_findings(rows)]
    assert asked == (["WB513"] if name == "jeopardy" else []), "only the clues of jeopardy may as well be questions"


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
        ({"text": "a", "messages": CHAT["messages"]}, "messages"),
        ({"prompt": CHAT["messages"]}, "messages"),
        ({"prompt": ASKED}, "prompt_only"),
        ({"messages": ASKED}, "prompt_only"),
        ({"question": "a"}, "prompt_only"),
        ({"messages": ASKED, "ground_truth": "4"}, "rl"),
        ({"problem": "2+2?", "solution": "4"}, "rl"),
        ({"problem": "2+2?", "solution": "Two and two\nare four."}, "alpaca"),
        ({"prompt": ASKED, "reward_model": {"ground_truth": "4"}}, "rl"),
        ({**CHAT, "label": "true"}, "kto"),
        ({**CHAT, "label": 1}, "messages"),
        ({"question": "It is 2+2.", "category": "Sums", "answer": "four"}, "jeopardy"),
        ({"question": "What is 2+2?", "category": "Sums", "answer": "four"}, "alpaca"),
        ({"instruction": "a", "context": "b", "response": "c", "category": "d"}, "alpaca"),
        ({"context": "a", "question": "b", "answer": "c"}, "context_qa"),
        ({"dialogue": "A: hi. B: hi.", "summary": "They greet."}, "summarize"),
        ({"text": "long", "summary": "short"}, "summarize"),
        ({"text": "a", "title": "b", "url": "http://c"}, "text"),
        ({"body": "USER: a\nASSISTANT: b"}, "glaive_text"),
        ({"text": "USER: a\nASSISTANT: b"}, "glaive_text"),
        ({"text": "The marks are USER: and ASSISTANT: here."}, "text"),
        ({"text": "SYSTEM: <tools>[]</tools>\nUSER: a\nASSISTANT: b"}, "hermes_text"),
        ({"prompt": "<|user|>a<|model|>", "generation": "b"}, "metharme"),
        ({"prompt": "a", "generation": "b"}, "alpaca"),
        ({"question": {"problem": "a"}, "label": {"steps": []}}, "prm800k"),
        ({"question": {"text": "a"}, "label": {"name": "b"}}, None),
        ({"question": "a", "image": "cat.png", "answer": "b"}, "vision"),
        ({"question": "a", "image": "no picture here", "answer": "b"}, "alpaca"),
        ({"question": "a", "image": b"\x89PNG", "answer": "b"}, "vision"),
        ({"messages": PICTURE}, "vision"),
        ({"messages": json.dumps(PICTURE)}, "vision"),
        ({"question": "a", "choices": ["b", "c"], "answer": "b"}, "choice"),
        ({"prompt": {"text": "a", "role": "prompter", "replies": []}}, "oasst_tree"),
        ({"response": "a"}, "text"),
        ({"output": "a"}, None),
        ({"messages": []}, "messages"),
        ({"messages": json.dumps(CHAT["messages"])}, "messages"),
        ({"messages": "just text"}, None),
        ({"text": 3}, None),
        ({"instruction": ["a"], "output": {}}, None),
    ],
)
def test_names_and_shapes_decide_together(row, type):
    matches = detect([row])
    assert (matches[0].type if matches and matches[0].rows else None) == type
    assert mixture([row]) == {type or "unknown": 1}


@pytest.mark.parametrize(
    ("name", "type", "columns"),
    [
        (
            "dpo_mix_7k",
            "dpo",
            {
                "chosen": "chosen",
                "rejected": "rejected",
                "chosen_score": "chosen_rating",
                "rejected_score": "rejected_rating",
            },
        ),
        (
            "orca_dpo_pairs",
            "dpo",
            {"chosen": "chosen", "rejected": "rejected", "prompt": "question", "system": "system"},
        ),
        ("kto_mix_15k", "kto", {"completion": "completion", "label": "label", "prompt": "prompt"}),
        ("glaive_v2", "glaive_text", {"chat": "chat", "system": "system"}),
        ("glaive_sharegpt", "sharegpt", {"conversations": "conversations", "tools": "tools"}),
        ("hermes_function_calling", "sharegpt", {"conversations": "conversations", "tools": "tools"}),
    ],
)
def test_row_shapes_of_the_data_sets_people_ask_for_first(name, type, columns):
    rows = open_source(SHAPED / f"{name}.jsonl").rows
    best = detect(rows)[0]
    assert (best.type, best.rows, dict(best.columns)) == (type, len(rows), columns)
    assert mixture(rows) == {type: len(rows)}
    assert [f.code for f in detection_findings(rows)] == []


def test_turns_of_preferences_are_in_the_evidence():
    best = detect(open_source(SHAPED / "dpo_mix_7k.jsonl").rows)[0]
    assert "one turn in 3, several turns in 2" in best.evidence


def test_one_multi_turn_row_among_a_thousand_is_found_and_named():
    single, *_ = open_source(SHAPED / "dpo_mix_7k.jsonl").rows
    multi = open_source(SHAPED / "dpo_mix_7k.jsonl").rows[2]
    (finding,) = detection_findings([single] * 437 + [multi] + [single] * 563)
    assert (finding.code, finding.severity, finding.row) == ("WB514", "info", 437)
    assert finding.message.startswith("1 of 1,001 dpo rows has several turns, where 1,000 have one turn: row 437.")


@pytest.mark.parametrize(
    ("usual", "odd", "says"),
    [
        ({**CHAT}, {"messages": [{"role": "system", "content": "s"}, *CHAT["messages"]]}, "a system message"),
        ({**CHAT}, {**CHAT, "system": "s"}, "a system message"),
        ({**CHAT}, {**CHAT, "tools": [{"name": "f"}]}, "tools"),
        ({**CHAT}, {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]}, "content in parts"),
        ({**CHAT}, {"messages": CHAT["messages"] * 2}, "several turns"),
        ({**CHAT}, {"messages": CHAT["messages"][:1]}, "no answer"),
        (
            {"prompt": "a", "chosen": "b", "rejected": "c"},
            {"chosen": CHAT["messages"], "rejected": CHAT["messages"]},
            "no prompt of its own",
        ),
        ({"query": "a", "response": "b"}, {"query": "a", "response": "b", "history": [["c", "d"]]}, "several turns"),
    ],
)
def test_rows_that_are_built_otherwise_are_named(usual, odd, says):
    found = detection_findings([usual] * 120 + [odd])
    assert any(f.code == "WB514" and f.row == 120 and says in f.message for f in found)


def test_common_structures_are_no_finding():
    rows = [CHAT] * 50 + [{"messages": CHAT["messages"] * 2}] * 50
    assert detection_findings(rows) == ()
    assert "one turn in 50, several turns in 50" in detect(rows)[0].evidence


@pytest.mark.parametrize(
    ("row", "best", "other", "code"),
    [
        (
            {"text": "Great film!", "label": "good"},
            "text",
            "alpaca",
            'columns={"instruction": "text", "output": "label"}',
        ),
        ({"question": "2+2?", "final_answer": 4}, "prompt_only", "alpaca", '"output": "final_answer"'),
        ({"problem": "2+2?", "solution": "4"}, "rl", "alpaca", 'type="alpaca"'),
        ({**CHAT, "ground_truth": "b"}, "rl", "messages", 'type="messages"'),
        ({"question": "It is 2+2.", "category": "Sums", "answer": "four"}, "jeopardy", "alpaca", 'type="alpaca"'),
        ({"messages": ASKED}, "prompt_only", "messages", 'type="messages"'),
        ({**CHAT, "text": "a b"}, "messages", "text", 'type="text"'),
        ({**CHAT, "label": 1}, "messages", "kto", 'columns={"completion": "messages", "label": "label"}'),
        ({"prompt": "a", "completion": "b", "label": 0}, "prompt_completion", "kto", '"completion": "completion"'),
    ],
)
def test_choice_that_only_a_person_can_make_is_asked(row, best, other, code):
    (finding,) = [f for f in detection_findings([row] * 3) if f.code == "WB513"]
    assert finding.severity == "warning"
    assert f"as `{best}` or as `{other}`" in finding.message and "What decides is" in finding.message
    assert f'type="{best}"' in finding.remedy and code in finding.remedy
    if best == "jeopardy":
        return
    assert FORMATS[other].trains in finding.message


@pytest.mark.parametrize(
    "row",
    [
        {"text": "a", "source": "web", "url": "http://b"},
        {"question": "a", "answer": "b"},
        {"messages": ASKED, "ground_truth": "4"},
        {"prompt": ASKED, "extra_info": {"split": "train"}},
        {"prompt": "a", "completion": "b"},
        {**CHAT, "label": 3},
    ],
)
def test_clear_choices_are_not_asked(row):
    assert detection_findings([row] * 3) == ()


def test_answers_without_questions_are_read_as_text_and_asked():
    (finding,) = detection_findings([{"response": "a"}] * 4)
    assert finding.code == "WB513"
    assert "pretraining" in finding.message and "`response`" in finding.message
    assert 'type="text", or after adding the questions as column `instruction`, type="alpaca"' in finding.remedy


def test_type_without_fitting_rows_is_a_near_miss_that_says_what_is_missing():
    (near, *_) = detect([{"output": "a"}] * 4)
    assert (near.type, near.rows, near.missing) == ("alpaca", 0, ("`instruction` as text",))
    assert choose([near]) is None
    (finding,) = detection_findings([{"output": "a"}] * 4)
    assert finding.code == "WB512"
    assert "alpaca" in finding.message and "`instruction`" in finding.message


def test_text_rows_among_image_rows_belong_to_them():
    pictured = {"id": 1, "image": "cat.png", "conversations": [{"from": "human", "value": "<image>\nWhat?"}]}
    rows = [pictured] * 2 + [{"id": 2, "conversations": pictured["conversations"]}] * 8
    detection = examine(rows)
    assert (detection.matches[0].type, detection.matches[0].rows) == ("vision", 10)
    assert [(f.code, f.severity) for f in detection.findings if f.code == "WB510"] == [("WB510", "info")]
    assert "`vision` reads all of them" in detection.findings[0].message


def test_lists_that_python_printed_are_named():
    rows = [{"messages": str(CHAT["messages"])}] * 3 + [CHAT]
    (finding,) = [f for f in detection_findings(rows) if f.code == "WB516"]
    assert (finding.severity, finding.field) == ("error", "messages")
    assert "3 of 4 rows" in finding.message and "ast.literal_eval(row['messages'])" in finding.remedy
    assert detection_findings([{"question": "a", "answer": "[{'role': 1}]"}]) == ()


@pytest.mark.parametrize(
    ("value", "picture"),
    [
        ("cat.png", True),
        ("train2017/000000033471", True),
        ("000000033471", True),
        ("https://example.org/a", True),
        ("data:image/png;base64,iVBORw0KGgo AAA", True),
        ("iVBORw0KGgo" * 12, True),
        ("none", False),
        ("", False),
        ("see figure 3.", False),
        ({"bytes": b"a", "path": None}, True),
        ({"bytes": None, "path": None}, False),
        (b"\x89PNG", True),
    ],
)
def test_what_may_be_a_picture(value, picture):
    assert ("picture" in shapes_of(value)) == picture
    assert ("pictures" in shapes_of([value])) == picture


def test_sample_of_long_rows_is_smaller():
    rows = [{"text": "x" * 1_000_000}] * 300
    assert examine(rows).looked == 64
    assert examine(rows[:10]).looked == 10


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


def test_roles_that_answer_are_those_of_the_role_table():
    assert set(ROLES["assistant"]) | set(ROLES[TOOL_CALL]) == ANSWERING
    assert {spelling for spellings in ROLES.values() for spelling in spellings} == ANSWERING | ASKING


def test_a_chat_of_roles_nobody_knows_may_have_answers():
    rows = [{"messages": [{"role": "customer", "content": "a"}, {"role": "agent", "content": "b"}]}]
    assert detect(rows)[0].type == "messages"


def test_table_is_consistent():
    for name, entry in FORMATS.items():
        assert entry.required, name
        ours = {column.name for column in entry.columns}
        for column in entry.columns:
            assert set(column.shapes) <= set(SHAPES), (name, column.name)
            assert set(column.when) <= set(column.aliases), (name, column.name)
            assert set(column.when.values()) <= set(SHAPES), (name, column.name)
        for column, shape in entry.proofs:
            assert column in ours and shape in SHAPES, name


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
    page = "".join((DOCS / name).read_text(encoding="utf-8") for name in ("findings.md", "errors.md"))
    headings = set(re.findall(r"^#+ (WB5\d\d)\b", page, re.MULTILINE))
    source = Path(__file__).resolve().parent.parent.parent / "workbench" / "rows"
    used = {
        code for path in source.glob("*.py") for code in re.findall(r'"(WB\d{3})"', path.read_text(encoding="utf-8"))
    }
    assert len(used) >= 40
    assert used <= headings
