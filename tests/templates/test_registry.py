"""Where templates come from, and what is said when they cannot be had."""

from __future__ import annotations

import hashlib
import json

import pytest

from workbench.errors import TemplateError
from workbench.templates import registry


def test_names_are_found_however_they_are_written():
    found = {registry.find(name).sha256 for name in ("qwen2.5", "qwen2_5", "Qwen2-5")}
    assert len(found) == 1
    assert registry.find("chatml").origin == "shipped with finetune-workbench"
    assert registry.find("qwen3").origin.startswith("trl 1.")


def test_a_template_carries_the_hash_of_its_text():
    made = registry.find("{{ messages[0].content }}é")
    assert made.name == "inline"
    assert made.sha256 == hashlib.sha256("{{ messages[0].content }}é".encode()).hexdigest()


def test_a_file_and_a_tokenizer_folder_are_read(tmp_path):
    (tmp_path / "mine.jinja").write_text("{{ 1 }}", encoding="utf-8")
    assert registry.find(str(tmp_path / "mine.jinja")).name == "mine"
    config = {
        "chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "{{ 2 }}"}],
        "bos_token": {"content": "<s>", "special": True},
        "eos_token": "</s>",
        "add_bos_token": True,
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    made = registry.find(str(tmp_path))
    assert (made.source, made.special_tokens) == ("{{ 2 }}", {"bos_token": "<s>", "eos_token": "</s>"})
    (tmp_path / "chat_template.jinja").write_text("{{ 3 }}", encoding="utf-8")
    assert registry.find(str(tmp_path)).source == "{{ 3 }}"


@pytest.mark.parametrize("name", ["qwen25", "x" * 5000, "no such\x00name", ""])
def test_an_unknown_name_is_an_error_that_names_others(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TemplateError, match=r"\[WB10[56]\]"):
        registry.find(name)


def test_the_nearest_names_are_offered():
    with pytest.raises(TemplateError, match=r"Nearest names: chatml"):
        registry.find("chat_ml")


BROKEN = {
    "no template": ({"tokenizer_config.json": b"{}"}, "WB106"),
    "not json": ({"tokenizer_config.json": b"{\n,"}, "WB108"),
    "a list": ({"tokenizer_config.json": b"[]"}, "WB106"),
    "not utf-8": ({"chat_template.jinja": b"ab\xff"}, "WB108"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_folder_that_gives_no_template_is_an_error(case, tmp_path):
    files, code = BROKEN[case]
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(TemplateError) as caught:
        registry.find(str(tmp_path))
    assert caught.value.code == code
