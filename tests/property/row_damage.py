"""Damaging rows: one draw takes a good row of a type and breaks it in one to three places."""

from __future__ import annotations

import copy
import datetime
import json
from collections.abc import Iterator
from typing import Any

import numpy
from hypothesis import strategies as st

from workbench.rows.formats import FORMATS

DEEP: list[Any] = []
for _ in range(200):
    DEEP = [DEEP]
DEEP_OBJECT: dict[str, Any] = {}
for _ in range(200):
    DEEP_OBJECT = {"content": DEEP_OBJECT}

ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, -100, 2, 10**400, 1.5, float("nan"), float("inf"), "", " ", "\n\n", "\x00", "hi",
    "\ud83d", "a\udc00b", "null", "true", "0", "[]", "{}", "[null]", '["a"]', '[{"role":', "[1", '{"a": 1}', '"x"',
    '[{"role": "user", "content": "Hi"}]', '[{"from": "gpt", "value": null}]', "[" * 100_000, "<image>",
    "<image><image>", "USER: a ASSISTANT: b", "<tool_call>\n{'name': }\n</tool_call>", "<functioncall> {", "<|model|>",
    "{prompt}", [], {}, [None], [[]], [{}], [[[]]], ["", ""], ["a", None], [True, "no"], [10**400], [1.0, 2], {"": ""},
    {1: 2}, {None: None}, {"role": "user"}, {"role": "assistant", "content": None}, {"role": 3, "content": "x"},
    {"from": "gpt", "value": "x"}, {"content": "x"}, [{"role": "assistant", "content": "x"}],
    [{"role": "user", "content": [{"type": "image"}]}], [{"role": "tool", "content": "x"}],
    [{"role": "user", "content": [{"type": "audio", "audio": "a"}, None, 3]}], [["a", "b"], ["c"]], {"text": None},
    [{"role": "assistant", "content": None, "tool_calls": [{"function": None}]}], {"problem": 3}, {"steps": 3},
    {"steps": [{"completions": None}]}, {"steps": [{"completions": [{}]}]}, DEEP, DEEP_OBJECT, b"\xff\x00",
    datetime.date(2024, 1, 1), {"a"}, (1, 2), ("a",), range(3), numpy.array([1, 2]), numpy.float32(1), object(),
    "x" * 5000, list(range(3000)),
)  # fmt: skip
"""Values that stand where something else belongs."""

Path = tuple[Any, ...]


_CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
_TOOL_TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Hi"}], "name": "Bo"},
    {"role": "assistant", "content": None, "reasoning_content": "hm", "tool_calls": [_CALL]},
    {"role": "tool", "tool_call_id": "1", "content": "4"},
    {"role": "assistant", "content": "<think>\nadd\n</think>\n\n4", "train": True},
]
_SHORT = _TOOL_TALK[1:2]
RICH: dict[str, tuple[dict[str, Any], ...]] = {
    "messages": ({"messages": _TOOL_TALK},),
    "sharegpt": (
        {
            "conversations": [
                {"from": "human", "value": "Hi"},
                {"from": "function_call", "value": '{"name": "f", "arguments": {"a": 1}}'},
                {"from": "observation", "value": "4"},
                {"from": "gpt", "value": "4", "weight": 1},
            ],
            "tools": '[{"name": "f", "parameters": {"type": "object"}}]',
        },
    ),
    "dpo": (
        {"chosen": _TOOL_TALK, "rejected": [*_TOOL_TALK[:-1], {"role": "assistant", "content": "5"}]},
        {
            "prompt": "Hi",
            "chosen": [*_SHORT, _TOOL_TALK[-1]],
            "rejected": [*_SHORT, {"role": "assistant", "content": "5"}],
        },
        {"prompt": [{"from": "human", "value": "Hi"}], "chosen": {"from": "gpt", "value": "a"}, "rejected": "ab"},
    ),
    "kto": ({"prompt": "Hi", "completion": _TOOL_TALK[1:], "label": False},),
    "prm800k": (
        {
            "question": {"problem": "2+2?"},
            "label": {
                "steps": [
                    {
                        "completions": [{"text": "a", "rating": 0}],
                        "chosen_completion": None,
                        "human_completion": {"text": "b"},
                    },
                    {"completions": [{"text": "c", "rating": -1}], "chosen_completion": None, "human_completion": None},
                ]
            },
        },
    ),
    "rl": ({"messages": _TOOL_TALK[:2], "prompt": _TOOL_TALK, "ground_truth": {"ground_truth": "4"}},),
    "vision": (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a"}}]}, _TOOL_TALK[-1]]},
        {"messages": "<image>What?", "answer": "A cat.", "images": [{"path": "a.png"}], "history": [["a", "b"]]},
    ),
}
"""Rows with more in them than the examples of the table have."""


