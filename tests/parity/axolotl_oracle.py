"""What axolotl makes of rows, many jobs in one process. Run by axolotl's own interpreter, never imported by tests.

    $AXOLOTL_PYTHON tests/parity/axolotl_oracle.py jobs.jsonl answers.jsonl

A job is a line `{"name", "tokenizer": folder, "config": {top-level keys}, "dataset": {type and its keys}, "forced":
{keys of the data set that validation drops}, "rows"}`.
Its answer is a line `{"name", "rows": […]}`, or `{"name", "error"}` where axolotl refuses the config. A row is what
axolotl's columns hold (`input_ids` and `labels`; `prompt`, `chosen`, `rejected` as text with `rl`; `chosen_ids`, …),
or `{"error"}` where axolotl cannot read it. `completion` cuts long texts: its rows are lists of sequences.
The first line of answers is `{"templates": {name: Jinja source}, "functions": [dotted names]}`: axolotl's bundled
templates, and all functions that a data set's type can name.

The calls are those of `axolotl preprocess` (axolotl 0.19: cli.config.load_cfg, utils.data.wrappers.get_dataset_wrapper,
utils.data.rl._map_dataset) on rows in memory. A data set that axolotl cannot map as a whole is mapped row by row, so
that one bad row does not hide the others. Needs neither GPU nor network.
"""

import contextlib
import copy
import json
import os
import sys
import tempfile
from functools import cache
from pathlib import Path

os.dup2(2, 1)  # libraries print to stdout; nobody reads it here
os.environ.update(
    AXOLOTL_DO_NOT_TRACK="1",
    AXOLOTL_IS_PREPROCESS="1",
    CUDA_VISIBLE_DEVICES="",
    HF_DATASETS_OFFLINE="1",
    HF_HUB_OFFLINE="1",
    TOKENIZERS_PARALLELISM="false",
    AXOLOTL_LOG_LEVEL="ERROR",
)
COMMON = {
    "sequence_len": 8192,
    "sample_packing": False,
    "micro_batch_size": 1,
    "gradient_accumulation_steps": 1,
    "num_epochs": 1,
    "learning_rate": 0.001,
    "optimizer": "adamw_torch",
    "lr_scheduler": "cosine",
    "shuffle_merged_datasets": False,
    "output_dir": "out",
    "bf16": False,
    "seed": 0,
}
MODEL = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "vocab_size": 152064,
}
RL_LOADERS = {"dpo": "dpo", "ipo": "dpo", "simpo": "dpo", "kto": "kto", "orpo": "orpo"}


def validated(job):
    """The job's config after axolotl's own validation."""
    from axolotl.cli.config import load_cfg
    from axolotl.utils.dict import DictDefault

    rows = Path(job["tokenizer"]).name  # a path is required; the rows are handed over in memory
    dataset = {"path": rows, "ds_type": "json", **job["dataset"]}
    kept = load_cfg(
        DictDefault({**COMMON, "base_model": model_folder(job["tokenizer"]), **job["config"], "datasets": [dataset]})
    )
    kept.datasets[0].update(job["forced"])
    kept.is_preprocess = True
    kept.dataset_num_proc = None  # in this process: a pool of workers costs seconds a job
    return kept


@cache
def model_folder(tokenizer):
    """The tokenizer's files with a config.json, in a folder of the tokenizer's name (axolotl looks at names)."""
    folder = Path(tempfile.mkdtemp()) / Path(tokenizer).name
    folder.mkdir()
    for path in Path(tokenizer).iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "config.json").write_text(json.dumps(MODEL))
    return str(folder)


def tokenizer_of(cfg):
    """The tokenizer axolotl loads for the config."""
    from axolotl.loaders import load_tokenizer

    return load_tokenizer(cfg)


def table(rows):
    """Rows as a data set; keys that some rows lack are null there, as in every Arrow table."""
    from datasets import Dataset

    names = list(dict.fromkeys(name for row in rows for name in row))
    return Dataset.from_dict({name: [row.get(name) for row in rows] for name in names})


def supervised(job, cfg, tokenizer):
    """Function from rows to axolotl's rows, for types that are tokenized here."""
    from axolotl.utils.data.sft import _parse_dataset_type
    from axolotl.utils.data.wrappers import get_dataset_wrapper

    config = cfg.datasets[0]
    base, style = _parse_dataset_type(config.type)

    def made(rows):
        wrapped, _ = get_dataset_wrapper(
            dataset_config=copy.deepcopy(config),
            tokenizer=tokenizer,
            cfg=cfg,
            dataset_base_type=base,
            dataset=table(rows),
            dataset_prompt_style=style,
        )
        return [dict(row) for row in wrapped]

    if job["dataset"].get("type") == "completion":  # one text may give several sequences
        return lambda rows: [made([row]) for row in rows]
    return made


