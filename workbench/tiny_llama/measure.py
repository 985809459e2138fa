"""Fine-tune tiny-llama once with plain TRL and score it: the source of every figure in docs/tiny-llama.md.

    python -m workbench.tiny_llama.measure --adapter lora --seed 0 --split heldout

The result is one JSON object on stdout. Scoring happens outside the measured seconds. `cpu_seconds` counts all
threads: on a machine that has other work it tells what the training needed, where `train_seconds` tells how long
it waited as well.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from workbench.tiny_llama import RECIPE, chat, model_path
from workbench.tiny_llama.chat import Row, Split
from workbench.tiny_llama.score import Score, score

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerFast, TrainerCallback
    from trl import SFTConfig, SFTTrainer

_LORA_FIELDS = ("r", "lora_alpha", "lora_dropout", "target_modules")


@dataclass(frozen=True, slots=True)
class Trial:
    """What to train, from what, and what to score it on."""

    adapter: str
    seed: int
    split: Split
    base: Path
    settings: dict[str, Any]
    looks: tuple[int, ...] = ()


def encoded(rows: list[Row], tokenizer: "PreTrainedTokenizerFast") -> "Dataset":
    """Tokenise rows into `input_ids` and `labels`; the assistant's tokens are trained, the stop included."""
    from datasets import Dataset

    columns: dict[str, list[list[int]]] = {"input_ids": [], "labels": []}
    for row in rows:
        out = cast(
            "dict[str, list[int]]",
            tokenizer.apply_chat_template(
                [dict(message) for message in row["messages"]],
                return_dict=True,
                return_assistant_tokens_mask=True,
            ),
        )
        ids, mask = out["input_ids"], out["assistant_masks"]
        columns["input_ids"].append(ids)
        columns["labels"].append([token if trained else -100 for token, trained in zip(ids, mask, strict=True)])
    return Dataset.from_dict(columns)


def _config(trial: Trial, output_dir: str) -> "SFTConfig":
    from trl import SFTConfig

    return SFTConfig(
        output_dir=output_dir,
        seed=trial.seed,
        max_length=None,
        packing=False,
        gradient_checkpointing=False,
        use_cpu=True,
        bf16=False,
        logging_steps=20,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        **{name: value for name, value in trial.settings.items() if name not in _LORA_FIELDS},
    )


class Stopwatch:
    """Wall and CPU seconds (all threads) of the parts that are timed."""

    def __init__(self) -> None:
        self.wall = 0.0
        self.cpu = 0.0

    @contextmanager
    def counting(self, sign: int = 1) -> Iterator[None]:
        """Add what the block takes; with sign -1 take it off, for a block inside another."""
        wall, cpu = time.monotonic(), time.process_time()
        yield
        self.wall += sign * (time.monotonic() - wall)
        self.cpu += sign * (time.process_time() - cpu)


def _callback(steps: tuple[int, ...], look: Callable[[int], None]) -> "TrainerCallback":
    """Make a callback that looks at some of the steps; step 0 is before any training."""
    from transformers import TrainerCallback

    class Look(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if 0 in steps:
                look(0)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step in steps:
                look(state.global_step)

    return Look()


def _trainer(trial: Trial, tokenizer: "PreTrainedTokenizerFast", output_dir: str) -> "SFTTrainer":
    import torch
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM
    from trl import SFTTrainer

    lora = {name: trial.settings[name] for name in _LORA_FIELDS if name in trial.settings}
    return SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(trial.base, dtype=torch.float32),
        args=_config(trial, output_dir),
        train_dataset=encoded(chat.rows("train"), tokenizer),
        processing_class=tokenizer,
        peft_config=LoraConfig(task_type="CAUSAL_LM", **lora) if lora else None,
    )


def run(trial: Trial) -> dict[str, Any]:
    """Train once and return settings, seconds and scores."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(trial.base)
    prompts = chat.rows(trial.split)
    looks: list[dict[str, Any]] = []
    watch = Stopwatch()

    def look(step: int) -> None:
        with watch.counting(-1):
            looks.append({"step": step, **_summary(score(cast("Any", trainer.model), tokenizer, prompts))})

    with tempfile.TemporaryDirectory() as folder:
        trainer = _trainer(trial, tokenizer, folder)
        trainer.add_callback(_callback(trial.looks, look))
        load = os.getloadavg()[0]
        with watch.counting():
            trainer.train()
    final = score(cast("Any", trainer.model), tokenizer, prompts)
    return {
        "adapter": trial.adapter,
        "seed": trial.seed,
        "split": trial.split,
        "prompts": len(prompts),
        "settings": trial.settings,
        "train_seconds": round(watch.wall, 1),
        "cpu_seconds": round(watch.cpu, 1),
        "load_before": round(load, 2),
        "load_after": round(os.getloadavg()[0], 2),
        "looks": looks,
        **_summary(final),
        "wrong": _wrong(prompts, final, str(tokenizer.eos_token)),
    }


def _summary(seen: Score) -> dict[str, Any]:
    by_skill = {skill: round(share, 3) for skill, share in seen.by_skill.items()}
    return {"exact": round(seen.exact, 4), "by_skill": by_skill}


def _wrong(prompts: list[Row], seen: Score, stop: str) -> list[list[str]]:
    """List asked, expected and given of every inexact answer."""
    asked = [(row["messages"][-2]["content"], row["messages"][-1]["content"] + stop) for row in prompts]
    pairs = zip(asked, seen.answers, strict=True)
    return [[question, expected, given] for (question, expected), given in pairs if given != expected]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--adapter", choices=sorted(RECIPE), default="lora")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", choices=chat.SPLITS, default="dev")
    parser.add_argument("--base", type=Path, default=model_path())
    parser.add_argument("--set", default="{}", help="JSON object laid over the recommended settings")
    parser.add_argument("--looks", default="", help="steps to score at on the way, such as 0,20,80")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch

    torch.set_num_threads(arguments.threads)
    trial = Trial(
        adapter=arguments.adapter,
        seed=arguments.seed,
        split=arguments.split,
        base=arguments.base,
        settings={**RECIPE[arguments.adapter], **json.loads(arguments.set)},
        looks=tuple(int(step) for step in arguments.looks.split(",") if step),
    )
    print(json.dumps(run(trial), ensure_ascii=False))


if __name__ == "__main__":
    main()
