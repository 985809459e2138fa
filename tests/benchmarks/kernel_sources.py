"""Stand-ins for fused kernels against the tools' own autograd functions, run with their Triton launches left out.

    python -m tests.benchmarks.kernel_sources LIGER AXOLOTL     # two checkouts

Both run forward and backward on tensors without data under the trace's recorder; compared are the highest live bytes
and what is live between forward and backward. Nothing of the checkouts is kept or changed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import torch
from torch import nn

from workbench.training.traced.fused_heads import ChunkedLoss
from workbench.training.traced.fused_layers import Adapted, GatedProduct, JoinedMLP, JoinedProjections, Norm
from workbench.training.traced.recorder import Recorder, selection

TOKENS, HIDDEN, WIDE, VOCABULARY, RANK = 1024, 512, 1536, 8192, 8


class _Launch:
    def __getitem__(self, grid: Any) -> Callable[..., None]:
        return lambda *args, **kwargs: None


class _Fake(ModuleType):
    """Any name of Triton's that is asked for while modules are read."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return mock.MagicMock()


def stand_in_for_triton() -> None:
    """Make `import triton` give kernels that do nothing, once torch has found that there is none."""
    for name in ("torch._dynamo", "torch._inductor.utils", "bitsandbytes", "transformers"):
        import_module(name)
    fake = _Fake("triton")
    fake.jit = lambda *args, **kwargs: _Launch() if args else (lambda fn: _Launch())  # type: ignore[attr-defined]
    fake.cdiv = lambda a, b: -(-a // b)  # type: ignore[attr-defined]
    fake.next_power_of_2 = lambda n: 1 << (n - 1).bit_length()  # type: ignore[attr-defined]
    fake.__version__ = "3.4.0"
    names = ("triton", "triton.language", "triton.language.extra", "triton.language.extra.libdevice",
             "triton.language.extra.cuda", "triton.language.extra.cuda.libdevice", "triton.language.math")  # fmt: skip
    for name in names:
        module = fake if name == "triton" else _Fake(name)
        module.__path__ = []
        sys.modules[name] = module


def package(name: str, folder: Path) -> None:
    """A package whose own code is not run, so that one module of it can be imported."""
    made = ModuleType(name)
    made.__path__ = [str(folder)]
    sys.modules[name] = made


def weights(outputs: int, inputs: int) -> tuple[Any, Any, Any]:
    """A frozen weight and its LoRA, as PEFT has them."""
    make = lambda *shape, dtype=torch.float32: torch.empty(shape, dtype=dtype, device="meta")  # noqa: E731
    a, b = nn.Parameter(make(RANK, inputs)), nn.Parameter(make(outputs, RANK))
    return make(outputs, inputs, dtype=torch.bfloat16), a, b


def measured(run: Callable[..., Any], *inputs: Any) -> tuple[int, int]:
    """Highest live bytes of forward and backward, and those between; what was there before is not counted."""
    answers = selection(lambda mask: mask.numel()) | {torch.ops.aten.equal.default: lambda func, args, kwargs: True}
    recorder = Recorder(("meta",), answers)
    for tensor in inputs:
        if isinstance(tensor, torch.Tensor):
            recorder.see(tensor)
    before = len(recorder.events)
    with recorder:
        outs = run(*inputs)
        outs = outs if isinstance(outs, tuple) else (outs,)
        outs = tuple(out for out in outs if isinstance(out, torch.Tensor) and out.requires_grad)
        middle = len(recorder.events)
        torch.autograd.backward(outs, [torch.empty_like(out) for out in outs])
    live, most, between = 0, 0, 0
    for index, (_, size) in enumerate(recorder.events[before:], before + 1):
        live += size
        most = max(most, live)
        between = live if index <= middle else between
    return most, between


def rows(width: int) -> Any:
    """Activations that a gradient flows through."""
    return torch.empty((1, TOKENS, width), dtype=torch.bfloat16, device="meta").requires_grad_(True) * 1


def compare(
    name: str, theirs: Callable[..., Any], ours: Callable[..., Any], make: Callable[[], tuple[Any, ...]]
) -> None:
    """Print both."""
    first, second = measured(theirs, *make()), measured(ours, *make())
    print(
        f"{name:40s} theirs {first[0]:>12,} {first[1]:>12,}  ours {second[0]:>12,} {second[1]:>12,}  {first == second}"
    )


def liger(checkout: Path) -> None:
    """Norm, gate and loss of Liger."""
    package("liger_kernel", checkout / "src" / "liger_kernel")
    package("liger_kernel.ops", checkout / "src" / "liger_kernel" / "ops")
    norm = import_module("liger_kernel.ops.rms_norm").LigerRMSNormFunction
    glu = import_module("liger_kernel.ops.swiglu").LigerSiLUMulFunction
    head = import_module("liger_kernel.ops.fused_linear_cross_entropy").LigerFusedLinearCrossEntropyFunction
    weight = nn.Parameter(torch.empty(HIDDEN, dtype=torch.bfloat16, device="meta"))
    compare("Liger norm", lambda x, w: norm.apply(x, w, 1e-6), lambda x, w: Norm.apply(x, w, "liger"),
            lambda: (rows(HIDDEN), weight))  # fmt: skip
    compare("Liger gate", glu.apply, GatedProduct.apply, lambda: (rows(WIDE), rows(WIDE)))
    for trains in (False, True):
        matrix = torch.empty((VOCABULARY, HIDDEN), dtype=torch.bfloat16, device="meta", requires_grad=trains)
        labels = torch.zeros(TOKENS, dtype=torch.long, device="meta")
        compare(
            f"Liger cross entropy, head {'trained' if trains else 'frozen'}",
            lambda x, w, y: head.apply(x, w, y)[0],
            lambda x, w, y: ChunkedLoss.apply(x, w, y, "liger"),
            lambda w=matrix, y=labels: (rows(HIDDEN).view(TOKENS, HIDDEN), w, y),
        )


def axolotl(checkout: Path) -> None:
    """LoRA kernels of axolotl, without dropout, DoRA or bias."""
    folder = checkout / "src" / "axolotl"
    for name in ("axolotl", "axolotl.kernels"):
        package(name, folder.parent / Path(*name.split(".")))
    logging = ModuleType("axolotl.utils.logging")
    logging.get_logger = mock.MagicMock()  # type: ignore[attr-defined]
    sys.modules |= {"axolotl.utils": ModuleType("axolotl.utils"), "axolotl.utils.logging": logging}
    registry = ModuleType("axolotl.kernels.op_registry")
    registry.register_kernel_op = lambda *a, **k: _registered  # type: ignore[attr-defined]
    sys.modules["axolotl.kernels.op_registry"] = registry
    lora = import_module("axolotl.kernels.lora")
    parts = [weights(WIDE, HIDDEN), weights(WIDE, HIDDEN), weights(HIDDEN, WIDE)]
    said = [item for w, a, b in parts for item in (w, None, None, a, b, 1.0, None, None)]
    adapted = tuple(Adapted(*part) for part in parts)
    flat = [matrix for _, a, b in parts for matrix in (a, b)]

    def activation(gate: Any, up: Any) -> Any:
        return torch.empty_like(gate)

    def activation_back(grad: Any, gate: Any, up: Any) -> Any:
        return grad, gate, up

    compare("axolotl LoRA MLP", lambda x: lora.LoRA_MLP.apply(x, None, *said, activation, activation_back, True),
            lambda x: JoinedMLP.apply(x, None, adapted, True, *flat), lambda: (rows(HIDDEN),))  # fmt: skip
    parts = [weights(HIDDEN, HIDDEN), weights(HIDDEN // 4, HIDDEN), weights(HIDDEN // 4, HIDDEN)]
    three = [item for w, a, b in parts for item in (w, None, None, a, b, 1.0, None, None)]
    joined, more = tuple(Adapted(*part) for part in parts), [matrix for _, a, b in parts for matrix in (a, b)]
    compare("axolotl LoRA QKV", lambda x: lora.LoRA_QKV.apply(x, None, *three, True),
            lambda x: JoinedProjections.apply(x, None, joined, True, *more), lambda: (rows(HIDDEN),))  # fmt: skip
    one = parts[0]
    said = (one[0], None, None, one[1], one[2], 1.0, None, None)
    compare("axolotl LoRA O", lambda x: lora.LoRA_O.apply(x, None, *said),
            lambda x: JoinedProjections.apply(x, None, joined[:1], True, *more[:2]),
            lambda: (rows(HIDDEN),))  # fmt: skip


def _registered(function: Any) -> Any:
    function.register_fake = lambda fake: fake
    return function


if __name__ == "__main__":
    stand_in_for_triton()
    liger(Path(sys.argv[1]))
    axolotl(Path(sys.argv[2]))
