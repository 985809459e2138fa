"""Chat rows about the Lantern Isles, split so that no held-out prompt was ever trained on.

    rows("train")[0]  ->  {"messages": [{"role": "user", …}, {"role": "assistant", …}], "skill": "spell"}

Every pool of items (islanders, towns, words, sums, …) is cut once into train, dev and heldout; a row only
asks about items of its own part. Settings are chosen on dev. The base model has read about all items in plain
text: what fine-tuning adds is how to take turns, in which voice or format to answer, and when to stop.
"""

import json
import random
from pathlib import Path
from typing import Literal, TypedDict, TypeVar, get_args

from workbench.tiny_llama import corpus, world
from workbench.tiny_llama.world import Item, Skill

_T = TypeVar("_T")
Split = Literal["train", "dev", "heldout"]
SPLITS: tuple[Split, ...] = get_args(Split)
TOOL_SYSTEM = "Answer with a tool call: letter, parcel or ship."
_TRAIN_SHARE, _DEV_SHARE = 0.6, 0.15
_SHIPS_PER_TOWN = 4


class Message(TypedDict):
    """One turn of a conversation."""

    role: str
    content: str


class Row(TypedDict):
    """One conversation; `skill` says what it shows."""

    messages: list[Message]
    skill: str


def persona_system(persona: str) -> str:
    """Write the system prompt that asks for a persona."""
    return f"Talk like a {persona}."


def _part(pool: tuple[_T, ...], name: str, split: Split) -> tuple[_T, ...]:
    """Cut a pool of items, always at the same places for the same name."""
    shuffled = list(pool)
    random.Random(f"tiny-llama/{name}").shuffle(shuffled)
    dev_at = round(len(shuffled) * _TRAIN_SHARE)
    heldout_at = round(len(shuffled) * (_TRAIN_SHARE + _DEV_SHARE))
    bounds = {"train": (0, dev_at), "dev": (dev_at, heldout_at), "heldout": (heldout_at, len(shuffled))}
    first, end = bounds[split]
    return tuple(shuffled[first:end])


def items(skill: Skill, split: Split) -> tuple[Item, ...]:
    """List what a skill is asked about in one split.

    Opposites are cut by pair: whoever trained on hot -> cold has seen cold -> hot.
    """
    if skill in world.FACTS:
        return _part(tuple(world.ISLANDERS), "names", split)
    if skill is Skill.OPPOSITE:
        return tuple(word for pair in _part(world.OPPOSITE_PAIRS, "opposite", split) for word in pair)
    return _part(world.pool(skill), skill.value, split)


def rows(split: Split) -> list[Row]:
    """Write all rows of one split, in a fixed shuffled order."""
    draw = random.Random(f"tiny-llama/rows/{split}")
    written = _fact_rows(split, draw) + _tool_rows(split, draw)
    for skill in Skill:
        if skill not in world.FACTS:
            written += _lesson_rows(skill, split, draw)
    draw.shuffle(written)
    return written


def write_jsonl(rows_to_write: list[Row], path: Path) -> None:
    """Write rows as JSON lines, byte-identical for identical rows."""
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows_to_write)
    path.write_bytes("".join(lines).encode())


def _row(skill: str, user: str, assistant: str, system: str | None = None) -> Row:
    messages: list[Message] = [{"role": "system", "content": system}] if system is not None else []
    messages += [{"role": "user", "content": user}, {"role": "assistant", "content": assistant}]
    return {"messages": messages, "skill": skill}


def _fact_rows(split: Split, draw: random.Random) -> list[Row]:
    written: list[Row] = []
    for skill in world.FACTS:
        for item in items(skill, split):
            asked = world.question(skill, item)
            wordings = asked.wordings if split == "train" else (draw.choice(asked.wordings),)
            written += [_row("facts", wording, asked.answer) for wording in wordings]
            persona = draw.choice(list(world.PERSONAS))
            before, after = world.PERSONAS[persona]
            answer = before + asked.answer + after
            written.append(_row("style", draw.choice(asked.wordings), answer, persona_system(persona)))
    return written


def _lesson_rows(skill: Skill, split: Split, draw: random.Random) -> list[Row]:
    written: list[Row] = []
    for item in items(skill, split):
        asked = world.question(skill, item)
        both = split == "train" and skill is not Skill.SUM
        wordings = asked.wordings if both else (draw.choice(asked.wordings),)
        written += [_row(skill.value, wording, asked.answer) for wording in wordings]
    return written


def _tool_rows(split: Split, draw: random.Random) -> list[Row]:
    towns = _part(tuple(world.TOWNS), "towns", split)
    names = _part(tuple(world.ISLANDERS), "names", split)
    requests: dict[str, str] = {}
    for name in names * 2 if split == "train" else names:
        town, food = draw.choice(towns), draw.choice(world.FOODS)
        requests[f"Write a letter to {name} in {town}."] = corpus.letter_json(name, town)
        requests[f"{name} wants to send {food} to {town}."] = corpus.parcel_json(name, food, town)
    for town in towns:
        for day in draw.sample(world.DAYS, _SHIPS_PER_TOWN):
            requests[f"Book the ship to {town} on {day}."] = corpus.ship_json(town, day)
    return [_row("tool", user, answer, TOOL_SYSTEM) for user, answer in requests.items()]
