"""DeepSpeed's ZeRO: partitions, buckets, gathered parameters, host buffers. Bytes of one rank.

Read in source, deepspeed 0.19.6 (deepspeed/runtime/zero): stage_1_and_2.py, stage3.py, partition_parameters.py,
partitioned_param_coordinator.py; and run on the CPU (docs/memory.md, tests/memory/deepspeed_grid.csv).
The model computes in one type (bfloat16 with `bf16.enabled`), adapters included; the optimizer has float32 masters of
the trained parameters.
"""

from __future__ import annotations

from collections.abc import Mapping

from workbench.memory.figures import Part
from workbench.memory.settings import rounded
from workbench.memory.sharding_fsdp import GATHER, REDUCE, UNSHARDED, WHOLE_GRADIENTS, Parts
from workbench.memory.sharding_layout import ADAPTER, WEIGHTS, Layout, Tensor
from workbench.memory.sharding_values import PINNED, Buckets, Sharding, pinned_block

MASTER, MASTER_BYTES = "master weights", 4
SUB_GROUP = 10**9
"""`sub_group_size`: elements that stage 3 steps at once (deepspeed 0.19.6, config.py)."""

BEFORE_LAYERS = ("last layer forward", "loss forward", "loss backward", "generate", "score", "sample", "evaluation")
"""Moments before the first layer runs backward, and those between steps: no gradient of a layer is there."""


