"""Arrays of a trainer's batch -> the viewer's rows: what is known is ids and labels, not where a text came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from workbench.tokens.spelling import Spelled
from workbench.types import Finding, Reason
from workbench.views.columns import Table


@dataclass(frozen=True, slots=True)
class Sequenced:
    """One sequence of a batch. All sequences have shape (T,).

    Attributes:
        ids: Token ids.
        texts: Their texts (`tokens.spelling.spelled`).
        trained: Whether each is a target of the loss.
        reasons: Why.
        roles: The block each stands in: `prompt`, `completion`, `padding`, `document 2`, …; a new value begins a block.
        special: Ids of special tokens.
        positions: position_ids; None counts from 0.
    """

    ids: Sequence[int]
    texts: Sequence[Spelled]
    trained: Sequence[bool]
    reasons: Sequence[Reason]
    roles: Sequence[str]
    special: frozenset[int]
    positions: Sequence[int] | None = None


@dataclass(frozen=True, slots=True)
class About:
    """What stands around a sequence.

    Attributes:
        position: Place among the rows that can be asked for.
        title: `Row 3`.
        type: Kind of trainer or batch.
        truncated: Tokens that max_length cut off, where that is known.
        desirable: Label of a KTO row.
        measures: Numbers about each token (`advantage`); None where there is none.
        media: Images among the tokens, as `docs/wire.md` has them.
    """

    position: int
    title: str
    type: str = ""
    truncated: int = 0
    desirable: bool | None = None
    findings: tuple[Finding, ...] = ()
    measures: Mapping[str, Sequence[float | None]] = field(default_factory=dict[str, "Sequence[float | None]"])
    media: Sequence[Mapping[str, Any]] = ()


def array_view(seq: Sequenced, about: About) -> dict[str, Any]:
    """The `Row` of docs/wire.md of a sequence; fields and template lines are null."""
    reasons, roles = Table(), Table()
    starts, ends, characters = [0] * len(seq.ids), [0] * len(seq.ids), 0
    for index, (text, _) in enumerate(seq.texts):
        starts[index] = characters
        characters += len(text)
        ends[index] = characters
    none = [0] * len(seq.ids)
    return {
        "position": about.position,
        "row": None,
        "title": about.title,
        "type": about.type,
        "characters": characters,
        "truncated": about.truncated,
        "tokens": {
            "id": list(seq.ids),
            "text": [text for text, _ in seq.texts],
            "bytes": [None if raw is None else raw.hex(" ") for _, raw in seq.texts],
            "start": starts,
            "end": ends,
            "trained": [int(flag) for flag in seq.trained],
            "special": [int(token in seq.special) for token in seq.ids],
            "reason": [reasons.index(str(reason)) for reason in seq.reasons],
            "field": list(none),
            "line": list(none),
            "role": [roles.index(role) for role in seq.roles],
            "position": list(range(len(seq.ids)) if seq.positions is None else seq.positions),
        },
        "tables": {"reason": reasons.values, "field": [None], "line": [None], "role": roles.values},
        "segments": _segments(seq),
        "documents": [],
        "findings": [asdict(item) for item in about.findings],
        "measures": {name: list(values) for name, values in about.measures.items()},
        "media": [dict(item) for item in about.media],
        "desirable": about.desirable,
    }


def _segments(seq: Sequenced) -> list[dict[str, Any]]:
    segments: list[dict[str, Any]] = []
    for index, role in enumerate(seq.roles):
        if not segments or segments[-1]["role"] != role:
            segments.append({"role": role, "message": None, "start": index, "end": index, "trained": 0})
        segments[-1]["end"] = index + 1
        segments[-1]["trained"] += int(seq.trained[index])
    return segments
