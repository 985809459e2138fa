"""Rows of every dataset type through axolotl's own code: its ids, labels and texts, or a reason that is checked.

The reasons, with both token rows, are in docs/axolotl-differences.md, whose marked parts this run makes.
"""

import json
import os
from collections import Counter

import pytest
from axolotl_ask import GENERATED, ask, job, rows_of
from axolotl_cases import ALL, CASES
from axolotl_examples import EXAMPLES, example_entry
from axolotl_golden_cases import GOLDEN, ROWS
from axolotl_limits import NOT_COMPARED, REFUSED, function_of
from axolotl_ours import encoded, made_of
from axolotl_reasons import SENTINELS
from axolotl_record import parts_of_page, slim, store, stored, write_page, writing
from axolotl_tokenizers import tokenizer_folder
from axolotl_verdicts import Context, verdict

pytestmark = [pytest.mark.parity_axolotl, pytest.mark.shared, pytest.mark.timeout(3600)]

APART = [name for name, case in CASES.items() if case.encode.get("pieces") == "separate" and case.kind == "ids"]
"""Cases whose default is joined text, and which are compared in axolotl's way of tokenizing."""
NEUTRAL = {"[[dummy_message]]": "[[plain_message]]", "zzdummymessagezz": "zzplainmessagezz"}


@pytest.fixture(scope="module")
def testdata(shared):
    if not os.environ.get("AXOLOTL_PYTHON"):
        pytest.skip("AXOLOTL_PYTHON does not name an interpreter with axolotl 0.19")
    return shared / "testdata"


class Comparison:
    """Axolotl's answers, and ours by case; every case's rows are made once."""

    def __init__(self, testdata, root):
        self.testdata, self.root, self.summary = testdata, root, {}
        refused = [
            {
                "name": f"refused {name}",
                "tokenizer": str(tokenizer_folder("qwen2.5", testdata, root)),
                "config": config,
                "dataset": dataset,
                "forced": {},
                "rows": rows_of(next(case for case in ALL if case.shape == shape), testdata)[:1],
            }
            for name, (dataset, config, shape) in REFUSED.items()
        ]
        examples = [
            {**job(CASES[name], testdata, root), "name": f"example {reason}", "rows": [row]}
            for reason, (name, row) in EXAMPLES.items()
        ]
        golden = [
            {**job(case, testdata, root), "name": f"golden {name}", "rows": job(case, testdata, root)["rows"][-ROWS:]}
            for name, case in GOLDEN.items()
        ]
        jobs = [*(job(case, testdata, root) for case in CASES.values()), *refused, *examples, *golden]
        self.said, self.answers = ask(jobs, root / "first")

    def made(self, case, rows, **changes):
        """Ours, encoded."""
        return encoded(case, rows, self.said["templates"], self.testdata, self.root, **changes)

    def context(self, case, enc):
        """What the rules need."""
        return Context(
            case,
            enc.setting.tokenizer,
            lambda row: enc.tokenized(row)[0],
            lambda rows: made_of(self.made(case, rows)),
        )

    def verdicts(self, case, rows, answers):
        """One for every row."""
        enc = self.made(case, rows)
        context, out = self.context(case, enc), []
        for index, (ours, theirs) in enumerate(zip(made_of(enc), answers, strict=True)):
            try:
                out.append(verdict(index, rows[index], ours, theirs, context))
            except AssertionError as error:
                raise AssertionError(f"{case.name}, row {index} {rows[index]}: {error}") from error
        return out


@pytest.fixture(scope="module")
def comparison(testdata, tmp_path_factory):
    return Comparison(testdata, tmp_path_factory.mktemp("axolotl"))


def answered(comparison, name):
    answer = comparison.answers[name]
    assert "error" not in answer, answer["error"]
    return answer["rows"]


@pytest.mark.parametrize("name", CASES)
def test_rows_are_axolotls_or_differ_for_a_reason_that_is_checked(name, comparison):
    case = CASES[name]
    rows, answers = rows_of(case, comparison.testdata), answered(comparison, name)
    assert len(rows) == len(answers) >= GENERATED
    counts = Counter(comparison.verdicts(case, rows, answers))
    print(f"{name}: {len(rows)} rows, {dict(counts)}")
    comparison.summary[name] = {
        "order": list(CASES).index(name),
        "type": case.axolotl_type,
        "about": name.split(" / ")[1:],
        "rows": len(rows),
        "verdicts": dict(counts),
        "joined": None,
    }
    if not writing():
        assert stored("summary")[name]["verdicts"] == dict(counts), "run with WORKBENCH_WRITE_DOCS=1 to accept this"


