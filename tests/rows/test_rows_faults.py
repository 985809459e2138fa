import json
from dataclasses import replace

import pytest
from converted import SUPPORTED, chat, codes, origin, plain
from hypothesis import given, settings
from hypothesis import strategies as st
from row_origins import assert_origins_hold, leaves

from tests.fuzz_scale import examples
from workbench.errors import DataError
from workbench.rows.convert import convert, convert_all
from workbench.rows.detect import choose, detect
from workbench.rows.files.load import open_source
from workbench.rows.formats import FORMATS
from workbench.types import Conversation


@pytest.mark.parametrize(
    ("row", "code", "severity"),
    [
        (chat(), "WB530", "error"),
        (chat(("user", "a")), "WB531", "error"),
        (chat(("system", "a")), "WB531", "error"),
        (chat(("user", "a"), ("assistant", "")), "WB531", "error"),
        (chat(("assistant", "a")), "WB532", "warning"),
        (chat(("user", "a"), ("user", "b"), ("assistant", "c")), "WB533", "warning"),
        (chat(("user", "a"), ("assistant", "b"), ("assistant", "c")), "WB533", "warning"),
        (chat(("user", "a"), ("narrator", "b"), ("assistant", "c")), "WB534", "warning"),
        (chat(("user", "a"), ("system", "b"), ("assistant", "c")), "WB535", "warning"),
        (chat(("user", "a"), ("assistant", "b"), ("user", "c")), "WB536", "info"),
        (chat(("user", ""), ("assistant", "b")), "WB523", "warning"),
        (chat(("user", "a"), ("assistant", " \n")), "WB524", "warning"),
        (chat(("user", "a\x00"), ("assistant", "b")), "WB527", "warning"),
        (chat(("user", "a\ud83d"), ("assistant", "b")), "WB526", "error"),
        (chat(("user", 3), ("assistant", "b")), "WB522", "error"),
        (chat(("user", None), ("assistant", "b")), "WB521", "error"),
        (chat((None, "a"), ("assistant", "b")), "WB521", "error"),
        (chat(("", "a"), ("assistant", "b")), "WB523", "error"),
        ({"messages": [{"content": "a"}, {"role": "assistant", "content": "b"}]}, "WB520", "error"),
        ({"messages": ["a"]}, "WB522", "error"),
        ({"messages": 3}, "WB522", "error"),
        ({"messages": "null"}, "WB521", "error"),
        ({"messages": "[{"}, "WB525", "error"),
        ({}, "WB520", "error"),
    ],
)
def test_each_kind_of_fault_has_its_finding(row, code, severity):
    example, findings = convert(row, 5, "messages", {})
    assert (code, severity) in [(f.code, f.severity) for f in findings]
    assert (example is None) == (severity == "error")
    assert all(f.row == 5 and f.field for f in findings)
    assert all(f.remedy for f in findings if f.severity == "error")


def test_null_content_beside_tool_calls_is_allowed_and_arguments_are_parsed():
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"city": "Paris", "n": 1}'}}
    row = chat(("user", "a"))
    row["messages"] += [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "sunny", "tool_call_id": "1"},
        {"role": "assistant", "content": "Sunny."},
    ]
    example, findings = convert(row, 0, "messages", {})
    assert codes(findings) == ["WB540"]
    assistant = example.messages[1]
    assert assistant["content"] is None
    assert plain(assistant["tool_calls"])[0]["function"]["arguments"] == {"city": "Paris", "n": 1}
    city = assistant["tool_calls"][0]["function"]["arguments"]["city"]
    assert origin(city).field == "messages[1].tool_calls[0].function.arguments.city"
    assert assert_origins_hold(row, example) > 0


def test_bare_calls_and_old_function_call_get_the_usual_shape():
    row = chat(("user", "a"))
    row["messages"] += [
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"x": "y"}'}},
        {"role": "function", "name": "f", "content": "z"},
        {"role": "assistant", "content": "", "tool_calls": '[{"name": "g", "arguments": {}}]'},
    ]
    example, _ = convert(row, 0, "messages", {})
    assert plain(example.messages[1]["tool_calls"]) == [
        {"type": "function", "function": {"name": "f", "arguments": {"x": "y"}}}
    ]
    assert example.messages[2]["role"] == "tool"
    assert plain(example.messages[3]["tool_calls"]) == [
        {"type": "function", "function": {"name": "g", "arguments": {}}}
    ]
    assert_origins_hold(row, example)


