"""The tokens and labels that TRL's own preparation makes of rows, and ours: equal, or different for a stated reason.

The trainers are TRL's, built on the embedded model; what is compared is the dataset they would train on.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.tokens.test_mask import CHATML
from workbench import tiny_llama
from workbench.options import MaskOptions
from workbench.rows.convert import convert
from workbench.templates import registry
from workbench.tokens.encode import load_tokenizer, special_tokens
from workbench.tokens.sequences import sequences
from workbench.tokens.setting import Setting
from workbench.types import IGNORE, Finding, Preference, PromptCompletion, Reason, Text, TokenizedExample, Unpaired

pytestmark = pytest.mark.training

MARKED = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.role == 'assistant' %}"
    "{% generation %}{{ m.content + '<|im_end|>' }}{% endgeneration %}{{ '\n' }}"
    "{% else %}{{ m.content + '<|im_end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CLOSED = CHATML.replace("<|im_end|>\n", "<|im_end|>")
"""A template that writes nothing behind the stop token, as Llama 3's does."""

TEMPLATES = {"marked": MARKED, "chatml": CHATML, "closed": CLOSED}
SAID = (
    "Hi", "How can I help you?", "  spaces around  ", "\n\nlines\n", "é 漢字 😀", "[[dummy_message]]", "</think>", "a",
    "Explain it to a cook, please.", "The answer is 8.", "user\nassistant", "x" * 40, ": ,. ;", "No",
)  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    made = load_tokenizer("tiny-llama")
    made.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    return made


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory, tokenizer) -> str:
    """The embedded model with room for the tokens the templates write."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(str(tiny_llama.model_path()))
    model.resize_token_embeddings(len(tokenizer))
    folder = str(tmp_path_factory.mktemp("model"))
    model.save_pretrained(folder)
    return folder


def prepared(kind: str, rows: list[dict[str, Any]], model: str, tokenizer: Any, tmp_path: Any, **more: Any) -> Any:
    """The dataset that a TRL trainer has made of the rows."""
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer, SFTConfig, SFTTrainer

    trainers = {"sft": (SFTTrainer, SFTConfig), "dpo": (DPOTrainer, DPOConfig), "kto": (KTOTrainer, KTOConfig)}
    trainer, config = trainers[kind]
    args = config(output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to="none", max_length=None, **more)
    made = trainer(model=model, args=args, train_dataset=Dataset.from_list(rows), processing_class=tokenizer)
    return list(made.train_dataset)


def ours(examples: list[Any], tokenizer: Any, template: str | None, **more: Any) -> list[tuple[TokenizedExample, ...]]:
    info = None if template is None else registry.info("t", TEMPLATES[template], "a test", special_tokens(tokenizer))
    made = list(sequences(examples, Setting(tokenizer, info, **more)))
    assert not [item for item in made if isinstance(item, Finding)]
    return [item for item in made if not isinstance(item, Finding)]


def converted(rows: list[dict[str, Any]], type: str) -> list[Any]:
    made = [convert(row, index, type, {}) for index, row in enumerate(rows)]
    assert all(example is not None for example, _ in made), made
    return [example for example, _ in made]


def talk(dice: random.Random, turns: int, system: bool) -> list[dict[str, str]]:
    first = [{"role": "system", "content": dice.choice(SAID)}] if system else []
    roles = [role for _ in range(turns) for role in ("user", "assistant")]
    return first + [{"role": role, "content": dice.choice(SAID)} for role in roles]


def talks(count: int, seed: int) -> list[list[dict[str, str]]]:
    """Conversations of one to three turns, a third with a system message."""
    dice = random.Random(seed)
    return [talk(dice, 1 + index % 3, index % 3 == 0) for index in range(count)]


def labelled(row: dict[str, Any]) -> tuple[list[int], list[int]]:
    return list(row["input_ids"]), list(row["labels"])


def pairs_of(made: list[tuple[TokenizedExample, ...]]) -> list[tuple[list[int], list[int]]]:
    return [(list(part.input_ids), list(part.labels)) for parts in made for part in parts]


def test_messages_with_a_template_that_marks_answers(model_folder, tokenizer, tmp_path):
    rows = [{"messages": messages} for messages in talks(24, 1)]
    tokenizer.chat_template = MARKED
    theirs = prepared("sft", rows, model_folder, tokenizer, tmp_path, assistant_only_loss=True)
    assert pairs_of(ours(converted(rows, "messages"), tokenizer, "marked")) == [labelled(row) for row in theirs]


@pytest.mark.parametrize("template", TEMPLATES)
def test_messages_trained_whole(template, model_folder, tokenizer, tmp_path):
    rows = [{"messages": messages} for messages in talks(12, 2)]
    tokenizer.chat_template = TEMPLATES[template]
    theirs = prepared("sft", rows, model_folder, tokenizer, tmp_path)
    made = ours(converted(rows, "messages"), tokenizer, template, train_on="all")
    assert pairs_of(made) == [labelled(row) for row in theirs]


def test_texts(model_folder, tokenizer, tmp_path):
    rows = [{"text": text} for text in (*SAID, "ends itself" + tokenizer.eos_token)]
    theirs = prepared("sft", rows, model_folder, tokenizer, tmp_path)
    made = ours([Text(i, row["text"]) for i, row in enumerate(rows)], tokenizer, None)
    assert pairs_of(made) == [labelled(row) for row in theirs]


TEXTS = [(f"Q: {asked}\nA: ", answer) for asked, answer in zip(SAID, reversed(SAID), strict=True)]
MERGING = [("Count: on", "e two"), ("The ", "the"), ("x", " ")]
"""Prompts whose end a tokenizer may join with the answer."""


def test_prompts_with_completions_as_text(model_folder, tokenizer, tmp_path):
    rows = [{"prompt": prompt, "completion": answer} for prompt, answer in (*TEXTS, *MERGING)]
    theirs = prepared("sft", rows, model_folder, tokenizer, tmp_path)
    made = ours([PromptCompletion(i, *row.values()) for i, row in enumerate(rows)], tokenizer, None)
    assert pairs_of(made) == [labelled(row) for row in theirs]


@pytest.mark.parametrize("template", ["closed", "chatml"])
def test_prompts_with_completions_as_messages(template, model_folder, tokenizer, tmp_path):
    """TRL trains all of the template's text behind the prompt; ours stops behind the stop token (decision 0002)."""
    rows = [{"prompt": said[:-1], "completion": said[-1:]} for said in talks(18, 3)]
    tokenizer.chat_template = TEMPLATES[template]
    theirs = [labelled(row) for row in prepared("sft", rows, model_folder, tokenizer, tmp_path)]
    made = ours(converted(rows, "prompt_completion"), tokenizer, template, train_on="completion")
    if template == "closed":
        assert pairs_of(made) == theirs
    for (part,), (ids, labels) in zip(made, theirs, strict=True):
        assert list(part.input_ids) == ids
        different = [i for i, label in enumerate(part.labels) if label != labels[i]]
        assert {part.reasons[i] for i in different} <= {Reason.AFTER_STOP}
        assert all(labels[i] == ids[i] for i in different)
        assert len(different) == (template == "chatml")


