"""The closed form's moments between steps against the trace's phases: answers, scores, samples, evaluations; and the
whole of runs that generate, or that make all logits for the odds of answers.

    python -m tests.benchmarks.moments_trace [--sample N] > tests/memory/moments_trace.csv

A phase of `peak` is the highest of the whole run. Models are those of analytic_trace, a trace takes about two seconds.
"""

import argparse
import csv
import json
import statistics
import sys
from typing import Any

from tests.benchmarks.analytic_trace import CHECKPOINTED, DORA, FULL, FUSED, MODELS, QLORA, Case
from workbench.memory.analytic import evaluate
from workbench.memory.architecture import from_config
from workbench.memory.plan import Plan
from workbench.memory.settings import AnalyticSettings
from workbench.recipes import Recipe
from workbench.training.tracing import trace_plan

GENERATED = {"beta": 0.04, "steps_per_generation": 4, "num_generations": 4}
"""Answers of four micro batches at once, scored by the model and by its reference."""
SHORT, LONG = ([640] * 8, 512), ([2304] * 2, 256)
"""Rows, and the tokens of each that are its prompt: much to read, and much to write."""
PHASES = ("generate", "score", "sample", "evaluation")
PEAK = "peak"


def grpo(rows: tuple[list[int], int], **more: Any) -> dict[str, Any]:
    """Fields of a plan that generates."""
    return {"method": "grpo", "padded": True, "prompt": rows[1], "arguments": GENERATED, **more}


def cases() -> list[Case]:
    """Model, recipe fields, row lengths, further fields of a plan."""
    return [*_families(), *_variants(), *_between(), *_odds()]


def _families() -> list[Case]:
    found: list[Case] = []
    for model in MODELS:
        for rows in (SHORT, LONG):
            found.append((model, CHECKPOINTED, [rows[0]], grpo(rows)))
        if "moe" not in model and "mixtral" not in model:
            found.append((model, {**CHECKPOINTED, **FULL}, [SHORT[0]], grpo(SHORT, arguments={"beta": 0.04})))
    return found


VARIANTS: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    ({}, QLORA),
    ({}, {"quantisation": "nf4"}),
    ({}, {"quantisation": "int8", "float32_rest": True}),
    ({}, DORA),
    ({}, {"autocast": False}),
    (FULL, {"autocast": False}),
    (FULL, {}),
    ({}, {"attention": "eager"}),
    ({}, {"attention": "flash_attention_2"}),
    ({"lora_dropout": 0.1}, {}),
    ({"target_modules": ["q_proj", "v_proj"]}, {}),
    ({}, {"padded": False}),
    ({}, {"method": "rloo"}),
    ({}, {"arguments": {}}),
    ({"gradient_accumulation_steps": 2}, {"arguments": {"steps_per_generation": 3, "num_generations": 3}}),
    ({}, {"generator": "vllm", "vllm_bytes": 2**31}),
    ({}, {"generator": "vllm", "vllm_bytes": 2**31, "vllm_sleeps": True}),
)


def _variants() -> list[Case]:
    found: list[Case] = []
    for model in ("llama 1B", "qwen3 0.6B"):
        for recipe, changes in VARIANTS:
            for rows in (SHORT, LONG):
                found.append((model, {**CHECKPOINTED, **recipe}, [rows[0]], grpo(rows, **changes)))
    return found


BETWEEN = {
    "padded": True,
    "per_device_eval_batch_size": 8,
    "samples": 1,
    "sample_prompt": 900,
    "sample_tokens": 200,
}
"""An evaluation on more rows than a step has, and a sample with a long prompt."""
EVALUATED: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    *((recipe, {"method": method}) for method in ("dpo", "kto", "orpo", "grpo", "rloo") for recipe in ({}, FULL)),
    ({}, {"method": "reward", "samples": 0}),
    ({}, QLORA),
    ({}, {"loop": "transformers"}),
    (FULL, {"loop": "transformers"}),
    ({}, {"attention": "flash_attention_2"}),
    ({}, {"autocast": False}),
    ({"lora_dropout": 0.1}, {}),
    ({}, DORA),
)


def _between() -> list[Case]:
    found: list[Case] = []
    for model in ("llama 1B", "mistral 7B", "qwen3 0.6B", "gemma3 1B", "phi 2", "mixtral-like"):
        for recipe in ({}, FULL) if model != "mixtral-like" else ({},):
            found.append((model, {**CHECKPOINTED, **recipe}, [[512] * 2], BETWEEN))
    for recipe, changes in EVALUATED:
        found.append(("llama 1B", {**CHECKPOINTED, **recipe}, [[512] * 2], {**BETWEEN, **changes}))
    packed = {**BETWEEN, "per_device_eval_batch_size": 2, "attention": "flash_attention_2", "padded": False}
    return [*found, ("llama 1B", {**CHECKPOINTED, "packing": "bfd"}, [[2048]], packed)]


def _odds() -> list[Case]:
    found: list[Case] = []
    for model in ("llama 1B", "mistral 7B", "qwen3 0.6B", "phi 2"):
        for recipe in (FUSED, CHECKPOINTED, {**FUSED, **FULL}, {**CHECKPOINTED, **FULL}):
            found.append((model, recipe, [[768] * 2], {"method": "orpo", "padded": True}))
        for rows, changes in (([768] * 2, {"autocast": False}), ([2304], {}), ([768] * 2, QLORA)):
            found.append((model, CHECKPOINTED, [rows], {"method": "cpo", "padded": True, **changes}))
    return found


def plan_of(case: Case) -> Plan:
    """The plan of a case."""
    model, recipe, rows, changes = case
    made = Recipe.from_dict({"model": model, "per_device_train_batch_size": len(rows[-1]), **recipe})
    return Plan.of(made, MODELS[model], rows, **changes)


def traced(plan: Plan) -> dict[str, int]:
    """Highest live bytes of every phase between steps, and of the whole."""
    trace = trace_plan(plan)
    phases = {moment.phase: moment.bytes for moment in trace.moments if moment.phase in PHASES}
    return {**phases, PEAK: trace.live}


def computed(plan: Plan) -> tuple[dict[str, int], str]:
    """The same by the closed form, and its highest moment."""
    found = evaluate(from_config(dict(plan.config)), AnalyticSettings.of_plan(plan))
    return {**{peak.name: peak.bytes for peak in found.peaks}, PEAK: found.hard_minimum}, found.peak.name


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, default=1, help="take every Nth case")
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["model", "recipe", "rows", "plan", "phase", "trace_bytes", "analytic_bytes", "error", "formula_at"])
    errors: dict[str, list[float]] = {}
    for case in cases()[:: parser.parse_args().sample]:
        plan = plan_of(case)
        formula, at = computed(plan)
        model, recipe, rows, changes = case
        texts = [json.dumps(value) for value in (recipe, rows[-1], changes)]
        for phase, size in traced(plan).items():
            error = formula.get(phase, 0) / size - 1
            errors.setdefault(phase, []).append(abs(error))
            out.writerow([model, *texts, phase, size, formula.get(phase, 0), f"{error:+.4%}", at])
        sys.stdout.flush()
    for phase, found in errors.items():
        ordered = sorted(found)
        tenth, most = ordered[int(0.9 * len(ordered))], ordered[-1]
        said = f"{len(found)} cases: median {statistics.median(found):.2%}, 90 % below {tenth:.2%}, most {most:.2%}"
        print(f"{phase}: {said}", file=sys.stderr)


if __name__ == "__main__":
    main()