def preference(job, cfg, tokenizer):
    """Function from rows to axolotl's rows, for types whose text TRL tokenizes later."""
    import importlib

    from axolotl.utils.data.rl import _map_dataset
    from axolotl.utils.dict import DictDefault

    kind = cfg.datasets[0]["type"]
    if not kind:
        return lambda rows: [dict(row) for row in table(rows)]
    load = importlib.import_module(f"axolotl.prompt_strategies.{RL_LOADERS[job['config']['rl']]}").load
    transform = load("user_defined.default" if isinstance(kind, DictDefault) else kind, cfg, dataset_idx=0)
    if transform is None:
        raise ValueError(f"axolotl has no transform {kind!r} for rl: {job['config']['rl']}")
    extra = {}
    if isinstance(transform, tuple):
        transform, extra = transform

    def made(rows):
        given = table(rows)
        keep = [name for name in extra.get("remove_columns", ()) if name in given.column_names]
        return [dict(row) for row in _map_dataset(cfg, given, transform, tokenizer, remove_columns=keep or None)]

    return made


def answer(job):
    """Axolotl's answer to one job."""
    cfg = validated(job)
    tokenizer = tokenizer_of(cfg)
    made = (preference if "rl" in job["config"] else supervised)(job, cfg, tokenizer)
    rows = job["rows"]
    try:
        return {"rows": made(copy.deepcopy(rows)), "eos": tokenizer.eos_token}
    except Exception:  # noqa: BLE001  # axolotl fails for reasons of its own; which row it was is found next
        return {"rows": [alone(made, row) for row in rows], "eos": tokenizer.eos_token}


def alone(made, row):
    """One row, or axolotl's error."""
    try:
        return made([copy.deepcopy(row)])[0]
    except Exception as error:  # noqa: BLE001  # every failure of axolotl's is an answer
        return {"error": said(error)}


def said(error):
    """Kind and first line of an error; of a validation error the first thing that is wrong."""
    lines = str(error).splitlines() or [""]
    wrong = lines[2].strip().split(" [type=")[0] if lines[0].endswith("AxolotlConfigWCapabilities") else lines[0]
    return f"{type(error).__name__}: {wrong.strip()[:300]}"


def without_fingerprints():
    """Keep `datasets` from hashing the tokenizer for its cache, a second for every call of map."""
    import datasets

    datasets.disable_progress_bars()
    for module in (datasets.arrow_dataset, datasets.fingerprint):
        module.update_fingerprint = lambda *_: datasets.fingerprint.generate_random_fingerprint()


def functions():
    """Names a data set's `type` may have: functions of the strategy modules, and handlers by short name."""
    import importlib
    import inspect
    import pkgutil

    import axolotl.prompt_strategies as strategies
    from axolotl.utils.data.wrappers import DATASET_HANDLERS

    found = set(DATASET_HANDLERS)
    for module in pkgutil.walk_packages(strategies.__path__, strategies.__name__ + "."):
        if module.ispkg or module.name.endswith((".base", ".jinja_template_analyzer")):
            continue
        made = importlib.import_module(module.name)
        short = module.name.removeprefix(strategies.__name__ + ".")
        for name, value in vars(made).items():
            own = inspect.isfunction(value) and value.__module__ == module.name and not name.startswith("_")
            if own or name == "load":
                found.add(f"{short}.{name}")
    return sorted(found)


def main(jobs_path, answers_path):
    """Answer every job."""
    from axolotl.utils.chat_templates.base import _CHAT_TEMPLATES

    without_fingerprints()
    with (
        open(answers_path, "w", encoding="utf-8") as out,
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),  # axolotl writes logs where it stands
    ):
        tempfile.tempdir = folder
        out.write(json.dumps({"templates": _CHAT_TEMPLATES, "functions": functions()}) + "\n")
        for line in Path(jobs_path).read_text(encoding="utf-8").splitlines():
            job = json.loads(line)
            try:
                found = answer(job)
            except Exception as error:  # noqa: BLE001  # a refused config is an answer
                found = {"error": said(error)}
            out.write(json.dumps({"name": job["name"], **found}, default=str) + "\n")
            out.flush()


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]))
