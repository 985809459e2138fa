"""Raw rows through axolotl's own dataset types and through ours, side by side; used by test_axolotl_rows.py."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import workbench as wb

DRIVER = Path(__file__).with_name("axolotl_driver.py")
CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "vocab_size": 152064,
}
MAPPED = {"field_messages": "conversations", "message_property_mappings": {"role": "from", "content": "value"}}
TYPES = {
    "alpaca": ("alpaca/identity_alpaca.json", {"type": "alpaca"}),
    "messages": ("messages/tinker_conversations.jsonl", {"type": "chat_template", "field_messages": "messages"}),
    "sharegpt": ("sharegpt/fastchat_dummy.json", {"type": "chat_template", **MAPPED}),
    "text": ("completion/c4_demo.jsonl", {"type": "completion", "field": "text"}),
    "input_output": ("template_free/axolotl_input_output.jsonl", {"type": "input_output"}),
}


@dataclass(frozen=True)
class Case:
    """Rows of one type for one tokenizer."""

    type: str
    tokenizer: str

    @property
    def name(self) -> str:
        """For messages and folders."""
        return f"{self.type}-{self.tokenizer}"


def ours(case: Case, testdata: Path) -> list[tuple[list[int], list[int], str]]:
    """Ids, labels and text of every usable row."""
    rows = wb.data(testdata / "datasets" / TYPES[case.type][0])
    template = "alpaca" if case.type == "alpaca" else None
    enc = rows.encode(template, tokenizer=str(testdata / "tokenizers" / case.tokenizer))
    return [(list(enc[i].input_ids), list(enc[i].labels), enc[i].text) for i in enc.usable]


def write_config(case: Case, testdata: Path, root: Path) -> Path:
    """An axolotl config for the raw file, with its model folder."""
    folder = root / case.name
    model = folder / "model"
    model.mkdir(parents=True)
    for path in (testdata / "tokenizers" / case.tokenizer).iterdir():
        (model / path.name).write_bytes(path.read_bytes())
    (model / "config.json").write_text(json.dumps(CONFIG))
    source = testdata / "datasets" / TYPES[case.type][0]
    (folder / "rows.json").write_bytes(source.read_bytes())
    values = {
        "base_model": str(model),
        "datasets": [{"path": str(folder / "rows.json"), "ds_type": "json", **TYPES[case.type][1]}],
        "sequence_len": 8192,
        "sample_packing": False,
        "micro_batch_size": 1,
        "gradient_accumulation_steps": 1,
        "num_epochs": 1,
        "learning_rate": 0.001,
        "optimizer": "adamw_torch",
        "lr_scheduler": "cosine",
        "shuffle_merged_datasets": False,
        "min_sample_len": 1,
        "output_dir": "out",
        "bf16": False,
        "seed": 0,
    }
    if case.type in ("messages", "sharegpt"):
        values["chat_template"] = "tokenizer_default"
    path = folder / "axolotl.yaml"
    path.write_text(json.dumps(values))
    return path


def theirs(cases: list[Case], testdata: Path, root: Path) -> dict[Case, list[tuple[list[int], list[int]]]]:
    """Ids and labels that axolotl makes; one process for all, its imports take seconds."""
    configs = {str(write_config(case, testdata, root)): case for case in cases}
    command = [os.environ["AXOLOTL_PYTHON"], str(DRIVER), *configs]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1100, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[Case, list[tuple[list[int], list[int]]]] = {}
    current: Case | None = None
    for line in done.stdout.splitlines():
        said = json.loads(line)
        if "config" in said:
            current = configs[said["config"]]
            found[current] = []
        assert "error" not in said, said
        if "input_ids" in said and current is not None:
            found[current].append((said["input_ids"], said["labels"]))
    return found
