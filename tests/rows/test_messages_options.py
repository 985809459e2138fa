"""Roles, system messages, thinking, spans and prefills of messages; axolotl's answers are in tests/golden."""

import json
from itertools import groupby
from pathlib import Path

import pytest
from converted import chat, codes, origin, plain
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz_scale import examples
from workbench.options import RowOptions
from workbench.rows.convert import convert
from workbench.rows.formats import FORMATS
from workbench.types import CharSpan, Conversation, PromptOnly

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "axolotl_messages.json").read_text("utf-8"))
WELL = "I'm doing very well, thank you!"
SYSTEM = {"role": "system", "content": "Be brief."}


def read(messages, type="messages", **options):
    return convert({"messages": messages}, 0, type, {}, RowOptions(**options))


def asked(*answers, **more):
    """A question and answers; more keys go to the last answer."""
    said = [{"role": "assistant", "content": answer} for answer in answers]
    said[-1].update(more)
    return [{"role": "user", "content": "q"}, *said]


def detail(*spans):
    return [{"begin_offset": begin, "end_offset": end, "train": train} for begin, end, train in spans]


def trained(example):
    """Characters that are trained by flag, span or role, `|` between those that do not follow each other."""
    flags = example.train or (None,) * len(example.messages)
    chars = []
    for message, flag in zip(example.messages, flags, strict=True):
        for key in ("reasoning_content", "content"):
            chars += _trained_of(message.get(key) or "", message["role"] == "assistant", flag, example.spans)
        chars.append(("", False))
    return "|".join("".join(c for c, _ in run) for on, run in groupby(chars, lambda pair: pair[1]) if on)


def _trained_of(text, by_role, flag, spans):
    for char in [text[i] for i in range(len(text))]:
        (run,) = char.runs
        place = spans.get(run.origin.field)
        if flag is False:
            yield char, False
        elif place is not None:
            yield char, any(span.train for span in place if span.start <= run.start < span.end)
        else:
            yield char, by_role if flag is None else flag


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["name"])
def test_messages_and_trained_characters_are_those_of_axolotl(case):
    options = dict(case["dataset"])
    if "roles" in options:
        options["roles"] = {source: target for target, sources in options["roles"].items() for source in sources}
    example, _ = read(case["messages"], **options)
    if not case["trained"]:
        assert example is None  # axolotl keeps a row that trains nothing
        return
    kept = [{k: m[k] for k in ("role", "content", "reasoning_content") if k in m} for m in plain(example.messages)]
    assert kept == case["turns"]
    assert trained(example) == case["trained"]
    for i, message in enumerate(example.messages):
        assert {run.origin.message for text in message.values() if text for run in text.runs} <= {i}


def test_what_options_say_of_a_role_goes_before_the_built_in_spellings():
    messages = [{"role": "bot", "content": "a"}, {"role": "Customer ", "content": "b"}, *asked("c")[1:]]
    example, findings = read(messages, roles={"bot": "user", "customer": "tool"})
    assert [m["role"] for m in example.messages] == ["user", "tool", "assistant"]
    assert findings == ()
    assert origin(example.messages[0]["role"]).field == "messages[0].role"


def test_a_role_only_the_options_know_is_used_and_warned_of_once():
    messages = [{"role": "judge", "content": "a"}, *asked("b"), {"role": "judge", "content": "c"}]
    example, findings = read(messages, roles={"judge": "critic"})
    assert [m["role"] for m in example.messages] == ["critic", "user", "assistant", "critic"]
    assert [(f.code, f.severity, f.field) for f in findings] == [("WB580", "warning", "messages[0]")]


def test_a_spelling_of_options_may_mean_a_turn_that_only_calls():
    messages = [{"role": "user", "content": "a"}, {"role": "fc", "content": '{"name": "f", "arguments": {}}'}]
    example, _ = read(messages, roles={"fc": "tool_call"})
    assert plain(example.messages[1]["tool_calls"])[0]["function"]["name"] == "f"


