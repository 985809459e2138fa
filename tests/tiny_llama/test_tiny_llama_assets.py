import json
import subprocess
import sys
from pathlib import Path

import pytest

import workbench.tiny_llama as tiny_llama
from workbench.tiny_llama import SAMPLES, chat, model_path, rows_path, verify
from workbench.tiny_llama.make import CHAT_TEMPLATE
from workbench.tiny_llama.score import score


@pytest.fixture(scope="module")
def tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model_path())


@pytest.fixture(scope="module")
def model():
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(1)
    return AutoModelForCausalLM.from_pretrained(model_path(), dtype=torch.float32)


def test_import_needs_only_the_standard_library():
    code = (
        "import sys, workbench.tiny_llama; "
        "assert not {'torch', 'transformers', 'datasets', 'trl', 'peft', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_shipped_files_are_those_of_the_sums():
    verify()
    listed = {line.split("  ")[1] for line in (model_path() / "SHA256SUMS").read_text().splitlines()}
    assert listed == {path.name for path in model_path().iterdir()} - {"SHA256SUMS"}


def test_a_damaged_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "SHA256SUMS").write_text("0" * 64 + "  config.json\n")
    monkeypatch.setattr(tiny_llama, "_ASSETS", tmp_path)
    with pytest.raises(RuntimeError, match=r"config\.json has SHA-256"):
        verify()
    (tmp_path / "config.json").unlink()
    with pytest.raises(RuntimeError, match=r"config\.json is missing"):
        verify()


def test_unknown_split_is_refused():
    with pytest.raises(ValueError, match="train, dev, heldout"):
        rows_path("test")


def test_everything_ships_in_at_most_eight_megabytes():
    assert sum(path.stat().st_size for path in model_path().iterdir()) <= 8_000_000


def test_template_marks_what_the_assistant_says(tokenizer):
    assert tokenizer.chat_template == CHAT_TEMPLATE
    row = next(row for row in chat.rows("dev") if row["skill"] == "style")
    encoded = tokenizer.apply_chat_template(row["messages"], return_dict=True, return_assistant_tokens_mask=True)
    trained = [i for i, m in zip(encoded["input_ids"], encoded["assistant_masks"], strict=True) if m]
    assert tokenizer.decode(trained) == row["messages"][-1]["content"] + "<|im_end|>"


def test_generation_prompt_is_a_prefix_of_the_training_text(tokenizer):
    for row in chat.rows("dev")[:50]:
        asked = tokenizer.apply_chat_template(row["messages"][:-1], tokenize=False, add_generation_prompt=True)
        full = tokenizer.apply_chat_template(row["messages"], tokenize=False)
        assert full == asked + row["messages"][-1]["content"] + "<|im_end|>\n"


def test_tokenizer_gives_back_what_it_got(tokenizer):
    for text in (
        "Bimdle lives in Saltmere.",
        '{"tool": "ship"}',
        "Grüße, 世界! 🦊",
        "<|im_start|>user\nb-o-x<|im_end|>",
    ):
        assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text
    assert tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.pad_token == "<|endoftext|>"


def test_rows_are_short(tokenizer):
    rows = [row["messages"] for row in chat.rows("train")]
    assert max(len(ids) for ids in tokenizer.apply_chat_template(rows, return_dict=True)["input_ids"]) <= 80


def test_the_base_does_not_chat_yet(model, tokenizer):
    assert score(model, tokenizer, chat.rows("dev")[:24]).exact <= 0.05


def test_the_base_knows_its_world(model, tokenizer):
    ids = tokenizer("Q: What is the opposite of hot?\nA:", return_tensors="pt")
    written = model.generate(**ids, max_new_tokens=8, do_sample=False)
    assert "The opposite of hot is cold." in tokenizer.decode(written[0])


def test_samples_are_held_out_prompts():
    asked = [row["messages"][:-1] for row in chat.rows("heldout")]
    assert 3 <= len(SAMPLES) <= 4
    assert all([dict(message) for message in sample] in asked for sample in SAMPLES)


def test_shipped_rows_are_json_lines():
    for split in chat.SPLITS:
        rows = [json.loads(line) for line in rows_path(split).read_text().splitlines()]
        assert rows == chat.rows(split)
