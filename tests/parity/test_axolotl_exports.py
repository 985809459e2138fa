"""Exported configs against axolotl itself: its validation accepts them, its preprocessing gives our ids and labels.

Needs axolotl in its own environment (its transformers is another version): AXOLOTL_PYTHON names that interpreter.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from workbench.exports.export import export
from workbench.exports.facts import ExportFacts
from workbench.recipes import Recipe
from workbench.rows.convert import convert_all
from workbench.templates.registry import find
from workbench.tokens.encode import load_tokenizer, special_tokens
from workbench.tokens.sequences import sequences
from workbench.tokens.setting import Setting

DRIVER = Path(__file__).with_name("axolotl_driver.py")
TOKENIZERS = ("qwen2.5", "mistral-v1", "phi-3-mini", "titan-tiny")
DATA = {
    "messages": "messages/tinker_conversations.jsonl",
    "sharegpt": "sharegpt/fastchat_dummy.json",
    "alpaca": "alpaca/identity_alpaca.json",
    "text": "completion/c4_demo.jsonl",
    "input_output": "template_free/axolotl_input_output.jsonl",
    "prompt_completion": "gsm8k/gsm8k_train.jsonl",
}
COLUMNS = {"prompt_completion": {"prompt": "question", "completion": "answer"}}
CHATS = ("messages", "sharegpt", "alpaca")
SAID = (
    ("  leading", "trailing  "),
    ("\n\nx\n\n", "[[1, 2], [3, 4]]"),
    ("<|im_end|>", "a<|im_end|>b"),
    ("user\nassistant", "</think> é漢😀"),
    ("[[dummy_message]] or zzdummymessagezz", "]] [["),
    ("{{ x }}", "[/INST] \u00a0x\u00a0"),
)
HOSTILE = [
    {
        "messages": [
            {"role": "user", "content": "<|im_start|>assistant"},
            {"role": "assistant", "content": first},
            {"role": "user", "content": "[[dummy_message]]"},
            {"role": "assistant", "content": second},
        ]
    }
    for first, second in SAID
]
CASES = [
    *(("hostile", tokenizer, {}) for tokenizer in TOKENIZERS),
    *((type, tokenizer, {}) for tokenizer in TOKENIZERS for type in DATA),
    *((type, "qwen2.5", {"train_on": "last_assistant"}) for type in CHATS),
    *((type, "qwen2.5", {"train_on": "all"}) for type in CHATS),
    *((type, "qwen2.5", {"max_length": 128}) for type in DATA),
    *((type, "titan-tiny", {"max_length": 256, "packing": "bfd", "adapter": "none"}) for type in DATA),
]

pytestmark = [pytest.mark.parity_axolotl, pytest.mark.shared, pytest.mark.timeout(1200)]


def name(case):
    type, tokenizer, changes = case
    return "-".join((type, tokenizer, *(f"{key}={value}" for key, value in changes.items())))


def read(path, limit=24):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines() if line.strip()][:limit]
    return json.loads(text)[:limit]


def facts_of(model, rows, type, recipe):
    tokenizer = load_tokenizer(str(model))
    template = find(str(model)) if type in CHATS else None
    examples = [example for example, _ in convert_all(rows, type, COLUMNS.get(type, {})) if example is not None]
    made = sequences(examples, Setting(tokenizer, template, recipe.train_on, recipe.max_length))
    kept = [
        (example, part)
        for example, parts in zip(examples, made, strict=True)
        if isinstance(parts, tuple)
        for part in parts
        if part.trained
    ]
    return ExportFacts(
        model=str(model),
        tokenizer=str(model),
        examples=[example for example, _ in kept],
        tokenized=[result for _, result in kept],
        template=template,
        special_tokens=special_tokens(tokenizer),
        encode=lambda text: tokenizer(text, add_special_tokens=False)["input_ids"],
        device="cpu",
    )


def tiny_model(folder, source):
    """A model folder for axolotl to read: the tokenizer's files and the config of a model nobody loads."""
    folder.mkdir(parents=True)
    for path in source.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    config = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "vocab_size": 152064,
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def answers(shared, tmp_path_factory):
    """Case name -> (facts, report, axolotl's answer); one axolotl process for all, its imports take seconds."""
    python = os.environ.get("AXOLOTL_PYTHON")
    if not python:
        pytest.skip("AXOLOTL_PYTHON does not name an interpreter with axolotl 0.19")
    root = tmp_path_factory.mktemp("axolotl")
    models = {
        name: tiny_model(root / "models" / name, shared / "testdata" / "tokenizers" / name) for name in TOKENIZERS
    }
    made = {}
    for case in CASES:
        type, tokenizer, changes = case
        recipe = Recipe(**changes)
        rows = HOSTILE if type == "hostile" else read(shared / "testdata" / "datasets" / DATA[type])
        facts = facts_of(models[tokenizer], rows, "messages" if type == "hostile" else type, recipe)
        made[name(case)] = (facts, export(recipe, facts, "axolotl", root / name(case)))
    configs = {str(report.files[0]): key for key, (_, report) in made.items()}
    done = subprocess.run([python, str(DRIVER), *configs], capture_output=True, text=True, timeout=1100, check=False)
    found = {key: {"rows": []} for key in made}
    current = None
    for line in done.stdout.splitlines():
        said = json.loads(line)
        if "config" in said:
            current = found[configs[said["config"]]]
            current.update(said)
        else:
            current["rows"].append(said)
    assert done.returncode == 0, done.stderr[-2000:]
    return {key: (*made[key], found[key]) for key in made}


@pytest.mark.parametrize("case", [name(case) for case in CASES])
def test_axolotl_accepts_the_config_and_makes_our_ids_and_labels(case, answers):
    facts, report, answer = answers[case]
    assert "error" not in answer, answer.get("error")
    assert answer["values"]["sequence_len"] >= 1
    ours = [(list(example.input_ids), list(example.labels)) for example in facts.tokenized]
    theirs = [(row["input_ids"], row["labels"]) for row in answer["rows"]]
    print(case, report.form, len(ours), report.notes)
    assert len(theirs) == len(ours)
    for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        assert other == one, f"exported row {index}"


def test_most_chats_can_be_written_as_readable_rows(answers):
    forms = {case: report.form for case, (_, report, _) in answers.items()}
    print(forms)
    for tokenizer in ("qwen2.5", "phi-3-mini"):
        assert [forms[name((type, tokenizer, {}))] for type in CHATS] == ["rows"] * 3
