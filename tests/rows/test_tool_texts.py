"""Conversations with calls written as one text, function-calling questions, and what becomes of tools and calls."""

import json
import re

import pytest
from converted import codes, origin, plain
from hypothesis import given, settings
from hypothesis import strategies as st
from row_origins import assert_origins_hold, leaves

from tests.fuzz_scale import examples
from workbench.rows.convert import convert
from workbench.rows.files.load import open_source
from workbench.rows.literals import Unreadable, ValueReader
from workbench.tracked import track
from workbench.types import Origin, PromptOnly, TemplateInfo

SCHEMA = {"name": "weather", "description": "The weather.", "parameters": {"type": "object", "properties": {}}}
HEAD = "You are a helpful assistant with access to the following functions. Use them if required -"


def glaive(turns, tools=()):
    """A row as glaive function calling v2 has them: four spaces of indent, arguments as an object in single quotes."""
    system = f"SYSTEM: {HEAD}\n" + "\n\n".join(json.dumps(tool, indent=4, ensure_ascii=False) for tool in tools) + "\n"
    text = ""
    for role, said in turns:
        if role == "call":
            arguments = json.dumps(said["arguments"], ensure_ascii=False)
            said = f'<functioncall> {{"name": {json.dumps(said["name"])}, "arguments": \'{arguments}\'}}'
        mark = {"user": "USER", "tool": "FUNCTION RESPONSE"}.get(role, "ASSISTANT")
        text += f"{mark}: {said}" + (" <|endoftext|>" if mark == "ASSISTANT" else "") + "\n\n\n"
    return {"system": system, "chat": text + "\n"}


CALL = {"name": "weather", "arguments": {"city": "L'Aquila", "days": 2}}
ROW = glaive(
    [("user", "Weather?\nUSER wants it."), ("assistant", "Where?"), ("user", "L'Aquila"), ("call", CALL),
     ("tool", '{"sky": "blue"}'), ("assistant", "Blue.")],
    [SCHEMA, {**SCHEMA, "name": "other"}],
)  # fmt: skip


