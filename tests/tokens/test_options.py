"""What the options train: axolotl's table of `train_on_eos`, roles, marked parts, prefill, stop tokens, images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.templates.conversations import Talk, conversation
from tests.tokens.test_mask import CHATML, CHATML_TOKENS, GEMMA, LLAMA3, MISTRAL, TALK, one, reasons, setting, spans
from tests.tokens.tiny_tokenizer import tiny_tokenizer
from workbench.errors import MaskError
from workbench.options import MaskOptions
from workbench.rows.convert import convert
from workbench.tokens.sequences import sequences
from workbench.tokens.setting import Setting
from workbench.types import IGNORE, CharSpan, Conversation, PromptCompletion, Reason, Segments


def chatml(train_on: Any = "assistant", **options: Any) -> Setting:
    return setting(CHATML, tiny_tokenizer(*CHATML_TOKENS, eos="<|im_end|>"), train_on, options=MaskOptions(**options))


def trained(messages: list[dict[str, Any]], using: Setting, **more: Any) -> list[str]:
    talk = conversation(Talk(messages))
    return spans(one(Conversation(talk.row, talk.messages, None, **more), using), using.tokenizer)


ANSWERS = ("How can I help you?", "The answer is 8.")
END = "<|im_end|>"
TABLE = {
    "turn": [ANSWERS[0] + END, ANSWERS[1] + END],
    "all": [END, ANSWERS[0] + END, END, ANSWERS[1] + END],
    "last": [ANSWERS[0], ANSWERS[1] + END],
    "none": list(ANSWERS),
}
"""Trained strings of axolotl's documentation, as measured (formats.md, 1.3)."""


@pytest.mark.parametrize("ends", TABLE)
def test_axolotls_table_of_stop_tokens(ends):
    assert trained(TALK, chatml(train_on_eos=ends)) == TABLE[ends]


@pytest.mark.parametrize("ends", TABLE)
def test_train_on_inputs_trains_what_every_role_says_and_no_header(ends):
    said = [(TALK[0]["content"], END), (ANSWERS[0], END), (TALK[2]["content"], END), (ANSWERS[1], END)]
    stops = {"turn": (1, 1, 1, 1), "all": (1, 1, 1, 1), "last": (0, 0, 0, 1), "none": (0, 0, 0, 0)}[ends]
    expected = [text + end * kept for (text, end), kept in zip(said, stops, strict=True)]
    assert trained(TALK, chatml(train_on_inputs=True, train_on_eos=ends)) == expected
    made = one(conversation(Talk(TALK)), chatml(train_on_inputs=True, train_on_eos=ends))
    assert Reason.INPUT in made.reasons and Reason.ASSISTANT in made.reasons


def test_a_stop_token_that_is_left_out_says_so():
    made = one(conversation(Talk(TALK[:2])), chatml(train_on_eos="none"))
    found = dict(reasons(made))
    assert found[END] is Reason.STOP_OFF
    assert found["\n"] is Reason.AFTER_STOP


ROLES = {
    "user": ((TALK[0]["content"] + END, TALK[2]["content"] + END), ("user",)),
    "human, as a row may spell it": ((TALK[0]["content"] + END, TALK[2]["content"] + END), ("human",)),
    "both": (tuple(message["content"] + END for message in TALK), ("user", "assistant")),
    "gpt": ((ANSWERS[0] + END, ANSWERS[1] + END), ("gpt",)),
    "nobody here": ((), ("tool",)),
}


@pytest.mark.parametrize("case", ROLES)
def test_roles_to_train(case):
    expected, roles = ROLES[case]
    assert trained(TALK, chatml(roles_to_train=roles)) == list(expected)


def test_a_trained_role_says_so_and_an_untrained_answer_too():
    found = reasons(one(conversation(Talk(TALK[:2])), chatml(roles_to_train=("user",))))
    assert ("Hi", Reason.ROLE) in found and (END, Reason.STOP) in found
    assert ("<|im_start|>assistant\nHow can I help you?<|im_end|>\n", Reason.OTHER_ROLE) in found


