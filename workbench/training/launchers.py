"""Starting runs: the run directory, a supervisor, a trainer. Returns at once.

    run = launch(job, rows)                        # cold: first step after the imports, 8 s on 2 cores
    spare = Spare().warm(); …; launch(job, rows, spare=spare)     # first step in about a second

A run outlives whoever launched it: supervisor and trainer have sessions of their own, their output goes to files, and
no pipe leads back.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import sysconfig
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.errors import DataError, ModelError
from workbench.recipes import Recipe
from workbench.training import store
from workbench.training.checkpoint import verify
from workbench.training.durable_io import open_log
from workbench.training.quantised import require_bitsandbytes
from workbench.training.run import Run

DROPPED_PREFIXES = ("JPY_", "JUPYTER_", "MPLBACKEND", "IPYTHON")
SET_VARIABLES = {"HF_HUB_DISABLE_TELEMETRY": "1", "TRL_EXPERIMENTAL_SILENCE": "1", "TOKENIZERS_PARALLELISM": "false"}
EMBEDDED = "tiny-llama"


class Spare:
    """A training process that is started ahead, so that a launch need not wait for imports (480 MB of memory).

    It dies with the process that made it, and is used up by one launch; `warm` makes the next.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._heard = b""
        this = weakref.ref(self)

        def let_go_in_child() -> None:
            spare = this()
            if spare is not None and spare._process is not None and spare._process.stdin is not None:
                # A forked child that kept the pipe would keep the spare alive after its owner.
                with contextlib.suppress(OSError):
                    os.close(spare._process.stdin.fileno())

        os.register_at_fork(after_in_child=let_go_in_child)

    def warm(self) -> Spare:
        """Start a spare unless one is there; returns at once."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._heard = b""
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "workbench.training.supervisor", "spare", str(os.getpid())],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env=clean_environment(),
                    start_new_session=True,
                )
        return self

    @property
    def state(self) -> str:
        """`cold`, `warming`, `ready`, or `broken` (its imports failed; a launch then starts a cold trainer)."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                return "cold"
            self._hear(0.0)
            return "broken" if b"broken" in self._heard else "ready" if b"ready" in self._heard else "warming"

    def hand_over(self, run_dir: Path) -> bool:
        """Give the spare its run; False when there is no spare to take it."""
        with self._lock:
            process, self._process = self._process, None
            if process is None or process.poll() is not None:
                return False
            assert process.stdin is not None
            try:
                process.stdin.write(json.dumps({"run": str(run_dir)}).encode() + b"\n")
                process.stdin.flush()
            except BrokenPipeError:
                return False
            self._process = process
            taken = self._hear(5.0, b"taken")
            self._process = None
            _let_go(process)
            return taken

    def close(self) -> None:
        """End the spare, if there is one."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            _let_go(process)

    def _hear(self, timeout: float, word: bytes = b"") -> bool:
        """Read what the supervisor says; with `word`, until it is said, the supervisor ends or time is up."""
        assert self._process is not None and self._process.stdout is not None
        fd = self._process.stdout.fileno()
        while word not in self._heard or not word:
            readable, _, _ = select.select([fd], [], [], timeout)
            if not readable:
                return False
            data = os.read(fd, 4096)
            if not data:
                return word in self._heard if word else False
            self._heard += data
        return True


def launch(
    job: Mapping[str, Any],
    rows: Any,
    root: Path | str | None = None,
    spare: Spare | None = None,
    expected: Mapping[str, Any] | None = None,
) -> Run:
    """Start a run and return at once.

    Args:
        job: Members of job.json (docs/wire.md section 1); `recipe` is required, everything else has a default.
        rows: A pyarrow table with the columns of rows.parquet, or the path of a parquet file.
        root: Where runs are made; see `store.runs_root`.
        spare: A warm spare to use, if it is there.
        expected: The preview's batches for the steps of `capture`, for expected.json.

    Raises:
        RecipeError: For a recipe with an unknown or impossible field, or weights that cannot be quantised here (WB811).
        DataError: When the rows are empty or lack a column.
        ModelError: When the model is a folder that is not there.
    """
    whole = complete_job(job)
    write_rows = _rows_writer(rows, packed=whole["packed"])
    run = store.create_run(whole, write_rows, root, expected)
    if spare is None or not spare.hand_over(run.dir):
        _start_supervisor(run.dir)
    return run


def complete_job(job: Mapping[str, Any]) -> dict[str, Any]:
    """A job with every member of job.json, checked, its paths absolute (the trainer has another working directory)."""
    recipe = Recipe.from_dict(job["recipe"])
    require_bitsandbytes(recipe.quantised)
    samples = {"prompts": [], "every": None, "max_new_tokens": 64, "do_sample": False, "seed": 1234}
    given = job.get("samples") or {}
    model = _absolute(job.get("model") or recipe.model)
    resume = job.get("resume")
    if resume:
        resume = str(Path(resume).expanduser().resolve())
        verify(Path(resume))
    return {
        "name": f"{Path(model).name}, {recipe.adapter_name}",
        "packed": recipe.packing != "none",
        "chat_template": None,
        "threads": None,
        **job,
        "recipe": recipe.to_dict(),
        "dataset": "rows.parquet",
        "model": model,
        "tokenizer": _absolute(job.get("tokenizer") or recipe.tokenizer or model),
        "samples": {**samples, **given, "prompts": [_messages(prompt) for prompt in given.get("prompts") or []]},
        "capture": [int(step) for step in job.get("capture") or []],
        "resume": resume,
    }


def clean_environment() -> dict[str, str]:
    """The environment of supervisor and trainer: the caller's, without what belongs to its notebook kernel."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(DROPPED_PREFIXES)}
    environment.update(SET_VARIABLES)
    # Threads that spin while they wait take the cores a browser or another cell needs: with one core busy elsewhere a
    # step of the demo took 2.5 s spinning and 1.2 s waiting, 0.37 and 0.38 s on an idle machine of two cores.
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # One process trains on one GPU: seeing several, transformers would use DataParallel, which TRL refuses.
    environment["CUDA_VISIBLE_DEVICES"] = environment.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0]
    source = str(Path(__file__).resolve().parents[2])
    if source not in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        paths = [source, *filter(None, [environment.get("PYTHONPATH")])]
        environment["PYTHONPATH"] = os.pathsep.join(paths)
    return environment


