"""`workbench`: the headless twin of the notebook (DESIGN section 3).

    workbench inspect DATA --tokenizer T [--template X] [--rows A:B] [--packing bfd --max-length N] [--json]

Exit status: 0 fine, 1 findings of severity error, 2 wrong usage. Every command takes --json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError

FINE, FINDINGS, USAGE = 0, 1, 2


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = parser().parse_args(arguments)
    try:
        return options.run(options)
    except WorkbenchError as error:
        _emit(
            options,
            {"error": error.message, "remedy": error.remedy, "code": error.code},
            f"workbench: {error}",
            sys.stderr,
        )
        return USAGE
    except BrokenPipeError:
        sys.stderr.close()
        return FINE
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="workbench", description="See what a model is trained on, and train it.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (add, run, text) in COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=text)
        add(sub)
        sub.add_argument("--json", action="store_true", help="print JSON, one object a line")
        sub.set_defaults(run=run)
    return top


# Arguments


def _data_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("data", help="file, folder or hub id")
    sub.add_argument("--tokenizer", default="tiny-llama", help="path or hub id")
    sub.add_argument("--template", help="registry name, .jinja file or tokenizer; default: the tokenizer's own")
    sub.add_argument("--type", help="dataset type; default: detected")
    sub.add_argument("--columns", help="our=theirs,… column names")
    sub.add_argument("--train-on", choices=("assistant", "last_assistant", "completion", "all"))
    sub.add_argument("--max-length", type=int)
    sub.add_argument("--packing", choices=("none", "bfd"), default="none")
    sub.add_argument("--limit", type=int, help="most rows to read")


def _recipe_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("source", help="recipe.yaml, or data to make a recipe for")
    for name, kind in (("model", str), ("tokenizer", str), ("template", str), ("type", str), ("columns", str)):
        sub.add_argument(f"--{name}", type=kind)
    sub.add_argument("--train-on", choices=("assistant", "last_assistant", "completion", "all"))
    sub.add_argument("--max-length", type=int)
    sub.add_argument("--packing", choices=("none", "bfd"))
    sub.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="any field of the recipe")


def _inspect_arguments(sub: argparse.ArgumentParser) -> None:
    _data_arguments(sub)
    sub.add_argument("--rows", default="", metavar="A:B", help="data rows to print, Python slice")
    sub.add_argument("--batches", metavar="A:B", help="print collated batches instead of rows")
    sub.add_argument("--batch-size", type=int, default=8)
    sub.add_argument("--seed", type=int, default=0)


def _estimate_arguments(sub: argparse.ArgumentParser) -> None:
    _recipe_arguments(sub)
    sub.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    sub.add_argument("--card-gib", type=float, help="memory of the card in GiB")


def _train_arguments(sub: argparse.ArgumentParser) -> None:
    _recipe_arguments(sub)
    sub.add_argument("--sample", action="append", default=[], metavar="PROMPT", help="prompt to answer while training")
    sub.add_argument("--sample-every", type=int)
    sub.add_argument("--detach", action="store_true", help="return at once; the run goes on")


def _demo_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--adapter", choices=("lora", "none"), default="lora")
    sub.add_argument("--seed", type=int, default=0)
    sub.add_argument("--max-steps", type=int, help="fewer steps than measured, for a quick look")
    sub.add_argument("--no-score", action="store_true", help="do not answer the held-out prompts at the end")


def _run_argument(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("id", help="run id, number or directory")


def _sample_arguments(sub: argparse.ArgumentParser) -> None:
    _run_argument(sub)
    sub.add_argument("prompt")
    sub.add_argument("--base", action="store_true", help="ask the base model instead")


def _attach_arguments(sub: argparse.ArgumentParser) -> None:
    _run_argument(sub)
    sub.add_argument("--follow", action="store_true", help="print events as they come, until the run ends")


def _stop_arguments(sub: argparse.ArgumentParser) -> None:
    _run_argument(sub)
    sub.add_argument("--no-save", action="store_true", help="stop without a checkpoint")


def _export_arguments(sub: argparse.ArgumentParser) -> None:
    _recipe_arguments(sub)
    sub.add_argument("--target", choices=("axolotl", "trl"), required=True)
    sub.add_argument("--out", required=True, help="folder to write into")


def _no_arguments(sub: argparse.ArgumentParser) -> None:
    del sub


# Commands


def _inspect(options: argparse.Namespace) -> int:
    from workbench.api.inspect_rows import row_object

    enc = _encoded(options)
    if options.batches is not None:
        from workbench.recipes import Recipe

        plan = Recipe(per_device_train_batch_size=options.batch_size, seed=options.seed)
        batches = enc.batches(plan)
        for index in range(len(batches))[_slice(options.batches)]:
            _emit(options, batches[index].to_dict(), repr(batches[index]))
        return FINE
    _emit_lines(options, enc, [row_object(enc, row) for row in range(len(enc))[_slice(options.rows)]])
    return FINDINGS if enc.totals.errors else FINE


def _emit_lines(options: argparse.Namespace, enc: Any, rows: list[dict[str, Any]]) -> None:
    if options.json:
        for row in rows:
            _print(json.dumps(row, ensure_ascii=False))
        for item in enc.findings:
            if item.row is None:
                _print(json.dumps({"finding": _plain(item)}, ensure_ascii=False))
        return
    _print(repr(enc))
    for row in rows:
        _print(f"\nRow {row['row']}:")
        _print("".join(_marked(row["tokens"])) if row["tokens"] else "  (no tokens)")
        for item in row["findings"]:
            _print(f"  {item['severity']} {item['code']}: {item['message']} {item['remedy']}")


def _marked(tokens: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """Text with trained stretches underlined on a terminal, in ⟦…⟧ elsewhere."""
    on, off = ("\x1b[4;34m", "\x1b[0m") if sys.stdout.isatty() else ("⟦", "⟧")
    trained = False
    for token in tokens:
        if token["trained"] != trained:
            yield off if trained else on
            trained = token["trained"]
        yield token["text"]
    if trained:
        yield off


def _estimate(options: argparse.Namespace) -> int:
    made = _bound(options).estimate(device=options.device, card_gib=options.card_gib)
    _emit(options, made.to_dict(), repr(made))
    return FINDINGS if made.verdict and made.verdict.word == "does not fit" else FINE


def _train(options: argparse.Namespace) -> int:
    run = _bound(options).launch(options.sample, sample_every=options.sample_every)
    if options.detach:
        _emit(options, {"id": run.id, "dir": str(run.dir)}, f"{run.id} started in {run.dir}")
        return FINE
    return _follow(options, run)


def _demo(options: argparse.Namespace) -> int:
    from workbench import tiny_llama
    from workbench.api.demo import demo_recipe, score

    bound = demo_recipe(options.adapter, seed=options.seed)
    if options.max_steps:
        bound = bound.with_(max_steps=options.max_steps)
    run = bound.launch(list(tiny_llama.SAMPLES), max_new_tokens=40)
    status = _follow(options, run)
    if status == FINE and not options.no_score:
        made = score(run)
        _emit(
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
            _print(json.dumps(told, ensure_ascii=False))
        else:
            line = _event_line(event)
            if line:
                _print(line)
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


def _runs(options: argparse.Namespace) -> int:
    from workbench.api.run import runs

    found = runs()
    if options.json:
        for item in found.to_dict():
            _print(json.dumps(item, ensure_ascii=False))
    else:
        _print(repr(found))
    return FINE


def _attach(options: argparse.Namespace) -> int:
    from workbench.api.run import attach

    run = attach(options.id)
    if options.follow:
        return _follow(options, run)
    _emit(options, run.to_dict(), repr(run))
    return FINE


def _sample(options: argparse.Namespace) -> int:
    from workbench.api.run import attach

    run = attach(options.id)
    answer = run.sample(options.prompt, base=options.base)
    pieces: list[str] = []
    for piece in answer:
        pieces.append(piece)
        if not options.json:
            sys.stdout.write(piece)
            sys.stdout.flush()
    _emit(options, {"run": run.id, "prompt": options.prompt, "text": "".join(pieces)}, "")
    return FINE


def _stop(options: argparse.Namespace) -> int:
    from workbench.api.run import attach

    run = attach(options.id)
    run.stop(save=not options.no_save)
    state = run.wait()
    _emit(options, {"id": run.id, "state": state}, f"{run.id} {state}")
    return FINE


def _export(options: argparse.Namespace) -> int:
    made = _bound(options).export(options.target, options.out)
    _emit(options, made.to_dict(), repr(made))
    return FINE


# Shared steps


def _encoded(options: argparse.Namespace) -> Any:
    from workbench.api.data import data

    rows = data(options.data, type=options.type, columns=options.columns, limit=options.limit)
    return rows.encode(
        options.template,
        tokenizer=options.tokenizer,
        train_on=options.train_on,
        max_length=options.max_length,
        packing=options.packing,
    )


def _bound(options: argparse.Namespace) -> Any:
    """The recipe of a file, or one made from data and options."""
    from workbench.api.data import data
    from workbench.api.recipe import open as open_recipe
    from workbench.api.recipe import recipe

    fields = dict(_assignment(text) for text in options.set)
    if Path(options.source).suffix in (".yaml", ".yml"):
        bound = open_recipe(options.source)
        return bound.with_(**({"model": options.model} if options.model else {}), **fields)
    model = options.model or "tiny-llama"
    enc = data(options.source, type=options.type, columns=options.columns).encode(
        options.template,
        tokenizer=options.tokenizer or model,
        train_on=options.train_on,
        max_length=options.max_length,
        packing=options.packing or "none",
    )
    return recipe(enc, model=model, **fields)


def _assignment(text: str) -> tuple[str, Any]:
    from workbench.errors import RecipeError

    name, sign, value = text.partition("=")
    if not sign:
        raise RecipeError(f"--set {text!r} has no '='.", remedy="Write it as learning_rate=1e-4.", code="WB407")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _slice(text: str) -> slice:
    """`2:5`, `7` or nothing."""
    from workbench.errors import RecipeError

    try:
        parts = [int(part) if part else None for part in text.split(":")] if text else [None, None]
    except ValueError:
        raise RecipeError(f"{text!r} is no range of rows.", remedy="Write it as 0:5, or 7.", code="WB407") from None
    if len(parts) == 1:
        at = parts[0] or 0
        return slice(at, at + 1 if at != -1 else None)
    return slice(*parts)


def _plain(item: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(item)


def _emit(options: argparse.Namespace, value: Any, text: str, stream: Any = None) -> None:
    _print(json.dumps(value, ensure_ascii=False, default=str) if options.json else text, stream)


def _print(text: str, stream: Any = None) -> None:
    out = stream or sys.stdout
    try:
        print(text, file=out, flush=True)
    except UnicodeEncodeError:  # half an emoji in the data, or a terminal that is not UTF-8
        code = getattr(out, "encoding", None) or "utf-8"
        print(text.encode(code, "backslashreplace").decode(code), file=out, flush=True)


Add = Callable[[argparse.ArgumentParser], None]
Command = Callable[[argparse.Namespace], int]

COMMANDS: dict[str, tuple[Add, Command, str]] = {
    "demo": (_demo_arguments, _demo, "teach the embedded model to answer, and score it on held-out prompts"),
    "inspect": (_inspect_arguments, _inspect, "show tokens, labels and the reason for each"),
    "estimate": (_estimate_arguments, _estimate, "estimate memory with its breakdown"),
    "train": (_train_arguments, _train, "train in the background and follow it"),
    "runs": (_no_arguments, _runs, "list runs"),
    "attach": (_attach_arguments, _attach, "show a run, or follow it"),
    "sample": (_sample_arguments, _sample, "ask the model that is training"),
    "stop": (_stop_arguments, _stop, "stop a run with a checkpoint"),
    "export": (_export_arguments, _export, "write the config of another tool"),
}

if __name__ == "__main__":
    raise SystemExit(main())
