"""What may be said of a run beside its recipe, for the closed form and for the trace alike.

    settings, notes = settings_of(recipe, batch, "cuda", {"attention": "flash_attention_2", "adapter": "qlora"})

Options are the fields of `workbench.memory.plan.Plan`, with `task` for its `method`, `alloc_conf` for
PYTORCH_CUDA_ALLOC_CONF, `loss`, and those of several devices.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal

from workbench.adapters import QUANTISATIONS
from workbench.errors import RecipeError
from workbench.memory.between import ARGUMENTS, SHARED, between_steps
from workbench.memory.kernels import WORDS, check_kernels, fused_of, said_kernels
from workbench.memory.online import Online
from workbench.memory.plan import ATTENTIONS, COMPILED, METHODS, Plan, check_counts, with_options
from workbench.memory.settings import AnalyticSettings, BatchShape, Runtime
from workbench.memory.sharded import sharding_of
from workbench.memory.sharding_packed import STORAGES
from workbench.recipes import Recipe

DEVICES = ("world", "sharding", "offload")
"""Options that ask for several devices."""

SPREAD = (*DEVICES, "bnb_4bit_quant_storage")
"""Options that say how a run is spread over them."""

APART = ("task", "alloc_conf", "loss")
"""Options that are no fields of a plan."""

NAMES = (
    *APART,
    *SPREAD,
    *(item.name for item in fields(Plan) if item.name not in ("method", "recipe", "config", *SPREAD)),
)
"""Every option there is."""

LOSSES = ("fused", "logits")
"""TRL's head in tiles, or all logits at once, as transformers' own Trainer makes them."""

_BYTES: Mapping[str, int] = {"bfloat16": 2, "float16": 2, "float32": 4}
_IN_FORMULA = frozenset(
    """attention quantisation float32_rest dtype autocast padded loop kernels activation_offloading prompt
    arguments images image_tokens""".split()
) | {*SHARED, *APART}


def check_options(options: Mapping[str, Any]) -> None:
    """Refuse an option that does not exist, and values that no run has.

    Raises:
        RecipeError: WB815, with the nearest name; WB820 for a world of no size.
    """
    for name in options:
        if name not in NAMES:
            near = difflib.get_close_matches(name, NAMES, n=1)
            raise RecipeError(
                f"A traced estimate has no option {name!r}." if not near else f"An estimate has no option {name!r}.",
                remedy=f"Did you mean {near[0]!r}?" if near else f"It has {', '.join(NAMES)}.",
                code="WB815",
            )
    check_counts(options)
    check_kernels(said_kernels(options))
    spread: dict[str, Any] = {name: options[name] for name in SPREAD if options.get(name) is not None}
    sharding_of(AnalyticSettings(**spread))
    if options.get("task", "sft") not in METHODS:
        raise RecipeError(f"task={options['task']!r} is not known.", remedy=f"Use {', '.join(METHODS)}.", code="WB810")
    if options.get("loss", "fused") not in LOSSES:
        raise RecipeError(f"loss={options['loss']!r} is not known.", remedy=f"Use {', '.join(LOSSES)}.", code="WB815")
    storage = options.get("bnb_4bit_quant_storage")
    if storage is not None and storage not in STORAGES:
        raise RecipeError(
            f"bnb_4bit_quant_storage={storage!r} is not known.", remedy=f"Use {', '.join(STORAGES)}.", code="WB815"
        )
    quantisation = options.get("quantisation")
    if quantisation is not None and quantisation not in QUANTISATIONS:
        raise RecipeError(
            f"quantisation={quantisation!r} is not known.", remedy=f"Use {', '.join(QUANTISATIONS)}.", code="WB815"
        )


def plan_changes(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as fields of a plan: `task` is its `method`, and what concerns several devices is not its own."""
    found = {name: value for name, value in options.items() if name not in (*DEVICES, *APART)}
    if found.get("quantisation") == "none":
        found["quantisation"] = None
    if options.get("loss") == "logits" and options.get("task", "sft") == "sft":
        found.setdefault("loop", "transformers")
    return {**found, "method": options["task"]} if "task" in options else found


