"""Batches of a tapped trainer as nouns: token rows, pairs, rollouts; each with a card, a text and its arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from workbench.api import comm
from workbench.api.html_export import Showable
from workbench.api.tap_rollouts import groups_of, planned_groups
from workbench.api.tap_rows import pair_count, pair_of, token_views
from workbench.tokens.diff import first_difference
from workbench.training.trainer_watch import ROLLOUTS, Received
from workbench.types import Finding
from workbench.views import PAIRS_MIME, ROLLOUTS_MIME, TOKENS_MIME
from workbench.views.compact import compact
from workbench.views.pairs import pairs_html, pairs_payload, pairs_text
from workbench.views.rollouts import Group, group_view, rollouts_html, rollouts_payload, rollouts_text
from workbench.views.tokens import Heading, explained, payload, plain_text, static_html
from workbench.views.window import ASKED_TOKENS, SAVED_TOKENS, cut, labelled, window

if TYPE_CHECKING:
    from workbench.api.tap import Tap
    from workbench.widgets.card import Card

PAIRED = ("dpo", "reward")


@dataclass(frozen=True, eq=False)
class TappedBatch(Showable):
    """One batch of a trainer: what its dataloader yields, or what `forward()` received.

    Attributes:
        tap: Whose.
        received: Its tensors.
        code_: Python that gives it.
    """

    tap: Tap
    received: Received
    code_: str

    @property
    def arrays(self) -> Mapping[str, Any]:
        """Tensors by name, copied to the CPU: `input_ids` (B, T), `labels` or `completion_mask`, and others."""
        return self.received.arrays

    @property
    def step(self) -> int:
        """Optimizer step, 1-based."""
        return self.received.step

    @property
    def source(self) -> str:
        """`preview` or `forward`."""
        return self.received.source

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong with the batch."""
        return tuple(Finding(**item) for view in self._all_views() for item in view["findings"])

    def code(self) -> str:
        """Python that gives this batch."""
        return self.code_

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        kept = {name: value.tolist() for name, value in self.arrays.items() if name != "pixel_values"}
        return {"source": self.source, "step": self.step, "kind": self.tap.kind, "arrays": kept}

    def _all_views(self) -> list[dict[str, Any]]:
        raise NotImplementedError

    @property
    def _about(self) -> str:
        return "from the dataloader" if self.source == "preview" else "received by forward()"

    @cached_property
    def _verdict(self) -> dict[str, Any] | None:
        """Whether what `forward()` received is what the preview had shown; None where there is nothing to compare."""
        ours = self.tap.previewed(self.received.index)
        if self.source != "forward" or ours is None or "input_ids" not in ours:
            return None
        both = [{name: rows for name, rows in side.items() if name in ours and name in self.arrays} for side in
                (_grids(ours), _grids(self.arrays))]  # fmt: skip
        found = first_difference(*both)
        state = "differs" if found else "agrees"
        return {"state": state, "step": self.step, "difference": asdict(found) if found else None}

    def _heading(self, title: str, count: int, totals: Mapping[str, int]) -> Heading:
        name = type(self.tap.trainer).__name__
        return Heading(
            title=title,
            subtitle=f"{name}, {self._about}, tokenizer {self.tap.reader.name}",
            code=self.code_,
            row_count=count,
            totals=totals,
            handle=comm.share(self),
            badge=self._verdict,
            kind="batch",
        )


def _grids(arrays: Mapping[str, Any]) -> dict[str, list[list[int]]]:
    return {
        name: arrays[name].tolist()
        for name in ("input_ids", "labels", "attention_mask", "position_ids")
        if name in arrays and arrays[name].ndim == 2
    }


