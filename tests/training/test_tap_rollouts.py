"""Rollouts of live GRPO and RLOO trainers against TRL's own numbers and the reward functions' own answers."""

import statistics

import pytest
import tap_trainers as trainers

import workbench as wb
from workbench.types import Reason
from workbench.views import ROLLOUTS_MIME

pytestmark = [pytest.mark.training, pytest.mark.filterwarnings("ignore")]


class Logged:
    """What TRL's reward functions were asked, in the order of generation."""

    def __init__(self):
        self.calls = []

    def __call__(self, prompts, completions, completion_ids, **_):
        self.calls.append(
            (prompts, [trainers.said(item) for item in completions], [list(ids) for ids in completion_ids])
        )
        return trainers.length_reward(completions)

    __name__ = "length_reward"


@pytest.fixture(scope="module")
def grpo(tmp_path_factory):
    """A GRPO run of two steps, looked at before and while it trained."""
    asked = Logged()
    trainer = trainers.online("GRPO", tmp_path_factory.mktemp("grpo"), (asked, trainers.vowel_reward))
    with wb.tap(trainer) as tap:
        before = tap.preview(1)[0]
        trainer.train()
    return trainer, tap, before, asked


def test_looking_leaves_losses_and_weights_of_a_grpo_run_bit_identical(grpo, tmp_path):
    plain = trainers.online("GRPO", tmp_path)
    plain.train()
    assert trainers.curve(grpo[0]) == trainers.curve(plain) and len(trainers.curve(plain)) == 2
    assert trainers.weights(grpo[0]) == trainers.weights(plain)


def test_completions_stand_under_their_prompt_in_the_order_of_generation(grpo):
    trainer, tap, _, asked = grpo
    assert len(tap.batches) == len(asked.calls) == 2
    for batch, (prompts, texts, ids) in zip(tap.batches, asked.calls, strict=True):
        assert len(batch.groups) == 2
        for number, group in enumerate(batch.groups):
            for place, item in enumerate(group.completions):
                at = number * 4 + place
                assert item.index == place and item.view["tokens"]["id"] == ids[at]
                assert item.rewards[0] == pytest.approx(len(texts[at]) / 10)
            text = trainer.processing_class.decode(group.prompt["tokens"]["id"])
            assert prompts[number * 4][0]["content"] in text


def test_rewards_and_advantages_are_trls(grpo):
    trainer, tap, *_ = grpo
    last = tap.batches[1]
    advantages = [item.advantage for group in last.groups for item in group.completions]
    assert advantages == pytest.approx(list(trainer._logs["advantages"]), abs=0)
    for name, place in (("length_reward", 0), ("vowel_reward", 1)):
        ours = [item.rewards[place] for group in last.groups for item in group.completions]
        theirs = [None if value != value else value for value in trainer._logs["rewards"][name]]
        assert ours == pytest.approx(theirs, abs=0)
    for group in last.groups:
        rewards = [sum(value for value in item.rewards if value is not None) for item in group.completions]
        assert [item.reward for item in group.completions] == pytest.approx(rewards)
        assert group.mean == pytest.approx(statistics.fmean(rewards)) and group.std == pytest.approx(
            statistics.stdev(rewards)
        )
        for item, value in zip(group.completions, rewards, strict=True):
            assert item.advantage == pytest.approx((value - group.mean) / (group.std + 1e-4), rel=1e-4, abs=1e-5)


def test_figures_of_the_batch_are_the_logged_ones(grpo):
    trainer, tap, *_ = grpo
    logs = [item for item in trainer.state.log_history if "loss" in item]
    for batch, log in zip(tap.batches, logs, strict=True):
        done = [item for group in batch.groups for item in group.completions]
        assert sum(item.ended == "cut" for item in done) / len(done) == log["completions/clipped_ratio"]
        assert statistics.fmean(item.reward for item in done) == pytest.approx(log["reward"])
        lengths = [len(item.view["tokens"]["id"]) for item in done]
        assert statistics.fmean(lengths) == pytest.approx(log["completions/mean_length"])


