"""Errors of wrong calls. Wrong data is a returned `Finding` instead.

    WorkbenchError
    ├── DataError        ValueError    a source that cannot be read at all
    ├── TemplateError    ValueError    a template that does not compile, refuses, or loses text
    ├── TokenizerError   ValueError    a tokenizer that cannot be loaded or gives no offsets
    ├── MaskError        ValueError    a mask that would be a guess
    ├── RecipeError      ValueError    a recipe with an unknown or impossible field
    ├── ModelError       ValueError    a model that cannot be loaded here
    ├── RunError         RuntimeError  a run that cannot be found, started or commanded
    └── ExportError      ValueError    a recipe the target cannot express

A message says what is wrong with the value, where, and what to do; it ends with its code,
which has an entry in docs/errors.md.
"""

from __future__ import annotations


class WorkbenchError(Exception):
    """Base of all errors raised by workbench.

    Args:
        message: What is wrong, with the value, and where.
        remedy: What to do about it.
        code: `WBnnn`, an anchor in docs/errors.md.
        row: Data row index the error is about, if any.
    """

    def __init__(self, message: str, *, remedy: str = "", code: str, row: int | None = None) -> None:
        self.message, self.remedy, self.code, self.row = message, remedy, code, row
        super().__init__(" ".join(part for part in (message, remedy, f"[{code}]") if part))

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.remedy, self.code, self.row))


def _rebuild(kind: type[WorkbenchError], message: str, remedy: str, code: str, row: int | None) -> WorkbenchError:
    """Make an error again after pickling; keyword-only arguments do not survive the default way."""
    return kind(message, remedy=remedy, code=code, row=row)


class DataError(WorkbenchError, ValueError):
    """A source that cannot be read at all."""


class TemplateError(WorkbenchError, ValueError):
    """A chat template that does not compile, refuses a conversation, or loses text.

    Args:
        message: What is wrong, with the value, and where.
        remedy: What to do about it.
        code: `WBnnn`, an anchor in docs/errors.md.
        row: Data row index the error is about, if any.
        line: Template line (1-based) where it happened, if known.
    """

    def __init__(
        self, message: str, *, remedy: str = "", code: str, row: int | None = None, line: int | None = None
    ) -> None:
        super().__init__(message, remedy=remedy, code=code, row=row)
        self.line = line

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_at, (self.message, self.remedy, self.code, self.row, self.line))


def _rebuild_at(message: str, remedy: str, code: str, row: int | None, line: int | None) -> TemplateError:
    """As `_rebuild`, with the template line."""
    return TemplateError(message, remedy=remedy, code=code, row=row, line=line)


class TokenizerError(WorkbenchError, ValueError):
    """A tokenizer that cannot be loaded or gives no character offsets."""


class MaskError(WorkbenchError, ValueError):
    """A mask that would have to be guessed."""


class RecipeError(WorkbenchError, ValueError):
    """A recipe with an unknown or impossible field."""


class ModelError(WorkbenchError, ValueError):
    """A model that cannot be loaded here."""


class RunError(WorkbenchError, RuntimeError):
    """A run that cannot be found, started or commanded."""


class ExportError(WorkbenchError, ValueError):
    """A recipe the target cannot express."""
