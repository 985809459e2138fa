"""What axolotl's prompters make of rows, as text. Run by axolotl's own interpreter, never imported by the tests.

    $AXOLOTL_PYTHON tests/parity/make_prompter_goldens.py tests/golden/axolotl_prompters.json
    $AXOLOTL_PYTHON tests/parity/make_prompter_goldens.py answers.json jobs.json

Jobs are `[{"type": axolotl's, "rows": […]}]` (a user-defined type is its mapping); without them it answers its own, the
odd rows below. axolotl's real strategies tokenize with a tokenizer of one token a character, so that ids are the text
and labels say which characters are trained, whatever is tokenized apart. BOS and EOS are one character each, and BOS is
put before every text, as Llama's tokenizer does. An answer is `[[text, trained], …]`, or `{"error": …}`.
"""

import importlib.metadata
import json
import os
import sys
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace

os.dup2(2, 1)  # libraries print to stdout; nobody reads it here
os.environ.update(AXOLOTL_DO_NOT_TRACK="1", CUDA_VISIBLE_DEVICES="", HF_HUB_OFFLINE="1", AXOLOTL_LOG_LEVEL="ERROR")

BOS, EOS = "\ue000", "\ue001"
IGNORE = -100


class Characters:
    """A tokenizer whose tokens are characters."""

    bos_token, eos_token, pad_token = BOS, EOS, None
    bos_token_id, eos_token_id, pad_token_id = ord(BOS), ord(EOS), None

    def __call__(self, text, **_):
        """Ids of a text, BOS first."""
        from transformers import BatchEncoding

        ids = [ord(char) for char in BOS + text]
        return BatchEncoding(data={"input_ids": ids, "attention_mask": [1] * len(ids)})


def strategy(kind):
    """axolotl's tokenizing strategy of a type, made as `get_dataset_wrapper` makes it."""
    from axolotl.prompt_strategies import load
    from axolotl.utils.data import wrappers
    from axolotl.utils.data.sft import _parse_dataset_type
    from axolotl.utils.dict import DictDefault

    cfg = DictDefault({"train_on_inputs": False, "sequence_len": 10**9})
    if isinstance(kind, dict):
        from axolotl.utils.schemas.datasets import UserDefinedPrompterType

        return load("user_defined", Characters(), cfg, UserDefinedPrompterType(**kind).model_dump(exclude_none=True))
    found = load(kind, Characters(), cfg, DictDefault({"type": kind}))
    if found:
        return found
    base, style = _parse_dataset_type(kind)
    kept = []
    original = wrappers.wrap_dataset_for_tokenized_prompt
    wrappers.wrap_dataset_for_tokenized_prompt = lambda made, dataset, **_: kept.append(made)
    try:
        wrappers.DATASET_HANDLERS[base](style, Characters(), cfg, SimpleNamespace(), {})
    finally:
        wrappers.wrap_dataset_for_tokenized_prompt = original
    return kept[0]


def answer(made, row):
    """One row as pieces of text, each trained or not."""
    try:
        out = made.tokenize_prompt(row)
    except Exception as error:  # noqa: BLE001  # every failure of axolotl's is an answer
        return {"error": f"{type(error).__name__}: {str(error)[:200]}"}
    pairs = [(chr(token), label != IGNORE) for token, label in zip(out["input_ids"], out["labels"], strict=True)]
    return [
        ["".join(char for char, _ in group), trained] for trained, group in groupby(pairs, key=lambda pair: pair[1])
    ]


TASKS = [
    {"instruction": "Add the numbers.", "input": "2 and 2", "output": "4"},
    {"instruction": "Say hi.", "input": "", "output": "Hi!"},
    {"instruction": "No input at all", "output": "Fine."},
    {"instruction": "{instruction} {input} {{x}} {0} %s", "input": "{output}", "output": "}{ {{y}} {input}"},
    {"instruction": "  a \n", "input": "\t b ", "output": " \n c  "},
    {"instruction": "Grüße 👩\u200d👩\u200d👧 مرحبا", "input": "日本語\u2028", "output": "e\u0301🎉"},
    {"instruction": "Blank input", "input": " ", "output": " "},
    {"instruction": "### Response:\nASSISTANT:", "input": "<|im_end|>\n\n", "output": f"done{EOS}"},
]


def renamed(names, rows=TASKS):
    """The rows with other names for their columns; a column without a new name is left out."""
    return [{names[name]: text for name, text in row.items() if name in names} for row in rows]