def whole_rows(name: str) -> list[dict[str, Any]]:
    """Good rows of a type."""
    return [fuller(name), *copy.deepcopy(RICH.get(name, ()))]


def fuller(name: str) -> dict[str, Any]:
    """The example of a type with a value in every column it may have."""
    columns = {column.name: copy.deepcopy(_usual(column.shapes[0])) for column in FORMATS[name].columns}
    return {**columns, **copy.deepcopy(dict(FORMATS[name].example))}


def _usual(shape: str) -> Any:
    return {
        "number": 1.5,
        "pairs": [["a", "b"]],
        "objects": [{"name": "f", "parameters": {"type": "object", "properties": {}}}],
        "numbers": [1, 1, 1],
        "texts": ["cat.png"],
    }.get(shape, "Be brief.")


def paths(value: Any, above: Path = ()) -> Iterator[Path]:
    """Every place in a JSON-like value, but not inside what is deeper than six."""
    if above:
        yield above
    if len(above) < 6 and isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(min(len(value), 5)):
            yield from paths(value[key], (*above, key))


def holder_of(row: Any, path: Path) -> Any:
    for key in path[:-1]:
        row = row[key]
    return row


@st.composite
def damaged(draw: st.DrawFn, name: str) -> Any:
    """A row of the type, broken."""
    row: Any = draw(st.sampled_from([*whole_rows(name), copy.deepcopy(dict(FORMATS[name].example))]))
    for _ in range(draw(st.integers(1, 3))):
        row = _broken(draw, row)
    return row


HOWS = ("odd", "odd", "odd", "drop", "wrap", "unwrap", "json", "twice", "swap", "rename", "graft")


def _broken(draw: st.DrawFn, row: Any) -> Any:
    places = list(paths(row)) if isinstance(row, dict | list) else []
    if not places or draw(st.integers(0, 99)) == 0:
        return copy.deepcopy(draw(st.sampled_from(ODD_VALUES)))
    path = draw(st.sampled_from(places))
    holder, key = holder_of(row, path), path[-1]
    how = draw(st.sampled_from(HOWS))
    if how == "drop":
        del holder[key]
    elif how == "twice" and isinstance(holder, list):
        holder.append(copy.deepcopy(holder[key]))
    elif how == "swap":
        other = draw(st.sampled_from(places))
        beside = holder_of(row, other)
        holder[key], beside[other[-1]] = copy.deepcopy(beside[other[-1]]), copy.deepcopy(holder[key])
    elif how == "rename" and isinstance(holder, dict):
        holder[draw(st.sampled_from(("", "Content", 1, None, 2.5, "\ud83d")))] = holder.pop(key)
    else:
        holder[key] = _instead(draw, how, holder[key])
    return row


def _instead(draw: st.DrawFn, how: str, value: Any) -> Any:
    """What stands in the place of a value."""
    if how == "wrap":
        return [value]
    if how == "unwrap" and isinstance(value, list) and value:
        return value[0]
    if how == "json":
        return json.dumps(value, default=str, skipkeys=True)[: draw(st.sampled_from((None, 10)))]
    if how == "graft":
        return draw(st.sampled_from(list(fuller(draw(st.sampled_from(sorted(FORMATS)))).values())))
    return copy.deepcopy(draw(st.sampled_from(ODD_VALUES)))
