import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz_scale import examples
from workbench.training.durable_io import EventWriter, Lock
from workbench.training.events import EventReader, newest, tail


@pytest.fixture
def log(run_dir):
    with Lock(run_dir / "run.lock") as lock:
        assert lock.take()
        yield EventWriter(run_dir, lock)


def test_a_reader_goes_on_where_it_was(run_dir, log):
    reader = EventReader(run_dir)
    assert reader.new() == []
    log.emit("a")
    assert [event["kind"] for event in reader.new()] == ["a"]
    log.emit("b")
    log.emit("c")
    later = EventReader(run_dir, reader.offset)
    assert [event["kind"] for event in reader.new()] == ["b", "c"] == [event["kind"] for event in later.new()]
    assert reader.new() == []


def test_an_unfinished_line_is_left_for_later(run_dir, log):
    log.emit("a")
    path = run_dir / "events.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    reader = EventReader(run_dir)
    assert reader.new() == [] and reader.offset == 0
    path.write_bytes(whole)
    assert [event["kind"] for event in reader.new()] == ["a"]


@settings(max_examples=examples(30), deadline=None)
@given(sizes=st.lists(st.integers(0, 300), min_size=1, max_size=20), limit=st.integers(1, 400))
def test_any_chunk_size_gives_the_same_events(tmp_path_factory, sizes, limit):
    folder = tmp_path_factory.mktemp("run")
    with Lock(folder / "run.lock") as lock:
        lock.take()
        log = EventWriter(folder, lock)
        for size in sizes:
            log.emit("x", text="y" * size)
    reader = EventReader(folder)
    got = []
    while events := reader.new(limit):
        got += events
    assert [len(event["text"]) for event in got] == sizes
    assert reader.offset == (folder / "events.jsonl").stat().st_size


def test_two_readers_see_the_same_events(run_dir, log):
    first, second = EventReader(run_dir), EventReader(run_dir)
    seen = []
    for i in range(50):
        log.emit("x", i=i)
        seen += first.new()
    assert seen == second.new()
    assert [event["seq"] for event in seen] == list(range(50))


def test_the_newest_of_a_kind_is_found_from_the_end(run_dir, log, monkeypatch):
    monkeypatch.setattr("workbench.training.events.CHUNK_BYTES", 300)
    log.emit("state", state="queued")
    log.emit("state", state="running", max_steps=9)
    for i in range(100):
        log.emit("step", step=i, text='"kind":"state"' * (i % 3))
    assert newest(run_dir, "state")["state"] == "running"
    assert newest(run_dir, "step")["step"] == 99
    assert newest(run_dir, "state", "max_steps")["max_steps"] == 9
    assert newest(run_dir, "sample") is None
    assert newest(run_dir / "nowhere", "state") is None


def test_the_newest_good_event_is_found_behind_a_bad_line(run_dir, log):
    log.emit("state", state="running")
    log.emit("state", state="completed")
    path = run_dir / "events.jsonl"
    path.write_bytes(path.read_bytes().replace(b"completed", b"complexed"))
    assert newest(run_dir, "state")["state"] == "running"


def test_the_tail_is_whole_events(run_dir, log):
    for i in range(100):
        log.emit("step", step=i)
    events = tail(run_dir, 1000)
    assert events[-1]["step"] == 99
    assert 2 < len(events) < 20
    assert [event["step"] for event in events] == list(range(100 - len(events), 100))
