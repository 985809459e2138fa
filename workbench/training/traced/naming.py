"""Names for what a trace records: the phase of the step, the module that runs, the category of a tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from workbench.training.quantised import scales_of
from workbench.training.traced.recorder import Recorder

BATCH, FORWARD, LOSS_BACKWARD, BACKWARD, OPTIMIZER = "batch", "forward", "loss backward", "backward", "optimizer"


def tensors_of(model: Any) -> set[int]:
    """Identities of a model's parameters and buffers, to know later what an adapter added."""
    return {id(tensor) for tensor in (*model.parameters(), *model.buffers())}


def see_model(recorder: Recorder, model: Any, base: set[int] | None = None, category: str = "weights") -> None:
    """Register a model's parameters, with what their quantisation needs, and its buffers.

    Args:
        recorder: Where.
        model: The model with its adapter.
        base: `tensors_of` the model before the adapter; what is not of it is the adapter's. None: all is the model's.
        category: Of the model's own tensors.
    """

    def kind(tensor: Any) -> str:
        return category if base is None or id(tensor) in base else "adapter"

    for parameter in model.parameters():
        _call(recorder, parameter, kind(parameter))
        for tensor in scales_of(parameter):
            _call(recorder, tensor, category)
        if parameter.requires_grad:
            parameter.register_post_accumulate_grad_hook(lambda p: recorder.call_it(p.grad, "gradients"))
    for module in model.modules():  # a 4-bit weight that FSDP2 cut has its scales on the module only
        for tensor in scales_of(module):
            _call(recorder, tensor, category)
    for buffer in model.buffers():
        _call(recorder, buffer, kind(buffer))


def see_state(recorder: Recorder, optimizer: Any) -> None:
    """Name the tensors of an optimiser's state, behind its step."""
    recorder.steps.append(len(recorder.events))
    for state in optimizer.state.values():
        for value in state.values():
            if isinstance(value, torch.Tensor):
                recorder.call_it(local(value), "optimizer state")


def see_gradients(recorder: Recorder, model: Any) -> None:
    """Name the gradients that are there: FSDP2 sets them, and no hook of a parameter runs."""
    for parameter in model.parameters():
        if parameter.grad is not None:
            recorder.call_it(local(parameter.grad), "gradients")


def local(tensor: Any) -> Any:
    """What this rank has of a tensor that is cut over several."""
    return getattr(tensor, "_local_tensor", tensor)


def _call(recorder: Recorder, tensor: Any, category: str) -> None:
    recorder.see(local(tensor), "setup")
    recorder.call_it(local(tensor), category)


@contextmanager
def named_modules(recorder: Recorder, model: Any) -> Iterator[None]:
    """Tell the recorder which module runs, and where the loss's backward ends and the layers' begins."""
    from torch.nn.modules import module as hooks

    names = {id(part): name for name, part in model.named_modules()}
    below = id(backbone(model))

    def enter(part: Any, args: Any) -> None:
        recorder.modules.append(names.get(id(part), ""))

    def leave(part: Any, args: Any, out: Any) -> None:
        if recorder.modules:
            recorder.modules.pop()
        if id(part) == below:
            hidden = out[0] if isinstance(out, tuple) else getattr(out, "last_hidden_state", None)
            if isinstance(hidden, torch.Tensor) and hidden.requires_grad:
                hidden.register_hook(lambda gradient: _loss_is_done(recorder))

    handles = [hooks.register_module_forward_pre_hook(enter), hooks.register_module_forward_hook(leave)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def backbone(model: Any) -> Any:
    """The part of a language model below its head, without PEFT's wrapper."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return getattr(inner, getattr(inner, "base_model_prefix", ""), inner)


def _loss_is_done(recorder: Recorder) -> None:
    if recorder.phase == LOSS_BACKWARD:
        recorder.phase = BACKWARD


def name_trainer_phases(recorder: Recorder, trainer: Any) -> None:
    """Wrap the calls of a trainer's step, so that the recorder knows its phase."""

    def around(owner: Any, name: str, phase: str, after: Callable[[], None] | None = None) -> None:
        original = getattr(owner, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with recorder.during(phase):
                out = original(*args, **kwargs)
            if after is not None:
                after()
            return out

        setattr(owner, name, wrapped)

    around(trainer, "compute_loss", FORWARD)
    around(trainer.accelerator, "backward", LOSS_BACKWARD, lambda: see_gradients(recorder, trainer.model))
    around(trainer.accelerator, "clip_grad_norm_", OPTIMIZER)
    create = trainer.create_optimizer

    def created(*args: Any, **kwargs: Any) -> Any:
        optimizer = create(*args, **kwargs)
        around(optimizer, "step", OPTIMIZER, lambda: see_state(recorder, optimizer))
        return optimizer

    trainer.create_optimizer = created