def test_function_call_turn_of_sharegpt_becomes_tool_calls():
    row = {
        "conversations": [
            {"from": "human", "value": "Weather?"},
            {"from": "function_call", "value": '{"name": "w", "arguments": {"city": "Rome"}}'},
            {"from": "observation", "value": '{"sky": "blue"}'},
            {"from": "gpt", "value": "Blue."},
        ],
        "tools": '[{"name": "w", "description": "d", "parameters": {"type": "object"}}]',
    }
    example, findings = convert(row, 0, "sharegpt", {})
    assert findings == ()
    assert [m["role"] for m in example.messages] == ["user", "assistant", "tool", "assistant"]
    call = example.messages[1]
    assert plain(call["tool_calls"]) == [{"type": "function", "function": {"name": "w", "arguments": {"city": "Rome"}}}]
    assert call["content"] is None
    assert origin(call["role"]).field == "conversations[1].from"
    assert example.messages[2]["content"] == '{"sky": "blue"}'
    assert plain(example.tools)[0]["function"]["description"] == "d"
    assert_origins_hold(row, example)


def test_function_call_that_is_not_json_stays_text_with_a_warning():
    row = {
        "conversations": [
            {"from": "human", "value": "a"},
            {"from": "function_call", "value": "<tool_call>f</tool_call>"},
        ]
    }
    example, findings = convert(row, 0, "sharegpt", {})
    assert codes(findings) == ["WB541"]
    assert example.messages[1]["content"] == "<tool_call>f</tool_call>"


@pytest.mark.parametrize(
    ("tools", "code"), [("garbage", "WB525"), ([1], "WB522"), ({"name": "f"}, "WB522"), ([{"a": {1: 2}}], "WB522")]
)
def test_garbage_in_tools_is_a_finding(tools, code):
    example, findings = convert({**chat(("user", "a"), ("assistant", "b")), "tools": tools}, 0, "messages", {})
    assert example is None
    assert codes(findings, "error") == [code]


def test_flags_are_read_and_taken_out_of_the_messages():
    row = chat(("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"))
    for message, flag in zip(row["messages"], [{}, {"train": False}, {"weight": None}, {"weight": 1}], strict=True):
        message.update(flag)
    example, findings = convert(row, 0, "messages", {})
    assert findings == ()
    assert example.train == (None, False, None, True)
    assert all(set(message) == {"role", "content"} for message in example.messages)


@pytest.mark.parametrize("flag", [{"weight": 0.5}, {"train": "yes"}, {"train": True, "weight": 0}, {"weight": 2}])
def test_flags_that_are_not_yes_or_no_are_errors(flag):
    row = chat(("user", "a"), ("assistant", "b"))
    row["messages"][1].update(flag)
    example, findings = convert(row, 0, "messages", {})
    assert example is None
    assert codes(findings, "error") == ["WB537"]


def test_row_with_every_answer_switched_off_trains_nothing():
    row = chat(("user", "a"), ("assistant", "b"))
    row["messages"][1]["train"] = False
    example, findings = convert(row, 0, "messages", {})
    assert example is None
    assert "flagged" in findings[0].message
    row["messages"][0]["train"] = True
    assert isinstance(convert(row, 0, "messages", {})[0], Conversation)