def test_the_rows_own_flag_goes_before_the_options():
    flags = (True, False, None, None)
    assert trained(TALK, chatml(), train=flags) == ["Hi" + END, ANSWERS[1] + END]
    assert trained(TALK, chatml(train_on_inputs=True), train=(False, None, False, None)) == [a + END for a in ANSWERS]
    assert trained(TALK, chatml(roles_to_train=("user",)), train=(False, True, None, None)) == [
        ANSWERS[0] + END,
        "Can you add 3+5?" + END,
    ]


def test_train_on_and_the_options_together():
    assert trained(TALK, chatml("last_assistant", train_on_eos="all")) == [END, END, END, ANSWERS[1] + END]
    assert trained(TALK, chatml("last_assistant", train_on_inputs=True)) == [m["content"] + END for m in TALK]
    assert trained(TALK, chatml("last_assistant", roles_to_train=("user", "assistant"))) == [
        "Hi" + END,
        "Can you add 3+5?" + END,
        ANSWERS[1] + END,
    ]
    assert trained(TALK, chatml("completion", roles_to_train=("user", "assistant")), completion_from=2) == [
        "Can you add 3+5?" + END,
        ANSWERS[1] + END,
    ]


def test_prompts_and_segments_under_train_on_inputs():
    tokenizer = tiny_tokenizer(eos="</s>")
    using = setting(None, tokenizer, options=MaskOptions(train_on_inputs=True))
    assert reasons(one(PromptCompletion(0, "x = ", "7"), using)) == [
        ("x = ", Reason.INPUT),
        ("7</s>", Reason.COMPLETION),
    ]
    assert reasons(one(Segments(0, (("a", False), ("b", True))), using)) == [("a", Reason.INPUT), ("b", Reason.SEGMENT)]


def test_a_completion_without_its_stop_token():
    tokenizer = tiny_tokenizer(eos="</s>")
    using = setting(None, tokenizer, options=MaskOptions(train_on_eos="none"))
    assert reasons(one(PromptCompletion(0, "x = ", "7"), using)) == [
        ("x = ", Reason.PROMPT),
        ("7", Reason.COMPLETION),
        ("</s>", Reason.STOP_OFF),
    ]


# Which token ends a turn


def test_a_users_turn_ends_with_the_token_that_ends_answers():
    """`[/INST]` is the last special token of a user's turn, but it asks for the answer and ends nothing."""
    tokenizer = tiny_tokenizer("[INST]", "[/INST]", eos="</s>", bos="<s>")
    for ends in ("turn", "all"):
        using = setting(MISTRAL, tokenizer, options=MaskOptions(train_on_eos=ends))
        assert trained(TALK[:2], using) == [" How can I help you?</s>"]
    using = setting(MISTRAL, tokenizer, options=MaskOptions(train_on_inputs=True))
    assert trained(TALK[:2], using) == ["Hi", " How can I help you?</s>"]


def test_a_stop_token_that_is_not_eos_follows_train_on_eot():
    tokenizer = tiny_tokenizer("<start_of_turn>", "<end_of_turn>", eos="<eos>", bos="<bos>")
    ends = {"turn": "<end_of_turn>", "none": ""}
    for option, end in ends.items():
        for more in ({}, {"eot_tokens": ("<end_of_turn>",)}):
            using = setting(GEMMA, tokenizer, options=MaskOptions(train_on_eot=option, **more))
            assert trained(TALK[:2], using) == ["How can I help you?" + end]
    using = setting(GEMMA, tokenizer, options=MaskOptions(train_on_eos="none", train_on_eot="all"))
    assert trained(TALK[:2], using) == ["<end_of_turn>", "How can I help you?<end_of_turn>"]


BOTH = (
    "{% for m in messages %}{{ '<u>' if m.role == 'user' else '<a>' }}{{ m.content }}"
    "{{ '<eot>' }}{% if m.role == 'assistant' %}{{ '\n</s>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<a>' }}{% endif %}"
)


