"""The kernel's side of the page's questions: other rows, a text to find, the next problem (docs/wire.md section 4).

Objects are shared by a handle that lives as long as they do; nothing is registered before the first is shown.
"""

from __future__ import annotations

import secrets
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

TARGET = "finetune-workbench"

WIDGET = "widget"
"""Handle in a widget's payload: its questions come to the widget itself, and only a handle makes the page ask."""


Question = Callable[[Mapping[str, Any]], dict[str, Any]]
"""Takes the members of a question, gives the members of its answer."""


class Askable(Protocol):
    """A shown object that the page can ask."""

    def questions(self) -> Mapping[str, Question]:
        """What can be asked, by `op`."""
        ...


class Browsable(Protocol):
    """An object with rows to look at."""

    def row_at(self, position: int) -> dict[str, Any]:
        """View of the row at a position."""
        ...

    def position_with(self, text: str, after: int) -> int | None:
        """Position of the next row that contains the text."""
        ...

    def position_of_problem(self, after: int) -> int | None:
        """Position of the next row with a finding."""
        ...


def row_questions(shown: Browsable) -> dict[str, Question]:
    """The questions that every object with rows answers: `row`, `find`, `problem`."""
    return {
        "row": lambda asked: {"row": shown.row_at(int(asked["position"]))},
        "find": lambda asked: {"position": shown.position_with(str(asked["text"]), int(asked.get("after", -1)))},
        "problem": lambda asked: {"position": shown.position_of_problem(int(asked.get("after", -1)))},
    }


_SHARED: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
_HANDLES: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
_REGISTERED: set[int] = set()


_ALONE: ContextVar[bool] = ContextVar("alone", default=False)


@contextmanager
def alone() -> Iterator[None]:
    """While it lasts nothing is shared: what is shown will have no kernel to ask."""
    token = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(token)


def is_alone() -> bool:
    """Whether what is shown now has to do without a kernel."""
    return _ALONE.get()


def share(shown: Askable) -> str | None:
    """A handle for the object, or None where there is no kernel to ask."""
    manager = None if is_alone() else _comm_manager()
    if manager is None:
        return None
    if id(manager) not in _REGISTERED:
        manager.register_target(TARGET, _opened)
        _REGISTERED.add(id(manager))
    handle = _HANDLES.get(shown)
    if handle is None:
        handle = f"enc-{secrets.token_hex(4)}"
        _HANDLES[shown], _SHARED[handle] = handle, shown
    return handle


def _comm_manager() -> Any:
    try:
        from IPython import get_ipython  # type: ignore[attr-defined]
    except ImportError:
        return None
    kernel = getattr(get_ipython(), "kernel", None)
    return getattr(kernel, "comm_manager", None)


def _opened(comm: Any, message: Mapping[str, Any]) -> None:
    handle = message["content"]["data"].get("handle")
    comm.on_msg(lambda asked: comm.send(answer(handle, asked["content"]["data"])))


def answer(handle: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Answer one question about a shared object."""
    shown: Askable | None = _SHARED.get(handle)
    if shown is None:
        gone = "This output is from an earlier kernel. Run its cell again to browse."
        return {"id": asked.get("id"), "error": gone}
    return answered(shown, asked)


def answered(shown: Askable, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Answer one question; whatever goes wrong is told, never raised into the kernel.

    Args:
        shown: What is asked about.
        asked: `{"id", "op", …}` of docs/wire.md section 4.
    """
    number, op = asked.get("id"), asked.get("op")
    try:
        question = shown.questions().get(str(op))
        if question is None:
            return {"id": number, "error": f"unknown question {op!r}"}
        return {"id": number, **question(asked)}
    except Exception as error:  # noqa: BLE001  # the page's boundary: the error is shown where the question was asked
        return {"id": number, "error": f"{type(error).__name__}: {error}"}
