"""What a traced step allocates: its peak with a name for every byte, its phases, and what the allocator reserves.

    trace = Trace.from_dict(answer)
    trace.live, trace.reserved, trace.peak.owner

Pure Python over a log of allocations; the log itself is made by workbench.training.traced in a process of its own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from workbench.memory.alloc_conf import Settings
from workbench.memory.allocator import MIN_BLOCK
from workbench.memory.plan import Plan
from workbench.memory.replay import Event, Replay, replay, smallest_capacity

FORWARD, LOSS_BACKWARD = "forward", "loss backward"
CURVE_POINTS = 240
"""Points of the curve of memory over time."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in the step and what is live there.

    Attributes:
        phase: setup, batch, forward, loss backward, backward or optimizer.
        bytes: Live bytes, each tensor rounded as the allocator does.
        parts: Category -> bytes, largest first; they add up to `bytes`.
        modules: Module -> bytes of activations kept for backward, layers together, largest first.
        owner: What holds most, in words.
        operator: The operator that made the last allocation before it.
    """

    phase: str
    bytes: int
    parts: Mapping[str, int]
    modules: Mapping[str, int]
    owner: str
    operator: str


@dataclass(frozen=True)
class Trace:
    """The log of the traced steps.

    Attributes:
        events: `(key, bytes)` and `(key, -bytes)` in order; keys count from 1.
        phases: Phase of every event.
        made: For key k, `made[k - 1]` is (bytes, phase, module, operator).
        named: Key -> category, where the trace knew it.
        seconds: Time the trace took in its process.
        operators: Operators that ran.
        steps: Index behind the last event of every optimiser step.
        micros: Index of the first event of every forward pass.
        notes: What was traced in another way than the plan says, in sentences.
    """

    plan: Plan
    events: Sequence[Event]
    phases: Sequence[str]
    made: Sequence[tuple[int, str, str, str]]
    named: Mapping[int, str]
    seconds: float = 0.0
    operators: int = 0
    notes: Sequence[str] = ()
    steps: Sequence[int] = ()
    micros: Sequence[int] = ()

    @classmethod
    def from_dict(cls, plan: Plan, answer: Mapping[str, Any]) -> Trace:
        """Read the answer of the tracing process."""
        names: list[str] = answer["names"]
        made = [
            (size, names[phase], names[module], names[operator]) for size, phase, module, operator in answer["made"]
        ]
        return cls(
            plan,
            [(key, size) for key, size in answer["events"]],
            [names[index] for index in answer["phases"]],
            made,
            {int(key): names[index] for key, index in answer["named"].items()},
            answer["seconds"],
            answer["operators"],
            tuple(answer.get("notes", ())),
            answer.get("steps", ()),
            answer.get("micros", ()),
        )

    @cached_property
    def live(self) -> int:
        """Live bytes at the highest moment: torch.cuda.max_memory_allocated, or all tensors on the CPU."""
        return self.peak.bytes if self.plan.device == "cpu" else self.replay().peak_active

    @cached_property
    def reserved(self) -> int:
        """What the caching allocator holds: torch.cuda.max_memory_reserved. On the CPU the live bytes."""
        return self.live if self.plan.device == "cpu" else self.replay().peak_reserved

    @cached_property
    def least(self) -> int:
        """Bytes of an otherwise empty device, without its context, on which the steps just run."""
        return self.live if self.plan.device == "cpu" else smallest_capacity(self.events)

    def replay(self, settings: Settings | None = None, capacity: int | None = None) -> Replay:
        """Serve the log by the allocator under other settings, or on a card of `capacity` bytes."""
        if settings is None and capacity is None:
            return self._default_replay
        return replay(self.events, settings, capacity)

    @cached_property
    def _default_replay(self) -> Replay:
        return replay(self.events)

    @cached_property
    def peak(self) -> Moment:
        """The highest moment."""
        return self._moment(max(range(len(self._live)), key=self._live.__getitem__))

    @cached_property
    def moments(self) -> tuple[Moment, ...]:
        """The highest moment of every phase, in order of the phases."""
        best: dict[str, int] = {}
        for index, (phase, size) in enumerate(zip(self.phases, self._live, strict=True)):
            if phase not in best or size > self._live[best[phase]]:
                best[phase] = index
        return tuple(self._moment(index) for index in best.values())

    def curve(self) -> list[tuple[str, int]]:
        """Memory over time: (phase, highest live bytes) of equal stretches of the log."""
        width = max(1, -(-len(self._live) // CURVE_POINTS))
        tops = (
            max(range(start, min(start + width, len(self._live))), key=self._live.__getitem__)
            for start in range(0, len(self._live), width)
        )
        return [(self.phases[index], self._live[index]) for index in tops]

    @cached_property
    def _live(self) -> list[int]:
        """Live bytes after every event."""
        now, found = 0, list[int]()
        for _, size in self.events:
            now += self._rounded(size) if size >= 0 else -self._rounded(-size)
            found.append(now)
        return found

    def _rounded(self, size: int) -> int:
        return size if self.plan.device == "cpu" else -(-size // MIN_BLOCK) * MIN_BLOCK

    @cached_property
    def _kept(self) -> set[int]:
        """Keys made in forward that are still there when a phase after it begins."""
        kept, current = set[int](), set[int]()
        before = ""
        for (key, size), phase in zip(self.events, self.phases, strict=True):
            if before == FORWARD != phase:
                kept |= current
                current = set()
            if phase == FORWARD:
                current.add(key) if size > 0 else current.discard(key)
            before = phase
        return kept

    def category(self, key: int) -> str:
        """What a tensor was for."""
        if key in self.named:
            return self.named[key]
        _, phase, module, _ = self.made[key - 1]
        if phase == FORWARD:
            if _is_head(module):
                return "logits and loss"
            return "saved activations" if key in self._kept else "forward temporaries"
        if phase == "backward" and module:
            return "recomputed activations"
        return PHASE_CATEGORIES.get(phase, "other")

    def _moment(self, index: int) -> Moment:
        held: dict[int, int] = {}
        for key, size in self.events[: index + 1]:
            if size > 0:
                held[key] = self._rounded(size)
            else:
                held.pop(key, None)
        parts, modules = Counter[str](), Counter[str]()
        for key, size in held.items():
            category = self.category(key)
            parts[category] += size
            if category in ("saved activations", "recomputed activations"):
                modules[layer_name(self.made[key - 1][2])] += size
        last = next((key for key, size in reversed(self.events[: index + 1]) if size > 0), 0)
        operator = self.made[last - 1][3] if last else ""
        owner = _owner(parts, modules)
        return Moment(self.phases[index], self._live[index], _sorted(parts), _sorted(modules), owner, operator)


PHASE_CATEGORIES = {
    "loading": "loading temporaries",
    "setup": "other",
    "batch": "batch",
    LOSS_BACKWARD: "loss backward temporaries",
    "backward": "backward temporaries",
    "optimizer": "optimizer temporaries",
    "generate": "generation",
    "score": "scoring temporaries",
}


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return {name: size for name, size in counts.most_common() if size}


def _owner(parts: Counter[str], modules: Counter[str]) -> str:
    if not parts:
        return ""
    name, size = parts.most_common(1)[0]
    if "activations" in name and modules:
        module, share = modules.most_common(1)[0]
        return f"{name}, most of it of {module} ({100 * share // max(1, size)} %)"
    return name


def _is_head(module: str) -> bool:
    """Whether a module is the language model itself or its head, that is, what comes behind the layers."""
    return layer_name(module) in ("", "model", "lm_head", "score") and ".layers" not in module


def layer_name(module: str) -> str:
    """A module's name without PEFT's prefixes, all layers as one: `layers.*.mlp.down_proj`."""
    name = re.sub(r"^base_model\.model(\.|$)", "", module)
    name = re.sub(r"^model\.(?=.)", "", name)
    return re.sub(r"\.\d+(?=\.|$)", ".*", name)
