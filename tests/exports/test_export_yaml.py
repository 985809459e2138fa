"""Nothing is lost on the way through YAML."""

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.errors import ExportError
from workbench.exports.yaml_text import yaml_text

HOSTILE = [
    "trailing  ",
    "  leading",
    "### Instruction:",
    "a # b",
    "USER: x",
    "{instruction}",
    "[PAD]",
    "no",
    "off",
    "null",
    "~",
    "1e-5",
    "012",
    "1:30",
    "2024-06-11",
    "no-break\u00a0",
    "\u00a0",
    "thin\u2009space\u2028line\u0085",
    "|user|",
    ">x",
    "&a b",
    "*pad",
    "!x",
    "%x",
    "@x",
    "`x",
    "\\n",
    "line\nline\n\n",
    "carriage\r\nreturn\r",
    "tab\t",
    "",
    '"',
    "'",
    "\x00\x07\x7f",
    "\ufeff",
    "é漢😀",
    "word " * 60 + " ",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_strings_come_back_everywhere(text):
    values = {"top": text, "list": [text, {"inner": text}], "map": {text: text}}
    assert yaml.safe_load(yaml_text(values)) == values


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abno:# 1"), inner, max_size=3)
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine draws slowly
@given(st.dictionaries(st.sampled_from(["a", "no", "on", "y", "learning_rate"]), TREES))
def test_any_config_comes_back_with_its_types(values):
    back = yaml.safe_load(yaml_text(values)) or {}
    assert back == values
    assert repr(back) == repr(values)


def test_small_rates_load_as_floats():
    text = yaml_text({"learning_rate": 1e-5, "whole": 3.0, "tiny": 5e-324})
    back = yaml.safe_load(text)
    assert text.startswith("learning_rate: 1.0e-05\n")
    assert [type(value) for value in back.values()] == [float] * 3
    assert back["learning_rate"] == 1e-5


def test_every_string_value_is_in_double_quotes():
    assert yaml_text({"a": "cosine", "b": ["x"]}) == 'a: "cosine"\nb:\n- "x"\n'


def test_equal_values_are_written_out_twice_instead_of_aliased():
    shared = ["x"]
    assert "*" not in yaml_text({"a": shared, "b": shared})


@pytest.mark.parametrize("value", [float("nan"), {"a": [object()]}])
def test_what_yaml_cannot_hold_is_refused_by_key(value):
    with pytest.raises(ExportError, match=r"weight=.*WB703"):
        yaml_text({"fine": 1, "weight": value})
