"""Runs trained to their end, in one process: what they log, save, capture and resume."""

import itertools
import json

import pytest
from tiny_run import CHAT_TEMPLATE, all_events, build_packed_rows, build_rows, kinds, make_job

from workbench.training.checkpoint import sha256, verify

pytestmark = pytest.mark.training

PROMPTS = ["one", [{"role": "system", "content": "s"}, {"role": "user", "content": "2"}]]
SAMPLES = {"prompts": PROMPTS, "every": 2, "max_new_tokens": 9, "do_sample": True, "seed": 5}
HARD = {"lora_dropout": 0.1, "gradient_checkpointing": True, "gradient_accumulation_steps": 2, "save_steps": 4}


def curve(run):
    """Loss, grad_norm and learning rate of every step."""
    keys = ("step", "loss", "grad_norm", "learning_rate")
    return [tuple(event[key] for key in keys) for event in kinds(run, "metric") if "loss" in event]


def weights(run, folder="final"):
    """sha256 of the saved weights."""
    return {path.name: sha256(path) for path in (run.dir / "out" / folder).glob("*.safetensors")}


def test_looking_changes_nothing(train, tiny_model):
    """LoRA dropout, gradient checkpointing, accumulation: with samples and captures as without."""
    plain = train(make_job(tiny_model, recipe=HARD), build_rows())
    looked_at = train(make_job(tiny_model, recipe=HARD, samples=SAMPLES, capture=range(1, 7)), build_rows())
    assert plain.state() == looked_at.state() == "completed"
    assert len(kinds(looked_at, "sample")) == 8 and len(kinds(looked_at, "batch")) == 12
    assert curve(plain) == curve(looked_at) and len(curve(plain)) == 6
    assert len({loss for _, loss, _, _ in curve(plain)}) == 6
    assert weights(plain) == weights(looked_at) and weights(plain)


def test_looking_changes_nothing_in_full_fine_tuning_with_packing(train, tiny_model):
    recipe = {"adapter": "none", "packing": "bfd", "gradient_checkpointing": True}
    plain = train(make_job(tiny_model, recipe=recipe), build_packed_rows())
    looked_at = train(make_job(tiny_model, recipe=recipe, samples=SAMPLES, capture=[1, 2]), build_packed_rows())
    assert plain.state() == looked_at.state() == "completed"
    assert curve(plain) == curve(looked_at)
    assert weights(plain) == weights(looked_at) and weights(plain)


def test_the_log_tells_the_whole_run(train, tiny_model):
    run = train(make_job(tiny_model, samples=SAMPLES, recipe={"save_steps": 3}), build_rows())
    events = all_events(run)
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert [event["state"] for event in events if event["kind"] == "state"] == ["queued", "running", "completed"]
    assert [event["name"] for event in kinds(run, "phase")] == ["process", "imported", "trainer-built"]
    steps = kinds(run, "step")
    assert [event["step"] for event in steps] == [1, 2, 3, 4, 5, 6]
    for event in steps:
        assert 0 < event["trained_tokens"] < event["tokens"]
        assert event["tokens_per_s"] == pytest.approx(event["tokens"] / event["dt"], rel=1e-3)
        assert event["rss_bytes"] > 50 << 20 and event["gpu_bytes"] is None
    assert steps[-1]["eta_s"] == 0
    assert sum(event["tokens"] for event in steps) == [e for e in kinds(run, "metric") if "loss" in e][-1]["num_tokens"]
    (setup,) = kinds(run, "setup")
    assert (setup["device"], setup["num_processes"], setup["threads"]) == ("cpu", 1, 1)
    assert setup["precision"] == {"compute": "float32", "weights": ["float32"], "trained": ["float32"]}
    assert 0 < setup["trainable_parameters"] < setup["parameters"]


def test_the_base_model_answers_before_the_first_step_and_the_trained_one_at_the_end(train, tiny_model):
    run = train(make_job(tiny_model, samples={**SAMPLES, "every": 4}), build_rows())
    samples = kinds(run, "sample")
    assert [(s["step"], s["prompt"], s["base"]) for s in samples] == [
        (0, 0, True), (0, 1, True), (4, 0, False), (4, 1, False), (6, 0, False), (6, 1, False),
    ]  # fmt: skip
    order = [(event["kind"], event["step"]) for event in all_events(run) if event["kind"] in ("sample", "step")]
    assert order.index(("sample", 0)) < order.index(("step", 1))
    assert order.index(("step", 4)) < order.index(("sample", 4)) < order.index(("step", 5))
    assert {event["origin"] for event in kinds(run, "sample_start")} == {"schedule"}
    for sample in samples:
        pieces = [event["text"] for event in kinds(run, "token") if event["sample"] == sample["sample"]]
        assert "".join(pieces) == sample["text"]
        assert sample["stopped"] or sample["tokens"] == 9
    assert len({sample["text"] for sample in samples}) > 1


def test_the_captured_batch_is_compared_with_the_preview(train, tiny_model):
    job = make_job(tiny_model, recipe={"packing": "bfd"}, capture=[1, 2, 5])
    first = train(job, build_packed_rows())
    captured = {
        step: json.loads((first.dir / "captured" / f"step-{step:06d}.json").read_bytes())["batches"]
        for step in (1, 2, 5)
    }
    keys = ("input_ids", "labels", "position_ids")
    expected = {str(step): [{key: m[key] for key in keys} for m in micro] for step, micro in captured.items()}
    wrong = expected["2"][0]["labels"][0][7]
    expected["2"][0]["labels"][0][7] = 3 if wrong != 3 else 4
    del expected["5"]
    second = train(job, build_packed_rows(), expected)
    verdicts = {event["step"]: (event["agrees"], event["difference"]) for event in kinds(second, "batch")}
    ours = expected["2"][0]["labels"][0][7]
    assert verdicts[1] == (True, None) and verdicts[5] == (None, None)
    agrees, difference = verdicts[2]
    assert not agrees
    assert (difference["key"], difference["index"]) == ("labels", [0, 7])
    assert (difference["ours"], difference["theirs"]) == (ours, wrong)
    assert second.snapshot()["batch"]["agrees"] is False
    sums = [[event["sha256"] for event in kinds(run, "batch")] for run in (first, second)]
    assert sums[0] == sums[1]


