"""The demo through the product's own path: LoRA and full, three seeds each, scored on held-out prompts.

    python -m tests.benchmarks.demo [--seeds 0 1 2]

Prints one JSON line a run: seconds between the first and the last training step, samples included, and the share of
held-out prompts answered exactly.
"""

import argparse
import json

from workbench import tiny_llama
from workbench.api.demo import demo_recipe, score
from workbench.api.run import warm


def main() -> None:
    """Run all of them, one after the other."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    for adapter in ("lora", "none"):
        for seed in options.parse_args().seeds:
            warm()
            run = demo_recipe(adapter, seed=seed).launch(list(tiny_llama.SAMPLES), max_new_tokens=40)
            state = run.wait()
            events, _ = run.events(limit=1 << 30)
            begin = next(event["t"] for event in events if event.get("state") == "running")
            end = next(event["t"] for event in events if event.get("state") == "completed")
            made = score(run)
            told = {"adapter": adapter, "seed": seed, "state": state, "seconds": round(end - begin, 1)}
            print(
                json.dumps({**told, **{key: made[key] for key in ("prompts", "exact", "share", "by_skill")}}),
                flush=True,
            )


if __name__ == "__main__":
    main()
