"""Payloads of the pair card: rows built by hand, cut into prompt and sides by the view that Python uses."""

from typing import Any

from payloads import REASONS, TEMPLATE, finding, row

from workbench.tokens.pairs import Pair
from workbench.types import Finding
from workbench.views.pairs import PairFacts, pair_view

ASKED = [("system", "You are a patient teacher."), ("user", "Explain LoRA to a cook.")]
CHOSEN = "Think of the big recipe book as finished. You add thin notes."
REJECTED = "Think of the big oven. It is hot, and it takes all week to bake the bread in it."


def pair(position: int = 0, chosen: str = CHOSEN, rejected: str = REJECTED, **facts: Any) -> dict[str, Any]:
    """One pair; both sides answer the same question."""
    sides = [row([*ASKED, ("assistant", answer)], position) for answer in (chosen, rejected)]
    ids = [side["tokens"]["id"] for side in sides]
    first = next((i for i, (a, b) in enumerate(zip(*ids, strict=False)) if a != b), min(map(len, ids)))
    equal = ids[0] == ids[1]
    prompt = sides[0]["segments"][2]["start"] + 3
    trained = [sum(side["tokens"]["trained"]) for side in sides]
    made = Pair(position, prompt if equal else min(prompt, first), None if equal else first, None, tuple(trained))
    return pair_view(*sides, made, PairFacts(position, f"Row {position}", type="dpo", **facts), 10_000)


def problem() -> Finding:
    """A finding about a pair."""
    said = finding("WB126", "warning", "max_length cut the answer.")
    return Finding(said["code"], "warning", said["message"], row=0)


def pairs_payload(pairs: list[dict[str, Any]], **members: Any) -> dict[str, Any]:
    """A payload around pairs."""
    base = {
        "version": 1,
        "kind": "rows",
        "handle": None,
        "title": "pairs.jsonl",
        "subtitle": "template chatml, tokenizer tiny",
        "pair_count": len(pairs),
        "first": pairs[0]["position"],
        "pairs": pairs,
        "template": {"name": "chatml", "sha256": "0" * 64, "origin": "made for the test", "lines": TEMPLATE},
        "reasons": REASONS,
        "badge": None,
        "code": "enc[0]",
    }
    return base | members
