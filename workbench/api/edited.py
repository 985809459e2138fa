"""The same rows masked another way: what the viewer shows while one tries `train_on` and `train_on_eos`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from workbench.errors import RecipeError
from workbench.options import ENDS, MaskOptions
from workbench.types import TrainOn

if TYPE_CHECKING:
    from workbench.api.encoded import Encoded

TRAIN_ON: tuple[TrainOn, ...] = ("assistant", "last_assistant", "completion", "all")


def policy_of(enc: Encoded) -> dict[str, str]:
    """What the page can change about the masks of these rows."""
    return {"train_on": enc.setting.train_on, "train_on_eos": enc.setting.options.train_on_eos}


def edited(enc: Encoded, policy: Any) -> Encoded:
    """The rows with another policy; only looked at, so nothing is encoded before a row is asked for.

    `findings`, `totals` and the labels that training gets stay those of `enc`: to train so, run the code.

    Args:
        enc: The rows as they are encoded.
        policy: `{"train_on", "train_on_eos"}`; None or the policy they have gives `enc` itself.

    Raises:
        RecipeError: WB402 for a value that the options do not have.
    """
    if not policy or dict(policy) == policy_of(enc):
        return enc
    train_on, eos = policy.get("train_on", enc.setting.train_on), policy.get("train_on_eos", "turn")
    for name, value, known in (("train_on", train_on, TRAIN_ON), ("train_on_eos", eos, ENDS)):
        if value not in known:
            raise RecipeError(f"{name}={value!r} is out of range.", remedy=f"One of {', '.join(known)}.", code="WB402")
    key = (train_on, eos)
    if key not in enc.tried:
        enc.tried[key] = _masked_anew(enc, cast("TrainOn", train_on), replace(enc.setting.options, train_on_eos=eos))
    return enc.tried[key]


def _masked_anew(enc: Encoded, train_on: TrainOn, options: MaskOptions) -> Encoded:
    made = enc.twin()
    made.setting = replace(enc.setting, train_on=train_on, options=options)
    made.choice = replace(enc.choice, train_on=train_on, mask=options)
    return made
