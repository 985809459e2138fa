"""Predictions for a grid of real steps on a GPU, made before it is there, and the measurement beside them.

    python -m tests.benchmarks.gpu_grid predict          # writes gpu_grid.csv; needs no GPU
    python -m tests.benchmarks.gpu_grid measure          # runs every case on the GPU, prints and writes both
    python -m tests.benchmarks.gpu_grid try --model tiny-llama   # every case for real on the CPU: nothing is measured

A case is two steps of TRL's own trainer on random weights in a process of its own. Predicted are live bytes against
torch.cuda.max_memory_allocated and reserved bytes against max_memory_reserved, by the trace of the same plan.
"""

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.memory.architecture import read_config
from workbench.memory.plan import Plan
from workbench.recipes import Recipe

MODEL = "meta-llama/Llama-3.2-1B"
TABLE = Path(__file__).with_name("gpu_grid.csv")
LORA = {"peft_type": "LORA", "r": 16, "lora_alpha": 32, "target_modules": "all-linear", "lora_dropout": 0.0}
ADAPTERS: dict[str, Any] = {"full": None, "lora": LORA, "qlora": LORA, "dora": {**LORA, "use_dora": True}}
KINDS = [
    *(("sft", adapter) for adapter in ADAPTERS),
    *(("dpo", adapter) for adapter in ("full", "lora", "qlora")),
    ("kto", "lora"),
    ("reward", "lora"),
]
WORKSPACE_OF_HOPPER = 2 * (32 * 2**20 - 8_519_680)
"""What two cuBLAS workspaces of compute capability 9 hold more than those a trace counts (aten, CUDABlas.cpp)."""