def test_packed_rows_restart_positions_and_mask_each_first_label(train, tiny_model):
    rows = build_packed_rows()
    run = train(make_job(tiny_model, recipe={"packing": "bfd", "max_steps": 1}, capture=[1]), rows)
    (batch,) = json.loads((run.dir / "captured" / "step-000001.json").read_bytes())["batches"]
    assert "attention_mask" not in batch
    documents = {}
    for row in rows.to_pylist():
        at = 0
        for length in row["seq_lengths"]:
            documents[tuple(row["input_ids"][at : at + length])] = row["labels"][at : at + length]
            at += length
    ids, labels, positions = (batch[key][0] for key in ("input_ids", "labels", "position_ids"))
    starts = [i for i, position in enumerate(positions) if position == 0] + [len(ids)]
    assert len(starts) > 4
    for start, end in itertools.pairwise(starts):
        assert positions[start:end] == list(range(end - start))
        assert labels[start:end] == [-100, *documents[tuple(ids[start:end])][1:]]


def test_checkpoints_and_the_final_model_verify_and_carry_the_template(train, tiny_model):
    template = CHAT_TEMPLATE.replace("<|user|>", "<|user|>") + "{# changed #}"
    run = train(make_job(tiny_model, recipe={"save_steps": 2}, chat_template=template), build_rows())
    saved = kinds(run, "checkpoint")
    assert [event["step"] for event in saved] == [2, 4, 6] == run.snapshot()["checkpoints"]
    assert [verify(run.dir / event["path"]) for event in saved] == [event["sha256"] for event in saved]
    final = run.dir / "out" / "final"
    assert verify(final)
    assert run.newest_checkpoint() == run.dir / "out" / "checkpoint-6"
    (run.dir / "out" / "checkpoint-6" / "trainer_state.json").write_text("{}")
    assert run.newest_checkpoint() == run.dir / "out" / "checkpoint-4"
    assert (final / "chat_template.jinja").read_text() == template
    assert {"adapter_model.safetensors", "tokenizer.json"} <= {path.name for path in final.iterdir()}


@pytest.mark.parametrize("recipe", [HARD, {"adapter": "none", "save_steps": 4}], ids=["lora", "full"])
def test_resuming_from_a_checkpoint_gives_the_same_run(train, tiny_model, recipe):
    whole = train(make_job(tiny_model, recipe=recipe), build_rows())
    resumed = train(make_job(tiny_model, recipe=recipe, resume=str(whole.dir / "out" / "checkpoint-4")), build_rows())
    assert [step for step, *_ in curve(resumed)] == [5, 6]
    assert curve(resumed) == curve(whole)[4:]
    assert weights(resumed) == weights(whole)
    assert kinds(resumed, "sample") == []


def test_a_model_that_is_not_there_fails_with_what_to_do(train, tiny_model, tmp_path):
    job = {**make_job(tiny_model, tokenizer=str(tiny_model)), "model": "nobody/no-such-model-here"}
    run = train(job, build_rows())
    failed = run.status().event
    assert (failed["state"], failed["code"], failed["step"]) == ("failed", "WB693", 0)
    assert "nobody/no-such-model-here" in failed["error"] and "without network" in failed["remedy"]
    assert "trace" not in failed
    assert "nobody/no-such-model-here" in run.snapshot()["message"]
    (tmp_path / "empty").mkdir()
    run = train(make_job(tiny_model, tokenizer=str(tmp_path / "empty")), build_rows())
    assert (run.status().event["state"], run.status().event["code"]) == ("failed", "WB694")


def test_an_error_while_training_fails_with_its_trace(train, tiny_model):
    import pyarrow as pa

    bad = pa.table({"input_ids": [[10, 99_999, 12]] * 4, "labels": [[10, 11, 12]] * 4})
    failed = train(make_job(tiny_model), bad).status().event
    assert failed["state"] == "failed" and "index out of range" in failed["error"].lower()
    assert failed["trace"].endswith("IndexError: index out of range in self\n")


def test_a_prompt_that_cannot_be_answered_is_a_warning(train, tiny_model):
    strict = "{{ raise_exception('no system prompts') if messages[0].role == 'system' }}" + CHAT_TEMPLATE
    run = train(make_job(tiny_model, samples={**SAMPLES, "every": None}, chat_template=strict), build_rows())
    assert run.state() == "completed"
    assert [(s["prompt"], s["step"]) for s in kinds(run, "sample")] == [(0, 0), (0, 6)]
    assert [(w["code"], "no system prompts" in w["message"]) for w in kinds(run, "warning")] == [("WB632", True)] * 2


def test_a_loss_that_is_no_number_is_said_at_its_step(train, tiny_model):
    run = train(
        make_job(tiny_model, recipe={"learning_rate": 1e30, "adapter": "none", "max_grad_norm": 1e30}), build_rows()
    )
    spoilt = [event["step"] for event in kinds(run, "metric") if event.get("loss", 0) is None]
    assert spoilt and "NaN" not in (run.dir / "events.jsonl").read_text()
    assert f"step {spoilt[0]}" in next(w["message"] for w in kinds(run, "warning") if "loss is" in w["message"])
