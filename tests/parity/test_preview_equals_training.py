"""What the preview shows is what the trainer's dataloader gives and what `forward()` receives, bit for bit."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from workbench.recipes import Recipe
from workbench.tokens.diff import digest, first_difference
from workbench.tokens.pack import Plan, TrainRow, batches, epoch_order, pack
from workbench.types import IGNORE, Batch, Difference

pytestmark = pytest.mark.training

SEED, EPOCHS = 11, 2
VOCABULARY, PAD = 300, 0


class Seen(NamedTuple):
    """Micro batches, in order: of the trainer's dataloader before training, and those `forward()` received."""

    loader: list[dict[str, list[list[int]]]]
    forward: list[dict[str, list[list[int]]]]


def rows(count: int, low: int, high: int) -> list[TrainRow]:
    """Rows of random ids whose first third is masked; lengths as in real data: no two batches are alike."""
    dice = random.Random(3)
    made: list[TrainRow] = []
    for row in range(count):
        ids = [dice.randrange(1, VOCABULARY) for _ in range(dice.randint(low, high))]
        third = len(ids) // 3
        made.append(TrainRow(ids, [IGNORE] * third + ids[third:], ((row, len(ids)),)))
    return made


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory) -> Path:
    """A random Llama of 2 layers with a word-level tokenizer."""
    import torch
    from tokenizers import Tokenizer, models
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("model")
    words = {f"w{i}": i for i in range(VOCABULARY)}
    core = Tokenizer(models.WordLevel(words, unk_token="w1"))
    PreTrainedTokenizerFast(tokenizer_object=core, pad_token="w0", eos_token="w2").save_pretrained(folder)
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, pad_token_id=0, eos_token_id=2, bos_token_id=None,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def job_in(folder: Path, model: Path, data: Sequence[TrainRow], recipe: Recipe) -> dict[str, Any]:
    """A run directory's rows and the job that trains on them (docs/wire.md, 1)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {
        "input_ids": pa.array([list(row.input_ids) for row in data], pa.list_(pa.int32())),
        "labels": pa.array([list(row.labels) for row in data], pa.list_(pa.int32())),
    }
    if recipe.packing == "bfd":
        lengths = [[length for _, length in row.documents] for row in data]
        columns["seq_lengths"] = pa.array(lengths, pa.list_(pa.int64()))
    pq.write_table(pa.table(columns), folder / "rows.parquet")
    return {
        "recipe": recipe.to_dict(),
        "dataset": "rows.parquet",
        "packed": recipe.packing == "bfd",
        "model": str(model),
        "tokenizer": str(model),
        "chat_template": None,
        "threads": 1,
    }


def _arrays(batch: dict[str, Any]) -> dict[str, list[list[int]]]:
    keys = ("input_ids", "labels", "attention_mask", "position_ids")
    return {key: batch[key].tolist() for key in keys if batch.get(key) is not None}


def train(folder: Path, model: Path, data: Sequence[TrainRow], recipe: Recipe) -> Seen:
    """Look through the trainer's own dataloader with the random state put back, then train and record."""
    import torch
    from transformers import TrainerCallback

    from workbench.training.trainer_setup import build_trainer

    trainer = build_trainer(job_in(folder, model, data, recipe), folder, TrainerCallback())
    state = torch.get_rng_state()
    loader: list[dict[str, list[list[int]]]] = []
    view = trainer.get_train_dataloader()
    for epoch in range(EPOCHS):
        view.set_epoch(epoch)
        loader.extend(_arrays(batch) for batch in view)
    torch.set_rng_state(state)
    forward: list[dict[str, list[list[int]]]] = []

    def note(module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        if module.training and torch.is_grad_enabled():
            forward.append(_arrays(kwargs))

    trainer.model.register_forward_pre_hook(note, with_kwargs=True, prepend=True)
    trainer.train()
    return Seen(loader, forward)


def preview(data: Sequence[TrainRow], recipe: Recipe) -> list[Batch]:
    plan = Plan(recipe.per_device_train_batch_size, recipe.seed, recipe.packing == "bfd", PAD)
    return [batch for epoch in range(EPOCHS) for batch in batches(data, plan, epoch)]


def differences(ours: Sequence[Batch], theirs: Sequence[dict[str, Any]]) -> list[Difference]:
    return [found for one, other in zip(ours, theirs, strict=True) if (found := first_difference(one.arrays, other))]


@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("adapter", ["none", "lora"])
@pytest.mark.parametrize("packing", ["none", "bfd"])
def test_preview_dataloader_and_forward_agree_bit_for_bit(packing, adapter, accumulation, model_folder, tmp_path):
    recipe = Recipe(
        adapter=adapter, r=2, lora_alpha=4, lora_dropout=0.1, packing=packing, epochs=EPOCHS, seed=SEED,
        per_device_train_batch_size=4, gradient_accumulation_steps=accumulation, max_length=64,
    )  # fmt: skip
    data = rows(27, 5, 40) if packing == "none" else pack(rows(80, 5, 40), 64)
    made = preview(data, recipe)
    assert len(data) % recipe.per_device_train_batch_size, "the last batch of an epoch is a partial one"
    seen = train(tmp_path, model_folder, data, recipe)
    assert differences(made, seen.loader) == []
    assert differences(made, seen.forward) == []
    assert len(seen.forward) == EPOCHS * -(-len(data) // 4)
    assert [digest(batch.arrays) for batch in made] == [digest(batch) for batch in seen.forward]
    keys = {"input_ids", "labels", "position_ids" if packing == "bfd" else "attention_mask"}
    assert all(set(batch.arrays) == keys for batch in made)
    half = len(made) // EPOCHS
    assert [batch.arrays for batch in made[:half]] != [batch.arrays for batch in made[half:]], "epochs differ in order"


def test_one_flipped_label_is_reported_where_it_is(model_folder, tmp_path):
    """The comparison would be worth nothing if it could not fail."""
    recipe = Recipe(adapter="none", epochs=EPOCHS, seed=SEED, per_device_train_batch_size=4)
    data = rows(9, 5, 12)
    seen = train(tmp_path, model_folder, data, recipe)
    broken = list(data)
    broken[5] = data[5]._replace(labels=[*data[5].labels[:-1], IGNORE])
    found = differences(preview(broken, recipe), seen.forward)
    order = epoch_order(len(data), SEED, 0)
    assert [difference.key for difference in found] == ["labels"] * EPOCHS
    assert found[0] == Difference(
        "labels",
        (order.index(5) % 4, len(data[5].labels) - 1),
        IGNORE,
        data[5].labels[-1],
        f"{len(seen.forward[order.index(5) // 4]['labels'][0])} tokens against "
        f"{len(seen.forward[order.index(5) // 4]['labels'][0])}",
    )


def test_a_last_partial_batch_that_is_left_out_is_noticed(model_folder, tmp_path):
    recipe = Recipe(adapter="none", epochs=EPOCHS, seed=SEED, per_device_train_batch_size=4)
    data = rows(9, 5, 12)
    seen = train(tmp_path, model_folder, data, recipe)
    assert [len(batch["input_ids"]) for batch in seen.forward] == [4, 4, 1] * EPOCHS
    assert differences(preview(data, recipe), seen.forward) == []
    shortened = [batch for batch in preview(data, recipe) if len(batch.arrays["input_ids"]) == 4]
    with pytest.raises(ValueError, match="zip"):
        differences(shortened, seen.forward)


@pytest.mark.parametrize("change", ["seed", "batch size"])
def test_another_seed_or_batch_size_gives_other_batches(change):
    recipe = Recipe(epochs=EPOCHS, seed=SEED, per_device_train_batch_size=4)
    other = recipe.with_(seed=SEED + 1) if change == "seed" else recipe.with_(per_device_train_batch_size=5)
    data = rows(20, 5, 12)
    assert [b.arrays for b in preview(data, recipe)] != [b.arrays for b in preview(data, other)]


def test_a_packed_batch_has_the_loss_of_its_documents_alone(model_folder):
    """No document sees another: the sum of the losses is the same, packed or one by one (training.md, 4)."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32).eval()
    data = rows(12, 5, 20)
    (batch,) = batches(pack(data, 64), Plan(99, SEED, True, PAD))
    tensors = {key: torch.tensor(value) for key, value in batch.arrays.items()}
    packed_loss = _summed_loss(model, tensors["input_ids"], tensors["labels"], tensors["position_ids"])
    alone = sum(_summed_loss(model, torch.tensor([row.input_ids]), torch.tensor([row.labels]), None) for row in data)
    assert packed_loss == pytest.approx(alone, rel=1e-5)
    running_on = torch.arange(tensors["input_ids"].shape[1])[None]
    leaking = _summed_loss(model, tensors["input_ids"], tensors["labels"], running_on)
    assert abs(leaking - alone) > 0.05, "with positions that run on, documents see each other"


def _summed_loss(model: Any, input_ids: Any, labels: Any, position_ids: Any) -> float:
    import torch

    with torch.no_grad():
        logits = model(input_ids=input_ids, position_ids=position_ids, use_cache=False).logits
    flat = torch.nn.functional.cross_entropy(logits[0, :-1], labels[0, 1:], ignore_index=IGNORE, reduction="sum")
    return float(flat)
