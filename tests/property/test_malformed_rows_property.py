"""Rows that nobody would write on purpose: whatever they hold, the answer is findings or a WorkbenchError."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import workbench as wb
from tests.fuzz_scale import examples
from workbench.api.inspect_rows import row_object
from workbench.errors import WorkbenchError
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
        strict(batches[i].to_dict())


@settings(
    max_examples=examples(300), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(
    rows=st.lists(ROWS, max_size=4),
    kind=st.none() | st.sampled_from([name for name, entry in FORMATS.items() if entry.supported]),
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