WITHOUT_SYSTEM = {
    "messages": chat(("user", "a"), ("assistant", "b")),
    "sharegpt": {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
    "conversation_pairs": {"conversation": [{"human": "a", "assistant": "b"}]},
    "alpaca": {"instruction": "a", "output": "b"},
    "prompt_completion": {"prompt": [{"role": "user", "content": "a"}], "completion": asked("b")[1:]},
    "glaive_text": {"chat": "USER: a\nASSISTANT: b <|endoftext|>"},
    "hermes_text": {"example": "USER: a\nASSISTANT: b"},
    "bfcl": {"question": [[{"role": "user", "content": "a"}]], "function": [{"name": "f"}]},
}


@pytest.mark.parametrize("type", WITHOUT_SYSTEM)
def test_a_default_system_message_moves_every_index(type):
    row = WITHOUT_SYSTEM[type]
    before, _ = convert(row, 0, type, {})
    after, findings = convert(row, 0, type, {}, RowOptions(default_system_message="Be brief."))
    assert findings == ()
    before, after = (item.prompt if isinstance(item, PromptOnly) else item for item in (before, after))
    assert plain(after.messages) == [SYSTEM, *plain(before.messages)]
    system = origin(after.messages[0]["content"])
    assert (system.field, system.message, system.key) == (None, 0, "template")
    for old, new in zip(before.messages, after.messages[1:], strict=True):
        places = [(origin(m["content"]).field, origin(m["content"]).message) for m in (old, new)]
        assert places[0][0] == places[1][0] and places[0][1] + 1 == places[1][1]
    if before.completion_from is not None:
        assert after.completion_from == before.completion_from + 1


@pytest.mark.parametrize("first", [SYSTEM, {"role": "developer", "content": "x"}])
def test_a_conversation_with_instructions_keeps_its_own(first):
    example, _ = read([first, *asked("b")], default_system_message="other")
    assert plain(example.messages)[0] == first


@pytest.mark.parametrize(
    ("type", "row"),
    [
        ("messages", {"messages": [SYSTEM, *asked("b")]}),
        ("messages", {"system": "Be brief.", "messages": asked("b")}),
        ("sharegpt", {"system": "Be brief.", **WITHOUT_SYSTEM["sharegpt"]}),
        ("alpaca", {"system": "Be brief.", **WITHOUT_SYSTEM["alpaca"]}),
        ("glaive_text", {"system": "SYSTEM: Be brief.", **WITHOUT_SYSTEM["glaive_text"]}),
        ("prompt_completion", {"prompt": [SYSTEM, asked("b")[0]], "completion": asked("b")[1:]}),
    ],
)
def test_a_dropped_system_message_moves_every_index(type, row):
    whole, _ = convert(row, 0, type, {})
    example, findings = convert(row, 0, type, {}, RowOptions(drop_system_message=True))
    assert findings == ()
    assert plain(example.messages) == plain(whole.messages)[1:]
    assert [origin(m["content"]).message for m in example.messages] == [0, 1]
    assert origin(example.messages[1]["role"]).message == 1
    assert example.completion_from == (None if type != "prompt_completion" else 1)


def test_thinking_keeps_its_place_in_the_row():
    text = "<think>\n add\n</think>\n\n4"
    example, findings = read(asked(text), split_thinking=True)
    message = example.messages[1]
    assert findings == ()
    for key, said in (("reasoning_content", "add"), ("content", "4")):
        (run,) = message[key].runs
        assert message[key] == said and run.origin.field == "messages[1].content"
        assert text[run.start : run.start + run.length] == said


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<think>a b", "<think> is not closed"),
        ("a</think>b", "no <think> opens it"),
        ("Well. <think>a</think>b", "text stands in front of <think>"),
        ("<reasoning>a</think>b", "<reasoning> is not closed"),
        ("<think>a</think><|begin_of_solution|>b<|end_of_solution|>c", "text stands behind <|end_of_solution|>"),
        ("<think>a</think><|begin_of_solution|>b", "<|begin_of_solution|> is not closed"),
    ],
)
def test_thinking_that_cannot_be_told_from_the_answer_stays(text, why):
    example, findings = read(asked(text), split_thinking=True)
    assert [(f.code, f.severity, f.field) for f in findings] == [("WB585", "warning", "messages[1]")]
    assert why in findings[0].message
    assert example.messages[1]["content"] == text and "reasoning_content" not in example.messages[1]


def test_reasoning_beside_thinking_is_not_overwritten():
    example, findings = read(asked("<think>a</think>b", reasoning_content="c"), split_thinking=True)
    assert codes(findings) == ["WB585"]
    assert (example.messages[1]["reasoning_content"], example.messages[1]["content"]) == ("c", "<think>a</think>b")


