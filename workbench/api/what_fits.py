"""What of an estimate's run still fits a card, and what would make it fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any

from workbench.api.asked import Asked, Device
from workbench.errors import RecipeError
from workbench.memory.alloc_conf import Settings
from workbench.memory.architecture import of_model
from workbench.memory.cards import Card
from workbench.memory.figures import Estimate
from workbench.memory.further import expandable, further
from workbench.memory.lengths import Lengths
from workbench.memory.local_cards import named_card
from workbench.memory.order import Order
from workbench.memory.remedies import Remedies, Remedy, remedies
from workbench.memory.search import Reach, Rows, largest_batch, longest_length
from workbench.memory.settings import AnalyticSettings, BatchShape
from workbench.memory.trace import Trace
from workbench.memory.traced import estimate_of
from workbench.recipes import Recipe


class WhatFits:
    """The part of a `MemoryEstimate` that asks the closed form again."""

    estimate: Estimate
    recipe: Recipe
    batch: BatchShape
    gpu: Card | None
    trace: Trace | None
    lengths: Lengths | None
    options: Mapping[str, Any]
    order: Order | None
    card: int | None
    settings: AnalyticSettings

    @cached_property
    def rows(self) -> Rows:
        """How the batch comes about."""
        recipe, packed = self.recipe, self.recipe.packing != "none"
        batch = recipe.per_device_train_batch_size
        longest = self.lengths.longest if self.lengths else self.batch.length // (batch if packed else 1)
        masked = self.options.get("padded")
        return Rows(batch, longest, recipe.max_length, packed, self.lengths, masked)

    def largest_batch(self, gpu: str | None = None, *, confirm: bool = False) -> Reach:
        """The largest per_device_train_batch_size at these lengths that fits a card, by the closed form.

        Args:
            gpu: A card's name or size; None takes the estimate's.
            confirm: Whether the largest that fits is traced too.

        Raises:
            RecipeError: Where there is no card (WB816), or the closed form does not know the run.
        """
        room = self._room(gpu)
        found = largest_batch(of_model(self.recipe.model), self.settings, self.rows, room)
        changes = {"per_device_train_batch_size": found.fits}
        return self._confirmed(found, changes, self.rows.longest, room) if confirm and found.fits else found

    def longest_length(self, gpu: str | None = None, *, confirm: bool = False) -> Reach:
        """The longest rows in tokens at this batch size that fit a card, by the closed form; as `largest_batch`."""
        room = self._room(gpu)
        found = longest_length(of_model(self.recipe.model), self.settings, self.rows, room)
        changes = {"max_length": found.fits}
        return self._confirmed(found, changes, found.fits, room) if confirm and found.fits else found

    def _confirmed(self, found: Reach, changes: Mapping[str, Any], longest: int, room: int) -> Reach:
        """What was found with the verdict of a trace of it."""
        device: Device = "cpu" if self.estimate.device == "cpu" else "cuda"
        traced = Asked(self.recipe.with_(**changes), longest, device, self.options).answer("trace")
        return replace(found, traced=traced.estimate.verdict(room).word)

    def remedies(self, gpu: str | None = None) -> Remedies:
        """What would make it fit, or need less: single changes with saving, cost and code, by the closed form.

        Raises:
            RecipeError: As `largest_batch`, but without a card savings are listed without verdicts.
        """
        room = self.card if gpu is None else self._room(gpu)
        architecture = of_model(self.recipe.model)
        found = remedies(architecture, self.settings, self.rows, room, self.recipe.adapter)
        beyond = further(architecture, self.settings, room)
        return replace(found, further=tuple(self._replayed(item, room) for item in beyond if self._applies(item)))

    def _applies(self, item: Remedy) -> bool:
        return item.name != "allocator" or not self._conf

    def _replayed(self, item: Remedy, room: int | None) -> Remedy:
        """A change of the allocator by the traced log itself, where there is one."""
        if item.name != "allocator" or self.trace is None:
            return item
        reserved = estimate_of(self.trace, self.order, Settings(expandable_segments=True)).reserved
        return expandable(self.estimate, replace(self.estimate, reserved=reserved), room)

    @property
    def _conf(self) -> str:
        return str(self.options.get("alloc_conf") or "")

    def _room(self, gpu: str | None) -> int:
        card = self.gpu if gpu is None else named_card(gpu)
        if card is None:
            raise RecipeError("No card was named.", remedy="Name one, such as gpu='4090'.", code="WB816")
        return max(1, card.free)

    def _further(self) -> dict[str, Any]:
        """Search and remedies as plain values; empty where the closed form does not know the run."""
        try:
            found: dict[str, Any] = {"remedies": self.remedies().to_dict()}
            if self.gpu is not None:
                reach = {"batch": self.largest_batch(), "length": self.longest_length()}
                found["fits_up_to"] = {name: asdict(value) for name, value in reach.items()}
        except ValueError as error:  # every WorkbenchError of a model or recipe is one
            return {"remedies": None, "not_searched": str(error)}
        return found
