"""FSDP2's peak and parameters of a rank: ours against torch's tracker, over a grid, as a table.

    python -m tests.benchmarks.sharding_grid > tests/memory/sharding_grid.csv
    python -m tests.benchmarks.sharding_grid qlora > tests/memory/sharding_quantised.csv

Minutes of processor time; a sample of it is in tests/memory/test_memory_sharding_oracle.py.
"""

import csv
import sys
from itertools import product

from tests.benchmarks.sharding_oracle import Case, track
from workbench.memory.architecture import from_config
from workbench.memory.figures import Peak
from workbench.memory.settings import AnalyticSettings
from workbench.memory.sharded import estimate_sharded
from workbench.memory.sharding_values import Sharding

LLAMA = {"model_type": "llama", "head_dim": 64}
MODELS = {
    "tiny": LLAMA
    | {
        "hidden_size": 512,
        "intermediate_size": 1408,
        "num_hidden_layers": 4,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "vocab_size": 4000,
    },
    "1B": LLAMA
    | {
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 128_256,
    },
    "8B, 4 layers": LLAMA
    | {
        "hidden_size": 4096,
        "intermediate_size": 14_336,
        "num_hidden_layers": 4,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 128_256,
    },
}
COLUMNS = "model,tied,adapter,checkpointing,world,rows,length,owned,owned ours,peak,peak ours,error %,moment".split(",")


def ours(case):
    """Our estimate of a case."""
    shapes = from_config(case.config)
    settings = AnalyticSettings(
        rows=case.rows,
        length=case.length,
        scored=case.rows * case.length,
        adapter="lora" if case.lora else "none",
        rank=case.lora or 16,
        checkpointing=case.checkpointing,
        accumulation=case.accumulation,
        optim="sgd",
        loss="logits",
        weight_bytes=2 if case.lora else 4,
        quantisation="nf4" if case.storage else "none",
        low_adapter=bool(case.storage),
        bnb_4bit_quant_storage=case.storage or "uint8",
    )
    return estimate_sharded(shapes, settings, Sharding("fsdp", case.world, reshard=case.reshard))


def highest(found):
    """The highest moment of forward and backward: the tracker has no optimizer step, and no workspaces of cuBLAS."""
    peaks = (
        Peak(peak.name, {name: size for name, size in peak.parts.items() if name != "workspace"})
        for peak in found.estimate.peaks
        if peak.name != "optimizer step"
    )
    return max(peaks, key=lambda peak: peak.bytes)


def grid():
    """Name and case of every row; short rows, where communication weighs most, for all models."""
    for (name, config), tied in product(MODELS.items(), (False, True)):
        shapes = ((2, 256), (2, 1024)) if name == "tiny" else ((2, 512),)
        for lora, checkpointing, world, (rows, length) in product((0, 16), (False, True), (2, 8, 64), shapes):
            yield name, Case({**config, "tie_word_embeddings": tied}, world, lora, checkpointing, rows, length)


def quantised_grid():
    """The same with 4-bit weights, in a storage that is cut and in one that is not."""
    for name, storage, tied in product(("tiny", "8B, 4 layers"), ("bfloat16", "uint8"), (False, True)):
        for checkpointing, world in product((False, True), (2, 8, 64)):
            config = {**MODELS[name], "tie_word_embeddings": tied}
            yield name, Case(config, world, 16, checkpointing, 2, 512, storage=storage)


def main():
    """Write the table, one row a case."""
    table = csv.writer(sys.stdout)
    table.writerow(COLUMNS)
    for name, case in quantised_grid() if "qlora" in sys.argv else grid():
        peaks, owned = track(case)
        found = ours(case)
        peak, total = highest(found), peaks["Total"]
        adapter = f"lora r={case.lora}" if case.lora else "full"
        adapter += f", nf4 in {case.storage}" if case.storage else ""
        told = [
            name,
            case.config["tie_word_embeddings"],
            adapter,
            case.checkpointing,
            case.world,
            case.rows,
            case.length,
        ]
        share = found.ranks[0].parameters
        error = f"{100 * (peak.bytes / total - 1):+.2f}"
        table.writerow([*told, owned, share, total, peak.bytes, error, peak.name])
        sys.stdout.flush()


if __name__ == "__main__":
    main()
