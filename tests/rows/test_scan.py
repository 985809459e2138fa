"""All rows against the type a sample chose."""

import threading
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz_scale import examples
from workbench.errors import DataError
from workbench.rows.detect import detect, mixture
from workbench.rows.files.load import open_source
from workbench.rows.formats import FORMATS
from workbench.rows.scan import CHUNK, LISTED, BackgroundScan, scan, scanning

CHAT = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
PAIR = {"chosen": CHAT["messages"], "rejected": CHAT["messages"]}
LONGER = {"chosen": CHAT["messages"] * 2, "rejected": CHAT["messages"] * 2}


def test_rows_that_the_sample_missed_are_found():
    rows = [PAIR] * 6_000
    rows[4_321], rows[77] = LONGER, {"chosen": 3, "rejected": CHAT["messages"]}
    match = detect(rows, sample=100)[0]
    assert match.counter_examples == ()
    seen = scan(rows, match)
    assert (seen.type, seen.rows, seen.done) == ("dpo", 6_000, True)
    assert (seen.misfits, seen.misfit_rows, seen.lacking) == (1, (77,), {"chosen": 1})
    assert seen.counts == {"dpo": 5_999, "unknown": 1}
    assert (seen.structures["one turn"], seen.structures["several turns"]) == (5_998, 1)
    misfit, odd = seen.findings
    assert (misfit.code, misfit.row) == ("WB515", 77)
    assert "1 of 6,000 rows do not fit `dpo`: 77." in misfit.message and "`chosen` in 1" in misfit.message
    assert (odd.code, odd.row) == ("WB514", 4_321)


def test_misfits_are_counted_beyond_those_listed():
    rows = [CHAT, {"messages": None}] * 1_500
    seen = scan(rows, detect(rows)[0])
    assert (seen.misfits, len(seen.misfit_rows)) == (1_500, LISTED)
    assert seen.misfit_rows[:3] == (1, 3, 5)
    assert "1, 3, 5" in seen.findings[0].message and "…" in seen.findings[0].message


def test_counts_run_and_end_where_they_are_stopped():
    rows = [CHAT] * (3 * CHUNK + 1)
    match = detect(rows)[0]
    assert [(s.rows, s.done) for s in scanning(rows, match)] == [
        (CHUNK, False),
        (2 * CHUNK, False),
        (3 * CHUNK, False),
        (3 * CHUNK + 1, True),
    ]
    asked = count()
    stopped = scan(rows, match, stop=lambda: next(asked) == 1)
    assert (stopped.rows, stopped.done, stopped.findings) == (2 * CHUNK, False, ())


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(st.sampled_from([*FORMATS]), min_size=1, max_size=12))
def test_counts_of_all_rows_are_those_of_the_mixture(names):
    rows = [FORMATS[name].example for name in names]
    match = detect(rows)[0]
    seen = scan(rows, match)
    assert seen.counts == mixture(rows)
    assert seen.misfits == match.total - match.rows
    assert seen.misfit_rows[:10] == match.counter_examples


def test_scan_runs_in_the_background_and_can_be_polled_and_waited_for():
    gate = threading.Event()

    class Gated(list):
        def __iter__(self):
            for number, row in enumerate(list.__iter__(self)):
                if number == CHUNK + 1:
                    gate.wait(60)
                yield row

    rows = Gated([CHAT] * (2 * CHUNK))
    background = BackgroundScan(rows, detect(rows)[0]).start()
    waited = threading.Event()
    while background.poll().rows < CHUNK:
        waited.wait(0.001)
    assert not background.poll().done
    gate.set()
    seen = background.result(60)
    assert (seen.rows, seen.done, seen.misfits) == (2 * CHUNK, True, 0)


def test_cancelled_scan_of_an_endless_stream_ends():
    def endless():
        while True:
            yield CHAT

    match = detect([CHAT])[0]
    background = BackgroundScan(endless(), match).start()
    waited = threading.Event()
    while not background.poll().rows:
        waited.wait(0.001)
    background.cancel()
    seen = background.result(60)
    assert not seen.done and seen.rows > 0
    assert not any(thread.name == "scan for messages" for thread in threading.enumerate())


def test_file_that_changed_meanwhile_is_said_when_polled(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a"}\n')
    rows = open_source(path).rows
    match = detect(rows)[0]
    path.write_text('{"text": "a"}\n{"text": "b"}\n')
    background = BackgroundScan(rows, match).start()
    with pytest.raises(DataError, match="has changed"):
        background.result(60)