class TokenBatch(TappedBatch):
    """A batch of rows: SFT, KTO."""

    @cached_property
    def _views(self) -> list[dict[str, Any]]:
        return token_views(self.arrays, self.tap.reader)

    def _all_views(self) -> list[dict[str, Any]]:
        return self._views

    def questions(self) -> dict[str, comm.Question]:
        """What the page can ask."""
        return comm.row_questions(self)

    def row_at(self, position: int) -> dict[str, Any]:
        """View of one row."""
        return explained(self._shown(position, ASKED_TOKENS), None)

    def _shown(self, position: int, most: int) -> dict[str, Any]:
        whole = self._views[position]
        shown = window(whole["tokens"]["trained"], most)
        return labelled(cut(whole, shown), shown, len(whole["tokens"]["id"]))

    def position_with(self, text: str, after: int) -> int | None:
        """Position of the next row with the text."""
        return self._next(after, lambda view: text in "".join(view["tokens"]["text"]))

    def position_of_problem(self, after: int) -> int | None:
        """Position of the next row with a finding."""
        return self._next(after, lambda view: bool(view["findings"]))

    def _next(self, after: int, wanted: Any) -> int | None:
        order = [(after + step) % len(self._views) for step in range(1, len(self._views) + 1)]
        return next((i for i in order if wanted(self._views[i])), None)

    def __repr__(self) -> str:
        rows, width = self.arrays["input_ids"].shape
        return f"Batch {self.received.index}, step {self.step} ({self._about}): {rows} × {width} tokens"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        shown = self._payload()
        return {
            TOKENS_MIME: compact(shown),
            "text/html": static_html(shown),
            "text/plain": f"{self!r}\n{plain_text(shown)}",
        }

    def _payload(self) -> dict[str, Any]:
        count = min(2, len(self._views))
        levels = [item["severity"] for view in self._views for item in view["findings"]]
        totals = {
            "rows": len(self._views),
            "tokens": sum(len(view["tokens"]["id"]) for view in self._views),
            "trained": sum(sum(view["tokens"]["trained"]) for view in self._views),
            "truncated": sum(view["truncated"] > 0 for view in self._views),
            "errors": levels.count("error"),
            "warnings": levels.count("warning"),
        }
        heading = self._heading(f"Batch {self.received.index}, step {self.step}", len(self._views), totals)
        return payload([self._shown(i, SAVED_TOKENS // count) for i in range(count)], heading)

    def widget(self) -> Card:
        """The card as a widget."""
        from workbench.widgets.tokens import TokenViewer

        return TokenViewer(
            {**compact(self._payload()), "handle": comm.WIDGET}, lambda asked: comm.answered(self, asked)
        )


class PairBatch(TappedBatch):
    """A batch of pairs: DPO, reward."""

    def __len__(self) -> int:
        return pair_count(self.arrays)

    def _pair(self, position: int, most: int = ASKED_TOKENS) -> dict[str, Any]:
        return pair_of(self.arrays, self.tap.reader, position, most)

    def _all_views(self) -> list[dict[str, Any]]:
        return [self._pair(i) for i in range(len(self))]

    def questions(self) -> dict[str, comm.Question]:
        """What the page can ask."""

        def problem(asked: Mapping[str, Any]) -> dict[str, Any]:
            after = int(asked.get("after", -1))
            order = [(after + step) % len(self) for step in range(1, len(self) + 1)]
            return {"position": next((i for i in order if self._pair(i)["findings"]), None)}

        return {
            "pair": lambda asked: {"pair": explained(self._pair(int(asked["position"])), None)},
            "pair_problem": problem,
        }

    def __repr__(self) -> str:
        width = self.arrays["input_ids"].shape[1]
        return (
            f"Batch {self.received.index}, step {self.step} ({self._about}): {len(self)} pairs of {width} tokens a side"
        )

    def _payload(self) -> dict[str, Any]:
        heading = self._heading(f"Batch {self.received.index}, step {self.step}", len(self), {})
        shown = min(2, len(self))
        return pairs_payload([self._pair(i, SAVED_TOKENS // shown) for i in range(shown)], heading)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        shown = self._payload()
        return {
            PAIRS_MIME: compact(shown),
            "text/html": pairs_html(shown),
            "text/plain": f"{self!r}\n{pairs_text(shown)}",
        }

    def widget(self) -> Card:
        """The card as a widget."""
        from workbench.widgets.pairs import PairCard

        return PairCard({**compact(self._payload()), "handle": comm.WIDGET}, lambda asked: comm.answered(self, asked))


class RolloutBatch(TappedBatch):
    """What a GRPO or RLOO trainer generated for some steps; of a preview, the prompts it will generate for."""

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Completions by prompt, in the order they were generated."""
        reader = self.tap.reader
        if self.received.prompts is not None:
            return tuple(planned_groups(self.received.prompts, reader))
        made = self.received.rollouts
        return tuple(groups_of(made, self.tap.forwards(self.received.generation), reader)) if made else ()

    @property
    def reward_functions(self) -> tuple[tuple[str, float], ...]:
        """Name and weight of each reward function."""
        made = self.received.rollouts
        return tuple(zip(made.rewards, made.weights, strict=True)) if made else ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong with the groups."""
        return tuple(item for group in self.groups for item in group.findings)

    def _group(self, position: int, most: int = ASKED_TOKENS) -> dict[str, Any]:
        return group_view(self.groups[position], position, most)

    def questions(self) -> dict[str, comm.Question]:
        """What the page can ask."""

        def problem(asked: Mapping[str, Any]) -> dict[str, Any]:
            after, count = int(asked.get("after", -1)), len(self.groups)
            order = [(after + step) % count for step in range(1, count + 1)]
            return {"position": next((i for i in order if self.groups[i].findings), None)}

        return {
            "group": lambda asked: {"group": explained(self._group(int(asked["position"])), None)},
            "group_problem": problem,
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain values: every prompt and completion with rewards and advantages."""
        names = [name for name, _ in self.reward_functions]
        return {
            "source": self.source,
            "step": self.step,
            "kind": self.tap.kind,
            "reward_functions": [{"name": name, "weight": weight} for name, weight in self.reward_functions],
            "groups": [
                {
                    "prompt_ids": group.prompt["tokens"]["id"],
                    "mean": group.mean,
                    "std": group.std,
                    "completions": [
                        {
                            "completion_ids": item.view["tokens"]["id"],
                            "completion_mask": item.view["tokens"]["trained"],
                            "advantages": item.view["measures"]["advantage"],
                            "reward": item.reward,
                            "rewards": dict(zip(names, item.rewards, strict=True)),
                            "ended": item.ended,
                        }
                        for item in group.completions
                    ],
                }
                for group in self.groups
            ],
        }

    def _totals(self) -> dict[str, int]:
        done = [item for group in self.groups for item in group.completions]
        codes = [finding.code for finding in self.findings]
        return {
            "groups": len(self.groups),
            "completions": len(done),
            "tokens": sum(len(item.view["tokens"]["id"]) for item in done),
            "flat": codes.count("WB153"),
            "cut": sum(item.ended == "cut" for item in done),
        }

    def __repr__(self) -> str:
        totals = self._totals()
        if self.received.prompts is not None:
            return f"Batch {self.received.index} ({self._about}): {totals['groups']} prompts, not generated yet"
        return (
            f"Rollouts of step {self.step}: {totals['groups']} prompts, {totals['completions']} completions, "
            f"{totals['tokens']:,} tokens, {totals['flat']} groups of equal rewards, {totals['cut']} completions cut"
        )

    def _payload(self) -> dict[str, Any]:
        title = f"Batch {self.received.index}" if self.received.prompts is not None else f"Rollouts of step {self.step}"
        heading = self._heading(title, len(self.groups), {})
        count = min(4, len(self.groups))
        shown = [self._group(i, SAVED_TOKENS // max(1, count)) for i in range(count)]
        return rollouts_payload(shown, heading, self.reward_functions, self._totals())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        shown = self._payload()
        return {
            ROLLOUTS_MIME: compact(shown),
            "text/html": rollouts_html(shown),
            "text/plain": f"{self!r}\n{rollouts_text(shown)}",
        }

    def widget(self) -> Card:
        """The card as a widget."""
        from workbench.widgets.rollouts import RolloutsCard

        return RolloutsCard(
            {**compact(self._payload()), "handle": comm.WIDGET}, lambda asked: comm.answered(self, asked)
        )


def batch_of(tap: Tap, received: Received, code: str) -> TappedBatch:
    """The noun for a batch of the trainer's kind; the same one for the same batch and code."""
    if received.shown is None or received.shown.code_ != code:
        kinds = {True: RolloutBatch, False: PairBatch if tap.kind in PAIRED else TokenBatch}
        received.shown = kinds[tap.kind in ROLLOUTS](tap, received, code)
    return received.shown


class TappedBatches(Sequence[TappedBatch]):
    """Batches in the order of training."""

    def __init__(self, batches: Sequence[TappedBatch], code: str) -> None:
        self._batches, self._code = list(batches), code

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: Any) -> Any:
        return self._batches[index]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong with any of them."""
        return tuple(item for batch in self._batches for item in batch.findings)

    def code(self) -> str:
        """Python that gives these batches."""
        return self._code

    def to_dict(self) -> dict[str, Any]:
        """Plain values of each."""
        return {"batches": [batch.to_dict() for batch in self._batches]}

    def __repr__(self) -> str:
        shown = [repr(batch) for batch in self._batches[:8]]
        rest = len(self) - len(shown)
        lines = [*shown, f"… and {rest} more"] if rest > 0 else shown
        return "\n".join([f"{len(self)} batches; {self._code}[0] shows the first", *lines])
