"""Published figures of other projects against traces: predictions first, in a file, then beside what was published.

    python -m tests.benchmarks.published predict            # writes published_predictions.csv, 5 minutes on two cores
    python -m tests.benchmarks.published compare            # reads it beside published.csv of WORKBENCH_SHARED

Every row is traced as its source says it was run, with the code of that time where versions differ: what the readers
of docs/memory.md find for each mechanism. Nothing is fitted: the context is the middle of the interval that every
estimate has. A row of a table of longest contexts is compared by the smallest card on which its length runs.
"""

from __future__ import annotations

import csv
import os
import re
import sys
from pathlib import Path
from statistics import median

from workbench.errors import WorkbenchError
from workbench.memory.analytic import CUDA_CONTEXT
from workbench.memory.figures import GIB
from workbench.memory.plan import Plan
from workbench.memory.presets import PRESETS
from workbench.memory.trace import Trace
from workbench.recipes import Recipe
from workbench.training.tracing import TRACER

PREDICTIONS = Path(__file__).with_name("published_predictions.csv")
GB = 10**9
CONTEXT = (CUDA_CONTEXT.low + CUDA_CONTEXT.high) // 2
FIELDS = ("source", "method", "config", "model", "rows", "live", "reserved", "least", "note")
UNSLOTH_2024 = ("unsloth_2024",)
"""Unsloth as LLaMA-Factory of 2024-04 (b638c655) called it: all logits in place, plain checkpointing."""
UNSLOTH_2025 = ("unsloth_2024", "cut_cross_entropy")
"""Unsloth of 2025-01-14 with `use_gradient_checkpointing="unsloth"`."""

Case = dict[str, object]


def cases(row: dict[str, str]) -> list[tuple[str, int, Case, Case]]:
    """Model, rows of a batch, fields of the recipe and of the plan for what a row may have been run with."""
    method = row["method"]
    if row["source"].startswith("Unsloth"):
        return [("meta-llama/Llama-3.1-8B", 1, {"r": 32, "optim": "adamw_8bit"}, _unsloth_table(method))]
    changes: Case = {"loop": "transformers", "autocast": True, "dtype": "bfloat16", "padded": False}
    changes["attention"] = "flash_attention_2" if "FA2" in method else "sdpa"
    if "4-bit" in method:
        changes["quantisation"] = "nf4"
    if "Unsloth" in method:
        changes |= {"kernels": UNSLOTH_2024, "reentrant": True}
    known = "LLaMA2" in row["model"]
    models = [("meta-llama/Llama-2-7b-hf", 1)]
    if not known:
        models += [("meta-llama/Llama-2-7b-hf", 4), ("mistralai/Mistral-7B-v0.1", 1)]
    return [(name, rows, {"r": 8, "optim": "adamw_torch"}, changes) for name, rows in models]


def _unsloth_table(method: str) -> Case:
    changes: Case = {"quantisation": "nf4", "attention": "flash_attention_2", "padded": False}
    if "HF" in method:  # PEFT's prepare_model_for_kbit_training, a plain loop
        return {**changes, "loop": "plain", "float32_rest": True, "autocast": True}
    return {**changes, "loop": "transformers", "kernels": UNSLOTH_2025, "activation_offloading": True}


def length_of(row: dict[str, str]) -> int:
    """Tokens of a row of the batch."""
    found = re.search(r"(?:len |S=)(\d+)", row["config"])
    if found is None:
        raise SystemExit(f"no length in {row['config']!r}")
    return int(found.group(1))


def published() -> list[dict[str, str]]:
    """Rows of published.csv."""
    folder = os.environ.get("WORKBENCH_SHARED")
    if not folder:
        raise SystemExit("WORKBENCH_SHARED names no folder with testdata/memory/published.csv")
    with open(Path(folder) / "testdata" / "memory" / "published.csv", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def predict() -> None:
    """Trace every row and write what is found; published values are not read."""
    with open(PREDICTIONS, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        for row in published():
            for case in cases(row):
                found = {name: row[name] for name in ("source", "method", "config")} | _predicted(row, case)
                writer.writerow(found)
                file.flush()
                print(found, flush=True)


def _predicted(row: dict[str, str], case: tuple[str, int, Case, Case]) -> dict[str, object]:
    model, rows, fields, changes = case
    recipe = Recipe(per_device_train_batch_size=rows, gradient_checkpointing=True, **fields)  # type: ignore[arg-type]
    plan = Plan.of(recipe, PRESETS[model], [[length_of(row)] * rows], **changes)
    base: dict[str, object] = {"model": model, "rows": rows}
    try:
        trace = Trace.from_dict(plan, TRACER.ask(plan))
    except WorkbenchError as error:
        return {**base, "note": str(error)[:200]}
    return {**base, "live": trace.live, "reserved": trace.reserved, "least": trace.least, "note": ""}


def compare() -> None:
    """Print predictions beside published values, and medians."""
    with open(PREDICTIONS, encoding="utf-8") as file:
        predictions = list(csv.DictReader(file))
    errors: dict[str, list[float]] = {}
    for row in published():
        for found in predictions:
            if all(found[name] == row[name] for name in ("source", "method", "config")):
                _compared(row, found, errors)
    for name, values in errors.items():
        print(f"{name:55s} {len(values):3d} rows, median |error| {median(map(abs, values)):.1%}")


def _compared(row: dict[str, str], found: dict[str, str], errors: dict[str, list[float]]) -> None:
    value = float(row["value"])
    limit = "card" in row["unit"]
    size = int(found["least" if limit else "reserved"]) + CONTEXT
    in_gib, in_gb = size / GIB / value - 1, size / GB / value - 1
    known = "table 1" not in row["model"]
    group = f"{row['source']}, {row['method']}"
    if known:
        errors.setdefault(group, []).append(in_gib)
        errors.setdefault("all with a named model, in GiB", []).append(in_gib)
        errors.setdefault("all with a named model, in GB", []).append(in_gb)
    print(
        f"{group:58s} {found['model'].split('/')[1]:16s} x{found['rows']} {length_of(row):7d} tokens: published"
        f" {value:4.0f}, predicted {size / GIB:6.2f} GiB {in_gib:+7.1%} {size / GB:6.2f} GB {in_gb:+7.1%}"
        f"  live {int(found['live']) / GIB:.2f}"
    )


if __name__ == "__main__":
    {"predict": predict, "compare": compare}[sys.argv[1]]()
