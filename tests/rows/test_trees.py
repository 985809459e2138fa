"""Trees of messages joined into conversations, held against a walk written out plainly."""

from collections import Counter

import pytest
from converted import codes, plain
from hypothesis import given, settings
from hypothesis import strategies as st

import workbench as wb
from tests.fuzz_scale import examples
from workbench.rows.columns import role_of
from workbench.rows.convert import convert
from workbench.rows.files.load import RowSource, open_source
from workbench.rows.trees import joined_rows


def message(id, parent, role="assistant", **more):
    return {"message_id": id, "parent_id": parent, "text": id.upper(), "role": role, **more}


def joined(rows, type="oasst_flat", columns=None):
    return joined_rows(RowSource("rows", None, None, rows, lines=list(range(1, len(rows) + 1))), type, columns or {})


def said(source):
    return ["".join(m["content"] for m in row["messages"]) for row in source.rows]


FLAT = [
    message("q", None, "prompter"),
    message("a", "q"),
    message("b", "q"),
    message("r", "a", "prompter"),
    message("c", "r"),
]
AGAIN = {"text": "R", "role": "prompter", "replies": [{"text": "C", "role": "assistant"}]}
TREE = {
    "text": "Q",
    "role": "prompter",
    "replies": [{"text": "A", "role": "assistant", "replies": [AGAIN]}, {"text": "B", "role": "assistant"}],
}


def test_every_path_from_a_root_to_a_last_answer_is_a_conversation():
    source = joined(FLAT)
    assert said(source) == ["QB", "QARC"]
    assert source.findings == () and source.rows.unused == {}
    assert source.rows[1] == {
        "messages": [
            {"role": role, "content": text} for role, text in zip(["prompter", "assistant"] * 2, "QARC", strict=True)
        ],
        "message_ids": ["q", "a", "r", "c"],
        "rows": [0, 1, 3, 4],
    }
    assert [source.line_of(i) for i in range(2)] == [3, 5]
    example, findings = convert(source.rows[1], 1, "messages", {})
    assert [m["role"] for m in example.messages] == ["user", "assistant"] * 2 and findings == ()


def test_nested_trees_and_flat_rows_with_replies_give_the_same():
    assert said(joined([{"prompt": TREE}], "oasst_tree")) == ["QARC", "QB"]
    assert said(joined([TREE | {"message_id": "q", "parent_id": None}])) == ["QARC", "QB"]
    assert said(joined([{"root": TREE}], "oasst_tree", {"prompt": "root"})) == ["QARC", "QB"]


def test_a_parent_may_stand_behind_its_replies_and_ids_may_be_numbers():
    assert sorted(said(joined(FLAT[::-1]))) == ["QARC", "QB"]
    rows = [
        {"message_id": 2, "parent_id": 1, "text": "A", "role": "assistant"},
        {"message_id": 1, "parent_id": None, "text": "Q", "role": "prompter"},
    ]
    assert said(joined(rows)) == ["QA"]


def test_columns_may_have_other_names():
    rows = [{"id": "q", "up": "", "who": "human", "said": "Q"}, {"id": "a", "up": "q", "who": "bot", "said": "A"}]
    assert said(joined(rows, columns={"message_id": "id", "parent_id": "up", "role": "who", "text": "said"})) == ["QA"]


def test_what_nobody_answered_ends_nothing_and_is_named_once():
    rows = [
        *FLAT,
        message("x", "c", "prompter"),
        message("y", "c", "prompter"),
        message("z", "a", "prompter"),
        message("n", None, "prompter"),
    ]
    source = joined(rows)
    assert said(source) == ["QB", "QARC"]
    assert [(f.code, f.severity, f.field, f.line) for f in source.findings] == [
        ("WB596", "info", f"[{row}].text", row + 1) for row in (5, 6, 7, 8)
    ]
    assert set(source.rows.unused) == {5, 6, 7, 8}


@pytest.mark.parametrize(
    ("rows", "left", "found"),
    [
        ([*FLAT, message("o", "gone"), message("p", "o")], ["QB", "QARC"], [("WB593", 5), ("WB593", 6)]),
        ([*FLAT, message("o", "p"), message("p", "o")], ["QB", "QARC"], [("WB594", 5), ("WB594", 6)]),
        ([*FLAT, message("s", "s")], ["QB", "QARC"], [("WB594", 5)]),
        ([*FLAT, message("o", "p"), message("p", "p")], ["QB", "QARC"], [("WB594", 5), ("WB594", 6)]),
        ([*FLAT[:3], FLAT[3] | {"deleted": True}, FLAT[4]], ["QA", "QB"], [("WB595", 3), ("WB595", 4)]),
        ([FLAT[0], FLAT[1] | {"text": None}, *FLAT[2:]], ["QB"], [("WB597", 1), ("WB597", 3), ("WB597", 4)]),
        ([*FLAT, message("w", "q", 3)], ["QB", "QARC"], [("WB597", 5)]),
        ([*FLAT, 3], ["QB", "QARC"], [("WB597", 5)]),
        ([*FLAT, message("e", 0.5)], ["QB", "QARC"], [("WB597", 5)]),
        ([*FLAT, message("a", "b", text="other")], ["QB", "QARC"], [("WB598", 5)]),
        ([*FLAT, FLAT[1]], ["QB", "QARC"], [("WB598", 5)]),
        ([*FLAT, message("n", "q", "narrator"), message("m", "n")], ["QB", "QARC", "QNM"], [("WB597", 5)]),
    ],
)  # fmt: skip
def test_messages_that_cannot_be_joined_are_named_with_what_stands_below(rows, left, found):
    source = joined(rows)
    assert said(source) == left
    assert [(f.code, int(f.field[1:].split("]")[0])) for f in source.findings] == found
    assert all(f.remedy and f.line and f"row {f.line - 1}" in f.message for f in source.findings)


