"""Tensors of a model in the groups that sharding moves together: embedding, decoder layers, last norm with the head.

    layout = layout_of(architecture, Storage(trained=4, frozen=2, computed=2), targets, rank=16)
    layout.layer.gathered(world=8)  # bytes of one layer when all ranks hold it whole

FSDP2 cuts every tensor along its first axis into equal chunks, so rows matter and not only elements; all ranks store
the size of the first chunk. Nothing here knows of a strategy or of activations.

Source of the groups: accelerate 1.15, utils/fsdp_utils.py, fsdp2_prepare_model; of the cut: torch 2.13,
distributed/fsdp/_fully_shard/_fsdp_param.py, _init_sharded_param.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from workbench.memory.architecture import Architecture, Linear

WEIGHTS, ADAPTER = "weights", "adapter"


@dataclass(frozen=True, slots=True)
class Storage:
    """Bytes of one element.

    Attributes:
        trained: Of a trained parameter between steps.
        frozen: Of a frozen parameter.
        computed: Of a parameter while a layer computes with it.
    """

    trained: int
    frozen: int
    computed: int


@dataclass(frozen=True, slots=True)
class Tensor:
    """A parameter.

    Attributes:
        rows: Size of its first axis.
        columns: Elements of one row.
        part: `weights`, or `adapter`.
        stored: Bytes of an element between steps.
        computed: Bytes of an element while a layer computes with it.
    """

    rows: int
    columns: int
    part: str
    trained: bool
    stored: int
    computed: int

    @property
    def numel(self) -> int:
        """Elements."""
        return self.rows * self.columns

    def chunk(self, world: int) -> int:
        """Elements that every rank stores: those of the first chunk, because shards are padded to it."""
        return -(-self.rows // world) * self.columns

    def local(self, world: int, rank: int) -> int:
        """Elements that one rank really owns; the last ranks can own fewer, or none."""
        rows = -(-self.rows // world)
        return min(rows, max(0, self.rows - rank * rows)) * self.columns


@dataclass(frozen=True, slots=True)
class Unit:
    """Parameters that are gathered and reduced together.

    Attributes:
        count: How many units look like this one.
    """

    name: str
    tensors: tuple[Tensor, ...]
    count: int = 1

    def gathered(self, world: int) -> int:
        """Bytes of one unit on one rank when it is whole, padding included."""
        return sum(world * tensor.chunk(world) * tensor.computed for tensor in self.tensors)

    def reduced(self, world: int, size: int) -> int:
        """Bytes of the gradients of one unit before they are scattered, padded, at `size` bytes an element."""
        return sum(world * tensor.chunk(world) * size for tensor in self.tensors if tensor.trained)

    def gradients(self) -> int:
        """Bytes of the gradients of one unit as backward makes them."""
        return sum(tensor.numel * tensor.computed for tensor in self.tensors if tensor.trained)

    def scattered(self, world: int) -> int:
        """Bytes of the gradients of one unit that one rank keeps, padding included."""
        return sum(tensor.chunk(world) * tensor.stored for tensor in self.tensors if tensor.trained)


@dataclass(frozen=True, slots=True)
class Layout:
    """A model as sharding sees it.

    Attributes:
        embedding: The input embedding; None where it is tied to the head and lives in the tail.
        layers: Decoder layers, alike ones as one unit with a count.
        tail: Last norm and output head.
        state_bytes: Of the optimizer's state of all trained parameters, unsharded.
        temporary_bytes: Of the optimizer's temporaries over all trained parameters, unsharded.
        accumulation: Micro batches of a step.
        logits: Whether all logits are made at once, not tiles.
    """

    embedding: Unit | None
    layers: tuple[Unit, ...]
    tail: Unit
    state_bytes: int = 0
    temporary_bytes: int = 0
    accumulation: int = 1
    logits: bool = False

    @property
    def units(self) -> tuple[Unit, ...]:
        """All units in the order of the forward pass."""
        return (*((self.embedding,) if self.embedding else ()), *self.layers, self.tail)

    @property
    def layer(self) -> Unit:
        """The largest decoder layer."""
        return max(self.layers, key=lambda unit: sum(tensor.numel for tensor in unit.tensors))

    def tensors(self) -> Iterator[tuple[Tensor, int]]:
        """Every tensor with how often it occurs."""
        for unit in self.units:
            for tensor in unit.tensors:
                yield tensor, unit.count

    def total(self, size: Callable[[Tensor], int]) -> int:
        """Sum of a size over all tensors."""
        return sum(size(tensor) * count for tensor, count in self.tensors())

    @property
    def parameters(self) -> int:
        """All parameters."""
        return self.total(lambda tensor: tensor.numel)

    @property
    def trained(self) -> int:
        """Trained parameters."""
        return self.total(lambda tensor: tensor.numel * tensor.trained)

    @property
    def state_of_one(self) -> float:
        """Bytes of optimizer state a trained element."""
        return self.state_bytes / max(1, self.trained)

    @property
    def temporary_of_one(self) -> float:
        """Bytes of optimizer temporaries a trained element."""
        return self.temporary_bytes / max(1, self.trained)

    @property
    def largest(self) -> int:
        """Elements of the largest trained tensor; 0 where nothing trains."""
        return max((tensor.numel for tensor, _ in self.tensors() if tensor.trained), default=0)


def layout_of(architecture: Architecture, storage: Storage, targets: Sequence[Linear], rank: int) -> Layout:
    """The layout of a dense decoder with or without a LoRA adapter.

    Args:
        architecture: The model's shapes.
        storage: Bytes of an element.
        targets: Linear modules with an adapter; none trains all weights.
        rank: LoRA's r.
    """
    full = not targets

    def weight(rows: int, columns: int = 1) -> Tensor:
        return Tensor(rows, columns, WEIGHTS, full, storage.trained if full else storage.frozen, storage.computed)

    def adapter(rows: int, columns: int) -> Tensor:
        return Tensor(rows, columns, ADAPTER, True, storage.trained, storage.computed)

    tensors: list[Tensor] = []
    for linear in architecture.linear.values():
        tensors.append(weight(linear.outputs, linear.inputs))
        if linear.bias:
            tensors.append(weight(linear.outputs))
    norms = [architecture.hidden] * 2 + [architecture.head_dim] * (2 if architecture.qk_norm else 0)
    tensors += [weight(width) for width in norms]
    for target in targets:
        tensors += [adapter(rank, target.inputs), adapter(target.outputs, rank)]
    table, norm = weight(architecture.vocab, architecture.hidden), weight(architecture.hidden)
    return Layout(
        embedding=None if architecture.tied else Unit("embedding", (table,)),
        layers=(Unit("layer", tuple(tensors), architecture.layers),),
        tail=Unit("tail", (norm, table)),
    )
