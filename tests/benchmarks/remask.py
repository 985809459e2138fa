"""Masking a row of some 4,000 tokens anew, as the viewer asks for it: `python -m tests.benchmarks.remask [--tokens N]`.

Prints one JSON line: median and worst milliseconds from the question to the answer, JSON included, over policies that
were not asked for before; `kernel` is the answer alone, `json` its text. Nothing here asserts.
"""

import argparse
import json
import statistics
import time

import workbench as wb
from workbench.api import comm

SENTENCE = "The quick brown fox, number 7, jumps over 13 lazy dogs; then it rests a while. "


def rows(tokens: int) -> list[dict]:
    """One conversation of about so many tokens of tiny-llama's tokenizer."""
    turns = 8
    text = SENTENCE * max(1, tokens // (turns * 36))
    messages = [{"role": "assistant" if i % 2 else "user", "content": text} for i in range(turns)]
    return [{"messages": messages}]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=4000)
    asked = parser.parse_args()
    enc = wb.data(rows(asked.tokens)).encode("chatml", tokenizer="tiny-llama")
    kernel, text = [], []
    for _ in range(5):
        enc.tried.clear()
        for train_on in ("all", "last_assistant", "assistant"):
            for eos in ("none", "last", "all"):
                question = {"id": 1, "op": "row", "position": 0, "policy": {"train_on": train_on, "train_on_eos": eos}}
                begin = time.perf_counter()
                answer = comm.answered(enc, question)
                done = time.perf_counter()
                json.dumps(answer)
                kernel.append(1000 * (done - begin))
                text.append(1000 * (time.perf_counter() - done))
                assert "error" not in answer
    both = [a + b for a, b in zip(kernel, text, strict=True)]
    print(
        json.dumps(
            {
                "figure": "mask a row anew",
                "tokens": len(enc[0].input_ids),
                "milliseconds": round(statistics.median(both), 1),
                "worst": round(max(both), 1),
                "kernel": round(statistics.median(kernel), 1),
                "json": round(statistics.median(text), 1),
            }
        )
    )


if __name__ == "__main__":
    main()
