"""Rows a second and peak memory of encoding 50,000 rows of real length: ours, the raw tokenizer, axolotl.

    python -m tests.benchmarks.encode_rows --tokenizer FOLDER [--rows 50000] [--workers 1,2] [--repeats 2]

Every contender runs in fresh processes, in turn, so that a busy machine slows all; the best of the repeats counts.
Seconds are those between opening the file and the last row encoded, imports and tokenizer loaded before. `cpu_s` is the
processor time of the contender and of its workers in the same span, the figure to go by where others use the machine.
Peak memory is the sum of resident sets of the whole process tree, looked at 20 times a second (shared pages count in
each process). The raw tokenizer gets rendered text and keeps nothing. axolotl (AXOLOTL_PYTHON) reads the same file with
one process, `type: chat_template`, as `axolotl preprocess` does but for saving the result.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmarks.bench_encode import WORDS

AXOLOTL = """
import resource, sys, time
sys.argv = ["driver"]
sys.path.insert(0, {folder!r})
import axolotl_driver as driver
cfg = driver.load({config!r})
from axolotl.loaders import load_tokenizer
from axolotl.utils.data import sft
tokenizer = load_tokenizer(cfg)
found = next(iter(sft.datasets_with_name_generator(cfg.datasets)))
def cpu():
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
begin, used = time.perf_counter(), cpu()
given = dict(dataset_config=found, cfg=cfg, tokenizer=tokenizer, split="train", seed=0)
made, _ = sft._load_and_process_single_dataset(**given)
spent, used = time.perf_counter() - begin, cpu() - used
driver.say({{"wall_s": spent, "cpu_s": used, "rows": len(made), "tokens": sum(map(len, made["input_ids"]))}})
"""


CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "vocab_size": 152064,
}
"""A model for axolotl to read the shape of; no weights are made."""


def write_rows(path: Path, count: int, words: int) -> None:
    """Chat rows of one to four exchanges from a fixed seed.

    Message lengths are log-normal, as in the chat data at hand: most are short, some are long. Words are the commonest
    ones, on which a tokenizer is fastest, with numbers and names among them.
    """
    dice = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        for _ in range(count):
            messages: list[dict[str, str]] = []
            for index in range(2 * dice.choice((1, 1, 1, 2, 2, 3, 4))):
                length = max(1, min(900, round(dice.lognormvariate(0, 0.9) * words * (1.5 if index % 2 else 0.5))))
                text = dice.choices(WORDS, k=length)
                for at in range(dice.randrange(12), length, 12):
                    text[at] = f"{dice.choice('ABKMÖS')}{text[at]} {dice.randint(0, 999)}."
                messages.append({"role": "assistant" if index % 2 else "user", "content": " ".join(text).capitalize()})
            file.write(json.dumps({"messages": messages}) + "\n")


def cpu_s() -> float:
    """Processor time of this process and of its ended children."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def ours(path: str, tokenizer_path: str, workers: int) -> dict[str, Any]:
    """Open the file and encode every row, keeping ids and labels as `data.encode` does."""
    import workbench as wb
    from workbench.api.encode_rows import encode_rows
    from workbench.tokens.encode import load_tokenizer
    from workbench.tokens.setting import Setting

    tokenizer = load_tokenizer(tokenizer_path)
    setting = Setting(tokenizer, wb.template("chatml").with_tokenizer(tokenizer))
    warm = wb.data([{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}] * 3)
    list(encode_rows(warm, setting))
    begin, used = time.perf_counter(), cpu_s()
    kept = list(encode_rows(wb.data(path, type="messages"), setting, workers=workers))
    spent, used = time.perf_counter() - begin, cpu_s() - used
    rows, tokens = sum(chunk.count for chunk in kept), sum(len(chunk.input_ids) for chunk in kept)
    return {"wall_s": spent, "cpu_s": used, "rows": rows, "tokens": tokens}


def raw(path: str, tokenizer_path: str, _: int) -> dict[str, Any]:
    """The fast tokenizer alone over rendered text, 512 rows a call; without offsets, keeping nothing."""
    import workbench as wb
    from workbench.templates.compiler import compiled
    from workbench.tokens.encode import load_tokenizer

    tokenizer = load_tokenizer(tokenizer_path)
    program = compiled(wb.template("chatml").info.source, "chatml").plain
    with open(path, encoding="utf-8") as file:
        texts = [program.render(**json.loads(line)) for line in file]
    begin, used, tokens = time.perf_counter(), cpu_s(), 0
    for at in range(0, len(texts), 512):
        made = tokenizer(texts[at : at + 512], add_special_tokens=False, return_attention_mask=False, verbose=False)
        tokens += sum(map(len, made["input_ids"]))
    spent, used = time.perf_counter() - begin, cpu_s() - used
    return {"wall_s": spent, "cpu_s": used, "rows": len(texts), "tokens": tokens}


CONTENDERS: dict[str, Callable[[str, str, int], dict[str, Any]]] = {"ours": ours, "raw": raw}