def test_a_glaive_row_becomes_messages_calls_and_tools():
    example, findings = convert(ROW, 0, "glaive_text", {})
    assert findings == ()
    assert [m["role"] for m in example.messages] == [
        "system",
        "user",
        "assistant",
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    assert [m["content"] for m in example.messages] == [
        HEAD, "Weather?\nUSER wants it.", "Where?", "L'Aquila", None, '{"sky": "blue"}', "Blue."
    ]  # fmt: skip
    assert plain(example.messages[4]["tool_calls"]) == [{"type": "function", "function": CALL}]
    assert plain(example.tools) == [
        {"type": "function", "function": SCHEMA},
        {"type": "function", "function": {**SCHEMA, "name": "other"}},
    ]
    city = example.messages[4]["tool_calls"][0]["function"]["arguments"]["city"]
    (run,) = city.runs
    assert (run.origin.field, run.origin.message, run.origin.key) == ("chat", 4, "tool_calls")
    assert ROW["chat"][run.start : run.start + run.length] == "L'Aquila"
    assert origin(example.tools[1]["function"]["name"]).field == "system"
    assert assert_origins_hold(ROW, example) > 0


def test_a_row_without_line_breaks_is_read_at_its_marks():
    row = {key: " ".join(text.split()) for key, text in ROW.items()}
    row["chat"] = row["chat"].replace("USER wants it.", "")
    example, findings = convert(row, 0, "glaive_text", {})
    assert findings == ()
    assert len(example.messages) == 7 and len(example.tools) == 2
    assert plain(example.messages[4]["tool_calls"])[0]["function"] == CALL


def test_a_mark_in_the_middle_of_a_line_is_kept_as_text_and_named():
    example, findings = convert({"chat": "USER: what is ASSISTANT: for?\nASSISTANT: It marks."}, 0, "glaive_text", {})
    assert [(f.code, f.severity, f.field) for f in findings] == [("WB590", "warning", "chat")]
    assert "at character 14" in findings[0].message
    assert [m["content"] for m in example.messages] == ["what is ASSISTANT: for?", "It marks."]


def test_text_before_a_call_stays_the_content_and_several_calls_are_read():
    first, second = '{"name": "f", "arguments": {}}', '{"name": "g", "arguments": "{\\"a\\": 1}"}'
    two = f"Let me. <functioncall> {first} <functioncall> {second}"
    example, findings = convert({"chat": f"USER: a\nASSISTANT: {two}"}, 0, "glaive_text", {})
    assert findings == ()
    assert example.messages[1]["content"] == "Let me."
    assert [c["function"] for c in plain(example.messages[1]["tool_calls"])] == [
        {"name": "f", "arguments": {}},
        {"name": "g", "arguments": {"a": 1}},
    ]


CALLING = "USER: a\nASSISTANT: <functioncall> "


@pytest.mark.parametrize(
    ("text", "code", "at"),
    [
        ("no marks", "WB590", "no marks"),
        ("hello USER: a\nASSISTANT: b", "WB590", "hello"),
        ("USER: a\nASSISTANT: b <|endoftext|> c\nUSER: d", "WB590", "c\nUSER: d"),
        ("USER: is ASSISTANT: a word? ASSISTANT: b", "WB590", "ASSISTANT: b"),
        (CALLING + "get weather", "WB591", "get weather"),
        (CALLING + "{'name': f}", "WB591", "f}"),
        (CALLING + '{"name": "f", "arguments": \'{"a": 1\'}', "WB591", "'}"),
        (CALLING + '{"name": "f", "arguments": "[1"}', "WB591", '"}'),
        (CALLING + '{"arguments": {}}', "WB591", "<functioncall> {"),
        (CALLING + '{"name": "f", "arguments": [1]}', "WB591", "<functioncall> {"),
        (CALLING + '{"name": "f", "name": "g"}', "WB591", '"name": "g"'),
        (CALLING + '{"name": "f"} and more', "WB591", "and more"),
    ],
)
def test_what_cannot_be_read_names_its_character(text, code, at):
    example, findings = convert({"chat": text}, 4, "glaive_text", {})
    assert example is None
    errors = [f for f in findings if f.severity == "error"]
    assert {(f.code, f.row, f.field) for f in errors} == {(code, 4, "chat")}
    assert f"at character {text.rindex(at)}:" in errors[0].message and errors[0].remedy


def test_functions_that_are_no_json_are_named_with_the_system_column():
    example, findings = convert(
        {**ROW, "system": 'SYSTEM: Use - {"name": "f", "parameters": {...}}'}, 0, "glaive_text", {}
    )
    assert example is None
    assert [(f.code, f.field) for f in findings] == [("WB591", "system")]


def test_a_system_text_without_functions_is_kept_whole():
    example, _ = convert({**ROW, "system": "SYSTEM: Write {curly} words."}, 0, "glaive_text", {})
    assert (example.messages[0]["content"], example.tools) == ("Write {curly} words.", None)


HERMES = """```
SYSTEM: You call. <tools></tools> are tags.
<tools>[{"name": "add", "parameters": {"type": "object"}}]</tools>
Answer in JSON.
USER: 2+2?
ASSISTANT: Let me add.
<tool_call>
{'arguments': {'a': 2, 'ok': True, 'none': None, 'text': "it's"}, 'name': 'add'}
</tool_call>
<tool_call>{"name": "add", "arguments": {}}</tool_call>
TOOL: <tool_response>
4
</tool_response><tool_response>0</tool_response>
ASSISTANT: Four.
```
"""


def test_a_hermes_text_becomes_messages_calls_and_tools():
    example, findings = convert({"example": HERMES}, 0, "hermes_text", {})
    assert findings == ()
    assert [(m["role"], m["content"]) for m in example.messages] == [
        ("system", "You call. <tools></tools> are tags.\n\nAnswer in JSON."),
        ("user", "2+2?"),
        ("assistant", "Let me add."),
        ("tool", "4"),
        ("tool", "0"),
        ("assistant", "Four."),
    ]
    arguments = {"a": 2, "ok": True, "none": None, "text": "it's"}
    assert plain(example.messages[2]["tool_calls"])[0]["function"] == {"arguments": arguments, "name": "add"}
    assert plain(example.tools)[0]["function"]["name"] == "add"
    assert assert_origins_hold({"example": HERMES}, example) > 0


@pytest.mark.parametrize(
    "broken",
    [
        HERMES.replace("</tool_call>\n<", "\n<"),
        HERMES.replace("</tools>\nAnswer", "\nAnswer"),
        HERMES.replace("'add'}", "add}"),
        HERMES.replace("4\n</tool_response><tool_response>0</tool_response>", "4"),
        HERMES.replace("{}}</tool_call>", "{}}</tool_call> and so on"),
    ],
)
def test_a_hermes_text_with_a_broken_call_or_tag_is_refused(broken):
    example, findings = convert({"example": broken}, 0, "hermes_text", {})
    assert example is None
    assert [(f.code, f.field) for f in findings if f.severity == "error"] == [("WB591", "example")]


QUESTION = [[{"role": "user", "content": "2+2?"}]]
ADD = [
    {"name": "add", "parameters": {"type": "dict", "properties": {"a": {"type": "float"}, "type": {"type": "tuple"}}}}
]


def test_a_bfcl_function_without_a_list_around_it_keeps_its_place_in_the_row():
    example, findings = convert({"question": QUESTION, "function": {"name": "f", "description": "d"}}, 0, "bfcl", {})
    assert [finding.code for finding in findings] == []
    (tool,) = example.prompt.tools
    places = {run.origin.field for leaf in leaves(tool) for run in leaf.runs if run.origin.field}
    assert places == {"function.name", "function.description"}


def test_a_bfcl_question_without_an_answer_is_a_prompt_with_tools():
    example, findings = convert({"id": "x", "question": QUESTION, "function": ADD}, 0, "bfcl", {})
    assert findings == () and isinstance(example, PromptOnly)
    assert example.extras == {"id": "x"}
    assert plain(example.prompt.messages) == QUESTION[0]
    parameters = {"type": "object", "properties": {"a": {"type": "number"}, "type": {"type": "array"}}}
    assert plain(example.prompt.tools)[0]["function"]["parameters"] == parameters


@pytest.mark.parametrize(
    "truth",
    [
        [{"add": {"a": [2, "two"], "b": ["it's"], "c": ["", 5], "d": [{"x": [1, 2], "y": ["", 1]}], "e": [[1, 2]]}}],
        ["add(a=2, b=\"it's\", d={'x': 1}, e=[1, 2])"],
    ],
)
def test_a_bfcl_answer_becomes_a_call_with_the_first_values(truth):
    row = {"question": QUESTION, "function": ADD, "ground_truth": truth}
    example, findings = convert(row, 0, "bfcl", {})
    assert findings == ()
    call = plain(example.messages[1]["tool_calls"])[0]["function"]
    assert call == {"name": "add", "arguments": {"a": 2, "b": "it's", "d": {"x": 1}, "e": [1, 2]}}
    assert example.messages[1]["content"] is None
    assert assert_origins_hold(row, example) > 0


def test_bfcl_turns_are_answered_one_by_one():
    row = {"question": QUESTION * 2, "function": ADD, "ground_truth": [["add(a=1)"], [{"add": {"a": [2]}}]]}
    example, _ = convert(row, 0, "bfcl", {})
    assert [m["role"] for m in example.messages] == ["user", "assistant"] * 2
    assert [origin(m["role"]).message for m in example.messages] == [0, 1, 2, 3]
    assert assert_origins_hold(row, example) > 0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"ground_truth": [["f(a=1)"], ["f(a=1)"]]}, "WB592"),
        ({"ground_truth": ["f(1)"]}, "WB592"),
        ({"ground_truth": ["__import__('os').system('x')"]}, "WB592"),
        ({"ground_truth": [{"f": 3}]}, "WB592"),
        ({"ground_truth": []}, "WB592"),
        ({"ground_truth": 3}, "WB522"),
        ({"question": QUESTION * 2}, "WB592"),
        ({"question": []}, "WB530"),
        ({"function": []}, "WB523"),
    ],
)
def test_a_bfcl_row_that_does_not_fit_is_an_error(change, code):
    example, findings = convert({"question": QUESTION, "function": ADD, **change}, 0, "bfcl", {})
    assert example is None
    assert code in codes(findings, "error") and all(f.field for f in findings)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda text: not re.search(r"SYSTEM:|USER:|ASSISTANT:|RESPONSE:|<|\x00", text) and text.strip()
)
VALUES = st.recursive(
    TEXTS | st.integers() | st.booleans() | st.none(), lambda v: st.lists(v, max_size=3), max_leaves=4
)
ARGUMENTS = st.dictionaries(TEXTS, VALUES, max_size=3)
TURNS = st.lists(
    st.tuples(TEXTS, st.one_of(st.none(), st.tuples(TEXTS, ARGUMENTS, TEXTS)), TEXTS), min_size=1, max_size=3
)