def test_eos_and_an_eot_token_in_one_turn_are_each_trained_by_their_own_option():
    tokenizer = tiny_tokenizer("<u>", "<a>", "<eot>", eos="</s>")
    cases = {
        ("turn", "turn"): ["How can I help you?<eot>", "</s>"],
        ("none", "turn"): ["How can I help you?<eot>"],
        ("turn", "none"): ["How can I help you?", "</s>"],
        ("turn", "all"): ["<eot>", "How can I help you?<eot>", "</s>"],
    }
    for (eos, eot), expected in cases.items():
        options = MaskOptions(train_on_eos=eos, train_on_eot=eot, eot_tokens=("<eot>",))
        assert trained(TALK[:2], setting(BOTH, tokenizer, options=options)) == expected
    assert trained(TALK[:2], setting(BOTH, tokenizer)) == ["How can I help you?<eot>\n</s>"], "EOS is the stop token"


WRONG = {
    "two tokens": (("<|nope|>",), {}, r"'<\|nope\|>' is \d+ tokens.*\[WB112\]"),
    "never written": (("<pad>",), {}, r"never writes eot token '<pad>'.*\[WB112\]"),
    "eos said twice": (("<|im_end|>",), {"train_on_eot": "none"}, r"say different things.*\[WB113\]"),
}


@pytest.mark.parametrize("case", WRONG)
def test_eot_tokens_that_cannot_be_are_one_error(case):
    tokens, more, message = WRONG[case]
    tokenizer = tiny_tokenizer(*CHATML_TOKENS, "<pad>", eos="<|im_end|>")
    using = setting(CHATML, tokenizer, options=MaskOptions(eot_tokens=tokens, **more))
    with pytest.raises(MaskError, match=message):
        next(sequences([conversation(Talk(TALK))], using))


def test_eot_tokens_need_a_template():
    tokenizer = tiny_tokenizer("<eot>", eos="</s>")
    with pytest.raises(MaskError, match=r"no chat template.*\[WB112\]"):
        next(
            sequences(
                [PromptCompletion(0, "a", "b")], setting(None, tokenizer, options=MaskOptions(eot_tokens=("<eot>",)))
            )
        )


def test_an_eot_token_that_a_template_puts_together_is_found():
    template = CHATML.replace("'<|im_end|>\n'", "('<|' ~ 'im_end' ~ '|>\n')")
    assert "<|im_end|>" not in template
    using = setting(
        template, tiny_tokenizer(*CHATML_TOKENS, eos="</s>"), options=MaskOptions(eot_tokens=("<|im_end|>",))
    )
    assert trained(TALK[:2], using) == ["How can I help you?<|im_end|>"]


# Parts that the row marks

WELL = "I'm doing very well, thank you!"
DETAIL = [TALK[0], {"role": "assistant", "content": WELL}]


def marked(*parts: CharSpan, at: int = 1, key: str = "content") -> dict[str, Any]:
    return {"spans": {f"messages[{at}].{key}": parts}}


def test_axolotls_example_of_trained_characters():
    """train_detail [9, 18], inclusive, of axolotl's documentation."""
    row = {
        "messages": [
            DETAIL[0],
            {
                **DETAIL[1],
                "train_detail": [
                    {"begin_offset": 0, "end_offset": 8, "train": False},
                    {"begin_offset": 9, "end_offset": 18, "train": True},
                    {"begin_offset": 19, "end_offset": 30, "train": False},
                ],
            },
        ]
    }
    example, found = convert(row, 0, "messages", {"messages": "messages"})
    assert example is not None, found
    made = one(example, chatml())
    assert spans(made, chatml().tokenizer) == [" very well", END]
    assert (" very well", Reason.SPAN) in reasons(made)
    assert ("I'm doing", Reason.SPAN_OFF) in reasons(made)


@pytest.mark.parametrize("ends", ["turn", "none"])
def test_only_marked_characters_and_the_stop_token_are_trained(ends):
    kept = marked(CharSpan(9, 19, True))
    assert trained(DETAIL, chatml(train_on_eos=ends), **kept) == [" very well"] + [END] * (ends == "turn")
    assert trained(DETAIL, chatml(train_on_eos=ends), **marked(CharSpan(0, 31, False))) == []
    assert trained(DETAIL, chatml(train_on_eos=ends), **marked()) == [], "listed, and nothing of it marked"


