"""All figures in one go, as JSON lines: `make bench`. Budgets are in the design; nothing here asserts.

python -m tests.benchmarks.run [--only import encode step launch]
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def say(name: str, **figures: object) -> None:
    """One line of the report."""
    print(json.dumps({"figure": name, **figures}), flush=True)


def import_time() -> None:
    """`import workbench` in a fresh interpreter, less the interpreter itself; median of nine."""

    def median(code: str) -> float:
        times = []
        for _ in range(9):
            begin = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
            times.append(time.perf_counter() - begin)
        return statistics.median(times)

    bare, ours = median("pass"), median("import workbench")
    say("import workbench", milliseconds=round(1000 * (ours - bare), 1), interpreter_milliseconds=round(1000 * bare, 1))


def encode() -> None:
    """Whole encode path against the raw tokenizer on the same text (bench_encode.py)."""
    out = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.bench_encode", "--rows", "4000"],
        check=True,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    print(out.stdout.strip(), flush=True)


def step() -> None:
    """Step time of the demo recipe under the workbench against a plain TRL script; three pairs, interleaved."""
    from workbench.api.demo import demo_recipe
    from workbench.training.launchers import clean_environment

    bound = demo_recipe().with_(max_steps=40)
    ours, plain = [], []
    for _ in range(3):
        run = bound.launch(capture=(), sample_every=10**6)
        run.wait()
        steps = [event["dt"] for event in run.follow() if event["kind"] == "step"]
        ours.append(statistics.median(steps[5:]))
        made = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("plain_trl.py")), str(run.dir)],
            check=True,
            capture_output=True,
            text=True,
            env=clean_environment(),  # the same settings of threads
        )
        plain.append(json.loads(made.stdout.splitlines()[-1])["median_step_s"])
    say(
        "training step",
        ours_ms=[round(1000 * value, 1) for value in ours],
        plain_trl_ms=[round(1000 * value, 1) for value in plain],
        ratio=round(statistics.median(ours) / statistics.median(plain), 3),
    )


def launch() -> None:
    """Call of `launch` to the first logged step of the demo: warm spare and cold."""
    from workbench.api.demo import demo_recipe
    from workbench.api.recipe import training_table
    from workbench.api.run import warm
    from workbench.training import launchers

    bound = demo_recipe().with_(max_steps=3)
    bound.expected([1, 2, 3])
    figures = {}
    for name in ("warm", "cold"):
        spare = warm() if name == "warm" else None
        while spare is not None and spare.state == "warming":
            time.sleep(0.1)
        begin = time.time()
        if name == "warm":
            run = bound.launch()
        else:
            job = {"recipe": bound.recipe.to_dict(), "model": "tiny-llama", "chat_template": None}
            run = launchers.launch(job, training_table(bound.enc.train_rows))
        run.wait()
        events, _ = run.events()
        first = next(event["t"] for event in events if event["kind"] == "metric")
        figures[f"{name}_s"] = round(first - begin, 2)
    say("launch to first logged step", **figures)


FIGURES: dict[str, Callable[[], None]] = {"import": import_time, "encode": encode, "step": step, "launch": launch}


def main() -> None:
    """Run the chosen figures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", nargs="*", choices=list(FIGURES), default=list(FIGURES))
    for name in options.parse_args().only:
        FIGURES[name]()


if __name__ == "__main__":
    main()
