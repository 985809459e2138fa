"""A trainer that somebody built in the notebook, seen from outside: what it will get, and what its model got.

    read_ahead(trainer, 2)           the next batches of its own dataloader, all random states put back
    watch = TrainerWatch(trainer)    what forward() receives while it trains; watch.close() takes the hook off

Nothing of TRL is replaced. A pre-hook reads the arguments of training forwards (model in training mode, gradients on:
generation, reference and KL forwards have none). Rollouts are not among them, so GRPO's and RLOO's own buffers are read
at that moment; they are private, so their absence is no error, and tests/training/test_tap_rollouts.py holds what they
are read for against TRL's numbers.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.errors import RunError
from workbench.training.untouched import random_states, restore_random_states

KINDS = {
    "SFTTrainer": "sft",
    "DPOTrainer": "dpo",
    "KTOTrainer": "kto",
    "RewardTrainer": "reward",
    "GRPOTrainer": "grpo",
    "RLOOTrainer": "rloo",
}
ROLLOUTS = ("grpo", "rloo")
THUMBNAIL = 96
"""Longest side of what is kept of an image, in pixels."""


def kind_of(trainer: Any) -> str:
    """Which of TRL's trainers it is, a subclass included.

    Raises:
        RunError: WB660 where it is none of them.
    """
    names = [cls.__name__ for cls in type(trainer).__mro__]
    found = next((KINDS[name] for name in names if name in KINDS), None)
    if found is None or not hasattr(trainer, "get_train_dataloader"):
        raise RunError(
            f"{type(trainer).__name__} is not a trainer that can be tapped.",
            remedy=f"Pass a trainer of TRL: {', '.join(KINDS)}.",
            code="WB660",
        )
    return found


@dataclass(slots=True)
class Received:
    """One batch, from the dataloader or as `forward()` received it; tensors are copies on the CPU.

    Attributes:
        source: `preview` or `forward`.
        index: 0-based, in the order of training.
        step: Optimizer step it belongs to, 1-based.
        arrays: Tensors by name; `pixel_values` made small.
        prompts: Rows of a prompt-only batch (GRPO, RLOO), which has no tensors yet.
        rollouts: What was generated, for the first forward of a generation.
        generation: Number of the generation its sequences came from, 0-based; None for other trainers.
        shown: What shows it; kept here, so that the page can ask it for as long as the batch is kept.
    """

    source: str
    index: int
    step: int
    arrays: dict[str, Any] = field(default_factory=dict)
    prompts: list[dict[str, Any]] | None = None
    rollouts: Rollouts | None = None
    generation: int | None = None
    shown: Any = None


@dataclass(slots=True)
class Rollouts:
    """Everything generated for some steps, as the trainer holds it.

    Attributes:
        micro: One mapping a micro batch: prompt_ids, prompt_mask, completion_ids, completion_mask, advantages (B,) or
            (B, T), tool_mask.
        completions: Texts or messages in the order they were generated: `num_generations` for one prompt, then the
            next prompt; of all processes.
        rewards: Reward function -> its rewards, in that order.
        advantages: In that order.
        weights: Weight of each reward function.
        num_generations: Completions of one prompt.
    """

    micro: list[dict[str, Any]]
    completions: list[Any]
    rewards: dict[str, list[float | None]]
    advantages: list[float]
    weights: list[float]
    num_generations: int


@contextlib.contextmanager
def untouched_random_states() -> Iterator[None]:
    """Put the states of all random number generators back."""
    states = random_states()
    try:
        yield
    finally:
        restore_random_states(states)


def read_ahead(trainer: Any, count: int, epoch: int = 0) -> list[Received]:
    """The first batches of an epoch from the trainer's own dataloader; the trainer is as before.

    Args:
        trainer: A trainer of TRL.
        count: How many micro batches.
        epoch: 0-based.
    """
    accumulation = max(1, int(trainer.args.gradient_accumulation_steps))
    generated = kind_of(trainer) in ROLLOUTS
    out: list[Received] = []
    with untouched_random_states():
        loader = trainer.get_train_dataloader()
        if hasattr(loader, "set_epoch"):
            loader.set_epoch(epoch)
        for index, batch in enumerate(loader):
            if index >= count:
                break
            step = 1 + (index if generated else index // accumulation)
            if isinstance(batch, Mapping):
                out.append(Received("preview", index, step, copied(batch)))
            else:
                out.append(Received("preview", index, step, prompts=[dict(row) for row in batch]))
        if hasattr(loader, "end"):  # accelerate's loaders say when they begin and end; this one was left in the middle
            with contextlib.suppress(ValueError, IndexError):
                loader.end()
        _forget(trainer, loader)
    return out


def _forget(trainer: Any, loader: Any) -> None:
    """Accelerate keeps every loader it has prepared; the one made for looking is taken off its list again.

    The list is private, so where it is not there or holds something else nothing is done.
    """
    kept = getattr(getattr(trainer, "accelerator", None), "_dataloaders", None)
    if isinstance(kept, list) and any(item is loader for item in kept):
        kept[:] = [item for item in kept if item is not loader]


def copied(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Tensors of a batch as copies on the CPU; images only as large as they are shown."""
    import torch

    out: dict[str, Any] = {}
    for name, value in batch.items():
        if not torch.is_tensor(value):
            continue
        kept = value.detach()
        if name == "pixel_values" and kept.ndim >= 4:
            high, wide = (max(1, -(-size // THUMBNAIL)) for size in kept.shape[-2:])
            out["image_size"] = torch.tensor(kept.shape[-2:])
            kept = kept[..., ::high, ::wide]
        elif name == "pixel_values" or (kept.is_floating_point() and kept.ndim > 2):
            continue
        out[name] = kept.cpu().clone()
    return out


class TrainerWatch:
    """Keeps what `forward()` received while the trainer trained.

    Args:
        trainer: A trainer of TRL.
        keep: Batches that are kept; older ones are forgotten.

    Attributes:
        seen: What is kept, oldest first.
        count: Batches seen so far.
    """

    def __init__(self, trainer: Any, keep: int) -> None:
        self.kind = kind_of(trainer)
        self.seen: deque[Received] = deque(maxlen=keep)
        self.count = self.generations = 0
        self._trainer, self._buffer = trainer, None
        self._names = _forward_names(trainer.model)
        self._handle: Any = trainer.model.register_forward_pre_hook(self._see, with_kwargs=True, prepend=True)

    @property
    def is_open(self) -> bool:
        """Whether the hook is on the model."""
        return self._handle is not None

    def close(self) -> None:
        """Take the hook off; what was seen stays."""
        if self._handle is not None:
            self._handle.remove()
        self._handle = self._buffer = None

    def _see(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        import torch

        if not (module.training and torch.is_grad_enabled()):
            return
        step = int(self._trainer.state.global_step) + 1
        given = {**dict(zip(self._names, args, strict=False)), **kwargs}
        received = Received("forward", self.count, step, copied(given))
        if self.kind in ROLLOUTS:
            received.rollouts = self._new_rollouts()
            received.generation = self.generations - 1
        self.seen.append(received)
        self.count += 1

    def _new_rollouts(self) -> Rollouts | None:
        """What was generated since the last look; None where nothing was."""
        buffer = getattr(self._trainer, "_buffered_inputs", None)
        if not isinstance(buffer, list) or buffer is self._buffer:
            return None
        self._buffer = buffer
        self.generations += 1
        return rollouts_of(self._trainer, buffer)


def _forward_names(model: Any) -> list[str]:
    """Names of the positional arguments of the model's forward; PEFT passes its own on."""
    import inspect

    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return list(inspect.signature(inner.forward).parameters)


def rollouts_of(trainer: Any, buffer: list[dict[str, Any]]) -> Rollouts:
    """Copy what the trainer holds of its last generation."""
    import torch

    micro = [
        {name: value.detach().cpu().clone() for name, value in part.items() if torch.is_tensor(value) and value.ndim}
        for part in buffer
    ]
    logs = getattr(trainer, "_logs", None) or {}
    rewards = {str(name): list(values) for name, values in dict(logs.get("rewards", {})).items()}
    weights = getattr(trainer, "reward_weights", None)
    return Rollouts(
        micro=[{name: value for name, value in part.items() if value.ndim <= 2} for part in micro],
        completions=list(logs.get("completion", ())),
        rewards=rewards,
        advantages=[float(value) for value in logs.get("advantages", ())],
        weights=[float(value) for value in weights] if weights is not None else [1.0] * len(rewards),
        num_generations=int(trainer.num_generations),
    )