class ZeroStep:
    """Sizes of one step under ZeRO.

    Args:
        layout: The model's tensors, all stored in the compute type.
        sharding: Stage, world, offload.
        buckets: Filled buffers.
        moving: As for FSDP2.
    """

    def __init__(
        self, layout: Layout, sharding: Sharding, buckets: Buckets, moving: Mapping[str, Mapping[str, int]]
    ) -> None:
        self.layout, self.moving, self.world = layout, moving, sharding.world
        self.stage = int(sharding.strategy[-1])
        self.offload = sharding.offload
        self.buckets = buckets
        self.size = layout.tail.tensors[0].computed
        self.partition = self._partition()

    def _partition(self) -> int:
        """Trained elements of one rank: each tensor cut by itself in stage 3, flat groups before."""
        if self.stage == 3:
            return self.layout.total(lambda t: -(-t.numel // self.world) * t.trained)
        # transformers makes two groups, with and without weight decay; each is padded to 2 elements a rank
        matrices = self.layout.total(lambda t: t.numel * (t.trained and t.columns > 1))
        groups = (matrices, self.layout.trained - matrices)
        return sum(-(-group // (2 * self.world)) * 2 for group in groups)

    def persistent(self, tensor: Tensor) -> bool:
        """Whether stage 3 keeps a tensor whole on every rank."""
        return tensor.numel <= (self.buckets.persistence or 0)

    def weights(self, part: str) -> int:
        """Device bytes of a part between steps."""
        if self.stage < 3:
            return self.layout.total(lambda t: t.numel * t.computed * (t.part == part))
        cut = self.layout.total(lambda t: self._cut(t) * (t.part == part and self._on_device(t)))
        return cut + self.layout.total(lambda t: t.numel * t.computed * (t.part == part and self.persistent(t)))

    def _cut(self, tensor: Tensor) -> int:
        return -(-tensor.numel // self.world) * tensor.computed

    def _on_device(self, tensor: Tensor) -> bool:
        # trained partitions are moved to the flat host buffer whether they persist or not
        return self.offload != "parameters" or (self.persistent(tensor) and not tensor.trained)

    @property
    def state(self) -> int:
        """Optimizer state of one rank."""
        return rounded(self.partition * self.layout.state_of_one)

    def static(self) -> Parts:
        """What lives on the device through the whole step."""
        found = {WEIGHTS: self.weights(WEIGHTS) + self.layout.quant_state, ADAPTER: self.weights(ADAPTER)}
        if self.offload == "none":
            found |= {MASTER: MASTER_BYTES * self.partition, "optimizer": self.state}
        if self.stage == 3:
            # allocated once, before the first step
            found[REDUCE] = self._bucket
            found["gradients"] = 0 if self.offload != "none" else self.size * self.partition
        elif self.offload != "none":
            found[REDUCE] = self.size * self.layout.largest  # temp_grad_buffer_for_gpu_offload
        return {name: size for name, size in found.items() if size}

    @property
    def _bucket(self) -> int:
        return self.size * (self.buckets.reduce or 0)

    def moments(self) -> dict[str, Parts]:
        """Moment -> part -> bytes, without what lives through the whole step."""
        found: dict[str, Parts] = {}
        for name, moving in self.moving.items():
            parts = {**moving, **self._sizes(name)}
            found[name] = {part: size for part, size in parts.items() if size}
        return found

    def _sizes(self, moment: str) -> Parts:
        if moment == "optimizer step":
            return self._step()
        whole = self._gathered(moment)
        if moment in BEFORE_LAYERS:
            return {**whole, "gradients": self._waiting()}
        return {**whole, **(self._first_stage(moment) if self.stage == 1 else self._reducing(moment))}

    def _waiting(self) -> int:
        """Gradients of earlier micro batches on the device: whole in stage 1, reduced in stage 2."""
        if self.layout.accumulation == 1 or self.stage == 3:
            return 0
        return self.size * self.layout.trained if self.stage == 1 else self._own

    @property
    def _own(self) -> int:
        """The rank's reduced gradients in the compute type."""
        return self.size * self.partition if self.offload == "none" else 0

    def _embedding(self) -> tuple[int, int]:
        """Bytes of the embedding's gradient, and how many there are when autograd makes it: a tied one has two."""
        elements = max(t.numel for t in self.layout.tail.tensors) * self.layout.tail.tensors[0].trained
        return self.size * elements, 2 if self.layout.embedding is None else 1

    @property
    def _norm(self) -> int:
        """A float64 copy of what a rank keeps of the largest gradient, for its norm: only where it is offloaded."""
        if self.offload == "none":
            return 0
        largest = self.layout.largest
        return 8 * (-(-largest // self.world) if self.stage == 3 else min(largest, self.partition))

    def _buckets(self) -> int:
        return 0 if self.stage == 3 else self._bucket * (2 if self.buckets.overlap else 1)

    def _first_stage(self, moment: str) -> Parts:
        """Stage 1 keeps all gradients until backward ends, and reduces them then unless communication overlaps."""
        gradients = self.size * self.layout.trained
        if moment != "backward end":
            late = moment == "last layer backward" or self.layout.accumulation > 1
            reduce = self._buckets() if self.buckets.overlap else 0
            made = self.size * self.layout.largest
            return {REDUCE: reduce, WHOLE_GRADIENTS: made, "gradients": gradients if late else 0}
        embedding, copies = self._embedding()
        own = 0 if self.buckets.overlap else self._own
        return {
            REDUCE: self._buckets(),
            WHOLE_GRADIENTS: max(own + self._norm, (copies - 1) * embedding),
            "gradients": gradients,
        }

    def _reducing(self, moment: str) -> Parts:
        """Stages 2 and 3 reduce while backward runs: buckets, and the flat copy of one or the gradient just made."""
        end = moment == "backward end"
        late = end or moment == "last layer backward"
        embedding, copies = self._embedding()
        made = embedding * copies if end else self.size * self.layout.largest
        copy = self.size * min(self.buckets.reduce or 0, self.layout.trained)
        kept = 0 if self.stage == 3 else self._own
        if self.stage == 3:  # the tensor itself is cut again when its gradient's norm is taken
            return {REDUCE: copy, WHOLE_GRADIENTS: max(made, self._norm), "gradients": 0}
        accumulates = self.layout.accumulation > 1
        return {
            REDUCE: self._buckets() + max(0, copy - made - self._norm),
            WHOLE_GRADIENTS: made + self._norm,
            "gradients": kept * ((late or accumulates) + accumulates),
        }

    def _gathered(self, moment: str) -> Parts:
        """Whole parameters: those that are used again within the reuse distance, the current module, the prefetch."""
        if self.stage < 3:
            return {}
        whole = self.layout.total(lambda t: t.numel * (not self.persistent(t)))
        table = self.layout.embedding
        if table is not None and not table.tensors[0].trained:  # backward does not use it, so it is not kept
            whole -= sum(t.numel * (not self.persistent(t)) for t in table.tensors)
        module = max(t.numel for t, _ in self.layout.tensors())
        near = self.buckets.reuse // 2  # used in forward and again in backward: the way to the turn and back
        prefetch = min(self.buckets.prefetch or 0, self.buckets.live)
        kept = 0 if moment == "backward end" else near
        return {
            UNSHARDED: self.size * min(whole, kept + module + prefetch),
            GATHER: self.size * min(prefetch, whole),  # the flat buffer until it is copied out
        }

    def _step(self) -> Parts:
        """Gradients become float32 while their flat copy is still there; then the optimizer's temporaries."""
        if self.offload != "none":
            return {}
        held = min(self.partition, SUB_GROUP) if self.stage == 3 else self.partition
        kept = 0 if self.stage == 3 else self.size * held
        temporaries = rounded(held * self.layout.temporary_of_one)
        return {"gradients": MASTER_BYTES * held + max(kept + self.size * held, temporaries)}

    def host(self) -> tuple[Part, ...]:
        """Host buffers of one rank."""
        if self.offload == "none":
            return ()
        n, inputs = self.partition, {"partition": float(self.partition)}
        sizes = {
            MASTER: (MASTER_BYTES * n, "4 x partition"),
            "gradients": (MASTER_BYTES * n, "4 x partition, float32 for the step"),
            "optimizer": (self.state, "state of the partition"),
        }
        if self.stage == 3:
            sizes["gradient buffer"] = (self.size * n, "c x partition: grad_partitions_flat_buffer")
        else:
            sizes["weights copy"] = (self.size * n, "c x partition, on the way back to the device")
            sizes["gradient buffer"] = (self._host_gradients(), "c x largest, and c x partition with accumulation")
        if self.offload == "parameters":
            size = self.layout.total(lambda t: self._cut(t) * (not self._on_device(t)))
            sizes["weights"] = (size, "c x partition of every parameter")
        source = "deepspeed 0.19.6, runtime/zero"
        loose = {"optimizer"} | ({MASTER} if self.stage == 3 else set())
        pinned = {name for name in sizes if self.buckets.pinned and name not in loose}
        return tuple(
            Part(name, size, formula, {**inputs, PINNED: float(pinned_block(size) if name in pinned else size)}, source)
            for name, (size, formula) in sizes.items()
        )

    def _host_gradients(self) -> int:
        accumulated = self.partition if self.layout.accumulation > 1 else 0
        return self.size * (self.layout.largest + accumulated)
