"""Moments between steps: answers that a method generates, their scores, samples; each with what it needs for itself.

    for moment in further_moments(step): moment.name, moment.parts

They keep nothing for backward. What stays through all of training (weights, adapter, optimizer) is beside them; what
a step holds is not, but for the gradients of earlier micro batches. The twin is labextension/src/memory/moments.ts.
"""

from __future__ import annotations

from dataclasses import dataclass

from workbench.memory.figures import Part
from workbench.memory.inference import Pass
from workbench.memory.online import Online
from workbench.memory.step import Step
from workbench.memory.ways import Need, answering_casts, answers, evaluated, score

STAYING = ("weights", "adapter", "reference model", "optimizer", "workspace", "vllm engine")
"""Parts that are live in every moment of training."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment between steps.

    Attributes:
        held: Parts of the step that are live in it, beside `STAYING`.
        parts: What it needs for itself.
    """

    name: str
    held: tuple[str, ...]
    parts: tuple[Part, ...]


def further_moments(step: Step) -> tuple[Moment, ...]:
    """The moments that the settings ask for, in the order of training."""
    settings, found = step.settings, list[Moment]()
    if settings.online:
        online = Online.of(settings)
        held = ("gradients",) if online.between else ()
        if settings.generator != "vllm":
            run = Pass(online.rows, online.prompt, online.prompt, answering_casts(step), True, settings.masked)
            found.append(Moment("generate", held, _parts("generate", answers(step, run, online.answer, sampled=True))))
        else:
            found.append(Moment("generate", (*held, "vllm engine awake"), ()))
        if online.scores_policy or online.scores_reference:
            found.append(Moment("score", held, _parts("score", score(step, online))))
    if settings.samples and settings.method != "reward":
        run = Pass(
            1, settings.sample_prompt, settings.sample_prompt, answering_casts(step), True, False, training=False
        )
        found.append(Moment("sample", (), _parts("sample", answers(step, run, settings.sample_tokens, sampled=False))))
    if settings.per_device_eval_batch_size:
        found.append(Moment("evaluation", (), _parts("evaluation", evaluated(step))))
    return tuple(found)


def engine_parts(step: Step) -> tuple[Part, ...]:
    """The engine of vLLM, where it is in the same process."""
    settings = step.settings
    if not settings.online or settings.generator != "vllm":
        return ()
    name = "vllm engine awake" if settings.vllm_sleeps else "vllm engine"
    source = "TRL's vllm_gpu_memory_utilization, a share of the card" + (
        "; asleep while TRL trains" if settings.vllm_sleeps else ""
    )
    return (Part(name, settings.vllm_bytes, "vllm_bytes", {"bytes": settings.vllm_bytes}, source),)


def _parts(name: str, need: Need) -> tuple[Part, ...]:
    words = {
        "cache": ("2 x kv features x rows x tokens x layers", "keys and values of every token so far"),
        "copies": ("2 x float32 weights that train", "autocast keeps its bfloat16 copies until the pass ends"),
        "temporaries": ("streams H + the widest moment of a layer, x tokens", "nothing is kept for backward"),
        "logits": ("the output head's own", "TRL's fused head where it scores, else the last token of a row"),
    }
    return tuple(
        Part(f"{name} {kind}", getattr(need, kind), formula, {}, f"{source}; highest {need.where}")
        for kind, (formula, source) in words.items()
        if getattr(need, kind)
    )
