"""`workbench`: the headless twin of the notebook (DESIGN section 3).

    workbench inspect DATA --tokenizer T [--template X] [--rows A:B] [--packing bfd --max-length N] [--json]

Exit status: 0 fine, 1 findings of severity error, 2 wrong usage. Every command takes --json.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from workbench.cli import estimate, rows, runs
from workbench.cli.output import FINE, USAGE, emit
from workbench.errors import WorkbenchError


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = parser().parse_args(arguments)
    try:
        return options.run(options)
    except WorkbenchError as error:
        emit(
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


Add = Callable[[argparse.ArgumentParser], None]
Command = Callable[[argparse.Namespace], int]

COMMANDS: dict[str, tuple[Add, Command, str]] = {
    "demo": (runs.demo_arguments, runs.demo, "teach the embedded model to answer, and score it on held-out prompts"),
    "inspect": (rows.inspect_arguments, rows.inspect, "show tokens, labels and the reason for each"),
    "estimate": (
        estimate.estimate_arguments,
        estimate.estimate,
        "will it fit: memory with its breakdown, what still fits, what would help",
    ),
    "train": (runs.train_arguments, runs.train, "train in the background and follow it"),
    "runs": (runs.no_arguments, runs.runs, "list runs"),
    "attach": (runs.attach_arguments, runs.attach, "show a run, or follow it"),
    "sample": (runs.sample_arguments, runs.sample, "ask the model that is training"),
    "stop": (runs.stop_arguments, runs.stop, "stop a run with a checkpoint"),
    "export": (runs.export_arguments, runs.export, "write the config of another tool"),
}