def axolotl_command(home: Path, path: Path, tokenizer: str) -> list[str]:
    """Command that encodes the rows with axolotl, in its own interpreter."""
    parity = Path(__file__).resolve().parents[1] / "parity"
    model = home / "model"
    model.mkdir(exist_ok=True)
    for file in Path(tokenizer).iterdir():
        (model / file.name).write_bytes(file.read_bytes())
    (model / "config.json").write_text(json.dumps(CONFIG))
    values = {
        "base_model": str(model),
        "datasets": [
            {"path": str(path), "ds_type": "json", "type": "chat_template", "field_messages": "messages"},
        ],
        "chat_template": "chatml",
        "sequence_len": 8192,
        "micro_batch_size": 1,
        "gradient_accumulation_steps": 1,
        "num_epochs": 1,
        "learning_rate": 0.001,
        "optimizer": "adamw_torch",
        "lr_scheduler": "cosine",
        "output_dir": "out",
        "bf16": False,
        "seed": 0,
    }
    config = home / "axolotl.yaml"
    config.write_text(json.dumps(values))
    return [os.environ["AXOLOTL_PYTHON"], "-c", AXOLOTL.format(folder=str(parity), config=str(config))]


def measured(command: list[str], home: Path) -> dict[str, Any]:
    """What a contender says, and the peak memory of its process tree."""
    import psutil

    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=os.environ | caches(home))
    peak, ended = [0], threading.Event()

    def watch() -> None:
        tree = psutil.Process(process.pid)
        while not ended.wait(0.05):
            total = 0
            try:
                for one in (tree, *tree.children(recursive=True)):
                    total += one.memory_info().rss
            except psutil.Error:
                continue  # it ended between two looks
            peak[0] = max(peak[0], total)

    watcher = threading.Thread(target=watch)
    watcher.start()
    out = process.communicate()[0]
    ended.set()
    watcher.join()
    if process.returncode:
        raise SystemExit((home / "log").read_text(errors="replace")[-2000:])
    return {**json.loads(out.splitlines()[-1]), "peak_mib": round(peak[0] / 2**20)}


def caches(home: Path) -> dict[str, str]:
    """A new place for what `datasets` caches, so that no contender finds its rows done already."""
    return {"HF_DATASETS_CACHE": tempfile.mkdtemp(dir=home), "HF_HUB_OFFLINE": "1"}


def summed(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The best wall time, the best processor time, and rates from them."""
    wall, cpu = min(run["wall_s"] for run in runs), min(run["cpu_s"] for run in runs)
    rows, tokens = runs[0]["rows"], runs[0]["tokens"]
    return {
        "wall_s": round(wall, 2),
        "cpu_s": round(cpu, 2),
        "rows_per_s": round(rows / wall),
        "tokens_per_s": round(tokens / wall),
        "rows_per_cpu_s": round(rows / cpu),
        "tokens": tokens,
        "peak_mib": max(run["peak_mib"] for run in runs),
    }


def report(given: argparse.Namespace) -> dict[str, Any]:
    """Run all contenders in turn, several times."""
    with tempfile.TemporaryDirectory(prefix="workbench-bench-") as folder:
        home = Path(folder)
        path = home / "rows.jsonl"
        write_rows(path, given.rows, given.words)
        one = [
            sys.executable,
            "-m",
            "tests.benchmarks.encode_rows",
            "--tokenizer",
            given.tokenizer,
            "--path",
            str(path),
        ]
        commands = {"raw tokenizer": [*one, "--one", "raw"]}
        for workers in given.workers:
            commands[f"ours, {workers} process{'es' * (workers > 1)}"] = [
                *one,
                "--one",
                "ours",
                "--workers",
                str(workers),
            ]
        if os.environ.get("AXOLOTL_PYTHON"):
            commands["axolotl, 1 process"] = axolotl_command(home, path, given.tokenizer)
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in commands}
        for _ in range(given.repeats):
            for name, command in commands.items():
                runs[name].append(measured(command, home))
        size = path.stat().st_size
    figures = {name: summed(found) for name, found in runs.items()}
    slowest = figures.get("axolotl, 1 process", figures["raw tokenizer"])
    return {
        "rows": given.rows,
        "file_mib": round(size / 2**20, 1),
        "tokens_a_row": round(figures["raw tokenizer"]["tokens"] / given.rows, 1),
        "cores": len(os.sched_getaffinity(0)),
        "load_average": os.getloadavg()[0],
        "figures": figures,
        "times_the_raw_tokenizer": {
            name: {key: round(said[key] / figures["raw tokenizer"][key], 2) for key in ("wall_s", "cpu_s")}
            for name, said in figures.items()
        },
        "times_as_fast_as_axolotl": {
            name: round(slowest["wall_s"] / said["wall_s"], 1) for name, said in figures.items()
        }
        if "axolotl, 1 process" in figures
        else None,
    }


def main() -> None:
    """Measure, or be one of the measured."""
    read = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    read.add_argument("--tokenizer", required=True, help="folder of a fast tokenizer")
    read.add_argument("--rows", type=int, default=50_000)
    read.add_argument("--words", type=int, default=60, help="about so many words a message; 10 gives 75 tokens a row")
    read.add_argument("--workers", type=lambda said: [int(part) for part in said.split(",")], default=[1, 2])
    read.add_argument("--repeats", type=int, default=2)
    read.add_argument("--one", choices=list(CONTENDERS), help=argparse.SUPPRESS)
    read.add_argument("--path", help=argparse.SUPPRESS)
    given = read.parse_args()
    if given.one:
        print(json.dumps(CONTENDERS[given.one](given.path, given.tokenizer, given.workers[0])))
    else:
        print(json.dumps(report(given), indent=2))


if __name__ == "__main__":
    main()
