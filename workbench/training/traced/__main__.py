"""The tracing process: `python -m workbench.training.traced`, one plan a line on stdin, one answer a line on stdout.

Warm after its imports, and reusable: a caller keeps it and asks again. It sees no GPU and no network.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import sys
import time
import traceback
from typing import Any

from workbench.errors import WorkbenchError


def answer(line: str) -> dict[str, Any]:
    """Trace the plan of a line; an error is an answer too."""
    from workbench.memory.plan import Plan
    from workbench.training.traced.steps import record

    started = time.perf_counter()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            found = record(Plan(**json.loads(line)))
    except WorkbenchError as error:
        return {"error": error.message, "remedy": error.remedy, "code": error.code, "kind": type(error).__name__}
    except ImportError as error:  # of an optimiser or an adapter; the trainer's own is there
        words = str(error).splitlines()[0][:300]
        remedy = "Install it here too; the formula (method='analytic') needs no packages."
        return {"error": f"The run needs a package: {words}", "remedy": remedy, "code": "WB812", "kind": "RecipeError"}
    except Exception as error:  # noqa: BLE001  # whatever a model's code raises becomes an answer
        words = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        return {"error": words, "place": _place(error), "trace": traceback.format_exc()[-3000:]}
    return {**_compact(found), "seconds": round(time.perf_counter() - started, 3)}


def _place(error: BaseException) -> str:
    """File and line, in whichever package, that raised; torch's own frames aside."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/torch/" not in frame.filename and "/traced/" not in frame.filename]
    frame = (own or frames)[-1]
    return f"{frame.filename.rsplit('site-packages/', 1)[-1].rsplit('/workbench/', 1)[-1]}:{frame.lineno}"


def _compact(found: Any) -> dict[str, Any]:
    """The log with every name once."""
    names: dict[str, int] = {}
    operators: dict[Any, int] = {}

    def number(name: str) -> int:
        return names.setdefault(name, len(names))

    def number_of(operator: Any) -> int:
        if operator not in operators:
            operators[operator] = number(str(operator))
        return operators[operator]

    made = [(size, number(phase), number(module), number_of(operator)) for size, phase, module, operator in found.made]
    return {
        "made": made,
        "phases": [number(phase) for phase in found.phases],
        "named": {key: number(name) for key, name in found.category.items()},
        "events": found.events,
        "operators": found.operators,
        "notes": found.notes,
        "steps": found.steps,
        "micros": found.micros,
        "names": list(names),
    }


def main() -> None:
    """Import, say so, and answer until stdin ends."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print stays out of the answers
    import torch
    from peft import PeftModel  # noqa: F401
    from transformers import AutoModelForCausalLM  # noqa: F401
    from trl import SFTTrainer  # noqa: F401

    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()  # what the imports made need not be looked through again
    print("ready", file=out, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(line)), file=out, flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