@settings(max_examples=examples(300), deadline=None)
@given(TURNS, st.lists(ARGUMENTS, max_size=2))
def test_no_text_of_a_glaive_row_is_lost(rounds, tools):
    turns = []
    for asked, call, answer in rounds:
        turns.append(("user", asked))
        if call:
            turns += [("call", {"name": call[0], "arguments": call[1]}), ("tool", call[2])]
        turns.append(("assistant", answer))
    schemas = [{"name": "f", "parameters": tool} for tool in tools]
    example, findings = convert(glaive(turns, schemas), 0, "glaive_text", {})
    assert example is not None, findings
    said = [
        ("call", plain(m["tool_calls"])[0]["function"]) if "tool_calls" in m else (m["role"], str(m["content"]))
        for m in example.messages[1:]
    ]
    assert said == [(role, text.strip() if isinstance(text, str) else text) for role, text in turns]
    assert [tool["function"] for tool in plain(example.tools or ())] == schemas
    for leaf in leaves(example.messages):
        for run in leaf.runs:
            assert run.origin is not None and (run.origin.field is not None or run.origin.key in ("role", "computed"))


BROKEN = st.lists(
    st.sampled_from(
        ["USER: ", "ASSISTANT: ", "SYSTEM: ", "TOOL: ", "FUNCTION RESPONSE: ", "\n", "<functioncall> ", "<tool_call>",
         "</tool_call>", "<tools>", "</tools>", "<tool_response>", "</tool_response>", "<|endoftext|>", "{", "}", "[",
         "'", '"', '{"name": "f", "arguments": {}}', "{'name': 'f', 'arguments': '{\"a\": 1}'}", "x", "\\", ":", ",",
         "```", "\ud800"]
    ),
    max_size=14,
).map("".join)  # fmt: skip


