"""Weights in four or eight bits: bitsandbytes' modules as transformers loads them, and what they really hold.

    model = AutoModelForCausalLM.from_pretrained(name, quantization_config=bits_config(recipe.quantised, dtype))
    model = prepared(model, float32_rest=recipe.float32_rest)

bitsandbytes 0.50 quantises and multiplies on the CPU too, with kernels of its own: slow, and the same weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from workbench.errors import RecipeError


def require_bitsandbytes(quantisation: str) -> None:
    """Refuse quantised weights where bitsandbytes is not installed; looks, and imports nothing.

    Raises:
        RecipeError: WB811.
    """
    from importlib.util import find_spec

    if quantisation != "none" and find_spec("bitsandbytes") is None:
        raise RecipeError(
            f"Weights in {quantisation} are bitsandbytes' own layers, and it is not installed.",
            remedy="pip install bitsandbytes",
            code="WB811",
        )


def bits_config(quantisation: str, compute: Any, storage: Any = None) -> Any:
    """Transformers' config of a quantisation; None for none.

    Args:
        quantisation: `nf4` is 4-bit in blocks of 64 whose scales are quantised too, `int8` LLM.int8 with its threshold
            of 6.
        compute: torch type in which products of 4-bit weights are computed.
        storage: torch type that 4-bit weights are packed into; None is bytes.

    Raises:
        RecipeError: Without bitsandbytes (WB811).
    """
    if quantisation == "none":
        return None
    require_bitsandbytes(quantisation)
    from transformers import BitsAndBytesConfig

    four = quantisation == "nf4"
    return BitsAndBytesConfig(
        load_in_4bit=four,
        load_in_8bit=not four,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute,
        bnb_4bit_quant_storage=storage,
    )


def prepared(model: Any, *, float32_rest: bool) -> Any:
    """A quantised model that stays as it was loaded, whatever is asked of it.

    Args:
        model: As transformers loaded it, changed in place.
        float32_rest: Whether all that is not quantised becomes float32, by PEFT's own function.
    """
    from bitsandbytes.nn import Linear4bit

    for module in model.modules():
        if isinstance(module, Linear4bit):
            # WORKAROUND(bitsandbytes 0.50.2, nn/modules.py, forward): on a CPU with AVX512-BF16 one answer packs the
            # weights anew for good, with rounded scales: training would go on with others. One switch for all CPUs.
            module.support_avx512bf16_for_cpu = False
    if not float32_rest:
        return model
    from peft import prepare_model_for_kbit_training

    # whether inputs need gradients is the trainer's to know, which checkpoints
    return prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)


def resuming(trainer: type[Any]) -> type[Any]:
    """A trainer class that keeps the adapter's types when it resumes.

    TRL 1.16 trains adapters over quantised weights in bfloat16; PEFT 0.21 makes them float32 when transformers loads
    them from a checkpoint, and a resumed run would round differently from one that went on.
    """

    class Resuming(trainer):
        def _load_from_checkpoint(self, *arguments: Any, **named: Any) -> None:
            types = {name: p.dtype for name, p in self.model.named_parameters() if p.requires_grad}
            super()._load_from_checkpoint(*arguments, **named)
            for name, parameter in self.model.named_parameters():
                if name in types:
                    parameter.data = parameter.data.to(types[name])

    Resuming.__name__ = Resuming.__qualname__ = trainer.__name__
    return Resuming


def scales_of(parameter: Any) -> Iterator[Any]:
    """Tensors beside a quantised weight that it is read with: scales, code books, offset."""
    import torch

    state = getattr(parameter, "quant_state", None)
    for holder in (state, getattr(state, "state2", None), parameter):
        for name in ("absmax", "code", "offset", "SCB"):
            tensor = getattr(holder, name, None)
            if isinstance(tensor, torch.Tensor):
                yield tensor


def elements_of(parameter: Any) -> int:
    """Weights that a parameter stands for: two in every byte of a 4-bit one."""
    state = getattr(parameter, "quant_state", None)
    return int(parameter.numel() if state is None else state.shape.numel())


def type_of(parameter: Any) -> str:
    """A parameter's type in a word: `float32`, `bfloat16`, `nf4`, `int8`."""
    state = getattr(parameter, "quant_state", None)
    return str(parameter.dtype)[6:] if state is None else str(state.quant_type)
