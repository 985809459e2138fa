"""What is trained: the stop rule on the formats people use, the policies, the row's own flags."""

from __future__ import annotations

from typing import Any

import pytest

from tests.templates.conversations import Talk, conversation
from tests.tokens.tiny_tokenizer import tiny_tokenizer
from workbench.templates import registry
from workbench.tokens.encode import special_ids
from workbench.tokens.examples import Setting, tokenize
from workbench.tokens.mask import MaskPolicy, mask
from workbench.types import (
    IGNORE,
    Conversation,
    Encoding,
    Finding,
    PromptCompletion,
    Reason,
    Rendered,
    Segments,
    Text,
    TokenizedExample,
    TrainOn,
)

TALK = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "How can I help you?"},
    {"role": "user", "content": "Can you add 3+5?"},
    {"role": "assistant", "content": "The answer is 8."},
]
"""The four turns that axolotl's documentation masks."""

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n'"
    " + m.content | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% for m in messages %}{% set role = 'model' if m.role == 'assistant' else m.role %}"
    "{{ '<start_of_turn>' + role + '\n' + m.content | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}"
    "{% else %}{{ ' ' + m.content + eos_token }}{% endif %}{% endfor %}"
)
VICUNA = (
    "{% for m in messages %}{% if m.role == 'user' %}{{ 'USER: ' + m.content + '\n' }}"
    "{% else %}{{ 'ASSISTANT: ' + m.content + '\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT: ' }}{% endif %}"
)
CHATML_TOKENS = ("<|im_start|>", "<|im_end|>")


def setting(template: str | None, tokenizer: Any, train_on: TrainOn = "assistant", **more: Any) -> Setting:
    tokens = {"bos_token": tokenizer.bos_token or "", "eos_token": tokenizer.eos_token or ""}
    info = None if template is None else registry.info("tried", template, "a test", tokens)
    return Setting(tokenizer, info, train_on, **more)


def chatml(train_on: TrainOn = "assistant", **more: Any) -> Setting:
    return setting(CHATML, tiny_tokenizer(*CHATML_TOKENS, eos="<|im_end|>"), train_on, **more)


def one(example: Any, using: Setting) -> TokenizedExample:
    (made,) = tokenize([example], using)
    assert isinstance(made, TokenizedExample), made
    return made


def spans(made: TokenizedExample, tokenizer: Any) -> list[str]:
    """Runs of trained tokens, decoded."""
    found: list[list[int]] = []
    for at, label in enumerate(made.labels):
        if label != IGNORE:
            assert label == made.input_ids[at]
            if at and made.labels[at - 1] != IGNORE:
                found[-1].append(label)
            else:
                found.append([label])
    return [tokenizer.decode(ids, skip_special_tokens=False) for ids in found]


def trained(messages: list[dict[str, Any]], using: Setting, **flags: Any) -> list[str]:
    talk = conversation(Talk(messages))
    return spans(one(Conversation(talk.row, talk.messages, None, **flags), using), using.tokenizer)


def reasons(made: TokenizedExample) -> list[tuple[str, Reason]]:
    """Text of each run of tokens with one reason."""
    found: list[tuple[int, int, Reason]] = []
    for (start, end), reason in zip(made.offsets, made.reasons, strict=True):
        if found and found[-1][2] is reason:
            found[-1] = (found[-1][0], max(end, found[-1][1]), reason)
        else:
            found.append((start, end, reason))
    return [(str.__str__(made.rendered.text)[start:end], reason) for start, end, reason in found]


