"""Raw rows of five types and four tokenizers: axolotl's ids and labels, or a reason that is checked to be the reason.

The reasons, with both token rows, are in docs/axolotl-differences.md.
"""

import json
import os

import pytest
from axolotl_rows import TYPES, Case, ours, theirs

import workbench as wb
from workbench.tokens.encode import load_tokenizer

pytestmark = [pytest.mark.parity_axolotl, pytest.mark.shared, pytest.mark.timeout(1200)]

TOKENIZERS = ("qwen2.5", "mistral-v1", "phi-3-mini", "titan-tiny")
CASES = [Case(type, tokenizer) for type in TYPES for tokenizer in TOKENIZERS]

APART = "axolotl tokenizes prompt and answer, or segments, apart and joins the ids"
STOP = "axolotl trains only EOS; this template ends a turn with another token"
SPACE = "axolotl trains from the answer's first character; the template writes white space before it"
EMPTY = "the vocabulary has no token for any character of the answer; axolotl then adds no EOS either"
REASONS = {
    ("alpaca", "mistral-v1"): APART,
    ("alpaca", "phi-3-mini"): APART,
    ("alpaca", "titan-tiny"): EMPTY,
    ("messages", "mistral-v1"): SPACE,
    ("messages", "phi-3-mini"): STOP,
    ("sharegpt", "mistral-v1"): SPACE,
    ("sharegpt", "phi-3-mini"): STOP,
    ("input_output", "qwen2.5"): APART,
    ("input_output", "mistral-v1"): APART,
    ("input_output", "phi-3-mini"): APART,
}


@pytest.fixture(scope="module")
def testdata(shared):
    if not os.environ.get("AXOLOTL_PYTHON"):
        pytest.skip("AXOLOTL_PYTHON does not name an interpreter with axolotl 0.19")
    return shared / "testdata"


@pytest.fixture(scope="module")
def axolotl(testdata, tmp_path_factory):
    return theirs(CASES, testdata, tmp_path_factory.mktemp("axolotl"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_ids_and_labels_are_axolotls_or_differ_for_the_stated_reason(case, axolotl, testdata):
    mine, other = ours(case, testdata), axolotl[case]
    assert len(mine) == len(other) > 0
    different = [i for i, (one, two) in enumerate(zip(mine, other, strict=True)) if (one[0], one[1]) != two]
    reason = REASONS.get((case.type, case.tokenizer))
    assert bool(different) == (reason is not None), f"{len(different)} rows differ"
    explain = {APART: tokenized_apart, STOP: other_stop, SPACE: space_before_answer, EMPTY: only_eos, None: None}[
        reason
    ]
    for i in different:
        assert explain is not None
        explain(case, testdata, i, mine[i], other[i])
    print(f"{case.name}: {len(mine) - len(different)} of {len(mine)} rows equal; {reason or 'no difference'}")


def tokenized_apart(case, testdata, row, one, two):
    """Cutting our text where axolotl cuts it and tokenizing the parts gives axolotl's ids and labels exactly."""
    tokenizer = load_tokenizer(str(testdata / "tokenizers" / case.tokenizer))
    if case.type == "input_output":
        line = (testdata / "datasets" / TYPES[case.type][0]).read_text().splitlines()[row]
        parts = [(part["text"], part["label"]) for part in json.loads(line)["segments"]]
        add = False
    else:
        parts, add = halves(case, testdata, row), True
    ids, labels = [], []
    for index, (text, trained) in enumerate(parts):
        made = tokenizer(text, add_special_tokens=add)["input_ids"]
        if index and made and made[0] == tokenizer.bos_token_id:
            made = made[1:]
        ids += made
        labels += made if trained else [-100] * len(made)
    assert (ids, labels) == tuple(two)
    assert one[0] == tokenizer(one[2], add_special_tokens=False)["input_ids"]


def halves(case, testdata, row):
    """Prompt and answer of an alpaca row, cut where training begins."""
    enc = wb.data(testdata / "datasets" / TYPES["alpaca"][0]).encode(
        "alpaca", tokenizer=str(testdata / "tokenizers" / case.tokenizer)
    )
    example = enc[enc.usable[row]].example
    start = next(turn for turn in example.rendered.turns if turn.role == "assistant").body
    text = str.__str__(example.rendered.text)
    bos = enc.setting.tokenizer.bos_token or ""
    prompt = text[:start].removeprefix(bos)
    return [(prompt, False), (text[start:], True)]


def other_stop(case, testdata, row, one, two):
    """Same ids; labels differ only at the turn's own stop token and at the EOS behind the last turn."""
    tokenizer = load_tokenizer(str(testdata / "tokenizers" / case.tokenizer))
    assert one[0] == two[0]
    differing = {one[0][i] for i, (a, b) in enumerate(zip(one[1], two[1], strict=True)) if a != b}
    assert differing <= {tokenizer.convert_tokens_to_ids("<|end|>"), tokenizer.eos_token_id}


def space_before_answer(case, testdata, row, one, two):
    """Same ids; ours trains white space of the template between the prompt and the answer as well, nothing else."""
    tokenizer = load_tokenizer(str(testdata / "tokenizers" / case.tokenizer))
    assert one[0] == two[0]
    for i, (a, b) in enumerate(zip(one[1], two[1], strict=True)):
        if a != b:
            assert b == -100 and not tokenizer.decode([one[0][i]]).strip()


def only_eos(case, testdata, row, one, two):
    """All that is left of the answer is EOS, which axolotl leaves out; everything else is equal."""
    eos = load_tokenizer(str(testdata / "tokenizers" / case.tokenizer)).eos_token_id
    assert [label for label in one[1] if label != -100] == [eos]
    assert (one[0][:-1], one[1][:-1]) == tuple(two)