def settings_of(
    recipe: Recipe, batch: BatchShape, device: Literal["cuda", "cpu"], options: Mapping[str, Any]
) -> tuple[AnalyticSettings, list[str]]:
    """Settings of the closed form, and sentences for options that it does not use.

    Raises:
        RecipeError: For an adapter that only a trace knows (WB810), or an option that does not exist (WB815).
    """
    check_options(options)
    changes: dict[str, Any] = {}
    recipe = with_options(recipe, options)
    changes |= _types(options)
    if options.get("attention"):
        if options["attention"] not in ATTENTIONS:
            raise RecipeError(
                f"Attention {options['attention']!r} is not known.", remedy=f"Use {', '.join(ATTENTIONS)}.",
                code="WB810",
            )  # fmt: skip
        changes["attention"] = options["attention"]
    changes |= {name: options[name] for name in SPREAD if options.get(name) is not None}
    changes |= {name: options[name] for name in ("images", "image_tokens") if options.get(name)}
    if options.get("task"):
        changes["method"] = options["task"]
    if "padded" in options:
        changes["masked"] = bool(options["padded"])
    if options.get("loop") in ("plain", "transformers"):
        changes |= {"loss": "logits", "outputs_kept": options["loop"] == "plain"}
    if options.get("loss"):
        changes["loss"] = options["loss"]
    changes |= _kernels(options)
    changes |= between_steps(options, batch.rows, int(options.get("world") or 1))
    runtime = Runtime.of(recipe, device)
    settings = AnalyticSettings.of(recipe, batch, runtime, **changes)
    left = {name: options[name] for name in sorted(set(options) - _IN_FORMULA - {"adapter", *SPREAD})}
    arguments: Mapping[str, Any] = options.get("arguments") or {}
    left |= {name: arguments[name] for name in sorted(set(arguments) - ARGUMENTS)}
    compiled = [COMPILED] if left.pop("torch_compile", False) else []
    unused = [f"the formula does not use {name}={value!r}; --method trace does" for name, value in left.items()]
    return settings, [*kernel_notes(settings), *_generated(settings), *compiled, *unused]


def _generated(settings: AnalyticSettings) -> list[str]:
    """What is taken for granted about answers that are generated."""
    if not settings.online:
        return []
    found = Online.of(settings)
    return [f"{found.rows} answers are generated at once: {found.prompt} tokens of prompt, {found.answer} of answer"]


def _types(options: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "float32_rest" in options:
        found["float32_rest"] = bool(options["float32_rest"])
    if "dtype" in options:
        if options["dtype"] not in _BYTES:
            raise RecipeError(
                f"dtype={options['dtype']!r} is not known.", remedy=f"Use {', '.join(_BYTES)}.", code="WB815"
            )
        found["weight_bytes"] = _BYTES[options["dtype"]]
    if "autocast" in options:
        found["autocast"] = bool(options["autocast"])
    return found


def _kernels(options: Mapping[str, Any]) -> dict[str, Any]:
    """Kernels of other tools, and what they bring with them."""
    words = said_kernels(options)
    found: dict[str, Any] = {"kernels": words} if words else {}
    if fused_of(words).maskless:
        found |= {"attention": "flash_attention_2", "masked": False}
    if "activation_offloading" in options:
        found["activation_offloading"] = bool(options["activation_offloading"])
    return found


def kernel_notes(settings: AnalyticSettings) -> list[str]:
    """What kernels and offloading take for granted, in sentences."""
    found = [
        f"{WORDS[word].tool}'s kernels ({word}) are modelled from their source, not measured"
        for word in settings.kernels
    ]
    if "unsloth" in settings.kernels and settings.full:
        found.append("Unsloth trains all weights with compiled modules: only its loss and its checkpointing are shown")
    if settings.kernels and settings.method != "sft" and fused_of(settings.kernels).loss:
        found.append(f"the loss of {settings.method} is shown as the kernel's, over all positions")
    if settings.activation_offloading:
        found.append("offloaded activations lie in pinned host memory, which the figures do not count")
    return found