def test_content_parts_of_text_become_one_text_that_knows_its_parts():
    parts = [{"type": "text", "text": "hi"}, {"type": "text", "text": ""}, {"type": "input_text", "text": " there"}]
    row = {"messages": [{"role": "user", "content": parts}, *chat(("assistant", "b"))["messages"]]}
    example, findings = convert(row, 0, "messages", {})
    assert findings == ()
    content = example.messages[0]["content"]
    assert content == "hi there"
    assert [(run.length, run.origin.field) for run in content.runs] == [
        (2, "messages[0].content[0].text"),
        (6, "messages[0].content[2].text"),
    ]


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ([{"type": "image", "url": "x"}], "WB538"),
        (["plain"], "WB522"),
        ([{"type": "text", "text": "a", "train": 0.5}], "WB537"),
        ([{"type": "audio", "path": "a.wav"}], "WB538"),
        ([{"type": "text"}], "WB520"),
        ([], "WB523"),
    ],
)
def test_parts_that_cannot_be_read_are_errors(parts, code):
    row = {"messages": [{"role": "user", "content": parts}, {"role": "assistant", "content": "b"}]}
    example, findings = convert(row, 0, "messages", {})
    assert example is None
    assert codes(findings, "error") == [code]


def test_null_keys_of_messages_are_left_out():
    row = chat(("user", "a"), ("assistant", "b"))
    row["messages"][0].update(tool_calls=None, name=None)
    example, _ = convert(row, 0, "messages", {})
    assert set(example.messages[0]) == {"role", "content"}


def test_nesting_without_end_is_a_finding():
    deep: dict = {}
    for _ in range(500):
        deep = {"a": deep}
    row = chat(("user", "a"), ("assistant", "b"))
    row["messages"][1]["extra"] = deep
    example, findings = convert(row, 0, "messages", {})
    assert example is None
    assert codes(findings, "error") == ["WB528"]


def test_unknown_types_are_refused_by_name():
    with pytest.raises(DataError, match="'alpaca'"):
        convert({}, 0, "alpcaa", {})


KEYS = """role content from value tool_calls function name arguments type text label train weight messages""".split()

JUNK = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 3),
        st.floats(allow_nan=True),
        st.text(max_size=8),
        st.sampled_from(["[", "{}", "[]", "null", "[1]", '{"name": "f"}', "\ud800", "\x00", "human", "function_call"]),
        st.binary(max_size=3),
        st.dates(),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=4,
        ),
        st.dictionaries(st.integers(0, 2), inner, max_size=1),
    ),
    max_leaves=12,
)


@st.composite
def broken_rows(draw):
    """The example row of a type, with some of its parts replaced by junk, dropped or added."""
    name = draw(st.sampled_from(SUPPORTED))
    row = json.loads(json.dumps(FORMATS[name].example))
    for column in FORMATS[name].columns:
        if not column.required and draw(st.booleans()):
            row[column.name] = draw(JUNK)
    for _ in range(draw(st.integers(0, 3))):
        place = row
        while isinstance(place, dict | list) and place:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = draw(st.sampled_from(keys))
            if not isinstance(place[key], dict | list) or not place[key] or draw(st.integers(0, 3)) == 0:
                place[key] = draw(JUNK)
                break
            if isinstance(place[key], dict) and draw(st.integers(0, 3)) == 0:
                names = ["tool_calls", "function_call", "train", "weight", "tools", "name", "reasoning_content", "x"]
                place[key][draw(st.sampled_from(names))] = draw(JUNK)
            place = place[key]
    return name, row


@settings(max_examples=examples(1500), deadline=None)
@given(broken_rows())
def test_malformed_rows_never_raise_and_never_give_a_half_example(case):
    name, row = case
    example, findings = convert(row, 2, name, {})
    assert (example is None) == bool(codes(findings, "error"))
    if example is None:
        return
    assert_origins_hold(row, example)
    assert all(leaf != "None" for leaf in leaves(example))
    for leaf in leaves(example):
        leaf.encode("utf-8")
    if isinstance(example, Conversation):
        json.dumps([example.messages, example.tools])
        for message in example.messages:
            assert isinstance(message["role"], str) and message["role"]
            if message["content"] is None:
                assert message["tool_calls"]
            else:
                assert isinstance(message["content"], str | list)


@settings(max_examples=examples(300), deadline=None)
@given(st.sampled_from(SUPPORTED), JUNK, JUNK)
def test_rows_that_are_not_rows_are_findings(name, first, second):
    for row in (first, {FORMATS[name].columns[0].name: second}):
        example, findings = convert(row, 0, name, {})
        assert (example is None) == bool(codes(findings, "error"))


