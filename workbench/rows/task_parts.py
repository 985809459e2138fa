r"""The two sides of a task: what is asked, and the answer that is trained.

task_message(0, "Add.", "2, 2")  ->  {"role": "user", "content": "Add.\n\n2, 2", "instruction": "Add.", "input": "2, 2"}
"""

from __future__ import annotations

from functools import lru_cache

from workbench.rows.assemble import Row, role_text
from workbench.rows.messages import Message
from workbench.rows.row_findings import RowFindings
from workbench.tracked import Tracked, join, runs_of, track
from workbench.types import Origin


def asked_text(row: Row, column: str, index: int, notes: RowFindings, key: str = "content") -> str:
    """Text of a column of the prompt's side; an empty one is odd, but can be used."""
    text = notes.column_text(row, column, index, key)
    if text is not None and (not text or text.isspace()):
        notes.warning("WB523", f"`{column}` is empty.", column, "Fill it in, or drop the row.")
    return text or ""


def answer_text(row: Row, column: str, index: int, notes: RowFindings, key: str = "content") -> str:
    """Text of a column that is trained; there must be some."""
    text = notes.column_text(row, column, index, key)
    if text == "":
        notes.error("WB523", f"`{column}` is empty: nothing can be trained.", column, "Drop the row.")
    elif text is not None and text.isspace():
        notes.warning("WB524", f"`{column}` is only whitespace, which many templates strip.", column)
    return text or ""


def glue(text: str, index: int) -> Tracked:
    """Words of a message that the kind of row brings along, and no column."""
    return track(text, Origin(None, index, "template"))


def task_message(index: int, instruction: str, extra: str = "") -> Message:
    """The user message; templates written for prompts find the parts under `instruction` and `input` as well."""
    return Message(
        {
            "role": role_text("user", index),
            "content": join(glue("\n\n", index), [text for text in (instruction, extra) if text]),
            "instruction": _under("instruction", instruction),
            "input": _under("input", extra),
        }
    )


def assistant_message(index: int, content: str) -> Message:
    """The answer."""
    return Message({"role": role_text("assistant", index), "content": content})


def _under(key: str, text: str) -> str:
    """The text as it stands under another key of its message."""
    return Tracked(str.__str__(text), tuple([run._replace(origin=_moved(run.origin, key)) for run in runs_of(text)]))


@lru_cache(maxsize=1024)
def _moved(origin: Origin | None, key: str) -> Origin | None:
    return Origin(origin.field, origin.message, key) if origin and origin.field else origin
