"""Rows of a plan: token ids of the right lengths, which mean nothing to a model without data."""

from __future__ import annotations

from typing import Any

from workbench.memory.plan import Plan

TOKEN = 5


def tokenizer() -> Any:
    """A tokenizer for padding; its ids mean nothing to a model without data."""
    from transformers import AutoTokenizer

    from workbench.tiny_llama import model_path

    return AutoTokenizer.from_pretrained(str(model_path()))


def rows_of(plan: Plan) -> Any:
    """Rows of the plan's lengths, already token ids, in the order of its batches."""
    from datasets import Dataset

    lengths = [length for batch in plan.batches for length in batch]
    lengths *= -(-plan.steps * plan.micro_batches // len(plan.batches))
    if plan.method == "sft":
        made = [_labelled(length, plan.scored_share) for length in lengths]
        if plan.packed:
            made = [{**row, "seq_lengths": plan.documents_of(len(row["input_ids"]))} for row in made]
        return Dataset.from_list(made)
    if plan.method in ("grpo", "rloo"):
        return Dataset.from_list([{"prompt": "a"} for _ in range(8 * len(lengths))])
    if plan.method in ("orpo", "cpo"):
        return Dataset.from_list([{"prompt": "a", "chosen": "a", "rejected": "a", "length": n} for n in lengths])
    halves = [(length // 2, length - length // 2) for length in lengths]
    if plan.method == "dpo":
        return Dataset.from_list([_pair([TOKEN] * a, [TOKEN] * b) for a, b in halves])
    if plan.method == "kto":
        return Dataset.from_list(
            [
                {
                    "prompt_ids": [TOKEN] * a,
                    "completion_ids": [TOKEN] * b,
                    "KL_completion_ids": [TOKEN] * b,
                    "label": index % 2 == 0,
                }
                for index, (a, b) in enumerate(halves)
            ]
        )
    return Dataset.from_list([{"chosen_ids": [TOKEN] * n, "rejected_ids": [TOKEN] * n} for n in lengths])


def _pair(prompt: list[int], answer: list[int]) -> dict[str, Any]:
    return {"prompt_ids": prompt, "chosen_ids": answer, "rejected_ids": answer}


def _labelled(length: int, share: float) -> dict[str, Any]:
    masked = length - max(1, round(length * share))
    return {"input_ids": [TOKEN] * length, "labels": [-100] * masked + [TOKEN] * (length - masked)}
