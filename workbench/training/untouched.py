"""Looking at a model that trains without leaving a trace in the training.

    with untouched(model): model.generate(…)              evaluation mode, no gradients
    with unmoved(model): token_losses(model, …)           the mode of training, so that dropout is that of the step

Both put back everything that looking moves: module modes, gradient checkpointing, which parameters take gradients, and
the states of all random number generators. Loss, grad_norm and final weights of a run that was looked at are
bit-identical to those of one that was not (tests/training/test_trained_runs.py, tests/training/test_live_tap.py).
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def unmoved(model: Any) -> Iterator[None]:
    """Put the model and all random numbers back afterwards; meanwhile without gradient checkpointing."""
    states = random_states()
    modes = {module: module.training for module in model.modules()}
    checkpointing = {m: m.gradient_checkpointing for m in modes if hasattr(m, "gradient_checkpointing")}
    gradients = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        for module in checkpointing:
            module.gradient_checkpointing = False
        yield
    finally:
        for module, training in modes.items():
            module.training = training
        for module, used in checkpointing.items():
            module.gradient_checkpointing = used
        for parameter, wanted in gradients:
            parameter.requires_grad_(wanted)
        restore_random_states(states)


@contextlib.contextmanager
def untouched(model: Any) -> Iterator[None]:
    """Run the model in evaluation mode without gradients, then put everything back as it was."""
    import torch

    with unmoved(model):
        model.eval()
        with torch.no_grad():
            yield


def random_states() -> tuple[Any, ...]:
    """States of every random number generator that training draws from."""
    import numpy
    import torch

    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else None
    return random.getstate(), numpy.random.get_state(), torch.get_rng_state(), cuda


def restore_random_states(states: tuple[Any, ...]) -> None:
    """Put the states of `random_states` back."""
    import numpy
    import torch

    random.setstate(states[0])
    numpy.random.set_state(states[1])
    torch.set_rng_state(states[2])
    if states[3] is not None:
        torch.cuda.set_rng_state_all(states[3])
