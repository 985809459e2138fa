r"""YAML text of a value, in which every text that comes from the row knows where.

    tracked_yaml({"style": "It's dull"}, "critiques", 1)  ->  "style: It's dull\n", 9 characters from critiques.style

The text is PyYAML's own. Where it writes a character differently (an escape, a doubled quote, a folded line), that
piece is marked as computed; so are numbers and keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from workbench.tracked import Run, Tracked
from workbench.types import Origin

_DOUBLE = re.compile(r"\\\n *(?:\\(?= ))?|\\x..|\\u.{4}|\\U.{8}|\\.|[^\\]+", re.DOTALL)
"""Pieces of text in double quotes: a folded line, an escape, anything else."""
_PLAIN = re.compile(r"\n+ *|''|[^\n']+|'")
"""Pieces of other text: line breaks with the indent behind them, a doubled quote, anything else."""


def tracked_yaml(value: Any, field: str, message: int) -> Tracked:
    """The value as YAML block text with keys in order, as `yaml.dump(value, default_flow_style=False)` gives it.

    Args:
        value: A JSON-like value; text keys only.
        field: Dataset path of the value.
        message: Message the text is for.

    Raises:
        ValueError: For a whole number of more digits than Python prints.
    """
    import yaml

    plain = yaml.dump(_unshared(value), default_flow_style=False)
    loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
    spelt: list[tuple[int, int, list[Run]]] = []
    for node, text, path in _texts(yaml.compose(plain, Loader=loader), value, field):
        inset = 1 if node.style else 0
        start, end = node.start_mark.index + inset, node.end_mark.index - inset
        spelt.append((start, end, _spelt(plain[start:end], node.style, text, Origin(path, message, "content"))))
    made = Origin(None, message, "computed")
    runs: list[Run] = []
    at = 0
    for start, end, found in spelt:
        runs += [Run(start - at, made, 0, 0), *found]
        at = end
    runs.append(Run(len(plain) - at, made, 0, 0))
    return Tracked(plain, tuple(run for run in runs if run.length))


def _unshared(value: Any) -> Any:
    """A copy of plain values in which no part is used twice: YAML writes such a part once and refers to it."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Mapping):
        return {str(key): _unshared(item) for key, item in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_unshared(item) for item in cast("list[Any]", value)]
    return value


def _texts(node: Any, value: Any, path: str) -> Iterator[tuple[Any, str, str]]:
    """Every text of the value with the node that stands for it, in text order."""
    if isinstance(value, str):
        yield node, value, path
    elif isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value)
        for key, item in node.value:
            yield from _texts(item, items[key.value], f"{path}.{key.value}")
    elif isinstance(value, list | tuple):
        for i, (part, item) in enumerate(zip(node.value, cast("list[Any]", value), strict=True)):
            yield from _texts(part, item, f"{path}[{i}]")


def _spelt(inner: str, style: str | None, text: str, origin: Origin) -> list[Run]:
    """Runs of a text as YAML spells it, without its quotes."""
    made = Origin(None, origin.message, "computed")
    runs: list[Run] = []
    at = 0
    for piece in (_DOUBLE if style == '"' else _PLAIN).findall(inner):
        kept, taken = _kept(piece, style, text[at : at + 1])
        if text[at : at + kept] != piece[:kept]:
            return [Run(len(inner), made, 0, 0)]
        runs += [Run(kept, origin, at, 0), Run(len(piece) - kept, made, 0, 0)]
        at += taken
    return runs if at == len(text) else [Run(len(inner), made, 0, 0)]


def _kept(piece: str, style: str | None, next_char: str) -> tuple[int, int]:
    """How many characters at the start of the piece are the text's own, and how many of the text it stands for."""
    if style == '"':
        if piece[0] != "\\":
            return len(piece), len(piece)
        return 0, 0 if piece[1] == "\n" else 1
    if piece == "''":
        return 1, 1
    if piece[0] == "\n":
        breaks = piece.count("\n") - 1
        return (breaks, breaks) if next_char == "\n" else (0, 1)
    return len(piece), len(piece)
