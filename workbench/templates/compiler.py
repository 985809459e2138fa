"""Jinja compiled twice: plainly, and so that every character of the output keeps its origin.

The tracking environment differs from the plain one in four places only:

* literals of the template are `Tracked` with the line they stand on and the message whose loop iteration wrote them,
* `~` and buffers are joined by `tracked.join`,
* an expression that is written out gets its template line,
* the filters `join`, `indent` and `tojson` keep origins.

Whether both give the same text is checked for every rendering (render.py); nothing here is trusted to.
The environment follows the one transformers renders chat templates with (transformers 5.23,
utils/chat_template_utils.py): immutable sandbox, trimmed blocks, loop controls, `raise_exception`, `strftime_now`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any, cast

import jinja2
import jinja2.ext
from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.filters import make_attrgetter
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

from workbench.errors import TemplateError
from workbench.templates.tracked_json import dumps
from workbench.tracked import Run, Tracked, join, runs_of
from workbench.types import Origin


class Raised(Exception):
    """A template called `raise_exception`."""


class GenerationBlock(jinja2.ext.Extension):
    """`{% generation %} … {% endgeneration %}`: what the template's author wants trained."""

    tags = {"generation"}  # noqa: RUF012  # Jinja reads it from the class

    def parse(self, parser: Parser) -> nodes.Node:
        """Turn the block into a call that marks its text."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("mark"), [], [], body).set_lineno(line)

    def mark(self, caller: Callable[[], str]) -> str:
        """The block's text, marked as generated."""
        return mark_generated(caller())


def mark_generated(text: str) -> str:
    """Text of a generation block; plain text stays plain."""
    if type(text) is not Tracked:
        return text
    return Tracked(text, tuple([Run(run[0], generated(run[1]), run[2], run[3]) for run in text.runs]))


@lru_cache(maxsize=4096)
def generated(origin: Origin | None) -> Origin:
    """The origin, inside a generation block."""
    return replace(origin, generated=True) if origin else Origin(None, None, "computed", True)


@lru_cache(maxsize=4096)
def _in_turn(origin: Origin, message: int) -> Origin:
    return replace(origin, message=message)


def owner(value: Any) -> int | None:
    """Index of the message that some text inside a rebuilt message came from."""
    if type(value) is Tracked:
        return next((run.origin.message for run in value.runs if run.origin and run.origin.field), None)
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return next((found for item in inside if (found := owner(item)) is not None), None)


