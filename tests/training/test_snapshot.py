import tracemalloc

import pytest

from workbench.training.durable_io import encode_event
from workbench.training.events import EventReader
from workbench.training.snapshot import MAX_POINTS, MAX_SAMPLES, Snapshot, prompt_text
from workbench.training.status import Status

RUNNING = Status("running", False, {"state": "running", "step": 0})


def write(run_dir, events):
    """A log of (kind, members) pairs, ten events a second."""
    with (run_dir / "events.jsonl").open("wb") as file:
        for seq, (kind, members) in enumerate(events):
            file.write(encode_event({"seq": seq, "t": 1000 + seq / 10, "m": seq / 10, "kind": kind, **members}))


def long_run(steps):
    yield "state", {"state": "running", "step": 0, "max_steps": steps}
    for step in range(1, steps + 1):
        yield "step", {"step": step, "dt": 0.1, "tokens_per_s": 10.0 * step, "eta_s": 1.0, "rss_bytes": step}
        yield "token", {"sample": "s", "text": "word " * 5}
        yield "metric", {"step": step, "loss": 1 / step, "grad_norm": 0.5, "learning_rate": 1e-4}


def snapshot_of(run_dir, job=None):
    snapshot = Snapshot(job or {})
    snapshot.feed(EventReader(run_dir))
    return snapshot


def test_a_short_curve_is_kept_whole(run_dir):
    write(run_dir, long_run(40))
    shown = snapshot_of(run_dir).to_dict(RUNNING)
    assert shown["series"] == {"step": list(range(1, 41)), "loss": [1 / step for step in range(1, 41)]}
    assert (shown["step"], shown["max_steps"], shown["loss"], shown["tokens_per_s"]) == (40, 40, 1 / 40, 400.0)
    assert shown["offset"] == (run_dir / "events.jsonl").stat().st_size
    assert shown["elapsed_s"] == pytest.approx(12.0)


@pytest.mark.parametrize("steps", [499, 500, 501, 3000, 20_000])
def test_a_long_curve_is_thinned_evenly_and_ends_at_the_newest_step(run_dir, steps):
    write(run_dir, long_run(steps))
    series = snapshot_of(run_dir).to_dict(RUNNING)["series"]
    assert series["step"][0] == 1 and series["step"][-1] == steps
    assert MAX_POINTS // 4 <= len(series["step"]) <= MAX_POINTS + 1
    assert series["loss"] == [1 / step for step in series["step"]]
    gaps = {b - a for a, b in zip(series["step"][:-2], series["step"][1:-1], strict=True)}
    assert len(gaps) == 1


def test_reading_in_pieces_gives_what_reading_at_once_gives(run_dir):
    events = list(long_run(1500))
    write(run_dir, events)
    whole = snapshot_of(run_dir).to_dict(RUNNING)
    reader, snapshot = EventReader(run_dir), Snapshot({})
    content = (run_dir / "events.jsonl").read_bytes()
    for end in range(0, len(content) + 50_000, 50_000):
        (run_dir / "events.jsonl").write_bytes(content[:end])
        snapshot.feed(reader)
    assert snapshot.to_dict(RUNNING) == whole


def test_memory_does_not_grow_with_the_log(run_dir):
    write(run_dir, long_run(60_000))  # 180 000 events, 25 MB
    snapshot = Snapshot({})
    tracemalloc.start()
    snapshot.feed(EventReader(run_dir))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20
    assert snapshot.step["step"] == 60_000


def test_a_bad_line_is_counted_and_the_rest_is_shown(run_dir):
    write(run_dir, long_run(3))
    path = run_dir / "events.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"loss":0.5', b'"loss":9.5'))
    snapshot = snapshot_of(run_dir)
    assert snapshot.bad_lines == 1
    assert snapshot.to_dict(RUNNING)["series"]["step"] == [1, 3]


def test_samples_checkpoints_and_batches_are_shown(run_dir):
    sample = {"sample": "a", "prompt": 0, "step": 0, "text": "t", "tokens": 1, "stopped": True, "cut": False}
    write(
        run_dir,
        [
            ("setup", {"device": "cpu"}),
            ("sample", {**sample, "seconds": 0.1, "base": True}),
            ("batch", {"step": 1, "micro": 0, "agrees": True, "difference": None}),
            ("batch", {"step": 2, "micro": 0, "agrees": False, "difference": {"key": "labels"}}),
            ("batch", {"step": 2, "micro": 1, "agrees": True, "difference": None}),
            ("checkpoint", {"step": 2}),
            ("warning", {"code": "WB631", "message": "loss is nan"}),
        ],
    )
    shown = snapshot_of(run_dir, {"samples": {"prompts": [[{"role": "user", "content": "hi"}]]}}).to_dict(RUNNING)
    assert shown["prompts"] == ["hi"]
    assert shown["samples"] == [{**sample, "seconds": 0.1, "base": True}]
    assert shown["batch"] == {"agrees": False, "steps": [1, 2], "difference": {"key": "labels"}}
    assert shown["checkpoints"] == [2]
    assert shown["warnings"] == [{"code": "WB631", "message": "loss is nan"}]
    assert shown["setup"] == {"device": "cpu"}


def test_of_many_samples_the_base_answers_and_the_newest_stay(run_dir):
    def answers():
        for step in range(400):
            for prompt in range(2):
                yield "sample", {"sample": f"{step}-{prompt}", "prompt": prompt, "step": step, "base": step == 0}

    write(run_dir, answers())
    kept = snapshot_of(run_dir).to_dict(RUNNING)["samples"]
    assert len(kept) == MAX_SAMPLES
    assert [sample["step"] for sample in kept[:3]] == [0, 0, 251]
    assert kept[-1]["step"] == 399


def test_the_end_of_a_run_has_a_message(run_dir):
    write(run_dir, [])
    failed = Status("failed", False, {"error": "no model", "remedy": "Check the name.", "log_tail": None})
    died = Status("died", False, {"state": "running"})
    told = Status("died", False, {"reason": "ended by SIGKILL", "log_tail": "…"})
    assert snapshot_of(run_dir).to_dict(failed)["message"] == "no model Check the name."
    assert snapshot_of(run_dir).to_dict(died)["message"] == "The training process is gone."
    shown = snapshot_of(run_dir).to_dict(told)
    assert (shown["message"], shown["log_tail"]) == ("ended by SIGKILL", "…")


def test_a_prompt_is_shown_as_the_text_of_its_last_message():
    assert prompt_text([{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]) == "u"
    assert prompt_text([{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image"}]}]) == "a "
    assert prompt_text([]) == ""
