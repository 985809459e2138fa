"""FSDP2's moments: which layers are whole, which buffers are held, when. Bytes of one rank.

    gather                  the first or the last unit of forward: its buffer beside that of the unit before
    loss forward            tail whole, and its gather buffer (the layer's where head and embedding are tied)
    loss backward           tail whole; it is cut again once the norm's backward is done
    tail reduce             where the head is not tied: its gradient and the copy in the reduce buffer
    first layer backward    layer whole, gather buffer of the layer below, reduce buffer of the tail or the layer above
    layer reduce            the same with all gradients of the layer
    last layer backward     the lowest layer, when the other layers' gradient shards are there
    embedding backward      embedding whole, its gradient (three times where tied), reduce buffer of the lowest layer
    embedding reduce        the gradient, its copy in the reduce buffer, the reduced shard before it is cast
    optimizer step          shards only

Source: torch 2.13, distributed/fsdp/_fully_shard: one gather buffer outlives its copy-out until the next unshard in
forward (_fsdp_param_group.py, wait_for_unshard); backward prefetches one unit (_backward_prefetch); one reduce-scatter
input stays until the next unit's post_backward (reduce_scatter_max_input_buffers=1); a loop variable of foreach_reduce
(_fsdp_collectives.py) keeps a unit's last gradient while it is reduced. Units as in accelerate 1.15.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from workbench.memory.sharding_layout import Layout, Unit
from workbench.memory.sharding_values import Sharding

UNSHARDED, GATHER, REDUCE, WHOLE_GRADIENTS = (
    "unsharded parameters",
    "gather buffers",
    "reduce buffers",
    "unsharded gradients",
)
REFERENCE = "reference model"
UNSHARDED_MOMENTS = ("loss forward", "loss backward", "first layer backward", "backward end", "optimizer step")
"""Moments of the unsharded step that have a counterpart here; any other one, such as generation, is a forward pass."""

Parts = dict[str, int]


@dataclass(frozen=True, slots=True)
class Added:
    """What sharding adds to a moment, bytes."""

    whole: int = 0
    gather: int = 0
    reduce: int = 0
    unsharded: int = 0
    scattered: int = 0

    def to(self, moving: Mapping[str, int]) -> Parts:
        """The moment's parts: what moves in the unsharded step, and this."""
        named = {
            UNSHARDED: self.whole,
            GATHER: self.gather,
            REDUCE: self.reduce,
            WHOLE_GRADIENTS: self.unsharded,
            "gradients": self.scattered,
        }
        return {**moving, **{name: size for name, size in named.items() if size}}


