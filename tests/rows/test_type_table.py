"""Pages that are computed say what is computed; WORKBENCH_WRITE_DOCS=1 writes them anew."""

import os
from pathlib import Path

import pytest

from tests.rows.type_pages import BEGIN, END, coverage_page, covered, types_page

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
WRITE = bool(os.environ.get("WORKBENCH_WRITE_DOCS"))

EXPECTED = {
    "alpaca/axolotl_alpaca.json": "alpaca",
    "alpaca/identity_alpaca.json": "alpaca",
    "completion/c4_demo.jsonl": "text",
    "completion/tinyshakespeare.txt": "text",
    "containers/fastchat_20.arrow": "sharegpt",
    "containers/fastchat_20.feather.arrow": "sharegpt",
    "containers/fastchat_20.jsonl.gz": "sharegpt",
    "containers/fastchat_20.parquet": "sharegpt",
    "containers/gsm8k_20.arrow": "alpaca",
    "containers/gsm8k_20.csv": "alpaca",
    "containers/gsm8k_20.feather.arrow": "alpaca",
    "containers/gsm8k_20.jsonl.gz": "alpaca",
    "containers/gsm8k_20.parquet": "alpaca",
    "containers/gsm8k_20.tsv": "alpaca",
    "dolly/dolly_fixture.json": "alpaca",
    "dpo/chat_preferences.jsonl": "dpo",
    "dpo/intel_orca_format.jsonl": "dpo",
    "dpo/llamafactory_dpo.json": "dpo",
    "gsm8k/gsm8k_train.jsonl": "alpaca",
    "kto/kto_messages_label.json": "kto",
    "messages/tinker_conversations.jsonl": "messages",
    "messages/torchtitan_sft.json": "alpaca",
    "messages/xtuner_gsm8k.jsonl": "rl",
    "ms_swift/alpaca.csv": "alpaca",
    "ms_swift/alpaca2.csv": "alpaca",
    "ms_swift/conversations.jsonl": "sharegpt",
    "ms_swift/multi_modal_2.jsonl": "vision",
    "ms_swift/sharegpt.jsonl": "conversation_pairs",
    "ms_swift/swift_multi.jsonl": "alpaca",
    "ms_swift/swift_pre.jsonl": "text",
    "ms_swift/swift_single.jsonl": "alpaca",
    "oasst/oasst_messages_flat.jsonl": "oasst_flat",
    "oumi/alpaca_format.json": "alpaca",
    "oumi/alpaca_format.jsonl": "alpaca",
    "pretokenized/conversation_llama.json": "pretokenized",
    "prm/prm800k_samples.jsonl": "prm800k",
    "prm/trl_stepwise.jsonl": "prm",
    "rl/open_instruct_rlvr.jsonl": "rl",
    "sharegpt/axolotl_conversation.json": "sharegpt",
    "sharegpt/fastchat_dummy.json": "sharegpt",
    "template_free/axolotl_input_output.jsonl": "input_output",
    "tools/bfcl_live_simple.jsonl": "bfcl",
    "tools/glaive_toolcall.json": "sharegpt",
    "tools/hermes_few_shot.json": "hermes_text",
    "vision/vision_language_oumi_format.jsonl": "vision",
    "vision/xtuner_single_image.jsonl": "vision",
}


@pytest.mark.shared
def test_every_file_of_the_shared_data_has_its_type_first_and_every_row_accounted_for(shared):
    folder = shared / "testdata" / "datasets"
    files = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    assert files == sorted(EXPECTED)
    for name in files:
        found = covered(folder / name, name)
        assert found.type == EXPECTED[name], name
        assert found.fits == found.rows, name
        assert found.used == found.rows or found.listed, name


@pytest.mark.shared
def test_page_of_real_files_says_what_is_computed(shared):
    page = DOCS / "dataset-coverage.md"
    computed = coverage_page(shared / "testdata" / "datasets")
    if WRITE:
        page.write_text(computed, encoding="utf-8")
    assert page.read_text(encoding="utf-8") == computed


def test_page_of_types_says_what_the_table_says():
    page = DOCS / "dataset-types.md"
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    computed = f"{before}{BEGIN}\n\n{types_page()}\n{END}{after}"
    if WRITE:
        page.write_text(computed, encoding="utf-8")
    assert page.read_text(encoding="utf-8") == computed
