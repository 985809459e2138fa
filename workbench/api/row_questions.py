"""What the token viewer asks of `data.encode(…)`: rows under a policy, pages of the list, what is found, copies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from workbench.api.edited import edited
from workbench.errors import RecipeError

if TYPE_CHECKING:
    from workbench.api.comm import Question
    from workbench.api.encoded import Encoded

Asked = Mapping[str, Any]


def viewer_questions(enc: Encoded) -> dict[str, Question]:
    """Questions by `op` (docs/wire.md section 4)."""
    return {
        "row": lambda asked: _row(enc, asked),
        "find": lambda asked: _find(enc, asked),
        "problem": lambda asked: {"position": _problem(enc, asked)},
        "rows": lambda asked: _rows(enc, asked),
        "copy": lambda asked: {"text": _copy(enc, asked)},
    }


def _row(enc: Encoded, asked: Asked) -> dict[str, Any]:
    shown = edited(enc, asked.get("policy"))
    return {"row": shown.row_at(int(asked["position"])), "code": None if shown is enc else shown.code()}


def _find(enc: Encoded, asked: Asked) -> dict[str, Any]:
    text, rows = str(asked["text"]), enc.row_list
    position = rows.next_with(text, int(asked.get("after", -1)), back=bool(asked.get("back")))
    return {"position": position, "rows": 0 if position is None else rows.rows_with(text)}


def _problem(enc: Encoded, asked: Asked) -> int | None:
    kind, after = asked.get("kind"), int(asked.get("after", -1))
    found = enc.row_list.with_problem(None if kind is None else str(kind))
    return next((i for i in found if i > after), found[0] if found else None)


def _rows(enc: Encoded, asked: Asked) -> dict[str, Any]:
    kind = asked.get("kind")
    return enc.row_list.page(
        int(asked.get("start", 0)),
        int(asked.get("count", 100)),
        sort=str(asked.get("sort", "index")),
        kind=None if kind is None else str(kind),
        text=str(asked.get("text", "")),
    )


def _copy(enc: Encoded, asked: Asked) -> str:
    shown = edited(enc, asked.get("policy"))
    row, part = enc.sequences[int(asked["position"])]
    item = shown[row]
    formats: dict[str, Callable[[], str]] = {
        "text": lambda: item.as_text(part=part),
        "marked": lambda: item.as_text(marks=True, part=part),
        "html": lambda: item.as_html(part=part),
        "axolotl": lambda: item.as_axolotl_debug(part=part),
    }
    wanted = str(asked["format"])
    if wanted not in formats:
        raise RecipeError(f"There is no copy as {wanted!r}.", remedy=f"Known: {', '.join(formats)}.", code="WB402")
    return formats[wanted]()