STOPS = {
    "chatml": (CHATML, CHATML_TOKENS, "<|im_end|>", None, "{}<|im_end|>"),
    "chatml, eos is another token": (CHATML, CHATML_TOKENS, "<|endoftext|>", None, "{}<|im_end|>"),
    "llama3": (LLAMA3, ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"), "<|eot_id|>", "<s>", "{}<|eot_id|>"),
    "llama3 base": (LLAMA3, ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"), "<end>", "<s>", "{}<|eot_id|>"),
    "gemma, stop is not eos": (GEMMA, ("<start_of_turn>", "<end_of_turn>"), "<eos>", "<bos>", "{}<end_of_turn>"),
    "mistral": (MISTRAL, (), "</s>", "<s>", " {}</s>"),
    "no stop token": (VICUNA, (), "</s>", None, "{}"),
}


@pytest.mark.parametrize("case", STOPS)
def test_an_answer_is_trained_with_the_token_that_ends_it(case):
    template, specials, eos, bos, answer = STOPS[case]
    using = setting(template, tiny_tokenizer(*specials, eos=eos, bos=bos))
    assert trained(TALK, using) == [answer.format(TALK[1]["content"]), answer.format(TALK[3]["content"])]


def test_the_alpaca_template_we_ship_trains_the_response_and_eos():
    tokenizer = tiny_tokenizer(eos="</s>", bos="<s>")
    template = registry.find("alpaca").source
    assert trained(TALK[:2], setting(template, tokenizer)) == ["How can I help you?</s>"]


def test_the_chatml_template_we_ship_trains_what_the_same_template_without_markers_trains():
    tokenizer = tiny_tokenizer(*CHATML_TOKENS, eos="<|im_end|>")
    assert trained(TALK, setting(registry.find("chatml").source, tokenizer)) == trained(
        TALK, setting(CHATML, tokenizer)
    )


def test_eos_goes_before_the_last_special_token():
    template = "{% for m in messages %}{{ m.content }}{% if m.role == 'assistant' %}</s><pad>{% endif %}{% endfor %}"
    using = setting(template, tiny_tokenizer("<pad>", eos="</s>"))
    assert trained(TALK[:2], using) == ["How can I help you?</s>"]


def test_a_stop_token_typed_in_the_answer_is_no_stop():
    assert trained([TALK[0], {"role": "assistant", "content": "a<|im_end|>b"}], chatml()) == ["a<|im_end|>b<|im_end|>"]


POLICIES = {
    "assistant": ["How can I help you?<|im_end|>", "The answer is 8.<|im_end|>"],
    "last_assistant": ["The answer is 8.<|im_end|>"],
    "all": ["".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in TALK)],
}


@pytest.mark.parametrize("train_on", POLICIES)
def test_policies_on_the_four_turns_of_the_documentation(train_on):
    assert trained(TALK, chatml(train_on)) == POLICIES[train_on]


def test_a_flag_of_the_row_goes_before_the_policy():
    assert trained(TALK, chatml(), train=(None, False, None, None)) == ["The answer is 8.<|im_end|>"]
    assert trained(TALK, chatml("last_assistant"), train=(None, True, None, False)) == ["How can I help you?<|im_end|>"]
    assert trained(TALK, chatml(), train=(True, False, False, False)) == ["Hi<|im_end|>"]


def test_a_completion_is_trained_from_its_first_message_on():
    assert trained(TALK, chatml("completion"), completion_from=3) == ["The answer is 8.<|im_end|>"]
    assert trained(TALK, chatml("completion"), completion_from=1) == POLICIES["assistant"]


def test_completion_asked_of_a_conversation_without_one_is_an_error_with_its_row():
    (found,) = tokenize([conversation(Talk(TALK), row=3)], chatml("completion"))
    assert isinstance(found, Finding)
    assert (found.code, found.severity, found.row) == ("WB110", "error", 3)


def test_every_token_says_why():
    made = one(conversation(Talk(TALK)), chatml("last_assistant"))
    assert reasons(made) == [
        ("<|im_start|>user\nHi<|im_end|>\n", Reason.OTHER_ROLE),
        ("<|im_start|>assistant\nHow can I help you?<|im_end|>\n", Reason.EARLIER_TURN),
        ("<|im_start|>user\nCan you add 3+5?<|im_end|>\n", Reason.OTHER_ROLE),
        ("<|im_start|>assistant\n", Reason.HEADER),
        ("The answer is 8.", Reason.ASSISTANT),
        ("<|im_end|>", Reason.STOP),
        ("\n", Reason.AFTER_STOP),
    ]


def test_template_text_the_model_must_write_is_trained_and_named():
    template = CHATML.replace(
        "m.content + '<", "('<think>\n\n</think>\n\n' if m.role == 'assistant' else '') + m.content + '<"
    )
    using = setting(template, tiny_tokenizer(*CHATML_TOKENS, eos="<|im_end|>"))
    made = one(conversation(Talk(TALK[:2])), using)
    assert spans(made, using.tokenizer) == ["<think>\n\n</think>\n\nHow can I help you?<|im_end|>"]


def test_generation_markers_decide_where_a_template_has_them():
    template = (
        "{% for m in messages %}<{{ m.role }}>{% generation %}{{ m.content[4:] }}{% endgeneration %}<e>{% endfor %}"
    )
    using = setting(template, tiny_tokenizer("<e>", eos="<e>"))
    assert trained(TALK, using) == ["can I help you?", "answer is 8."]
    assert trained(TALK, setting(template, using.tokenizer, "last_assistant")) == ["answer is 8."]
    assert trained(TALK, using, train=(None, False, None, None)) == ["answer is 8."]


INTERRUPTED = (
    "{% for m in messages %}{% if m.role == 'assistant' %}<a>{{ m.content }}<r>"
    "{{ messages[loop.index0 + 1].content }}</r>{% elif m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}"
)


def test_an_answer_with_a_tool_result_in_its_middle_is_refused_without_markers():
    talk = conversation(Talk([*TALK[:2], {"role": "tool", "content": "8"}]), row=5)
    using = setting(INTERRUPTED, tiny_tokenizer("<a>", "<r>", "</r>", eos="</s>"))
    (found,) = tokenize([talk], using)
    assert isinstance(found, Finding)
    assert (found.code, found.row) == ("WB111", 5)
    marked = INTERRUPTED.replace("{{ m.content }}<r>", "{% generation %}{{ m.content }}{% endgeneration %}<r>")
    assert trained([*TALK[:2], {"role": "tool", "content": "8"}], setting(marked, using.tokenizer)) == [
        "How can I help you?"
    ]


def test_a_mask_is_not_misled_by_text_that_looks_like_a_sentinel():
    """Masks found by searching the text break on these (formats.md, 3): ours looks at origins only."""
    for answer in (
        "[[1, 2], [3, 4]]",
        "Answer: [[7]]",
        "[[dummy_message]]",
        "Hi",
        "user\nHi",
        "<|im_start|>assistant\n",
    ):
        assert trained([TALK[0], {"role": "assistant", "content": answer}], chatml()) == [answer + "<|im_end|>"]


def test_reasoning_of_earlier_turns_does_not_move_the_mask():
    template = (
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.reasoning_content and loop.last %}"
        "{{ '<think>\n' + m.reasoning_content + '\n</think>\n\n' }}{% endif %}"
        "{{ m.content + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    talk = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "reasoning_content": "R1", "content": "A1"},
        {"role": "user", "content": "b"},
        {"role": "assistant", "reasoning_content": "R2", "content": "A2"},
    ]
    using = setting(template, tiny_tokenizer(*CHATML_TOKENS, eos="<|im_end|>"))
    assert trained(talk, using) == ["A1<|im_end|>", "<think>\nR2\n</think>\n\nA2<|im_end|>"]


