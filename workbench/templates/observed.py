"""Text that notes every question a template asks about it, so that what was learned from one row holds for others.

    trace = Trace(); text = observe("Hi", 0, …, trace)
    "</think>" in text  ->  False, and trace.guards holds (slot 0, (), str.__contains__, "</think>", False)

A chat template is a program without memory or chance: given messages of the same shape, it can take another path only
through an answer about their text. So if all answers are the same, the path is, and each piece of the output comes from
the same place. Allowed are questions whose answer is noted (`in`, `==`, `startswith`, truth), stripping, and putting
together; everything else (slices, lengths, iteration, filters that look inside) raises `Opaque`: nothing is learned
from such a row, and rows like it are rendered with tracking, each by itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

import jinja2
from jinja2 import nodes
from jinja2.compiler import Frame
from jinja2.runtime import Macro

from workbench.templates.compiler import (
    GenerationBlock,
    PlainDict,
    PlainNamespace,
    TrackingCodeGenerator,
    TrackingEnvironment,
    mark_generated,
    owner,
)
from workbench.templates.cuts import CUTS, Mode
from workbench.tracked import Run, Runs, Tracked, join, runs_of
from workbench.types import Origin

OBSERVED_KEYS = frozenset({"content", "reasoning_content", "thinking", "reasoning"})
"""Keys of messages whose text differs from row to row; all other values are part of what rows must have in common."""


class Opaque(Exception):
    """The template did something with a text that cannot be noted."""


class Guard(NamedTuple):
    """One question about a text and its answer.

    Attributes:
        slot: Which text.
        mode: What had been stripped off it before.
        ask: Function of the text and the argument.
    """

    slot: int
    mode: Mode
    ask: Callable[[str, Any], Any]
    argument: Any
    answer: Any


@dataclass(frozen=True)
class Slot(Origin):
    """Origin of text that takes the place of a row's text while a layout is learned.

    Attributes:
        slot: Which text.
        mode: What was cut off it.
    """

    slot: int = 0
    mode: Mode = ()


class Trace:
    """The questions asked in one rendering, in order, each once."""

    def __init__(self) -> None:
        self.guards: dict[Guard, None] = {}

    def note(self, guard: Guard) -> None:
        """Keep a question and its answer."""
        self.guards[guard] = None


def _is_true(text: str, _: None) -> bool:
    return text != ""


class Observed(Tracked):
    """A text whose questions are noted: one slot with its strips, or a mixture of texts (no slot)."""

    __slots__ = ("mode", "slot", "trace")
    slot: int | None
    mode: Mode
    trace: Trace

    @classmethod
    def made(cls, text: str, runs: Runs, trace: Trace, slot: int | None = None, mode: Mode = ()) -> Observed:
        """Text with runs, as a slot or a mixture."""
        self = cls(text, runs)
        self.trace, self.slot, self.mode = trace, slot, mode
        return self

    def asked(self, ask: Callable[[str, Any], Any], argument: Any) -> Any:
        """Answer a question and note it."""
        if self.slot is None or isinstance(argument, Observed):
            raise Opaque
        plain = str.__str__(argument) if isinstance(argument, str) else argument
        answer = ask(str.__str__(self), plain)
        self.trace.note(Guard(self.slot, self.mode, ask, plain, answer))
        return answer

    def __add__(self, other: str) -> Tracked:
        if not isinstance(other, Observed) and not other:
            return self
        return Observed.made(str.__str__(self) + str.__str__(other), self.runs + runs_of(other), self.trace)

    def __radd__(self, other: str) -> Tracked:
        if not isinstance(other, Observed) and not other:
            return self
        return Observed.made(str.__str__(other) + str.__str__(self), runs_of(other) + self.runs, self.trace)

    def __bool__(self) -> bool:
        if self.slot is None and any(run.length and not isinstance(run.origin, Slot) for run in self.runs):
            return True  # text of the template is in it whatever the row says
        return bool(self.asked(_is_true, None))

    def __eq__(self, other: object) -> bool:
        return bool(self.asked(str.__eq__, other)) if isinstance(other, str) else NotImplemented

    def __ne__(self, other: object) -> bool:
        return not self.asked(str.__eq__, other) if isinstance(other, str) else NotImplemented

    def __contains__(self, part: object) -> bool:
        return bool(self.asked(str.__contains__, part))

    def startswith(self, *args: Any) -> bool:
        """Noted where it is asked of one text."""
        return bool(self.asked(str.startswith, _only(args)))

    def endswith(self, *args: Any) -> bool:
        """Noted where it is asked of one text."""
        return bool(self.asked(str.endswith, _only(args)))

    def strip(self, chars: str | None = None, /) -> Tracked:
        """A text of its own, whose being empty is noted."""
        return self._cut("strip", chars)

    def lstrip(self, chars: str | None = None, /) -> Tracked:
        """A text of its own, whose being empty is noted."""
        return self._cut("lstrip", chars)

    def rstrip(self, chars: str | None = None, /) -> Tracked:
        """A text of its own, whose being empty is noted."""
        return self._cut("rstrip", chars)

    def removeprefix(self, prefix: str, /) -> Tracked:
        """A text of its own, whose being empty is noted."""
        return self._cut("removeprefix", prefix)

    def removesuffix(self, suffix: str, /) -> Tracked:
        """A text of its own, whose being empty is noted."""
        return self._cut("removesuffix", suffix)

    def split(self, sep: str | None = None, maxsplit: Any = -1) -> list[str]:
        """What stands before and behind a separator that is in it once; how often it is, is noted."""
        if not sep or isinstance(sep, Observed) or maxsplit != -1:
            raise Opaque
        parts = self.asked(str.count, sep)
        if parts > 1:
            raise Opaque
        return [self._cut("before", sep), self._cut("behind", sep)] if parts else [self]

    rsplit = split

    def replace(self, old: str, new: str, count: Any = -1, /) -> Tracked:
        """The text itself where the part is not in it, which is noted."""
        if old and count == -1 and not self.asked(str.__contains__, old):
            return self
        raise Opaque

    def _cut(self, method: str, chars: str | None) -> Tracked:
        if self.slot is None or isinstance(chars, Observed):
            raise Opaque
        chars = chars if chars is None else str.__str__(chars)
        mode = (*self.mode, (method, chars))
        text = CUTS[method](str.__str__(self), chars)
        first = self.runs[0] if self.runs else None
        runs = (
            (Run(len(text), replace(cast("Slot", first.origin), mode=mode), 0, first.line),) if text and first else ()
        )
        made = Observed.made(text, runs, self.trace, self.slot, mode)
        made.asked(_is_true, None)
        return made


def _only(args: tuple[Any, ...]) -> str:
    if len(args) != 1 or not isinstance(args[0], str):
        raise Opaque
    return args[0]


def _refuse(*args: Any, **kwargs: Any) -> Any:
    raise Opaque


_HARMLESS = (
    "__class__ __new__ __init__ __getattribute__ __getattr__ __setattr__ __delattr__ __dir__ __doc__ __slots__ "
    "__module__ __subclasshook__ __init_subclass__ __reduce__ __reduce_ex__ __getstate__ __sizeof__ __str__"
).split()
"""What Python needs of any object; `str(text)` is the text itself."""

for _name in {*dir(str), "__rmod__", "__rmul__", "__reversed__"}:
    if _name == "__hash__" or (_name not in vars(Observed) and _name not in _HARMLESS):
        setattr(Observed, _name, _refuse)


def observe(text: str, slot: int, message: int, key: str, trace: Trace) -> Tracked:
    """Text in the place of a row's text; only that of `OBSERVED_KEYS` notes questions, the rest is always the same.

    Args:
        text: The plain text.
        slot: Its number.
        message: Index of its message.
        key: Its key there.
        trace: Takes the questions.
    """
    runs = (Run(len(text), Slot(f"slot {slot}", message, key, slot=slot), 0, 0),) if text else ()
    if key not in OBSERVED_KEYS:
        return Tracked(text, runs)
    made = Observed.made(text, runs, trace, slot)
    made.asked(_is_true, None)  # empty text has no run, so layouts differ
    return made


def holds_observed(value: Any) -> bool:
    """Whether observed text is in a value, however deep."""
    if isinstance(value, str):
        return isinstance(value, Observed)
    if isinstance(value, Mapping):
        mapping = cast("Mapping[Any, Any]", value)
        return any(holds_observed(item) for pair in mapping.items() for item in pair)
    return isinstance(value, list | tuple) and any(holds_observed(item) for item in cast("list[Any]", value))


class ObservingCodeGenerator(TrackingCodeGenerator):
    """Sends `in` through the environment: with a plain text on its right, no method of the left would be called."""

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:
        """`a in b` as a call; longer chains with `in` stay, and refuse."""
        if not any(item.op in ("in", "notin") for item in node.ops):
            super().visit_Compare(node, frame)
            return
        self.plain_depth += 1
        self.write("(not " if node.ops[0].op == "notin" else "(")
        self.write("environment.wb_in(" if len(node.ops) == 1 else "environment.wb_chain(")
        for item in (node.expr, node.ops[0].expr):
            self.visit(item, frame)
            self.write(", ")
        self.write("))")
        self.plain_depth -= 1


class ObservedGenerationBlock(GenerationBlock):
    """Marks mixtures too."""

    def mark(self, caller: Callable[[], str]) -> str:
        """The block's text, marked as generated."""
        text = caller()
        if not isinstance(text, Observed):
            return mark_generated(text)
        return Observed.made(
            str.__str__(text), runs_of(mark_generated(Tracked(str.__str__(text), text.runs))), text.trace
        )


