r"""Prompts worded by a format of the user's own, as axolotl's user-defined type words them.

    format="Q: {instruction} {input}\nA: "   ->   PromptCompletion("Q: Add. 2, 2\nA: ", "4")

The format is cut at its placeholders once and the row's text is put between the pieces, so braces in data stay as they
are. Pieces of the format have no field. `{{` and `}}` in a format stand for one brace, as in `str.format`.

Which format words a row is as in axolotl (0.19, prompt_strategies/user_defined.py): `no_input_format` where the input
is absent or empty; the system part only where there is system text; `system_prompt` only where the row has no system
column at all.
"""

from __future__ import annotations

import difflib
import string
from collections.abc import Mapping
from functools import lru_cache

from workbench.errors import RecipeError
from workbench.options import RowOptions
from workbench.rows.assemble import Columns, Row, optional_text
from workbench.rows.row_findings import RowFindings
from workbench.rows.task_parts import answer_text, asked_text, glue
from workbench.tracked import Tracked, join
from workbench.types import Example, PromptCompletion

FORMAT = "{instruction} {input} "
NO_INPUT_FORMAT = "{instruction} "
SYSTEM_FORMAT = "{system}"

Pieces = tuple[tuple[str, str | None], ...]
"""Text, and the placeholder behind it (None: no more)."""

_ALLOWED = {
    "format": ("instruction", "input"),
    "no_input_format": ("instruction",),
    "system_format": ("system",),
    "prompt_format": ("prompt", "system"),
    "chosen_format": ("chosen",),
    "rejected_format": ("rejected",),
    "completion_format": ("completion",),
}


def check_formats(options: RowOptions) -> None:
    """Check the formats of user-defined rows, before any row is read.

    Raises:
        RecipeError: WB564 for a placeholder the format does not have, one with a conversion or a width, or a single
            brace.
    """
    judged = (options.prompt_format, options.chosen_format, options.rejected_format, options.completion_format)
    for name, text in zip(_ALLOWED, (*_formats(options), *judged), strict=True):
        pieces(name, text or "")


@lru_cache(maxsize=64)
def pieces(name: str, text: str) -> Pieces:
    """A format, cut at its placeholders.

    Args:
        name: Option the format is the value of: `format`, `prompt_format`, …
        text: The format.

    Raises:
        RecipeError: WB564, as `check_formats`.
    """
    try:
        parsed = list(string.Formatter().parse(text))
    except ValueError as error:
        raise _refused(name, text, f"{error}", "Write {{ or }} for a brace that is meant.") from None
    out: list[tuple[str, str | None]] = []
    for literal, field, width, conversion in parsed:
        if field is not None and (width or conversion):
            raise _refused(name, text, f"{{{field}}} has a width or conversion", f"Write {{{field}}} alone.")
        if field is not None and field not in _ALLOWED[name]:
            raise _refused(name, text, f"there is no {{{field}}}", _instead(name, field))
        out.append((literal, field))
    return tuple(out)


def user_defined(row: Row, names: Columns, notes: RowFindings) -> Example | None:
    """A row worded by the formats among the options."""
    with_input, without, of_system = _formats(notes.options)
    system = _system(row, names, notes)
    values = {"instruction": asked_text(row, names["instruction"], 0, notes, key="prompt")}
    values["input"] = optional_text(row, names.get("input"), 0, "prompt", notes) or ""
    answer = answer_text(row, names["output"], 1, notes, key="completion")
    if notes.failed:
        return None
    turn = pieces("format", with_input) if values["input"] else pieces("no_input_format", without)
    before = worded(pieces("system_format", of_system), {"system": system}) if system else ""
    return PromptCompletion(notes.row, join("", (before, worded(turn, values))), answer)


def _system(row: Row, names: Columns, notes: RowFindings) -> str:
    column = names.get("system")
    if column in row:
        return optional_text(row, column, 0, "prompt", notes) or ""
    return glue(notes.options.system_prompt or "", 0)


def worded(parts: Pieces, values: Mapping[str, str], index: int = 0) -> Tracked:
    """The pieces of a format with the row's text between them.

    Args:
        parts: From `pieces`.
        values: Placeholder -> tracked text.
        index: Message index that the format's own text gets.
    """
    out: list[str] = []
    for literal, name in parts:
        out += [glue(literal, index), values[name] if name else ""]
    return join("", out)


def _formats(options: RowOptions) -> tuple[str, str, str]:
    """Format, format without input, and system format; None stands for the default, an empty text for itself."""
    given = (options.format, options.no_input_format, options.system_format)
    first, second, third = (
        default if text is None else text
        for text, default in zip(given, (FORMAT, NO_INPUT_FORMAT, SYSTEM_FORMAT), strict=True)
    )
    return first, second, third


def _instead(name: str, field: str) -> str:
    if name == "no_input_format" and field == "input":
        return "It words rows without input; leave {input} out."
    near = difflib.get_close_matches(field, _ALLOWED[name], n=1)
    known = " and ".join(f"{{{item}}}" for item in _ALLOWED[name])
    return f"Did you mean {{{near[0]}}}?" if near else f"It takes {known}; {{{{ and }}}} are braces that are meant."


def _refused(name: str, text: str, why: str, remedy: str) -> RecipeError:
    return RecipeError(f"{name}={text!r} is no format: {why}.", remedy=remedy, code="WB564")
