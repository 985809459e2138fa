"""Rows a second of the whole path, against the bare tokenizer on the same text.

    python -m tests.benchmarks.bench_encode --rows 4000

Prints JSON. `ratio` is the whole path's time over the tokenizer's, each the best of `--repeats` passes taken in turn,
so that a busy machine slows both; `--clock cpu` counts processor time instead. The parts are timed one by one over the
same rows; `render` is what is used, mostly a plain rendering and a layout; `whole` is everything.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable
from typing import Any

from workbench.templates import registry
from workbench.templates.compiler import compiled
from workbench.templates.render import _aliased, _run_plain, _run_tracked, _untracked, _variables, render
from workbench.tokens.encode import encode, load_tokenizer, special_ids, special_tokens
from workbench.tokens.examples import Setting, tokenize
from workbench.tokens.mask import MaskPolicy, mask
from workbench.tracked import track_tree
from workbench.types import Conversation, TemplateInfo, TokenizedExample

CHUNK = 512
"""Rows the bare tokenizer is given at once."""

WORDS = (
    "the of and a to in is you that it he was for on are as with his they I at be this have from or one had by word "
    "but not what all were we when your can said there use an each which she do how their if will up other about out "
    "many then them these so some her would make like him into time has look two more write go see number no way "
    "could people my than first water been call who oil its now find long down day did get come made may part"
).split()
"""Common English words: what tokenizers are fastest on, so the ratio is not flattered."""


def conversations(rows: int, turns: int, words: int, seed: int = 0) -> list[Conversation]:
    """Chat rows of so many question and answer pairs, every text of about so many words."""
    dice = random.Random(seed)
    made: list[Conversation] = []
    for row in range(rows):
        messages: list[dict[str, Any]] = []
        for index in range(2 * turns):
            text = " ".join(dice.choices(WORDS, k=dice.randint(words // 2, words * 3 // 2)))
            message = {"role": "assistant" if index % 2 else "user", "content": text.capitalize() + "."}
            messages.append({k: track_tree(v, f"messages[{index}].{k}", index, k) for k, v in message.items()})
        made.append(Conversation(row, tuple(messages)))
    return made


def seconds(work: Callable[[], object], clock: Callable[[], float]) -> float:
    """Time of one call."""
    start = clock()
    work()
    return clock() - start


def parts(rows: list[Conversation], template: TemplateInfo, tokenizer: Any) -> dict[str, Callable[[], object]]:
    """Each step of the path over all rows, and the bare tokenizer."""
    program = compiled(template.source, template.name)
    values = [(row, _variables(row, template, False, None)) for row in rows]
    rendered = [render(row, template) for row in rows]
    texts = [str.__str__(item.text) for item in rendered]
    chunks = [texts[at : at + CHUNK] for at in range(0, len(texts), CHUNK)]
    codes = [code for chunk in chunks for code in encode(chunk, tokenizer)]
    policy = MaskPolicy("assistant", special_ids(tokenizer), tokenizer.eos_token_id)
    bare = {"add_special_tokens": False, "return_attention_mask": False, "verbose": False}
    return {
        "tokenizer": lambda: [tokenizer(chunk, **bare)["input_ids"] for chunk in chunks],
        "tokenizer with offsets": lambda: [tokenizer(chunk, return_offsets_mapping=True, **bare) for chunk in chunks],
        "encode": lambda: [encode(chunk, tokenizer) for chunk in chunks],
        "plain render": lambda: [
            _run_plain(program, row.messages, [_aliased(_untracked(m)) for m in row.messages], given, row.row)
            for row, given in values
        ],
        "tracked render": lambda: [
            _run_tracked(program.tracking, program.tracked, [_aliased(m) for m in row.messages], given)
            for row, given in values
        ],
        "render": lambda: [render(row, template) for row in rows],
        "mask": lambda: [mask(item, code, policy) for item, code in zip(rendered, codes, strict=True)],
    }


def measure(
    rows: list[Conversation], template: TemplateInfo, tokenizer: Any, repeats: int, clock: str
) -> dict[str, Any]:
    """Best times of the parts and of the whole, and what they amount to."""
    now = time.process_time if clock == "cpu" else time.perf_counter
    works = parts(rows, template, tokenizer)
    made: list[Any] = []
    works["whole"] = lambda: made.append(list(tokenize(rows, Setting(tokenizer, template))))
    best = {name: min(seconds(work, now) for _ in range(repeats)) for name, work in works.items()}
    for _ in range(repeats):
        for name in ("tokenizer", "whole"):
            best[name] = min(best[name], seconds(works[name], now))
    tokens = sum(len(item.input_ids) for item in made[0] if isinstance(item, TokenizedExample))
    return {
        "rows": len(rows),
        "tokens_per_row": round(tokens / len(rows), 1),
        "template": template.name,
        "clock": clock,
        "rows_per_s": round(len(rows) / best["whole"]),
        "tokenizer_rows_per_s": round(len(rows) / best["tokenizer"]),
        "ratio": round(best["whole"] / best["tokenizer"], 2),
        "microseconds_per_row": {name: round(time_s / len(rows) * 1e6, 1) for name, time_s in best.items()},
    }


def main() -> None:
    """Read the arguments, measure, print."""
    read = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    read.add_argument("--rows", type=int, default=4000)
    read.add_argument("--turns", type=int, default=1, help="question and answer pairs a row")
    read.add_argument("--words", type=int, default=50, help="words a message")
    read.add_argument("--repeats", type=int, default=3)
    read.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    read.add_argument("--template", default="chatml")
    read.add_argument("--tokenizer", default="tiny-llama", help="path, hub id, or tiny-llama")
    given = read.parse_args()
    tokenizer = load_tokenizer(given.tokenizer)
    found = registry.find(given.template)
    template = registry.info(found.name, found.source, found.origin, special_tokens(tokenizer))
    rows = conversations(given.rows, given.turns, given.words)
    print(json.dumps(measure(rows, template, tokenizer, given.repeats, given.clock), indent=2))


if __name__ == "__main__":
    main()