def test_segments_are_tokenized_together_and_labelled_apart():
    """The row of axolotl's documentation; its pieces are not tokenized one by one, so no space is doubled."""
    tokenizer = tiny_tokenizer("<s>", "</s>", eos="</s>")
    pieces = (("<s>Hello\n", True), ("hi there!. ", False), ("goodbye ", False), ("farewell</s>", True))
    made = one(Segments(0, pieces), setting(None, tokenizer))
    text = "".join(piece for piece, _ in pieces)
    assert list(made.input_ids) == tokenizer(text, add_special_tokens=False)["input_ids"]
    assert spans(made, tokenizer) == ["<s>Hello\n", "farewell</s>"]
    assert set(made.reasons) == {Reason.SEGMENT, Reason.SEGMENT_OFF}


def test_a_token_over_the_border_of_two_segments_is_trained():
    tokenizer = tiny_tokenizer()
    made = one(Segments(0, (("on ", False), ("the", True))), setting(None, tokenizer))
    assert tokenizer.convert_ids_to_tokens(made.input_ids) == ["on", "Ġthe"]
    assert spans(made, tokenizer) == [" the"]


def test_prompt_and_completion_are_one_text_with_eos_behind_it():
    tokenizer = tiny_tokenizer(eos="</s>")
    made = one(PromptCompletion(0, "x = ", "7"), setting(None, tokenizer))
    assert spans(made, tokenizer) == ["7</s>"]
    assert reasons(made) == [("x = ", Reason.PROMPT), ("7</s>", Reason.COMPLETION)]
    assert spans(one(PromptCompletion(0, "x = ", "7</s>"), setting(None, tokenizer)), tokenizer) == ["7</s>"]
    whole = setting(None, tokenizer, "all")
    assert spans(one(PromptCompletion(0, "x = ", "7"), whole), tokenizer) == ["x = 7</s>"]


