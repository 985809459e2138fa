"""What axolotl's examples say they use, against traces of those very configs: predictions first.

    python -m tests.benchmarks.axolotl_readmes predict AXOLOTL     # a checkout; writes the prediction columns
    python -m tests.benchmarks.axolotl_readmes compare

axolotl_readmes.csv holds the examples (revision 067b021c) with the line of the README that gives the figure. Configs
are read as any axolotl config; rows are packed and full. A README does not say which figure it is: live, reserved or
nvidia-smi's; all three are compared.
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from workbench.api.memory import estimate_recipe
from workbench.errors import WorkbenchError
from workbench.memory.analytic import CUDA_CONTEXT
from workbench.memory.axolotl import read_axolotl
from workbench.memory.figures import GIB
from workbench.memory.presets import PRESETS
from workbench.recipes import Recipe

TABLE = Path(__file__).with_name("axolotl_readmes.csv")
CONTEXT = (CUDA_CONTEXT.low + CUDA_CONTEXT.high) // 2

SHAPES: dict[str, dict[str, Any]] = {
    "swiss-ai/Apertus-8B-Instruct-2509": {
        "model_type": "apertus", "hidden_size": 4096, "intermediate_size": 21504, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 131072, "tie_word_embeddings": False,
    },
    "arcee-ai/AFM-4.5B": {
        "model_type": "arcee", "hidden_size": 2560, "intermediate_size": 18432, "num_hidden_layers": 36,
        "num_attention_heads": 20, "num_key_value_heads": 4, "head_dim": 128, "vocab_size": 128005,
    },
    "allenai/Olmo-3-7B-Instruct-SFT": {
        "model_type": "olmo3", "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 100278, "tie_word_embeddings": False,
    },
    "tencent/Hunyuan-0.5B-Instruct": {
        "model_type": "hunyuan_v1_dense", "hidden_size": 1024, "intermediate_size": 3584, "num_hidden_layers": 24,
        "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 120818,
        "tie_word_embeddings": True,
    },
}  # fmt: skip
"""Models that are not known without network; widths as published, their sum checked against the name's size."""
SAME_SHAPES = {
    "mistralai/Magistral-Small-2506": "mistralai/Mistral-Small-24B-Base-2501",
    "mistralai/Magistral-Small-2507": "mistralai/Mistral-Small-24B-Base-2501",
    "katanemo/Plano-Orchestrator-4B": "Qwen/Qwen3-4B",
}


def rows() -> list[dict[str, str]]:
    """The table."""
    with open(TABLE, encoding="utf-8") as file:
        return list(csv.DictReader(file))


def predict(checkout: Path) -> None:
    """Trace every config and write what is found."""
    table = rows()
    for row in table:
        values = yaml.safe_load((checkout / "examples" / row["config"]).read_text(encoding="utf-8"))
        try:
            row |= _predicted(values)
        except WorkbenchError as error:
            row |= {"live": "", "reserved": "", "note": str(error)[:160]}
        print(row, flush=True)
    with open(TABLE, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)


def _predicted(values: dict[str, Any]) -> dict[str, str]:
    name = values["base_model"]
    shapes = SHAPES.get(name) or PRESETS[SAME_SHAPES.get(name, name)]
    found = read_axolotl(values)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        path.write_text(json.dumps(dict(shapes)), encoding="utf-8")
        recipe = Recipe.from_dict({**found.recipe, "model": str(path)})
        made = estimate_recipe(recipe, found.length or 2048, method="trace", **found.options)
    assert made.trace is not None
    return {"live": str(made.trace.live), "reserved": str(made.trace.reserved), "note": ""}


def compare() -> None:
    """Print predictions beside what was published."""
    errors: dict[str, list[float]] = {"live": [], "reserved": [], "nvidia-smi": []}
    for row in rows():
        if not row["live"]:
            print(f"{row['config']:50s} not traced: {row['note']}")
            continue
        unit = GIB if row["unit"] == "GiB" else 10**9
        value, live, reserved = float(row["published"]), int(row["live"]) / unit, int(row["reserved"]) / unit
        shown = reserved + CONTEXT / unit
        found = dict(zip(errors, (live, reserved, shown), strict=True))
        for name, size in found.items():
            errors[name].append(size / value - 1)
        sizes = ", ".join(f"{name} {size:5.2f} {size / value - 1:+6.1%}" for name, size in found.items())
        print(f"{row['config']:50s} published {value:5.2f} {row['unit']}, {sizes}")
    for name, values in errors.items():
        print(f"{name}: {len(values)} rows, median |error| {median(map(abs, values)):.1%}")


if __name__ == "__main__":
    predict(Path(sys.argv[2])) if sys.argv[1] == "predict" else compare()
