"""Per-token losses against models of transformers, their own loss, and documents alone."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from workbench.errors import ModelError
from workbench.tokens import losses
from workbench.tokens.losses import token_losses
from workbench.types import IGNORE

VOCABULARY = 97


@pytest.fixture(scope="module", params=["llama", "gpt2", "gemma2", "granite"])
def model(request) -> Any:
    """Tiny random models: plain heads, learned positions, a soft cap on the logits, scaled logits."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = {
        "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0,
        "bos_token_id": None, "eos_token_id": 2,
    }  # fmt: skip
    own: dict[str, Any] = {
        "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": VOCABULARY},
        "gemma2": {**sizes, "final_logit_softcapping": 0.5, "query_pre_attn_scalar": 8},
        "granite": {**sizes, "logits_scaling": 0.05},
    }
    torch.manual_seed(1)
    config = AutoConfig.for_model(request.param, **own.get(request.param, sizes))
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()


def documents(count: int = 6) -> list[list[int]]:
    dice = random.Random(5)
    return [[dice.randrange(1, VOCABULARY) for _ in range(dice.randint(1, 14))] for _ in range(count)]


def joined(rows: list[list[int]]) -> tuple[Any, Any]:
    """input_ids and position_ids of a padding-free batch."""
    import torch

    ids = [token for row in rows for token in row]
    positions = [i for row in rows for i in range(len(row))]
    return torch.tensor([ids]), torch.tensor([positions])


def alone(model: Any, rows: list[list[int]]) -> list[float]:
    """Each document by itself, from the whole logits of the model's plain forward."""
    import torch

    out: list[float] = []
    for row in rows:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([row])).logits[0].double()
        scores = torch.log_softmax(logits, -1)
        out += [math.nan, *(-float(scores[i, token]) for i, token in enumerate(row[1:]))]
    return out


def test_a_packed_batch_gives_each_document_the_losses_it_has_alone(model):
    rows = documents()
    ids, positions = joined(rows)
    found = token_losses(model, ids, position_ids=positions)[0].tolist()
    expected = alone(model, rows)
    assert found == pytest.approx(expected, rel=1e-4, nan_ok=True)
    starts = {sum(map(len, rows[:i])) for i in range(len(rows))}
    assert {i for i, value in enumerate(found) if math.isnan(value)} == starts
    if "GPT2" not in type(model).__name__:  # its learned positions tell documents apart before any training
        leaking = token_losses(model, ids)[0].tolist()
        assert leaking != pytest.approx(expected, rel=1e-4, nan_ok=True), "the test could not fail"


def test_the_mean_over_labels_is_the_models_own_loss(model):
    import torch

    rows = documents(4)
    width = max(map(len, rows))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    labels = torch.where(mask == 1, ids, IGNORE)
    labels[:, :2] = IGNORE
    with torch.no_grad():
        own = float(model(input_ids=ids, attention_mask=mask, labels=labels).loss)
    found = token_losses(model, ids, attention_mask=mask)
    assert float(found[labels != IGNORE].mean()) == pytest.approx(own, rel=1e-5)
    assert torch.isnan(found).tolist() == (~(mask == 1) | (torch.arange(width) == 0)).tolist()


def test_left_padding_gives_the_first_token_no_loss(model):
    import torch

    row = [5, 6, 7, 8]
    found = token_losses(
        model, torch.tensor([[0, 0, *row]]), position_ids=torch.tensor([[0, 0, 0, 1, 2, 3]]),
        attention_mask=torch.tensor([[0, 0, 1, 1, 1, 1]]),
    )  # fmt: skip
    assert found[0].tolist() == pytest.approx([math.nan, math.nan, *alone(model, [row])], rel=1e-4, nan_ok=True)


def test_a_few_positions_at_a_time_give_the_same(model, monkeypatch):
    ids, positions = joined(documents())
    whole = token_losses(model, ids, position_ids=positions)
    monkeypatch.setattr(losses, "CHUNK_NUMBERS", 3 * VOCABULARY)
    pieces = token_losses(model, ids, position_ids=positions)
    assert pieces[0].tolist() == pytest.approx(whole[0].tolist(), rel=1e-6, nan_ok=True)


def test_logits_of_a_long_row_are_never_built_whole(monkeypatch):
    """A hook on the head sees at most the chunk's positions at a time."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    seen: list[int] = []
    model.lm_head.register_forward_hook(lambda _module, _args, output: seen.append(output.shape[1]))
    monkeypatch.setattr(losses, "CHUNK_NUMBERS", 64 * VOCABULARY)
    token_losses(model, torch.randint(0, VOCABULARY, (1, 1000)))
    assert max(seen) == 64 and sum(seen) == 1000 - 1 + 2


def test_random_state_gradients_and_mode_stay_as_they_were():
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        attention_dropout=0.5, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    model = LlamaForCausalLM(config).train()
    before = torch.get_rng_state()
    first = token_losses(model, torch.arange(1, 20)[None])
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training and not first.requires_grad and model.lm_head.weight.grad is None
    assert torch.equal(token_losses(model, torch.arange(1, 20)[None]).nan_to_num(), first.nan_to_num())
    torch.manual_seed(9)
    assert not torch.equal(token_losses(model, torch.arange(1, 20)[None]).nan_to_num(), first.nan_to_num())


@pytest.mark.parametrize("length", [1, 2])
def test_short_rows(model, length):
    import torch

    found = token_losses(model, torch.tensor([[4, 5][:length]]))
    assert found.shape == (1, length) and math.isnan(float(found[0, 0]))


def test_the_base_model_under_an_adapter():
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    torch.manual_seed(2)
    plain = LlamaForCausalLM(config).eval()
    rows = documents(3)
    ids, positions = joined(rows)
    expected = alone(plain, rows)
    tuned = get_peft_model(plain, LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM"))
    for name, parameter in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    tuned.eval()
    assert token_losses(tuned, ids, position_ids=positions)[0].tolist() != pytest.approx(expected, nan_ok=True)
    base = token_losses(tuned, ids, position_ids=positions, base=True)
    assert base[0].tolist() == pytest.approx(expected, rel=1e-4, nan_ok=True)
    with pytest.raises(ModelError, match="WB696"):
        token_losses(plain, ids, base=True)
