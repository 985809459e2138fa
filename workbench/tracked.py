"""A str that remembers, character for character, where it came from.

    t = track("  Hi ", Origin("messages[0].content", 0, "content"))
    ("<|user|>" + t.strip()).runs  ->  untracked 8 characters, then 2 characters from offset 2 of messages[0].content

Origins are kept as runs, not per character, so a row costs microseconds. Every operation that Jinja templates use on
text keeps them: slicing, strip, split, replace, join, `+`, partition, removeprefix, case changes that keep the length.
An operation that is not listed here falls back to `str` and gives an untracked result: text is never wrong, and an
origin that is lost shows as lost.

Source of the mechanism: measured over 137 renderings of TRL 1.16's original templates, all identical to the plain
rendering (docs/architecture.md, provenance).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple, SupportsIndex, cast

from workbench.types import Origin


class Run(NamedTuple):
    """Consecutive characters of one origin.

    Attributes:
        length: Characters.
        origin: None where unknown.
        start: Offset of the first character within its field.
        line: Template line (1-based) that wrote it out; 0 where no template did.
    """

    length: int
    origin: Origin | None
    start: int
    line: int


Runs = tuple[Run, ...]

OnSlice = Callable[[Runs, int, int], None]
"""Told of every slice: the runs of the text, and which characters were kept."""

_on_slice: OnSlice | None = None


@contextmanager
def slices_told_to(listener: OnSlice) -> Generator[None]:
    """Tell a listener of every slice of a tracked text, in any thread, until the block ends.

    Every operation that drops characters (strip, split, replace, partition, …) is made of slices.
    """
    global _on_slice
    before, _on_slice = _on_slice, listener
    try:
        yield
    finally:
        _on_slice = before


class Tracked(str):
    """Text with the origin of every character in `runs`; the lengths of `runs` sum to `len(self)`."""

    __slots__ = ("_later", "runs")
    runs: Runs
    _later: Callable[[], Runs]

    def __new__(cls, text: str = "", runs: Runs | None = None) -> Tracked:
        """Text with known runs; without them its origin is unknown."""
        self = super().__new__(cls, text)
        self.runs = unknown(text) if runs is None else runs
        return self

    @classmethod
    def known_later(cls, text: str, runs: Callable[[], Runs]) -> Tracked:
        """Text whose runs are made when they are first asked for: of most rows nobody asks."""
        self = super().__new__(cls, text)
        self._later = runs
        return self

    def __getattr__(self, name: str) -> Any:  # only called where the ordinary look-up failed
        if name != "runs":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
        self.runs = self._later()
        del self._later
        return self.runs

    def __getnewargs__(self) -> tuple[str, Runs]:  # type: ignore[override]  # pickling passes the runs too
        return str.__str__(self), self.runs

    def __str__(self) -> str:
        return self

    def __add__(self, other: str) -> Tracked:
        if hasattr(other, "__html__"):
            return NotImplemented  # Markup escapes what it is added to, and does so for a plain str too
        return Tracked(str.__add__(self, other), self.runs + runs_of(other))

    def __radd__(self, other: str) -> Tracked:
        return Tracked(str.__add__(other, self), runs_of(other) + self.runs)

    def __mul__(self, times: SupportsIndex) -> Tracked:
        return Tracked(str.__mul__(self, times), self.runs * max(0, times.__index__()))

    def __rmul__(self, times: SupportsIndex) -> Tracked:
        return self * times

    def __getitem__(self, key: SupportsIndex | slice) -> Tracked:
        text = str.__getitem__(self, key)
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            if step != 1:
                return join("", [self[i] for i in range(start, stop, step)])
            if _on_slice is not None:
                _on_slice(self.runs, start, max(start, stop))
            return Tracked(text, cut(self.runs, start, max(start, stop)))
        index = key.__index__()
        index += len(self) if index < 0 else 0
        return Tracked(text, cut(self.runs, index, index + 1))

    def __iter__(self) -> Iterator[str]:
        for i in range(len(self)):
            yield self[i]

    def strip(self, chars: str | None = None, /) -> Tracked:
        """Without leading and trailing characters."""
        return self.lstrip(chars).rstrip(chars)

    def lstrip(self, chars: str | None = None, /) -> Tracked:
        """Without leading characters."""
        return self[len(self) - len(str.lstrip(self, chars)) :]

    def rstrip(self, chars: str | None = None, /) -> Tracked:
        """Without trailing characters."""
        return self[: len(str.rstrip(self, chars))]

    def split(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[str]:
        """Parts between separators, as `str.split` finds them."""
        return self._located(str.split(self, sep, maxsplit), sep)

    def rsplit(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[str]:
        """Parts between separators, found from the right."""
        return self._located(str.rsplit(self, sep, maxsplit), sep)

    def splitlines(self, keepends: bool = False) -> list[str]:
        """Lines."""
        parts: list[str] = []
        at = 0
        bare = str.splitlines(self)
        for line, with_end in zip(bare, str.splitlines(self, True), strict=True):
            parts.append(self[at : at + len(with_end if keepends else line)])
            at += len(with_end)
        return parts

    def replace(self, old: str, new: str, count: SupportsIndex = -1, /) -> Tracked:
        """With `old` replaced; the replacement keeps its own origin."""
        wanted = str.replace(self, old, new, count)
        if not old:
            return Tracked(wanted, unknown(wanted))
        limit = count.__index__()
        pieces: list[str] = []
        at = 0
        while limit != 0 and (found := str.find(self, old, at)) >= 0:
            pieces += [self[at:found], new]
            at, limit = found + len(old), limit - 1
        return join("", [*pieces, self[at:]])

    def partition(self, sep: str, /) -> tuple[str, str, str]:
        """Text before, at and after the first separator."""
        return self._around(str.find(self, sep), sep, (self, "", ""))

    def rpartition(self, sep: str, /) -> tuple[str, str, str]:
        """Text before, at and after the last separator."""
        return self._around(str.rfind(self, sep), sep, ("", "", self))

    def removeprefix(self, prefix: str, /) -> Tracked:
        """Without the prefix, if it has it."""
        return self[len(prefix) :] if str.startswith(self, prefix) else self

    def removesuffix(self, suffix: str, /) -> Tracked:
        """Without the suffix, if it has it."""
        return self[: len(self) - len(suffix)] if suffix and str.endswith(self, suffix) else self

    def upper(self) -> Tracked:
        """In upper case; tracked where no character changes its length."""
        return self._respelt([str.upper(char) for char in str.__iter__(self)], str.upper(self))

    def lower(self) -> Tracked:
        """In lower case; tracked where no character changes its length."""
        return self._respelt([str.lower(char) for char in str.__iter__(self)], str.lower(self))

    def title(self) -> Tracked:
        """In title case."""
        return self._respelt(list(str.__iter__(self)), str.title(self))

    def capitalize(self) -> Tracked:
        """With a capital first letter."""
        return self._respelt(list(str.__iter__(self)), str.capitalize(self))

    def join(self, iterable: Iterable[str], /) -> Tracked:
        """The items with this text between them."""
        return join(self, iterable)

    def _respelt(self, chars: list[str], text: str) -> Tracked:
        same_length = len(text) == len(self) and all(len(char) == 1 for char in chars)
        return Tracked(text, self.runs if same_length else unknown(text))

    def _located(self, parts: list[str], sep: str | None) -> list[str]:
        """The parts as slices of this text, each found behind the one before."""
        out: list[str] = []
        at = 0
        for part in parts:
            found = str.find(self, part, at)
            out.append(self[found : found + len(part)])
            at = found + len(part) + len(sep or "")
        return out

    def _around(self, found: int, sep: str, otherwise: tuple[str, str, str]) -> tuple[str, str, str]:
        if found < 0:
            return otherwise
        return self[:found], self[found : found + len(sep)], self[found + len(sep) :]


def unknown(text: str) -> Runs:
    """Runs of text whose origin is not known."""
    return (Run(len(text), None, 0, 0),) if text else ()


def runs_of(text: str) -> Runs:
    """Runs of any text."""
    return text.runs if isinstance(text, Tracked) else unknown(text)


def cut(runs: Runs, start: int, stop: int) -> Runs:
    """Runs of the characters from `start` to before `stop`."""
    if start >= stop:
        return ()
    out: list[Run] = []
    at = 0
    for run in runs:
        end = at + run.length
        if end > start and at < stop:
            low, high = max(at, start), min(end, stop)
            out.append(run if high - low == run.length else Run(high - low, run.origin, run.start + low - at, run.line))
        at = end
        if at >= stop:
            break
    return tuple(out)


def join(separator: str, items: Iterable[object]) -> Tracked:
    """Join any items as text, keeping the origin of each."""
    texts = [item if isinstance(item, str) else str(item) for item in items]
    between = runs_of(separator)
    runs: list[Run] = []
    for i, text in enumerate(texts):
        if i and between:
            runs.extend(between)
        runs.extend(runs_of(text))
    return Tracked(str.join(separator, texts), tuple(runs))


@lru_cache(maxsize=4096)
def origin_of(field: str | None, message: int | None, key: str) -> Origin:
    """The origin, the same object for the same place: rows of a file have the same few hundred."""
    return Origin(field, message, key)


def track(text: str, origin: Origin) -> Tracked:
    """Mark text as coming from one origin, offset 0 on."""
    return Tracked(text, (_run(Run, (len(text), origin, 0, 0)),) if text else ())


_run = tuple.__new__
"""Makes a Run from its parts without the call in Python that a named tuple's constructor is."""


def track_tree(value: Any, field: str, message: int | None, key: str) -> Any:
    """Mark every string in a JSON-like value with its path.

    Args:
        value: str, number, mapping, list, …; containers are copied as dict and list.
        field: Dataset path of the value; parts are appended as `.name` and `[index]`.
        message: Message index the value belongs to, None for none.
        key: Message key the value stands under.
    """
    if isinstance(value, str):
        return track(value, origin_of(field, message, key)) if value else value
    if isinstance(value, Mapping):
        mapping = cast("Mapping[str, Any]", value)
        return {name: track_tree(item, f"{field}.{name}", message, key) for name, item in mapping.items()}
    if isinstance(value, list | tuple):
        items = cast("list[Any]", value)
        return [track_tree(item, f"{field}[{i}]", message, key) for i, item in enumerate(items)]
    return value
