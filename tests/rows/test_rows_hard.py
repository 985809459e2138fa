"""What `testdata/hard/INDEX.json` expects of every file about rows and encodings."""

from pathlib import Path

import pytest

from workbench.errors import DataError
from workbench.rows.convert import convert_all
from workbench.rows.detect import choose, detect, detection_findings, mixture
from workbench.rows.files.load import open_source

COPIES = Path(__file__).resolve().parent.parent / "data" / "hard"


@pytest.fixture(params=["copies", pytest.param("originals", marks=pytest.mark.shared)])
def folder(request) -> Path:
    if request.param == "copies":
        return COPIES
    return request.getfixturevalue("shared") / "testdata" / "hard"


def opened(path):
    source = open_source(path)
    match = choose(detect(source.rows))
    return source, match, list(convert_all(source.rows, match.type, match.columns))


def by_row(converted):
    return [{f.code for f in findings} for _, findings in converted]


def usable(converted):
    return [example is not None for example, _ in converted]


@pytest.mark.parametrize("name", ["bom_utf8.jsonl", "crlf.jsonl", "jsonl_named_json.json"])
def test_bom_crlf_and_wrong_suffix_give_two_clean_rows(folder, name):
    source, match, converted = opened(folder / name)
    assert (len(source.rows), match.type, source.findings) == (2, "messages", ())
    assert usable(converted) == [True, True]
    assert list(source.rows[0]) == ["messages"]
    assert "\r" not in str(list(source.rows)) and "\ufeff" not in str(list(source.rows))
    assert [source.line_of(i) for i in range(2)] == [1, 2]


def test_bad_line_is_named_and_blank_lines_are_not_rows(folder):
    source, _, converted = opened(folder / "blank_lines_and_comment.jsonl")
    assert usable(converted) == [True, True]
    assert [(f.code, f.severity, f.line) for f in source.findings] == [("WB501", "error", 4)]
    assert "# a comment" in source.findings[0].message
    assert [source.line_of(i) for i in range(2)] == [2, 5]


def test_empty_file_has_no_rows_and_says_so(folder):
    source = open_source(folder / "empty.jsonl")
    assert len(source.rows) == 0
    assert [f.code for f in source.findings] == ["WB506"]
    assert "empty.jsonl" in source.findings[0].message
    assert (detect(source.rows), mixture(source.rows), detection_findings(source.rows)) == ([], {}, ())


def test_mixture_is_reported_with_counts(folder):
    rows = open_source(folder / "mixed_schemas.jsonl").rows
    assert mixture(rows) == {"messages": 1, "sharegpt": 1, "alpaca": 1, "dpo": 1, "text": 1}
    (finding,) = detection_findings(rows)
    assert finding.code == "WB510"
    assert "messages in 1, sharegpt in 1, alpaca in 1, dpo in 1, text in 1 of 5 rows" in finding.message


def test_missing_and_empty_fields(folder):
    _, match, converted = opened(folder / "missing_fields.jsonl")
    assert match.type == "alpaca"
    assert match.counter_examples == (1, 2)
    assert by_row(converted) == [set(), {"WB520"}, {"WB520"}, {"WB523"}]
    assert [findings[0].field for _, findings in converted[1:3]] == ["output", "instruction"]


def test_null_absent_and_empty_content(folder):
    _, match, converted = opened(folder / "null_content.jsonl")
    assert match.type == "messages"
    assert by_row(converted) == [{"WB521"}, {"WB521"}, {"WB520"}, {"WB521"}, {"WB523", "WB531"}]
    assert not any(usable(converted))
    assert converted[2][1][0].field == "messages[1].content"


def test_empty_and_one_sided_conversations(folder):
    _, _, converted = opened(folder / "empty_conversation.jsonl")
    assert by_row(converted) == [{"WB530"}, {"WB531"}, {"WB532"}, {"WB531"}]
    assert usable(converted) == [False, False, True, False]


def test_same_role_twice_is_flagged_and_kept(folder):
    _, _, converted = opened(folder / "two_users_in_a_row.jsonl")
    assert by_row(converted) == [{"WB533"}, {"WB533"}]
    assert usable(converted) == [True, True]


