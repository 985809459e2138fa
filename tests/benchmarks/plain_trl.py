"""The demo's training as a plain TRL script would write it: the yardstick for our own step time.

python tests/benchmarks/plain_trl.py RUN_DIR    reads job.json and rows.parquet of a run, prints one JSON line
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path


def main(run_dir: Path) -> None:
    """Train the run's rows for its steps and print the median step time."""
    import pyarrow.parquet as pq
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback, set_seed
    from trl import SFTConfig, SFTTrainer

    job = json.loads((run_dir / "job.json").read_text())
    recipe = job["recipe"]
    marks: list[float] = []

    class Clock(TrainerCallback):
        """Notes when each step begins and ends."""

        def on_step_begin(self, args, state, control, **kwargs):
            """Step begins."""
            marks.append(time.perf_counter())

        def on_step_end(self, args, state, control, **kwargs):
            """Step ends."""
            marks[-1] = time.perf_counter() - marks[-1]

    set_seed(recipe["seed"])
    model = AutoModelForCausalLM.from_pretrained(job["model"], dtype="float32")
    with tempfile.TemporaryDirectory() as out:
        config = SFTConfig(
            output_dir=out,
            max_steps=recipe["max_steps"],
            per_device_train_batch_size=recipe["per_device_train_batch_size"],
            learning_rate=recipe["learning_rate"],
            lr_scheduler_type=recipe["lr_scheduler_type"],
            warmup_steps=recipe["warmup_steps"],
            gradient_checkpointing=False,
            use_cpu=True,
            bf16=False,
            max_length=None,
            logging_steps=1,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
            seed=recipe["seed"],
        )
        lora = LoraConfig(
            r=recipe["r"],
            lora_alpha=recipe["lora_alpha"],
            target_modules=recipe["target_modules"],
            task_type="CAUSAL_LM",
        )
        rows = Dataset(pq.read_table(run_dir / "rows.parquet", columns=["input_ids", "labels"]))
        trainer = SFTTrainer(
            model=model,
            args=config,
            train_dataset=rows,
            processing_class=AutoTokenizer.from_pretrained(job["tokenizer"]),
            peft_config=lora if recipe["adapter"] == "lora" else None,
            callbacks=[Clock()],
        )
        trainer.train()
    print(json.dumps({"median_step_s": statistics.median(marks[5:])}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
