import json
from pathlib import Path

import pytest

from workbench.tiny_llama import chat, rows_path, world
from workbench.tiny_llama.world import Skill


def prompts(split: chat.Split) -> set[str]:
    return {json.dumps(row["messages"][:-1]) for row in chat.rows(split)}


def test_no_prompt_is_in_two_splits():
    train, dev, heldout = (prompts(split) for split in chat.SPLITS)
    assert not train & dev
    assert not train & heldout
    assert not dev & heldout


@pytest.mark.parametrize("skill", list(Skill))
def test_no_item_is_in_two_splits(skill: Skill):
    train, dev, heldout = (set(chat.items(skill, split)) for split in chat.SPLITS)
    assert train and dev and heldout
    assert not train & dev and not train & heldout and not dev & heldout
    assert train | dev | heldout == set(world.pool(skill))


def test_an_opposite_is_never_asked_the_other_way_round_in_another_split():
    train = set(chat.items(Skill.OPPOSITE, "train"))
    assert all(world.OPPOSITE[word] in train for word in train)


@pytest.mark.parametrize("split", chat.SPLITS)
def test_rows_are_unique_and_end_with_the_assistant(split: chat.Split):
    rows = chat.rows(split)
    assert len(prompts(split)) == len(rows)
    assert {row["messages"][-1]["role"] for row in rows} == {"assistant"}
    assert {row["messages"][-2]["role"] for row in rows} == {"user"}


@pytest.mark.parametrize("split", chat.SPLITS)
def test_shipped_rows_are_what_the_code_writes(split: chat.Split, tmp_path: Path):
    chat.write_jsonl(chat.rows(split), tmp_path / "rows.jsonl")
    assert (tmp_path / "rows.jsonl").read_bytes() == rows_path(split).read_bytes()


def test_tool_answers_are_json():
    calls = [json.loads(row["messages"][-1]["content"]) for row in chat.rows("heldout") if row["skill"] == "tool"]
    assert {call["tool"] for call in calls} == {"letter", "parcel", "ship"}
