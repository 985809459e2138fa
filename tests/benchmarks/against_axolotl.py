"""Rows a second: our whole encode path, the raw tokenizer on the same text, and axolotl's own chat_template strategy.

    AXOLOTL_PYTHON=… python -m tests.benchmarks.against_axolotl --tokenizer FOLDER [--rows 4000]

axolotl runs in its own interpreter on one process, imports not counted; so does ours.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import workbench as wb
from workbench import tiny_llama

TIMED = """
import sys, time
sys.argv = ["driver"]
sys.path.insert(0, {folder!r})
import axolotl_driver as driver
cfg = driver.load({config!r})
from axolotl.loaders import load_tokenizer
from axolotl.utils.data import sft
tokenizer = load_tokenizer(cfg)
found = next(iter(sft.datasets_with_name_generator(cfg.datasets)))
begin = time.perf_counter()
given = dict(dataset_config=found, cfg=cfg, tokenizer=tokenizer, split="train", seed=0)
made, _ = sft._load_and_process_single_dataset(**given)
driver.say({{"seconds": time.perf_counter() - begin, "rows": len(made)}})
"""


def chats(rows: int) -> list[dict]:
    """Chat rows of several turns, made from the embedded ones."""
    lines = tiny_llama.rows_path("train").read_text().splitlines()
    found = [json.loads(line)["messages"] for line in lines]
    plain = [talk for talk in found if talk[0]["role"] == "user"]
    joined = [[message for k in range(3) for message in plain[(i * 3 + k) % len(plain)]] for i in range(rows)]
    return [{"messages": talk} for talk in joined]


def main() -> None:
    """Print one JSON line."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--tokenizer", required=True)
    options.add_argument("--rows", type=int, default=4000)
    given = options.parse_args()
    rows = chats(given.rows)
    data = wb.data(rows)
    tokenizer = data.encode("chatml", tokenizer=given.tokenizer).setting.tokenizer  # everything loaded and compiled
    begin = time.perf_counter()
    enc = data.encode("chatml", tokenizer=tokenizer)
    ours = time.perf_counter() - begin
    texts = [enc[i].text for i in range(len(rows))]
    begin = time.perf_counter()
    enc.setting.tokenizer(texts, add_special_tokens=False)
    raw = time.perf_counter() - begin
    theirs = axolotl(given.tokenizer, rows)
    rate = {name: round(len(rows) / seconds) for name, seconds in (("ours", ours), ("raw", raw), ("axolotl", theirs))}
    tokens = round(enc.totals.tokens / len(rows))
    print(
        json.dumps(
            {
                "rows": len(rows),
                "tokens_a_row": tokens,
                "rows_a_second": rate,
                "times_raw": round(ours / raw, 2),
                "times_faster_than_axolotl": round(theirs / ours, 1),
            }
        )
    )


def axolotl(tokenizer: str, rows: list[dict]) -> float:
    """Seconds axolotl needs for the rows."""
    parity = Path(__file__).resolve().parents[1] / "parity"
    sys.path.insert(0, str(parity))
    from axolotl_rows import CONFIG

    with tempfile.TemporaryDirectory() as home:
        model = Path(home) / "model"
        model.mkdir()
        for path in Path(tokenizer).iterdir():
            (model / path.name).write_bytes(path.read_bytes())
        (model / "config.json").write_text(json.dumps(CONFIG))
        source = Path(home) / "rows.jsonl"
        source.write_text("".join(json.dumps(row) + "\n" for row in rows))
        dataset = {"path": str(source), "ds_type": "json", "type": "chat_template", "field_messages": "messages"}
        values = {
            "base_model": str(model),
            "datasets": [dataset],
            "chat_template": "chatml",
            "sequence_len": 4096,
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
        config = Path(home) / "axolotl.yaml"
        config.write_text(json.dumps(values))
        code = TIMED.format(folder=str(parity), config=str(config))
        command = [os.environ["AXOLOTL_PYTHON"], "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr[-2000:])
        return json.loads(done.stdout.splitlines()[-1])["seconds"]


if __name__ == "__main__":
    main()