class ObservingEnvironment(TrackingEnvironment):
    """Tracks like the tracking environment, and refuses whatever could look at observed text unnoticed."""

    code_generator_class = ObservingCodeGenerator
    generation_block = ObservedGenerationBlock
    intercepted_binops = frozenset({"%", "*"})

    def __init__(self) -> None:
        super().__init__()
        filters = cast("dict[str, Any]", self.filters)
        filters.update({name: _seeing(f) for name, f in filters.items() if name not in _BLIND_FILTERS})
        tests = cast("dict[str, Any]", self.tests)
        of_any_text = {name: _text_or(tests[name]) for name in ("iterable", "sequence")}
        tests.update({name: _seeing(f) for name, f in tests.items() if name not in _BLIND_TESTS} | of_any_text)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Templates must not see what a plain str does not have."""
        hidden = isinstance(obj, Observed) and not hasattr(str, attr)
        return not hidden and super().is_safe_attribute(obj, attr, value)

    def call(self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Calls may be given observed text only where template code or its own methods take it."""
        knows = isinstance(__obj, Macro | PlainDict) or __obj is PlainNamespace
        own = isinstance(getattr(__obj, "__self__", None), Observed)
        given = [value for name, value in kwargs.items() if name not in ("_loop_vars", "_block_vars")]
        if not (knows or own) and (holds_observed(args) or holds_observed(given)):
            raise Opaque
        return super().call(__context, __obj, *args, **kwargs)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """`"%s" % texts` would copy what is in a list."""
        if holds_observed(left) or holds_observed(right):
            raise Opaque
        return super().call_binop(context, operator, left, right)

    def wb_in(self, item: Any, container: Any) -> bool:
        """`item in container`."""
        if isinstance(item, Observed) and isinstance(container, str):
            raise Opaque
        return item in container

    def wb_chain(self, *_: Any) -> bool:
        """A chain of comparisons."""
        raise Opaque

    def wb_item(self, item: object) -> None:
        """As tracking does; a rebuilt message is not looked into."""
        if isinstance(item, Mapping) and "role" in item and id(item) not in self.messages and owner(item) is not None:
            raise Opaque
        super().wb_item(item)

    def wb_concat(self, items: Iterable[object]) -> Tracked:
        """A mixture where any piece is observed."""
        return self._mixed("", items)

    def wb_out(self, value: object, line: int) -> Tracked:
        """Observed text stays what it is."""
        if not isinstance(value, Observed):
            return super().wb_out(value, line)
        runs = tuple([self.settled(run, line) for run in value.runs])
        return Observed.made(str.__str__(value), runs, value.trace, value.slot, value.mode)

    def _join(self, value: Iterable[Any], d: str = "", attribute: str | int | None = None) -> str:
        texts = list(value)
        if attribute is not None and holds_observed(texts):
            raise Opaque
        return self._mixed(d, texts) if attribute is None else super()._join(texts, d, attribute)

    def _mixed(self, separator: str, items: Iterable[object]) -> Tracked:
        texts = list(items)
        made = join(separator, texts)
        observed = [text for text in (*texts, separator) if isinstance(text, Observed)]
        if not observed:
            return made
        first = observed[0]
        alone = len(observed) == 1 and not any(text for text in texts if text is not first)
        if alone and (len(texts) == 1 or separator == ""):
            return Observed.made(str.__str__(made), made.runs, first.trace, first.slot, first.mode)
        return Observed.made(str.__str__(made), made.runs, first.trace)


_BLIND_FILTERS = frozenset(
    "trim string first last list default d join length count items reverse "
    "selectattr rejectattr select reject map".split()
)
"""Filters that reach a text only through its own methods, or through other filters and tests."""

_BLIND_TESTS = frozenset(
    "defined undefined none string mapping number boolean integer float callable true false eq equalto == ne !=".split()
)
"""Tests that ask for a kind, or through `==`."""


def _seeing(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter or test that looks inside its arguments: refused for observed text."""

    @functools.wraps(function)
    def refusing(*args: Any, **kwargs: Any) -> Any:
        if holds_observed(args) or holds_observed(kwargs):
            raise Opaque
        return function(*args, **kwargs)

    return refusing


def _text_or(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """A test every text passes."""
    return lambda value: isinstance(value, Observed) or test(value)


@functools.lru_cache(maxsize=64)
def observing(source: str) -> tuple[ObservingEnvironment, jinja2.Template]:
    """A template compiled for observation, with its environment."""
    environment = ObservingEnvironment()
    template = environment.from_string(source)
    template.globals = dict(template.globals)
    return environment, template
