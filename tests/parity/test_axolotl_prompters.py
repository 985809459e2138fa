"""Real and generated rows through axolotl's own instruction types and ours: the same text, and the same of it trained.

Character by character, whatever the tokenizer; how axolotl tokenizes the halves apart is another matter
(test_axolotl_rows.py). The stored answers of a few odd rows are tested without axolotl in tests/templates.
"""

import json
import os
import random
import subprocess
from pathlib import Path

import pytest

from tests.templates.prompter_cases import STYLES, ours

pytestmark = [pytest.mark.parity_axolotl, pytest.mark.timeout(900)]

SCRIPT = Path(__file__).with_name("make_prompter_goldens.py")
GENERATED = 200
FILES = {
    "alpaca": "alpaca/axolotl_alpaca.json",
    "identity": "alpaca/identity_alpaca.json",
    "oumi": "oumi/alpaca_format.json",
}
COLUMNS = {
    "gpteacher": "instruction input? response",
    "oasst": "INSTRUCTION RESPONSE",
    "alpaca_chat.load_qa": "question answer",
    "alpaca_chat.load_camel_ai": "message_1 message_2",
    "alpaca_w_system": "instruction input? output system?",
    "alpaca_w_system.load_instruct": "instruction input? output system?",
    "alpaca_w_system.load_open_orca": "system_prompt? question response",
    "alpaca_w_system.load_open_orca_chatml": "system_prompt? question response",
    "orcamini": "system_prompt? question response",
    "jeopardy": "question category answer",
    "explainchoice": "question choices solution",
    "concisechoice": "question choices solution",
    "summarizetldr": "article summary",
    "reflection": "instruction input? output reflection corrected",
    "context_qa": "article question answer",
    "context_qa.load_v2": "context question answer",
    "context_qa.load_404": "article unanswerable_question",
    "creative_acr.load_answer": "instruction revision",
    "creative_acr.load_critique": "instruction answer scores critiques",
    "creative_acr.load_revise": "instruction answer scores critiques revision",
    "metharme": "prompt generation",
    "pygmalion": "conversations",
}
"""Columns of generated rows; those with `?` may be empty. Types that are not here have instruction, input?, output."""
USER_FORMATS = (
    {"field_instruction": "q", "field_input": "i", "field_output": "a", "field_system": "s"},
    {"field_instruction": "q", "field_input": "i", "field_output": "a", "field_system": "s", "system_prompt": "{D}",
     "system_format": "[{system}]\n", "format": "{{{input}}} {instruction}:", "no_input_format": "{{{instruction}:"},
)  # fmt: skip
WORDS = (
    "word", " ", "  ", "\n", "\n\n", "\t", "{input}", "{}", "{{x}}", "}", "é", "日本", "🎉", "👩\u200d👧", "مرحبا",
    "\u2028", "%s", "\\n", "### Response:", "<|im_end|>", "ASSISTANT:", "</s>", "'", '"', ": ", "- a", "#", "[[1]]",
    "<think>",
)  # fmt: skip


def text(chance, empty=False):
    """Words of every kind, with at least one character unless it may be empty."""
    made = "".join(chance.choice(WORDS) for _ in range(chance.randint(0, 6)))
    return made if empty and chance.random() < 0.5 else made or "x"


def value(chance, column):
    """What a generated row holds in a column."""
    if column.endswith("?"):
        return "" if chance.random() < 0.4 else text(chance)
    if column == "choices":
        return [text(chance, True) for _ in range(chance.randint(0, 4))]
    if column == "scores":
        return {name: chance.choice([1, 2.5, None, True, text(chance)]) for name in chance.sample(WORDS, 3)}
    if column == "critiques":
        return {text(chance): {"explanation": text(chance) * 5, "improvements": [text(chance, True)]}}
    if column == "conversations":
        spoken = [{"role": "human", "value": text(chance)}, {"role": "bot", "value": text(chance)}]
        persona = [{"role": "system", "value": text(chance) + chance.choice(["", "\n<START>"])}]
        return persona * chance.randint(0, 1) + spoken * chance.randint(1, 3)
    return text(chance)


def rows(kind, chance):
    """Generated rows of one of axolotl's types."""
    if isinstance(kind, dict):
        columns = ["q", "i?", "a"] + ["s?"] * chance.randint(0, 1)
    else:
        columns = COLUMNS.get(kind.partition(":")[0], "instruction input? output").split()
    return [{column.rstrip("?"): value(chance, column) for column in columns} for _ in range(GENERATED)]


def answers(jobs, folder):
    """axolotl's answers to the jobs, in their order."""
    if not os.environ.get("AXOLOTL_PYTHON"):
        pytest.skip("AXOLOTL_PYTHON does not name an interpreter with axolotl 0.19")
    (folder / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
    command = [os.environ["AXOLOTL_PYTHON"], str(SCRIPT), str(folder / "out.json"), str(folder / "jobs.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "out.json").read_text(encoding="utf-8"))


def compare(found):
    """Hold every row of every job equal; returns how many."""
    count = 0
    for case in found["cases"]:
        for row, theirs in zip(case["rows"], case["answers"], strict=True):
            assert ours(case["type"], row, found["bos"], found["eos"]) == theirs, (case["type"], row)
            count += 1
    return count


def test_generated_rows_of_every_style_are_worded_as_axolotl_words_them(tmp_path):
    chance = random.Random(3)
    kinds = [*STYLES, *USER_FORMATS, *USER_FORMATS]
    found = answers([{"type": kind, "rows": rows(kind, chance)} for kind in kinds], tmp_path)
    count = compare(found)
    print(f"{count} generated rows of {len(kinds)} types equal")
    assert count == GENERATED * len(kinds)


@pytest.mark.shared
def test_real_rows_are_worded_as_axolotl_words_them(shared, tmp_path):
    plain = {name: json.loads((shared / "testdata" / "datasets" / path).read_text()) for name, path in FILES.items()}
    dolly = json.loads((shared / "testdata" / "datasets" / "dolly" / "dolly_fixture.json").read_text())
    contexts = [
        {"article": row["context"], "question": row["instruction"], "answer": row["response"]}
        for row in dolly
        if row["context"]
    ]
    styles = [kind for kind in STYLES if STYLES[kind].type == "alpaca" and kind.partition(":")[0] not in COLUMNS]
    jobs = [{"type": kind, "rows": table} for kind in styles for table in plain.values()]
    described = [dict(row, system=row["input"]) for row in plain["alpaca"]]
    jobs += [{"type": kind, "rows": described} for kind in ("alpaca_w_system", "alpaca_w_system.load_instruct")]
    jobs.append({"type": "context_qa", "rows": contexts})
    v2 = [{"context": row["article"], "question": row["question"], "answer": row["answer"]} for row in contexts]
    jobs.append({"type": "context_qa.load_v2", "rows": v2})
    count = compare(answers(jobs, tmp_path))
    print(f"{count} real rows equal")
    assert count > 100
