"""Scores of tokens against the model's own loss, with and without an adapter."""

from __future__ import annotations

import json
import math

import pytest

import workbench as wb
from tests.views.wire_reader import plain
from workbench.errors import DataError, ModelError
from workbench.tiny_llama import model_path, rows_path
from workbench.views import TOKENS_MIME


@pytest.fixture(scope="module")
def enc():
    return wb.data(str(rows_path("dev"))).encode(tokenizer="tiny-llama")


@pytest.fixture(scope="module")
def model():
    torch = pytest.importorskip("torch")
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(model_path(), dtype=torch.float32)


@pytest.fixture(scope="module")
def adapted(model):
    torch = pytest.importorskip("torch")
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(model_path(), dtype=torch.float32)
    torch.manual_seed(0)
    made = get_peft_model(base, LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False))
    return made.eval()


def own_loss(model, row) -> float:
    import torch

    model.eval()
    ids, labels = torch.tensor([row.input_ids]), torch.tensor([row.labels])
    with torch.no_grad():
        return float(model(input_ids=ids, labels=labels).loss)


def test_mean_over_trained_tokens_is_the_models_own_loss(enc, model):
    scored = enc.score(model, rows=range(8))
    for i in range(8):
        assert scored[i].scores.mean == pytest.approx(own_loss(model, enc[i]), rel=1e-5)


def test_each_loss_is_the_log_softmax_of_the_live_logits(enc, model):
    import torch

    row = enc[2]
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([row.input_ids])).logits[0].double().log_softmax(-1)
    scores = row.score(model).scores
    assert scores.loss[0] is None and scores.probability[0] is None
    for i, token in enumerate(row.input_ids[1:], start=1):
        assert scores.loss[i] == pytest.approx(-float(logits[i - 1, token]), abs=1e-4)
        assert scores.probability[i] == pytest.approx(math.exp(float(logits[i - 1, token])), abs=1e-4)


def test_an_adapter_is_compared_with_the_model_without_it(enc, model, adapted):
    row = enc[1].score(adapted)
    assert row.scores.mean == pytest.approx(own_loss(adapted, enc[1]), rel=1e-5)
    plain = enc[1].score(model).scores
    for delta, ours, base in zip(row.scores.base_delta[1:], row.scores.loss[1:], plain.loss[1:], strict=True):
        assert delta == pytest.approx(base - ours, abs=1e-4)
    assert max(abs(delta) for delta in row.scores.base_delta[1:]) > 0.01


def test_two_models_are_compared(enc, model, adapted):
    both = enc[1].score(adapted, base=model).scores
    alone = enc[1].score(adapted).scores
    assert both.base_delta[1:] == pytest.approx(alone.base_delta[1:], abs=1e-4)
    assert enc[1].score(model).scores.base_delta is None


def test_looking_leaves_mode_and_random_state_alone(enc, adapted):
    import torch

    adapted.train()
    before = torch.get_rng_state()
    enc[0].score(adapted)
    assert adapted.training and torch.equal(before, torch.get_rng_state())
    adapted.eval()


def test_a_name_loads_the_model_and_the_code_says_so(enc, model):
    scored = enc.score("tiny-llama", rows=range(2), base="tiny-llama")
    assert scored[0].scores.mean == pytest.approx(own_loss(model, enc[0]), rel=1e-5)
    assert scored.code().endswith(".score('tiny-llama', rows=range(0, 2), base='tiny-llama')")
    assert max(abs(delta) for delta in scored[1].scores.base_delta[1:]) == 0
    assert enc.scores == {}


def test_the_viewer_gets_the_measures_and_only_of_scored_rows(enc, model):
    scored = enc.score(model, rows=[1])
    payload = scored.look(row=1, colour_by="loss")._repr_mimebundle_()[TOKENS_MIME]
    json.dumps(payload)
    measured = next(row["measures"] for row in plain(payload)["rows"] if row["row"] == 1)
    assert set(measured) == {"loss", "probability"}
    losses = [float(item) if item else None for item in measured["loss"].split(",")]
    assert len(losses) == len(enc[1].input_ids)
    assert losses[0] is None and losses[1] == pytest.approx(scored[1].scores.loss[1], rel=1e-3)
    assert "measures" not in scored.row_at(0)
    assert payload["colour_by"] == "loss"


def test_worst_is_the_row_with_the_highest_loss_where_nothing_is_wrong(enc, model):
    scored = enc.score(model, rows=range(10))
    losses = {i: own_loss(model, enc[i]) for i in range(10)}
    assert scored.look(worst=True).row == max(losses, key=losses.__getitem__)


def test_what_cannot_be_scored_says_why(enc, tmp_path):
    with pytest.raises(ModelError, match="WB693"):
        enc[0].score(str(tmp_path / "nothing"))
    with pytest.raises(ModelError, match="WB698"):
        enc[0].score(3)
    with pytest.raises(DataError, match="WB558"):
        enc.score("tiny-llama", rows=[10**6])


def test_another_vocabulary_is_refused(enc):
    from transformers import LlamaConfig, LlamaForCausalLM

    small = LlamaForCausalLM(
        LlamaConfig(vocab_size=16, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
    )
    with pytest.raises(ModelError, match="WB697"):
        enc[0].score(small)
