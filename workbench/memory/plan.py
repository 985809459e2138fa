"""What a trace runs: a recipe, made concrete. Plain values, so that it can be sent to another process.

plan = Plan.of(recipe, config, lengths=[[512, 480]])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from workbench.errors import RecipeError
from workbench.memory.kernels import check_kernels, fused_of, said_kernels
from workbench.recipes import Recipe

METHODS = ("sft", "dpo", "kto", "reward", "orpo", "cpo", "grpo", "rloo")
ONLINE = ("grpo", "rloo")
"""Methods that generate their answers."""
GENERATORS = ("transformers", "vllm")
LOOPS = ("trainer", "transformers", "plain")
ATTENTIONS = ("sdpa", "eager", "flash_attention_2")


@dataclass(frozen=True, slots=True)
class Plan:
    """A run's steps, as far as memory depends on them.

    Attributes:
        config: Values of config.json.
        recipe: `Recipe.to_dict()`.
        batches: Row lengths in tokens of every micro batch, in order; repeated where the steps need more.
        method: sft, dpo, kto or reward. A dpo row is one pair, a kto row one answer (with its KL twin).
        adapter: PEFT config as a mapping with `peft_type`; None trains all weights.
        quantisation: `nf4`, `int8` or None.
        float32_rest: Whether what is not quantised becomes float32 (PEFT's prepare_model_for_kbit_training).
        dtype: Of the base weights.
        autocast: bfloat16 autocast, the trainer's `bf16=True`.
        attention: transformers' `attn_implementation`.
        device: `cuda` takes CUDA's kernels and rounding, `cpu` what the CPU does.
        loop: `trainer` is TRL's, `transformers` its base (sft only), which makes all logits; `plain` a loop
            over the model's own loss, whose outputs stay referenced.
        reentrant: Kind of gradient checkpointing.
        scored_share: Share of positions that have a label.
        padded: Whether attention gets a mask for padding.
        packed: Whether rows hold several documents (`padding_free`).
        documents: Tokens of a document in packed rows.
        steps: Optimiser steps; the first one creates the optimiser's state.
        empties_cache: Whether torch.cuda.empty_cache() follows every step of a plain loop.
        prompt: Tokens of the prompt where answers are generated; half of the longest row if None. A row is prompt and
            answer.
        generator: `transformers` is `model.generate` with its cache; `vllm` an engine in the same process.
        vllm_bytes: What that engine holds of the device: its share of the card (vllm_gpu_memory_utilization).
        vllm_sleeps: Whether it gives its memory back while TRL trains (vllm_enable_sleep_mode).
        images: Images in every row of a vision model; a row's length counts their tokens.
        image_tokens: Tokens of an image where the family leaves its size free.
        arguments: Further fields of the trainer's config.
        per_device_eval_batch_size: Rows of a batch of the evaluation that follows the last step; 0 does not evaluate.
        samples: Prompts that are answered before the first step and between the steps, one at a time; 0 is none.
        sample_prompt: Tokens of such a prompt, chat template included.
        sample_tokens: New tokens of its answer.
        autocast_adapter: Whether PEFT makes adapters float32 over narrower weights; always so but in a plain loop.
        kernels: Words of `workbench.memory.kernels`: what other tools' kernels replace.
        activation_offloading: Whether what is kept for backward waits in host memory (TRL's SFTConfig).
        world: Ranks of the run; the traced process stands for the first.
        sharding: `none`, `ddp` or `fsdp`: torch's own wrapper around the model.
        bnb_4bit_quant_storage: Type that 4-bit weights are packed into.
    """

    config: Mapping[str, Any]
    recipe: Mapping[str, Any]
    batches: Sequence[Sequence[int]]
    method: str = "sft"
    adapter: Mapping[str, Any] | None = None
    quantisation: str | None = None
    float32_rest: bool = False
    dtype: str = "bfloat16"
    autocast: bool = True
    attention: str = "sdpa"
    device: str = "cuda"
    loop: str = "trainer"
    reentrant: bool = False
    scored_share: float = 1.0
    padded: bool = True
    packed: bool = False
    documents: int = 512
    steps: int = 2
    empties_cache: bool = False
    prompt: int | None = None
    generator: str = "transformers"
    vllm_bytes: int = 0
    vllm_sleeps: bool = False
    images: int = 0
    image_tokens: int | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    per_device_eval_batch_size: int = 0
    samples: int = 0
    sample_prompt: int = 64
    sample_tokens: int = 64
    autocast_adapter: bool = True
    kernels: Sequence[str] = ()
    activation_offloading: bool = False
    world: int = 1
    sharding: str = "none"
    bnb_4bit_quant_storage: str = "uint8"

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise RecipeError(
                f"Steps of method {self.method!r} are not traced yet.",
                remedy=f"Traced are {', '.join(METHODS)}.",
                code="WB810",
            )
        if self.loop not in LOOPS or (self.loop == "transformers" and self.method != "sft"):
            raise RecipeError(
                f"A {self.method} step in the loop {self.loop!r} is not traced.",
                remedy=f"Use one of {', '.join(LOOPS)}; transformers is for sft.",
                code="WB810",
            )
        if self.attention not in ATTENTIONS:
            raise RecipeError(
                f"Attention {self.attention!r} is not traced.",
                remedy=f"Use one of {', '.join(ATTENTIONS)}.",
                code="WB810",
            )
        if not self.autocast_adapter and self.loop != "plain":
            raise RecipeError(
                f"An adapter in its weights' type is not traced in the loop {self.loop!r}.",
                remedy="Use loop='plain'; trainers leave PEFT's autocast_adapter_dtype on.",
                code="WB810",
            )
        check_kernels(self.kernels)
        if self.generator not in GENERATORS or (self.generator == "vllm" and self.vllm_bytes <= 0):
            raise RecipeError(
                f"Generation by {self.generator!r} with {self.vllm_bytes} bytes is not traced.",
                remedy="Use transformers, or vllm with vllm_bytes: its share of the card, 0.3 of it in TRL.",
                code="WB810",
            )
        if not self.batches or not all(batch and min(batch) >= 2 for batch in self.batches):
            raise RecipeError("A traced batch needs rows of at least two tokens.", code="WB806")
        check_counts({name: getattr(self, name) for name in COUNTS})
        if self.samples and self.method == "reward":
            raise RecipeError("A model with a score answers no prompt.", remedy="Use samples=0.", code="WB815")

    @classmethod
    def of(cls, recipe: Recipe, config: Mapping[str, Any], batches: Sequence[Sequence[int]], **changes: Any) -> Plan:
        """The plan of a recipe, trained as `recipe.launch` does.

        Args:
            recipe: What is trained and how.
            config: Values of the model's config.json.
            batches: Row lengths of micro batches; two steps run, so the largest belongs at the end.
            changes: Further fields.

        Of a step's micro batches two are run: they show all that accumulation adds.

        Source: workbench.training.trainer_setup (precision, adapter).
        """
        device = str(changes.get("device", "cuda"))
        recipe = with_options(recipe, changes)
        low = recipe.precision == "bfloat16" or (recipe.precision == "auto" and device == "cuda")
        steps = recipe.gradient_accumulation_steps
        if changes.get("method") not in ONLINE:  # these generate for all micro batches at once
            steps = min(steps, 2)
        values: dict[str, Any] = {
            "float32_rest": recipe.float32_rest,
            "dtype": "float32" if recipe.full or not low else "bfloat16",
            "autocast": low,
            "padded": any(min(batch) != max(batch) for batch in batches),
            "packed": recipe.packing != "none",
            **changes,
            "adapter": recipe.peft,
            "quantisation": None if recipe.quantised == "none" else recipe.quantised,
        }
        values |= {"kernels": said_kernels(values), "arguments": _without_liger(values.get("arguments") or {})}
        check_kernels(values["kernels"])
        if fused_of(values["kernels"]).maskless:
            values |= {"attention": "flash_attention_2", "padded": False}
        run = {**recipe.to_dict(), "gradient_accumulation_steps": steps}
        if values["packed"]:  # the rows of a packed batch arrive as one
            run["per_device_train_batch_size"] = len(batches[-1])
        return cls(dict(config), run, batches, **values)

    @property
    def micro_batches(self) -> int:
        """Micro batches of an optimiser step."""
        return int(self.recipe.get("gradient_accumulation_steps", 1))

    @property
    def rows(self) -> int:
        """Rows of the largest micro batch."""
        return max(len(batch) for batch in self.batches)

    @property
    def prompt_tokens(self) -> int:
        """Tokens of a prompt where answers are generated."""
        longest = max(max(batch) for batch in self.batches)
        return longest // 2 if self.prompt is None else min(self.prompt, longest - 1)

    @property
    def completion(self) -> int:
        """Tokens of an answer where answers are generated."""
        return max(max(batch) for batch in self.batches) - self.prompt_tokens

    def documents_of(self, length: int) -> list[int]:
        """Lengths of the documents of a packed row."""
        whole, rest = divmod(length, self.documents)
        return [self.documents] * whole + ([rest] if rest else [])

    def to_dict(self) -> dict[str, Any]:
        """Plain values, JSON-ready."""
        return {**asdict(self), "kernels": list(self.kernels)}


COMPILED = (
    "the step is taken as not compiled: torch.compile keeps other tensors for backward, in small models on the CPU 13"
    " to 32 % fewer bytes (docs/memory.md), so the figures are most likely too high"
)
"""What an estimate says of `torch_compile`."""

COUNTS: Mapping[str, int] = {
    "per_device_eval_batch_size": 0,
    "samples": 0,
    "sample_prompt": 1,
    "sample_tokens": 1,
    "images": 0,
    "image_tokens": 1,
}
"""Options that count, with the least that each may be."""


def check_counts(options: Mapping[str, Any]) -> None:
    """Refuse what is no whole number, or too small a one, where an option counts.

    Raises:
        RecipeError: WB815.
    """
    for name, least in COUNTS.items():
        value = options.get(name, least)
        if value is None and name == "image_tokens":  # the family's own
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise RecipeError(
                f"{name}={value!r} is out of range.", remedy=f"A whole number of at least {least}.", code="WB815"
            )


def _without_liger(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments without TRL's switch for Liger, which `kernels` says."""
    return {name: value for name, value in arguments.items() if name != "use_liger_kernel"}


def with_options(recipe: Recipe, options: Mapping[str, Any]) -> Recipe:
    """The recipe with the adapter and the quantisation that options say instead.

    Raises:
        RecipeError: As a recipe with them (WB402).
    """
    said = {name: options[name] for name in ("adapter", "quantisation") if name in options}
    if said.get("quantisation", "") is None:
        said["quantisation"] = "none"
    if said.get("quantisation") == "nf4" and said.get("adapter", recipe.adapter) == "qlora":
        del said["quantisation"]  # is said by the word
    return recipe.with_(**said)
