"""Commands that look at rows, and the arguments that say which rows and how they are read."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from workbench.cli.output import FINDINGS, FINE, emit, plain, print_line


def data_arguments(sub: argparse.ArgumentParser) -> None:
    """Which rows, and how they are read and encoded."""
    sub.add_argument("data", help="file, folder or hub id")
    sub.add_argument("--tokenizer", default="tiny-llama", help="path or hub id")
    sub.add_argument("--template", help="registry name, .jinja file or tokenizer; default: the tokenizer's own")
    sub.add_argument("--type", help="dataset type; default: detected")
    sub.add_argument("--columns", help="our=theirs,… column names")
    sub.add_argument("--train-on", choices=("assistant", "last_assistant", "completion", "all"))
    sub.add_argument("--max-length", type=int)
    sub.add_argument("--packing", choices=("none", "bfd"), default="none")
    sub.add_argument("--limit", type=int, help="most rows to read")
    sub.add_argument("--workers", type=int, default=1, help="processes that encode")
    option_argument(sub)


def option_argument(sub: argparse.ArgumentParser) -> None:
    """How rows are read and masked, option by option."""
    text = "option of reading or masking, or a template variable: split_thinking=true, train_on_eos=none, …"
    sub.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help=text)
    sub.add_argument("--without", type=int, action="append", default=[], metavar="ROW", help="leave a row out")


def inspect_arguments(sub: argparse.ArgumentParser) -> None:
    """Arguments of `inspect`."""
    data_arguments(sub)
    sub.add_argument("--rows", default="", metavar="A:B", help="data rows to print, Python slice")
    sub.add_argument("--batches", metavar="A:B", help="print collated batches instead of rows")
    sub.add_argument("--batch-size", type=int, default=8)
    sub.add_argument("--seed", type=int, default=0)
    sub.add_argument("--html", metavar="FILE", help="also write the first of them as a self-contained HTML file")


def inspect(options: argparse.Namespace) -> int:
    """Show tokens, labels and the reason for each."""
    from workbench.api.inspect_rows import row_object

    enc = _encoded(options)
    if options.batches is not None:
        from workbench.recipes import Recipe

        plan = Recipe(per_device_train_batch_size=options.batch_size, seed=options.seed)
        batches = enc.batches(plan)
        chosen = range(len(batches))[_slice(options.batches)]
        _save(options, [batches[index] for index in chosen[:1]])
        for index in chosen:
            emit(options, batches[index].to_dict(), repr(batches[index]))
        return FINE
    rows = range(len(enc))[_slice(options.rows)]
    _save(options, [enc[row] for row in rows[:1]])
    _emit_lines(options, enc, [row_object(enc, row) for row in rows])
    return FINDINGS if enc.totals.errors else FINE


def _save(options: argparse.Namespace, shown: list[Any]) -> None:
    if options.html and shown:
        shown[0].save_html(options.html)


def _emit_lines(options: argparse.Namespace, enc: Any, rows: list[dict[str, Any]]) -> None:
    if options.json:
        for row in rows:
            print_line(json.dumps(row, ensure_ascii=False))
        for item in enc.findings:
            if item.row is None:
                print_line(json.dumps({"finding": plain(item)}, ensure_ascii=False))
        return
    print_line(repr(enc.data))
    print_line(repr(enc))
    for row in rows:
        print_line(f"\nRow {row['row']}:")
        for name, part in _parts(row):
            shown = "".join(_marked(part["tokens"])) if part["tokens"] else "  (no tokens)"
            print_line(f"[{name}]\n{shown}" if name else shown)
        if "pair" in row:
            print_line("  " + _pair_text(row["pair"]))
        for item in row["findings"]:
            print_line(f"  {item['severity']} {item['code']}: {item['message']} {item['remedy']}")


def _pair_text(pair: Mapping[str, Any]) -> str:
    first, trained = pair["first_token"], pair["trained"]
    parted = "the tokens are equal" if first is None else f"they part at token {first}"
    return f"{pair['prompt_tokens']} tokens of prompt shared; {parted}; trained {trained[0]} and {trained[1]}"


def _parts(row: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The sequences of a row object, with their names where there are several."""
    if "pair" in row:
        return [(name, row[name]) for name in ("chosen", "rejected")]
    parts = row.get("parts")
    return [(str(i), part) for i, part in enumerate(parts, start=1)] if parts else [("", row)]


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


def _encoded(options: argparse.Namespace) -> Any:
    reading, masking = _options(options.option)
    rows = _data(options, options.data, reading, limit=options.limit)
    return rows.encode(
        options.template,
        tokenizer=options.tokenizer,
        train_on=options.train_on,
        max_length=options.max_length,
        packing=options.packing,
        workers=options.workers,
        **masking,
    )


def _data(options: argparse.Namespace, source: str, reading: Mapping[str, Any], limit: int | None = None) -> Any:
    from workbench.api.data import data

    rows = data(source, type=options.type, columns=options.columns, limit=limit, **reading)
    return rows.without(*options.without) if options.without else rows


def _options(given: Iterable[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options of reading, and all others: those of masking and template variables."""
    from workbench.options import RowOptions

    said = dict(assignment(text, "--option") for text in given)
    reading = {name: said.pop(name) for name in RowOptions.names() if name in said}
    return reading, said


def bound(options: argparse.Namespace) -> Any:
    """The recipe of a file, or one made from data and options."""
    from workbench.api.recipe import open as open_recipe
    from workbench.api.recipe import recipe

    fields = dict(assignment(text, "--set") for text in options.set)
    if Path(options.source).suffix in (".yaml", ".yml"):
        opened = open_recipe(options.source)
        return opened.with_(**({"model": options.model} if options.model else {}), **fields)
    model = options.model or "tiny-llama"
    reading, masking = _options(options.option)
    enc = _data(options, options.source, reading).encode(
        options.template,
        tokenizer=options.tokenizer or model,
        train_on=options.train_on,
        max_length=options.max_length,
        packing=options.packing or "none",
        **masking,
    )
    return recipe(enc, model=model, **fields)


def assignment(text: str, where: str) -> tuple[str, Any]:
    """`name=value`; the value is JSON, or else text."""
    from workbench.errors import RecipeError

    name, sign, value = text.partition("=")
    if not sign:
        raise RecipeError(f"{where} {text!r} has no '='.", remedy="Write it as learning_rate=1e-4.", code="WB407")
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
