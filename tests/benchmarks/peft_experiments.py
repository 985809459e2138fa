"""Every experiment of PEFT's method comparison through a trace, on a small model: which are traced, with what assumed.

    python -m tests.benchmarks.peft_experiments PEFT/method_comparison/MetaMathQA/experiments

Reads a checkout's configs (adapter_config.json, training_params.json), none of its results. Two minutes on two cores.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.memory.plan import Plan
from workbench.memory.trace import Trace
from workbench.recipes import Recipe
from workbench.training.tracing import TRACER

SMALL = {
    "model_type": "llama",
    "hidden_size": 768,
    "intermediate_size": 2048,
    "num_hidden_layers": 28,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 128,
    "vocab_size": 128256,
    "tie_word_embeddings": True,
}
"""The layers and vocabulary of Llama 3.2 3B, narrow."""
WIDTHS = {"token_dim": "hidden_size", "num_attention_heads": "num_attention_heads"}
"""Fields of prompt methods that repeat the model's."""


def plan_of(folder: Path) -> Plan:
    """What an experiment runs, as PEFT's own loop does."""
    adapter, said = (_read(folder / name) for name in ("adapter_config.json", "training_params.json"))
    adapter |= {name: SMALL[of] for name, of in WIDTHS.items() if adapter.get(name)}
    optim = str(said.get("optimizer_type", "AdamW")).replace("AdamW", "adamw_torch")
    recipe = Recipe(
        per_device_train_batch_size=4, gradient_checkpointing=bool(said.get("use_gc")), optim=optim
    ).to_dict()
    wide = bool(said.get("autocast_adapter_dtype", True))
    return Plan(
        SMALL, recipe, [[40] * 4, [64] * 4], adapter=adapter or None, autocast=bool(said.get("use_amp")),
        loop="plain", empties_cache=True, autocast_adapter=wide,
    )  # fmt: skip


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def main(folder: Path) -> None:
    """Trace all and print a line for each."""
    done, all_of_them = 0, sorted(path for path in folder.glob("*/*") if path.is_dir())
    for path in all_of_them:
        started, name = time.perf_counter(), f"{path.parent.name}/{path.name}"
        try:
            plan = plan_of(path)
            found = Trace.from_dict(plan, TRACER.ask(plan))
        except WorkbenchError as error:
            print(f"{name:60s} not traced: {str(error)[:200]}", flush=True)
            continue
        done += 1
        took = time.perf_counter() - started
        print(f"{name:60s} {found.live / 2**20:8.1f} MiB {took:5.1f} s  {'; '.join(found.notes)}", flush=True)
    print(f"{done} of {len(all_of_them)} traced")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