class TrackingCodeGenerator(CodeGenerator):
    """Writes calls to the environment's `wb_*` methods where the stock generator writes literals and outputs."""

    plain_depth = 0
    """Above 0 while literals cannot reach the output: operands of comparisons, subscripts, tests."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        """`a ~ b` through the tracking join."""
        self.write("environment.wb_concat((")
        for item in node.nodes:
            self.visit(item, frame)
            self.write(", ")
        self.write("))")

    def visit_Const(self, node: nodes.Const, frame: Frame) -> None:
        """A string literal remembers its line."""
        value = node.as_const(frame.eval_ctx)
        if self.plain_depth or type(value) is not str or not value:
            super().visit_Const(node, frame)
        else:
            self.write(self._literal(value, node.lineno))

    def visit_Call(self, node: nodes.Call, frame: Frame, forward_caller: bool = False) -> None:
        """Our own stamps are called directly, not through the sandbox."""
        if not isinstance(node.node, nodes.EnvironmentAttribute):
            super().visit_Call(node, frame, forward_caller=forward_caller)
            return
        self.write(f"environment.{node.node.name}(")
        for argument in node.args:
            self.visit(argument, frame)
        self.write(")")

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:
        """Comparisons need no origins."""
        self._plainly(super().visit_Compare, node, frame)

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:
        """Neither do subscripts."""
        self._plainly(super().visit_Getitem, node, frame) if isinstance(
            node.arg, nodes.Const
        ) else super().visit_Getitem(node, frame)

    def visit_Test(self, node: nodes.Test, frame: Frame) -> None:
        """Nor tests."""
        self._plainly(super().visit_Test, node, frame)

    def _plainly(self, visit: Callable[[Any, Frame], None], node: nodes.Node, frame: Frame) -> None:
        self.plain_depth += 1
        visit(node, frame)
        self.plain_depth -= 1

    def _literal(self, text: str, line: int, spans_lines: bool = False) -> str:
        return f"environment.wb_literal({text!r}, {line}, {spans_lines})"

    def _output_child_to_const(self, node: nodes.Expr, frame: Frame, finalize: Any) -> Any:
        text = super()._output_child_to_const(node, frame, finalize)
        return (text, node.lineno, isinstance(node, nodes.TemplateData))

    def _output_const_repr(self, group: Iterable[Any]) -> str:
        parts = [self._literal(*item) for item in group if item[0]]
        return parts[0] if len(parts) == 1 else f"environment.wb_concat(({''.join(part + ', ' for part in parts)}))"

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        self.write("environment.wb_out(")

    def _output_child_post(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        self.write(f", {node.lineno})")


class LoopStamps(NodeTransformer):
    """Tell the environment which message a loop body is about."""

    def visit_For(self, node: nodes.For) -> list[nodes.Node]:
        """Note entry, every item, and exit."""
        self.generic_visit(node)
        line = node.lineno
        if not isinstance(node.target, nodes.Name):
            return [node]
        body = [stamped for child in node.body for stamped in _after_lookup(child, node.target.name)]
        node.body = [_call("wb_item", [nodes.Name(node.target.name, "load", lineno=line)], line), *body]
        return [_call("wb_loop", [], line), node, _call("wb_end", [], line)]


def _after_lookup(node: nodes.Node, index: str) -> list[nodes.Node]:
    """`{% set message = messages[i] %}` in a loop over `i` names the message of this iteration too."""
    looks_up = (
        isinstance(node, nodes.Assign)
        and isinstance(node.target, nodes.Name)
        and isinstance(node.node, nodes.Getitem)
        and isinstance(node.node.arg, nodes.Name)
        and node.node.arg.name == index
    )
    if not looks_up:
        return [node]
    target = cast("nodes.Name", cast("nodes.Assign", node).target)
    return [node, _call("wb_item", [nodes.Name(target.name, "load", lineno=node.lineno)], node.lineno)]


def _call(name: str, args: list[nodes.Expr], line: int) -> nodes.Node:
    function = nodes.EnvironmentAttribute(name, lineno=line)
    return nodes.ExprStmt(nodes.Call(function, args, [], None, None, lineno=line), lineno=line)


class PlainNamespace(Namespace):
    """Jinja's namespace without names that begin with an underscore, which transformers refuses too."""

    def __init__(*args: Any, **kwargs: Any) -> None:  # so that namespace(self=…) works, as in Jinja
        attributes = dict(*args[1:], **kwargs)
        for name in attributes:
            _refuse_private(name)
        Namespace.__init__(args[0], attributes)

    def __setitem__(self, name: str, value: Any) -> None:
        _refuse_private(name)
        super().__setitem__(name, value)


