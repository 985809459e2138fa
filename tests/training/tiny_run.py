"""A model, rows and jobs small enough to really train in a test: vocab 261, hidden 32, 2 layers."""

from __future__ import annotations

import json
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHAT_TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIALS = ["<|pad|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"]


def build_model(folder: Path) -> Path:
    """A random Llama of 35 k parameters with a byte-level tokenizer that has a chat template, made without torch."""
    import numpy as np
    from safetensors.numpy import save_file
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {token: i for i, token in enumerate([*SPECIALS, *alphabet])}
    core = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens(SPECIALS)
    core.save(str(folder / "tokenizer.json"))
    names = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<|pad|>", "eos_token": "<|end|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps({**names, "chat_template": CHAT_TEMPLATE}))
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": len(vocab), "hidden_size": 32,
        "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 2048, "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": None,
        "tie_word_embeddings": False, "dtype": "float32",
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    shapes = {"model.embed_tokens": (len(vocab), 32), "lm_head": (len(vocab), 32), "model.norm": (32,)}
    for layer in range(2):
        at = f"model.layers.{layer}"
        shapes |= {f"{at}.self_attn.{name}_proj": (rows, 32) for name, rows in dict(q=32, k=16, v=16, o=32).items()}
        shapes |= {f"{at}.mlp.{name}_proj": (64, 32) for name in ("gate", "up")}
        shapes |= {f"{at}.mlp.down_proj": (32, 64), f"{at}.input_layernorm": (32,)}
        shapes |= {f"{at}.post_attention_layernorm": (32,)}
    random = np.random.default_rng(7)
    weights = {
        f"{name}.weight": np.ones(shape, "float32")
        if len(shape) == 1
        else random.normal(0, 0.05, shape).astype("float32")
        for name, shape in shapes.items()
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def build_rows(count: int = 48):
    """Unpacked rows: lengths 12 to 40, the first third of each masked."""
    import pyarrow as pa

    ids, labels = [], []
    for row in range(count):
        length = 12 + (row * 7) % 29
        tokens = [5 + (row * 31 + i * 17) % 256 for i in range(length)]
        ids.append(tokens)
        labels.append([-100] * (length // 3) + tokens[length // 3 :])
    return pa.table(
        {
            "input_ids": pa.array(ids, pa.list_(pa.int32())),
            "labels": pa.array(labels, pa.list_(pa.int32())),
            "row": pa.array(range(count), pa.int64()),
        }
    )


def build_packed_rows(count: int = 24):
    """Packed rows of two or three documents each."""
    import pyarrow as pa

    flat = build_rows(count * 3).to_pylist()
    ids, labels, lengths, documents = [], [], [], []
    for row in range(count):
        parts = flat[row * 3 : row * 3 + 2 + row % 2]
        ids.append([token for part in parts for token in part["input_ids"]])
        labels.append([label for part in parts for label in part["labels"]])
        lengths.append([len(part["input_ids"]) for part in parts])
        documents.append([part["row"] for part in parts])
    return pa.table(
        {
            "input_ids": pa.array(ids, pa.list_(pa.int32())),
            "labels": pa.array(labels, pa.list_(pa.int32())),
            "seq_lengths": pa.array(lengths, pa.list_(pa.int64())),
            "documents": pa.array(documents, pa.list_(pa.int64())),
        }
    )


def make_job(model: Path, *, recipe: dict | None = None, **members) -> dict:
    """A job of a few steps on one thread."""
    settings = {
        "model": str(model), "adapter": "lora", "r": 4, "lora_alpha": 8, "max_steps": 6, "epochs": 100,
        "per_device_train_batch_size": 2, "learning_rate": 1e-3, **(recipe or {}),
    }  # fmt: skip
    return {"recipe": settings, "threads": 1, "samples": {}, **members}


def wait_until(condition, timeout: float = 60.0):
    """The first true value of a condition."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {timeout} s: {condition}")


def all_events(run) -> list[dict]:
    """Every event of a run."""
    from workbench.training.events import EventReader

    reader = EventReader(run.dir)
    events = list(reader.all())
    assert reader.bad_count == 0
    return events


def kinds(run, kind: str) -> list[dict]:
    """Events of one kind."""
    return [event for event in all_events(run) if event["kind"] == kind]
