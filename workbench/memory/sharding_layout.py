"""Tensors of a model in the groups that sharding moves together: embedding, decoder layers, last norm with the head.

    layout = layout_of(architecture, settings, Storage(trained=4, frozen=2, computed=2))
    layout.layer.gathered(world=8)  # bytes of one layer when all ranks hold it whole

FSDP2 cuts every tensor along its first axis into equal chunks, so rows matter and not only elements; all ranks store
the size of the first chunk. Nothing here knows of a strategy or of activations.

Source of the groups: accelerate 1.15, utils/fsdp_utils.py, fsdp2_prepare_model; of the cut: torch 2.13,
distributed/fsdp/_fully_shard/_fsdp_param.py, _init_sharded_param.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from workbench.memory.linear import Linear
from workbench.memory.settings import AnalyticSettings
from workbench.memory.shapes import Architecture
from workbench.memory.sharding_packed import is_cut, is_packed, packed_shape, quant_state_bytes

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
        whole: Whether every rank keeps all of it, outside of what is cut and gathered.
    """

    rows: int
    columns: int
    part: str
    trained: bool
    stored: int
    computed: int
    whole: bool = False

    @property
    def numel(self) -> int:
        """Elements."""
        return self.rows * self.columns

    def chunk(self, world: int) -> int:
        """Elements that every rank stores: those of the first chunk, because shards are padded to it."""
        if self.whole:
            return self.numel
        return -(-self.rows // world) * self.columns

    def local(self, world: int, rank: int) -> int:
        """Elements that one rank really owns; the last ranks can own fewer, or none."""
        if self.whole:
            return self.numel
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
        return sum(world * tensor.chunk(world) * tensor.computed for tensor in self.tensors if not tensor.whole)

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
        aside: Parameters that no step gathers.
        quant_state: Bytes of scales and code books of quantised weights, whole on every rank.
    """

    embedding: Unit | None
    layers: tuple[Unit, ...]
    tail: Unit
    state_bytes: int = 0
    temporary_bytes: int = 0
    accumulation: int = 1
    logits: bool = False
    aside: tuple[Unit, ...] = ()
    quant_state: int = 0

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
        for unit in (*self.units, *self.aside):
            for tensor in unit.tensors:
                yield tensor, unit.count

    def total(self, size: Callable[[Tensor], int]) -> int:
        """Sum of a size over all tensors."""
        return sum(size(tensor) * count for tensor, count in self.tensors())

    @property
    def hidden(self) -> int:
        """Width of the model: that of the last norm."""
        return self.tail.tensors[0].rows

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


def layout_of(architecture: Architecture, settings: AnalyticSettings, storage: Storage) -> Layout:
    """The layout of a decoder with or without a LoRA adapter.

    Layers with and without experts are two units; a vision tower's parameters are kept aside, because rows of text
    never gather them.

    Args:
        architecture: The model's shapes.
        settings: Adapter, rank and targets.
        storage: Bytes of an element.
    """
    make = _Maker(settings, storage)
    experts = architecture.experts
    sparse = experts.layers if experts else 0
    norms = [tensor for _ in range(architecture.norms) for tensor in make.norm(architecture)]
    norms += [make.weight(width) for width in _query_norms(architecture)]
    layers = tuple(
        Unit(name, (*make.modules(_of_layer(architecture, settings, name == "expert layer")), *norms), count)
        for name, count in (("layer", architecture.layers - sparse), ("expert layer", sparse))
        if count
    )
    table, head = make.weight(architecture.vocab, architecture.hidden), make.norm(architecture)
    if architecture.head_bias:
        head.append(make.weight(architecture.vocab))
    return Layout(
        embedding=None if architecture.tied else Unit("embedding", (table,)),
        layers=layers,
        tail=Unit("tail", (*head, table)),
        aside=(*_tower(architecture, make), *_reached(settings, make)),
        quant_state=quant_state_bytes(architecture, settings),
    )


class _Maker:
    """Makes tensors with the types of a run."""

    def __init__(self, settings: AnalyticSettings, storage: Storage) -> None:
        self.settings, self.storage, self.full = settings, storage, settings.full

    def weight(self, rows: int, columns: int = 1) -> Tensor:
        stored = self.storage.trained if self.full else self.storage.frozen
        return Tensor(rows, columns, WEIGHTS, self.full, stored, self.storage.computed)

    def matrix(self, item: Linear) -> Tensor:
        """The weight of a linear module, packed where it is quantised."""
        if is_packed(item, self.settings):
            rows, columns, size = packed_shape(item, self.settings)
            return Tensor(rows, columns, WEIGHTS, False, size, size, whole=not is_cut(self.settings))
        if item.experts > 1:
            return self.weight(item.experts, item.inputs * item.outputs)
        return self.weight(item.outputs, item.inputs)

    def adapter(self, rows: int, columns: int = 1) -> Tensor:
        return Tensor(rows, columns, ADAPTER, True, self.storage.trained, self.storage.computed)

    def norm(self, architecture: Architecture) -> list[Tensor]:
        """Weight, and the bias of a LayerNorm."""
        return [self.weight(architecture.hidden) for _ in range(2 if architecture.norm == "layer" else 1)]

    def modules(self, modules: Sequence[tuple[Linear, bool]]) -> list[Tensor]:
        """Weights, biases and adapters of linear modules, with whether each is adapted.

        Source: experts of a layer are one parameter whose first axis is the expert (transformers 5.23); their adapter
        is one pair of matrices of rank times experts (peft 0.21).
        """
        found: list[Tensor] = []
        for item, adapted in modules:
            found += [self.matrix(item), *([self.weight(item.outputs)] if item.bias else [])]
            found += self.matrices(item) if adapted else []
        return found

    def matrices(self, item: Linear) -> list[Tensor]:
        """LoRA's matrices of a module, DoRA's magnitude, B's bias."""
        rank = item.rank_of(self.settings.rank)
        more = (self.settings.adapter == "dora") + self.settings.lora_bias
        return [
            self.adapter(rank, item.inputs),
            self.adapter(item.outputs, rank),
            *(self.adapter(item.outputs) for _ in range(more)),
        ]

    def adapts(self, architecture: Architecture, item: Linear) -> bool:
        return item in architecture.targets(self.settings)


def _of_layer(architecture: Architecture, settings: AnalyticSettings, sparse: bool) -> list[tuple[Linear, bool]]:
    """Linear modules of a layer with or without experts, each with whether it is adapted.

    A module of every layer has as many copies as there are layers; of the others the experts' come last.
    """
    targets = architecture.targets(settings)
    found: list[tuple[Linear, bool]] = []
    with_experts = False
    for item in architecture.modules:
        with_experts = with_experts or item.reads == "expert"
        everywhere = item.reads.startswith("attention")
        if item.reads != "tower" and (everywhere or with_experts == sparse):
            found.append((item, item in targets))
    return found


def _reached(settings: AnalyticSettings, make: _Maker) -> tuple[Unit, ...]:
    """What a pattern reached, layer by layer another: cut exactly, but not in a layer's buffers."""
    if settings.reached is None or settings.full:
        return ()
    adapters = [Unit(item.name, tuple(make.matrices(item)), item.copies) for item in settings.reached.modules]
    copies = [
        Unit(own.name, (make.adapter(own.rows, own.columns),), own.copies) for own in settings.copies if own.copied
    ]
    return (*adapters, *copies)


def _query_norms(architecture: Architecture) -> tuple[int, ...]:
    """Widths of the norms of queries and keys."""
    widths = {"": (), "head": (architecture.head_dim,) * 2, "whole": (architecture.query, architecture.key)}
    return widths[architecture.qk_norm]


def _tower(architecture: Architecture, make: _Maker) -> tuple[Unit, ...]:
    """A vision tower's linear modules, and the rest of it as one vector: its cut is exact to a few elements."""
    units = [
        Unit(item.name, tuple(make.modules([(item, make.adapts(architecture, item))])), item.copies)
        for item in architecture.modules
        if item.reads == "tower"
    ]
    return (*units, *([Unit("tower", (make.weight(architecture.tower),))] if architecture.tower else []))
