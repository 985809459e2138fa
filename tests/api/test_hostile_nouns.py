"""Every noun with hostile text in every place that a user fills: shown as text, JSON-serialisable, never markup."""

from __future__ import annotations

import json
import shutil
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest

import workbench as wb
from tests.server.server_runs import JOB, LiveRun
from workbench import tiny_llama
from workbench.api.export import Exported
from workbench.api.run import RunList
from workbench.exports.facts import ExportReport
from workbench.training.store import create_run

HOSTILE = "<img src=x onerror=alert(1)>"
"""No `/`: a file name can hold it too."""

MARKUP = ("<img", "<script", "onerror=alert(1)>")


@cache
def makers() -> dict[str, Any]:
    return {
        "Data": lambda place: place.data,
        "Data with an unknown type": lambda place: wb.data([{HOSTILE: HOSTILE}]),
        "PickedData": lambda place: place.data.pick(),
        "Encoded": lambda place: place.enc,
        "Encoded without tokens": lambda place: wb.data([{"messages": [{"role": HOSTILE}], HOSTILE: 1}] * 2).encode(
            place.template, tokenizer="tiny-llama"
        ),
        "EncodedRow": lambda place: place.enc[0],
        "EncodedRow without tokens": lambda place: place.enc[1],
        "ShownBatch": lambda place: place.enc.batches()[0],
        "ShownBatch that differs": lambda place: place.enc.batches()[0].compare({"input_ids": [[1]]}, 1),
        "BatchTokens": lambda place: place.enc.batches()[0].tokens,
        "ChatTemplate": lambda place: place.template,
        "BoundRecipe": lambda place: place.recipe,
        "MemoryEstimate": lambda place: place.recipe.with_(
            model=str(place.model), target_modules="all-linear", optim="sgd"
        ).estimate(),
        "Exported": _exported,
        "LiveRun": _run,
        "LiveRun that failed": lambda place: _run(place, "failed"),
        "RunList": lambda place: RunList([_run(place)]),
        "RunList without runs": lambda place: RunList([]),
    }


def _run(place: Any, end: str | None = None) -> Any:
    prompts = [[{"role": "user", "content": HOSTILE}]]
    job = {**JOB, "name": HOSTILE, "samples": {**JOB["samples"], "prompts": prompts}}
    driven = LiveRun(create_run(job, lambda path: path.write_bytes(b""), place.folder / "runs"))
    driven.train(2.0, float("nan"), 1.0)
    said = {"sample": "s1", "prompt": 0, "step": 2, "origin": "schedule", "cmd": None, "base": False}
    driven.log.emit("sample_start", **said, messages=prompts[0])
    answer = {"tokens": 3, "stopped": True, "cut": False, "seconds": 0.1}
    driven.log.emit("sample", **{**said, **answer}, text=HOSTILE)
    driven.log.emit("warning", code="WB000", message=HOSTILE)
    if end:
        driven.end(end, error=HOSTILE, code="WB609", remedy=HOSTILE, log_tail=HOSTILE)
    else:
        driven.kill()
    return wb.attach(driven.dir)


def _exported(place: Any) -> Exported:
    file = place.folder / f"{HOSTILE}.yaml"
    file.write_text(f"base_model: {HOSTILE}\n")
    fields = {"model": HOSTILE}
    return Exported(ExportReport("axolotl", "rows", (file,), fields, notes=(HOSTILE,), command=("axolotl", HOSTILE)))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    rows = [
        {
            "messages": [{"role": "user", "content": HOSTILE}, {"role": "assistant", "content": HOSTILE}],
            HOSTILE: HOSTILE,
        },
        {"messages": [{"role": "user", "content": 3}, {"role": HOSTILE}]},
    ]
    path = folder / f"{HOSTILE}.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    jinja = folder / f"{HOSTILE}.jinja"
    shipped = (tiny_llama.model_path() / "chat_template.jinja").read_text(encoding="utf-8")
    jinja.write_text(f"{{# {HOSTILE} #}}{shipped}")
    model = folder / HOSTILE
    model.mkdir()
    shutil.copy(tiny_llama.model_path() / "config.json", model)
    data = wb.data(str(path))
    template = wb.template(str(jinja))
    enc = data.encode(template, tokenizer="tiny-llama")
    recipe = wb.recipe(enc, target_modules=[HOSTILE], optim=HOSTILE, revision=HOSTILE)
    return SimpleNamespace(folder=folder, data=data, template=template, enc=enc, recipe=recipe, model=model)


@pytest.mark.parametrize("name", makers())
def test_hostile_text_stays_text(name, place):
    noun = makers()[name](place)
    assert repr(noun)
    pages = []
    if hasattr(noun, "to_dict"):
        json.dumps(noun.to_dict(), allow_nan=False)
    if hasattr(noun, "_repr_mimebundle_"):
        made = noun._repr_mimebundle_()
        bundle = made[0] if isinstance(made, tuple) else made
        json.dumps(bundle, allow_nan=False)
        pages.append(bundle["text/html"])
    if hasattr(noun, "_repr_html_"):
        pages.append(noun._repr_html_())
    assert pages
    for page in pages:
        assert not any(mark in page for mark in MARKUP), page[:2000]


def test_hostile_text_is_there_after_all(place):
    for name in (
        "Data",
        "PickedData",
        "Encoded",
        "EncodedRow without tokens",
        "ChatTemplate",
        "Exported",
        "RunList",
        "MemoryEstimate",
    ):
        noun = makers()[name](place)
        made = noun._repr_mimebundle_() if hasattr(noun, "_repr_mimebundle_") else {"text/html": noun._repr_html_()}
        assert "&lt;img" in (made[0] if isinstance(made, tuple) else made)["text/html"], name
