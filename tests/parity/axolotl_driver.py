"""What axolotl makes of a config, as JSON lines. Run by axolotl's own interpreter, never imported by the tests.

    $AXOLOTL_PYTHON tests/parity/axolotl_driver.py one.yaml two.yaml

For each config: `{"config": path, "values": {…}}` after axolotl's own validation and normalisation, then one
`{"input_ids": […], "labels": […]}` a row, in data order, or `{"error": "…"}`. Paths in a config are relative to its
folder. Everything axolotl logs goes to stderr. Needs neither GPU nor network.

The calls are those of `axolotl preprocess` (axolotl 0.19, utils/data/sft.py, _load_raw_datasets) without saving the
prepared data set, and with `shuffle_merged_datasets` and worker processes off.
"""

import json
import os
import sys
from pathlib import Path

OUT = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)

os.environ.update(
    AXOLOTL_DO_NOT_TRACK="1",
    AXOLOTL_IS_PREPROCESS="1",
    CUDA_VISIBLE_DEVICES="",
    HF_DATASETS_OFFLINE="1",
    HF_HUB_OFFLINE="1",
    TOKENIZERS_PARALLELISM="false",
)


def say(value):
    """One line of the answer."""
    OUT.write(json.dumps(value, default=str) + "\n")
    OUT.flush()


def load(path):
    """Validated config of a YAML file."""
    from axolotl.cli.config import load_cfg

    cfg = load_cfg(str(path), is_preprocess=True)
    cfg.is_preprocess = True
    cfg.dataset_num_proc = None  # in this process: a pool of workers costs seconds a step
    cfg.shuffle_merged_datasets = False
    return cfg


def rows(cfg):
    """Tokenized rows as axolotl would train them."""
    from axolotl.loaders import load_tokenizer
    from axolotl.utils.data import sft

    tokenizer = load_tokenizer(cfg)
    sets = []
    for dataset_config in sft.datasets_with_name_generator(cfg.datasets):
        dataset, _ = sft._load_and_process_single_dataset(
            dataset_config=dataset_config, cfg=cfg, tokenizer=tokenizer, split="train", seed=cfg.seed
        )
        sets.append(dataset)
    merged = sft.handle_long_seq_in_dataset(sft.merge_datasets(sets, cfg), cfg.sequence_len, cfg)
    if cfg.sample_packing:
        merged, _ = sft.process_datasets_for_packing(cfg, merged, None)
    return merged


def main(paths):
    """Answer for each config."""
    for path in paths:
        os.chdir(Path(path).resolve().parent)
        try:
            cfg = load(Path(path).name)
            say({"config": path, "values": cfg.to_dict()})
            for row in rows(cfg):
                say({"input_ids": list(row["input_ids"]), "labels": list(row["labels"])})
        except Exception as error:  # noqa: BLE001  # the caller reads every failure of axolotl's as an answer
            say({"config": path, "error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    here = os.getcwd()
    main([os.path.join(here, path) for path in sys.argv[1:]])
