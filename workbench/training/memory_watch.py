"""A run's memory beside its prediction: `memory` events at the start, after the second step and at the end.

    watch = MemoryWatch(run_id, job, emit)
    with watch.training(trainer): trainer.train()

Reads counters that are kept anyway: on CUDA torch's allocator and the driver, on the CPU the process's peak. A measured
run (`measuring`) also counts the bytes of every tensor on the CPU, operator by operator: exact, slow, and without any
influence on a number of the run. Source of what is a peak: torch.cuda.max_memory_allocated and max_memory_reserved
since the process began, loading included; VmHWM of /proc/self/status.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from workbench.memory import calibration
from workbench.training.quantised import scales_of

SECOND_STEP = 2
"""The first step makes the optimizer's state, the second is as all others."""

ASK_S = 5.0
"""Longest wait for nvidia-smi, at the end of a run."""


class TensorBytes:
    """Bytes of all tensors alive and their highest sum, seen at every operator.

    Attributes:
        now: Bytes of the storages that are alive.
        peak: The most so far.
    """

    def __init__(self) -> None:
        self.now = self.peak = 0
        self._known: dict[int, Any] = {}

    def see(self, value: Any) -> None:
        """Count a tensor's storage from now until its last reference is gone."""
        storage = value.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if not size or (key in self._known and self._known[key]() is not None):
            return

        def gone(reference: Any) -> None:
            self.now -= size
            if self._known.get(key) is reference:
                del self._known[key]

        self._known[key] = weakref.ref(storage, gone)
        self.now += size
        self.peak = max(self.peak, self.now)

    @contextmanager
    def counting(self, model: Any) -> Iterator[None]:
        """Count the model's tensors and those of every operator in the block."""
        import torch
        from torch.utils._python_dispatch import TorchDispatchMode
        from torch.utils._pytree import tree_iter

        owner = self

        class Watch(TorchDispatchMode):
            def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                out = func(*args, **(kwargs or {}))
                for value in tree_iter(out):
                    if isinstance(value, torch.Tensor):
                        owner.see(value)
                return out

        for tensor in (*model.parameters(), *model.buffers()):
            self.see(tensor)
            for beside in scales_of(tensor):
                self.see(beside)
        with Watch():
            yield


class MemoryWatch:
    """Writes the `memory` events of one run.

    Args:
        run: Id of the run.
        job: `memory` has the launch's `predicted`; `measuring` counts tensors on the CPU.
        emit: Appends an event.
    """

    def __init__(self, run: str, job: Mapping[str, Any], emit: Callable[..., Any]) -> None:
        self._run, self._emit = run, emit
        self._predicted: dict[str, Any] = (job.get("memory") or {}).get("predicted") or {}
        self._counts = bool(job.get("measuring"))
        self._tensors: TensorBytes | None = None

    @contextmanager
    def training(self, trainer: Any) -> Iterator[None]:
        """Around a training: the prediction before it, the peak after it."""
        import torch

        self._emit("memory", at="start", predicted=self._predicted or None, measured=None, step=0)
        if self._counts and not torch.cuda.is_initialized():
            self._tensors = TensorBytes()
        counting = self._tensors.counting(trainer.model) if self._tensors else nullcontext()
        try:
            with counting:
                yield
        except Exception:  # out of memory, say: how far it came is worth knowing
            self._end(trainer)
            raise
        self._remember(self._end(trainer))

    def _end(self, trainer: Any) -> dict[str, Any]:
        measured = self.measured()
        self._emit("memory", at="end", predicted=None, measured=measured, step=trainer.state.global_step)
        return measured

    def step_ended(self, step: int) -> None:
        """Report once, when the second step has ended."""
        if step == SECOND_STEP:
            self._emit("memory", at="step", predicted=None, measured=self.measured(ask_driver=False), step=step)

    def measured(self, *, ask_driver: bool = True) -> dict[str, Any]:
        """Peaks so far, in bytes; None for what cannot be known here."""
        import torch

        if not torch.cuda.is_initialized():
            live = self._tensors.peak if self._tensors else None
            return {"device": "cpu", "card": "", "live_bytes": live, "process_bytes": peak_process_bytes()}
        reserved = torch.cuda.max_memory_reserved()
        held = own_gpu_bytes() if ask_driver else None
        free, total = torch.cuda.mem_get_info()
        return {
            "device": "cuda",
            "card": torch.cuda.get_device_name(),
            "live_bytes": torch.cuda.max_memory_allocated(),
            "reserved_bytes": reserved,
            "nvidia_smi_bytes": held,
            "context_bytes": None if held is None else max(0, held - torch.cuda.memory_reserved()),
            "device_bytes": total - free,
            "process_bytes": peak_process_bytes(),
        }

    def _remember(self, measured: Mapping[str, Any]) -> None:
        """Let the run refine what estimates take for this machine; on the CPU only with a figure for its tensors."""
        if measured["device"] == "cuda":
            beside = measured["context_bytes"]
        else:
            predicted = self._predicted.get("live_bytes") if self._predicted.get("device") == "cpu" else None
            live = measured["live_bytes"] or predicted
            beside = None if live is None else measured["process_bytes"] - live
        if beside is not None:
            calibration.record(measured["device"], measured["card"], beside, self._run)


def peak_process_bytes() -> int:
    """The most this process ever had resident.

    VmHWM and not ru_maxrss, which Linux carries over from the process that started this one.
    """
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def own_gpu_bytes() -> int | None:
    """What nvidia-smi shows for this process; None where it does not list it (containers hide process ids)."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    try:
        answer = subprocess.run(
            [program, "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"],
            capture_output=True, text=True, timeout=ASK_S, check=True,
        ).stdout  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    own = [line.split(",")[1].strip() for line in answer.splitlines() if line.split(",")[0].strip() == str(os.getpid())]
    sizes = [int(size) for size in own if size.isdigit()]
    return sum(sizes) * 2**20 if sizes else None
