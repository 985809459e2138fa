"""Work grows with the length of a row and not faster: twice the text, about twice the calls, through the whole path."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

import workbench as wb
from tests.tokens.tiny_tokenizer import tiny_tokenizer
from workbench.checks.parts import check_parts
from workbench.rows.convert import convert
from workbench.tokens import offsets
from workbench.tokens.encode import special_ids
from workbench.tokens.sequences import sequences
from workbench.tokens.setting import Setting
from workbench.types import TokenizedExample

SENTENCE = "An ordinary sentence with a brace {, an é, a 🦙 and <|im_end|> in it.\n"


def chat(*texts: str) -> dict:
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[i % 2], "content": text} for i, text in enumerate(texts)]}


ROWS: dict[str, Callable[[int], dict]] = {
    "one long answer": lambda size: chat("q", SENTENCE * size),
    "one long question": lambda size: chat(SENTENCE * size, "a"),
    "a long thought": lambda size: chat("q", "<think>\n" + SENTENCE * size + "</think>\n\na"),
    "a long text with blank ends": lambda size: chat(" \n" * size + "q", "a" + " " * size),
    "many turns": lambda size: chat(*["q", "a"] * (size * 2)),
}


def tokens_of(row: dict, setting: Setting) -> tuple[TokenizedExample, ...]:
    example, _ = convert(row, 0, "messages", {})
    (made,) = sequences([example], setting)
    list(check_parts(example, made, special_ids(setting.tokenizer)))
    return made


def calls(work: Callable[[], object]) -> int:
    """Calls of Python and C functions that the work makes."""
    count = [0]

    def note(frame: object, event: str, argument: object) -> None:
        count[0] += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count[0]


@pytest.fixture(params=["offsets as reported", "offsets laid anew"])
def setting(request, monkeypatch) -> Setting:
    tokenizer = tiny_tokenizer("<|im_start|>", "<|im_end|>", eos="<|im_end|>")
    if request.param == "offsets laid anew":
        monkeypatch.setitem(offsets._TRUSTED, tokenizer, False)
    return Setting(tokenizer, wb.template("chatml").with_tokenizer(tokenizer))


@pytest.mark.parametrize("name", ROWS)
def test_twice_the_text_is_twice_the_work(name, setting):
    make = ROWS[name]
    tokens_of(make(3), setting)  # what is made once and kept
    small, big = (calls(lambda size=size: tokens_of(make(size), setting)) for size in (100, 200))
    assert big < 2.3 * small


def test_a_row_of_a_megabyte_is_taken_whole(setting):
    text = SENTENCE * (1_000_000 // len(SENTENCE.encode()))
    (made,) = tokens_of(chat("q", text), setting)
    assert text in str.__str__(made.rendered.text)
    assert made.trained > 200_000
    assert made.truncated == 0


def test_a_row_of_ten_thousand_turns_is_taken_whole(setting):
    (made,) = tokens_of(chat(*["question", "answer"] * 5_000), setting)
    assert len(made.rendered.turns) == 10_000
    assert sum(turn.role == "assistant" for turn in made.rendered.turns) == 5_000
