"""What `axolotl preprocess --debug` prints of rows. Run by axolotl's own interpreter, never imported by the tests.

    $AXOLOTL_PYTHON tests/parity/make_debug_golden.py answers.json jobs.json

Jobs are `{"tokenizer": folder, "rows": [{"input_ids", "labels", "text_only"}]}`; an answer is the list of messages that
`check_example_labels` logs, coloured as on a terminal.
"""

import importlib.metadata
import json
import os
import sys
from pathlib import Path

os.environ.update(AXOLOTL_DO_NOT_TRACK="1", CUDA_VISIBLE_DEVICES="", HF_HUB_OFFLINE="1", FORCE_COLOR="1")


def main(out: str, jobs: str) -> None:
    """Answer the jobs."""
    from axolotl.utils import tokenization
    from transformers import AutoTokenizer

    asked = json.loads(Path(jobs).read_text(encoding="utf-8"))
    tokenizer = AutoTokenizer.from_pretrained(asked["tokenizer"])
    said: list[str] = []

    class Log:
        """Keeps what is logged."""

        def info(self, message):
            """A message."""
            said.append(message)

    tokenization.LOG = Log()
    answers = []
    for row in asked["rows"]:
        said.clear()
        tokenization.check_example_labels(dict(row), tokenizer, text_only=row["text_only"])
        answers.append(list(said))
    version = importlib.metadata.version("axolotl")
    made = {"axolotl": version, "rows": asked["rows"], "answers": answers}
    Path(out).write_text(json.dumps(made, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:3])