class FsdpStep:
    """Sizes of one step; `moments` puts them together.

    Args:
        layout: The model's tensors.
        sharding: World, resharding, offload.
        moving: Moment of the unsharded step -> part -> bytes of what is not a parameter, gradient or state.
        referred: Whether a second model scores the batch.
    """

    def __init__(
        self, layout: Layout, sharding: Sharding, moving: Mapping[str, Mapping[str, int]], referred: bool = False
    ) -> None:
        self.referred = referred
        self.layout, self.sharding, self.moving = layout, sharding, moving
        self.world = sharding.shards
        self.tied = layout.embedding is None
        self.computed = layout.tail.tensors[0].computed
        self.layers = sum(unit.count for unit in layout.layers)
        self.table = layout.embedding or layout.tail

    def moments(self) -> dict[str, Parts]:
        """Moment -> part -> bytes, without what lives through the whole step."""
        upper = range(min(2, self.layers))
        found = {name: self._pass(name) for name in self.moving if name not in UNSHARDED_MOMENTS}
        return found | {
            "gather": _highest((self._first_gather(), self._last_gather())),
            "loss forward": self._loss_forward(),
            **({"reference forward": self._reference_forward()} if self.referred else {}),
            "loss backward": self._loss_backward(),
            **({} if self.tied else {"tail reduce": self._tail_reduce()}),
            "first layer backward": _highest(self._layer(done, False, last) for done in upper for last in self._passes),
            "layer reduce": _highest(self._layer(done, True, last) for done in upper for last in self._passes),
            "last layer backward": _highest(self._layer(self.layers - 1, end, True) for end in (False, True)),
            "embedding backward": self._embedding_backward(),
            "embedding reduce": self._embedding_reduce(),
            "optimizer step": Added(scattered=self._scattered(*self.layout.units)).to(self._moving("optimizer step")),
        }

    @property
    def _passes(self) -> tuple[bool, ...]:
        """Whether a backward pass reduces: the last micro batch does, and only with three or more is one between."""
        return (True, False) if self.layout.accumulation > 2 else (True,)

    @property
    def _recomputes(self) -> bool:
        """Whether layers run again in backward, so that only their inputs are kept."""
        return self._moving("first layer backward").get("recomputed layer", 0) > 0

    def _moving(self, moment: str) -> Parts:
        return dict(self.moving.get(moment, {}))

    def _whole(self, unit: Unit) -> int:
        return unit.gathered(self.world)

    def _held(self, unit: Unit, done: int | None) -> int:
        """Whole parameters: the unit that computes, or without resharding all that backward has not done."""
        if self.sharding.reshard:
            return self._whole(unit)
        everything = sum(self._whole(each) * each.count for each in self.layout.units)
        if done is None:
            return everything
        return everything - self._whole(self.layout.tail) - done * self._whole(self.layout.layer)

    def _buffer(self, unit: Unit, forward: bool = False) -> int:
        """The flat output of an all-gather; a single rank has none, and backward gathers only what was cut."""
        needed = self.world > 1 and (forward or self.sharding.reshard)
        return self._whole(unit) if needed else 0

    def _waiting(self, done: int | None) -> int:
        """Whole gradients of earlier micro batches: accelerate reduces none before the last one (no_sync)."""
        if self.layout.accumulation == 1:
            return 0
        everything = sum(unit.gradients() * unit.count for unit in self.layout.units)
        if done is None:
            return everything
        return everything - (0 if self.tied else self.layout.tail.gradients()) - done * self.layout.layer.gradients()

    def _scattered(self, *units: Unit) -> int:
        """Gradient shards; with offload they go to the host at once."""
        if self.sharding.offload == "parameters":
            return 0
        return sum(unit.scattered(self.world) * unit.count for unit in units)

    def _reduced(self, unit: Unit) -> int:
        """The input of a unit's reduce-scatter, and with replicas the output that their all-reduce holds."""
        whole = unit.reduced(self.world, self.computed)
        return whole + (whole // self.world if self.sharding.replicas > 1 else 0)

    def _pass(self, moment: str) -> Parts:
        """A forward pass without gradients: layers are gathered one after the other."""
        layer, tail = self.layout.layer, self._whole(self.layout.tail)
        whole = self._held(layer, None) + (tail if self.sharding.reshard else 0)
        return Added(whole, self._buffer(layer, forward=True)).to(self._moving(moment))

    def _first_gather(self) -> Parts:
        """Gathering the first layer, when the buffer of the unit with the embedding is still there."""
        layer, table = self.layout.layer, self.table
        whole = self._whole(layer) + (self._whole(table) if self.tied or not self.sharding.reshard else 0)
        gather = self._buffer(table, forward=True) + self._buffer(layer, forward=True)
        return Added(whole, gather, unsharded=self._waiting(None)).to(self._moving("optimizer step"))

    def _last_gather(self) -> Parts:
        """Gathering the tail, or the last layer where the tail is whole already."""
        layer, tail = self.layout.layer, self.layout.tail
        whole = self._held(tail, None) + (self._whole(layer) if self.tied and self.sharding.reshard else 0)
        gather = self._buffer(layer, forward=True) + self._buffer(layer if self.tied else tail, forward=True)
        parts = Added(whole, gather, unsharded=self._waiting(None)).to(self._moving("loss backward"))
        left = self.layers - self.tied
        parts["activations"] = parts.get("activations", 0) // self.layers * left
        return {name: size for name, size in parts.items() if name not in ("loss", "tail", "head gradient sum")}

    def _loss_forward(self) -> Parts:
        unit = self.layout.layer if self.tied else self.layout.tail
        added = Added(
            self._held(self.layout.tail, None), self._buffer(unit, forward=True), unsharded=self._waiting(None)
        )
        if "loss forward" in self.moving:
            return added.to(self._moving("loss forward"))
        parts = added.to(self._moving("loss backward"))
        parts.pop("head gradient sum", None)
        if self.layout.logits and "loss" in parts:
            # logits in the compute type, in float32, and log_softmax: 10 of backward's 12 bytes at bfloat16
            parts["loss"] = parts["loss"] * (8 + self.computed) // 12
        return parts

    def _reference_forward(self) -> Parts:
        """A reference model is one unit (trl 1.16, models/utils.py, prepare_fsdp): whole, and whole in its buffer."""
        parts = self._loss_forward()
        everything = sum(self._whole(unit) * unit.count for unit in self.layout.units)
        parts[UNSHARDED] = parts.get(UNSHARDED, 0) + everything
        return {**parts, GATHER: everything if self.world > 1 else 0}

    def _loss_backward(self) -> Parts:
        # seen in traces with TRL's fused head: the last layer is gathered ahead while the head runs backward
        gather = 0 if self.layout.logits else self._buffer(self.layout.layer)
        added = Added(self._held(self.layout.tail, None), gather, unsharded=self._waiting(None))
        return added.to(self._moving("loss backward"))

    def _layer(self, done: int, end: bool, last: bool) -> Parts:
        """Backward of one layer after `done` others: while it computes, or when all its gradients are there."""
        layer, tail = self.layout.layer, self.layout.tail
        made = layer.gradients() if end else max((t.numel * t.computed for t in layer.tensors if t.trained), default=0)
        waiting = self._waiting(done if last else None)
        above = layer if done else tail
        shards = (0 if self.tied else self._scattered(tail)) + done * self._scattered(layer) // layer.count
        added = Added(
            whole=self._held(layer, done),
            gather=self._buffer(self.table if done == self.layers - 1 else layer),
            reduce=self._reduced(above) if last and not (self.tied and not done) else 0,
            # a tied head's gradient waits for the embedding's
            unsharded=waiting or made + (tail.gradients() if self.tied else 0),
            scattered=shards if last else 0,
        )
        parts = added.to(self._moving("first layer backward"))
        left = self.layers - done - (end and not self._recomputes)
        parts["activations"] = parts.get("activations", 0) // self.layers * left
        for name in ("layer backward", "recomputed layer") if end else ():
            parts.pop(name, None)
        return parts

    def _last_gradient(self, unit: Unit) -> int:
        """The gradient of a unit's last tensor, which outlives its copy."""
        last = unit.tensors[-1]
        return last.numel * last.computed * last.trained

    def _cast(self, unit: Unit) -> int:
        """The reduced shard in the type of the reduction, where gradients have another."""
        tensor = unit.tensors[-1]
        same = tensor.stored == self.computed
        return 0 if same or not tensor.trained else unit.reduced(self.world, self.computed) // self.world

    def _tail_reduce(self) -> Parts:
        tail = self.layout.tail
        parts = Added(
            reduce=self._reduced(tail) + self._cast(tail),
            unsharded=self._waiting(0) + self._last_gradient(tail),
            scattered=self._scattered(tail),
        ).to(self._moving("loss backward"))
        return {name: size for name, size in parts.items() if name not in ("loss", "head gradient sum")}

    def _end(self, added: Added) -> Parts:
        parts = added.to(self._moving("backward end"))
        parts.pop("recomputed layer", None)
        return parts

    def _done(self) -> tuple[Unit, ...]:
        """Units whose gradients are cut before the embedding's."""
        return self.layout.layers if self.tied else (*self.layout.layers, self.layout.tail)

    def _embedding_backward(self) -> Parts:
        made = max((t.numel * t.computed for t in self.table.tensors if t.trained), default=0)
        # a tied table gets a gradient from either end, and autograd adds them into a third tensor
        made *= 3 if self.tied else 1
        shards = self._scattered(*self._done())
        return self._end(Added(self._whole(self.table), 0, self._reduced(self.layout.layer), made, shards))

    def _embedding_reduce(self) -> Parts:
        shards = self._scattered(*self._done(), self.table)
        reduce = self._reduced(self.table) + self._cast(self.table)
        return self._end(Added(0, 0, reduce, self._last_gradient(self.table), shards))


def _highest(candidates: Iterable[Parts]) -> Parts:
    return max(candidates, key=lambda parts: sum(parts.values()))