WITH_SYSTEM = [
    {**row, "system": system}
    for row, system in zip(TASKS, ["Be brief.", "", "{system}", " s\n", "S", "Ü", "x", ""], strict=True)
]
ORCA = renamed({"instruction": "question", "output": "response", "system": "system_prompt"}, WITH_SYSTEM)
CHOICES = [
    {"question": row["instruction"], "choices": choices, "solution": row["output"]}
    for row, choices in zip(TASKS, (["3", "4"], [], ["one"], ["{0}", '"q"'], [" a ", "b\n"], ["é"]), strict=False)
]
TEXTS = renamed({"instruction": "article", "input": "question", "output": "answer"})
TEXTS = [{"question": "Why?", **row} for row in TEXTS]
DRAFTS = [
    {"instruction": "Praise four.", "answer": "Four {x}.", "revision": "O four!", "scores": scores, "critiques": said}
    for scores, said in (
        ({"refusal": 10, "creativity": 2.5}, {"refusal": {"explanation": 'It\'s fine: "yes"', "improvements": None}}),
        ("Style: 3", "A long critique that has to be folded by the writer since it goes on and on over the border."),
        ({"b": ["x", "é\n\ny", " z "], "a": True}, ["- dash", "", "tab\there", "'single' # no comment", "true", "12"]),
    )
]
TALKS = [
    {"conversations": [{"role": "system", "value": " A cook.\n<START>"}, {"role": "human", "value": " Hi "},
                       {"role": "bot", "value": "\nHello! "}]},
    {"conversations": [{"role": "human", "value": "{a}"}, {"role": "bot", "value": "b"},
                       {"role": "human", "value": "c"}, {"role": "bot", "value": f"d{EOS}"}]},
]  # fmt: skip
FORMATS = (
    {"field_instruction": "q", "field_input": "i", "field_output": "a", "field_system": "s"},
    {
        "field_instruction": "q", "field_input": "i", "field_output": "a", "field_system": "s",
        "system_prompt": "Default {sys}", "system_format": "<<{system}>> ",
        "format": "{{json}} [INST] {input}|{instruction}|{input} [/INST]",
        "no_input_format": "[INST] {instruction} [/INST]",
    },
    {"field_instruction": "q", "field_output": "a", "system_format": "", "system_prompt": "no", "format": "{input}"},
)  # fmt: skip
ALPACA = (
    "alpaca alpaca:chat alpaca:chatml alpaca:phi alpaca_chat.load alpaca_chat.load_concise alpaca_chat.load_no_prompt "
    "alpaca_instruct.load alpaca_instruct.load_no_prompt"
)
ASKED = {"instruction": "q", "input": "i", "output": "a", "system": "s"}
ANSWERED = {"instruction": "instruction", "output": "revision"}
STEPS = [{**row, "reflection": f"But {row['instruction']}", "corrected": " right "} for row in TASKS[:5]]
JOBS = [
    *({"type": kind, "rows": TASKS} for kind in ALPACA.split()),
    {"type": "gpteacher", "rows": renamed({"instruction": "instruction", "input": "input", "output": "response"})},
    {"type": "oasst", "rows": renamed({"instruction": "INSTRUCTION", "output": "RESPONSE"})},
    {"type": "alpaca_chat.load_qa", "rows": renamed({"instruction": "question", "output": "answer"})},
    {"type": "alpaca_chat.load_camel_ai", "rows": renamed({"instruction": "message_1", "output": "message_2"})},
    {"type": "alpaca_w_system", "rows": WITH_SYSTEM},
    {"type": "alpaca_w_system.load_instruct", "rows": WITH_SYSTEM},
    {"type": "alpaca_w_system.load_open_orca", "rows": ORCA},
    {"type": "alpaca_w_system.load_open_orca_chatml", "rows": ORCA},
    {"type": "orcamini", "rows": ORCA},
    {"type": "jeopardy", "rows": [{"question": row["instruction"], "category": row.get("input", "Sums"),
                                   "answer": row["output"]} for row in TASKS]},
    {"type": "explainchoice", "rows": CHOICES},
    {"type": "concisechoice", "rows": CHOICES},
    *({"type": f"explainchoice:{style}", "rows": CHOICES[:2]} for style in ("chat", "chatml", "phi")),
    {"type": "gpteacher:chat", "rows": renamed({"instruction": "instruction", "input": "input", "output": "response"},
                                               TASKS[:2])},
    {"type": "oasst:phi", "rows": renamed({"instruction": "INSTRUCTION", "output": "RESPONSE"}, TASKS[:1])},
    {"type": "jeopardy:chatml", "rows": [{"question": "It is 2+2.", "category": "Sums", "answer": "four"}]},
    {"type": "summarizetldr", "rows": renamed({"instruction": "article", "output": "summary"})},
    {"type": "reflection", "rows": STEPS},
    {"type": "reflection:instruct", "rows": STEPS[:3]},
    {"type": "context_qa", "rows": TEXTS},
    {"type": "context_qa.load_v2", "rows": renamed({"article": "context", "question": "question", "answer": "answer"},
                                                   TEXTS)},
    {"type": "context_qa.load_404", "rows": renamed({"article": "article", "question": "unanswerable_question"},
                                                    TEXTS)},
    {"type": "creative_acr.load_answer", "rows": renamed(ANSWERED)},
    {"type": "creative_acr.load_critique", "rows": [{k: v for k, v in row.items() if k != "revision"}
                                                    for row in DRAFTS]},
    {"type": "creative_acr.load_revise", "rows": DRAFTS},
    {"type": "metharme", "rows": renamed({"instruction": "prompt", "output": "generation"})},
    {"type": "pygmalion", "rows": TALKS},
    *({"type": kind, "rows": renamed(ASKED, [*TASKS, *WITH_SYSTEM[:4]])} for kind in FORMATS),
]  # fmt: skip


def main(out, jobs=None):
    """Answer the jobs."""
    asked = json.loads(Path(jobs).read_text(encoding="utf-8")) if jobs else JOBS
    cases = []
    for job in asked:
        made = strategy(job["type"])
        cases.append({**job, "answers": [answer(made, row) for row in job["rows"]]})
    version = importlib.metadata.version("axolotl")
    found = {"axolotl": version, "made_by": "tests/parity/make_prompter_goldens.py", "bos": BOS, "eos": EOS}
    head = json.dumps(found, ensure_ascii=False, indent=1)[:-2]
    lines = ",\n".join("  " + json.dumps(case, ensure_ascii=False) for case in cases)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    Path(out).write_text(f'{head},\n "cases": [\n{lines}\n ]\n}}\n', encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
