r"""YAML in which nothing is lost: every string in double quotes, every float with a point.

    yaml_text({"learning_rate": 1e-5, "pad_token": "[PAD] "})  ->  learning_rate: 1.0e-05\npad_token: "[PAD] "

Plain scalars lose trailing blanks, turn `no` into false, `### x` into null and `1e-5` into a string (YAML 1.1, as
PyYAML reads it). So no string is ever plain, and the text is read back before it is handed out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import yaml

from workbench.errors import ExportError


class _Quoted(yaml.SafeDumper):
    """SafeDumper with double quotes around every string value, and none of YAML's anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str.__str__(text), style='"')


def _mapping(dumper: yaml.SafeDumper, values: Mapping[str, Any]) -> yaml.MappingNode:
    node = dumper.represent_mapping("tag:yaml.org,2002:map", values.items(), flow_style=False)
    for key, _ in node.value:
        if key.value.isidentifier() and isinstance(yaml.safe_load(key.value), str):
            key.style = None  # a plain word that YAML reads as text needs no quotes, and reads better without
    return node


_Quoted.add_representer(dict, _mapping)
_Quoted.add_representer(str, _string)
_Quoted.add_multi_representer(str, _string)


def yaml_text(values: Mapping[str, Any]) -> str:
    """Write a mapping as YAML; non-ASCII characters are escaped, so that a no-break space stays visible.

    Raises:
        ExportError: When the text would not load as the same values (WB703), naming the key.
    """
    return "".join(_entry(key, value) for key, value in values.items())


def _entry(key: str, value: Any) -> str:
    try:
        text = yaml.dump({key: value}, Dumper=_Quoted, sort_keys=False, width=math.inf, default_flow_style=False)
        back = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _lost(key, value) from error
    if back != {key: value} or _types(back[key]) != _types(value):
        raise _lost(key, value)
    return text


def _lost(key: str, value: Any) -> ExportError:
    return ExportError(
        f"{key}={value!r} does not survive YAML.",
        remedy="Only text, numbers, booleans, null, lists and mappings of these do.",
        code="WB703",
    )


def _types(value: Any) -> Any:
    """Types of a value and everything in it: 1, 1.0 and True are equal, but not the same config."""
    if isinstance(value, Mapping):
        return {key: _types(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_types(item) for item in value]
    return next(kind for kind in (bool, int, float, str, type(None), object) if isinstance(value, kind))