def test_every_sequence_reached_forward_in_its_step(grpo):
    _, tap, *_ = grpo
    for step, batch in enumerate(tap.batches, start=1):
        assert batch.step == step
        assert {item.steps for group in batch.groups for item in group.completions} == {(step,)}
    forwards = tap.forwards(0)
    assert len(forwards) == 2
    got = {tuple(row[seen != 0].tolist()) for item in forwards
           for row, seen in zip(item.arrays["input_ids"], item.arrays["attention_mask"], strict=True)}  # fmt: skip
    ours = {tuple(group.prompt["tokens"]["id"] + item.view["tokens"]["id"]) for group in tap.batches[0].groups
            for item in group.completions}  # fmt: skip
    assert got == ours


def test_preview_has_the_prompts_that_are_generated_for_next(grpo):
    _, tap, before, _ = grpo
    assert [group.prompt["tokens"]["id"] for group in before.groups] == [
        group.prompt["tokens"]["id"] for group in tap.batches[0].groups
    ]
    assert all(group.completions == () and group.planned == 4 for group in before.groups)
    assert "not generated yet" in repr(before)


def test_card_says_what_the_batch_says(grpo, tmp_path):
    _, tap, *_ = grpo
    bundle = tap.batches[0]._repr_mimebundle_()
    shown = bundle[ROLLOUTS_MIME]
    assert shown["group_count"] == 2 and shown["totals"]["completions"] == 8
    assert [item["name"] for item in shown["reward_functions"]] == ["length_reward", "vowel_reward"]
    answer = tap.batches[0].questions()["group"]({"position": 1})["group"]
    item = answer["completions"][0]
    assert set(item["row"]["measures"]["advantage"]) == {item["advantage"]}
    assert "Prompt 0" in bundle["text/plain"] and "<script" not in bundle["text/html"]
    page = tap.batches[0].save_html(tmp_path / "rollouts.html").read_text()
    assert "Rollouts of step 1" in page and "finetuneWorkbenchCard" in page
    named = tap.batches[0].to_dict()["groups"][0]["completions"][0]
    assert set(named["rewards"]) == {"length_reward", "vowel_reward"} and named["advantages"]


def test_equal_rewards_teach_nothing_and_cut_completions_can_be_left_out(tmp_path):
    def same(completions, **_):
        return [1.0] * len(completions)

    trainer = trainers.online("GRPO", tmp_path, (same,), max_steps=1, mask_truncated_completions=True)
    tap = wb.tap(trainer)
    trainer.train()
    (batch,) = tap.batches
    codes = [item.code for item in batch.findings]
    assert codes.count("WB153") == 2 and "all 4 rewards are 1" in batch.findings[0].message
    cut = [item for group in batch.groups for item in group.completions if item.ended == "cut"]
    assert cut and "WB154" in codes
    for item in cut:
        assert sum(item.view["tokens"]["trained"]) == 0 and set(item.view["measures"]["advantage"]) == {None}
        assert item.view["tables"]["reason"] == [Reason.LEFT_OUT] and len(item.view["tokens"]["id"]) == 8


def test_rloo_advantages_are_leave_one_out(tmp_path):
    trainer = trainers.online("RLOO", tmp_path, (trainers.length_reward,), max_steps=1, beta=0.0)
    tap = wb.tap(trainer)
    trainer.train()
    (batch,) = tap.batches
    advantages = [item.advantage for group in batch.groups for item in group.completions]
    assert advantages == pytest.approx(list(trainer._logs["advantages"]), abs=0)
    for group in batch.groups:
        total = sum(item.reward for item in group.completions)
        for item in group.completions:
            assert item.advantage == pytest.approx(item.reward - (total - item.reward) / 3, abs=1e-5)


def test_trainer_that_keeps_other_buffers_still_shows_what_forward_got(grpo):
    """The private buffers are read when they are there; without them there are no rollouts, and no error."""
    from workbench.training.trainer_watch import TrainerWatch

    trainer = grpo[0]
    watch = TrainerWatch(trainer, 4)
    kept = trainer.__dict__.pop("_buffered_inputs")
    try:
        assert watch._new_rollouts() is None
    finally:
        trainer._buffered_inputs = kept
        watch.close()