@dataclass(frozen=True)
class Case:
    """One run of the grid."""

    method: str
    adapter: str
    length: int
    checkpointing: bool

    @property
    def name(self) -> str:
        """Its row in the table."""
        return f"{self.method} {self.adapter} {self.length}{' checkpointing' if self.checkpointing else ''}"

    def plan(self, model: str, length: int | None = None) -> Plan:
        """What is traced and what is run: a row of the length and a shorter one."""
        recipe = Recipe(
            model=model,
            per_device_train_batch_size=2,
            gradient_checkpointing=self.checkpointing,
            precision="bfloat16",
            optim="adamw_torch_fused",
        )
        adapter = ADAPTERS[self.adapter]
        longest = length or self.length
        rows = [[longest, longest - longest // 8]]
        return Plan.of(
            recipe,
            read_config(model),
            rows,
            method=self.method,
            adapter=adapter,
            dtype="bfloat16" if adapter else "float32",
            quantisation="nf4" if self.adapter == "qlora" else None,
        )


CASES = [
    Case(method, adapter, length, checkpointing)
    for method, adapter in KINDS
    for length in (512, 2048)
    for checkpointing in (False, True)
]


def predict() -> None:
    """Trace every case and write the table."""
    from workbench.training.tracing import trace_plan

    with TABLE.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("case", "live", "reserved"))
        for case in CASES:
            trace = trace_plan(case.plan(MODEL))
            table.writerow((case.name, trace.live, trace.reserved))
            print(f"{case.name}: {trace.live:,} live, {trace.reserved:,} reserved", flush=True)


def run(case: Case, model: str, weights: Path, length: int | None) -> dict[str, int]:
    """Two real steps in this process; bytes at the highest moment, none without CUDA."""
    import torch

    trainer = _trainer(case.plan(model, length), weights)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    trainer.train()
    if not torch.cuda.is_available():
        return {}
    return {"live": torch.cuda.max_memory_allocated(), "reserved": torch.cuda.max_memory_reserved()}


def _trainer(plan: Plan, weights: Path) -> Any:
    from peft import LoraConfig

    from workbench.training.traced.methods import config_of, trainer_class
    from workbench.training.traced.rows import rows_of, tokenizer
    from workbench.training.trainer_setup import training_arguments

    recipe = Recipe.from_dict({**plan.recipe, "max_steps": plan.steps})
    arguments = training_arguments(recipe, weights / "out", packed=False, in_order=True)
    if plan.method != "sft":
        arguments = config_of(plan, arguments)
    arguments.activation_checkpointing_kwargs = {"use_reentrant": plan.reentrant}
    extra: dict[str, Any] = {}
    if plan.adapter:
        fields = {name: value for name, value in plan.adapter.items() if name != "peft_type"}
        task = "SEQ_CLS" if plan.method == "reward" else "CAUSAL_LM"
        extra["peft_config"] = LoraConfig(task_type=task, **fields)
    elif plan.method == "dpo":
        extra["ref_model"] = _model(plan, weights)
    return trainer_class(plan, None)(  # type: ignore[arg-type]  # the log belongs to methods that generate
        model=_model(plan, weights),
        args=arguments,
        train_dataset=rows_of(plan),
        processing_class=tokenizer(),
        **extra,
    )


def _model(plan: Plan, weights: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, BitsAndBytesConfig

    options: dict[str, Any] = {"dtype": getattr(torch, plan.dtype), "attn_implementation": plan.attention}
    if plan.quantisation:
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    if torch.cuda.is_available():
        options["device_map"] = {"": 0}
    if plan.method == "reward":
        return AutoModelForSequenceClassification.from_pretrained(weights, num_labels=1, **options)
    return AutoModelForCausalLM.from_pretrained(weights, **options)


def save_random_weights(model: str, folder: Path) -> None:
    """A checkpoint of the model's shapes: what the weights are changes no byte of memory."""
    import torch

    from workbench.training.traced.models import build

    build({**read_config(model), "pad_token_id": 0}, "sft", "bfloat16", "sdpa", "cpu").save_pretrained(folder)
    torch.manual_seed(0)


def measure(model: str, length: int | None = None) -> dict[str, dict[str, int]]:
    """Run every case in a process of its own."""
    found: dict[str, dict[str, int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        save_random_weights(model, Path(folder))
        for index, case in enumerate(CASES):
            command = [sys.executable, "-m", __spec__.name, "case", str(index), "--model", model, "--weights", folder]
            command += ["--length", str(length)] if length else []
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{case.name}: failed\n{done.stderr[-2000:]}", flush=True)
                continue
            found[case.name] = json.loads(done.stdout.splitlines()[-1])
            print(case.name, found[case.name], flush=True)
    return found


def compare(found: dict[str, dict[str, int]]) -> None:
    """Predicted beside measured, as CSV and in one sentence a figure."""
    import torch

    more = WORKSPACE_OF_HOPPER if torch.cuda.get_device_capability()[0] >= 9 else 0
    predicted = {row["case"]: row for row in csv.DictReader(TABLE.open())}
    card = torch.cuda.get_device_name().lower().replace(" ", "_")
    errors: dict[str, list[float]] = {"live": [], "reserved": []}
    with TABLE.with_name(f"gpu_grid_{card}.csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("case", "live", "measured_live", "reserved", "measured_reserved"))
        for name, measured in found.items():
            row: list[int | str] = [name]
            for figure, seen in errors.items():
                said = int(predicted[name][figure]) + more
                row += [said, measured[figure]]
                seen.append(said / measured[figure] - 1)
            table.writerow(row)
    for figure, seen in errors.items():
        sizes = sorted(abs(error) for error in seen)
        print(f"{figure}: {len(sizes)} runs, median {statistics.median(sizes):.2%}, largest {sizes[-1]:.2%}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["predict", "measure", "try", "case"])
    parser.add_argument("index", nargs="?", type=int, default=0)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--length", type=int)
    options = parser.parse_args()
    if options.what == "predict":
        predict()
    elif options.what == "case":
        print(json.dumps(run(CASES[options.index], options.model, options.weights, options.length)))
    elif options.what == "try":
        measure(options.model, options.length or 32)
    else:
        compare(measure(options.model))


if __name__ == "__main__":
    main()
