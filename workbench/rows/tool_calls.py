r"""Tools and tool calls: JSON text to values, bare schemas and calls into the shape chat templates read.

    {"name": "f", "arguments": "{\"x\": 1}"}
      ->  {"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}

Arguments become objects because templates print them with `tojson`, which would encode text a second time. Keys that
are null go: Arrow gives every object of a column the keys of all of them (`workbench.rows.null_keys`).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

from workbench.rows.literals import Unreadable, ValueReader
from workbench.rows.null_keys import NullKeys
from workbench.rows.row_findings import RowFindings
from workbench.rows.shapes import is_list, json_in, kind_of
from workbench.tracked import origin_of, track, track_tree

SCHEMA_TYPES: Mapping[str, str] = {"dict": "object", "float": "number", "tuple": "array"}
"""Types as the Berkeley function calling leaderboard writes them -> as JSON schema and templates do."""
NESTED = ("items", "additionalProperties", "not")
NAMED = ("properties", "patternProperties", "definitions", "$defs")
LISTED = ("anyOf", "oneOf", "allOf", "prefixItems")
"""Keywords of a JSON schema under which one schema, named ones, or a list of them stand."""
CALL_TAGS = ("<tool_call>", "</tool_call>")


def read_tools(
    value: object, column: str, notes: RowFindings, *, tell: bool = True, single: bool = False
) -> tuple[Mapping[str, Any], ...] | None:
    """The tools column: a list of JSON schemas or the JSON text of one; None where the row has no tools.

    Args:
        value: What the column holds.
        column: Its name.
        notes: Takes the findings.
        tell: Whether to say that `dict` was read as `object`; no news where the whole type is written so.
        single: Whether one schema may stand without a list around it.
    """
    if value is None or (isinstance(value, str) and not value):
        return None
    items = notes.parsed(value, column, "a list of tool schemas")
    if items is None:
        return None
    alone = single and isinstance(items, Mapping)
    if alone:
        items = [items]
    if not is_list(items) or not all(isinstance(item, Mapping) for item in items):
        message = f"`{column}` must be a list of tool schemas, but is {kind_of(items)}."
        notes.error("WB522", message, column, "Write a list of objects with name, description and parameters.")
        return None
    nulls = NullKeys(schema=True) if not isinstance(value, str) else None
    renamed: list[str] = []
    listed = cast("list[Mapping[str, Any]]", items)
    places = [column] if alone else [f"{column}[{i}]" for i in range(len(listed))]
    tools = [_tool(item, at, (nulls, renamed), notes) for item, at in zip(listed, places, strict=True)]
    if nulls:
        nulls.tell(column, notes)
    if renamed and tell:
        message = f"`{column}` has types that are no JSON schema's, such as at `{renamed[0]}`; they were renamed."
        notes.info("WB544", message, renamed[0], "dict is read as object, float as number, tuple as array.")
    return tuple(tools) or None


def read_tool_calls(value: object, field: str, message: int, notes: RowFindings) -> list[dict[str, Any]]:
    """The tool calls of a message: a list, one call, or the JSON text of either.

    Args:
        value: What the message has under `tool_calls` or `function_call`.
        field: Its path.
        message: Message index.
        notes: Takes the findings.
    """
    if value is None or (isinstance(value, str | list | tuple) and not value):
        return []
    calls = notes.parsed(value, field, "a list of tool calls")
    if calls is None:
        return []
    nulls = NullKeys(schema=False) if not isinstance(value, str) else None
    out: list[dict[str, Any]] = []
    if isinstance(calls, Mapping):
        out = [_call(cast("Mapping[str, Any]", calls), field, message, nulls, notes)]
    elif not is_list(calls):
        notes.error("WB522", f"`{field}` must be a list of tool calls, but is {kind_of(calls)}.", field)
    else:
        for i, call in enumerate(cast("list[Any]", calls)):
            where = f"{field}[{i}]"
            if isinstance(call, Mapping):
                out.append(_call(cast("Mapping[str, Any]", call), where, message, nulls, notes))
            else:
                notes.error("WB522", f"`{where}` must be a tool call, but is {kind_of(call)}.", where)
    if nulls:
        nulls.tell(field, notes)
    return out


def tool_calls_in_text(value: object, field: str, message: int, notes: RowFindings) -> list[dict[str, Any]]:
    """The calls in a turn that is only a function call; empty where it is no JSON with names in it."""
    calls = json_in(value) if isinstance(value, str) else value
    listed = calls if is_list(calls) else [calls]
    if not listed or not all(isinstance(call, Mapping) and "name" in call for call in cast("list[Any]", listed)):
        return []
    return read_tool_calls(calls, field, message, notes)


def called(function: Mapping[str, Any], message: int) -> dict[str, Any]:
    """A call of a function whose name and arguments are tracked already, in the shape templates read."""
    return {"type": function_text(message), "function": dict(function)}


def function_text(message: int | None) -> str:
    """The word `function` that the shape needs and the row does not have."""
    return track("function", origin_of(None, message, "computed"))


def note_calls_in_text(text: str, field: str, notes: RowFindings) -> None:
    """Warn where an assistant's text holds a `<tool_call>` that is no JSON; the text is what is trained, and kept."""
    opening, closing = CALL_TAGS
    plain = str.__str__(text)
    start = plain.find(opening)
    while start >= 0:
        end = plain.find(closing, start)
        inside = plain[start + len(opening) : end] if end >= 0 else ""
        if json_in(inside.strip()) is None:
            _note_call("is not JSON" if end >= 0 else "is not closed", inside, field, start, notes)
            return
        start = plain.find(opening, end)


