"""`wb.tap(trainer)`: look at the batches of a live TRL trainer, before and while it trains.

    tap = wb.tap(trainer)
    tap.preview(2)[0]           # the first batch its dataloader will yield
    trainer.train()
    tap.batches[0]              # what forward() received
    tap.close()

Looking changes nothing: previews put every random state back, and while the trainer trains a hook only reads.
"""

from __future__ import annotations

from typing import Any

from workbench.api.tap_batches import TappedBatches, batch_of
from workbench.api.tap_reader import Reader
from workbench.training.trainer_watch import ROLLOUTS, Received, TrainerWatch, read_ahead

KEEP = 64
"""Batches kept while a trainer trains; older ones are forgotten."""


def tap(trainer: Any, *, keep: int = KEEP) -> Tap:
    """Look at the batches of a trainer.

    Args:
        trainer: An `SFTTrainer`, `DPOTrainer`, `KTOTrainer`, `RewardTrainer`, `GRPOTrainer` or `RLOOTrainer` of TRL.
        keep: Batches that are kept while it trains.

    Raises:
        RunError: WB660 where it is none of these.
    """
    return Tap(trainer, keep)


class Tap:
    """A live trainer's batches. A context manager; `close()` takes the hook off.

    Attributes:
        trainer: The trainer.
        kind: `sft`, `dpo`, `kto`, `reward`, `grpo` or `rloo`.
    """

    def __init__(self, trainer: Any, keep: int = KEEP) -> None:
        self.trainer = trainer
        self._watch = TrainerWatch(trainer, keep)
        self.kind = self._watch.kind
        self.reader = Reader(trainer, self.kind)
        self._previewed: dict[int, Received] = {}
        self._last_preview: list[Received] = []

    def __enter__(self) -> Tap:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the hook off the model; what was seen stays."""
        self._watch.close()

    def preview(self, n: int = 1, *, epoch: int = 0) -> TappedBatches:
        """The first `n` batches of an epoch that the trainer's own dataloader will yield.

        Args:
            n: How many micro batches.
            epoch: 0-based.
        """
        made = self._last_preview = read_ahead(self.trainer, n, epoch)
        if epoch == 0:
            self._previewed.update({item.index: item for item in made})
        code = f"tap.preview({n}{f', epoch={epoch}' if epoch else ''})"
        return TappedBatches([batch_of(self, item, f"{code}[{i}]") for i, item in enumerate(made)], code)

    @property
    def batches(self) -> TappedBatches:
        """What `forward()` received so far: a batch a forward; of GRPO and RLOO the rollouts, one a generation."""
        seen = list(self._watch.seen)
        if self.kind in ROLLOUTS:
            seen = [item for item in seen if item.rollouts is not None]
        return TappedBatches([batch_of(self, item, f"tap.batches[{i}]") for i, item in enumerate(seen)], "tap.batches")

    def previewed(self, index: int) -> dict[str, Any] | None:
        """Arrays of a batch of epoch 0 that was looked at before it was trained on."""
        item = self._previewed.get(index)
        return None if item is None else item.arrays

    def forwards(self, generation: int | None) -> list[Received]:
        """The forwards that got sequences of a generation."""
        return [item for item in self._watch.seen if item.generation == generation]

    def code(self) -> str:
        """Python that gives this again."""
        return "tap = wb.tap(trainer)"

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "trainer": type(self.trainer).__name__,
            "kind": self.kind,
            "open": self._watch.is_open,
            "seen": self._watch.count,
            "kept": len(self._watch.seen),
        }

    def __repr__(self) -> str:
        state = "open" if self._watch.is_open else "closed"
        count = self._watch.count
        kept = f"{count} training forwards seen, {len(self.batches)} batches kept"
        return f"Tap on {type(self.trainer).__name__} ({state}): {kept}"
