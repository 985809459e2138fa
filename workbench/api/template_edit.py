"""The shortest Python that gives an edited template."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import SequenceMatcher

from workbench.errors import TemplateError

LineKey = int | tuple[int, int]

INLINE_CHARACTERS = 600
"""An edited template up to this length is written out whole."""


def with_lines(source: str, changes: Mapping[LineKey, str]) -> str:
    r"""A template with some of its lines replaced.

    Args:
        source: Jinja text; lines are parted by "\n".
        changes: Line (1-based), or first and last line of a stretch, to its new text; an empty text for a stretch
            removes it, and (n, n - 1) inserts before line n.

    Raises:
        TemplateError: WB105 for a line that is not there.
    """
    lines = source.split("\n")
    spans = sorted(((key, key) if isinstance(key, int) else key, text) for key, text in changes.items())
    for (first, last), text in reversed(spans):
        if not (1 <= first <= len(lines) + 1 and first - 1 <= last <= len(lines)):
            raise TemplateError(
                f"There are no lines {first} to {last}.",
                remedy=f"The template has {len(lines)} lines, counted from 1.",
                code="WB105",
            )
        lines[first - 1 : last] = text.split("\n") if text or first == last else []
    return "\n".join(lines)


def changed_lines(before: str, after: str) -> dict[LineKey, str]:
    """The changes that turn one template into another; `with_lines(before, …)` gives `after`."""
    old, new = before.split("\n"), after.split("\n")
    changes: dict[LineKey, str] = {}
    for tag, first, last, low, high in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        text = "\n".join(new[low:high])
        if last - first == 1 and high > low:
            changes[first + 1] = text
        elif text == "" and high > low and last - first != 1:  # one empty line: a stretch needs a neighbour to hold it
            changes |= _with_neighbour(old, first, last, new[low:high])
        else:
            changes[(first + 1, last)] = text
    return changes


def _with_neighbour(old: list[str], first: int, last: int, new: list[str]) -> dict[LineKey, str]:
    if last < len(old):
        return {(first + 1, last + 1): "\n".join([*new, old[last]])}
    return {(first, last): "\n".join([old[first - 1], *new])}


def edit_code(given: str, before: str, after: str) -> str:
    """Python that gives the edited template.

    Args:
        given: What `wb.template` was called with, as Python.
        before: Its source.
        after: The edited source.
    """
    changes = changed_lines(before, after)
    if with_lines(before, changes) != after:
        return f"chat = wb.template({literal(after)})"
    whole, part = literal(after), ", ".join(f"{key!r}: {literal(text)}" for key, text in changes.items())
    if "{%" not in after and "{{" not in after:
        whole = ""  # wb.template would take it for a name
    if whole and len(whole) <= min(INLINE_CHARACTERS, len(part) + len(given)):
        return f"chat = wb.template({whole})"
    return f"chat = wb.template({given}).with_lines({{{part}}})"


def literal(text: str) -> str:
    """A Python literal that reads well: triple quotes for several lines where they can hold the text."""
    plain = text.replace("\n", "").isprintable() and '"""' not in text and not text.endswith(('"', "\\"))
    if "\n" not in text or not plain:
        return repr(text)
    return 'r"""' + text + '"""' if "\\" in text else '"""' + text + '"""'