def _start_supervisor(run_dir: Path) -> None:
    log = open_log(run_dir / "sup.log")
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "workbench.training.supervisor", "run", str(run_dir)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=run_dir,
            env=clean_environment(),
            start_new_session=True,
        )
    finally:
        os.close(log)
    _reap(process)


def _let_go(process: subprocess.Popen[bytes]) -> None:
    """Close our ends of a supervisor's pipes, and reap it when it ends."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    _reap(process)


def _reap(process: subprocess.Popen[bytes]) -> None:
    threading.Thread(target=process.wait, name=f"reap {process.pid}", daemon=True).start()


def _rows_writer(rows: Any, *, packed: bool) -> Any:
    """A function that writes rows.parquet, after checking the columns without reading the data."""
    import pyarrow.parquet as pq

    from_file = isinstance(rows, str | Path)
    if from_file:
        metadata = pq.read_metadata(rows)
        names, count = metadata.schema.to_arrow_schema().names, metadata.num_rows
    else:
        names, count = rows.column_names, rows.num_rows
    missing = {"input_ids", "labels", *(["seq_lengths"] if packed else [])} - set(names)
    if missing:
        wanted = ", ".join(sorted(missing))
        raise DataError(f"The rows lack {wanted}; they have {', '.join(names)}.", remedy="Encode them.", code="WB640")
    if count == 0:
        raise DataError("There are no rows to train on.", remedy="Look at the dataset's findings.", code="WB641")
    if from_file:
        return lambda path: shutil.copyfile(rows, path)
    return lambda path: pq.write_table(rows, path)


def _messages(prompt: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A prompt as messages; plain text is a user's."""
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)


def _absolute(name: str) -> str:
    """A folder's absolute path; a hub id or the embedded model's name as it is.

    Raises:
        ModelError: For something that can only be a path and is not there.
    """
    path = Path(name).expanduser()
    if name != EMBEDDED and path.is_dir():
        return str(path.resolve())
    if name.startswith(("/", "./", "../", "~")):
        raise ModelError(f"There is no folder {name!r}.", remedy="Check the path.", code="WB695")
    return name