def test_spans_are_exclusive_and_stand_at_the_path_of_their_text():
    example, findings = read(asked(WELL, train_detail=detail((0, 8, False), (9, 18, True))))
    assert findings == ()
    assert example.spans == {"messages[1].content": (CharSpan(0, 9, False), CharSpan(9, 19, True))}
    assert set(example.messages[1]) == {"role", "content"}


def test_spans_in_json_text_and_under_the_other_name():
    for value in (detail((9, 18, 1)), json.dumps(detail((9, 18, True)))):
        example, _ = read(asked(WELL, training_detail=value))
        assert trained(example) == " very well"


@pytest.mark.parametrize(
    ("value", "code", "field"),
    [
        (detail((0, 31, True)), "WB581", "[0]"),
        (detail((0, 3, True), (9, 8, True)), "WB581", "[1]"),
        (detail((-1, 3, True)), "WB581", "[0]"),
        (detail((0, 10**5000, True)), "WB581", "[0]"),
        (detail((0, 10, True), (10, 18, False)), "WB582", ""),
        (detail((0, 30, True), (4, 5, False)), "WB582", ""),
        ([{"begin_offset": 0, "train": True}], "WB520", "[0].end_offset"),
        ([{"begin_offset": 0, "end_offset": 3}], "WB520", "[0].train"),
        ([{"begin_offset": 0.5, "end_offset": 3, "train": True}], "WB522", "[0].begin_offset"),
        ([{"begin_offset": True, "end_offset": 3, "train": True}], "WB522", "[0].begin_offset"),
        (detail((0, 3, 0.5)), "WB537", "[0].train"),
        (detail((0, 3, "yes")), "WB537", "[0].train"),
        ([3], "WB522", "[0]"),
        ("nothing", "WB525", ""),
        ({"begin_offset": 0}, "WB522", ""),
    ],
)
def test_spans_that_do_not_fit_name_their_field(value, code, field):
    example, findings = read(asked(WELL, train_detail=value))
    assert example is None
    assert [(f.code, f.severity, f.field) for f in findings] == [(code, "error", f"messages[1].train_detail{field}")]
    assert findings[0].remedy


def test_an_offset_one_too_far_is_told_that_the_end_is_included():
    _, findings = read(asked("four", train_detail=detail((0, 4, True))))
    assert "from character 0 to 4, but the text has 4" in findings[0].message
    assert "not the one behind it" in findings[0].remedy


def test_spans_over_parts_are_cut_where_the_parts_end():
    parts = [{"type": "text", "text": "abc"}, {"type": "text", "text": "def"}, {"type": "text", "text": "ghi"}]
    example, _ = read(asked(parts, train_detail=detail((1, 4, True), (5, 5, False))))
    path = "messages[1].content[{}].text"
    assert example.spans == {
        path.format(0): (CharSpan(1, 3, True),),
        path.format(1): (CharSpan(0, 2, True), CharSpan(2, 3, False)),
        path.format(2): (),
    }
    assert trained(example) == "bcde"


def test_a_part_of_a_user_without_a_flag_is_masked_as_its_role_is():
    parts = [{"type": "text", "text": "a", "train": False}, {"type": "text", "text": "b"}]
    example, _ = read([{"role": "user", "content": parts}, *asked("c")[1:]])
    assert trained(example) == "c"  # axolotl trains "b" as well, because "a" is marked


@pytest.mark.parametrize("flag", [{"weight": 0.5}, {"train": "no"}, {"training": 2}])
def test_a_flag_of_a_part_is_yes_or_no(flag):
    example, findings = read(asked([{"type": "text", "text": "a", **flag}]))
    assert example is None
    name = f"messages[1].content[0].{next(iter(flag))}"
    assert [(f.code, f.field) for f in findings] == [("WB537", name)]
    assert "0 and 1 only" in findings[0].remedy


def test_a_row_whose_marks_switch_everything_off_trains_nothing():
    parts = [{"type": "text", "text": "a", "train": False}]
    for messages in (asked(parts), asked(WELL, train_detail=detail((0, 4, False)))):
        example, findings = read(messages)
        assert example is None
        assert "no character of an assistant message is marked as trained" in findings[-1].message
    assert isinstance(read([*asked(parts), *asked("b")])[0], Conversation)


def test_a_prefill_is_masked_and_the_rest_is_trained():
    example, findings = read(asked('{"city": "Rome"}', prefill='{"city"'))
    assert findings == ()
    assert example.spans == {"messages[1].content": (CharSpan(0, 7, False, "prefill"), CharSpan(7, 16, True))}
    assert "prefill" not in example.messages[1]