def _note_call(what: str, inside: str, field: str, at: int, notes: RowFindings) -> None:
    with suppress(Unreadable):
        value, end = ValueReader(track(inside, origin_of(field, None, "content"))).read()
        if isinstance(value, dict) and not inside[end:].strip():
            what = "is quoted as Python, not as JSON"
    message = f"The <tool_call> at character {at} of `{field}` {what}."
    remedy = (
        "A model trained on it writes its calls like this, and JSON parsers refuse them; rewrite the calls as JSON."
    )
    notes.warning("WB545", message, field, remedy)


def _tool(
    tool: Mapping[str, Any], field: str, repair: tuple[NullKeys | None, list[str]], notes: RowFindings
) -> Mapping[str, Any]:
    if not notes.tree(tool, field):
        return {}
    nulls, renamed = repair
    schema = dict(nulls.without(tool, field) if nulls else tool)
    bare = "function" not in schema and "name" in schema
    inner = field if bare else f"{field}.function"
    function = schema if bare else schema.get("function")
    if not isinstance(function, Mapping):
        return track_tree(schema, field, None, "tools")
    held = dict(cast("Mapping[str, Any]", function))
    where = f"{inner}.parameters"
    if isinstance(held.get("parameters"), str):
        held["parameters"] = notes.parsed(held["parameters"], where, "a JSON schema")
        if not notes.tree(held["parameters"], where):
            return {}
    tracked = track_tree(held, inner, None, "tools")
    _rename_types(tracked.get("parameters"), where, renamed)
    if bare:
        return {"type": function_text(None), "function": tracked}
    outer = {name: item for name, item in schema.items() if name != "function"}
    return {**track_tree(outer, field, None, "tools"), "function": tracked}


def _rename_types(schema: object, field: str, renamed: list[str]) -> None:
    """Give a tracked schema the type names of JSON schema, in place."""
    if not isinstance(schema, dict):
        return
    held = cast("dict[str, Any]", schema)
    name = held.get("type")
    if isinstance(name, str) and name in SCHEMA_TYPES:
        held["type"] = track(SCHEMA_TYPES[str.__str__(name)], origin_of(None, None, "computed"))
        renamed.append(f"{field}.type")
    for key in NESTED:
        _rename_types(held.get(key), f"{field}.{key}", renamed)
    for key in NAMED:
        named = held.get(key)
        for inner, item in cast("dict[str, Any]", named).items() if isinstance(named, dict) else ():
            _rename_types(item, f"{field}.{key}.{inner}", renamed)
    for key in LISTED:
        for i, item in enumerate(cast("list[Any]", held.get(key)) if is_list(held.get(key)) else ()):
            _rename_types(item, f"{field}.{key}[{i}]", renamed)


def _call(
    call: Mapping[str, Any], field: str, message: int, nulls: NullKeys | None, notes: RowFindings
) -> dict[str, Any]:
    """One call as `{type, function: {name, arguments}}` with its other keys kept."""
    if not notes.tree(call, field):
        return {}
    call = nulls.without(call, field) if nulls else call
    bare = "function" not in call
    inner = field if bare else f"{field}.function"
    function = call if bare else call["function"]
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        notes.error("WB520", f"`{inner}.name` is missing: a tool call needs the name of its function.", f"{inner}.name")
        return {}
    held = dict(cast("Mapping[str, Any]", function))
    before = len(notes.found)
    held["arguments"] = _arguments(held.get("arguments"), f"{inner}.arguments", notes)
    said = notes.found[before:]
    if any(item.severity == "error" for item in said) or not notes.tree(held["arguments"], f"{inner}.arguments"):
        return {}
    if bare:
        outer = {key: held.pop(key) for key in ("id", "type") if key in held}
        tracked = track_tree(held, field, message, "tool_calls")
        return {**called(tracked, message), **track_tree(outer, field, message, "tool_calls")}
    return track_tree({**call, "function": held}, field, message, "tool_calls")


def _arguments(value: object, field: str, notes: RowFindings) -> Any:
    if value is None or (isinstance(value, str) and not value):
        return {}
    if not isinstance(value, str):
        return value
    arguments = notes.parsed(value, field, "an object with the arguments")
    if arguments is not None:
        message = f"`{field}` is JSON text and was read as an object, as chat templates expect."
        notes.info("WB540", message, field, "A template that prints text with tojson would encode it twice.")
    return arguments
