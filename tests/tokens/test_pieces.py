"""Parts of a row tokenized together (ours) and alone (axolotl's way), against ids that axolotl itself made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.tokens.test_mask import one, spans
from tests.tokens.tiny_tokenizer import metaspace_tokenizer, tiny_tokenizer
from workbench.options import MaskOptions
from workbench.rows.convert import convert
from workbench.templates import registry
from workbench.tokens.encode import added_bos_token, special_tokens
from workbench.tokens.modes import difference
from workbench.tokens.sequences import sequences
from workbench.tokens.setting import Setting
from workbench.types import IGNORE, Finding, PromptCompletion, Reason, Segments, Steps, Text

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "axolotl.json").read_text(encoding="utf-8"))
TOKENIZERS = {
    "bytes": lambda: tiny_tokenizer("<s>", "</s>", bos="<s>", eos="</s>", adds_bos=True),
    "bytes without BOS": lambda: tiny_tokenizer("</s>", eos="</s>"),
    "metaspace": metaspace_tokenizer,
}
PIECES = (("<s>Hello\n", True), ("hi there!. ", True), ("goodbye ", False), ("farewell</s>", True))
SEPARATE = MaskOptions(pieces="separate")
ALPACA = [
    ("Say hi", "", "Hello there"),
    ("Say hi", "very well", "hi\n"),
    ("Say", "", "goodbye</s>"),
    ("Say", "", ""),
    ("a" * 90, "", "hi there " * 12),
]


def using(tokenizer: Any, options: MaskOptions = SEPARATE, **more: Any) -> Setting:
    found = registry.find("alpaca")
    tokens = {**special_tokens(tokenizer), "added_bos_token": added_bos_token(tokenizer)}
    return Setting(tokenizer, registry.info("alpaca", found.source, found.origin, tokens), options=options, **more)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_segments_alone_are_axolotls_token_for_token(name):
    made, golden = one(Segments(0, PIECES), using(TOKENIZERS[name]())), GOLDEN["rows"][name]["segments"]
    assert (list(made.input_ids), list(made.labels)) == (golden["input_ids"], golden["labels"])
    text = str.__str__(made.rendered.text)
    assert text == "".join(piece for piece, _ in PIECES)
    assert max(end for _, end in made.offsets) == len(text)


def test_segments_alone_double_the_spaces_of_a_sentencepiece_vocabulary_and_joined_do_not():
    """The row of axolotl's documentation (formats.md, 1.4)."""
    tokenizer = metaspace_tokenizer()
    apart, joined = (one(Segments(0, PIECES), using(tokenizer, options)) for options in (SEPARATE, MaskOptions()))
    assert tokenizer.decode(apart.input_ids) == "<s> Hello\n hi there!.  goodbye  farewell</s>"
    assert tokenizer.decode(joined.input_ids) == "<s> Hello\nhi there!. goodbye farewell</s>"
    assert list(joined.input_ids) == tokenizer(joined.rendered.text, add_special_tokens=False)["input_ids"]
    assert len(apart.input_ids) == len(joined.input_ids) + 2


def test_the_first_token_that_differs_between_the_two_ways_is_named():
    tokenizer = metaspace_tokenizer()
    setting = using(tokenizer, MaskOptions())
    apart, joined = (one(Segments(0, PIECES), using(tokenizer, options)) for options in (SEPARATE, MaskOptions()))
    found = difference(Segments(0, PIECES), setting)
    assert found is not None
    at = next(i for i, (a, b) in enumerate(zip(joined.input_ids, apart.input_ids, strict=False)) if a != b)
    assert (found.key, found.index) == ("input_ids", (0, at))
    assert (found.ours, found.theirs) == (joined.input_ids[at], apart.input_ids[at])
    assert tokenizer.convert_ids_to_tokens([found.ours, found.theirs]) == ["hi", "▁hi"]
    assert difference(Segments(0, (("hi", True),)), setting) is None
    assert difference(Segments(0, PIECES), using(tokenizer, SEPARATE)) == found, "whichever way is set"


@pytest.mark.parametrize("length", ["long", "short"])
@pytest.mark.parametrize("name", TOKENIZERS)
def test_alpaca_rows_in_halves_are_axolotls_token_for_token(name, length):
    """Each half is cut at max_length on its own; the joined row is cut to it as well, as no trainer takes more."""
    tokenizer = TOKENIZERS[name]()
    limit = {"long": None, "short": 64}[length]
    compared = 0
    for (instruction, given, output), golden in zip(ALPACA, GOLDEN["rows"][name][f"alpaca {length}"], strict=True):
        example, _ = convert({"instruction": instruction, "input": given, "output": output or " "}, 0, "alpaca", {})
        if not output or example is None:
            continue  # an empty answer is refused before it gets here
        made = one(example, using(tokenizer, max_length=limit))
        whole = (golden["input_ids"], golden["labels"])
        assert (list(made.input_ids), list(made.labels)) == tuple(part[:limit] for part in whole)
        assert made.truncated == len(golden["input_ids"]) - len(made.input_ids)
        compared += 1
    assert compared == 4


