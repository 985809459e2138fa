"""Payloads of the fit bar: of recipes, as Python makes them."""

from typing import Any

from workbench.api import comm
from workbench.api.memory import estimate_recipe
from workbench.recipes import Recipe

LLAMA = "meta-llama/Llama-3.1-8B"


def fit_payload(card_gib: float | None = 23.6, longest: int = 2048, **fields: Any) -> dict[str, Any]:
    """The payload of an 8B LoRA recipe of 2 × 2,048 tokens, unless said otherwise."""
    device = fields.pop("device", "cuda")
    recipe = Recipe(**{"model": LLAMA, "per_device_train_batch_size": 2, "max_length": 2048, **fields})
    with comm.alone():
        return estimate_recipe(recipe, longest, card_gib=card_gib, device=device).payload()


def with_cards(payload: dict[str, Any]) -> dict[str, Any]:
    """The payload for one of three cards to choose from."""
    named = ("RTX 4090", "A100 40GB", "H100 80GB")
    cards = [card for card in payload["cards"] if card["name"] in named]
    return {**payload, "cards": cards, "card": cards[0]}


def measured(payload: dict[str, Any], error: float = 0.01, *, kinds: bool = True) -> dict[str, Any]:
    """The payload beside a measurement that is `error` above it."""
    made = payload["made"]
    peak = next(item for item in made["peaks"] if item["name"] == made["peak"])
    found = {
        "live": round(made["live"] * (1 + error)),
        "reserved": round(sum(made["reserved"]) // 2 * (1 + error)),
        "shown": round((sum(made["reserved"]) + sum(made["context"])) // 2 * (1 + error)),
        "kinds": {kind: round(size * (1 + error)) for kind, size in peak["kinds"].items()} if kinds else None,
    }
    return {**payload, "measured": {"title": "run 0007, measured over 214 steps", "measured": found}}
