"""Every kind of row to its sequences: pairs, wanted and unwanted answers, prompts alone, chunks, token ids."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.templates.conversations import Talk, conversation
from tests.tokens.test_mask import CHATML, CHATML_TOKENS, TALK, one, reasons, setting, spans
from tests.tokens.tiny_tokenizer import metaspace_tokenizer, tiny_tokenizer
from workbench.options import MaskOptions
from workbench.tokens.examples import tokenize
from workbench.tokens.pairs import Pair, compare
from workbench.tokens.sequences import CHUNK, sequences
from workbench.tokens.setting import Setting
from workbench.types import (
    IGNORE,
    Conversation,
    Finding,
    Preference,
    PromptCompletion,
    PromptOnly,
    Reason,
    Segments,
    Steps,
    Text,
    TokenIds,
    TokenizedExample,
    Unpaired,
)

END = "<|im_end|>"
PROMPT = TALK[:3]


def chatml(**more: Any) -> Setting:
    return setting(CHATML, tiny_tokenizer(*CHATML_TOKENS, eos=END), **more)


def side(answer: str, row: int = 0, prompt: list[dict[str, Any]] = PROMPT) -> Conversation:
    messages = [*prompt, {"role": "assistant", "content": answer}]
    return Conversation(row, conversation(Talk(messages)).messages, completion_from=len(prompt))


def parts(example: Any, using: Setting) -> tuple[TokenizedExample, ...]:
    (made,) = sequences([example], using)
    assert not isinstance(made, Finding), made
    return made


def test_a_preference_gives_chosen_and_rejected_with_the_prompt_masked():
    """The second turn of a two-turn prompt is an answer too, and still prompt."""
    made = parts(Preference(0, side("on"), side("the lo")), chatml())
    assert [part.part for part in made] == ["chosen", "rejected"]
    assert [spans(part, chatml().tokenizer) for part in made] == [["on" + END + "\n"], ["the lo" + END + "\n"]]
    for part in made:
        assert [reason for _, reason in reasons(part)] == [
            Reason.PROMPT,
            Reason.COMPLETION,
            Reason.STOP,
            Reason.COMPLETION,
        ]


def test_options_and_flags_of_a_row_change_nothing_in_a_pair():
    """Trainers of pairs take the whole completion: the preview must not show less (or more)."""
    plain = parts(Preference(0, side("on"), side("the lo")), chatml())
    flagged = replace(side("on"), train=(None, True, None, False))
    options = MaskOptions(train_on_eos="none", train_on_inputs=True, roles_to_train=("user",))
    for train_on in ("assistant", "all", "last_assistant"):
        using = replace(chatml(options=options), train_on=train_on)
        made = parts(Preference(0, flagged, side("the lo")), using)
        assert [(part.labels, part.reasons) for part in made] == [(part.labels, part.reasons) for part in plain]


def test_a_pair_of_texts_gets_bos_once_and_eos_behind_each_answer():
    tokenizer = tiny_tokenizer("<s>", "</s>", bos="<s>", eos="</s>", adds_bos=True)
    pair = Preference(0, PromptCompletion(0, "x = ", "7"), PromptCompletion(0, "x = ", "8</s>"))
    made = parts(pair, setting(None, tokenizer))
    assert [spans(part, tokenizer) for part in made] == [["7</s>"], ["8</s>"]]
    assert [part.input_ids.count(tokenizer.bos_token_id) for part in made] == [1, 1]


def test_both_sides_of_a_pair_begin_at_the_same_token():
    """Where one answer's first token takes the end of the prompt along, the other side trains that end as well."""
    tokenizer = tiny_tokenizer(eos="</s>")
    pair = Preference(0, PromptCompletion(0, "on ", "the"), PromptCompletion(0, "on ", "x"))
    chosen, rejected = parts(pair, setting(None, tokenizer))
    assert spans(chosen, tokenizer) == [" the</s>"]
    assert spans(rejected, tokenizer) == [" x</s>"]
    assert rejected.reasons == (Reason.PROMPT, *[Reason.COMPLETION] * 3)


def test_a_pair_fails_as_one_row():
    bad = replace(side("on"), messages=({"content": "no role"},))
    for pair in (Preference(3, bad, side("on")), Preference(3, side("on"), bad)):
        (found,) = sequences([pair], chatml())
        assert isinstance(found, Finding)
        assert (found.code, found.row) == ("WB102", 3)


@pytest.mark.parametrize("label", [True, False])
def test_an_unpaired_answer_says_whether_it_is_wanted(label):
    (made,) = parts(Unpaired(0, side("on"), label), chatml())
    assert (made.desirable, made.part, spans(made, chatml().tokenizer)) == (label, "", ["on" + END + "\n"])
    (made,) = parts(Unpaired(0, PromptCompletion(0, "x = ", "7"), label), setting(None, tiny_tokenizer(eos="</s>")))
    assert (made.desirable, made.trained) == (label, 2)
    assert one(conversation(Talk(TALK)), chatml()).desirable is None