@pytest.mark.parametrize("name", TOKENIZERS)
def test_prompt_and_completion_in_halves_are_cut_and_ended_like_alpaca_rows(name):
    tokenizer = TOKENIZERS[name]()
    style = "Below is an instruction that describes a task. Write a response that appropriately completes the request."
    prompt = f"{style}\n\n### Instruction:\nSay hi\n\n### Response:\n"
    made = one(PromptCompletion(0, prompt, "Hello there"), using(tokenizer))
    golden = GOLDEN["rows"][name]["alpaca long"][0]
    assert (list(made.input_ids), list(made.labels)) == (golden["input_ids"], golden["labels"])
    assert spans(made, tokenizer) == ["Hello there</s>"]
    for (start, end), reason in zip(made.offsets, made.reasons, strict=True):
        side = Reason.PROMPT if end <= len(prompt) else Reason.COMPLETION
        assert reason is (side if end > start else Reason.SPECIAL_ADDED)


def test_an_answer_without_text_gets_no_eos_when_tokenized_alone():
    made = one(PromptCompletion(0, "on", ""), using(tiny_tokenizer(eos="</s>")))
    assert (len(made.input_ids), made.trained) == (1, 0)
    joined = one(PromptCompletion(0, "on", ""), using(tiny_tokenizer(eos="</s>"), MaskOptions()))
    assert spans(joined, tiny_tokenizer(eos="</s>")) == ["</s>"]


def test_rows_of_messages_are_tokenized_whole_in_both_ways():
    """axolotl renders them with a chat template; only answers with a column of their own come in halves."""
    tokenizer = metaspace_tokenizer()
    row = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Hello"}]}
    example, _ = convert(row, 0, "messages", {"messages": "messages"})
    assert example is not None
    assert difference(example, using(tokenizer)) is None
    alpaca, _ = convert({"instruction": "hi", "input": "", "output": "Hello"}, 0, "alpaca", {})
    assert alpaca is not None
    assert difference(alpaca, using(tokenizer)) is not None


@pytest.mark.parametrize("name", TOKENIZERS)
def test_reasoning_steps_are_axolotls_token_for_token(name):
    """The published example: the separator behind each step carries its label."""
    tokenizer = TOKENIZERS[name]()
    made = one(Steps(0, "Which?", ("9.8 is.", "So 9.8."), (1, 0)), using(tokenizer, MaskOptions()))
    golden = GOLDEN["rows"][name]["steps"]
    assert (list(made.input_ids), list(made.labels)) == (golden["input_ids"], golden["labels"])
    labelled = [
        (made.labels[i], str.__str__(made.rendered.text)[start:end])
        for i, (start, end) in enumerate(made.offsets)
        if made.labels[i] != IGNORE
    ]
    assert labelled == [(1, "\n"), (0, "\n")]
    assert made.reasons.count(Reason.STEP) == 2
    assert made.rendered.text == "Which?9.8 is.\nSo 9.8.\n"


def test_a_step_that_is_not_judged_has_no_label():
    tokenizer = tiny_tokenizer()
    made = one(Steps(0, "p", ("a", "b", "c"), (1, None, 0), " | "), using(tokenizer, MaskOptions()))
    assert [label for label in made.labels if label != IGNORE] == [1, 0]
    assert [
        str.__str__(made.rendered.text)[start:end]
        for (start, end), label in zip(made.offsets, made.labels, strict=True)
        if label != IGNORE
    ] == [" ", " "]
    assert [turn.role for turn in made.rendered.turns] == ["prompt", "step", "step", "step"]


@pytest.mark.parametrize("name", TOKENIZERS)
def test_long_text_is_cut_into_axolotls_chunks(name):
    (made,) = sequences([Text(0, "on the lo and on")], using(TOKENIZERS[name](), MaskOptions(), max_length=4))
    assert not isinstance(made, Finding)
    assert [list(part.input_ids) for part in made] == GOLDEN["rows"][name]["text"]
    assert [part.part for part in made] == [f"{i + 1}/{len(made)}" for i in range(len(made))]
    if name == "bytes without BOS":
        assert [len(part.input_ids) for part in made] == [4, 4, 2]
