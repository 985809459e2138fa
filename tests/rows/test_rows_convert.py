import pytest
from converted import SUPPORTED, codes, origin, plain
from row_origins import assert_origins_hold

from workbench.rows.convert import CONVERTERS, convert
from workbench.rows.formats import FORMATS
from workbench.types import PromptCompletion, Segments, Text, TokenIds


def test_every_supported_type_has_a_converter():
    assert set(CONVERTERS) == set(SUPPORTED)


@pytest.mark.parametrize("name", SUPPORTED)
def test_example_row_of_the_table_converts_without_findings(name):
    row = FORMATS[name].example
    example, findings = convert(row, 3, name, {})
    assert findings == ()
    assert example.row == 3
    assert assert_origins_hold(row, example) > 0 or isinstance(example, TokenIds)


def test_messages_keep_roles_contents_and_paths():
    row = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!", "name": "Bo"}]}
    example, findings = convert(row, 7, "messages", {})
    assert findings == ()
    assert plain(example.messages) == row["messages"]
    content = example.messages[1]["content"]
    assert (origin(content).field, origin(content).message, origin(content).key) == (
        "messages[1].content",
        1,
        "content",
    )
    assert origin(example.messages[0]["role"]).field == "messages[0].role"
    assert origin(example.messages[1]["name"]).key == "name"
    assert (example.tools, example.train, example.completion_from) == (None, (), None)


def test_sharegpt_roles_are_mapped_and_keep_where_they_came_from():
    spellings = ["system", "human", "gpt", "user", "chatgpt", "prompter", "bing", "tool", "assistant"]
    row = {"conversations": [{"from": who, "value": f"text {i}"} for i, who in enumerate(spellings)]}
    example, findings = convert(row, 0, "sharegpt", {})
    roles = ["system", "user", "assistant", "user", "assistant", "user", "assistant", "tool", "assistant"]
    assert [m["role"] for m in example.messages] == roles
    assert findings == ()
    assert origin(example.messages[1]["role"]).field == "conversations[1].from"
    assert origin(example.messages[1]["role"]).key == "role"
    assert origin(example.messages[1]["content"]).field == "conversations[1].value"


