"""Random options over random conversations and templates: what must hold of every mask."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.templates.conversations import Talk, conversation
from tests.tokens.test_mask import CHATML, CHATML_TOKENS, GEMMA, LLAMA3, MISTRAL, VICUNA, setting
from tests.tokens.tiny_tokenizer import tiny_tokenizer
from workbench.options import ENDS, MaskOptions
from workbench.tokens.sequences import sequences
from workbench.types import IGNORE, CharSpan, Conversation, Finding, Reason, TokenizedExample

TOKENIZER = tiny_tokenizer(
    *CHATML_TOKENS, "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<start_of_turn>", "<end_of_turn>",
    bos="<s>", eos="</s>",
)  # fmt: skip
MARKED = CHATML.replace(
    "{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}",
    "{{ '<|im_start|>' + m.role + '\n' }}{% if m.role == 'assistant' %}{% generation %}{{ m.content + '<|im_end|>' }}"
    "{% endgeneration %}{% else %}{{ m.content + '<|im_end|>' }}{% endif %}{{ '\n' }}",
)
TEMPLATES = {"chatml": CHATML, "marked": MARKED, "llama3": LLAMA3, "gemma": GEMMA, "mistral": MISTRAL, "vicuna": VICUNA}
TRAINED = frozenset(
    {Reason.ASSISTANT, Reason.ASSISTANT_TEMPLATE, Reason.STOP, Reason.COMPLETION, Reason.ROLE, Reason.INPUT,
     Reason.SPAN, Reason.FLAG, Reason.ALL}
)  # fmt: skip

said = st.one_of(
    st.sampled_from(
        ["", "  a  ", "on the lo", "[[x]]", "</think>", "<|im_end|>", "é😀漢", "\n\n", "a <s> b", "user\n"]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=20),
)
roles = st.sampled_from(["user", "assistant", "assistant", "user", "system", "tool"])
talks = st.lists(st.tuples(roles, said), min_size=1, max_size=6)
flags = st.none() | st.booleans()
options = st.builds(
    MaskOptions,
    roles_to_train=st.lists(st.sampled_from(["assistant", "gpt", "user", "human", "tool"]), max_size=3).map(tuple),
    train_on_inputs=st.booleans(),
    train_on_eos=st.sampled_from(ENDS),
    train_on_eot=st.none() | st.sampled_from(ENDS),
)
relaxed = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def spans_of(draw: Any, messages: list[tuple[str, str]]) -> dict[str, tuple[CharSpan, ...]]:
    """Marked parts of some of the messages, in order, not overlapping."""
    made: dict[str, tuple[CharSpan, ...]] = {}
    for index, (_, text) in enumerate(messages):
        if text and draw(st.booleans()):
            cuts = sorted(set(draw(st.lists(st.integers(0, len(text)), max_size=4))))
            pairs = pairwise(cuts)
            made[f"messages[{index}].content"] = tuple(CharSpan(a, b, draw(st.booleans())) for a, b in pairs)
    return made


def made_of(talk: Conversation, template: str, given: MaskOptions, train_on: Any = "assistant") -> Any:
    (made,) = sequences([talk], setting(TEMPLATES[template], TOKENIZER, train_on, options=given))
    return made


def row(messages: list[tuple[str, str]], train: tuple[bool | None, ...] = (), **more: Any) -> Conversation:
    talk = conversation(Talk([{"role": role, "content": text} for role, text in messages]))
    return Conversation(0, talk.messages, None, train, **more)


def trained_tokens(made: TokenizedExample) -> set[int]:
    return {i for i, label in enumerate(made.labels) if label != IGNORE}


@relaxed
@given(data=st.data(), template=st.sampled_from(sorted(TEMPLATES)), given_options=options, messages=talks,
       train_on=st.sampled_from(["assistant", "last_assistant", "completion", "all"]))  # fmt: skip
def test_labels_are_ids_where_a_reason_says_trained_and_masked_where_it_does_not(
    data, template, given_options, messages, train_on
):
    train = tuple(data.draw(st.lists(flags, min_size=len(messages), max_size=len(messages))))
    begin = data.draw(st.integers(0, len(messages))) if train_on == "completion" else None
    talk = row(messages, train, completion_from=begin, spans=data.draw(spans_of(messages)))
    made = made_of(talk, template, given_options, train_on)
    if isinstance(made, Finding):
        assert made.code in ("WB101", "WB102", "WB110", "WB111"), made
        return
    (example,) = made
    assert len(example.input_ids) == len(example.labels) == len(example.offsets) == len(example.reasons)
    for token, label, reason in zip(example.input_ids, example.labels, example.reasons, strict=True):
        assert label in (IGNORE, token)
        assert (label != IGNORE) == (reason in TRAINED), reason


@relaxed
@given(data=st.data(), template=st.sampled_from(sorted(TEMPLATES)), given_options=options, messages=talks)
def test_more_stop_tokens_are_trained_from_none_over_last_and_turn_to_all(data, template, given_options, messages):
    train = tuple(data.draw(st.lists(flags, min_size=len(messages), max_size=len(messages))))
    talk = row(messages, train, spans=data.draw(spans_of(messages)))
    before: set[int] = set()
    for ends in ("none", "last", "turn", "all"):
        made = made_of(talk, template, replace(given_options, train_on_eos=ends, train_on_eot=None))
        if isinstance(made, Finding):
            return
        now = trained_tokens(made[0])
        assert before <= now
        assert ends == "none" or all(made[0].reasons[i] is Reason.STOP for i in now - before)
        before = now


@relaxed
@given(data=st.data(), template=st.sampled_from(sorted(TEMPLATES)), given_options=options, messages=talks)
def test_a_marked_text_trains_its_marked_characters_and_no_others(data, template, given_options, messages):
    marked = data.draw(spans_of(messages))
    made = made_of(row(messages, spans=marked), template, given_options)
    if isinstance(made, Finding):
        return
    (example,) = made
    allowed = [_is_allowed(example, at, marked) for at in range(len(example.rendered.text))]
    stops = {i for i, reason in enumerate(example.reasons) if reason is Reason.STOP}
    for index, (start, end) in enumerate(example.offsets):
        said = set(allowed[start:end])
        if example.reasons[index] is Reason.SPAN:
            assert said == {True}, "a trained token stands for marked characters only"
        elif index not in stops and example.reasons[index] in TRAINED:
            assert said <= {None} or None in said, "marked texts are trained as marked only"
        elif said == {True} and end > start:
            assert index in stops, "a token of marked characters alone is trained"


def _is_allowed(example: TokenizedExample, at: int, marked: dict[str, tuple[CharSpan, ...]]) -> bool | None:
    """True for a character marked as trained, False for another of a marked text, None for all others."""
    low = 0
    for run in example.rendered.text.runs:  # type: ignore[attr-defined]
        if low <= at < low + run.length:
            if run.origin is None or run.origin.field not in marked:
                return None
            place = run.start + at - low
            return any(span.train and span.start <= place < span.end for span in marked[run.origin.field])
        low += run.length
    return None


@relaxed
@given(template=st.sampled_from(sorted(TEMPLATES)), messages=talks, given_options=options)
def test_train_on_inputs_and_more_roles_only_add(template, messages, given_options):
    without = replace(
        given_options, train_on_eos="none", train_on_eot=None
    )  # the `last` turn is another with more of them
    less = made_of(row(messages), template, replace(without, train_on_inputs=False))
    more = made_of(row(messages), template, replace(without, train_on_inputs=True))
    if not isinstance(less, Finding) and not isinstance(more, Finding):
        assert trained_tokens(less[0]) <= trained_tokens(more[0])
