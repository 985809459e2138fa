"""The neutral config: one frozen `Recipe`, named with TRL's and PEFT's own field names.

    Recipe.from_dict({"learning_rte": 1e-4})  ->  RecipeError: … did you mean 'learning_rate'? [WB401]

Deliberately without behaviour: training, memory and exports read it.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, cast

from workbench.adapters import (
    LORA_FIELDS,
    QUANTISATIONS,
    Adapter,
    check_pair,
    checked_adapter,
    name_of,
    peft_of,
    unread,
)
from workbench.errors import RecipeError
from workbench.options import MaskOptions, RowOptions
from workbench.types import Packing, TrainOn

Precision = Literal["auto", "float32", "bfloat16"]


def _require(fits: bool, name: str, value: object, want: str) -> None:
    if not fits:
        raise RecipeError(f"{name}={value!r} is out of range.", remedy=f"It must be {want}.", code="WB402")


@dataclass(frozen=True, slots=True)
class DataSpec:
    """Which rows, read how.

    Attributes:
        path: File, folder or hub id; None for rows that only exist in memory.
        type: Dataset type name; None detects.
        columns: Our column name -> column of the data.
        options: How rows are read.
        without: Rows left out by hand, by index.
    """

    path: str | None = None
    type: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    options: RowOptions = field(default_factory=RowOptions)
    without: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in ("path", "type"):
            value: object = getattr(self, name)
            _require(value is None or isinstance(value, str), f"data.{name}", value, "text, or None")
        columns: object = getattr(self, "columns")  # noqa: B009  # a YAML file can say anything
        _require(isinstance(columns, Mapping), "data.columns", columns, "a mapping of column names")
        rows: object = getattr(self, "without")  # noqa: B009
        whole = isinstance(rows, tuple) and all(isinstance(row, int) for row in cast("tuple[Any, ...]", rows))
        _require(whole, "data.without", rows, "a list of row numbers")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DataSpec:
        """Make it from plain values; errors as in `Recipe.from_dict`."""
        known = _checked(values, cls, "recipe.data")
        known["options"] = RowOptions.from_keywords(_mapping(known.get("options"), "data.options"))
        known["without"] = tuple(known.get("without") or ())
        return cls(**known)

    def to_dict(self) -> dict[str, Any]:
        """Plain values; options and rows left out only where there are any."""
        out: dict[str, Any] = {"path": self.path, "type": self.type, "columns": dict(self.columns)}
        if self.options.changed():
            out["options"] = self.options.changed()
        if self.without:
            out["without"] = list(self.without)
        return out


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything a training run depends on.

    Attributes:
        model: Path or hub id; `tiny-llama` is the embedded model.
        adapter: `lora`, `qlora`, `dora`, `rslora`, or `none` (also `full`) for full fine-tuning; or any config of PEFT
            as a mapping with `peft_type`, which then says all: r, lora_alpha, lora_dropout and target_modules, which
            the words read, are not read.
        quantisation: Of the linear modules' weights, which an adapter is trained over: `none`, `nf4` or `int8`. `qlora`
            is nf4 by itself, with everything that is not quantised in float32.
        template: Registry name, path of a .jinja file or tokenizer; None where rows need no template.
        tokenizer: Path or hub id; None takes the model's.
        mask: What is trained, beside train_on.
        chat_template_kwargs: Further variables of the template, such as `enable_thinking`.
        max_length: Tokens a row may have; longer rows are cut at the end. None cuts nothing.
        epochs: Passes over the data; ignored where max_steps is given.
        precision: `auto` is bfloat16 on a GPU that has it, else float32.
    """

    model: str = "tiny-llama"
    revision: str | None = None
    trust_remote_code: bool = False
    method: Literal["sft"] = "sft"
    adapter: Adapter = "lora"
    r: int = 16
    lora_alpha: int = 32
    lora_dropout: float = 0.0
    target_modules: str | tuple[str, ...] = "all-linear"
    quantisation: str = "none"
    data: DataSpec = DataSpec()
    template: str | None = None
    tokenizer: str | None = None
    train_on: TrainOn = "assistant"
    mask: MaskOptions = field(default_factory=MaskOptions)
    chat_template_kwargs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    max_length: int | None = None
    packing: Packing = "none"
    learning_rate: float = 2e-4
    lr_scheduler_type: str = "cosine"
    warmup_steps: int = 0
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    optim: str = "adamw_torch"
    epochs: float = 1.0
    max_steps: int | None = None
    per_device_train_batch_size: int = 8
    gradient_accumulation_steps: int = 1
    gradient_checkpointing: bool = False
    precision: Precision = "auto"
    seed: int = 0
    logging_steps: int = 1
    save_steps: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "adapter", checked_adapter(self.adapter))
        for name, (kinds, want) in KINDS.items():
            value = getattr(self, name)
            fits = isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
            _require(fits, name, value, want)
        for name in ("r", "lora_alpha", "per_device_train_batch_size", "gradient_accumulation_steps", "logging_steps"):
            _require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in ("max_length", "max_steps", "save_steps"):
            value = getattr(self, name)
            _require(value is None or value >= 1, name, value, "at least 1, or None")
        _require(self.learning_rate > 0, "learning_rate", self.learning_rate, "above 0")
        _require(0 <= self.lora_dropout < 1, "lora_dropout", self.lora_dropout, "from 0 to below 1")
        _require(self.epochs > 0, "epochs", self.epochs, "above 0")
        for name, allowed in CHOICES.items():
            _require(getattr(self, name) in allowed, name, getattr(self, name), f"one of {', '.join(allowed)}")
        check_pair(self.adapter, self.quantisation)

    @property
    def unread(self) -> tuple[str, ...]:
        """Of LoRA's fields those that say something and are not read, because the adapter is a mapping."""
        return unread(self.adapter, self._lora_fields)

    @property
    def _lora_fields(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in LORA_FIELDS}

    @property
    def peft(self) -> dict[str, Any] | None:
        """PEFT's config of the adapter as a mapping; None where all weights train."""
        return peft_of(self.adapter, self._lora_fields)

    @property
    def full(self) -> bool:
        """Whether all weights train."""
        return self.adapter == "none"

    @property
    def quantised(self) -> str:
        """Quantisation of the weights, the adapter's word taken into account: `none`, `nf4` or `int8`."""
        return "nf4" if self.adapter == "qlora" else self.quantisation

    @property
    def float32_rest(self) -> bool:
        """Whether what is not quantised is float32, as PEFT's prepare_model_for_kbit_training makes it."""
        return self.adapter == "qlora"

    @property
    def adapter_name(self) -> str:
        """The adapter in a few words: `lora r16`, `IA3 over int8`, `full`."""
        return name_of(self.adapter, self.quantisation, self.r)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """Make a recipe from plain values.

        Raises:
            RecipeError: For an unknown key (WB401), naming the nearest one, or a bad value (WB402).
        """
        data = values.get("data")
        known = _checked(values, cls, "recipe")
        if isinstance(data, Mapping):
            known["data"] = DataSpec.from_dict(cast("Mapping[str, Any]", data))
        if isinstance(known.get("mask"), Mapping):
            known["mask"] = MaskOptions.from_keywords(known["mask"])
        if isinstance(known.get("target_modules"), list):
            known["target_modules"] = tuple(known["target_modules"])
        return cls(**known)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, JSON-ready; `Recipe.from_dict` reads them back."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        values["data"], values["mask"] = self.data.to_dict(), self.mask.changed()
        values["chat_template_kwargs"] = dict(self.chat_template_kwargs)
        if isinstance(self.adapter, Mapping):
            values["adapter"] = deepcopy(dict(self.adapter))
        if isinstance(self.target_modules, tuple):
            values["target_modules"] = list(self.target_modules)
        return values

    def with_(self, **changes: Any) -> Recipe:
        """A copy with some fields changed, checked like new ones.

        Raises:
            RecipeError: As `from_dict`; WB402 for a field of LoRA that a mapping for an adapter does not read.
        """
        made = replace(self, **_checked(changes, type(self), "recipe"))
        for name in unread(made.adapter, changes):
            raise RecipeError(
                f"{name}={changes[name]!r} is not read: the adapter is a mapping, which says all.",
                remedy="Change it there: with_(adapter={…}).",
                code="WB402",
            )
        return made


