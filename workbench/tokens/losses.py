"""Per-token loss of a batch, from a forward of its own: `loss[b, t]` in nats of token t given those before it.

    token_losses(model, batch["input_ids"], position_ids=batch["position_ids"])      packed: no attention mask
    token_losses(model, batch["input_ids"], attention_mask=batch["attention_mask"])  padded

TRL's training forward never builds logits, so nothing can be read off it. A packed batch must go in without cache and
without mask: only then does transformers keep its documents apart (trl 1.16 and transformers 5.23; with either of them
the logits are another model's). Mode and autocast are the caller's; the random state stays as it was.
"""

from __future__ import annotations

import contextlib
import inspect
from typing import Any

from workbench.errors import ModelError

CHUNK_NUMBERS = 1 << 25
"""Logits that are built at a time (128 MB in float32)."""


def token_losses(
    model: Any, input_ids: Any, *, position_ids: Any = None, attention_mask: Any = None, base: bool = False
) -> Any:
    """Loss of each token given those before it in its document.

    Args:
        model: A causal language model of transformers, or a PeftModel around one.
        input_ids: (B, T) integer tensor on the model's device.
        position_ids: (B, T); where they do not go on by one, another document begins. Packed batches need them.
        attention_mask: (B, T), 0 where padding; not for packed batches.
        base: Ask the model under the adapter instead (PEFT only).

    Returns:
        (B, T) float32 tensor in nats; nan for the first column, for the first token of each document, for padding and
        for what follows padding. Row sums are those of the labels `input_ids`, unshifted.

    Raises:
        ModelError: WB696 for `base` without an adapter, or for an adapter that adds tokens of its own.
    """
    import torch

    with torch.no_grad(), _adapter_off(model) if base else contextlib.nullcontext():
        causal = _causal(model)
        arguments = {"input_ids": input_ids, "position_ids": position_ids, "attention_mask": attention_mask}
        given = {name: value for name, value in arguments.items() if value is not None}
        states, logits = _forward(causal, given)
        per_token = _losses(causal, states, logits, input_ids[:, 1:])
    out = torch.full(input_ids.shape, float("nan"), dtype=torch.float32, device=per_token.device)
    out[:, 1:] = per_token
    return out.masked_fill(_without_predecessor(input_ids, position_ids, attention_mask).to(out.device), float("nan"))


def _adapter_off(model: Any) -> contextlib.AbstractContextManager[Any]:
    if not hasattr(model, "disable_adapter"):
        raise ModelError(
            f"{type(model).__name__} has no adapter, so there is no base model beside it.",
            remedy="Load the base model and ask that.",
            code="WB696",
        )
    return model.disable_adapter()


def _causal(model: Any) -> Any:
    """The language model inside a PeftModel; its adapter layers stay in place."""
    if not hasattr(model, "get_base_model"):
        return model
    if model.active_peft_config.is_prompt_learning:
        raise ModelError(
            f"{type(model.active_peft_config).__name__} puts tokens of its own before each row.",
            remedy="Losses by token are there for LoRA and for full fine-tuning.",
            code="WB696",
        )
    return model.get_base_model()


def _forward(causal: Any, given: dict[str, Any]) -> tuple[Any, Any]:
    """Last hidden states (B, T, H), and the model's own logits: of the last position, or of all where it must."""
    kept: list[Any] = []
    hook = causal.base_model.register_forward_hook(lambda _module, _args, output: kept.append(output[0]))
    short = {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(causal.forward).parameters else {}
    try:
        logits = _logits(causal, given, short)
        whole = given["input_ids"].shape[1]
        if logits.shape[1] < whole and not _is_plain_head(causal, kept[-1][:, -1:], logits):
            kept.clear()
            logits = _logits(causal, given, {})
    finally:
        hook.remove()
    return kept[-1], logits


def _logits(causal: Any, given: dict[str, Any], more: dict[str, Any]) -> Any:
    """One forward; the random state is afterwards what it was, so that a second one draws the same dropout."""
    import torch

    device = given["input_ids"].device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        return causal(**given, use_cache=False, **more).logits


def _is_plain_head(causal: Any, states: Any, logits: Any) -> bool:
    """Whether logits are the output embedding of the last hidden state and nothing more (no soft cap, no scale)."""
    import torch

    head = causal.get_output_embeddings()
    return head is not None and torch.equal(head(states).to(logits.dtype), logits)


def _losses(causal: Any, states: Any, logits: Any, targets: Any) -> Any:
    """(B, T - 1) losses; logits are built a few positions at a time unless they are there already."""
    import torch
    from torch.nn.functional import cross_entropy

    head = causal.get_output_embeddings()
    whole = logits.shape[1] == states.shape[1]
    step = max(1, CHUNK_NUMBERS // (logits.shape[0] * logits.shape[-1]))
    parts: list[Any] = []
    for start in range(0, targets.shape[1], step):
        span = slice(start, min(start + step, targets.shape[1]))
        piece = logits[:, span] if whole else head(states[:, span])
        wanted = targets[:, span].to(piece.device)
        parts.append(cross_entropy(piece.float().transpose(1, 2), wanted, reduction="none"))
    if not parts:
        return torch.zeros((targets.shape[0], 0), device=logits.device)
    return torch.cat(parts, dim=1)


def _without_predecessor(input_ids: Any, position_ids: Any, attention_mask: Any) -> Any:
    """(B, T) bool: tokens that no token of their document comes before, and padding."""
    import torch

    out = torch.zeros(input_ids.shape, dtype=torch.bool, device=input_ids.device)
    out[:, :1] = True
    if position_ids is not None:
        out[:, 1:] |= position_ids[:, 1:] != position_ids[:, :-1] + 1
    if attention_mask is not None:
        out |= attention_mask == 0
        out[:, 1:] |= attention_mask[:, :-1] == 0
    return out
