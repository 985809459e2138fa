"""Kernels of other tools: the words for them, and what each takes the place of.

    fused = fused_of(("unsloth",))
    fused.norms, fused.mlp, fused.loss

A word stands for one or several replacements. Pure values, which the closed form, the trace and the readers of other
tools' configs share.

Sources, read at these revisions: Liger-Kernel ead96b61, axolotl 067b021c, unsloth 015bdef0, unsloth-zoo ce232d6c,
ml-cross-entropy d42911f9; docs/memory.md says what each keeps, and where that is written.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from workbench.errors import RecipeError

LossKernel = Literal["", "liger", "cut", "chunked", "in place"]


@dataclass(frozen=True, slots=True)
class Fused:
    """What kernels replace.

    Attributes:
        norms: Root mean square norms keep their input as it is, and one number a token.
        glu: The gate's activation and product as one: gate and up are kept.
        mlp: All three products of the MLP with their LoRA as one: its input, gate and up are kept.
        qkv: Queries, keys and values with their LoRA as one: their input is kept.
        o: The output projection with its LoRA as one.
        loss: `liger` and `chunked` make logits in chunks and their gradients at once, `cut` makes none, `in place`
            makes all of them and overwrites them with their gradient.
        plain: Whether the LoRA kernels take no DoRA, no dropout and no bias: then PEFT's layers stay.
        copies: Whether the LoRA kernels keep the adapter in the activations' type.
        beside: Whether LoRA's product has a tensor of its own before it is added.
        maskless: Whether attention runs without a mask, by flash attention.
        stays: Inputs of layers, or kept tensors, that are on the device at once where activations are offloaded.
    """

    norms: bool = False
    glu: bool = False
    mlp: bool = False
    qkv: bool = False
    o: bool = False
    loss: LossKernel = ""
    plain: bool = False
    copies: bool = False
    beside: bool = False
    maskless: bool = False
    stays: int = 5


@dataclass(frozen=True, slots=True)
class Word:
    """A word for kernels, with what it replaces: fields of `Fused` by name."""

    tool: str
    fields: Mapping[str, object] = field(default_factory=dict[str, object])


LORA = {"mlp": True, "qkv": True, "o": True}

WORDS: Mapping[str, Word] = {
    "liger": Word("Liger", {"norms": True, "glu": True}),
    "liger_rms_norm": Word("Liger", {"norms": True}),
    "liger_glu": Word("Liger", {"glu": True}),
    "liger_cross_entropy": Word("Liger", {"loss": "liger"}),
    "cut_cross_entropy": Word("cut cross entropy", {"loss": "cut"}),
    "unsloth": Word(
        "Unsloth",
        {"norms": True, **LORA, "loss": "chunked", "plain": True, "maskless": True, "stays": 2},
    ),
    "unsloth_2024": Word(
        "Unsloth (before 2025-03)",
        {"norms": True, **LORA, "loss": "in place", "plain": True, "maskless": True, "stays": 2, "beside": True},
    ),
    "unsloth_gc": Word("Unsloth", {"stays": 1}),
    "lora_mlp": Word("axolotl", {"mlp": True, "copies": True}),
    "lora_qkv": Word("axolotl", {"qkv": True, "copies": True}),
    "lora_o": Word("axolotl", {"o": True, "copies": True}),
}
"""Rotary kernels are not among them: they change no tensor that is kept. Where several words name a loss, the last
one counts: `("unsloth_2024", "cut_cross_entropy")` is Unsloth of January 2025 (0a2c3973), `unsloth_2024` that of April
2024 (6dad5dd9); its LoRA adds in place since 2025-03-01 (4f166026).

What stays while activations are offloaded: TRL's stash of 5 tensors (trl 1.16, models/activation_offloading.py);
Unsloth's buffer and the last layer's input, which never leaves (unsloth-zoo, gradient_checkpointing.py); one in its
first form, which LLaMA-Factory and axolotl have taken over."""


def kernel_words(given: Any) -> tuple[str, ...]:
    """Words as given: a list of them, or one text with commas."""
    if isinstance(given, str):
        given = [word.strip() for word in given.split(",") if word.strip()]
    return tuple(str(word) for word in given or ())


def said_kernels(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Words of an estimate's options: `kernels`, and Liger's where `arguments` have TRL's use_liger_kernel."""
    arguments: Mapping[str, Any] = options.get("arguments") or {}
    words = kernel_words(options.get("kernels"))
    return ("liger", *words) if arguments.get("use_liger_kernel") and "liger" not in words else words


def check_kernels(words: Iterable[str]) -> None:
    """Refuse a word that is not known.

    Raises:
        RecipeError: WB815, with the nearest word.
    """
    for word in words:
        if word not in WORDS:
            near = difflib.get_close_matches(str(word), WORDS, n=1)
            raise RecipeError(
                f"kernels names {word!r}, which is not known.",
                remedy=f"Did you mean {near[0]!r}?" if near else f"Use {', '.join(WORDS)}.",
                code="WB815",
            )


def fused_of(words: Iterable[str]) -> Fused:
    """What words replace together; a later word's loss takes the place of an earlier one's."""
    found: dict[str, object] = {}
    for word in words:
        found |= WORDS[word].fields
    return Fused(**found)  # pyright: ignore[reportArgumentType]