def test_a_prefill_that_opens_the_thinking_goes_with_split_thinking():
    example, _ = read(asked("<think>\nadd</think>4", prefill="<think>\na"), split_thinking=True)
    assert trained(example) == "dd4"


@pytest.mark.parametrize(
    ("messages", "code", "said"),
    [
        (asked("four", prefill="five"), "WB584", "from character 1"),
        (asked("fo", prefill="four"), "WB584", "from character 2"),
        ([{"role": "user", "content": "q", "prefill": "q"}, *asked("b")[1:]], "WB584", "role user"),
        (asked("four", prefill=3), "WB522", "the number 3"),
        (asked("four", prefill="fo", train_detail=detail((2, 3, True))), "WB582", "more than one way"),
        (asked([{"type": "text", "text": "a", "train": True}], prefill="a"), "WB582", "more than one way"),
        (asked("four", train_detail=detail((0, 1, True)), training_detail=[]), "WB582", "both"),
    ],
)
def test_a_prefill_or_mark_that_does_not_fit_is_an_error(messages, code, said):
    example, findings = read(messages)
    assert example is None
    assert codes(findings, "error") == [code] and said in findings[0].message


def test_reasoning_in_parts_stands_at_their_paths():
    parts = [{"type": "text", "text": "a", "train": True}, {"type": "text", "text": "b", "train": False}]
    example, findings = read(asked("c", reasoning_content=parts))
    assert [(f.code, f.field) for f in findings] == [("WB583", "messages[1].content")]
    assert trained(example) == "a"


PIECES = st.lists(st.tuples(st.text(max_size=6), st.sampled_from([True, False, None])), min_size=1, max_size=4)


@settings(max_examples=examples(300), deadline=None)
@given(PIECES, st.sampled_from(["", "<think>{}</think>\n", " <reasoning>{}</reasoning>"]), st.booleans())
def test_every_character_is_trained_as_its_part_says(pieces, thinking, split):
    pieces = [(text.replace("\ud800", ""), flag) for text, flag in pieces]
    parts = [{"type": "text", "text": thinking.format("ab")}] if thinking else []
    parts += [{"type": "text", "text": t} | ({} if f is None else {"train": f}) for t, f in pieces]
    example, findings = read(asked(parts, "last"), split_thinking=split)
    if example is None:
        assert codes(findings, "error")
        return
    content = example.messages[1]["content"]
    assert sum(map(len, (text for text, _ in pieces))) + len(thinking.format("ab")) >= len(content)
    for char, on in _trained_of(content, True, None, example.spans):
        path, at = char.runs[0].origin.field, char.runs[0].start
        part = parts[int(path.split("content[")[1].split("]")[0])]
        assert part["text"][at] == char and on == part.get("train", True)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.floats() | st.text(max_size=4) | st.just("four"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from("begin_offset end_offset train weight type text image url content value".split()), inner
        )
    ),
    max_leaves=8,
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system", "agent"]), "content": JUNK},
    optional={
        name: JUNK for name in "train_detail training_detail prefill reasoning_content weight tool_calls".split()
    },
)
OPTIONS = st.sampled_from(
    [{}, {"split_thinking": True}, {"drop_system_message": True}, {"default_system_message": ""}]
).map(lambda options: RowOptions(roles={"agent": "critic"}, **options))


@settings(max_examples=examples(800), deadline=None)
@given(st.lists(MESSAGE, max_size=4), OPTIONS, st.sampled_from(["messages", "sharegpt"]))
def test_odd_messages_give_a_conversation_or_a_named_error(messages, options, type):
    column = FORMATS[type].columns[0].name
    example, findings = convert({column: messages}, 3, type, {}, options)
    assert (example is None) == bool(codes(findings, "error"))
    assert all(f.row == 3 and f.field for f in findings)
    if example is None:
        return
    assert len(example.train) in (0, len(example.messages))
    lengths = {}
    for i, message in enumerate(example.messages):
        for text in message.values():
            for run in getattr(text, "runs", ()):
                assert run.origin.message in (i, None)
                lengths[run.origin.field] = max(lengths.get(run.origin.field, 0), run.start + run.length)
    for path, spans in example.spans.items():
        ends = [edge for span in spans for edge in (span.start, span.end)]
        assert ends == sorted(ends) and all(span.start < span.end for span in spans)
        assert path.startswith(column) and (not ends or ends[-1] <= lengths.get(path, 0) or options.split_thinking)
