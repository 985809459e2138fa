"""`workbench estimate`: will it fit?

workbench estimate recipe.yaml --gpu 4090 --length 2048 --json
workbench estimate axolotl.yml --gpu a100-80 --world 8 --method trace
workbench estimate chats.jsonl --model meta-llama/Llama-3.2-1B --tokenizer tiny-llama --gpu 24GB
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from workbench.cli.output import FINDINGS, FINE, emit
from workbench.cli.rows import assignment, bound
from workbench.cli.runs import recipe_arguments
from workbench.errors import RecipeError
from workbench.memory.figures import gib
from workbench.memory.plan import ATTENTIONS, METHODS

LISTED = 6
"""Remedies that the text lists."""


def estimate_arguments(sub: argparse.ArgumentParser) -> None:
    """Arguments of `estimate`."""
    recipe_arguments(sub)
    sub.add_argument("--gpu", metavar="NAME", help="card to compare with: 4090, a100-80, 24GB, or local")
    sub.add_argument("--card-gib", type=float, help="the same as a number of GiB")
    sub.add_argument("--world", type=int, metavar="N", help="GPUs that train together")
    sub.add_argument("--sharding", choices=("none", "ddp", "fsdp", "zero1", "zero2", "zero3"), help="how they share")
    sub.add_argument("--offload", choices=("none", "optimizer", "parameters"), help="what lies in host memory")
    sub.add_argument("--batch", type=int, metavar="B", help="per_device_train_batch_size")
    rows = sub.add_mutually_exclusive_group()
    rows.add_argument("--length", type=int, metavar="L", help="tokens of the longest row; a recipe then needs no data")
    rows.add_argument("--lengths", metavar="FILE", help="lengths of rows: one a line, a JSON list, or length,count")
    sub.add_argument("--method", choices=("analytic", "trace"), default="analytic", help="formula, or the real step")
    sub.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    sub.add_argument("--task", choices=METHODS, help="method of training, where it is not supervised")
    sub.add_argument("--attention", choices=ATTENTIONS, help="attention implementation")
    sub.add_argument("--plan", action="append", default=[], metavar="FIELD=VALUE", help="any other option")


def estimate(options: argparse.Namespace) -> int:
    """Estimate memory."""
    made = _estimated(options)
    values = made.to_dict()
    emit(options, values, "" if options.json else _text(made, values))
    return FINDINGS if values["verdict"] == "out of memory" else FINE


def _estimated(options: argparse.Namespace) -> Any:
    from workbench.api.estimate_file import estimate_file
    from workbench.memory.lengths import read_lengths
    from workbench.memory.local_cards import local_cards

    asked: dict[str, Any] = {"method": options.method, "device": options.device, "gpu": options.gpu}
    asked["card_gib"] = options.card_gib
    if options.gpu is None and options.card_gib is None and options.device == "cuda" and local_cards():
        asked["gpu"] = "local"
    for name in ("attention", "task", "world", "sharding", "offload"):
        if getattr(options, name) is not None:
            asked[name] = getattr(options, name)
    asked |= dict(assignment(text, "--plan") for text in options.plan)
    fields: dict[str, Any] = {} if options.batch is None else {"per_device_train_batch_size": options.batch}
    if Path(options.source).suffix not in (".yaml", ".yml"):
        if options.length is not None or options.lengths:
            raise RecipeError(
                f"{options.source!r} is no recipe.", remedy="--length and --lengths stand in for a recipe's data.",
                code="WB819",
            )  # fmt: skip
        made = bound(options)
        return (made.with_(**fields) if fields else made).estimate(**asked)
    fields |= {"model": options.model} if options.model else {}
    fields |= dict(assignment(text, "--set") for text in options.set)
    longest = read_lengths(options.lengths) if options.lengths else options.length
    return estimate_file(options.source, longest, recipe=fields, **asked)


def _text(made: Any, values: dict[str, Any]) -> str:
    lines = [repr(made)]
    if values["gpu"] is None:
        lines.append(f"  {values['reason']} (--gpu NAME)")
    reach = values.get("fits_up_to")
    if reach:
        lines.append(
            f"  largest that fits: {_reach(reach['batch'], 'rows a batch')}; {_reach(reach['length'], 'tokens a row')}"
        )
    found = values.get("remedies")
    if found and found["single"] and values["verdict"] != "fits":
        lines.append("  one change each:")
        lines += [_remedy(item) for item in found["single"][:LISTED]]
        if found["after"]:
            lines += ["  the fewest that fit together:", _remedy(found["after"])]
            lines += [f"        {line}" for line in found["after"]["code"].splitlines()]
    if values.get("not_searched"):
        lines.append(f"  no search: {values['not_searched']}")
    lines += ["  taken for granted:", *(f"    {sentence}" for sentence in values["assumptions"])]
    return "\n".join([*lines, f"  {1000 * values['seconds']:.1f} ms"])


def _reach(reach: dict[str, Any], unit: str) -> str:
    if not reach["tight"]:
        return f"no number of {unit}"
    more = " or more" if reach["capped"] else ""
    tight = f" ({reach['tight']:,} tight)" if reach["tight"] > reach["fits"] else ""
    return f"{reach['fits']:,}{more} {unit}{tight}"


def _remedy(item: dict[str, Any]) -> str:
    word = f"  {item['verdict']}" if item["verdict"] else ""
    return f"    {gib(item['saving_bytes']):>12} less  {item['title']}{word} ({item['cost']})"