def test_a_token_that_is_only_partly_marked_is_masked():
    tokenizer = tiny_tokenizer(*CHATML_TOKENS, eos=END)
    talk = [TALK[0], {"role": "assistant", "content": "a the lo"}]
    using = setting(CHATML, tokenizer)
    assert tokenizer.tokenize("a the lo") == ["a", "Ġthe", "Ġ", "lo"]
    assert trained(talk, using, **marked(CharSpan(1, 7, True))) == [" the ", END]
    assert trained(talk, using, **marked(CharSpan(2, 8, True))) == [" lo" + END]
    assert trained(talk, using, **marked(CharSpan(0, 3, True), CharSpan(3, 5, True))) == ["a the", END]
    assert trained(talk, using, **marked(CharSpan(0, 3, True), CharSpan(3, 6, False))) == ["a", END]


def test_marked_characters_are_found_behind_strip_and_split():
    template = (
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
        "{{ (m.content.split('|')[-1]) | trim }}{{ '<|im_end|>\n' }}{% endfor %}"
    )
    using = setting(template, tiny_tokenizer(*CHATML_TOKENS, eos=END))
    talk = [TALK[0], {"role": "assistant", "content": "gone|  here it is  "}]
    at = talk[1]["content"].index("it")
    assert trained(talk, using, **marked(CharSpan(at, at + 2, True))) == ["it", END]
    assert trained(talk, using, **marked(CharSpan(0, 4, True))) == [], "marked, but the template drops it"


def test_a_message_flag_goes_before_its_parts_and_parts_before_the_role():
    parts = marked(CharSpan(9, 19, True))
    assert trained(DETAIL, chatml(), train=(None, False), **parts) == []
    assert trained(DETAIL, chatml(), train=(None, True), **parts) == [" very well", END]
    assert trained(TALK[:2], chatml(), **marked(CharSpan(0, 1, True), at=0)) == ["H", END, ANSWERS[0] + END]
    assert trained(TALK, chatml("last_assistant"), **marked(CharSpan(0, 3, True))) == ["How", END, ANSWERS[1] + END]


def test_nothing_else_of_a_marked_message_is_trained():
    template = CHATML.replace("m.content", "'<think>' + (m.reasoning_content or '') + '</think>' + m.content")
    using = setting(template, tiny_tokenizer(*CHATML_TOKENS, eos=END))
    talk = [TALK[0], {"role": "assistant", "content": "a b", "reasoning_content": "r"}]
    assert trained(talk, using)[-1] == "<think>r</think>a b" + END
    assert trained(talk, using, **marked(CharSpan(2, 3, True))) == ["b" + END]
    assert trained(talk, using, **marked(CharSpan(0, 1, True), key="reasoning_content")) == ["r", END]


def test_marked_parts_go_before_the_templates_own_marks():
    template = CHATML.replace(
        "{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}",
        "{{ '<|im_start|>' + m.role + '\n' }}{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}{{ '\n' }}",
    )
    using = setting(template, tiny_tokenizer(*CHATML_TOKENS, eos=END))
    assert trained(DETAIL, using, **marked(CharSpan(9, 19, True))) == [" very well", END]


def test_a_prefill_is_masked_and_the_rest_of_the_answer_trained_as_usual():
    row = {"messages": [TALK[0], {"role": "assistant", "content": "The answer is 8.", "prefill": "The answer"}]}
    example, found = convert(row, 0, "messages", {"messages": "messages"})
    assert example is not None, found
    made = one(example, chatml())
    assert spans(made, chatml().tokenizer) == [" is 8." + END]
    assert ("The answer", Reason.PREFILL) in reasons(made) and (" is 8.", Reason.ASSISTANT) in reasons(made)
    assert one(example, chatml(roles_to_train=("user",))).reasons.count(Reason.PREFILL) == 0


def test_a_prefill_that_ends_inside_a_token_masks_the_whole_token():
    talk = [TALK[0], {"role": "assistant", "content": "a the"}]
    parts = (CharSpan(0, 3, False, "prefill"), CharSpan(3, 5, True))
    made = one(Conversation(0, conversation(Talk(talk)).messages, None, **marked(*parts)), chatml())
    assert spans(made, chatml().tokenizer) == [END]
    assert ("a the", Reason.PREFILL) in reasons(made)


