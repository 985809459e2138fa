import json
import os
import resource
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_run import ROOT

from tests.fuzz_scale import examples
from workbench.errors import RunError
from workbench.training.durable_io import EventWriter, Lock, decode_event, encode_event, held, publish, publish_with
from workbench.training.events import EventReader

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@pytest.fixture
def writer(run_dir):
    lock = Lock(run_dir / "run.lock")
    assert lock.take()
    yield lambda: EventWriter(run_dir, lock)
    lock.release()


@settings(max_examples=examples(100), deadline=None)
@given(st.dictionaries(st.text(), JSON))
def test_every_event_is_one_line_and_comes_back_as_it_was(members):
    line = encode_event({"seq": 0, "t": 1.5, "m": 2.5, "kind": "x", "members": members})
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    event = decode_event(line)
    expected = json.loads(json.dumps(members).encode("utf-8", "replace"))
    if all(ch < "\ud800" or ch > "\udfff" for ch in json.dumps(members, ensure_ascii=False)):
        assert event["members"] == expected


@settings(max_examples=examples(200), deadline=None)
@given(st.data())
def test_a_changed_byte_is_noticed(data):
    line = bytearray(encode_event({"seq": 7, "t": 1.0, "m": 2.0, "kind": "metric", "loss": 1.25, "text": "é→"}))
    at = data.draw(st.integers(0, len(line) - 2))
    line[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError):
        decode_event(bytes(line))


def test_only_the_holder_of_the_run_lock_may_write(run_dir):
    with pytest.raises(RunError, match="WB691"):
        EventWriter(run_dir, Lock(run_dir / "run.lock"))
    with Lock(run_dir / "sup.lock") as other:
        other.take()
        with pytest.raises(RunError, match="WB691"):
            EventWriter(run_dir, other)


def test_a_writer_that_gave_up_the_lock_writes_nothing(run_dir):
    lock = Lock(run_dir / "run.lock")
    lock.take()
    log = EventWriter(run_dir, lock)
    log.emit("x")
    lock.release()
    with pytest.raises(RunError, match="WB691"):
        log.emit("x")
    assert [event["seq"] for event in EventReader(run_dir).all()] == [0]


def test_a_torn_tail_is_moved_away_and_the_numbers_go_on(run_dir, writer):
    log = writer()
    log.emit("a")
    log.emit("b")
    with (run_dir / "events.jsonl").open("ab") as file:
        file.write(b'{"seq":2,"t":1.0,"kind":"to')
    log = writer()
    assert log.emit("c") == 2
    reader = EventReader(run_dir)
    assert [(event["seq"], event["kind"]) for event in reader.all()] == [(0, "a"), (1, "b"), (2, "c")]
    assert reader.bad_count == 0
    assert (run_dir / "events.torn").read_bytes() == b'{"seq":2,"t":1.0,"kind":"to\n'


def test_a_log_of_nothing_but_a_torn_line_starts_at_zero(run_dir, writer):
    (run_dir / "events.jsonl").write_bytes(b"x" * 200_000)
    log = writer()
    assert log.emit("a") == 0
    assert [event["kind"] for event in EventReader(run_dir).all()] == ["a"]


def test_a_bad_line_in_the_middle_keeps_its_number(run_dir, writer):
    log = writer()
    for kind in "abc":
        log.emit(kind)
    path = run_dir / "events.jsonl"
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], lines[1].replace(b'"b"', b'"B"'), lines[2].replace(b'"c"', b'"C"'), b""]))
    assert writer().emit("d") == 3
    reader = EventReader(run_dir)
    assert [event["kind"] for event in reader.all()] == ["a", "d"]
    assert reader.bad_count == 2
    assert reader.bad_lines[0].offset == len(lines[0]) + 1


def test_a_line_that_does_not_fit_on_the_disk_leaves_nothing_behind(run_dir):
    code = """
import resource, signal, sys
from pathlib import Path
from workbench.training.durable_io import EventWriter, Lock
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
run = Path(sys.argv[1]); lock = Lock(run / "run.lock"); lock.take(); log = EventWriter(run, lock)
log.emit("a")
resource.setrlimit(resource.RLIMIT_FSIZE, (200, resource.RLIM_INFINITY))
try:
    log.emit("b", text="x" * 500)
except OSError as error:
    print("refused", error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.emit("c")
"""
    assert resource.RLIMIT_FSIZE
    done = subprocess.run(
        [sys.executable, "-c", code, str(run_dir)], capture_output=True, text=True, timeout=60, cwd=ROOT
    )
    assert "refused" in done.stdout, done.stderr
    reader = EventReader(run_dir)
    assert [(event["seq"], event["kind"]) for event in reader.all()] == [(0, "a"), (1, "c")]
    assert reader.bad_count == 0


def test_a_forked_child_does_not_keep_the_lock(run_dir):
    lock = Lock(run_dir / "run.lock")
    assert lock.take()
    hold, let_go = os.pipe()
    up, tell = os.pipe()
    child = os.fork()
    if child == 0:  # lives on, like a dataloader worker, until the parent has looked
        os.close(let_go)
        os.write(tell, b"x")
        os.read(hold, 1)
        os._exit(0)
    os.read(up, 1)
    try:
        assert held(run_dir / "run.lock")
        lock.release()
        assert not held(run_dir / "run.lock")
    finally:
        for fd in (let_go, hold, up, tell):
            os.close(fd)
        os.waitpid(child, 0)


def test_only_one_holds_a_lock(run_dir):
    first, second = Lock(run_dir / "run.lock"), Lock(run_dir / "run.lock")
    assert first.take()
    assert not second.take(timeout=0.05)
    first.release()
    assert second.take(timeout=0.05)
    second.release()
    assert not held(run_dir / "run.lock")
    assert not held(run_dir / "never-made.lock")


def test_a_file_is_published_whole_or_not_at_all(tmp_path):
    path = tmp_path / "job.json"
    publish(path, b"old")

    def fail(temporary):
        temporary.write_bytes(b"half of the new")
        raise RuntimeError("killed here")

    with pytest.raises(RuntimeError):
        publish_with(path, fail)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["job.json"]
    publish(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
