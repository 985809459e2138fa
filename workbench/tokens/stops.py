"""Which tokens end a turn, and which of them are trained.

A stop token stands in the template's own text behind the last character of the turn's data. Which it is:

* where `eot_tokens` are given: the first of them, and the first EOS;
* else for an answer: EOS if it is there, else the last special token;
* else for another role: EOS, or the token that ends answers in this row. `[/INST]` behind a user's message is no stop.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Set
from typing import NamedTuple

from workbench.options import TrainOnEnd
from workbench.tokens.edges import Edges
from workbench.tokens.policy import MaskPolicy, Rules
from workbench.types import Turn


class Stop(NamedTuple):
    """A token that ends a turn: its place among the tokens, its characters, and which option speaks for it."""

    token: int
    start: int
    end: int
    is_eos: bool
    is_eot: bool


def stops_of(turn: Turn, edges: Edges, policy: MaskPolicy, answers: Callable[[], Set[int]]) -> tuple[Stop, ...]:
    """Tokens that end a turn, in text order.

    Args:
        turn: The turn.
        edges: Of the whole text.
        policy: Special tokens, EOS, `eot_tokens`.
        answers: Gives the ids that end answers in this row; asked for other roles only.
    """
    starts, ends, ids = edges.starts, edges.ends, edges.input_ids
    eot_ids = policy.rules.eot_ids
    first, last = bisect_left(starts, turn.data_end), bisect_left(starts, turn.end)
    tail = [
        i
        for i in range(first, last)
        if (ids[i] in policy.special_ids or ids[i] in eot_ids) and starts[i] < ends[i] <= turn.end
    ]
    if not tail:
        return ()
    eos = next((i for i in tail if ids[i] == policy.eos_id), None)
    if eot_ids:
        eot = next((i for i in tail if ids[i] in eot_ids), None)
    elif eos is not None:
        eot = eos
    elif turn.role == "assistant":
        eot = tail[-1]
    else:
        known = answers()
        eot = next((i for i in tail if ids[i] in known), None) if known else tail[-1]
    found = sorted({i for i in (eos, eot) if i is not None})
    return tuple(Stop(i, starts[i], ends[i], i == eos, i == eot) for i in found)


def is_trained(stop: Stop, rules: Rules, in_trained_turn: bool, is_last: bool) -> bool:
    """Whether a stop token is trained.

    Args:
        stop: The stop token.
        rules: What `train_on_eos` and `train_on_eot` say.
        in_trained_turn: Whether its turn is trained.
        is_last: Whether its turn is the last trained one.
    """

    def wanted(end: TrainOnEnd) -> bool:
        return in_trained_turn if end == "turn" else is_last if end == "last" else end == "all"

    return (stop.is_eos and wanted(rules.eos)) or (stop.is_eot and wanted(rules.eot))
