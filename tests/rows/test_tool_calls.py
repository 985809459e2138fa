"""Tools and calls as tables and other tools leave them: null keys, other types, calls in Python's words."""

import json

import pytest
from converted import chat, codes, origin, plain
from hypothesis import given, settings
from hypothesis import strategies as st
from row_origins import assert_origins_hold

from tests.fuzz_scale import examples
from workbench.rows.convert import convert


def called(*calls, tools=None):
    row = chat(("user", "a"), ("assistant", "b"))
    row["messages"][1].update(content=None, tool_calls=list(calls))
    return {**row, "tools": tools} if tools else row


def schema(properties, **more):
    return {
        "type": "function",
        "function": {"name": "f", "parameters": {"type": "object", "properties": properties}, **more},
    }


CITY = {"type": "string", "description": None, "enum": ["a", None]}


def test_keys_that_arrow_filled_with_null_are_left_out_and_named():
    tools = [schema({"city": CITY, "rows": None, "default": None}, strict=None)]
    call = {
        "id": None,
        "type": "function",
        "function": {"name": "f", "arguments": {"city": "x", "rows": None, "at": [{"y": None}]}},
    }
    example, findings = convert(called(call, tools=tools), 0, "messages", {})
    assert plain(example.tools) == [schema({"city": {"type": "string", "enum": ["a", None]}})]
    arguments = {"city": "x", "at": [{}]}
    assert plain(example.messages[1]["tool_calls"]) == [
        {"type": "function", "function": {"name": "f", "arguments": arguments}}
    ]
    assert [(f.code, f.severity) for f in findings] == [("WB542", "info")] * 2
    said = " ".join(f.message for f in findings)
    for path in ("tools[0].function.parameters.properties.rows", "tool_calls[0].id", "arguments.at[0].y", "has 4 keys"):
        assert path in said


def test_a_null_default_is_kept_and_told_but_a_parameter_of_that_name_is_not():
    tools = [schema({"n": {"type": "integer", "default": None, "const": None}, "default": None})]
    example, findings = convert(called({"name": "f"}, tools=tools), 0, "messages", {})
    assert plain(example.tools)[0]["function"]["parameters"]["properties"] == {
        "n": tools[0]["function"]["parameters"]["properties"]["n"]
    }
    assert [(f.code, f.field.rpartition(".")[2]) for f in findings] == [("WB542", "default"), ("WB543", "default")]
    assert "properties.n.default`, `" in findings[1].message


@pytest.mark.parametrize(
    "value",
    [
        json.dumps([schema({"city": CITY})]),
        [{**schema({}), "function": {"name": "f", "parameters": json.dumps({"a": None})}}],
    ],
)
def test_null_in_json_text_is_the_authors_own(value):
    example, findings = convert(called({"name": "f", "arguments": '{"x": null}'}, tools=value), 0, "messages", {})
    assert codes(findings) == ["WB540"]
    assert "null" in json.dumps(plain(example.tools))
    assert plain(example.messages[1]["tool_calls"])[0]["function"]["arguments"] == {"x": None}


def test_types_of_other_standards_are_renamed_where_types_stand():
    properties = {
        "type": {"type": "float"},
        "a": {"type": "dict", "properties": {"dict": {"type": "string", "enum": ["dict"]}}},
    }
    properties |= {"b": {"anyOf": [{"type": "tuple", "items": {"type": "float"}}, {"type": ["string", "null"]}]}}
    example, findings = convert(called({"name": "f"}, tools=[schema(properties)]), 0, "messages", {})
    renamed = plain(example.tools)[0]["function"]["parameters"]["properties"]
    assert renamed == {
        "type": {"type": "number"},
        "a": {"type": "object", "properties": {"dict": {"type": "string", "enum": ["dict"]}}},
        "b": {"anyOf": [{"type": "array", "items": {"type": "number"}}, {"type": ["string", "null"]}]},
    }
    assert [(f.code, f.severity) for f in findings] == [("WB544", "info")]
    assert origin(example.tools[0]["function"]["parameters"]["properties"]["a"]["type"]).key == "computed"


PYTHON = "Let me see.\n<tool_call>\n{'arguments': {'symbol': 'TSLA', 'live': True}, 'name': 'quote'}\n</tool_call>"


@pytest.mark.parametrize(("type", "keys"), [("messages", ("role", "content")), ("sharegpt", ("from", "value"))])
def test_a_call_in_pythons_quotes_is_trained_as_it_stands_and_named(type, keys):
    role, content = keys
    row = {"messages": [{role: "user", content: "a"}, {role: "assistant", content: PYTHON}]}
    example, findings = convert(row, 0, type, {"conversations": "messages"} if type == "sharegpt" else {})
    assert [(f.code, f.severity, f.field) for f in findings] == [("WB545", "warning", f"messages[1].{content}")]
    assert "quoted as Python" in findings[0].message and "character 12" in findings[0].message
    assert example.messages[1]["content"] == PYTHON and "tool_calls" not in example.messages[1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('<tool_call>{"name": "f", "arguments": {}}</tool_call> <tool_call>[{"name": "g"}]</tool_call>', None),
        ('<tool_call>{"name": "f"}</tool_call><tool_call>f(x)</tool_call>', "is not JSON"),
        ('<tool_call>{"name": "f"}', "is not closed"),
        ("no call", None),
    ],
)
def test_calls_in_the_text_are_looked_at_one_by_one(text, said):
    _, findings = convert(chat(("user", "<tool_call>x</tool_call>"), ("assistant", text)), 0, "messages", {})
    assert codes(findings) == (["WB545"] if said else [])
    assert said is None or said in findings[0].message


def test_functions_column_is_the_tools_of_messages():
    row = {**chat(("user", "a"), ("assistant", "b")), "functions": json.dumps([{"name": "f"}])}
    example, findings = convert(row, 0, "messages", {"tools": "functions"})
    assert findings == () and plain(example.tools) == [{"type": "function", "function": {"name": "f"}}]


VALUES = st.recursive(
    st.none() | st.booleans() | st.text("abc", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "default", "type", "properties"]), inner)
    ),
    max_leaves=8,
)


def nulls(value, path=()):
    """Paths of keys that are null."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        if item is None and isinstance(value, dict):
            yield (*path, key)
        yield from nulls(item, (*path, key))


@settings(max_examples=examples(300), deadline=None)
@given(VALUES, VALUES)
def test_what_is_left_out_is_null_and_nothing_else(arguments, parameters):
    row = called({"name": "f", "arguments": arguments or {}}, tools=[schema({"p": parameters or {}})])
    example, findings = convert(row, 0, "messages", {})
    if example is None:
        assert codes(findings, "error")
        return
    got = plain(example.messages[1]["tool_calls"])[0]["function"]["arguments"]
    assert list(nulls(got)) == []
    assert all(key[-1] in ("default", "const") for key in nulls(plain(example.tools)))

    def pruned(value):
        if isinstance(value, dict):
            return {key: pruned(item) for key, item in value.items() if item is not None}
        return [pruned(item) for item in value] if isinstance(value, list) else value

    assert isinstance(arguments, str) or got == pruned(arguments or {})
    assert assert_origins_hold(row, example) > 0
