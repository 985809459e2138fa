"""What `recipe.estimate()` shows: the payload, its static copy, its figures; and the code under the card."""

import json

import pytest

import workbench as wb
from workbench.api.memory import estimate_recipe
from workbench.memory.figures import GIB
from workbench.recipes import Recipe
from workbench.views import FIT_MIME
from workbench.views.fit_bar import EDGES, bar_kinds, lengths_histogram

ROWS = [
    {"messages": [{"role": "user", "content": "word " * n}, {"role": "assistant", "content": "yes " * n}]}
    for n in (2, 5, 40, 90, 200)
]


@pytest.fixture(scope="module")
def recipe():
    enc = wb.data(ROWS).encode("chatml", tokenizer="tiny-llama")
    return wb.recipe(enc, model="meta-llama/Llama-3.2-1B", per_device_train_batch_size=2)


def test_the_payload_holds_what_the_estimate_says(recipe):
    made = recipe.estimate(gpu="4090")
    shown = made._repr_mimebundle_()[FIT_MIME]
    json.dumps(shown, allow_nan=False)
    assert shown["made"]["live"] == made.live_bytes and shown["card"]["name"] == "RTX 4090"
    kinds = bar_kinds(shown["made"])
    assert sum(size for kind, size in kinds.items() if kind not in ("allocator", "context")) == made.live_bytes
    assert abs(sum(kinds.values()) - made.nvidia_smi_bytes) <= 1
    for peak in shown["made"]["peaks"]:
        assert sum(peak["kinds"].values()) == peak["bytes"]


def test_the_code_under_the_card_cuts_the_rows_that_it_says(recipe):
    """`with_(max_length=…)` encodes again: what is estimated is what will be trained."""
    cut = recipe.with_(max_length=64)
    assert max(len(row.input_ids) for row in cut.enc.train_rows) == 64 and cut.recipe.max_length == 64
    assert cut.enc.tokenizer_name == recipe.enc.tokenizer_name and cut.enc.data is recipe.enc.data
    made = cut.estimate()
    assert made.batch.length == 64 and made.live_bytes < recipe.estimate().live_bytes
    assert recipe.with_(r=8).enc is recipe.enc
    packed = recipe.with_(max_length=128, packing="bfd")
    assert all(len(row.input_ids) <= 128 for row in packed.enc.train_rows)
    assert any(len(row.documents) > 1 for row in packed.enc.train_rows)


def test_rows_between_two_stops_of_the_slider_are_counted_exactly():
    counts = {n: 1 + n % 3 for n in range(1, 5000, 7)}
    found = lengths_histogram(counts)
    assert sum(rows for _, rows in found) == sum(counts.values()) and found[-1][0] == max(counts)
    for limit in EDGES:
        assert sum(rows for length, rows in found if length > limit) == sum(
            rows for length, rows in counts.items() if length > limit
        )


@pytest.mark.parametrize("gpu", [None, "4090", "4GB"])
def test_the_static_copy_names_every_kind_and_the_verdict(gpu):
    made = estimate_recipe(Recipe(model="meta-llama/Llama-3.2-3B", gradient_checkpointing=True), 900, gpu=gpu)
    html = made._repr_html_()
    shown = made.payload()
    for kind in bar_kinds(shown["made"]):
        assert {"allocator": "allocator spare", "context": "CUDA context"}.get(kind, kind) in html
    assert "<script" not in html and ("needed" in html)
    if made.verdict:
        assert made.verdict.word in html and made.gpu.name in html


def test_figures_show_the_bytes_of_the_payload(recipe):
    made = recipe.estimate(gpu="T4")
    bars = {bar.name: bar.x[0] for bar in made.figure().data if bar.y[0] == "needed"}
    assert sum(bars.values()) * GIB == pytest.approx(made.nvidia_smi_bytes, abs=8)
    assert len({bar.marker.pattern.shape + bar.marker.color for bar in made.figure().data}) == len(bars)
    step = made.figure("step")
    assert max(sum(values) for values in zip(*(line.y for line in step.data), strict=True)) * GIB == pytest.approx(
        made.live_bytes, abs=8
    )


def test_a_run_that_only_a_trace_knows_offers_nothing_to_try():
    made = estimate_recipe(Recipe(), 64)
    assert made.payload()["tried"] is not None
    unknown = type(made)(made.estimate, made.recipe.with_(model="nobody/knows-this"), made.batch)
    assert unknown.payload()["tried"] is None and "nobody/knows-this" in unknown._repr_html_()


def test_the_widget_carries_the_payload_and_refuses_questions_in_words(recipe):
    made = recipe.estimate()
    widget = made.widget()
    assert widget.payload["made"]["live"] == made.live_bytes
    assert "unknown question" in widget._answer({"id": 1, "op": "row"})["error"]
