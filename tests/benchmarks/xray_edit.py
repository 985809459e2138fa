"""Time of a re-render after an edit of the template: python tests/benchmarks/xray_edit.py

Asks as the page does (`"op": "xray"` with an edited source) for a conversation of about 5,000 tokens, 20 edits in a
row, each another text. The process that renders edits is warm, as it is from the second edit on. Beside the clock
stands the processor time of the kernel, which does not depend on what else the machine does.
"""

import json
import statistics
import time

import workbench as wb
from workbench.api.comm import answered
from workbench.api.render import look

TURNS = 24
ASK = "Where does the miller of Kipwick live, and what does he bake on market days? " * 3
SAY = "He lives in house seven by the river. On market days he bakes rye bread and plum cake. " * 4


def main() -> None:
    """Print tokens, and the median and the slowest of 20 edits for each template."""
    said = [{"role": role, "content": text} for _ in range(TURNS) for role, text in (("user", ASK), ("assistant", SAY))]
    for name in ("chatml", "qwen2.5", "qwen3"):
        card = look(wb.template(name, tokenizer="tiny-llama"), said, False, {})
        source, times = card.context.chat.info.source, []
        begin_cpu = 0.0
        asked = {"id": 1, "op": "xray", "conversation": "own"}
        for edit in range(22):
            begin_cpu = time.process_time() if edit == 2 else begin_cpu
            begin = time.perf_counter()
            view = answered(card, asked | {"source": source + f"{{# {edit} #}}"})["view"]
            times.append(1000 * (time.perf_counter() - begin))
        cpu = 1000 * (time.process_time() - begin_cpu) / 20
        size = len(json.dumps(view)) / 1000
        print(
            f"{name:10} {view['rendering']['token_count']:,} tokens: median {statistics.median(times[2:]):.0f} ms, "
            f"slowest {max(times[2:]):.0f} ms, first {times[0]:.0f} ms; "
            f"kernel {cpu:.0f} ms of processor time; answer {size:.0f} kB"
        )


if __name__ == "__main__":
    main()