@settings(max_examples=examples(300), deadline=None)
@given(
    st.lists(st.text(min_size=1, max_size=20).filter(lambda t: t.isprintable() and t.strip()), min_size=2, max_size=6)
)
def test_every_character_maps_back_to_the_row(texts):
    row = {
        "system": texts[0],
        "conversations": [
            {"from": ("human", "gpt")[i % 2], "value": text, "a.b": {"c[0]": text}} for i, text in enumerate(texts)
        ],
        "tools": json.dumps([{"name": text, "parameters": {text: text}} for text in texts]),
    }
    example, _ = convert(row, 0, "sharegpt", {})
    assert assert_origins_hold(row, example) >= sum(map(len, texts)) * 3


REAL = """alpaca/axolotl_alpaca.json alpaca/identity_alpaca.json completion/c4_demo.jsonl containers/fastchat_20.arrow
containers/fastchat_20.parquet containers/gsm8k_20.csv containers/gsm8k_20.feather.arrow containers/gsm8k_20.jsonl.gz
containers/gsm8k_20.tsv dolly/dolly_fixture.json gsm8k/gsm8k_train.jsonl messages/tinker_conversations.jsonl
messages/torchtitan_sft.json ms_swift/alpaca.csv ms_swift/alpaca2.csv ms_swift/conversations.jsonl
ms_swift/swift_multi.jsonl ms_swift/swift_single.jsonl oumi/alpaca_format.json oumi/alpaca_format.jsonl
sharegpt/axolotl_conversation.json sharegpt/fastchat_dummy.json template_free/axolotl_input_output.jsonl
ms_swift/sharegpt.jsonl tools/hermes_few_shot.json tools/bfcl_live_simple.jsonl
tools/glaive_toolcall.json vision/vision_language_oumi_format.jsonl""".split()

TYPES = {
    "alpaca": "alpaca", "completion": "text", "dolly": "alpaca", "gsm8k": "alpaca", "oumi": "alpaca",
    "sharegpt": "sharegpt", "template_free": "input_output", "tools": "sharegpt", "vision": "vision",
    "tools/hermes_few_shot.json": "hermes_text", "tools/bfcl_live_simple.jsonl": "bfcl",
    "messages/tinker_conversations.jsonl": "messages", "messages/torchtitan_sft.json": "alpaca",
    "ms_swift": "alpaca", "ms_swift/sharegpt.jsonl": "conversation_pairs", "ms_swift/conversations.jsonl": "sharegpt",
    "containers/fastchat_20.arrow": "sharegpt", "containers/fastchat_20.parquet": "sharegpt", "containers": "alpaca",
}  # fmt: skip


@pytest.mark.shared
@pytest.mark.parametrize("name", REAL)
def test_every_real_row_is_an_example_or_has_findings(shared, name):
    source = open_source(shared / "testdata" / "datasets" / name)
    match = choose(detect(source.rows))
    assert match.type == TYPES.get(name, TYPES.get(name.split("/")[0]))
    assert (match.rows, source.findings) == (len(source.rows), ())
    examples = refused = characters = 0
    for row, (example, findings) in zip(source.rows, convert_all(source.rows, match.type, match.columns), strict=True):
        if example is None:
            assert codes(findings, "error")
            refused += 1
        else:
            characters += assert_origins_hold(row, example)
            examples += 1
    assert examples + refused == len(source.rows)
    assert refused == 0
    assert bool(characters) == bool(examples)


@pytest.mark.shared
def test_the_same_rows_convert_alike_from_every_container(shared):
    folder = shared / "testdata" / "datasets" / "containers"
    for stem, type in (("gsm8k_20", "alpaca"), ("fastchat_20", "sharegpt")):
        texts = []
        for path in sorted(folder.glob(f"{stem}.*")):
            rows = open_source(path).rows
            columns = detect(rows)[0].columns
            texts.append([plain(replace(e, row=0).messages) for e, _ in convert_all(rows, type, columns)])
        assert len(texts) >= 4
        assert all(text == texts[0] for text in texts)