def sides(row: dict[str, Any]) -> list[tuple[list[int], list[int]]]:
    """TRL's chosen and rejected as ids and labels (its collator's completion_mask)."""
    prompt = list(row["prompt_ids"])
    answers = (list(row["chosen_ids"]), list(row["rejected_ids"]))
    return [(prompt + answer, [IGNORE] * len(prompt) + answer) for answer in answers]


def both(seed: int, count: int = 18) -> list[tuple[list[dict[str, str]], dict[str, str], dict[str, str]]]:
    """(prompt of one to three turns, chosen, rejected)."""
    dice = random.Random(seed)
    made = []
    for messages in talks(count, seed):
        other = dice.choice([text for text in SAID if text != messages[-1]["content"]])
        made.append((messages[:-1], messages[-1], {"role": "assistant", "content": other}))
    return made


@pytest.mark.parametrize("form", ["explicit", "implicit"])
@pytest.mark.parametrize("template", TEMPLATES)
def test_preferences_as_messages(template, form, model_folder, tokenizer, tmp_path):
    """Several turns too; labels as TRL counts them, whatever the options say."""
    rows = [
        {"prompt": prompt, "chosen": [yes], "rejected": [no]}
        if form == "explicit"
        else {"chosen": [*prompt, yes], "rejected": [*prompt, no]}
        for prompt, yes, no in both(4)
    ]
    tokenizer.chat_template = TEMPLATES[template]
    theirs = prepared("dpo", rows, model_folder, tokenizer, tmp_path)
    for options in (MaskOptions(), MaskOptions(train_on_eos="none", train_on_inputs=True)):
        made = ours(converted(rows, "dpo"), tokenizer, template, options=options)
        assert [len(parts) for parts in made] == [2] * len(rows)
        assert pairs_of(made) == [side for row in theirs for side in sides(row)]


