"""Chunks of encoded rows: the same from one process and from several, and a worker that ends is an error."""

from __future__ import annotations

import datetime
import gc
import os
import signal
import subprocess
import sys
import textwrap
from array import array

import pytest

import workbench as wb
from tests.tokens.tiny_tokenizer import metaspace_tokenizer, tiny_tokenizer
from workbench.api import encode_workers
from workbench.api.encode_rows import CHUNK_ROWS, Reading, encode_chunk, encode_rows
from workbench.api.encode_workers import Pool, bytes_of, chunk_from
from workbench.errors import MaskError, RunError, TokenizerError
from workbench.options import MaskOptions
from workbench.tokens.backend import cleans_up, stands_alone
from workbench.tokens.encode import load_tokenizer
from workbench.tokens.setting import Setting
from workbench.types import IGNORE

WORDS = "red green blue Ünïcode 🦙 one two three <|im_end|> a  b".split(" ")


def rows_of(count: int) -> list[dict]:
    """Rows of several lengths; some cannot be used, some make a finding."""
    rows: list[dict] = []
    for i in range(count):
        answer = " ".join(WORDS[(i * k) % len(WORDS)] for k in range(1 + i % 7))
        talk = [{"role": "user", "content": f"Question {i}"}, {"role": "assistant", "content": answer}]
        rows.append({"messages": talk * (1 + i % 3)})
        if i % 97 == 5:
            rows[-1]["messages"][-1]["content"] = None
    return rows


def setting_of(**options) -> Setting:
    tokenizer = load_tokenizer("tiny-llama")
    return Setting(tokenizer, wb.template("chatml").with_tokenizer(tokenizer), max_length=60, **options)


def own_class():
    """A tokenizer whose class changes how text becomes ids."""
    from transformers import CodeLlamaTokenizer

    vocab = {"<unk>": 0, "<s>": 1, "</s>": 2, "▁": 3} | {chr(33 + i): 4 + i for i in range(94)}
    made = CodeLlamaTokenizer(vocab=vocab, merges=[])
    assert not stands_alone(made)
    return made


def cleaned_up():
    """A tokenizer whose decoded text transformers changes."""
    from transformers import BertTokenizer

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "question", "red", "##s", "one", "two", *"0123456789"]
    made = BertTokenizer(
        vocab={word: i for i, word in enumerate(words)}, bos_token="[CLS]", clean_up_tokenization_spaces=True
    )
    assert cleans_up(made)
    return made


TOKENIZERS = {
    "tiny-llama": lambda: load_tokenizer("tiny-llama"),
    "adds BOS": lambda: tiny_tokenizer("<|im_start|>", "<|im_end|>", bos="<s>", eos="</s>", adds_bos=True),
    "spaces before text": metaspace_tokenizer,
    "class of its own": own_class,
    "cleaned up": cleaned_up,
}


def data_of(rows: list[dict]):
    return wb.data(rows, type="messages")


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return rows_of(CHUNK_ROWS * 3 + 40)


def test_chunks_hold_what_the_rows_give(rows):
    data = data_of(rows[:40])
    setting = setting_of()
    (chunk,) = encode_rows(data, setting)
    enc = data.encode("chatml", tokenizer=setting.tokenizer, max_length=60)
    made = list(chunk.sequences())
    assert [row for row, *_ in made] == enc.usable
    assert len(made) == 39  # row 5 has no answer
    for row, part, ids, labels in made:
        assert (part, tuple(ids), tuple(labels)) == ("", enc[row].input_ids, enc[row].labels)
    assert sorted(map(repr, chunk.findings)) == sorted(map(repr, enc.findings[len(data.findings) :]))
    assert [finding.row for finding in chunk.findings] == sorted(finding.row for finding in chunk.findings)
    assert (chunk.first, chunk.count, sum(chunk.lengths)) == (0, 40, len(chunk.input_ids))
    assert any(chunk.truncated) and any(label == IGNORE for label in chunk.labels)


def test_two_workers_give_what_one_process_gives(rows):
    data, setting = data_of(rows), setting_of()
    alone = list(encode_rows(data, setting))
    assert [(chunk.first, chunk.count) for chunk in alone] == [(0, 512), (512, 512), (1024, 512), (1536, 40)]
    assert list(encode_rows(data, setting, workers=2)) == alone


@pytest.mark.parametrize("kind", ["tiny-llama", "adds BOS", "spaces before text", "class of its own", "cleaned up"])
def test_workers_give_the_same_for_every_kind_of_tokenizer(rows, kind):
    setting = Setting(TOKENIZERS[kind](), wb.template("chatml").info, max_length=60)
    talk, text = data_of(rows[:700]), wb.data([{"text": row["messages"][0]["content"]} for row in rows[:700]])
    for data in (talk, text):
        alone = list(encode_rows(data, setting))
        assert sum(len(chunk.rows) for chunk in alone) > 600
        assert list(encode_rows(data, setting, workers=2)) == alone


def test_workers_need_neither_torch_nor_transformers(rows, monkeypatch, tmp_path):
    code = f"""
        import os, pathlib, sys
        from workbench.api import encode_workers
        real = encode_workers.encode_chunk
        def noted(*given):
            made = real(*given)
            pathlib.Path({str(tmp_path)!r}, f"{{os.getpid()}}.modules").write_text(" ".join(sys.modules))
            return made
        encode_workers.encode_chunk = noted
        encode_workers.main()
    """
    monkeypatch.setattr(encode_workers, "WORKER", ("-P", "-c", textwrap.dedent(code)))
    data, setting = data_of(rows), setting_of()
    assert len(list(encode_rows(data, setting, workers=2))) == 4
    said = [set(path.read_text().split()) for path in tmp_path.glob("*.modules")]
    assert said
    for modules in said:
        assert {"tokenizers", "workbench.tokens.mask"} <= modules
        assert not modules & {"torch", "transformers", "datasets", "pandas", "pyarrow", "numpy"}


