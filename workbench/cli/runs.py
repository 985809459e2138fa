"""Commands that train, follow, ask, stop and export."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any

from workbench.cli.output import FINDINGS, FINE, emit, print_line
from workbench.cli.rows import bound, option_argument


def recipe_arguments(sub: argparse.ArgumentParser) -> None:
    """A recipe, or data to make one for."""
    sub.add_argument("source", help="recipe.yaml, or data to make a recipe for")
    for name, kind in (("model", str), ("tokenizer", str), ("template", str), ("type", str), ("columns", str)):
        sub.add_argument(f"--{name}", type=kind)
    sub.add_argument("--train-on", choices=("assistant", "last_assistant", "completion", "all"))
    sub.add_argument("--max-length", type=int)
    sub.add_argument("--packing", choices=("none", "bfd"))
    option_argument(sub)
    sub.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="any field of the recipe")


def train_arguments(sub: argparse.ArgumentParser) -> None:
    """Arguments of `train`."""
    recipe_arguments(sub)
    sub.add_argument("--sample", action="append", default=[], metavar="PROMPT", help="prompt to answer while training")
    sub.add_argument("--sample-every", type=int)
    sub.add_argument("--detach", action="store_true", help="return at once; the run goes on")


def demo_arguments(sub: argparse.ArgumentParser) -> None:
    """Arguments of `demo`."""
    sub.add_argument("--adapter", choices=("lora", "none"), default="lora")
    sub.add_argument("--seed", type=int, default=0)
    sub.add_argument("--max-steps", type=int, help="fewer steps than measured, for a quick look")
    sub.add_argument("--no-score", action="store_true", help="do not answer the held-out prompts at the end")


def run_argument(sub: argparse.ArgumentParser) -> None:
    """Which run."""
    sub.add_argument("id", help="run id, number or directory")


def sample_arguments(sub: argparse.ArgumentParser) -> None:
    """Arguments of `sample`."""
    run_argument(sub)
    sub.add_argument("prompt")
    sub.add_argument("--base", action="store_true", help="ask the base model instead")


def attach_arguments(sub: argparse.ArgumentParser) -> None:
    """Arguments of `attach`."""
    run_argument(sub)
    sub.add_argument("--follow", action="store_true", help="print events as they come, until the run ends")
    sub.add_argument("--html", metavar="FILE", help="also write the card as a self-contained HTML file")


def stop_arguments(sub: argparse.ArgumentParser) -> None:
    """Arguments of `stop`."""
    run_argument(sub)
    sub.add_argument("--no-save", action="store_true", help="stop without a checkpoint")


def export_arguments(sub: argparse.ArgumentParser) -> None:
    """Arguments of `export`."""
    recipe_arguments(sub)
    sub.add_argument("--target", choices=("axolotl", "trl"), required=True)
    sub.add_argument("--out", required=True, help="folder to write into")


def no_arguments(sub: argparse.ArgumentParser) -> None:
    """None."""
    del sub


def train(options: argparse.Namespace) -> int:
    """Train in the background and follow it."""
    run = bound(options).launch(options.sample, sample_every=options.sample_every)
    if options.detach:
        emit(options, {"id": run.id, "dir": str(run.dir)}, f"{run.id} started in {run.dir}")
        return FINE
    return _follow(options, run)


def demo(options: argparse.Namespace) -> int:
    """Teach the embedded model and score it."""
    from workbench import tiny_llama
    from workbench.api.demo import demo_recipe, score

    bound = demo_recipe(options.adapter, seed=options.seed)
    if options.max_steps:
        bound = bound.with_(max_steps=options.max_steps)
    run = bound.launch(list(tiny_llama.SAMPLES), max_new_tokens=40)
    status = _follow(options, run)
    if status == FINE and not options.no_score:
        made = score(run)
        emit(
            options,
            made,
            f"held-out prompts answered exactly: {made['exact']} of {made['prompts']} ({made['share']:.1%})",
        )
    return status


def _follow(options: argparse.Namespace, run: Any) -> int:
    """Print what happens until the run ends."""
    from workbench.views.run_card import finite

    for event in run.follow():
        if options.json:
            told = finite({key: value for key, value in event.items() if key != "crc"})
            print_line(json.dumps(told, ensure_ascii=False))
        else:
            line = _event_line(event)
            if line:
                print_line(line)
    return FINE if run.state() in ("completed", "stopped") else FINDINGS


def _event_line(event: Mapping[str, Any]) -> str | None:
    kind = event["kind"]
    if kind == "state":
        why = event.get("error") or event.get("reason") or ""
        return f"[{event['state']}] step {event.get('step') or 0} {why}".rstrip()
    if kind == "metric" and "loss" in event:
        return f"step {event['step']:>5}  loss {event['loss']:.4f}"
    if kind == "sample":
        return f"step {event['step']:>5}  sample {event['prompt']}: {event['text']!r}"
    if kind == "batch":
        verdict = "agrees with the preview" if event["agrees"] else f"DIFFERS from the preview: {event['difference']}"
        return f"step {event['step']:>5}  batch {verdict}"
    return None


def runs(options: argparse.Namespace) -> int:
    """List runs."""
    from workbench.api.run import runs

    found = runs()
    if options.json:
        for item in found.to_dict():
            print_line(json.dumps(item, ensure_ascii=False))
    else:
        print_line(repr(found))
    return FINE


def attach(options: argparse.Namespace) -> int:
    """Show a run, or follow it."""
    from workbench.api.run import attach

    run = attach(options.id)
    if options.html:
        run.save_html(options.html)
    if options.follow:
        return _follow(options, run)
    emit(options, run.to_dict(), repr(run))
    return FINE


def sample(options: argparse.Namespace) -> int:
    """Ask the model that is training."""
    from workbench.api.run import attach

    run = attach(options.id)
    answer = run.sample(options.prompt, base=options.base)
    pieces: list[str] = []
    for piece in answer:
        pieces.append(piece)
        if not options.json:
            sys.stdout.write(piece)
            sys.stdout.flush()
    emit(options, {"run": run.id, "prompt": options.prompt, "text": "".join(pieces)}, "")
    return FINE


def stop(options: argparse.Namespace) -> int:
    """Stop a run."""
    from workbench.api.run import attach

    run = attach(options.id)
    run.stop(save=not options.no_save)
    state = run.wait()
    emit(options, {"id": run.id, "state": state}, f"{run.id} {state}")
    return FINE


def export(options: argparse.Namespace) -> int:
    """Write the config of another tool."""
    made = bound(options).export(options.target, options.out)
    emit(options, made.to_dict(), repr(made))
    return FINE