def test_a_prompt_alone_ends_with_the_generation_prompt_and_trains_nothing():
    talk = conversation(Talk(PROMPT))
    made = one(PromptOnly(0, talk, {"ground_truth": "8"}), chatml(max_length=4))
    assert str.__str__(made.rendered.text).endswith("<|im_end|>\n<|im_start|>assistant\n")
    assert (made.trained, set(made.reasons), made.truncated) == (0, {Reason.PROMPT}, 0)
    tokenizer = tiny_tokenizer("<s>", "</s>", bos="<s>", eos="</s>", adds_bos=True)
    made = one(PromptOnly(0, Text(0, "on")), setting(None, tokenizer))
    assert tokenizer.decode(made.input_ids) == "<s>on"


def test_long_text_goes_on_in_further_sequences_and_eos_comes_once():
    """Nine tokens and EOS at max_length 4: 4, 4 and 2, as axolotl cuts them."""
    tokenizer = tiny_tokenizer(eos="</s>")
    made = parts(Text(0, "é on the lo\ny"), setting(None, tokenizer, max_length=4))
    assert [len(part.input_ids) for part in made] == [4, 4, 2]
    assert [part.part for part in made] == ["1/3", "2/3", "3/3"]
    assert [part.input_ids.count(tokenizer.eos_token_id) for part in made] == [0, 0, 1]
    assert made[-1].input_ids[-1] == tokenizer.eos_token_id
    whole = one(Text(0, "é on the lo\ny"), setting(None, tokenizer))
    assert sum((part.input_ids for part in made), ()) == whole.input_ids
    assert "".join(str.__str__(part.rendered.text) for part in made) == str.__str__(whole.rendered.text)
    for part in made:
        text = str.__str__(part.rendered.text)
        assert part.labels == part.input_ids and set(part.reasons) == {Reason.ALL} and part.truncated == 0
        assert tokenizer.decode(part.input_ids) == text
        assert [text[start:end] for start, end in part.offsets][-1] == text[part.offsets[-1][0] :]


def test_a_character_of_two_tokens_stands_in_both_chunks_that_share_it():
    made = parts(Text(0, "aé"), setting(None, tiny_tokenizer(), max_length=2))
    assert [(str.__str__(part.rendered.text), part.offsets) for part in made] == [
        ("aé", ((0, 1), (1, 2))),
        ("é", ((0, 1),)),
    ]


def test_long_text_can_be_cut_and_text_that_fits_is_one_sequence():
    tokenizer = tiny_tokenizer(eos="</s>")
    cut = parts(Text(0, "abcdef"), setting(None, tokenizer, max_length=4, options=MaskOptions(long_text="cut")))
    assert [(len(part.input_ids), part.truncated, part.part) for part in cut] == [(4, 3, "")]
    for limit in (None, 7, 100):
        (fits,) = parts(Text(0, "abcdef"), setting(None, tokenizer, max_length=limit))
        assert (fits.part, fits.truncated) == ("", 0)


GIVEN = {
    "bytes": (lambda: tiny_tokenizer("<a>", eos="</s>"), "<a>on é😀 the</s>"),
    "pieces": (metaspace_tokenizer, "Hello there!\nwell"),
}


@pytest.mark.parametrize("case", GIVEN)
def test_token_ids_stay_as_they_are_and_show_what_they_say(case):
    make, text = GIVEN[case]
    tokenizer = make()
    ids = tuple(tokenizer(text, add_special_tokens=False)["input_ids"])
    labels = (IGNORE, *ids[1:])
    made = one(TokenIds(0, ids, labels), setting(None, tokenizer, "all"))
    assert (made.input_ids, made.labels) == (ids, labels)
    assert made.reasons == (Reason.GIVEN_OFF, *[Reason.GIVEN] * (len(ids) - 1))
    shown = str.__str__(made.rendered.text)
    assert shown == (text if case == "bytes" else " " + text)
    assert {at for start, end in made.offsets for at in range(start, end)} == set(range(len(shown)))
    for token, (start, end) in zip(ids, made.offsets, strict=True):
        plain = tokenizer.convert_ids_to_tokens(token).replace("▁", " ")
        assert case == "bytes" or shown[start:end] == plain
    assert one(TokenIds(0, ids), setting(None, tokenizer)).labels == ids
    cut = one(TokenIds(0, ids, labels), setting(None, tokenizer, max_length=2))
    assert (cut.labels, cut.truncated) == (labels[:2], len(ids) - 2)


def test_ids_that_are_no_text_show_the_replacement_character():
    tokenizer = tiny_tokenizer()
    euro = tokenizer("é")["input_ids"]
    made = one(TokenIds(0, (euro[0], *tokenizer("a")["input_ids"])), setting(None, tokenizer))
    assert (str.__str__(made.rendered.text), made.offsets) == ("\ufffda", ((0, 1), (1, 2)))


@pytest.mark.parametrize(
    ("ids", "labels", "field"),
    [
        ((1, 99999), None, "input_ids[1]"),
        ((-1, 1), None, "input_ids[0]"),
        ((1, 2), (1, 99999), "labels[1]"),
        ((1, IGNORE), None, "input_ids[1]"),
    ],
)
def test_ids_the_tokenizer_does_not_have_are_a_finding(ids, labels, field):
    (found,) = sequences([TokenIds(7, ids, labels)], setting(None, tiny_tokenizer()))
    assert isinstance(found, Finding)
    assert (found.code, found.row) == ("WB114", 7)
    assert field in found.message


