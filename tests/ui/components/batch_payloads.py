"""Batches of the embedded model's rows, and a kernel's side for the page: what Python really answers."""

from __future__ import annotations

import json
import math
from functools import cache
from typing import Any

import workbench as wb
from workbench import tiny_llama
from workbench.api import comm
from workbench.api.batch_source import shared_answer
from workbench.api.batches import Capture, ShownBatch
from workbench.views.batch import wire


def conversations(count: int, size: int = 6) -> list[dict[str, Any]]:
    """Rows of 1 to `size` conversations behind one another: lengths as in real data."""
    lines = tiny_llama.rows_path("train").read_text("utf-8").splitlines()
    rows = [json.loads(line)["messages"] for line in lines]
    made, at = [], 0
    for index in range(count):
        n = 1 + (index * (size - 1)) % size
        made.append({"messages": [message for row in rows[at : at + n] for message in row]})
        at = (at + n) % (len(rows) - size)
    return made


@cache
def encoded(packing: str = "bfd", max_length: int = 512, count: int = 60, size: int = 6) -> Any:
    data = wb.data(conversations(count, size))
    return data.encode(wb.template("tiny-llama"), tokenizer="tiny-llama", max_length=max_length, packing=packing)


def batch(packing: str = "bfd", size: int = 4) -> ShownBatch:
    enc = encoded(packing)
    return enc.batches(wb.recipe(enc, per_device_train_batch_size=size))[0]


def received(shown: ShownBatch) -> dict[str, Any]:
    return {name: [list(row) for row in rows] for name, rows in shown.arrays.items()}


def agreeing() -> ShownBatch:
    """Compared with itself, with a loss for each token."""
    shown = batch()
    arrays = received(shown)
    losses = [
        [None if position == 0 else round(2 + 2 * math.sin(i), 4) for i, position in enumerate(line)]
        for line in arrays["position_ids"]
    ]
    return shown.compare(Capture(arrays, 120, 0, losses, "run.batch(120)"))


def differing() -> ShownBatch:
    """Two labels of the second lane's second document came masked."""
    shown = batch()
    arrays = received(shown)
    document = shown.lanes[1].documents[1]
    start = document.spans[0][0]
    arrays["labels"][0][document.at + start] = -100
    last = shown.lanes[3].documents[0]
    arrays["labels"][0][last.at + last.spans[0][0]] = -100
    return shown.compare(Capture(arrays, 3, code="run.batch(3)"))


def payload_of(shown: ShownBatch) -> dict[str, Any]:
    return wire(shown._payload(comm.WIDGET))


def answer(page: Any, shown: ShownBatch) -> list[dict[str, Any]]:
    """Answer every question the page has asked and not been answered yet, as the widget's kernel would."""
    asked = page.evaluate("() => { const all = window.sent; window.sent = []; return all; }")
    for question in asked:
        page.evaluate("message => model.receive(message)", json.loads(json.dumps(shared_answer(question, shown))))
    return asked