def _refuse_private(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise jinja2.exceptions.SecurityError(
            f"a namespace cannot hold {name!r}: names must not begin with an underscore"
        )


class PlainDict:
    """`dict` in a template: it makes mappings, and its type cannot be reached through it."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        """As `dict`."""
        return dict(*args, **kwargs)

    def fromkeys(self, keys: Iterable[Any], value: Any = None) -> dict[Any, Any]:
        """As `dict.fromkeys`."""
        return dict.fromkeys(keys, value)


class PlainEnvironment(ImmutableSandboxedEnvironment):
    """The environment chat templates expect."""

    generation_block: type[GenerationBlock] = GenerationBlock

    def __init__(self) -> None:
        blocks = [self.generation_block, jinja2.ext.loopcontrols]
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=blocks, cache_size=0)
        self.filters["tojson"] = _tojson
        self.globals |= {"raise_exception": _raise, "strftime_now": _strftime_now}
        self.globals |= {"namespace": PlainNamespace, "dict": PlainDict()}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`message.content`; of a plain mapping it is the item at once, without Jinja's way through an exception."""
        if type(obj) is dict and attribute in obj and attribute not in _OF_DICT:
            return obj[attribute]
        return super().getattr(obj, attribute)


_OF_DICT = frozenset(dir(dict))
"""Names that Jinja finds on the mapping itself before it looks inside."""


class TrackingEnvironment(PlainEnvironment):
    """The same, keeping origins. One rendering at a time: hold `lock`."""

    code_generator_class = TrackingCodeGenerator

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()
        self.filters.update(tojson=self._tojson, join=self._join, indent=_indent)
        self.concat = self.wb_concat  # type: ignore[assignment]  # Jinja's own hook for joining buffers
        self.turn: int | None = None
        self._outer: list[int | None] = []
        self.messages: dict[int, int] = {}
        self._literals: dict[tuple[str, int, int | None], Tracked] = {}

    def begin(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Forget the last rendering and learn which objects are the messages of this one."""
        self.turn, self._outer = None, []
        self.messages = {id(message): index for index, message in enumerate(messages)}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        return LoopStamps().visit(super()._parse(source, name, filename))

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Templates must not see what a plain str does not have."""
        return not (isinstance(obj, Tracked) and attr in ("runs", "known_later")) and super().is_safe_attribute(
            obj, attr, value
        )

    def wb_loop(self) -> None:
        """A loop begins."""
        self._outer.append(self.turn)

    def wb_item(self, item: object) -> None:
        """A loop body begins; from here literals belong to this message, if it is one.

        A template may loop over messages it has rebuilt; then the text inside says which message it was.
        """
        if (type(item) is dict or isinstance(item, Mapping)) and "role" in item:
            known = self.messages.get(id(item))
            self.turn = owner(cast("Mapping[str, Any]", item)) if known is None else known

    def wb_end(self) -> None:
        """A loop has ended."""
        self.turn = self._outer.pop()

    def wb_concat(self, items: Iterable[object]) -> Tracked:
        """Join pieces of output."""
        return join("", items)

    def wb_literal(self, text: str, line: int, spans_lines: bool = False) -> Tracked:
        """Template text; what stands outside braces gets one run a line, a string in an expression has one line."""
        key = (text, line, self.turn)
        made = self._literals.get(key)
        if made is None:
            origin = Origin(None, self.turn, "template")
            pieces = text.split("\n") if spans_lines else [text]
            pieces = [*(piece + "\n" for piece in pieces[:-1]), *(pieces[-1:] if pieces[-1] else [])]
            made = Tracked(text, tuple(Run(len(piece), origin, 0, line + i) for i, piece in enumerate(pieces)))
            self._literals[key] = made
        return made

    def wb_out(self, value: object, line: int) -> Tracked:
        """A value written out: it gets the line; text without origin is the line's own."""
        text = value if isinstance(value, str) else str(value)
        return Tracked(str.__str__(text), tuple([self.settled(run, line) for run in runs_of(text)]))

    def settled(self, run: Run, line: int) -> Run:
        """A run as it stands in the output; literals set before the loop join the turn that writes them."""
        origin = run.origin
        if origin is None:
            return Run(run.length, Origin(None, self.turn, "computed"), run.start, line)
        if origin.field is None and origin.message is None and self.turn is not None:
            origin = _in_turn(origin, self.turn)
        return run if run.line and origin is run.origin else Run(run.length, origin, run.start, run.line or line)

    def _join(self, value: Iterable[Any], d: str = "", attribute: str | int | None = None) -> str:
        return join(d, value if attribute is None else map(make_attrgetter(self, attribute), value))

    def _tojson(
        self,
        value: Any,
        ensure_ascii: bool = False,
        indent: int | None = None,
        separators: Any = None,
        sort_keys: bool = False,
    ) -> str:
        plain = _tojson(value, ensure_ascii, indent, separators, sort_keys)
        return dumps(value, plain, ensure_ascii, indent, separators, sort_keys)


def _tojson(
    value: Any, ensure_ascii: bool = False, indent: int | None = None, separators: Any = None, sort_keys: bool = False
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise(message: object) -> str:
    raise Raised(str(message))


def _strftime_now(pattern: str) -> str:
    return datetime.now().strftime(pattern)


def _indent(s: str, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    margin = width if isinstance(width, str) else " " * width
    lines = (s + "\n").splitlines() if isinstance(s, Tracked) else Tracked(s + "\n", runs_of(s + "\n")).splitlines()
    kept = [line if not i or not (line or blank) else join("", (margin, line)) for i, line in enumerate(lines)]
    return join("", (margin if first else "", join("\n", kept)))


class Compiled:
    """One template, compiled plainly and with tracking."""

    def __init__(self, source: str, name: str) -> None:
        self.name = name
        self.tracking = TrackingEnvironment()
        try:
            self.plain = _PLAIN.from_string(source)
            self.tracked = self.tracking.from_string(source)
        except jinja2.TemplateSyntaxError as error:
            line = source.splitlines()[error.lineno - 1].strip() if error.lineno <= len(source.splitlines()) else ""
            raise TemplateError(
                f"Template {name!r} does not compile: {error.message} at line {error.lineno}: {line!r}.",
                remedy="Mend that line.",
                code="WB101",
                line=error.lineno,
            ) from None
        for template in (self.plain, self.tracked):
            template.globals = dict(template.globals)  # Jinja's chain of maps takes longer to copy than to render


_PLAIN = PlainEnvironment()


@lru_cache(maxsize=64)
def compiled(source: str, name: str) -> Compiled:
    """Compile, or return what was compiled before."""
    return Compiled(source, name)