def test_values_that_are_not_text_are_flagged_with_their_types(folder):
    _, match, converted = opened(folder / "string_numbers_bools.jsonl")
    assert (match.type, match.rows) == ("alpaca", 0)
    assert by_row(converted) == [{"WB522"}, {"WB522"}]
    said = " ".join(f.message for _, findings in converted for f in findings)
    for kind in ("the number 42", "the boolean true", "a list of 2", "an empty object"):
        assert kind in said


@pytest.mark.parametrize(
    "name", ["emoji_zwj_rtl.jsonl", "special_token_injection.jsonl", "html_js_content.jsonl", "thinking.jsonl"]
)
def test_odd_text_is_kept_as_it_is(folder, name):
    source, _, converted = opened(folder / name)
    assert all(usable(converted)) and by_row(converted) == [set()] * len(converted)
    for row, (example, _) in zip(source.rows, converted, strict=True):
        assert [m["content"] for m in example.messages] == [m["content"] for m in row["messages"]]
    if name == "thinking.jsonl":
        assert converted[1][0].messages[1]["reasoning_content"] == "add"


def test_whitespace_is_kept_and_an_answer_of_only_whitespace_is_flagged(folder):
    source, _, converted = opened(folder / "whitespace_edges.jsonl")
    assert by_row(converted) == [set(), {"WB524"}, set(), set()]
    for row, (example, _) in zip(source.rows, converted, strict=True):
        assert [m["content"] for m in example.messages] == [m["content"] for m in row["messages"]]


def test_arguments_and_tools_as_values_or_text_read_alike(folder):
    _, _, converted = opened(folder / "tool_calls_dict_vs_string.jsonl")
    as_values, as_text = (example for example, _ in converted)
    assert by_row(converted) == [set(), {"WB540"}]
    assert as_values.tools == as_text.tools
    assert as_values.messages[1]["tool_calls"] == as_text.messages[1]["tool_calls"]
    assert as_values.messages[1]["tool_calls"][0]["function"]["arguments"] == {"city": "Paris", "n": 1}


def test_typed_content_is_read_and_an_image_that_is_not_there_is_refused(folder):
    source, _, converted = opened(folder / "typed_content.jsonl")
    assert usable(converted) == [True, False, False]
    assert converted[0][0].messages[0]["content"] == "hi"
    as_text = list(convert_all(source.rows, "messages", {}))
    assert usable(as_text) == [True, False, False]
    assert by_row(as_text) == [set(), {"WB538"}, {"WB522"}]


def test_flags_of_both_spellings(folder):
    _, _, converted = opened(folder / "train_flags.jsonl")
    assert [example.train for example, _ in converted] == [(None, False, None, True)] * 2


def test_repeated_text_keeps_apart_where_it_came_from(folder):
    _, _, converted = opened(folder / "repeated_text_mask_trap.jsonl")
    fields = [m["content"].runs[0].origin.field for m in converted[0][0].messages]
    assert fields == [f"messages[{i}].content" for i in range(4)]


def test_messages_as_json_text(folder):
    _, match, converted = opened(folder / "messages_as_json_string.parquet")
    assert (match.type, match.rows) == ("messages", 1)
    assert usable(converted) == [True, False, False]
    assert by_row(converted) == [set(), {"WB521"}, {"WB525"}]
    assert [m["content"] for m in converted[0][0].messages] == ["Hi", "Hello!"]


def test_quoted_csv(folder):
    source, match, converted = opened(folder / "quoted_csv.csv")
    assert (match.type, source.findings, usable(converted)) == ("alpaca", (), [True, True])
    assert source.rows[0] == {"instruction": "multi\nline", "input": 'with "quotes"', "output": "a,b"}
    assert converted[1][0].messages[0]["content"] == "no input"
    assert [source.line_of(i) for i in range(2)] == [2, 4]


def test_configs_are_not_rows(folder):
    with pytest.raises(DataError, match="is a config, not rows"):
        open_source(folder / "config_colon_value.yaml")


@pytest.mark.shared
def test_one_megabyte_message_loads_whole(shared):
    source, match, converted = opened(shared / "testdata" / "hard" / "one_megabyte_message.jsonl.gz")
    assert (match.type, usable(converted)) == ("messages", [True, True])
    assert max(len(m["content"]) for m in converted[0][0].messages) == 1_000_000
    assert source.bytes < 200_000