_TEXT, _WHOLE, _NUMBER, _FLAG = (str,), (int,), (int, float), (bool,)
_NONE = (type(None),)
_WORDS: dict[tuple[type, ...], str] = {
    _TEXT: "text",
    (*_TEXT, *_NONE): "text, or None",
    _WHOLE: "a whole number",
    (*_WHOLE, *_NONE): "a whole number, or None",
    _NUMBER: "a number (YAML reads 2e-4 as text: write 2.0e-4)",
    _FLAG: "true or false",
}


def _kinds(kinds: tuple[type, ...], names: str) -> dict[str, tuple[tuple[type, ...], str]]:
    return {name: (kinds, _WORDS[kinds]) for name in names.split()}


KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    **_kinds(_TEXT, "model method quantisation packing precision train_on lr_scheduler_type optim"),
    **_kinds((*_TEXT, *_NONE), "revision template tokenizer"),
    **_kinds(_WHOLE, "r lora_alpha per_device_train_batch_size gradient_accumulation_steps logging_steps"),
    **_kinds(_WHOLE, "warmup_steps seed"),
    **_kinds((*_WHOLE, *_NONE), "max_length max_steps save_steps"),
    **_kinds(_NUMBER, "learning_rate lora_dropout weight_decay max_grad_norm epochs"),
    **_kinds(_FLAG, "trust_remote_code gradient_checkpointing"),
    "target_modules": ((str, tuple, list), "text, or a list of names"),
    "data": ((DataSpec,), "a mapping with path, type and columns"),
    "mask": ((MaskOptions,), "a mapping of mask options"),
    "chat_template_kwargs": ((Mapping,), "a mapping of template variables"),
}
"""What a field may hold, with the words for it: a YAML file can say anything."""

CHOICES: dict[str, tuple[str, ...]] = {
    "method": ("sft",),
    "quantisation": QUANTISATIONS,
    "packing": ("none", "bfd"),
    "precision": ("auto", "float32", "bfloat16"),
    "train_on": ("assistant", "last_assistant", "completion", "all"),
}


def _mapping(value: object, name: str) -> Mapping[str, Any]:
    _require(value is None or isinstance(value, Mapping | RowOptions), name, value, "a mapping")
    return value.changed() if isinstance(value, RowOptions) else cast("Mapping[str, Any]", value or {})


def _checked(values: Mapping[str, Any], kind: type[Recipe] | type[DataSpec], where: str) -> dict[str, Any]:
    """Refuse keys that the dataclass does not have, naming the nearest."""
    names = [f.name for f in fields(kind)]
    for key in values:
        if key not in names:
            near = difflib.get_close_matches(str(key), names, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(names)}."
            raise RecipeError(f"{where} has no field {key!r}.", remedy=hint, code="WB401")
    return dict(values)