def test_text_is_trained_whole_with_the_bos_its_tokenizer_adds():
    tokenizer = tiny_tokenizer(bos="<s>", eos="</s>", adds_bos=True)
    made = one(Text(0, "once"), setting(None, tokenizer))
    assert spans(made, tokenizer) == ["<s>once</s>"]
    made = one(PromptCompletion(0, "once", "upon"), setting(None, tokenizer))
    assert spans(made, tokenizer) == ["upon</s>"]
    assert (made.reasons[0], made.offsets[0]) == (Reason.SPECIAL_ADDED, (0, 0))


def test_a_conversation_gets_no_bos_beside_the_one_its_template_writes():
    tokenizer = tiny_tokenizer(bos="<s>", eos="</s>", adds_bos=True)
    made = one(conversation(Talk(TALK[:2])), setting(MISTRAL, tokenizer))
    assert made.input_ids.count(tokenizer.bos_token_id) == 1


def test_a_token_without_characters_behind_the_text_is_masked():
    """An EOS that a tokenizer adds is reported at character 0."""
    rendered = Rendered(0, "ab", one(Text(0, "ab"), setting(None, tiny_tokenizer())).rendered.turns)
    made = mask(rendered, Encoding((5, 6, 7), ((0, 1), (1, 2), (0, 0))), MaskPolicy("assistant", frozenset(), None))
    assert made.labels == (5, 6, IGNORE)
    assert made.reasons == (Reason.ALL, Reason.ALL, Reason.SPECIAL_ADDED)


def test_max_length_cuts_the_end_and_counts_what_it_cut():
    full = one(conversation(Talk(TALK)), chatml())
    cut = one(conversation(Talk(TALK)), chatml(max_length=20))
    assert (cut.input_ids, cut.labels, cut.reasons) == (full.input_ids[:20], full.labels[:20], full.reasons[:20])
    assert cut.truncated == len(full.input_ids) - 20


def test_rows_that_fail_stand_as_findings_among_the_others():
    bad = Conversation(1, ({"content": "no role"},))
    made = list(tokenize([conversation(Talk(TALK), 0), bad, Text(2, "t"), conversation(Talk(TALK), 3)], chatml()))
    assert [type(item).__name__ for item in made] == [
        "TokenizedExample",
        "Finding",
        "TokenizedExample",
        "TokenizedExample",
    ]
    assert (made[1].row, made[1].code) == (1, "WB102")
    assert made[0].input_ids == made[3].input_ids


def test_a_conversation_without_template_is_a_finding():
    (found,) = tokenize([conversation(Talk(TALK))], setting(None, tiny_tokenizer()))
    assert isinstance(found, Finding)
    assert found.code == "WB107"


def test_special_ids_are_those_of_named_and_added_tokens():
    tokenizer = tiny_tokenizer("<a>", "<b>", eos="</s>")
    assert special_ids(tokenizer) == {0, 1, 2}
