r"""Tools and tool calls: JSON text to values, bare schemas and calls into the shape chat templates read.

    {"name": "f", "arguments": "{\"x\": 1}"}
      ->  {"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}

Arguments become objects because templates print them with `tojson`, which would encode text a second time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from workbench.rows.row_findings import RowFindings
from workbench.rows.shapes import is_list, json_in, kind_of
from workbench.tracked import track, track_tree
from workbench.types import Origin


def read_tools(value: object, column: str, notes: RowFindings) -> tuple[Mapping[str, Any], ...] | None:
    """The tools column: a list of JSON schemas or the JSON text of one; None where the row has no tools."""
    if value is None or value == "":
        return None
    items = notes.parsed(value, column, "a list of tool schemas")
    if items is None:
        return None
    if not is_list(items) or not all(isinstance(item, Mapping) for item in items):
        message = f"`{column}` must be a list of tool schemas, but is {kind_of(items)}."
        notes.error("WB522", message, column, "Write a list of objects with name, description and parameters.")
        return None
    tools = [_tool(item, f"{column}[{i}]", notes) for i, item in enumerate(cast("list[Mapping[str, Any]]", items))]
    return tuple(tools) or None


def read_tool_calls(value: object, field: str, message: int, notes: RowFindings) -> list[dict[str, Any]]:
    """The tool calls of a message: a list, one call, or the JSON text of either.

    Args:
        value: What the message has under `tool_calls` or `function_call`.
        field: Its path.
        message: Message index.
        notes: Takes the findings.
    """
    if value is None or value == "" or (is_list(value) and not value):
        return []
    calls = notes.parsed(value, field, "a list of tool calls")
    if calls is None:
        return []
    if isinstance(calls, Mapping):
        return [_call(cast("Mapping[str, Any]", calls), field, message, notes)]
    if not is_list(calls):
        notes.error("WB522", f"`{field}` must be a list of tool calls, but is {kind_of(calls)}.", field)
        return []
    out: list[dict[str, Any]] = []
    for i, call in enumerate(cast("list[Any]", calls)):
        if isinstance(call, Mapping):
            out.append(_call(cast("Mapping[str, Any]", call), f"{field}[{i}]", message, notes))
        else:
            where = f"{field}[{i}]"
            notes.error("WB522", f"`{where}` must be a tool call, but is {kind_of(call)}.", where)
    return out


def tool_calls_in_text(value: object, field: str, message: int, notes: RowFindings) -> list[dict[str, Any]]:
    """The calls in a turn that is only a function call; empty where it is no JSON with names in it."""
    calls = json_in(value) if isinstance(value, str) else value
    listed = calls if is_list(calls) else [calls]
    if not listed or not all(isinstance(call, Mapping) and "name" in call for call in cast("list[Any]", listed)):
        return []
    return read_tool_calls(calls, field, message, notes)


def _tool(tool: Mapping[str, Any], field: str, notes: RowFindings) -> Mapping[str, Any]:
    if not notes.tree(tool, field):
        return {}
    schema = dict(tool)
    bare = "function" not in tool and "name" in tool
    inner = field if bare else f"{field}.function"
    function = schema if bare else schema.get("function")
    if isinstance(function, Mapping):
        held = dict(cast("Mapping[str, Any]", function))
        if isinstance(held.get("parameters"), str):
            held["parameters"] = notes.parsed(held["parameters"], f"{inner}.parameters", "a JSON schema")
            if not notes.tree(held["parameters"], f"{inner}.parameters"):
                return {}
        if bare:
            return {"type": _function(None), "function": track_tree(held, inner, None, "tools")}
        schema["function"] = held
    return track_tree(schema, field, None, "tools")


def _call(call: Mapping[str, Any], field: str, message: int, notes: RowFindings) -> dict[str, Any]:
    """One call as `{type, function: {name, arguments}}` with its other keys kept."""
    if not notes.tree(call, field):
        return {}
    bare = "function" not in call
    inner = field if bare else f"{field}.function"
    function = call if bare else call["function"]
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        notes.error("WB520", f"`{inner}.name` is missing: a tool call needs the name of its function.", f"{inner}.name")
        return {}
    held = dict(cast("Mapping[str, Any]", function))
    held["arguments"] = _arguments(held.get("arguments"), f"{inner}.arguments", notes)
    if notes.failed or not notes.tree(held["arguments"], f"{inner}.arguments"):
        return {}
    if bare:
        outer = {key: held.pop(key) for key in ("id", "type") if key in held}
        tracked = track_tree(held, field, message, "tool_calls")
        return {"type": _function(message), **track_tree(outer, field, message, "tool_calls"), "function": tracked}
    return track_tree({**call, "function": held}, field, message, "tool_calls")


def _arguments(value: object, field: str, notes: RowFindings) -> Any:
    if value is None or value == "":
        return {}
    if not isinstance(value, str):
        return value
    arguments = notes.parsed(value, field, "an object with the arguments")
    if arguments is not None:
        message = f"`{field}` is JSON text and was read as an object, as chat templates expect."
        notes.info("WB540", message, field, "A template that prints text with tojson would encode it twice.")
    return arguments


def _function(message: int | None) -> str:
    return track("function", Origin(None, message, "computed"))
