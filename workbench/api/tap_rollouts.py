"""Groups of completions of a tapped GRPO or RLOO trainer."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workbench.api.tap_reader import Reader
from workbench.training.trainer_watch import Received, Rollouts
from workbench.types import Finding, Reason
from workbench.views.arrays import About, array_view
from workbench.views.rollouts import Completion, Group, number


@dataclass(slots=True)
class _Sequence:
    """One completion as the trainer holds it.

    Attributes:
        mask: Which of its tokens the loss counts.
        advantages: Of each token.
        at: (micro batch, row) in the trainer's buffer.
        logged: Place in the trainer's logs, which have the order of generation; None where it was not found.
    """

    prompt: tuple[int, ...]
    ids: tuple[int, ...]
    mask: list[bool]
    advantages: list[float]
    at: tuple[int, int]
    logged: int | None = None


def groups_of(made: Rollouts, forwards: Sequence[Received], reader: Reader) -> list[Group]:
    """Completions by prompt, each with rewards and advantage.

    Args:
        made: What the trainer holds of a generation.
        forwards: The forwards that got its sequences.
        reader: What is known of the trainer.
    """
    sequences = _sequences(made, reader)
    _find_in_logs(sequences, made, reader)
    steps = _steps(sequences, forwards)
    grouped: dict[Any, list[_Sequence]] = defaultdict(list)
    for item in sequences:
        key = item.prompt if item.logged is None else item.logged // made.num_generations
        grouped[key].append(item)
    ordered = sorted(grouped.values(), key=lambda group: min(item.logged or 0 for item in group))
    return [
        _group(place, sorted(group, key=lambda item: item.logged or 0), made, steps, reader)
        for place, group in enumerate(ordered)
    ]


def _sequences(made: Rollouts, reader: Reader) -> list[_Sequence]:
    out: list[_Sequence] = []
    for part, micro in enumerate(made.micro):
        for row in range(len(micro["completion_ids"])):
            prompt = micro["prompt_ids"][row][micro["prompt_mask"][row] != 0].tolist()
            ids = micro["completion_ids"][row].tolist()
            mask = (micro["completion_mask"][row] != 0).tolist()
            length = _length(ids, mask, reader.tokenizer.pad_token_id)
            if "tool_mask" in micro:
                mask = [a and bool(b) for a, b in zip(mask, micro["tool_mask"][row].tolist(), strict=True)]
            given = micro["advantages"][row]
            each = given.tolist() if given.ndim else [float(given)] * len(ids)
            out.append(_Sequence(tuple(prompt), tuple(ids[:length]), mask[:length], each[:length], (part, row)))
    return out


def _length(ids: list[int], mask: list[bool], pad: int | None) -> int:
    """Tokens without padding; a completion that is masked as a whole has only its ids to go by."""
    if any(mask):
        return 1 + max(i for i, seen in enumerate(mask) if seen)
    return 1 + max((i for i, token in enumerate(ids) if token != pad), default=-1)


def _find_in_logs(sequences: list[_Sequence], made: Rollouts, reader: Reader) -> None:
    """Give each sequence its place in the order of generation, by advantage and text; the buffer is shuffled."""
    places: dict[tuple[float, str], list[int]] = defaultdict(list)
    for place, (advantage, said) in enumerate(zip(made.advantages, made.completions, strict=False)):
        places[advantage, _said(said)].append(place)
    texts = reader.tokenizer.batch_decode([list(item.ids) for item in sequences], skip_special_tokens=True)
    for item, text in zip(sequences, texts, strict=True):
        advantage = item.advantages[0] if item.advantages else 0.0
        found = places.get((advantage, text))
        if found:
            item.logged = found.pop(0)
    if any(item.logged is None for item in sequences):  # half of an order would put completions under wrong prompts
        for item in sequences:
            item.logged = None


def _said(completion: Any) -> str:
    if isinstance(completion, str):
        return completion
    return "".join(str(message.get("content") or "") for message in completion)


def _steps(sequences: Sequence[_Sequence], forwards: Sequence[Received]) -> dict[tuple[int, int], tuple[int, ...]]:
    """Which steps' forwards got each sequence, going by the ids they got."""
    got: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for forward in forwards:
        ids, seen = forward.arrays["input_ids"], forward.arrays["attention_mask"]
        for row in range(len(ids)):
            key = tuple(ids[row][seen[row] != 0].tolist())
            if forward.step not in got[key]:
                got[key].append(forward.step)
    return {item.at: tuple(got.get(item.prompt + item.ids, ())) for item in sequences}


