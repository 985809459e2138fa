"""What a trainer's tokenizer, model and prepared dataset say about the arrays of its batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from workbench.tokens.encode import special_ids
from workbench.tokens.media import image_ids, image_runs, supervised
from workbench.tokens.spelling import spelled
from workbench.types import IGNORE, Finding, Reason
from workbench.views.arrays import Sequenced
from workbench.views.thumbnails import Picture, pictures_of

MOST_LOOKED_UP = 50_000
"""Rows of a prepared dataset that are looked through to name the row a sequence came from."""

ANSWERS = {"dpo": ("chosen_ids", "rejected_ids"), "kto": ("completion_ids",), "reward": ("chosen_ids", "rejected_ids")}


class Found(NamedTuple):
    """A row of the trainer's prepared dataset.

    Attributes:
        row: Its index there.
        lengths: Tokens of its sequences before max_length.
        label: Whether a KTO row is desirable.
    """

    row: int
    lengths: tuple[int, ...]
    label: bool | None


class Reader:
    """Turns arrays of one trainer's batches into sequences that can be shown."""

    def __init__(self, trainer: Any, kind: str) -> None:
        processor = trainer.processing_class
        self.trainer, self.kind, self.processor = trainer, kind, processor
        self.tokenizer = getattr(processor, "tokenizer", processor)
        self.special = special_ids(self.tokenizer)
        config = trainer.model.config
        self.images = image_ids(processor, config)
        self.pad_id = getattr(config, "pad_token_id", None)

    @cached_property
    def ends(self) -> frozenset[int]:
        """Tokens that end a completion, as GRPO and RLOO count them: the trainer's stop tokens, and padding."""
        listed = getattr(self.trainer, "eos_token_ids", None) or [self.tokenizer.eos_token_id]
        found = [*listed, self.tokenizer.pad_token_id]
        return frozenset(int(token) for token in found if token is not None)

    @property
    def name(self) -> str:
        """The tokenizer's name for a subtitle."""
        from workbench import tiny_llama

        named = str(getattr(self.tokenizer, "name_or_path", "") or type(self.tokenizer).__name__)
        if named == str(tiny_llama.model_path()):
            return "tiny-llama"
        return named.rstrip("/").rsplit("/", 1)[-1]

    def sequence(
        self,
        ids: Sequence[int],
        trained: Sequence[bool],
        attended: Sequence[bool],
        *,
        why: tuple[Reason, Reason],
        roles: Sequence[str] | None = None,
        positions: Sequence[int] | None = None,
    ) -> Sequenced:
        """One sequence as it stands in a batch.

        Args:
            ids: Token ids (T,).
            trained: Whether each is a target.
            attended: False for padding.
            why: Reasons of trained and of masked tokens.
            roles: Block of each token; None takes prompt and completion from `trained`.
            positions: position_ids, where the batch has them.
        """
        images = self.images
        reasons = [
            why[0] if hit else Reason.PADDING if not seen else Reason.MEDIA if token in images and not hit else why[1]
            for token, hit, seen in zip(ids, trained, attended, strict=True)
        ]
        if roles is None:
            first = next((i for i, hit in enumerate(trained) if hit), len(ids))
            roles = ["prompt" if i < first else "completion" for i in range(len(ids))]
        shown = [role if seen else "padding" for role, seen in zip(roles, attended, strict=True)]
        return Sequenced(ids, spelled(ids, self.tokenizer), trained, reasons, shown, self.special, positions)

    def media(
        self, seq: Sequenced, pictures: Sequence[Picture], count: int | None = None
    ) -> tuple[list[dict[str, Any]], list[Finding]]:
        """Images of a sequence for the viewer, and what is wrong with them.

        Args:
            seq: The sequence.
            pictures: Its images, in order, where they are known.
            count: How many images it has, where that is known.
        """
        runs = image_runs(seq.ids, self.images, self.special, count)
        out: list[dict[str, Any]] = []
        for number, (start, end) in enumerate(runs):
            picture = pictures[number] if number < len(pictures) else Picture(None, None, None)
            text = seq.texts[next(i for i in range(start, end) if seq.ids[i] in self.images)][0] or "image"
            out.append({"start": start, "end": end, "name": text, **picture._asdict()})
        return out, supervised(runs, seq.trained)

    def pictures(self, arrays: Mapping[str, Any]) -> list[Picture]:
        """Small copies of a batch's images, in order."""
        if "pixel_values" not in arrays:
            return []
        size = arrays["image_size"].tolist() if "image_size" in arrays else None
        return pictures_of(arrays["pixel_values"], getattr(self.processor, "image_processor", None), size)

    # The trainer's prepared dataset

    def found(self, *kept: Sequence[int]) -> Found | None:
        """The row of the prepared dataset that these sequences came from, max_length considered; None if not known."""
        return self._rows.get(hash(tuple(tuple(part) for part in kept)))

    @cached_property
    def _rows(self) -> dict[int, Found]:
        data = getattr(self.trainer, "train_dataset", None)
        names = getattr(data, "column_names", None)
        answers = ANSWERS.get(self.kind)
        if not answers or not isinstance(names, list) or any(name not in names for name in answers):
            return {}
        if len(data) > MOST_LOOKED_UP:
            return {}
        prompts = data["prompt_ids"] if "prompt_ids" in names else [[]] * len(data)
        labels = data["label"] if "label" in names else [None] * len(data)
        out: dict[int, Found] = {}
        sides = zip(*(data[name] for name in answers), strict=True)
        for row, (prompt, label, parts) in enumerate(zip(prompts, labels, sides, strict=True)):
            whole = [tuple(prompt) + tuple(part) for part in parts]
            key = hash(tuple(self._cut(part) for part in whole))
            out.setdefault(key, Found(row, tuple(map(len, whole)), None if label is None else bool(label)))
        return out

    def _cut(self, ids: tuple[int, ...]) -> tuple[int, ...]:
        most = getattr(self.trainer.args, "max_length", None)
        if most is None or self.kind == "reward":
            return ids
        return ids[-most:] if getattr(self.trainer.args, "truncation_mode", "keep_start") == "keep_end" else ids[:most]


def rows_of(arrays: Mapping[str, Any], name: str) -> list[list[int]] | None:
    """An array of a batch as lists, None where it has none."""
    return arrays[name].tolist() if name in arrays else None


def targets(arrays: Mapping[str, Any], prefix: str = "") -> list[list[bool]] | None:
    """Whether each token is a target of the loss: by labels where the batch has them, else by completion_mask.

    DPO and KTO make their labels in `compute_loss` out of the mask; their forward gets the labels.
    """
    if f"{prefix}labels" in arrays:
        return (arrays[f"{prefix}labels"] != IGNORE).tolist()
    return (arrays[f"{prefix}completion_mask"] != 0).tolist() if f"{prefix}completion_mask" in arrays else None