@pytest.mark.parametrize("name", APART)
def test_joined_text_is_the_same_text(name, comparison):
    """By default the text is tokenized at once; it is the text axolotl tokenizes in parts, as the case above shows."""
    case = CASES[name]
    rows = rows_of(case, comparison.testdata)
    separate, joined = comparison.made(case, rows), comparison.made(case, rows, pieces=None)
    assert separate.usable == joined.usable
    equal = 0
    for row, (one, other) in enumerate(zip(made_of(separate), made_of(joined), strict=True)):
        texts = [[str.__str__(part.rendered.text) for part in enc.tokenized(row)[0]] for enc in (separate, joined)]
        assert texts[0] == texts[1]
        equal += (one.ids, one.labels) == (other.ids, other.labels)
    print(f"{name}: {equal} of {len(rows)} rows have the same tokens and labels when the text is tokenized at once")
    if name in comparison.summary:
        comparison.summary[name]["joined"] = equal
    if not writing():
        assert stored("summary")[name]["joined"] == equal


def test_rows_with_a_sentinel_are_equal_without_it(comparison):
    """The reason `sentinel` is the reason: other words in the same rows, and axolotl's labels are ours."""
    jobs, cases = [], []
    for case in CASES.values():
        if case.axolotl_type == "chat_template" and case.shape != "parts":
            rows = [row for row in rows_of(case, comparison.testdata) if _sentinel(row)]
            if rows:
                cases.append((case, [_neutral(row) for row in rows]))
                jobs.append({**job(case, comparison.testdata, comparison.root), "rows": cases[-1][1]})
    _, answers = ask(jobs, comparison.root / "second")
    checked = 0
    for case, rows in cases:
        found = comparison.verdicts(case, rows, answers[case.name]["rows"])
        assert not any("sentinel" in reason for reason in found)
        checked += len(rows)
    print(f"{checked} rows in {len(cases)} cases")
    assert checked >= 100


def _sentinel(row):
    messages = row.get("messages") or row.get("conversations")
    return any(str(message.get("content", message.get("value"))).strip() in SENTINELS for message in messages)


def _neutral(row):
    text = json.dumps(row)
    for sentinel, plain in NEUTRAL.items():
        text = text.replace(sentinel, plain)
    return json.loads(text)


def test_every_function_of_axolotls_is_compared_or_listed(comparison):
    reached = {name for name in map(function_of, CASES.values()) if name}
    assert reached | set(NOT_COMPARED) == set(comparison.said["functions"])
    assert not reached & set(NOT_COMPARED)


@pytest.mark.parametrize("name", REFUSED)
def test_what_axolotl_refuses(name, comparison):
    answer = comparison.answers[f"refused {name}"]
    errors = [answer["error"]] if "error" in answer else [row["error"] for row in answer["rows"]]
    print(name, errors)
    assert errors
    comparison.summary.setdefault("refused", {})[name] = errors[0]


@pytest.mark.parametrize("reason", EXAMPLES)
def test_the_documented_example_differs_for_its_reason(reason, comparison):
    name, row = EXAMPLES[reason]
    case = CASES[name]
    (answer,) = answered(comparison, f"example {reason}")
    entry = example_entry(reason, case, row, answer, comparison)
    comparison.summary.setdefault("examples", {})[reason] = entry
    if not writing():
        assert stored("differences")[reason] == entry


def test_the_golden_answers_are_axolotls(comparison):
    found = {}
    for name, case in GOLDEN.items():
        answer = comparison.answers[f"golden {name}"]
        assert "error" not in answer, (name, answer)
        rows = rows_of(case, comparison.testdata)[-ROWS:]
        found[name] = {
            "rows": [slim(row) for row in answer["rows"]],
            "verdicts": comparison.verdicts(case, rows, answer["rows"]),
        }
    comparison.summary["golden"] = found
    if not writing():
        assert stored("masks") == found


def test_what_was_found_is_stored(comparison):
    """With WORKBENCH_WRITE_DOCS=1; otherwise the tests above compared with what is stored."""
    found = comparison.summary
    if writing():
        store("masks", found.pop("golden"))
        store("differences", found.pop("examples"))
        store("refused", found.pop("refused"))
        store("summary", found)
        write_page(parts_of_page())
    else:
        assert stored("refused") == found["refused"]
        assert {name for name in found if name in CASES} <= set(stored("summary"))