def _group(place: int, items: list[_Sequence], made: Rollouts, steps: Any, reader: Reader) -> Group:
    names = list(made.rewards)
    completions: list[Completion] = []
    for order, item in enumerate(items):
        index = order if item.logged is None else item.logged % made.num_generations
        rewards = tuple(_reward(made, name, item.logged) for name in names)
        given = [(value, weight) for value, weight in zip(rewards, made.weights, strict=True) if value is not None]
        total = sum(value * weight for value, weight in given) if given else None
        advantage = statistics.fmean(item.advantages) if item.advantages else None
        view = _completion_view(item, index, reader)
        ended = "stop" if item.ids and item.ids[-1] in reader.ends else "cut"
        completions.append(Completion(index, view, total, rewards, advantage, ended, steps[item.at]))
    known = [item.reward for item in completions if item.reward is not None]
    return Group(
        title=f"Prompt {place}",
        prompt=prompt_view(items[0].prompt, reader),
        completions=tuple(completions),
        mean=statistics.fmean(known) if known else None,
        std=statistics.stdev(known) if len(known) > 1 else None,
        planned=made.num_generations,
        findings=tuple(_findings(place, items, completions)),
    )


def _reward(made: Rollouts, name: str, place: int | None) -> float | None:
    value = None if place is None else made.rewards[name][place]
    return None if value is None or math.isnan(value) else float(value)


def prompt_view(ids: Sequence[int], reader: Reader) -> dict[str, Any]:
    """The row of a prompt."""
    why = (Reason.COMPLETION, Reason.PROMPT)
    seq = reader.sequence(ids, [False] * len(ids), [True] * len(ids), why=why, roles=["prompt"] * len(ids))
    media, _ = reader.media(seq, [])
    return array_view(seq, About(0, "prompt", reader.kind, media=media))


def _completion_view(item: _Sequence, index: int, reader: Reader) -> dict[str, Any]:
    why = (Reason.COMPLETION, Reason.LEFT_OUT)
    seq = reader.sequence(item.ids, item.mask, [True] * len(item.ids), why=why, roles=["completion"] * len(item.ids))
    each = [value if hit else None for value, hit in zip(item.advantages, item.mask, strict=True)]
    return array_view(seq, About(index, f"completion {index}", reader.kind, measures={"advantage": each}))


def _findings(place: int, items: Sequence[_Sequence], completions: Sequence[Completion]) -> list[Finding]:
    found: list[Finding] = []
    if len(items) > 1 and all(value == 0 for item in items for value in item.advantages):
        message = f"Every advantage of prompt {place} is 0: {_why_flat(completions)}. Nothing is learned from it."
        remedy = (
            "Take prompts that some completions solve and others do not, a reward with more steps, a higher "
            "temperature or more generations."
        )
        found.append(Finding("WB153", "warning", message, remedy=remedy))
    cut = [item for item in completions if item.ended == "cut"]
    if cut:
        which = ", ".join(str(item.index) for item in cut[:8]) + (", …" if len(cut) > 8 else "")
        left = sum(not any(item.view["tokens"]["trained"]) for item in cut)
        and_so = f"; {left} of them are left out of the loss" if left else ""
        share = f"{len(cut)} of {len(completions)} completions of prompt {place}"
        message = f"{share} end without a stop token ({which}){and_so}."
        remedy = "Raise max_completion_length, or reward short answers."
        found.append(Finding("WB154", "warning", message, remedy=remedy))
    return found


def _why_flat(completions: Sequence[Completion]) -> str:
    rewards = {item.reward for item in completions}
    if len(rewards) == 1 and None not in rewards:
        return f"all {len(completions)} rewards are {number(completions[0].reward)}"
    return "no reward tells its completions apart"


def planned_groups(rows: Sequence[dict[str, Any]], reader: Reader) -> list[Group]:
    """The prompts of a batch that nothing has been generated for yet, each once, with how often it stands there."""
    counts: dict[tuple[int, ...], int] = {}
    for row in rows:
        ids = tuple(prompt_ids(row["prompt"], reader))
        counts[ids] = counts.get(ids, 0) + 1
    return [
        Group(f"Prompt {place}", prompt_view(ids, reader), (), None, None, planned)
        for place, (ids, planned) in enumerate(counts.items())
    ]


def prompt_ids(prompt: Any, reader: Reader) -> list[int]:
    """The tokens the trainer makes of a prompt: its chat template for messages, the tokenizer for text."""
    if isinstance(prompt, str):
        return list(reader.tokenizer(prompt)["input_ids"])
    trainer = reader.trainer
    more = dict(getattr(trainer.args, "chat_template_kwargs", None) or {})
    template = getattr(trainer, "chat_template", None)
    made = reader.tokenizer.apply_chat_template(
        prompt, chat_template=template, add_generation_prompt=True, tokenize=True, return_dict=True, **more
    )
    return list(made["input_ids"])
