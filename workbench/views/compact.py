"""The compact form of display payloads: what outputs and widgets hold, so that a saved notebook stays small.

A notebook file puts every item of a JSON array on a line of its own, so a column of a thousand numbers costs far more
than its digits. Here a column is one string, and runs are counted: `0*19,1*78,0` or `0..96`. Nothing is lost; the page
turns it back into arrays (labextension/src/wire/columns.ts), and reads plain arrays too. docs/wire.md has the format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from math import isfinite
from typing import Any, cast

SHORTEST_COUNT = 4
"""Numbers that each are one more than the one before them are written as `a..b` from this many on."""


def compact(shown: Mapping[str, Any]) -> dict[str, Any]:
    """A payload with every row in it in compact form, and of template lines and reasons only what those rows use.

    Args:
        shown: A payload of docs/wire.md section 4; it is not changed.
    """
    made = cast("dict[str, Any]", _walk(shown, columns_and_measures))
    rows = list(rows_in(shown))
    if not rows or "reasons" not in shown:
        return made
    used = {name for row in rows for name in row["tables"]["reason"]}
    made["reasons"] = {name: text for name, text in shown["reasons"].items() if name in used}
    if shown.get("template"):
        lines = {line for row in rows for line in row["tables"]["line"]}
        made["template"] = {**shown["template"], "lines": line_texts(shown["template"]["lines"], lines)}
    return made


def explained(shown: Mapping[str, Any], lines: Sequence[str], sentences: Mapping[str, str]) -> dict[str, Any]:
    """A row, or what has rows in it, to send by itself: each row with the template lines and the sentences it uses.

    Args:
        shown: A `Row` of docs/wire.md, or any mapping around rows; it is not changed.
        lines: The template's lines.
        sentences: A sentence for each reason.
    """

    def more(row: Mapping[str, Any]) -> dict[str, Any]:
        used = {name: sentences[name] for name in row["tables"]["reason"] if name in sentences}
        return {"lines": line_texts(lines, set(row["tables"]["line"])), "reasons": used}

    return cast("dict[str, Any]", _walk(shown, more))


def line_texts(lines: Sequence[str], wanted: set[int | None]) -> dict[str, str]:
    """Template lines by their 1-based number, of those wanted."""
    return {str(n): lines[n - 1] for n in sorted(n for n in wanted if n is not None) if 0 < n <= len(lines)}


def rows_in(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every `Row` of docs/wire.md in a payload."""
    if isinstance(value, Mapping):
        found = cast("Mapping[str, Any]", value)
        if _is_row(found):
            yield found
            return
        for item in found.values():
            yield from rows_in(item)
    elif _holds_containers(value):
        for item in value:
            yield from rows_in(item)


def _walk(value: Any, change: Callable[[Mapping[str, Any]], dict[str, Any]]) -> Any:
    """The value with every row's members replaced as `change` says."""
    if isinstance(value, Mapping):
        found = cast("Mapping[str, Any]", value)
        if _is_row(found):  # nothing in a row is a row, and its columns are long
            return {**found, **change(found)}
        return {name: _walk(item, change) for name, item in found.items()}
    return [_walk(item, change) for item in value] if _holds_containers(value) else value


def _is_row(value: Mapping[str, Any]) -> bool:
    tokens = value.get("tokens")
    return "tables" in value and isinstance(tokens, Mapping) and isinstance(tokens.get("id"), list)


def _holds_containers(value: Any) -> bool:
    return isinstance(value, list | tuple) and any(
        isinstance(item, dict | list | tuple) for item in cast("Sequence[Any]", value)
    )


def columns_and_measures(row: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a row that have one value a token, as strings."""
    made: dict[str, Any] = {"tokens": columns(row["tokens"])}
    if "measures" in row:
        made["measures"] = {name: figures(values) for name, values in row["measures"].items()}
    if "sources" in row:
        made["sources"] = numbers([number for source in row["sources"] for number in source])
    return made


def columns(tokens: Mapping[str, list[Any]]) -> dict[str, Any]:
    """Columns of a row as strings.

    Args:
        tokens: Parallel columns, `id`, `text`, `bytes`, `start`, `end` and any others of whole numbers or None.
    """
    text, raw, start, end = tokens["text"], tokens["bytes"], tokens["start"], tokens["end"]
    made: dict[str, Any] = {}
    for name, values in tokens.items():
        if name not in ("text", "bytes", "start", "end"):
            made[name] = numbers(values) if all(value is None or type(value) is int for value in values) else values
    made["start"] = numbers([now - before for now, before in zip(start, [0, *end], strict=False)])
    lengths = [last - first for first, last in zip(start, end, strict=True)]
    made["end"] = numbers(lengths)
    made["bytes"] = ",".join(f"{i}:{value}" for i, value in enumerate(raw) if value is not None)
    joined = "".join(text)
    if any("\ud800" <= char <= "\udfff" for char in joined):
        # Two halves of a pair in two tokens would become one character in the page.
        made["text"] = text
        return made
    made["text"] = joined
    drawn = [len(piece) for piece in text]
    if drawn != [0 if part is not None else length for part, length in zip(raw, lengths, strict=True)]:
        made["cut"] = numbers(drawn)
    return made


def numbers(values: Sequence[int | None]) -> str:
    """Whole numbers as `5,7*3,0..9`; None is empty."""
    return "*1" if list(values) == [None] else ",".join(_items(values))


def _items(values: Sequence[int | None]) -> Iterator[str]:
    """Each item stands for one number, for equal ones, or for ones that count up."""
    runs = [(value, sum(1 for _ in group)) for value, group in groupby(values)]
    at = 0
    while at < len(runs):
        value, count = runs[at]
        last = _last_of_count(runs, at)
        if last - at + 1 >= SHORTEST_COUNT:
            yield f"{value}..{runs[last][0]}"
            at = last + 1
            continue
        written = "" if value is None else str(value)
        repeated = f"{written}*{count}"
        yield repeated if count > 1 and len(repeated) < (len(written) + 1) * count else ",".join([written] * count)
        at += 1


def _last_of_count(runs: Sequence[tuple[int | None, int]], first: int) -> int:
    """Index of the last run of those that stand once each and count up from `first`."""
    at = first
    while at + 1 < len(runs) and runs[at][1] == runs[at + 1][1] == 1:
        now, after = runs[at][0], runs[at + 1][0]
        if now is None or after is None or after != now + 1:
            break
        at += 1
    return at


def figures(values: Sequence[float | None]) -> str | list[float | None]:
    """Measured numbers with four digits that count; None, and what is no finite number, is empty."""
    if len(values) == 1:
        return list(values)  # one empty number would be written as no number at all
    return ",".join(f"{value:.4g}" if value is not None and isfinite(value) else "" for value in values)