def test_a_tokenizer_that_would_not_be_the_same_is_refused(rows):
    from transformers import PreTrainedTokenizerFast

    class Own(PreTrainedTokenizerFast):
        def _encode_plus(self, *given, **more):
            return super()._encode_plus(*given, **more)

    core = tiny_tokenizer("</s>", eos="</s>").backend_tokenizer
    setting = Setting(Own(tokenizer_object=core, eos_token="</s>"), wb.template("chatml").info)
    assert list(encode_rows(data_of(rows[:3]), setting, workers=2))
    with pytest.raises(TokenizerError, match=r"Own.* not the same") as error:
        list(encode_rows(data_of(rows), setting, workers=2))
    assert error.value.code == "WB133"


def test_a_chunk_depends_on_its_rows_alone(rows):
    data, setting = data_of(rows), setting_of()
    second = list(encode_rows(data, setting))[1]
    assert encode_chunk(rows[512:1024], 512, Reading.of(data), setting) == second


def test_rows_left_out_and_rows_json_cannot_hold(rows):
    odd = [*rows[:1030], {**rows[0], "when": datetime.date(2024, 1, 1)}]
    data, setting = data_of(odd).without(3, 600), setting_of()
    alone = list(encode_rows(data, setting))
    assert list(encode_rows(data, setting, workers=2)) == alone
    used = {row for chunk in alone for row in chunk.rows}
    assert not used & {3, 600}
    assert 1030 in used


def test_lines_of_the_file_are_named(rows, tmp_path):
    import json

    path = tmp_path / "rows.jsonl"
    path.write_text("\n" + "".join(json.dumps(row) + "\n" for row in rows[:600]))
    data, setting = wb.data(str(path), type="messages"), setting_of()
    for workers in (1, 2):
        found = [finding for chunk in encode_rows(data, setting, workers=workers) for finding in chunk.findings]
        assert found
        assert all(finding.line == finding.row + 2 for finding in found)


def test_options_reach_the_workers(rows):
    data = wb.data(rows, type="messages", roles={"user": "user"}, drop_system_message=True)
    setting = setting_of(train_on="last_assistant", options=MaskOptions(train_on_eos="none", roles_to_train=("user",)))
    assert list(encode_rows(data, setting, workers=2)) == list(encode_rows(data, setting))


def test_what_a_worker_raises_is_raised_here(rows):
    data, setting = data_of(rows), setting_of(options=MaskOptions(eot_tokens=("no such token",)))
    with pytest.raises(MaskError, match="no such token"):
        list(encode_rows(data, setting, workers=2))


def test_a_killed_worker_is_an_error_that_names_its_rows(rows, monkeypatch):
    monkeypatch.setattr(encode_workers, "AHEAD", 0)  # the second chunk is begun when it is asked for
    data, setting = data_of(rows), setting_of()
    with Pool(data.source.rows, Reading.of(data), setting, 1) as pool:
        chunks = pool.chunks()
        assert next(chunks).first == 0
        os.kill(pool.processes[0].pid, signal.SIGKILL)
        with pytest.raises(RunError, match="signal 9 while it encoded rows 512 to 1023") as error:
            next(chunks)
    assert (error.value.code, error.value.row) == ("WB134", 512)
    assert all(process.returncode is not None for process in pool.processes)


def test_a_worker_that_cannot_start_is_an_error_with_its_last_words(rows, monkeypatch):
    monkeypatch.setattr(encode_workers, "WORKER", ("-c", "raise SystemExit('no such thing')"))
    with pytest.raises(RunError, match=r"exit code 1 .* no such thing"):
        list(encode_rows(data_of(rows), setting_of(), workers=2))


def test_leaving_early_ends_the_workers(rows):
    data, setting = data_of(rows), setting_of()
    pool = Pool(data.source.rows, Reading.of(data), setting, 2)
    with pool:
        next(pool.chunks())
    assert all(process.returncode is not None for process in pool.processes)


def test_a_script_without_a_main_guard_can_have_workers(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import workbench as wb
            from workbench.api.encode_rows import encode_rows
            from workbench.tokens.setting import Setting
            from workbench.tokens.encode import load_tokenizer

            print("ran")
            talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]
            data = wb.data([{"messages": talk}] * 600, type="messages")
            tokenizer = load_tokenizer("tiny-llama")
            setting = Setting(tokenizer, wb.template("chatml").with_tokenizer(tokenizer))
            print(sum(len(chunk.rows) for chunk in encode_rows(data, setting, workers=2)))
            """
        )
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=200)
    assert done.stdout.split() == ["ran", "600"]


def test_a_chunk_survives_the_pipe(rows):
    (chunk,) = encode_rows(data_of(rows[:20]), setting_of())
    again = chunk_from(bytes_of(chunk))
    assert again == chunk
    assert isinstance(again.input_ids, array)


def test_the_garbage_collector_is_left_as_it_was(rows):
    frozen: list[int] = []

    def count(*_):
        frozen.append(gc.get_freeze_count())

    tokenizer = load_tokenizer("tiny-llama")
    assert gc.get_freeze_count() == 0
    gc.callbacks.append(count)
    try:
        data_of(rows[:400]).encode("chatml", tokenizer=tokenizer)
    finally:
        gc.callbacks.remove(count)
    assert max(frozen) > 10_000
    assert gc.get_freeze_count() == 0
    gc.freeze()
    try:
        data_of(rows[:20]).encode("chatml", tokenizer=tokenizer)
        assert gc.get_freeze_count() > 10_000, "frozen by another, and not ours to thaw"
    finally:
        gc.unfreeze()