# Images

SEEING = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for p in m.content %}{% if p.type == 'image' %}{{ '<|vision_start|><|pad|><|vision_end|>' }}{% else %}"
    "{{ p.text }}{% endif %}{% endfor %}{% endif %}{{ '<|im_end|>\n' }}{% endfor %}"
)
PICTURE = [
    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What?"}]},
    {"role": "assistant", "content": "on"},
]


@pytest.mark.parametrize("options", [{}, {"train_on_inputs": True}, {"train_on_eos": "all"}])
@pytest.mark.parametrize("train_on", ["assistant", "all"])
def test_tokens_that_stand_for_images_are_never_trained(train_on, options):
    tokens = ("<|vision_start|>", "<|pad|>", "<|vision_end|>")
    tokenizer = tiny_tokenizer(*CHATML_TOKENS, *tokens, eos=END)
    using = setting(SEEING, tokenizer, train_on, options=MaskOptions(**options))
    talk = conversation(Talk(PICTURE))
    made = one(Conversation(0, talk.messages, images=("cat.png",)), using)
    media = [i for i, token in enumerate(made.input_ids) if token in tokenizer.convert_tokens_to_ids(list(tokens))]
    assert [made.reasons[i] for i in media] == [Reason.MEDIA] * 3
    assert all(made.labels[i] == IGNORE for i in media)
    assert made.reasons.count(Reason.MEDIA) == 3
    assert made.trained > 0


def test_a_token_the_tokenizer_names_as_an_image_is_never_trained():
    from transformers import PreTrainedTokenizerFast

    core = tiny_tokenizer("<img>", eos="</s>").backend_tokenizer
    named = {"image_token": "<img>", "boi_token": "not in the vocabulary"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>", extra_special_tokens=named)
    made = one(PromptCompletion(0, "<img>a", "b<img>"), setting(None, tokenizer))
    assert [made.labels[i] for i, reason in enumerate(made.reasons) if reason is Reason.MEDIA] == [IGNORE, IGNORE]


def test_llama3s_table_too():
    tokenizer = tiny_tokenizer("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", eos="<|end|>", bos="<s>")
    for ends, count in (("turn", 2), ("all", 4), ("last", 1), ("none", 0)):
        made = trained(TALK, setting(LLAMA3, tokenizer, options=MaskOptions(train_on_eos=ends)))
        assert sum(text.count("<|eot_id|>") for text in made) == count


GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "axolotl.json").read_text(encoding="utf-8"))
AGREEING = {
    "chatml": (CHATML, [*CHATML_TOKENS], END, None),
    "llama3": (LLAMA3, ["<|start_header_id|>", "<|end_header_id|>"], "<|eot_id|>", "<s>"),
    "mistral": (MISTRAL.replace("' ' + m.content", "m.content"), ["[INST]", "[/INST]"], "</s>", "<s>"),
}


@pytest.mark.parametrize("template", AGREEING)
def test_masks_under_options_are_axolotls_token_for_token(template):
    source, specials, eos, bos = AGREEING[template]
    tokenizer = tiny_tokenizer(*specials, eos=eos, bos=bos)
    compared = 0
    for golden in GOLDEN["masks"]:
        if golden["template"] != template:
            continue
        messages = GOLDEN["talks"][golden["talk"]]
        example, found = convert({"messages": messages}, 0, "messages", {"messages": "messages"})
        if example is None:  # a row that ends with a question is refused before it gets here, unless it is trained
            example = conversation(Talk(messages))
        options = {**golden["options"], "train_on_inputs": bool(golden["options"].get("train_on_inputs"))}
        made = one(example, setting(source, tokenizer, options=MaskOptions.from_keywords(options)))
        where = (template, golden["options"], messages, spans(made, tokenizer), found)
        assert list(made.input_ids) == golden["input_ids"], where
        assert list(made.labels) == golden["labels"], where
        compared += 1
    assert compared == 48
