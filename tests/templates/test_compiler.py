"""Everything a template can do to text, plainly and tracked: `render` compares both, so nothing may raise WB103."""

from __future__ import annotations

from typing import Any

import pytest

from tests.templates.conversations import Talk, conversation
from workbench.errors import TemplateError
from workbench.templates import registry
from workbench.templates.compiler import PlainEnvironment
from workbench.templates.render import render


def rendered(source: str, *messages: dict[str, Any]) -> str:
    return str.__str__(render(conversation(Talk(list(messages))), registry.info("tried", source, "a test")).text)


ARGUMENTS = {
    "attr": "'x'", "batch": "2", "default": "'d'", "format": "'x'", "groupby": "0", "replace": "'o', '0'", "slice": "2",
    "truncate": "5, true", "map": "'upper'", "round": "1", "center": "60", "wordwrap": "4", "sum": "0",
    "indent": "3, true, true", "join": "'\n'", "tojson": "indent=2",
    "selectattr": "'upper'", "rejectattr": "'upper'",
}  # fmt: skip
CHANCE = {"random"}
NUMBERS = {"abs", "attr", "count", "filesizeformat", "float", "format", "int", "length", "round", "sum", "wordcount"}
"""Filters whose result is no list, or that want other text."""

ROW = {
    "role": "user",
    "content": "  Hé lo\tß, wor_ld\r\n<b>x</b> ŉ ",
    "list": ["b", "a", "c"],
    "tree": {"k": ["v\n", "<>"], "é": {}},
}


@pytest.mark.parametrize("name", sorted(set(PlainEnvironment().filters) - CHANCE))
def test_every_filter_gives_the_same_text_tracked(name):
    """`render` itself compares both texts; only refusals that the plain rendering shares may stop it."""
    call = f"{name}({ARGUMENTS[name]})" if name in ARGUMENTS else name
    made = 0
    for value in ("content", "list", "tree", "content.split()", "content[::-1]", "content.splitlines(true)"):
        for tail in ("| list", "| list | string | upper", "| list | join('-')"):
            try:
                rendered(f"{{{{ messages[0].{value} | {call} {tail} }}}}", ROW)
                made += 1
            except TemplateError as error:
                assert error.code == "WB102", error
    assert made or name in NUMBERS


METHODS = {
    "capitalize": "", "casefold": "", "center": "40, '*'", "count": "'o'", "encode": "", "endswith": "' '",
    "expandtabs": "4", "find": "'o'", "format": "", "index": "'o'", "isalnum": "", "isalpha": "", "isascii": "",
    "isdecimal": "", "isdigit": "", "isidentifier": "", "islower": "", "isnumeric": "", "isprintable": "",
    "isspace": "", "istitle": "", "isupper": "", "join": "messages[0].list",
    "ljust": "40", "lower": "", "lstrip": "",
    "partition": "'o'", "removeprefix": "'  H'", "removesuffix": "' '", "replace": "'o', messages[0].list[1]",
    "rfind": "'o'", "rindex": "'o'", "rjust": "40", "rpartition": "'o'", "rsplit": "'o', 1", "rstrip": "' '",
    "split": "none, 1", "splitlines": "true", "startswith": "' '", "strip": "", "swapcase": "", "title": "",
    "translate": "{104: 'x'}", "upper": "", "zfill": "50",
}  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_every_method_gives_the_same_text_tracked(name):
    for call in (f"{name}({METHODS[name]})", f"{name}({METHODS[name]})|list|join('|')"):
        try:
            rendered(f"{{{{ messages[0].content.{call} }}}}", ROW)
        except TemplateError as error:
            assert error.code == "WB102"
            assert "list" in call, error


def test_no_method_of_str_is_forgotten():
    assert {name for name in dir(str) if not name.startswith("_")} - set(METHODS) == {"format_map", "maketrans"}
