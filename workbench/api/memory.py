"""`recipe.estimate()`: will it fit? A breakdown in which every byte shows its formula."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from workbench.api.asked import Answer, Asked, Device, Method, by_size, epoch_batches, lengths_of, scored_share
from workbench.api.asked_samples import with_counted_samples
from workbench.api.fit_bar import FitBar
from workbench.api.what_fits import WhatFits
from workbench.errors import ModelError, RecipeError
from workbench.memory.architecture import of_model, read_config
from workbench.memory.calibration import refined
from workbench.memory.cards import CARDS, Card
from workbench.memory.figures import Estimate, Verdict, gib
from workbench.memory.kinds import by_kind
from workbench.memory.lengths import Lengths
from workbench.memory.loading_parts import HostLoad, host_load
from workbench.memory.local_cards import pick_card
from workbench.memory.options import DEVICES, settings_of
from workbench.memory.order import Order
from workbench.memory.plan import with_options
from workbench.memory.settings import AnalyticSettings, BatchShape
from workbench.memory.sharded import estimate_sharded, sharding_of
from workbench.memory.sharding_values import Sharded
from workbench.memory.trace import Trace
from workbench.memory.traced import assumptions_of, phases_of
from workbench.recipes import Recipe

if TYPE_CHECKING:
    from workbench.api.measure import Measurement
    from workbench.api.recipe import BoundRecipe

SMALLEST_CARDS = 3
"""Cards named where nobody named one."""


@dataclass(frozen=True)
class MemoryEstimate(FitBar, WhatFits):
    """An estimate with what it was made for.

    Attributes:
        estimate: Parts, peaks and totals in bytes.
        batch: The largest micro batch.
        gpu: The card to compare with; None where nobody said.
        trace: The log behind a traced estimate.
        seconds: Time it took.
        lengths: Lengths of the rows, where they are known.
        options: What was said beside the recipe.
        notes: Sentences on how the recipe was read.
        bound: The recipe with its rows, where it was made of them.
        order: Reserved memory over the steps of the first epoch, for a trace of rows that differ in length.
    """

    estimate: Estimate
    recipe: Recipe
    batch: BatchShape
    gpu: Card | None = None
    trace: Trace | None = None
    seconds: float = 0.0
    lengths: Lengths | None = None
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    notes: tuple[str, ...] = ()
    bound: BoundRecipe | None = field(default=None, repr=False, compare=False)
    order: Order | None = field(default=None, repr=False, compare=False)

    @property
    def card(self) -> int | None:
        """Bytes of the card that this run may use."""
        return None if self.gpu is None else max(1, self.gpu.free)

    @property
    def verdict(self) -> Verdict | None:
        """Whether it fits the card; None where no card was named."""
        return None if self.card is None else self.estimate.verdict(self.card)

    @property
    def fits_on(self) -> list[str]:
        """The smallest cards of the table on which it fits."""
        cards = sorted(CARDS.values(), key=lambda card: card.bytes)
        return [card.name for card in cards if self.estimate.verdict(card.bytes).word == "fits"][:SMALLEST_CARDS]

    @property
    def said(self) -> Mapping[str, Any]:
        """Options that were said; the share of trained tokens is what the rows have."""
        return {name: value for name, value in self.options.items() if name != "scored_share"}

    def code(self) -> str:
        """Python that gives this estimate again."""
        said = {
            **({} if self.trace is None else {"method": "trace"}),
            **({} if self.estimate.device == "cuda" else {"device": self.estimate.device}),
            **({} if self.gpu is None else {"gpu": self.gpu.name}),
            **self.said,
        }
        return f"recipe.estimate({', '.join(f'{name}={value!r}' for name, value in said.items())})"

    @property
    def assumptions(self) -> list[str]:
        """What the figures take for granted, in sentences."""
        if self.trace is not None:
            return [*assumptions_of(self.trace), *self.notes]
        return [
            f"the largest micro batch has {self.batch.rows} rows of {self.batch.length} tokens",
            "a closed form; the allocator's share is an interval from replays and published runs",
            *self.notes,
        ]

    @property
    def reserved_bytes(self) -> int:
        """What torch will report as reserved: the replay's figure, or the middle of the interval."""
        return (self.estimate.expected.low + self.estimate.expected.high) // 2

    @property
    def live_bytes(self) -> int:
        """The hard minimum: live bytes at the highest moment, of a trace with what its allocator cannot split off."""
        unsplit = 0 if self.trace is None else self.trace.live - self.trace.peak.bytes
        return self.estimate.hard_minimum + unsplit

    @property
    def nvidia_smi_bytes(self) -> int:
        """What nvidia-smi will show, the middle of the interval."""
        return (self.estimate.shown.low + self.estimate.shown.high) // 2

    @property
    def by_component(self) -> dict[str, int]:
        """Live bytes at the highest moment by kind (`workbench.memory.kinds`); they add up to `live_bytes`.

        Of a trace `other` has what the allocator hands out beyond what was asked: rests of blocks too small to split.
        """
        found = by_kind(self.estimate.peak.parts)
        found["other"] = found.get("other", 0) + self.live_bytes - sum(found.values())
        return found

    def measure(self, root: str | None = None) -> Measurement:
        """Run two real steps on the longest batch in the background, as `recipe.launch` would; returns at once.

        Args:
            root: Where the run is made; None is `measured` in the folder of runs.

        Raises:
            RecipeError: WB821 without rows, or for options that a launch does not have.
        """
        from workbench.api.measure import measure

        return measure(self, root)

    @cached_property
    def settings(self) -> AnalyticSettings:
        """What the closed form is asked.

        Raises:
            RecipeError: For options that only a trace knows (WB810).
        """
        return settings_of(self.recipe, self.batch, "cpu" if self.estimate.device == "cpu" else "cuda", self.options)[0]

    @cached_property
    def sharded(self) -> Sharded | None:
        """What ranks own and what lies in host memory, by the closed form; None on one device."""
        if not any(self.options.get(name) for name in DEVICES):
            return None  # settings of a traced adapter may be beyond the closed form
        sharding = sharding_of(self.settings)
        if sharding.strategy == "none":
            return None
        return estimate_sharded(of_model(self.recipe.model), self.settings, sharding)

    @cached_property
    def loading(self) -> HostLoad | None:
        """Host memory while the weights are loaded; None for a family whose parameters only a trace counts."""
        plan = self.trace.plan if self.trace is not None else None
        try:
            parameters = of_model(self.recipe.model).total
            if plan is None:
                loaded, quantised = self.settings.weight_bytes, self.settings.quantisation != "none"
            else:
                loaded, quantised = 4 if plan.dtype == "float32" else 2, plan.quantisation is not None
        except (ModelError, RecipeError):
            return None
        config = read_config(self.recipe.model)
        text: Any = config.get("text_config")
        config = {**(cast("dict[str, Any]", text) if isinstance(text, dict) else {}), **config}
        return host_load(parameters, config.get("dtype") or config.get("torch_dtype"), loaded, quantised=quantised)

    def _over_ranks(self) -> dict[str, Any]:
        if self.sharded is None:
            return {"sharding": "none", "world": 1}
        said = self.sharded.to_dict()
        spread = {name: said["sharding"][name] for name in ("world", "offload")}
        of_hosts = {name: said[name] for name in ("host_bytes", "host_most_bytes", "host", "ranks")}
        return {"sharding": said["sharding"]["strategy"], **spread, **of_hosts}

    # As values

    def _phases(self) -> list[dict[str, Any]]:
        if self.trace is not None:
            return [
                {**phase, "by_component": by_kind(_sizes(phase["by_component"]))} for phase in phases_of(self.trace)
            ]
        return [
            {"phase": peak.name, "live_bytes": peak.bytes, "by_component": by_kind(peak.parts)}
            for peak in self.estimate.peaks
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain values; sizes in bytes, of one rank."""
        made, verdict = self.estimate, self.verdict
        return {
            "live_bytes": self.live_bytes,
            "reserved_bytes": self.reserved_bytes,
            "nvidia_smi_bytes": self.nvidia_smi_bytes,
            "by_component": self.by_component,
            "phases": self._phases(),
            "verdict": verdict.word if verdict else None,
            "reason": verdict.reason
            if verdict
            else f"no card was named; it fits on {', '.join(self.fits_on) or 'none'}",
            "assumptions": self.assumptions,
            "seconds": self.seconds,
            "gpu": self.gpu.to_dict() if self.gpu else None,
            "usable_bytes": verdict.usable if verdict else None,
            "fits_on": self.fits_on,
            **self._over_ranks(),
            **self._further(),
            "kind": made.kind,
            "device": made.device,
            "model": self.recipe.model,
            "scope": made.scope,
            "batch": asdict(self.batch),
            "parts": [asdict(part) for part in made.parts],
            "peak": {"name": made.peak.name, "bytes": made.peak.bytes, "parts": dict(made.peak.parts)},
            "hard_minimum_bytes": made.hard_minimum,
            "expected_bytes": asdict(made.expected),
            "shown_bytes": asdict(made.shown),
            "order": self.order.to_dict() if self.order else None,
            "loading": asdict(self.loading) if self.loading else None,
        }

    def _peak_parts(self) -> list[tuple[str, int]]:
        return sorted(((n, b) for n, b in self.estimate.peak.parts.items() if b), key=lambda item: -item[1])

    def __repr__(self) -> str:
        made = self.estimate
        head = (
            f"{self.recipe.model}, {self.batch.rows} × {self.batch.length} tokens on {made.device}: at least "
            f"{gib(made.hard_minimum)}, expected {made.expected}"
        )
        lines = [head if made.device == "cpu" else f"{head}, nvidia-smi {made.shown}"]
        lines += [f"  {gib(size):>12}  {name}" for name, size in self._peak_parts()]
        lines += [f"  {self.gpu}: {self.verdict.word}: {self.verdict.reason}"] if self.verdict else []
        if self.sharded is not None:
            lines.append(f"  of {self.sharded}")
        return "\n".join([*lines, f"  peak: {made.peak.name}; {made.scope}"])


def _sizes(parts: Any) -> Mapping[str, int]:
    return parts


def estimate(
    bound: BoundRecipe,
    *,
    method: Method = "analytic",
    device: Device = "cuda",
    gpu: str | None = None,
    card_gib: float | None = None,
    **options: Any,
) -> MemoryEstimate:
    """Estimate a bound recipe on its own longest rows.

    Args:
        bound: Recipe and rows.
        method: `analytic`, a formula in a millisecond, or `trace`, the real step on tensors without data in seconds.
        device: `cuda`, or `cpu` for host memory of tensors.
        gpu: Card to compare with: a name of `workbench.memory.cards`, a size such as `24GB`, or `local`.
        card_gib: The same as a number of GiB.
        options: Fields of `workbench.memory.plan.Plan` that the recipe does not say, such as `attention`, and `task`
            for its `method` (sft, dpo, kto, reward); `adapter` and `quantisation` instead of the recipe's; `samples`
            may be prompts as in `recipe.launch`; `notes`: sentences on how the recipe was read.

    Raises:
        ModelError: For an architecture that is not known.
        RecipeError: For a method that is not traced (WB810), a field that no plan has (WB815), or a card that is
            neither a name nor a size (WB816, WB806).
    """
    card, notes = pick_card(gpu, card_gib), tuple(options.pop("notes", ()))
    options = with_counted_samples(bound, options)
    bound = replace(bound, recipe=with_options(bound.recipe, options))
    lengths = Lengths.of([len(row.input_ids) for row in bound.enc.train_rows] or [1])
    packed, batches = bound.recipe.packing != "none", by_size(bound)
    largest, middling = batches[-1], batches[len(batches) // 2]
    # on the CPU TRL's fused head computes every position, on CUDA those with a label
    labels = [label for row in largest for label in row.labels] if device == "cuda" else []
    trained = sum(label != -100 for label in labels) or None
    if method == "trace":
        options = {"scored_share": scored_share(largest), **options}
    asked = Asked(bound.recipe, lengths, device, options, notes, trained)
    traced = [lengths_of(middling, packed=packed), lengths_of(largest, packed=packed)]
    epoch = [] if packed else [lengths_of(batch, packed=False) for batch in epoch_batches(bound)]
    answer = asked.trace(traced, epoch) if method == "trace" else asked.answer(method)
    return _made(asked, answer, card, bound)


def estimate_recipe(
    recipe: Recipe,
    longest: int | Lengths,
    *,
    method: Method = "analytic",
    device: Device = "cuda",
    gpu: str | None = None,
    card_gib: float | None = None,
    **options: Any,
) -> MemoryEstimate:
    """Estimate a recipe without its rows.

    Args:
        recipe: The recipe.
        longest: Tokens of the longest row, which every row of the batch then has, or lengths of all rows.
        method: As in `estimate`.
        device: As in `estimate`.
        gpu: As in `estimate`.
        card_gib: As in `estimate`.
        options: As in `estimate`.
    """
    notes = tuple(options.pop("notes", ()))
    card = pick_card(gpu, card_gib)
    asked = Asked(with_options(recipe, options), longest, device, options, notes)
    return _made(asked, asked.answer(method), card)


def _made(asked: Asked, answer: Answer, card: Card | None, bound: BoundRecipe | None = None) -> MemoryEstimate:
    made, learned = refined(answer.estimate, card)
    unread = [f"{name} of the recipe is not read: its adapter is a mapping" for name in asked.recipe.unread]
    return MemoryEstimate(
        made,
        asked.recipe,
        answer.batch,
        card,
        answer.trace,
        answer.seconds,
        asked.lengths,
        asked.options,
        (*answer.notes, *learned, *unread),
        bound,
        answer.order,
    )
