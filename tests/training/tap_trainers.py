"""TRL's trainers, small: the embedded model, a few rows, one or two steps."""

from __future__ import annotations

import hashlib
from typing import Any

from workbench import tiny_llama

MODEL = str(tiny_llama.model_path())
ASKED = [[{"role": "user", "content": f"Where does Kipwick live, {i}?"}] for i in range(8)]
GOOD = [[{"role": "assistant", "content": f"In house {i} é."}] for i in range(8)]
BAD = [[{"role": "assistant", "content": f"In house {i + 1}, I think, or not."}] for i in range(8)]


def tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(MODEL)


def arguments(folder: Any, **more: Any) -> dict[str, Any]:
    base = {
        "output_dir": str(folder), "use_cpu": True, "bf16": False, "report_to": "none", "logging_steps": 1,
        "disable_tqdm": True, "save_strategy": "no", "max_steps": 2, "per_device_train_batch_size": 2, "seed": 3,
        "learning_rate": 1e-3,
    }  # fmt: skip
    return base | more


def dataset(rows: list[dict[str, Any]]) -> Any:
    from datasets import Dataset

    return Dataset.from_list(rows)


def pairs() -> list[dict[str, Any]]:
    sides = zip(ASKED, GOOD, BAD, strict=True)
    return [{"prompt": asked, "chosen": good, "rejected": bad} for asked, good, bad in sides]


def dpo(folder: Any, **more: Any) -> Any:
    """With LoRA and dropout: a number drawn for a preview would change the losses."""
    from peft import LoraConfig
    from trl import DPOConfig, DPOTrainer

    lora = LoraConfig(r=4, lora_dropout=0.2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    return DPOTrainer(
        model=MODEL, args=DPOConfig(**arguments(folder, **more)), train_dataset=dataset(pairs()),
        processing_class=tokenizer(), peft_config=lora,
    )  # fmt: skip


def kto(folder: Any, **more: Any) -> Any:
    from trl import KTOConfig, KTOTrainer

    rows = [
        {"prompt": asked, "completion": BAD[i] if i % 2 else GOOD[i], "label": i % 2 == 0}
        for i, asked in enumerate(ASKED)
    ]
    return KTOTrainer(
        model=MODEL, args=KTOConfig(**arguments(folder, **more)), train_dataset=dataset(rows),
        processing_class=tokenizer(),
    )  # fmt: skip


def reward(folder: Any, *, pad: str | None = None, **more: Any) -> Any:
    import torch
    from transformers import AutoModelForSequenceClassification
    from trl import RewardConfig, RewardTrainer

    torch.manual_seed(0)
    made = tokenizer()
    made.pad_token = pad or made.pad_token
    model = AutoModelForSequenceClassification.from_pretrained(MODEL, num_labels=1, pad_token_id=made.pad_token_id)
    rows = [{"chosen": row["prompt"] + row["chosen"], "rejected": row["prompt"] + row["rejected"], "margin": 0.5}
            for row in pairs()]  # fmt: skip
    if pad:  # text that ends with the token that is padding too
        rows = [{"chosen": f"yes {i}{pad}", "rejected": f"no, not {i}{pad}"} for i in range(8)]
    args = RewardConfig(**arguments(folder, max_steps=1, **more))
    return RewardTrainer(model=model, args=args, train_dataset=dataset(rows), processing_class=made)


def said(completion: Any) -> str:
    return completion if isinstance(completion, str) else "".join(message["content"] for message in completion)


def length_reward(completions: list[Any], **_: Any) -> list[float]:
    return [len(said(item)) / 10 for item in completions]


def vowel_reward(completions: list[Any], **_: Any) -> list[float | None]:
    """Every other completion is not judged."""
    return [sum(char in "aeiou" for char in said(item)) / 4 if i % 2 else None for i, item in enumerate(completions)]


def online(kind: str, folder: Any, rewards: Any = (length_reward, vowel_reward), **more: Any) -> Any:
    """A GRPO or RLOO trainer: two prompts by four completions a step, two micro batches."""
    import trl

    settings = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2, "num_generations": 4,
                "max_completion_length": 8}  # fmt: skip
    args = getattr(trl, f"{kind}Config")(**arguments(folder, **{**settings, **more}))
    return getattr(trl, f"{kind}Trainer")(
        model=MODEL, args=args, reward_funcs=list(rewards), processing_class=tokenizer(),
        train_dataset=dataset([{"prompt": asked} for asked in ASKED]),
    )  # fmt: skip


def curve(trainer: Any) -> list[tuple[float, float]]:
    """Loss and grad_norm of every step, to the last bit."""
    return [(item["loss"], item["grad_norm"]) for item in trainer.state.log_history if "loss" in item]


def weights(trainer: Any) -> str:
    """Digest of what was trained."""
    made = hashlib.sha256()
    for _, value in sorted(trainer.model.named_parameters()):
        made.update(value.detach().cpu().numpy().tobytes())
    return made.hexdigest()