def test_preferences_as_text(model_folder, tokenizer, tmp_path):
    data = [(prompt, answer, "No, that is not it.") for prompt, answer in (*TEXTS, *MERGING)]
    rows = [dict(zip(("prompt", "chosen", "rejected"), item, strict=True)) for item in data]
    theirs = prepared("dpo", rows, model_folder, tokenizer, tmp_path)
    examples = [
        Preference(i, PromptCompletion(i, prompt, yes), PromptCompletion(i, prompt, no))
        for i, (prompt, yes, no) in enumerate(data)
    ]
    assert pairs_of(ours(examples, tokenizer, None)) == [side for row in theirs for side in sides(row)]


@pytest.mark.parametrize("template", TEMPLATES)
def test_unpaired_answers_as_messages(template, model_folder, tokenizer, tmp_path):
    rows = [
        {"prompt": prompt, "completion": [yes], "label": index % 2 == 0}
        for index, (prompt, yes, _) in enumerate(both(5, 16))
    ]
    tokenizer.chat_template = TEMPLATES[template]
    theirs = prepared("kto", rows, model_folder, tokenizer, tmp_path)
    check_unpaired(ours(converted(rows, "kto"), tokenizer, template), theirs)


def test_unpaired_answers_as_text(model_folder, tokenizer, tmp_path):
    rows = [{"prompt": p, "completion": a, "label": i % 3 > 0} for i, (p, a) in enumerate((*TEXTS, *MERGING))]
    theirs = prepared("kto", rows, model_folder, tokenizer, tmp_path)
    examples = [Unpaired(i, PromptCompletion(i, r["prompt"], r["completion"]), r["label"]) for i, r in enumerate(rows)]
    check_unpaired(ours(examples, tokenizer, None), theirs)


def check_unpaired(made: list[tuple[TokenizedExample, ...]], theirs: list[dict[str, Any]]) -> None:
    expected = []
    for row in theirs:
        prompt, answer = list(row["prompt_ids"]), list(row["completion_ids"])
        expected.append((prompt + answer, [IGNORE] * len(prompt) + answer, row["label"]))
    assert [(list(p.input_ids), list(p.labels), p.desirable) for (p,) in made] == expected
    assert {label for _, _, label in expected} == {True, False}


OPENED = CHATML.replace("'<|im_start|>assistant\n'", "'<|im_start|>assistant\n<think>\n\n</think>\n\n'")


def test_a_generation_prompt_that_the_conversation_does_not_hold(model_folder, tokenizer, tmp_path):
    """Qwen3's shape: TRL drops the end of the prompt that the whole text lacks; ours begins the answer there too."""
    rows = [{"prompt": p, "chosen": [yes], "rejected": [no]} for p, yes, no in both(6, 9)]
    tokenizer.chat_template = OPENED
    theirs = prepared("dpo", rows, model_folder, tokenizer, tmp_path)
    info = registry.info("opened", OPENED, "a test", special_tokens(tokenizer))
    made = list(sequences(converted(rows, "dpo"), Setting(tokenizer, info)))
    assert pairs_of([parts for parts in made if not isinstance(parts, Finding)]) == [
        side for row in theirs for side in sides(row)
    ]
