"""What the closed form is asked: the batch, how it is computed, and everything of a run that memory depends on.

    settings = AnalyticSettings.of(recipe, BatchShape.of(recipe, longest=1024), Runtime.of(recipe))
    replace(settings, checkpointing=True)

Plain values: `to_dict` is what the sliders' twin in TypeScript takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import floor
from typing import Any, Literal

from workbench.errors import RecipeError
from workbench.memory.adapted import adapted, wanted_fields
from workbench.memory.between import SHARED, between_steps
from workbench.memory.online import Online
from workbench.memory.plan import ONLINE, Plan
from workbench.memory.reached import Own, Reached
from workbench.memory.wanted import Wanted
from workbench.recipes import Recipe

Device = Literal["cuda", "cpu"]
Attention = Literal["sdpa", "flash_attention_2", "eager"]
Loss = Literal["fused", "logits"]


def rounded(size: float) -> int:
    """The nearest whole number, halves up: the rule that the TypeScript twin can follow too."""
    return floor(size + 0.5)


@dataclass(frozen=True, slots=True)
class BatchShape:
    """The largest micro batch of a run on one device.

    Attributes:
        rows: Batch rows (B).
        length: Tokens of a batch row, padding included (S).
        trained: Tokens with a label; None takes all of them, the worst case.
    """

    rows: int
    length: int
    trained: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("rows", self.rows), ("length", self.length)):
            if value < 1:
                raise RecipeError(f"A batch with {name}={value} has no tokens.", code="WB806")

    @classmethod
    def of(cls, recipe: Recipe, longest: int, trained: int | None = None) -> BatchShape:
        """The largest micro batch of a recipe.

        Args:
            recipe: Its batch size, max_length and packing decide.
            longest: Tokens of the longest row of the data.
            trained: Most trained tokens that one micro batch holds.

        Source: TRL 1.16 concatenates the rows of a packed batch into one (padding_free).
        """
        length = longest if recipe.max_length is None else min(longest, recipe.max_length)
        rows = recipe.per_device_train_batch_size
        if recipe.packing == "none":
            return cls(rows, length, trained)
        return cls(1, rows * (length if recipe.max_length is None else recipe.max_length), trained)

    @property
    def tokens(self) -> int:
        """Tokens of the batch, B times S."""
        return self.rows * self.length

    @property
    def scored(self) -> int:
        """Positions whose next token is predicted."""
        return self.tokens if self.trained is None else self.trained


@dataclass(frozen=True, slots=True)
class Runtime:
    """How the step is computed, where the recipe does not say.

    Attributes:
        attention: transformers' `attn_implementation`.
        loss: `fused` is TRL's head in tiles; `logits` makes all of them, as a plain transformers Trainer does.
        weight_bytes: Of one base weight: 2 for bfloat16, 4 for float32.
        autocast: Whether matrix products run in bfloat16 autocast (`bf16=True`).
        masked: Whether attention gets a mask: padded rows, or packed documents without a varlen kernel.
        outputs_kept: Whether the model's outputs (logits, key and value cache) are still referenced during backward.
    """

    device: Device = "cuda"
    attention: Attention = "sdpa"
    loss: Loss = "fused"
    weight_bytes: int = 2
    autocast: bool = True
    masked: bool = True
    outputs_kept: bool = False

    @classmethod
    def of(cls, recipe: Recipe, device: Device = "cuda") -> Runtime:
        """The runtime a recipe leads to on a device: trained base weights stay float32, frozen ones follow `precision`.

        Source: workbench.training.trainer_setup.
        """
        low = recipe.precision == "bfloat16" or (recipe.precision == "auto" and device == "cuda")
        masked = recipe.packing != "none" or recipe.per_device_train_batch_size > 1
        return cls(device=device, weight_bytes=4 if recipe.full or not low else 2, autocast=low, masked=masked)


PAIRS = ("dpo", "orpo", "cpo", "reward")
"""Methods whose row is a pair of sequences."""

ODDS = ("orpo", "cpo")
"""Methods whose trainer in trl.experimental makes all logits."""


@dataclass(frozen=True, slots=True)
class AnalyticSettings:
    """All that the closed form depends on beside the model's shapes.

    Attributes:
        rows: Rows of the largest micro batch; a pair of a preference method is one row.
        length: Tokens of a row.
        scored: Positions whose next token is predicted, over all rows.
        adapter: `none` trains all weights; rsLoRA and QLoRA are `lora`.
        targets: LoRA's target modules, or `all-linear`.
        dropout: Whether LoRA drops inputs.
        quantisation: Of the linear modules' weights: `none`, `nf4` (double quantisation) or `int8`.
        float32_rest: Whether what is not quantised became float32 (PEFT's prepare_model_for_kbit_training).
        low_adapter: Whether the adapter has the activations' bfloat16, as where everything is cut in one type.
        sharding: A strategy of `workbench.memory.sharding_values`, over `world` devices; the batch is that of one.
        offload: What lies in host memory: none, optimizer or parameters.
        kernels: Words of `workbench.memory.kernels`.
        activation_offloading: Whether what is kept for backward waits in host memory.
        bnb_4bit_quant_storage: Type that 4-bit weights are packed into; FSDP2 cuts floating ones only.
        wanted: What an adapter asks for beyond names of modules; None where `targets` say all.
        reached: What that is in the model, once `workbench.memory.reach` found it.
        images: Images in every row; a row's length counts their tokens.
        image_tokens: Tokens of an image where the family leaves its size free.
        prompt: Tokens of a prompt where answers are generated; 0 is half of a row.
        steps_per_generation: Micro batches whose answers are generated at once; 0 is all of a step.
        num_iterations: How often TRL trains on the same answers.
        beta: Weight of the reference's log probabilities; None is what TRL takes for the method.
        generator: `transformers`, or `vllm` for an engine in the same process, with `vllm_bytes` of the card.
        vllm_sleeps: Whether the engine gives its memory back while TRL trains.
        per_device_eval_batch_size: Rows of a batch of an evaluation; 0 evaluates nothing.
        samples: Prompts that are answered between steps, one at a time, of `sample_prompt` tokens with
            `sample_tokens` for the answer; 0 is none.
        precomputed: Whether the reference's log probabilities were computed before (DPO's precompute_ref_log_probs).
        num_generations: Answers a prompt, which divide what is generated at once; 0 is TRL's choice.
        packed_row: Tokens of a row of a packed batch, whose rows arrive as one; 0 where rows are not packed.
    """

    rows: int = 1
    length: int = 1024
    scored: int = 1024
    method: str = "sft"
    adapter: str = "lora"
    rank: int = 16
    targets: tuple[str, ...] | str = "all-linear"
    dropout: bool = False
    quantisation: str = "none"
    float32_rest: bool = False
    checkpointing: bool = False
    accumulation: int = 1
    optim: str = "adamw_torch"
    sharding: str = "none"
    world: int = 1
    offload: str = "none"
    device: str = "cuda"
    attention: str = "sdpa"
    loss: str = "fused"
    weight_bytes: int = 2
    autocast: bool = True
    masked: bool = True
    packed: bool = False
    outputs_kept: bool = False
    low_adapter: bool = False
    kernels: tuple[str, ...] = ()
    activation_offloading: bool = False
    bnb_4bit_quant_storage: str = "uint8"
    wanted: Wanted | None = None
    reached: Reached | None = None
    images: int = 0
    image_tokens: int = 0
    prompt: int = 0
    steps_per_generation: int = 0
    num_iterations: int = 1
    beta: float | None = None
    generator: str = "transformers"
    vllm_bytes: int = 0
    vllm_sleeps: bool = False
    per_device_eval_batch_size: int = 0
    samples: int = 0
    sample_prompt: int = 64
    sample_tokens: int = 64
    precomputed: bool = False
    packed_row: int = 0
    num_generations: int = 0

    @classmethod
    def of(cls, recipe: Recipe, batch: BatchShape, runtime: Runtime | None = None, **changes: Any) -> AnalyticSettings:
        """The settings of a recipe.

        Args:
            recipe: What is trained and how.
            batch: The largest micro batch of the run.
            runtime: How it is computed; None takes what the recipe leads to on a CUDA device.
            changes: Fields that a recipe does not have, such as `quantisation`.
        """
        how = runtime or Runtime.of(recipe)
        values: dict[str, Any] = {
            "rows": batch.rows,
            "length": batch.length,
            "scored": batch.scored,
            "method": recipe.method,
            "rank": recipe.r,
            "targets": recipe.target_modules,
            "dropout": recipe.lora_dropout > 0,
            **adapted(recipe.peft),
            "quantisation": recipe.quantised,
            "float32_rest": recipe.float32_rest,
            "checkpointing": recipe.gradient_checkpointing,
            "accumulation": recipe.gradient_accumulation_steps,
            "optim": recipe.optim,
            "packed": recipe.packing != "none",
            "packed_row": 0 if recipe.packing == "none" else batch.length // recipe.per_device_train_batch_size,
        }
        return cls(**{**values, **asdict(how), **changes})

    @classmethod
    def of_plan(cls, plan: Plan) -> AnalyticSettings:
        """The settings of what a trace would run, so that both answer the same question.

        Args:
            plan: Its last micro batch is taken for the largest.

        Source: workbench.training.traced.steps.
        """
        recipe, rows = plan.recipe, plan.batches[-1]
        adapter: Mapping[str, Any] = plan.adapter or {}
        tokens = len(rows) * max(rows)
        plain = plan.loop == "plain"
        return cls(
            rows=len(rows),
            length=max(rows),
            scored=max(1, rounded(tokens * plan.scored_share)),
            method=plan.method,
            adapter="none" if plan.adapter is None else "dora" if adapter.get("use_dora") else "lora",
            rank=int(adapter.get("r", 8)),
            dropout=bool(adapter.get("lora_dropout")),
            quantisation=plan.quantisation or "none",
            float32_rest=plan.float32_rest,
            checkpointing=bool(recipe.get("gradient_checkpointing")),
            accumulation=int(recipe.get("gradient_accumulation_steps", 1)),
            optim=str(recipe.get("optim", "adamw_torch")),
            device=plan.device,
            attention=plan.attention,
            loss="fused" if plan.loop == "trainer" else "logits",
            weight_bytes=4 if plan.dtype == "float32" else 2,
            autocast=plan.autocast,
            masked=plan.padded or plan.packed,
            packed=plan.packed,
            packed_row=min(max(rows), recipe.get("max_length") or max(rows)) if plan.packed else 0,
            outputs_kept=plain,
            low_adapter=not plan.autocast_adapter and plan.dtype != "float32",
            kernels=tuple(plan.kernels),
            activation_offloading=plan.activation_offloading,
            images=plan.images,
            image_tokens=plan.image_tokens or 0,
            **(wanted_fields(adapter) if adapter else {}),
            **between_steps({name: getattr(plan, name) for name in ("prompt", "arguments", *SHARED)}, len(rows)),
        )

    @property
    def lora_bias(self) -> bool:
        """Whether LoRA's B has a bias."""
        return self.reached is not None and self.reached.lora_bias

    @property
    def own(self) -> tuple[Own, ...]:
        """Tensors that train and are no matrices of LoRA, where the rows reach them."""
        return tuple(own for own in self.copies if self.images or not own.tower)

    @property
    def copies(self) -> tuple[Own, ...]:
        """The same whether rows reach them or not."""
        return () if self.reached is None or self.full else self.reached.own

    def own_bytes(self, own: Own) -> int:
        """Of an element of such a tensor: copies keep the model's type, bfloat16 over quantised ones by TRL."""
        return self.adapter_bytes if own.in_adapter or self.quantisation != "none" else self.rest_bytes

    @property
    def batch(self) -> BatchShape:
        """Rows and length."""
        return BatchShape(self.sequences, self.length, self.scored)

    @property
    def whole_logits(self) -> bool:
        """Whether all logits are made at once."""
        return self.loss == "logits" or self.method in ODDS

    @property
    def online(self) -> bool:
        """Whether the method generates its answers."""
        return self.method in ONLINE

    @property
    def refers(self) -> bool:
        """Whether training asks a reference model, which an adapter's own model can be."""
        if self.online:
            return Online.of(self).scores_reference
        return self.method == "kto" or (self.method == "dpo" and not self.precomputed)

    @property
    def sequences(self) -> int:
        """Sequences of the batch: a pair has two."""
        return self.rows * (2 if self.method in PAIRS else 1)

    @property
    def tokens(self) -> int:
        """Tokens of the batch, padding included."""
        return self.sequences * self.length

    @property
    def positions(self) -> int:
        """Positions that the loss scores; preference methods of TRL 1.16 score the prompt's too."""
        if self.online:
            return self.rows * Online.of(self).answer
        return self.scored if self.method == "sft" else self.tokens

    @property
    def full(self) -> bool:
        """Whether all weights train."""
        return self.adapter == "none"

    @property
    def compute_bytes(self) -> int:
        """Of one activation that comes out of a matrix product."""
        return 2 if self.autocast else self.weight_bytes

    @property
    def rest_bytes(self) -> int:
        """Of a weight that is not quantised, and of the residual stream."""
        return 4 if self.float32_rest and self.quantisation != "none" else self.weight_bytes

    @property
    def output_bytes(self) -> int:
        """Of one output of a linear module: bitsandbytes gives back the type it was given."""
        return self.compute_bytes if self.quantisation == "none" else self.rest_bytes

    @property
    def adapter_bytes(self) -> int:
        """Of an adapter's element: PEFT makes float32, which TRL 1.16 casts to bfloat16 over quantised weights."""
        return 2 if self.low_adapter or (self.quantisation != "none" and self.loss == "fused") else 4

    @property
    def trained_bytes(self) -> int:
        """Of a trained element."""
        return self.weight_bytes if self.full else self.adapter_bytes

    def to_dict(self) -> dict[str, Any]:
        """Plain values, JSON-ready."""
        targets = self.targets if isinstance(self.targets, str) else list(self.targets)
        return {**asdict(self), "targets": targets, "kernels": list(self.kernels)}
