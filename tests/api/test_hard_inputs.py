"""What `testdata/hard/INDEX.json` expects, the whole way a user goes: data, encode, findings, displays, terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import workbench as wb
from tests.api.hard_rows import COPIES, encoded, findings, trained_text
from tests.tokens.tiny_tokenizer import tiny_tokenizer
from workbench.cli import main
from workbench.errors import TemplateError
from workbench.tokens.encode import token_bytes

PLAIN = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
"""A template for plain text that prints whatever it is given."""

TYPED = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for part in m.content %}{{ part.text }}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
)
PICTURED = [
    {
        "messages": [
            {"role": "user", "content": [{"type": "image", "url": "cat.png"}, {"type": "text", "text": "hi"}]},
            {"role": "assistant", "content": "yo"},
        ]
    }
]
CALLED = "messages[1].tool_calls[0].function"
ALTERNATING = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate, not ' ~ m.role ~ ' at ' ~ loop.index0) }}{% endif %}"
    "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
)

# rows, rows with tokens, codes of findings, exit status of `workbench inspect`
EXPECTED: dict[str, tuple[int, list[int], set[str], int]] = {
    "bom_utf8.jsonl": (2, [0, 1], set(), 0),
    "crlf.jsonl": (2, [0, 1], set(), 0),
    "jsonl_named_json.json": (2, [0, 1], set(), 0),
    "blank_lines_and_comment.jsonl": (2, [0, 1], {"WB501"}, 1),
    "empty.jsonl": (0, [], {"WB506"}, 1),
    "mixed_schemas.jsonl": (5, [3], {"WB510", "WB520"}, 1),
    "missing_fields.jsonl": (4, [0], {"WB520", "WB523"}, 1),
    "null_content.jsonl": (5, [], {"WB520", "WB521", "WB523", "WB531"}, 1),
    "empty_conversation.jsonl": (4, [2], {"WB530", "WB531", "WB532"}, 1),
    "two_users_in_a_row.jsonl": (2, [0, 1], {"WB533"}, 0),
    "string_numbers_bools.jsonl": (2, [], {"WB522"}, 1),
    "emoji_zwj_rtl.jsonl": (3, [0, 1, 2], set(), 0),
    "special_token_injection.jsonl": (5, [0, 1, 2, 3, 4], {"WB122"}, 1),
    "whitespace_edges.jsonl": (4, [0, 1, 2, 3], {"WB524"}, 0),
    "html_js_content.jsonl": (2, [0, 1], set(), 0),
    "tool_calls_dict_vs_string.jsonl": (2, [1], {"WB102", "WB124", "WB540"}, 1),
    "thinking.jsonl": (3, [0, 1, 2], set(), 0),
    "typed_content.jsonl": (3, [0], {"WB510", "WB522", "WB586"}, 1),
    "train_flags.jsonl": (2, [0, 1], set(), 0),
    "repeated_text_mask_trap.jsonl": (2, [0, 1], set(), 0),
    "messages_as_json_string.parquet": (3, [0], {"WB521", "WB525"}, 1),
    "quoted_csv.csv": (2, [0, 1], set(), 0),
}


@pytest.fixture(params=["copies", pytest.param("originals", marks=pytest.mark.shared)])
def folder(request: pytest.FixtureRequest) -> Path:
    if request.param == "copies":
        return COPIES
    return request.getfixturevalue("shared") / "testdata" / "hard"


@pytest.mark.parametrize("name", EXPECTED)
def test_every_file_goes_the_whole_way(folder, name, capsys):
    rows, usable, codes, status = EXPECTED[name]
    data = wb.data(str(folder / name))
    bundle = data._repr_mimebundle_()
    json.dumps(data.to_dict(), allow_nan=False)
    assert "text/html" in (bundle[0] if isinstance(bundle, tuple) else bundle)
    enc = data.encode("chatml", tokenizer="tiny-llama")
    assert (len(enc), enc.usable, {item.code for item in enc.findings}) == (rows, usable, codes)
    json.dumps(enc._repr_mimebundle_(), allow_nan=False)
    for i in range(len(enc)):
        json.dumps(enc[i]._repr_mimebundle_(), allow_nan=False)
    capsys.readouterr()
    assert main(["inspect", str(folder / name), "--template", "chatml", "--json"]) == status
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    printed = [item for line in told for item in line.get("findings", [line.get("finding")])]
    assert {item["code"] for item in printed} == codes
    assert [line["row"] for line in told if line.get("tokens") or line.get("chosen")] == usable
    lines = not name.endswith((".parquet", ".csv"))
    for item in printed:
        assert item["row"] is None or not lines or item["line"] is not None, item


def test_every_finding_of_a_file_with_lines_names_row_and_line():
    enc = encoded(COPIES / "special_token_injection.jsonl")
    assert [(item.row, item.line, item.field) for item in enc.findings] == [
        (0, 1, "messages[0].content"),
        (0, 1, "messages[0].content"),
        (0, 1, "messages[0].content"),
        (4, 5, "messages[0].content"),
        (4, 5, "messages[1].content"),
    ]
    assert [item.line for item in enc[4].findings] == [5, 5]


INJECTED = {
    "chatml": (["<|im_start|>", "<|im_end|>"], [("<|im_end|>", 3), ("<|im_start|>", 1)]),
    "llama3": (["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"], [("<|eot_id|>", 1), ("_header_id|>", 2)]),
    "gemma": (["<start_of_turn>", "<end_of_turn>"], [("<end_of_turn>", 1), ("<start_of_turn>", 1)]),
}


@pytest.mark.parametrize("name", INJECTED)
def test_each_typed_special_token_is_an_error_and_injected_answers_are_never_trained(name):
    specials, expected = INJECTED[name]
    enc = encoded(COPIES / "special_token_injection.jsonl", name, tiny_tokenizer(*specials, bos="<s>", eos="</s>"))
    found = findings(enc, "WB122")
    for text, count in expected:
        assert sum(text in item.message.split("which")[0] for item in found) == count, text
    assert {item.severity for item in found} == {"error"}
    assert sum(item.row == 1 for item in found) == 2  # </s> and <s> of a [INST] prompt
    for i in enc.usable:
        for hidden in ("pwned", "obey", "sure", "in the middle", "[INST]"):
            assert hidden not in trained_text(enc[i])


@pytest.mark.parametrize("name", ["llama3", "gemma", "qwen3", "chatml"])
def test_white_space_that_a_template_strips_is_shown_for_that_template(name):
    tokenizer = tiny_tokenizer("<|im_end|>", "<|im_start|>", "<|eot_id|>", bos="<s>", eos="</s>")
    enc = encoded(COPIES / "whitespace_edges.jsonl", name, tokenizer)
    lost = {(item.row, item.field) for item in findings(enc, "WB125")}
    everything = {(0, 0), (0, 1), (1, 0), (1, 1), (2, 1), (3, 1)}
    expected = {"llama3": everything, "gemma": everything, "qwen3": {(1, 1)}, "chatml": set()}[name]
    assert lost == {(row, f"messages[{message}].content") for row, message in expected}
    for row, given in enumerate(["trailing  ", "\n", " starts with one space", "ends with newline\n"]):
        kept = trained_text(enc[row]).removeprefix("<think>\n\n</think>\n\n")
        assert (given in kept) == ((row, 1) not in expected)
        assert given.strip() in kept


def test_thinking_that_a_template_drops_is_named():
    dropped = findings(encoded(COPIES / "thinking.jsonl", "qwen3"), "WB124")
    assert ("messages[1].content", "'<think>x</think>'") in [
        (item.field, item.message.split(": ")[-1].rstrip(".")) for item in dropped if item.row == 2
    ]
    enc = encoded(COPIES / "thinking.jsonl", "qwen3")
    assert "<think>x" not in enc[2].text and "\ny\n</think>" in enc[2].text
    assert findings(encoded(COPIES / "thinking.jsonl", "chatml"), "WB124") == []


@pytest.mark.parametrize("print_as", ["m.content", "m.content|tojson", "m.content|string|trim"])
def test_a_printed_list_of_parts_is_an_error(print_as):
    found = findings(encoded(PICTURED, PLAIN.replace("m.content", print_as)), "WB123")
    assert (found[0].row, found[0].field, found[0].severity) == (0, "messages[0].content", "error")


def test_templates_that_know_parts_print_their_text():
    enc = encoded(COPIES / "typed_content.jsonl", TYPED)
    assert findings(enc, "WB123") == []
    assert enc[0].text == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nyo<|im_end|>\n"
    field = enc.view_of(0)["tables"]["field"]
    assert any(name and name.startswith("messages[0].content[0]") for name in field)
    refused = findings(encoded(PICTURED, "chatml"), "WB102")
    assert [item.row for item in refused] == [0] and "messages[0].content" in refused[0].remedy


def test_parts_of_text_alone_work_with_templates_that_only_take_text():
    enc = encoded(COPIES / "typed_content.jsonl", PLAIN)
    assert enc[0].text == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nyo<|im_end|>\n"
    assert enc.usable == [0] and findings(enc, "WB123") == findings(enc, "WB102") == []


def test_the_mask_follows_flags_and_not_words():
    enc = encoded(COPIES / "train_flags.jsonl")
    assert [trained_text(enc[i]) for i in (0, 1)] == ["d<|im_end|>"] * 2
    enc = encoded(COPIES / "repeated_text_mask_trap.jsonl")
    assert [trained_text(enc[i]) for i in (0, 1)] == ["hello<|im_end|>" * 2, "user<|im_end|>"]
    roles = enc.view_of(0)
    used = {
        roles["tables"]["field"][field]
        for field, flag in zip(roles["tokens"]["field"], roles["tokens"]["trained"], strict=True)
        if flag
    }
    assert used - {None} == {"messages[1].content", "messages[3].content"}


def test_bytes_of_tokens_are_those_of_the_text():
    enc = encoded(COPIES / "emoji_zwj_rtl.jsonl")
    tokenizer = enc.setting.tokenizer
    special = enc.vocabulary.special_ids
    for row in range(3):
        text = enc[row].text
        spelt = b"".join(
            tokenizer.convert_ids_to_tokens(token).encode()
            if token in special
            else token_bytes(tokenizer, token) or b""
            for token in enc[row].input_ids
        )
        assert spelt == text.encode()
        assert tokenizer.decode(enc[row].input_ids) == text
        shown = enc.view_of(row)["tokens"]
        pieces = [
            bytes.fromhex(raw) if raw else piece.encode()
            for raw, piece in zip(shown["bytes"], shown["text"], strict=True)
        ]
        assert b"".join(pieces) == text.encode()


def test_markup_in_rows_stays_text():
    enc = encoded(COPIES / "html_js_content.jsonl")
    for row in (0, 1):
        html = enc[row]._repr_mimebundle_()["text/html"]
        for hostile in ("<script", "<img", "</textarea", "<style", "<b>bold"):
            assert hostile not in html
    assert "&lt;script&gt;window.__pwned=1&lt;/script&gt;" in enc[0]._repr_mimebundle_()["text/html"]
    assert "&amp;lt;already escaped&amp;gt;" in enc[1]._repr_mimebundle_()["text/html"]


def test_arguments_as_object_and_as_text_render_alike_and_lost_calls_are_named():
    enc = encoded(COPIES / "tool_calls_dict_vs_string.jsonl", "qwen3")
    calls = [enc[row].text.split("<tool_call>")[-1].split("</tool_call>")[0] for row in (0, 1)]
    assert calls[0] == calls[1] == '\n{"name": "get_weather", "arguments": {"city": "Paris", "n": 1}}\n'
    assert [item.row for item in findings(enc, "WB540")] == [1]
    lost = findings(
        encoded(COPIES / "tool_calls_dict_vs_string.jsonl", TYPED.replace("m.content is string", "1")), "WB124"
    )
    assert [(item.row, item.field) for item in lost] == [
        (0, "messages[1].tool_calls[0]"),
        (1, "messages[1].tool_calls[0]"),
    ]


def test_null_is_never_printed_in_silence():
    enc = encoded(COPIES / "null_content.jsonl", PLAIN)
    assert enc.usable == [] and {item.row for item in enc.findings if item.severity == "error"} == {0, 1, 2, 3, 4}
    call = {"type": "function", "function": {"name": "f", "arguments": {"a": None}}}
    asked = [
        {"role": "user", "content": "None?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "None"},
        {"role": "assistant", "content": "None."},
    ]
    printed = encoded([{"messages": asked}], PLAIN)
    (found,) = findings(printed, "WB129")
    assert (found.row, found.field, found.severity) == (0, "messages[1].content", "error")
    assert printed[0].text[int(found.message.split("character ")[1].split(")")[0]) :].startswith("None<|im_end|>")
    looked = encoded([{"messages": asked}], PLAIN.replace("m.content", "m.content or m.tool_calls"))
    assert "'arguments': {}" in looked[0].text and findings(looked, "WB129") == []
    assert [item.field for item in findings(looked, "WB542")] == [f"{CALLED}.arguments.a"]
    assert findings(encoded([{"messages": asked}], "chatml"), "WB102")[0].remedy.startswith(
        "messages[1].content is null"
    )


def test_templates_that_print_null_are_known_by_name():
    call = {"type": "function", "function": {"name": "fetch", "arguments": {"a": "b"}}}
    asked = [
        {"role": "user", "content": "w"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "x", "name": "fetch"},
        {"role": "assistant", "content": "y"},
    ]
    tokenizer = tiny_tokenizer("<|im_end|>", "<|im_start|>", "<|eot_id|>", bos="<s>", eos="</s>")
    said = {}
    for name in wb.templates():
        enc = encoded([{"messages": asked}], name, tokenizer)
        if enc.usable:
            assert bool(findings(enc, "WB129")) == ("None" in enc[0].text), name
            said[name] = "None" in enc[0].text
    assert said["llama3"] and not said["qwen3"]


@pytest.mark.parametrize("template", ["raises.jinja", ALTERNATING])
def test_a_template_that_refuses_is_a_finding_of_that_row_and_the_others_go_on(template, capsys):
    rows = [
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
        {"messages": [{"role": "system", "content": "s"}, {"role": "assistant", "content": "b"}]},
        {"messages": [{"role": "user", "content": "c"}, {"role": "assistant", "content": "d"}]},
    ]
    given = str(COPIES / "templates" / template) if template.endswith(".jinja") else template
    enc = encoded(rows, given)
    words = "System role not supported" if template.endswith(".jinja") else "roles must alternate, not system at 0"
    (found,) = findings(enc, "WB102")
    assert found.row == 1 and "refuses row 1" in found.message and found.message.endswith(words)
    assert enc.usable == [0, 2] and "d" in trained_text(enc[2])
    assert "WB102" in repr(enc[1])


def test_same_role_twice_with_a_template_that_checks():
    enc = encoded(COPIES / "two_users_in_a_row.jsonl", ALTERNATING)
    assert [(item.row, item.line) for item in findings(enc, "WB102")] == [(0, 1), (1, 2)]
    assert "roles must alternate, not user at 1" in findings(enc, "WB102")[0].message
    assert "text/html" in enc._repr_mimebundle_()


def test_a_template_that_does_not_compile_names_its_line(capsys):
    path = COPIES / "templates" / "syntax_error.jinja"
    with pytest.raises(TemplateError, match="at line 1") as caught:
        encoded(COPIES / "crlf.jsonl", str(path))
    assert caught.value.code == "WB101"
    assert main(["inspect", str(COPIES / "crlf.jsonl"), "--template", str(path), "--json"]) == 2
    assert json.loads(capsys.readouterr().err)["code"] == "WB101"


def test_half_an_emoji_reaches_the_terminal_as_its_escape(tmp_path, capsys):
    path = tmp_path / "half.jsonl"
    path.write_text('{"messages": [{"role": "user", "content": "x"}], "\\ud83d": 1}\n{"mess\\ud83dages": 1}\n')
    for extra in ([], ["--json"]):
        assert main(["inspect", str(path), *extra]) == 1
        assert "\\ud83d" in capsys.readouterr().out


def test_templates_stay_a_function_after_their_folder_is_imported():
    import workbench.templates.registry as registry

    assert registry.names() and wb.templates() == sorted(registry.names())
