"""`enc.score(model)`: what a model makes of every token: its loss, its probability, the difference to a base model.

    scored = enc.score("tiny-llama", rows=range(20))     scored[3].scores.loss     scored.look(row=3, colour_by="loss")
    enc[3].score(trained, base="tiny-llama")

Numbers come from a forward of their own (tokens/losses.py): evaluation mode, no cache, one sequence at a time, so that
none depends on what it is batched with.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import DataError, ModelError
from workbench.tokens.losses import token_losses
from workbench.training.trainer_setup import model_location

if TYPE_CHECKING:
    from workbench.api.encoded import Encoded


@dataclass(frozen=True, slots=True)
class Scores:
    """Numbers of a model about one sequence. All are of shape (T,), None for the first token.

    Attributes:
        loss: -log p of the token given those before it, in nats.
        base_loss: The same for the base model; None where there is none.
        mean: Mean loss of the trained tokens, in nats: the model's own `loss`; 0 where none is trained.
    """

    loss: tuple[float | None, ...]
    base_loss: tuple[float | None, ...] | None = None
    mean: float = 0.0

    @property
    def probability(self) -> tuple[float | None, ...]:
        """Probability of each token given those before it, 0 to 1."""
        return tuple(None if loss is None else math.exp(-loss) for loss in self.loss)

    @property
    def base_delta(self) -> tuple[float | None, ...] | None:
        """Log p(model) - log p(base) in nats: above 0 where the model finds the token likelier than the base does."""
        if self.base_loss is None:
            return None
        pairs = zip(self.loss, self.base_loss, strict=True)
        return tuple(None if ours is None or base is None else base - ours for ours, base in pairs)

    def measures(self, shown: range) -> dict[str, list[float | None]]:
        """The `measures` of docs/wire.md for some of the tokens."""
        named = {"loss": self.loss, "probability": self.probability, "base_delta": self.base_delta}
        return {
            name: [None if values[i] is None else round(values[i] or 0.0, 4) for i in shown]
            for name, values in named.items()
            if values is not None
        }


def score(enc: Encoded, model: Any, rows: Iterable[int] | None = None, base: Any = None) -> Encoded:
    """The same rows with the scores of a model; see `Encoded.score`."""
    wanted = list(enc.usable if rows is None else rows)
    usable = set(enc.usable)
    for row in wanted:
        if row not in usable:
            raise DataError(
                f"Row {row} has no tokens to score.", remedy="enc.usable lists the rows.", code="WB558", row=row
            )
    live = _live(model)
    below = None if base is None else _live(base)
    made = enc.twin()
    made.scores = {**enc.scores, **_scored(enc, wanted, live, below)}
    made.scored_by = _said(model, rows if rows is None or isinstance(rows, range) else wanted, base)
    return made


def _scored(enc: Encoded, rows: list[int], live: Any, below: Any) -> dict[tuple[int, int], Scores]:
    wanted = set(rows)
    found: dict[tuple[int, int], Scores] = {}
    with _evaluating(live), _evaluating(below):
        for place, ids, labels in zip(enc.sequences, enc._ids, enc._labels, strict=True):
            if place[0] in wanted:
                found[place] = _scores(ids.tolist(), labels.tolist(), live, below)
    return found


def _scores(ids: list[int], labels: list[int], live: Any, below: Any) -> Scores:
    loss = _losses(live, ids)
    if below is not None:
        base = _losses(below, ids)
    else:
        base = _losses(live, ids, base=True) if hasattr(live, "disable_adapter") else None
    trained = [item for item, label in zip(loss, labels, strict=True) if label >= 0 and item is not None]
    return Scores(loss, base, math.fsum(trained) / len(trained) if trained else 0.0)


def _losses(model: Any, ids: list[int], *, base: bool = False) -> tuple[float | None, ...]:
    import torch

    table = model.get_input_embeddings().weight
    if ids and max(ids) >= table.shape[0]:
        raise ModelError(
            f"Token id {max(ids)} is outside the model's {table.shape[0]:,} embeddings.",
            remedy="Encode the rows with the tokenizer that belongs to this model.",
            code="WB697",
        )
    made = token_losses(model, torch.tensor([ids], device=table.device), base=base)[0]
    return tuple(None if math.isnan(value) else value for value in made.tolist())


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """In evaluation mode for the time being: dropout would change the numbers."""
    if model is None or not model.training:
        yield
        return
    model.eval()
    try:
        yield
    finally:
        model.train()


def _live(model: Any) -> Any:
    """A model in memory: given so, or loaded from a path, hub id, adapter folder or `tiny-llama` (float32).

    Raises:
        ModelError: WB693 where it cannot be loaded, WB698 for something that is no causal language model.
    """
    if not isinstance(model, str | Path):
        if hasattr(model, "get_input_embeddings") and hasattr(model, "forward"):
            return model
        raise ModelError(
            f"{type(model).__name__} is no language model.",
            remedy="Give a path, a hub id, 'tiny-llama', or a loaded transformers or PEFT model.",
            code="WB698",
        )
    where = model_location(str(model))
    try:
        return _load(where)
    except (OSError, ValueError, KeyError, ImportError) as error:
        why = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ModelError(
            f"Model {str(model)!r} cannot be loaded: {why}",
            remedy="Give a folder with config.json and model.safetensors, or an adapter folder.",
            code="WB693",
        ) from error


def _load(where: str) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    if (Path(where) / "adapter_config.json").is_file():
        from peft import AutoPeftModelForCausalLM

        return AutoPeftModelForCausalLM.from_pretrained(where, dtype=torch.float32)
    return AutoModelForCausalLM.from_pretrained(where, dtype=torch.float32, use_safetensors=True)


def _said(model: Any, rows: Iterable[int] | None, base: Any) -> str:
    """The call as Python; a live model is called `model`."""

    def name(value: Any, word: str) -> str:
        return repr(str(value)) if isinstance(value, str | Path) else word

    said = [name(model, "model")]
    if rows is not None:
        said.append(f"rows={rows!r}" if isinstance(rows, range) else f"rows={list(rows)!r}")
    if base is not None:
        said.append(f"base={name(base, 'base')}")
    return f".score({', '.join(said)})"
