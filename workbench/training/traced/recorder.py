"""Log of every tensor storage: when it came, when it went, and what it was for.

    recorder = Recorder(devices=("meta",))
    with recorder:
        trainer.train()

A storage counts from the operator that first returns it until its last reference is gone. What it is for (weights,
gradients, saved for backward, …) is often known only later, so categories are set on the finished log.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from workbench.training.traced.shapes import ShapeMemory

aten = torch.ops.aten

PRODUCTS = {aten.mm.default, aten.mm.out, aten.addmm.default, aten.bmm.default, aten.baddbmm.default}

Answer = Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]


class Recorder(TorchDispatchMode):
    """Alloc and free log of a program, kept in lists of one entry an event or a storage.

    Attributes:
        events: `(key, bytes)` or `(key, -bytes)`, as `workbench.memory.allocator` replays them.
        phases: Phase of every event.
        made: For key k, `made[k - 1]` is (bytes, phase, module, operator).
        category: Key -> category, where it is known better than by its phase.
        closed: Whether the log is complete; what goes away later is no part of the steps.
        follows: Key of a storage -> key that is freed in its place.
        steps: Number of events behind every optimiser step; `micros`: before every forward pass.
        stage: What runs between steps; empty within one.
        notes: What the trace takes for granted about this model or adapter, in sentences.
        scratch: Thread -> bytes of workspace that its first matrix product takes and keeps.
    """

    def __init__(self, devices: tuple[str, ...], answers: dict[Any, Answer] | None = None) -> None:
        super().__init__()
        self.devices = devices
        self.answers = answers or {}
        self.events: list[tuple[int, int]] = []
        self.phases: list[str] = []
        self.made: list[tuple[int, str, str, Any]] = []
        self.category: dict[int, str] = {}
        self.phase = "setup"
        self.stage = ""
        self.modules: list[str] = []
        self.operators = 0
        self.closed = False
        self.notes: list[str] = []
        self.steps: list[int] = []
        self.micros: list[int] = []
        self.shapes = ShapeMemory()
        self.scratch: dict[str, int] = {}
        self._keys: dict[int, tuple[int, Any]] = {}
        self.follows: dict[int, int] = {}
        self._pauses = 0
        self._emptied: set[int] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No wrapper that keeps torch.compile out of every operator: a trace compiles nothing."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(getattr(kind, "__name__", "") == "DTensor" for kind in types):
            return NotImplemented  # its own dispatch runs on what this rank has, and comes here again
        if self._pauses:
            return func(*args, **(kwargs or {}))
        self.operators += 1
        if self.scratch and func in PRODUCTS:
            self._first_product()
        kwargs = kwargs or {}
        if func is aten.add.Tensor and adds_in_place(*args):
            return args[0].add_(args[1])
        answer = self.answers.get(func)
        out = self.shapes.run(func, args, kwargs) if answer is None else answer(func, args, kwargs)
        if isinstance(out, torch.Tensor):
            self.see(out, func)
        elif out is not None:
            for value in tree_iter(out):
                if isinstance(value, torch.Tensor):
                    self.see(value, func)
        return out

    def see(self, tensor: torch.Tensor, operator: Any = "") -> int:
        """Register a tensor's storage, and return its key; 0 for one that is not counted."""
        if tensor.device.type not in self.devices:
            return 0
        storage = tensor.untyped_storage()
        place = storage._cdata
        known = self._keys.get(place)
        if known is not None and known[1]() is not None:
            return known[0]
        size = storage.nbytes()
        if not size:
            return 0
        self.made.append((size, self.phase, self.modules[-1] if self.modules else "", operator))
        key = len(self.made)
        self._event(key, size)

        def gone(reference: Any) -> None:
            if key not in self._emptied:
                self._event(key, -size)
            held = self._keys.get(place)
            if held is not None and held[1] is reference:
                del self._keys[place]

        self._keys[place] = (key, weakref.ref(storage, gone))
        return key

    def seeing(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, for one that makes a tensor on `meta` without any operator that a dispatch mode is told of."""

        def made(*args: Any, **kwargs: Any) -> Any:
            out = function(*args, **kwargs)
            self.see(out, function.__name__)
            return out

        return made

    def forget(self, tensor: torch.Tensor) -> None:
        """A tensor's memory goes back although its storage lives on, empty."""
        key = self.key_of(tensor)
        if key:
            self._event(key, -self.made[key - 1][0])
            self._emptied.add(key)
            del self._keys[tensor.untyped_storage()._cdata]

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Count nothing: what runs finds shapes out, and is no part of the step."""
        self._pauses += 1
        try:
            yield
        finally:
            self._pauses -= 1

    def _first_product(self) -> None:
        thread = "autograd" if "backward" in self.phase else "forward"
        size = self.scratch.pop(thread, 0)
        if size:
            self.made.append((size, self.phase, "", "workspace"))
            self._event(len(self.made), size)
            self.category[len(self.made)] = "cuBLAS workspace"

    def key_of(self, tensor: torch.Tensor) -> int:
        """Key of a tensor that is alive, or 0."""
        known = self._keys.get(tensor.untyped_storage()._cdata)
        return known[0] if known is not None and known[1]() is not None else 0

    def call_it(self, tensor: torch.Tensor, category: str) -> None:
        """Set the category of a tensor that is alive."""
        key = self.key_of(tensor)
        if key:
            self.category[key] = category

    def take(self, size: int, category: str = "", origin: tuple[str, str, Any] | None = None) -> int:
        """Count bytes that no tensor of this process stands for; their key gives them back. 0 bytes have key 0.

        Args:
            size: Bytes.
            category: What they are for, where that is known.
            origin: Phase, module and operator; those of now if None.
        """
        if not size:
            return 0
        self.made.append((size, *(origin or (self.phase, "", category))))
        key = len(self.made)
        if category:
            self.category[key] = category
        self._event(key, size)
        return key

    def give(self, key: int) -> None:
        """Give back what `take` counted, or a storage before its time."""
        self._event(key, -self.made[key - 1][0])

    def empty_cache(self) -> None:
        """torch.cuda.empty_cache()."""
        self._event(0, 0)

    def _event(self, key: int, size: int) -> None:
        if self.closed:
            return
        if size < 0 and key in self.follows:  # its place was taken by a larger one
            key = self.follows.pop(key)
            size = -self.made[key - 1][0]
        self.events.append((key, size))
        self.phases.append(self.stage or self.phase)

    @contextmanager
    def during(self, phase: str) -> Iterator[None]:
        """Run a block as a phase."""
        if phase == "forward" and not self.stage:
            self.micros.append(len(self.events))
        before, self.phase = self.phase, phase
        try:
            yield
        finally:
            self.phase = before

    @contextmanager
    def staged(self, stage: str) -> Iterator[None]:
        """Run a block between steps: events have its name, tensors the phase that would make them within a step."""
        self.stage = stage
        try:
            yield
        finally:
            self.stage = ""


def adds_in_place(first: Any, second: Any, *_: Any) -> bool:
    """Whether autograd, left alone, would add a gradient into the one it holds; under a dispatch mode it never does.

    Holds for a gradient that nobody else refers to: four references to the tensor are this call's and the engine's, two
    to its storage are the tensor's and Python's. Seen to give, to the byte, the peak that torch's profiler reports
    without any mode (docs/memory.md).

    Source: torch 2.13, csrc/autograd/input_buffer.cpp (accumulate) and ATen/TensorSubclassLikeUtils.h.
    """
    return (
        isinstance(second, torch.Tensor)
        and not torch.is_grad_enabled()
        and first.shape == second.shape
        and first.dtype == second.dtype
        and first._use_count() == 4
        and torch._C._storage_Use_Count(first.untyped_storage()._cdata) == 2
    )


def scalar(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`.item()` of a tensor without data: no, 1 or 1.0. Real tensors keep their value."""
    tensor = args[0]
    if tensor.device.type != "meta":
        return func(*args, **kwargs)
    if tensor.dtype == torch.bool:
        return False
    return 1.0 if tensor.dtype.is_floating_point else 1


def selection(share: Callable[[torch.Tensor], int]) -> dict[Any, Answer]:
    """Answers for operators whose result size depends on a boolean mask that has no data.

    Args:
        share: Mask -> how many of its elements count as true.
    """

    def index(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        tensor, indices = args[0], args[1]
        masks = [place for place, one in enumerate(indices) if one is not None and one.dtype == torch.bool]
        if len(masks) != 1 or not indices[masks[0]].is_meta or any(one is not None for one in indices[: masks[0]]):
            return func(*args, **kwargs)
        place, mask = masks[0], indices[masks[0]]
        return tensor.new_empty((*tensor.shape[:place], share(mask), *tensor.shape[place + mask.dim() :]))

    def put(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return args[0] if args[0].is_meta else func(*args, **kwargs)

    def masked_select(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return args[0].new_empty((share(args[1]),)) if args[0].is_meta else func(*args, **kwargs)

    def nonzero(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not args[0].is_meta:
            return func(*args, **kwargs)
        return torch.empty((share(args[0]), args[0].dim()), dtype=torch.long, device="meta")

    return {
        aten._local_scalar_dense.default: scalar,
        aten._is_all_true.default: lambda func, args, kwargs: torch.tensor(True),  # a model's checks of its input pass
        aten.index.Tensor: index,
        aten.index_put_.default: put,
        aten._index_put_impl_.default: put,
        aten.masked_select.default: masked_select,
        aten.nonzero.default: nonzero,
    }
