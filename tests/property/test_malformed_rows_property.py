"""Rows that nobody would write on purpose: whatever they hold, the answer is findings or a WorkbenchError."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import workbench as wb
from tests.fuzz_scale import examples
from tests.property.row_damage import ODD_VALUES, damaged, holder_of, paths, whole_rows
from workbench.api.inspect_rows import row_object
from workbench.errors import WorkbenchError
from workbench.options import RowOptions
from workbench.rows.convert import CONVERTERS, convert
from workbench.rows.formats import FORMATS

TEXTS = st.sampled_from(
    ["", " ", "hi", "\x00", "\ud83d", "<|im_end|>", "<img src=x onerror=alert(1)>", "{}", "null", "[1", "{{ x }}",
     "👩\u200d👩\u200d👧"]
)  # fmt: skip
LEAVES = st.one_of(TEXTS, st.none(), st.booleans(), st.integers(), st.floats(), st.binary(max_size=3), st.dates())
NAMES = st.sampled_from(
    ["messages", "conversations", "prompt", "completion", "chosen", "rejected", "text", "instruction", "input",
     "output", "question", "answer", "segments", "role", "content", "from", "value", "train", "weight",
     "tools", "tool_calls",
     "label", "reasoning_content", "function", "name", "arguments", "type", "train_detail", "", 1, None]
)  # fmt: skip
VALUES: st.SearchStrategy[Any] = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)
ROLES = st.sampled_from(["user", "assistant", "system", "tool", "human", "gpt", None, 3])
CONTENTS = st.one_of(TEXTS, TEXTS, st.none(), st.just([{"type": "text", "text": "part"}]), VALUES)
CALLS = st.builds(
    lambda arguments: [{"type": "function", "function": {"name": "f", "arguments": arguments}}],
    st.one_of(st.just({"a": None}), st.just('{"a": 1}'), VALUES),
)
ODD = st.fixed_dictionaries(
    {"role": ROLES, "content": CONTENTS},
    optional={"train": VALUES, "weight": VALUES, "tool_calls": CALLS | VALUES, "reasoning_content": CONTENTS,
              "name": VALUES},
)  # fmt: skip
GOOD = st.fixed_dictionaries({"role": st.just("assistant"), "content": st.sampled_from(["Yes.", "No 🎉"])})
TALKS = st.lists(st.one_of(GOOD, ODD, ODD, ODD, VALUES), max_size=4)
ROWS = st.one_of(
    st.fixed_dictionaries({"messages": TALKS}, optional={"tools": VALUES, "extra": VALUES}),
    st.fixed_dictionaries({"instruction": CONTENTS, "output": CONTENTS}, optional={"input": CONTENTS}),
    st.fixed_dictionaries({"prompt": CONTENTS | TALKS, "completion": CONTENTS | TALKS}),
    st.fixed_dictionaries({"segments": st.lists(st.fixed_dictionaries({"text": TEXTS, "label": VALUES}), max_size=3)}),
    st.fixed_dictionaries({"text": CONTENTS}),
    st.dictionaries(NAMES, VALUES, max_size=4),
    VALUES,
)
TEMPLATES = st.sampled_from(
    [None, "chatml", "qwen3", "llama3_1", "deepseekv3",
     "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}",
     "{{ messages|tojson }}", "{{ messages[1]['content'].strip() }}", "{% for m in messages %}{{ m }}{% endfor %}",
     "{% generation %}{{ messages }}{% endgeneration %}"]
)  # fmt: skip
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "max_length": st.sampled_from([1, 3, 1000]),
        "train_on": st.sampled_from(["assistant", "last_assistant", "completion", "all"]),
    },
)


def strict(value: object) -> None:
    """JSON as a browser reads it: no NaN; and text that UTF-8 can carry, halves of surrogate pairs escaped."""
    json.dumps(value, allow_nan=False).encode()


def shown(enc: Any) -> None:
    for noun in (enc, *(enc[i] for i in range(len(enc)))):
        assert repr(noun)
        bundle = noun._repr_mimebundle_()
        strict(bundle)
        assert "<img" not in bundle["text/html"]
        strict(noun.to_dict())
    for i in range(len(enc)):
        strict(row_object(enc, i))
    batches = enc.batches()
    for i in range(len(batches)):
        strict(batches[i]._repr_mimebundle_())
        strict(batches[i].tokens._repr_mimebundle_())
        strict(batches[i].to_dict())


@settings(
    max_examples=examples(300), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(
    rows=st.lists(ROWS, max_size=4),
    kind=st.none() | st.sampled_from(sorted(FORMATS)),
    template=TEMPLATES,
    options=OPTIONS,
)
def test_malformed_rows_are_told_about_and_never_raise(rows, kind, template, options):
    try:
        data = wb.data(rows, type=kind)
        assert repr(data)
        strict(data.to_dict())
        picked = data.pick()
        strict(picked.state())
        enc = data.encode(template, tokenizer="tiny-llama", **options)
    except WorkbenchError as error:
        assert error.code and error.message
        return
    assert all(item.row is not None for item in enc.findings if item.code.startswith("WB52"))
    left_out = set(range(len(enc))) - set(enc.usable)
    assert left_out <= {item.row for item in enc.findings if item.severity == "error"}
    shown(enc)


ROW_OPTIONS = st.sampled_from(
    [
        RowOptions(),
        RowOptions(),
        RowOptions(text_as="text", train_on_last_step_only=True, image_folder="nowhere"),
        RowOptions(prompt_format="{system}: {prompt}", chosen_format="{chosen}", completion_format="{completion}"),
        RowOptions(split_thinking=True, default_system_message="Be brief.", roles={"customer": "user"}),
        RowOptions(drop_system_message=True),
    ]
)


@settings(
    max_examples=examples(1000), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(data=st.data(), name=st.sampled_from(sorted(CONVERTERS)), index=st.integers(0, 9), options=ROW_OPTIONS)
def test_a_damaged_row_of_any_type_gives_an_example_or_errors_that_name_row_and_field(data, name, index, options):
    """With `make fuzz`, 20,000 rows over all types."""
    row = data.draw(damaged(name))
    columns = {}
    if isinstance(row, Mapping) and data.draw(st.integers(0, 9)) == 0:  # a mapping that takes columns for others
        texts = [key for key in row if isinstance(key, str)]
        columns = {c.name: data.draw(st.sampled_from(texts)) for c in FORMATS[name].columns} if texts else {}
    accounted_for(row, index, name, columns, options)


@pytest.mark.parametrize("name", sorted(CONVERTERS))
def test_no_odd_value_in_any_one_place_of_a_row_raises_or_is_taken_silently(name):
    for whole in whole_rows(name):
        for path in paths(whole):
            for odd in ODD_VALUES:
                row = copy.deepcopy(whole)
                holder_of(row, path)[path[-1]] = odd
                accounted_for(row, 7, name, {}, RowOptions())


def accounted_for(row: Any, index: int, name: str, columns: Mapping[str, str], options: RowOptions) -> None:
    """Convert: an example, or errors, and every finding names row, reason and a field of the row or of the type."""
    example, findings = convert(row, index, name, columns, options)
    errors = [finding for finding in findings if finding.severity == "error"]
    assert (example is None) == bool(errors)
    assert example is None or example.row == index
    known = [*(str(key) for key in row), *(c.name for c in FORMATS[name].columns)] if isinstance(row, Mapping) else [""]
    for finding in findings:
        assert finding.row == index and finding.message and finding.code.startswith("WB5")
        assert any(finding.field.startswith(column) for column in known), finding


@pytest.mark.parametrize("name", sorted(CONVERTERS))
def test_the_rows_that_are_damaged_were_whole(name):
    for row in whole_rows(name):
        example, findings = convert(row, 0, name, {})
        assert example is not None, findings