@settings(max_examples=examples(1500), deadline=None)
@given(BROKEN, BROKEN, st.sampled_from(["glaive_text", "hermes_text"]))
def test_broken_texts_give_a_conversation_or_a_named_error(system, text, type):
    row = {"system": system, "chat": text} if type == "glaive_text" else {"example": text}
    example, findings = convert(row, 1, type, {})
    assert (example is None) == bool(codes(findings, "error"))
    assert all(f.row == 1 and f.field.startswith(tuple(row)) for f in findings)


@settings(max_examples=examples(300), deadline=None)
@given(VALUES | ARGUMENTS, st.sampled_from([json.dumps, repr]), st.booleans())
def test_values_are_read_as_python_and_json_read_them(value, written, ascii):
    text = written(value, ensure_ascii=ascii) if written is json.dumps else written(value)
    text = f"  {text} rest"
    read, end = ValueReader(track(text, Origin("f", 0, "content"))).read()
    assert plain(read) == value and text[end:] == " rest"
    for leaf in leaves(read):
        for run in leaf.runs:
            assert run.origin.field == "f" and 0 <= run.start < len(text)


@pytest.mark.parametrize(
    "text", ["", "{", "[1", "{1: 2}", "nan", "'a", '"\\q"', "[" * 100, "9" * 5000, "f(x)", "{'a' 1}"]
)
def test_what_is_no_value_is_not_read(text):
    with pytest.raises(Unreadable):
        ValueReader(track(text, Origin("f", 0, "content"))).read()


@pytest.mark.shared
def test_glaive_rows_read_alike_as_text_and_as_turns(shared):
    rows = open_source(shared / "testdata" / "datasets" / "tools" / "glaive_toolcall.json").rows
    names = {"human": "user", "gpt": "assistant", "observation": "tool", "function_call": "call"}
    compared = 0
    for row in rows:
        turns = [(names[t["from"]], json.loads(t["value"]) if t["from"] == "function_call" else t["value"])
                 for t in row["conversations"]]  # fmt: skip
        if any(role == "call" and not isinstance(said, dict) for role, said in turns):
            continue
        as_turns, _ = convert(row, 0, "sharegpt", {})
        flat = glaive(turns, json.loads(row["tools"] or "[]"))
        as_text, found = convert(flat, 0, "glaive_text", {})
        assert not codes(found, "error")
        assert plain(as_text.messages[1:]) == [
            {**m, "content": m["content"] and m["content"].strip()} for m in plain(as_turns.messages)
        ]
        assert plain(as_text.tools or ()) == plain(as_turns.tools or ())
        assert assert_origins_hold(flat, as_text) > 0 or "\\" in flat["chat"]
        compared += 1
    assert compared >= 0.9 * len(rows)


@pytest.mark.shared
def test_calls_and_tools_are_written_as_apply_chat_template_writes_them(shared):
    from transformers import AutoTokenizer

    from workbench.templates.render import render

    tokenizer = AutoTokenizer.from_pretrained(shared / "testdata" / "tokenizers" / "qwen2.5")
    template = TemplateInfo("qwen2.5", tokenizer.chat_template, "", "", {})
    hermes, _ = convert({"example": HERMES}, 0, "hermes_text", {})
    for example in (convert(ROW, 0, "glaive_text", {})[0], hermes):
        wanted = tokenizer.apply_chat_template(plain(example.messages), tools=plain(example.tools), tokenize=False)
        assert str(render(example, template).text) == wanted
        assert "<tool_call>\n{" in wanted and "<tools>" in wanted