def test_system_column_becomes_the_first_message_and_shifts_the_others():
    row = {"system": "Be brief.", "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}
    example, _ = convert(row, 0, "sharegpt", {})
    assert [m["role"] for m in example.messages] == ["system", "user", "assistant"]
    assert origin(example.messages[0]["content"]).field == "system"
    assert (origin(example.messages[1]["content"]).field, origin(example.messages[1]["content"]).message) == (
        "conversations[0].value",
        1,
    )


def test_alpaca_joins_instruction_and_input_and_each_keeps_its_field():
    row = {"system": "Be brief.", "instruction": "Add.", "input": "2, 2", "output": "4"}
    example, findings = convert(row, 0, "alpaca", {})
    assert findings == ()
    assert [m["role"] for m in example.messages] == ["system", "user", "assistant"]
    user = example.messages[1]
    assert user["content"] == "Add.\n\n2, 2"
    assert [(run.length, run.origin.field, run.origin.key) for run in user["content"].runs] == [
        (4, "instruction", "content"),
        (2, None, "template"),
        (4, "input", "content"),
    ]
    assert (user["instruction"], user["input"]) == ("Add.", "2, 2")
    assert (origin(user["instruction"]).key, origin(user["input"]).key) == ("instruction", "input")


@pytest.mark.parametrize("extra", [{}, {"input": ""}, {"input": None}, {"system": None}, {"system": ""}])
def test_alpaca_without_input_or_system_has_only_the_instruction(extra):
    example, findings = convert({"instruction": "Add.", "output": "4", **extra}, 0, "alpaca", {})
    assert findings == ()
    assert [(m["role"], m["content"]) for m in example.messages] == [("user", "Add."), ("assistant", "4")]
    assert example.messages[0]["input"] == ""


def test_alpaca_history_becomes_earlier_rounds():
    row = {"instruction": "c", "output": "d", "history": [["a", "b"]]}
    example, _ = convert(row, 0, "alpaca", {})
    assert [(m["role"], m["content"]) for m in example.messages] == [
        ("user", "a"),
        ("assistant", "b"),
        ("user", "c"),
        ("assistant", "d"),
    ]
    assert origin(example.messages[1]["content"]).field == "history[0][1]"


def test_columns_say_which_column_is_which():
    row = {"question": "2+2?", "answer": "4", "input": "not this"}
    columns = {"instruction": "question", "output": "answer"}
    example, _ = convert(row, 0, "alpaca", {**columns, "input": "nowhere"})
    assert [m["content"] for m in example.messages] == ["2+2?", "4"]
    assert origin(example.messages[1]["content"]).field == "answer"
    taken, _ = convert({"input": "2+2?", "output": "4"}, 0, "alpaca", {"instruction": "input"})
    assert taken.messages[0]["content"] == "2+2?"


def test_prompt_completion_as_text_and_as_messages():
    example, _ = convert({"prompt": "The sky is", "completion": " blue."}, 0, "prompt_completion", {})
    assert isinstance(example, PromptCompletion)
    assert (example.prompt, example.completion) == ("The sky is", " blue.")
    row = {"prompt": [{"role": "user", "content": "a"}], "completion": [{"role": "assistant", "content": "b"}]}
    example, findings = convert(row, 0, "prompt_completion", {})
    assert findings == ()
    assert (example.completion_from, len(example.messages)) == (1, 2)
    assert origin(example.messages[1]["content"]).field == "completion[0].content"
    assert origin(example.messages[1]["content"]).message == 1


def test_prompt_and_completion_of_different_kinds_are_refused():
    row = {"prompt": "a", "completion": [{"role": "assistant", "content": "b"}]}
    example, findings = convert(row, 0, "prompt_completion", {})
    assert example is None
    assert codes(findings, "error") == ["WB522"]


def test_completion_without_an_assistant_message_trains_nothing():
    row = {"prompt": [{"role": "assistant", "content": "a"}], "completion": [{"role": "user", "content": "b"}]}
    example, findings = convert(row, 0, "prompt_completion", {})
    assert example is None
    assert codes(findings, "error") == ["WB531"]


def test_segments_keep_their_labels():
    row = {"segments": [{"label": False, "text": "<s>2+2? "}, {"label": True, "text": "4</s>"}]}
    example, _ = convert(row, 0, "input_output", {})
    assert isinstance(example, Segments)
    assert example.segments == (("<s>2+2? ", False), ("4</s>", True))
    assert origin(example.segments[1][0]).field == "segments[1].text"


@pytest.mark.parametrize(
    ("segments", "code"),
    [
        ([{"label": False, "text": "a"}], "WB531"),
        ([], "WB531"),
        ([{"label": "true", "text": "a"}], "WB537"),
        ([{"text": "a"}], "WB520"),
        ([{"label": True}], "WB520"),
        ([{"label": True, "text": 3}], "WB522"),
        ("nothing", "WB525"),
    ],
)
def test_unusable_segments_are_named(segments, code):
    example, findings = convert({"segments": segments}, 0, "input_output", {})
    assert example is None
    assert codes(findings, "error") == [code]


def test_text_is_kept_whole():
    example, findings = convert({"text": "  a\n"}, 0, "text", {})
    assert (example, findings) == (Text(0, "  a\n"), ())


@pytest.mark.parametrize(
    ("row", "type"),
    [
        ({"text": ""}, "text"),
        ({"prompt": "a", "completion": ""}, "prompt_completion"),
        ({"instruction": "a", "output": ""}, "alpaca"),
    ],
)
def test_empty_target_text_is_an_error(row, type):
    example, findings = convert(row, 0, type, {})
    assert example is None
    assert codes(findings, "error") == ["WB523"]
