"""An axolotl config as a recipe and options of an estimate.

    found = read_axolotl({"base_model": "…", "adapter": "qlora", "sequence_len": 4096, …})
    found.recipe, found.options, found.assumptions

Every key is read, known to leave memory alone, or named in `assumptions`: none is dropped. Reads no data and no
weights: rows are taken to be as long as `sequence_len`, the longest that axolotl keeps.

Source: axolotl 0.18, loaders/model.py (types of weights), utils/schemas/enums.py (attention), utils/config
(types); see `workbench.memory.axolotl_keys`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from workbench.errors import RecipeError, WorkbenchError
from workbench.memory.architecture import of_model
from workbench.memory.axolotl_kernels import checkpointing_of, kernels_of, known_plugins
from workbench.memory.axolotl_keys import CHANGING, QUIET, QUIET_PREFIXES, READ

MARKS = ("micro_batch_size", "sequence_len", "lora_target_linear", "sample_packing", "num_epochs", "load_in_4bit")
"""Keys that, beside base_model, show an axolotl config."""

ATTENTION: Mapping[str, str] = {
    "eager": "eager",
    "flash_attention_2": "flash_attention_2",
    "sdpa": "sdpa",
}
LEGACY_ATTENTION: Mapping[str, str] = {
    "eager_attention": "eager",
    "sdp_attention": "sdpa",
    "flash_attention": "flash_attention_2",
    "xformers_attention": "xformers",
    "flex_attention": "flex_attention",
    "sage_attention": "sage",
}
CHUNKED = ("chunked_cross_entropy", "reward_model")
"""Keys with which the logits are never there at once; a kernel that does not make them takes the place of the loss."""

TASKS: Mapping[str, str] = {
    "dpo": "dpo",
    "ipo": "dpo",
    "kto": "kto",
    "orpo": "orpo",
    "simpo": "cpo",
    "grpo": "grpo",
    "gdpo": "grpo",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """What a foreign config says.

    Attributes:
        recipe: Fields of `Recipe`.
        options: Options of an estimate that a recipe does not have (fields of `workbench.memory.plan.Plan`), `task`,
            and `world`, `sharding`, `offload`.
        length: Tokens of the longest row, where the config bounds it.
        assumptions: Sentences: what was taken for granted, and every key that is not understood.
    """

    recipe: Mapping[str, Any]
    options: Mapping[str, Any]
    length: int | None
    assumptions: tuple[str, ...]


@dataclass(slots=True)
class Notes:
    """The config while it is read, and what is found on the way."""

    values: Mapping[str, Any]
    folder: Path
    notes: list[str] = field(default_factory=list[str])

    def whole(self, key: str, default: int) -> int:
        """A positive whole number.

        Raises:
            RecipeError: For anything else (WB402).
        """
        value = self.values.get(key)
        if value is None:
            return default
        if isinstance(value, str) and value.isdigit():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise RecipeError(f"{key}={value!r} is out of range.", remedy="It must be at least 1.", code="WB402")
        return value

    def has(self, key: str) -> bool:
        """Whether a key says anything."""
        return self.values.get(key) not in (None, False, "", [], {}, 0)


def is_axolotl(values: Mapping[str, Any]) -> bool:
    """Whether a YAML mapping is an axolotl config."""
    return "base_model" in values and any(mark in values for mark in MARKS)


def read_axolotl(values: Mapping[str, Any], folder: Path | None = None) -> Reading:
    """Read an axolotl config.

    Args:
        values: The parsed YAML.
        folder: Where a path such as that of a DeepSpeed config begins.

    Raises:
        RecipeError: For a value that no config can have (WB402), naming the key.
    """
    notes = Notes(values, folder or Path())
    model = values.get("base_model")
    if not isinstance(model, str) or not model:
        raise RecipeError(f"base_model={model!r} names no model.", remedy="Give a name or a folder.", code="WB402")
    length = notes.whole("sequence_len", 0) if values.get("sequence_len") is not None else None
    recipe: dict[str, Any] = {
        "model": model,
        "per_device_train_batch_size": notes.whole("micro_batch_size", 1),
        "gradient_accumulation_steps": notes.whole("gradient_accumulation_steps", 1),
        "packing": "bfd" if notes.has("sample_packing") else "none",
        "max_length": length,
        "gradient_checkpointing": checkpointing_of(values),
        "optim": str(values.get("optimizer") or "adamw_torch_fused"),
    }
    if isinstance(values.get("revision_of_model"), str):
        recipe["revision"] = values["revision_of_model"]
    # transformers' Trainer makes all logits, unless a kernel is asked for that does not
    logits = not any(notes.has(key) for key in CHUNKED) and not notes.has("rl")
    options = {
        **({"loss": "logits"} if logits else {}),
        **_types(notes),
        **_attention(notes),
        **_task(notes),
        **_sharding(notes),
        **kernels_of(values, notes.notes),
    }
    adapter, more = _adapter(notes)
    kwargs = values.get("gradient_checkpointing_kwargs")
    if isinstance(kwargs, Mapping) and cast("Mapping[str, Any]", kwargs).get("use_reentrant"):
        options["reentrant"] = True
    _rows(notes, length)
    _others(notes)
    return Reading({**recipe, **adapter}, {**options, **more}, length, tuple(notes.notes))


def _types(notes: Notes) -> dict[str, Any]:
    """Types of weights and of products: `bf16` loads bfloat16 weights, trained ones too, and runs under autocast."""
    values = notes.values
    if notes.has("bf16"):
        return {"dtype": "bfloat16", "autocast": values["bf16"] != "full"}
    if notes.has("fp16"):
        notes.notes.append("fp16 is taken as bfloat16, which has the same size; the gradient scaler needs a few bytes")
        return {"dtype": "bfloat16", "autocast": True}
    if notes.has("bfloat16") or notes.has("float16") or "16" in str(values.get("torch_dtype")):
        return {"dtype": "bfloat16", "autocast": False}
    return {"dtype": "float32", "autocast": False}


def _attention(notes: Notes) -> dict[str, Any]:
    given = notes.values.get("attn_implementation")
    if not given:
        given = next((name for key, name in LEGACY_ATTENTION.items() if notes.has(key)), "sdpa")
    if str(given) in ATTENTION:
        return {"attention": ATTENTION[str(given)]}
    notes.notes.append(f"attention {given!r} is taken as flash_attention_2: kernels of this kind keep about the same")
    return {"attention": "flash_attention_2"}


def _task(notes: Notes) -> dict[str, Any]:
    rl = notes.values.get("rl")
    if rl and str(rl) in TASKS:
        if TASKS[str(rl)] != str(rl):
            notes.notes.append(f"rl={rl!r} is taken as {TASKS[str(rl)]}")
        return {"task": TASKS[str(rl)], **(_online(notes) if TASKS[str(rl)] == "grpo" else {})}
    if rl:
        notes.notes.append(f"rl={rl!r} is not known here: shown as supervised training")
    return {"task": "reward"} if notes.has("reward_model") else {}


def _online(notes: Notes) -> dict[str, Any]:
    """Answers a prompt and their length: `sequence_len` is prompt and answer together."""
    given: Any = notes.values.get("trl")
    trl = Notes(cast("Mapping[str, Any]", given) if isinstance(given, Mapping) else {}, notes.folder)
    found: dict[str, Any] = {}
    if trl.has("num_generations"):
        found["arguments"] = {"num_generations": trl.whole("num_generations", 8)}
    length = notes.whole("sequence_len", 2048)
    answer = trl.whole("max_completion_length", 256)
    if answer < length:
        found["prompt"] = length - answer
    if trl.has("use_vllm"):
        where = trl.values.get("vllm_mode") or "server"
        notes.notes.append(
            "trl.use_vllm in server mode: another process generates, on GPUs of its own"
            if where == "server"
            else "trl.use_vllm colocate: give its share with --plan generator=vllm --plan vllm_bytes=N"
        )
    return found


def _adapter(notes: Notes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fields of the recipe and options for the adapter."""
    values = notes.values
    quantisation = "nf4" if notes.has("load_in_4bit") else "int8" if notes.has("load_in_8bit") else None
    kind = values.get("adapter")
    options: dict[str, Any] = {"quantisation": quantisation} if quantisation else {}
    if not kind:
        return {"adapter": "none"}, options
    if kind not in ("lora", "qlora"):
        notes.notes.append(f"adapter={kind!r} is not known here: taken as lora")
    if kind == "qlora" and quantisation is None:
        options["quantisation"] = "nf4"
        notes.notes.append("adapter: qlora without load_in_4bit: taken as 4-bit")
    if quantisation:
        notes.notes.append("what is not quantised is bfloat16: axolotl casts norms and embeddings back for attention")
    dropout = values.get("lora_dropout")
    recipe = {
        "adapter": "lora",
        "r": notes.whole("lora_r", 8),
        "lora_alpha": notes.whole("lora_alpha", 16),
        "lora_dropout": float(dropout) if isinstance(dropout, int | float) else 0.0,
        "target_modules": _targets(notes),
    }
    return recipe, {**options, **_peft(notes, recipe)}


