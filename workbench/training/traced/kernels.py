"""Kernels of other tools in a traced model: their stand-ins take the place of transformers' and PEFT's code."""

from __future__ import annotations

from types import MethodType
from typing import Any
from unittest import mock

import torch.nn.functional as F

from workbench.errors import RecipeError
from workbench.memory.kernels import Fused, fused_of
from workbench.memory.plan import Plan
from workbench.training.traced.fused_heads import with_loss
from workbench.training.traced.fused_layers import Adapted, GatedProduct, JoinedMLP, JoinedProjections, Norm
from workbench.training.traced.naming import backbone
from workbench.training.traced.offloading import LayerInputs, offloading_patches
from workbench.training.traced.recorder import Recorder

MLP, QKV = ("gate_proj", "up_proj", "down_proj"), ("q_proj", "k_proj", "v_proj")


def check_traceable(plan: Plan) -> None:
    """Refuse what has no stand-in.

    Raises:
        RecipeError: WB810.
    """
    fused = fused_of(plan.kernels)
    adapter = plan.adapter or {}
    lora = fused.mlp or fused.qkv or fused.o
    what = ""
    if fused.loss and plan.method != "sft":
        what = f"the loss of {', '.join(plan.kernels)} with method {plan.method}"
    elif lora and not fused.plain and adapter.get("use_dora"):
        what = "LoRA kernels with DoRA"
    elif plan.activation_offloading and plan.loop == "plain" and not fused.plain:
        what = "TRL's activation offloading in a plain loop"
    if what:
        raise RecipeError(
            f"{what[0].upper()}{what[1:]} cannot be traced.", remedy="The formula (method='analytic') knows it.",
            code="WB810",
        )  # fmt: skip


def patches(plan: Plan, recorder: Recorder) -> list[Any]:
    """What is replaced while the trainer is built and runs: checkpoints and offloading."""
    fused = fused_of(plan.kernels)
    unsloth = fused.plain or "unsloth_gc" in plan.kernels
    if unsloth and plan.recipe.get("gradient_checkpointing"):
        import transformers.modeling_utils as place

        layers = int(plan.config.get("num_hidden_layers", 1))
        inputs = LayerInputs(layers, fused.plain, plan.activation_offloading)
        return [mock.patch.object(place, "checkpoint", inputs.checkpoint)]
    return offloading_patches(recorder.empty_cache) if plan.activation_offloading else []


def offloads_by_trl(plan: Plan) -> bool:
    """Whether TRL's own offloading runs."""
    fused = fused_of(plan.kernels)
    unsloth = (fused.plain or "unsloth_gc" in plan.kernels) and plan.recipe.get("gradient_checkpointing")
    return plan.activation_offloading and not unsloth


def substitute(plan: Plan, model: Any, notes: list[str]) -> None:
    """Put the stand-ins of a plan's kernels into a model with its adapter.

    Args:
        plan: Its kernels.
        model: The model as the trainer has it.
        notes: Gets a sentence.
    """
    if not plan.kernels:
        return
    fused = fused_of(plan.kernels)
    adapter = plan.adapter or {}
    refused = fused.plain and (bool(adapter.get("lora_dropout")) or bool(adapter.get("use_dora")) or not adapter)
    tool = "unsloth" if fused.plain else "liger"
    for module in list(model.modules()):
        if fused.norms and type(module).__name__.endswith("RMSNorm") and not (fused.plain and not adapter):
            _norm(module, tool)
        if refused:
            continue
        if fused.mlp and _adapted(module, MLP, fused):
            _mlp(module, fused)
        elif fused.glu and all(hasattr(module, name) for name in (*MLP, "act_fn")):
            module.forward = MethodType(_gated, module)
        if fused.qkv and _adapted(module, QKV, fused):
            _qkv(module, fused)
        if fused.o and _adapted(module, ("o_proj",), fused):
            _projection(module.o_proj, fused)
    if fused.loss:
        inner = model.get_base_model() if hasattr(model, "get_base_model") else model
        inner.forward = with_loss(inner, backbone(model), fused.loss)
    notes.append(f"kernels {', '.join(plan.kernels)}: stand-ins allocate what their source allocates")


def _adapted(module: Any, names: tuple[str, ...], fused: Fused) -> bool:
    found = [getattr(module, name, None) for name in names]
    if any(part is None or not getattr(part, "lora_A", None) for part in found):
        return False
    return not (fused.plain and any(part.base_layer.bias is not None for part in found))


def _norm(module: Any, tool: str) -> None:
    module.forward = lambda x: Norm.apply(x, module.weight, tool)


def _gated(self: Any, x: Any) -> Any:
    return self.down_proj(GatedProduct.apply(self.gate_proj(x), self.up_proj(x)))


def _dropped(module: Any, x: Any) -> Any:
    """The input that LoRA sees, where it drops some of it."""
    p = next(iter(module.lora_dropout.values()))
    return F.dropout(x, p.p, True) if hasattr(p, "p") else None


def _weights(parts: tuple[Adapted, ...]) -> list[Any]:
    return [weight for part in parts for weight in (part.a, part.b)]


def _mlp(module: Any, fused: Fused) -> None:
    parts = tuple(Adapted.of(getattr(module, name), fused.beside) for name in MLP)

    def forward(x: Any) -> Any:
        return JoinedMLP.apply(x, _dropped(module.gate_proj, x), parts, fused.copies, *_weights(parts))

    module.forward = forward


def _projection(module: Any, fused: Fused) -> None:
    parts = (Adapted.of(module, fused.beside),)

    def forward(x: Any) -> Any:
        return JoinedProjections.apply(x, _dropped(module, x), parts, fused.copies, *_weights(parts))

    module.forward = forward


def _qkv(module: Any, fused: Fused) -> None:
    """All three are made where queries are asked for; keys and values wait until they are."""
    parts = tuple(Adapted.of(getattr(module, name), fused.beside) for name in QKV)
    waiting: list[Any] = []

    def queries(x: Any) -> Any:
        dropped = _dropped(module.q_proj, x)
        made = JoinedProjections.apply(x, dropped, parts, fused.copies, *_weights(parts))
        waiting[:] = made[1:]
        return made[0]

    module.q_proj.forward = queries
    module.k_proj.forward = lambda x: waiting.pop(0)
    module.v_proj.forward = lambda x: waiting.pop(0)