def test_findings_of_a_code_are_counted_beyond_a_hundred():
    source = joined([message(f"o{i}", "gone") for i in range(250)])
    assert Counter(f.code for f in source.findings) == {"WB593": 100, "WB599": 1}
    assert "150 more" in source.findings[-1].message
    assert len(source.rows.unused) == 250


def test_a_deep_tree_is_walked_without_recursion():
    rows = [message(f"m{i}", f"m{i - 1}" if i else None, "assistant" if i % 2 else "prompter") for i in range(5000)]
    nested: dict = {}
    for i in reversed(range(3000)):
        nested = {"text": str(i), "role": "assistant" if i % 2 else "prompter", "replies": [nested] if nested else []}
    assert len(joined(rows).rows[0]["messages"]) == 5000
    assert len(joined([{"prompt": nested}], "oasst_tree").rows[0]["messages"]) == 3000


def test_rows_are_read_only_when_they_are_asked_for():
    class Counted(list):
        asked = 0

        def __getitem__(self, index):
            Counted.asked += 1
            return super().__getitem__(index)

    source = joined(Counted(FLAT))
    assert Counted.asked == 0
    assert source.rows[0]["rows"] == [0, 2] and Counted.asked == 2


PARENTS = st.lists(st.one_of(st.none(), st.integers(0, 14)), min_size=1, max_size=14)


@settings(max_examples=examples(500), deadline=None)
@given(
    PARENTS,
    st.lists(st.sampled_from(["prompter", "assistant", "narrator", None]), min_size=14, max_size=14),
    st.randoms(),
)
def test_every_message_is_used_or_named_and_paths_are_those_of_a_plain_walk(parents, roles, chance):
    rows = [
        message(f"m{i}", None if p is None else f"m{p}", roles[i], deleted=chance.random() < 0.1)
        for i, p in enumerate(parents)
    ]

    def path(i):
        """Messages from the root to i; None where one of them is unusable or there is no root."""
        out = []
        while i is not None:
            if i in out or i >= len(rows) or rows[i]["role"] is None or rows[i]["deleted"]:
                return None
            out.append(i)
            i = parents[i]
        return out[::-1]

    paths = [p for i, row in enumerate(rows) if row["role"] and role_of(row["role"]) == "assistant" and (p := path(i))]
    ends = [p for p in paths if not any(p == other[: len(p)] for other in paths if other is not p)]
    source = joined(rows)
    assert sorted(row["rows"] for row in source.rows) == sorted(ends)
    used = {i for row in source.rows for i in row["rows"]}
    named = {int(f.field[1:].split("]")[0]) for f in source.findings}
    assert used | named == set(range(len(rows)))
    assert set(source.rows.unused) == set(range(len(rows))) - used
    for index, row in enumerate(source.rows):
        example, findings = convert(row, index, "messages", {})
        assert example is not None and not codes(findings, "error")


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["a", "b", "prompter", "assistant", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from("message_id parent_id text role replies prompt deleted".split()), inner, max_size=6
        )
    ),
    max_leaves=20,
)


@settings(max_examples=examples(500), deadline=None)
@given(st.lists(JUNK, max_size=5), st.sampled_from(["oasst_flat", "oasst_tree"]))
def test_junk_never_raises_and_is_used_or_named(rows, type):
    source = joined(rows, type)
    used = {i for row in source.rows for i in row["rows"]}
    assert used | set(source.rows.unused) == set(range(len(rows)))


@pytest.mark.shared
def test_the_open_assistant_export_is_read_whole(shared):
    path = shared / "testdata" / "datasets" / "oasst" / "oasst_messages_flat.jsonl"
    opened = open_source(path)
    source = joined_rows(opened, "oasst_flat", {})

    def answers(raw, before=()):
        now = (*before, raw["text"])
        below = [p for reply in raw["replies"] for p in answers(reply, now)]
        return below or ([now] if raw["role"] == "assistant" else [])

    wanted = [p for row in opened.rows for p in answers(row)]
    assert sorted(tuple(m["content"] for m in row["messages"]) for row in source.rows) == sorted(wanted)
    data = wb.data(str(path))
    assert data.type == "oasst_flat" and len(data) == len(wanted)
    made = [example for example, _ in data.examples()]
    assert all(example is not None for example in made)
    assert [m["role"] for m in plain(made[0].messages)][:2] == ["user", "assistant"]