def _targets(notes: Notes) -> Any:
    given = notes.values.get("lora_target_modules")
    if given == "all-linear":
        return given
    if notes.has("lora_target_linear"):
        return _linear_names(str(notes.values.get("base_model"))) or "all-linear"
    if isinstance(given, str):
        return given
    if isinstance(given, list) and given:
        return [str(name) for name in cast("list[Any]", given)]
    if not notes.has("lora_target_parameters"):
        notes.notes.append("no lora_target_linear and no lora_target_modules: taken as q_proj and v_proj")
    return ["q_proj", "v_proj"]


def _linear_names(model: str) -> list[str]:
    """Names of the linear modules of a mixture of experts; none for other models, where PEFT's all-linear is the same.

    axolotl names every torch.nn.Linear (0.19, loaders/adapter.py); the experts of transformers 5 are parameters, which
    all-linear of PEFT 0.21 adapts and a list of names does not.
    """
    try:
        architecture = of_model(model)
    except WorkbenchError:
        return []
    if architecture.experts is None:
        return []
    linear = [item for item in architecture.modules if item.reads != "expert"]
    return sorted({word for item in linear for word in item.targets if word != "all-linear"})


def _peft(notes: Notes, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The adapter as PEFT's config, where it says more than a recipe can."""
    more = {
        "use_dora": notes.has("peft_use_dora") or None,
        "use_rslora": notes.has("peft_use_rslora") or None,
        "modules_to_save": notes.values.get("lora_modules_to_save") or None,
        "target_parameters": notes.values.get("lora_target_parameters") or None,
        "rank_pattern": notes.values.get("lora_rank_pattern") or None,
        "alpha_pattern": notes.values.get("lora_alpha_pattern") or None,
        "layers_to_transform": notes.values.get("peft_layers_to_transform"),
        "layers_pattern": notes.values.get("peft_layers_pattern") or None,
        "trainable_token_indices": notes.values.get("peft_trainable_token_indices") or None,
        "init_lora_weights": notes.values.get("peft_init_lora_weights") or None,
    }
    said = {name: value for name, value in more.items() if value is not None}
    if not said:
        return {}
    base = {name: recipe[name] for name in ("r", "lora_alpha", "lora_dropout", "target_modules")}
    return {"adapter": {"peft_type": "LORA", **base, **said}}


def _sharding(notes: Notes) -> dict[str, Any]:
    """Strategy, world size and offloading over several GPUs."""
    values = notes.values
    found: dict[str, Any] = {}
    world = values.get("world_size") or 0
    shards = notes.whole("dp_shard_size", 1) * notes.whole("dp_replicate_size", 1)
    if shards > 1 or (isinstance(world, int) and world > 1):
        found["world"] = max(shards, int(world))
    if notes.has("fsdp") or notes.has("fsdp_config") or notes.has("dp_shard_size"):
        config = values.get("fsdp_config")
        settings = cast("Mapping[str, Any]", config) if isinstance(config, Mapping) else {}
        offloads = settings.get("offload_params") or settings.get("fsdp_offload_params")
        found |= {"sharding": "fsdp", "offload": "parameters" if offloads else "none"}
        if settings.get("reshard_after_forward") is False:
            notes.notes.append("fsdp_config.reshard_after_forward=false: gathered layers stay, more than shown")
    if notes.has("deepspeed"):
        found |= deepspeed_of(notes)
    if "sharding" in found and "world" not in found:
        notes.notes.append(f"{found['sharding']} is set, but the config does not say on how many GPUs: --world N")
    return found


def deepspeed_of(notes: Notes) -> dict[str, Any]:
    """Stage and offloading of a DeepSpeed config, read where the file is there, else from its name."""
    given = notes.values["deepspeed"]
    config: Any = given
    if isinstance(given, str):
        path = next((p for p in (notes.folder / given, Path(given)) if p.is_file()), None)
        if path is None:
            stage = next((number for number in "321" if f"zero{number}" in given.lower()), None)
            notes.notes.append(f"deepspeed={given!r} is not here: taken as stage {stage or 2} from its name")
            return {"sharding": f"zero{stage or 2}", "offload": "none"}
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RecipeError(f"deepspeed={given!r} cannot be read: {error}", code="WB817") from error
    zero = cast("Mapping[str, Any]", config).get("zero_optimization") if isinstance(config, Mapping) else None
    if not isinstance(zero, Mapping):
        raise RecipeError(f"deepspeed={str(given)[:80]!r} holds no zero_optimization.", code="WB817")
    settings = cast("Mapping[str, Any]", zero)
    stage = settings.get("stage")
    if stage not in (0, 1, 2, 3):
        raise RecipeError(f"deepspeed: stage {stage!r} is none of 0 to 3.", code="WB817")
    optimizer = "optimizer" if _to_host(settings, "optimizer") else "none"
    offload = "parameters" if _to_host(settings, "param") else optimizer
    return {"sharding": f"zero{stage}" if stage else "ddp", "offload": offload}


def _to_host(settings: Mapping[str, Any], what: str) -> bool:
    place = settings.get(f"offload_{what}")
    return isinstance(place, Mapping) and cast("Mapping[str, Any]", place).get("device") not in (None, "none")


def _rows(notes: Notes, length: int | None) -> None:
    if length is None:
        return
    if notes.has("sample_packing"):
        notes.notes.append(f"packed rows are full: {length} tokens each")
    elif notes.has("pad_to_sequence_len"):
        notes.notes.append(f"every row is padded to sequence_len, {length} tokens")
    else:
        notes.notes.append(f"the longest row has sequence_len tokens, {length}; --length or --lengths says better")


def _others(notes: Notes) -> None:
    """Name every key that was not read."""
    for key in sorted(str(key) for key in notes.values if notes.has(str(key))):
        value = str(notes.values.get(key))
        shown = value if len(value) <= 60 else value[:57] + "..."
        if key in READ or key in QUIET or key.startswith(QUIET_PREFIXES):
            continue
        if key == "plugins" and known_plugins(notes.values):
            continue
        if key in CHANGING:
            notes.notes.append(f"not modelled: {key}={shown}: {CHANGING[key]}")
        else:
            notes.notes.append(f"not known here: {key}={shown}; if it changes memory, the figures do not show it")