def test_padding_that_the_model_would_attend_to_is_said():
    ids = (1, 2, 3)
    left = one(TokenIds(0, ids, (IGNORE, 2, 3), (0, 1, 1)), setting(None, tiny_tokenizer()))
    assert [item.code for item in left.findings] == ["WB117"]
    right = one(TokenIds(0, ids, (1, 2, IGNORE), (1, 1, 0)), setting(None, tiny_tokenizer()))
    assert right.findings == (), "behind the last trained token nothing attends to it"


def test_rows_of_every_kind_keep_their_order_over_several_chunks():
    tokenizer = tiny_tokenizer(*CHATML_TOKENS, eos=END)
    kinds = [
        lambda row: side("on", row),
        lambda row: Preference(row, side("on", row), side("the", row)),
        lambda row: Unpaired(row, PromptCompletion(row, "a", "b"), True),
        lambda row: Text(row, "on the lo"),
        lambda row: Segments(row, (("a", True),)),
        lambda row: Steps(row, "p", ("a",), (1,)),
        lambda row: PromptOnly(row, Text(row, "p")),
        lambda row: TokenIds(row, (5, 6)),
        lambda row: replace(side("on", row), messages=({"content": "no role"},)),
    ]
    using = setting(CHATML, tokenizer, max_length=4)
    rows = [kinds[row % len(kinds)](row) for row in range(CHUNK + 40)]
    made = list(sequences(rows, using))
    assert [item.row if isinstance(item, Finding) else item[0].row for item in made] == list(range(len(rows)))
    assert [len(item) for item in made[:9] if not isinstance(item, Finding)] == [1, 2, 1, 2, 1, 1, 1, 1]
    assert isinstance(made[8], Finding)
    flat = [part for item in made for part in ((item,) if isinstance(item, Finding) else item)]
    assert list(tokenize(rows, using)) == flat


# Pairs


def test_a_pair_says_what_its_sides_share_and_where_they_part():
    chosen, rejected = parts(Preference(4, side("The lo"), side("The on")), chatml())
    made = compare(chosen, rejected)
    begin = next(i for i, label in enumerate(chosen.labels) if label != IGNORE)
    assert (made.row, made.prompt_tokens, made.findings) == (4, begin, ())
    text = str.__str__(chosen.rendered.text)
    assert made.first_character is not None and text[: made.first_character].endswith("The ")
    assert made.first_token is not None and chosen.offsets[made.first_token][0] <= made.first_character
    assert chosen.input_ids[: made.first_token] == rejected.input_ids[: made.first_token]
    assert chosen.input_ids[made.first_token] != rejected.input_ids[made.first_token]
    assert made.trained == (chosen.trained, rejected.trained)


def test_one_side_that_goes_on_where_the_other_ends():
    tokenizer = tiny_tokenizer()
    pair = Preference(0, PromptCompletion(0, "x", "ab"), PromptCompletion(0, "x", "abc"))
    assert compare(*parts(pair, setting(None, tokenizer))) == Pair(0, 1, 3, 3, (2, 3))


def test_sides_of_equal_tokens_teach_nothing():
    template = CHATML.replace("m.content", "(m.content | trim)")
    using = setting(template, tiny_tokenizer(*CHATML_TOKENS, eos=END))
    pair = compare(*parts(Preference(2, side("on"), side(" on ")), using))
    assert (pair.first_token, pair.first_character) == (None, None)
    assert [item.code for item in pair.findings] == ["WB115"]
    lossy = setting(CHATML, _without_umlaut())
    pair = compare(*parts(Preference(2, side("on"), side("oñn")), lossy))
    assert pair.first_token is None and pair.first_character is not None
    assert [(item.code, item.row) for item in pair.findings] == [("WB115", 2)]
    assert f"from character {pair.first_character} on" in pair.findings[0].message


def _without_umlaut() -> Any:
    """A byte-level tokenizer that drops the two bytes of ñ."""
    import json

    from tokenizers import Tokenizer

    tokenizer = tiny_tokenizer(*CHATML_TOKENS, eos=END)
    data = json.loads(tokenizer.backend_tokenizer.to_str())
    for letter in ("Ã", "±"):
        del data["model"]["vocab"][letter]
    tokenizer._tokenizer = Tokenizer.from_str(json.dumps(data))
    return tokenizer


def test_a_difference_behind_max_length_is_said():
    pair = Preference(2, side("on the lo"), side("on the an"))
    whole = parts(pair, chatml())
    assert compare(*whole).findings == ()
    at = compare(*whole).first_token
    assert at is not None
    cut = compare(*parts(pair, chatml(max_length=at)))
    assert [(item.code, item.row) for item in cut.findings] == [("WB116", 2)]
    assert compare(*parts(pair, chatml(max_length=at + 1))).findings == ()
