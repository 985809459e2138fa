"""Every container at any size: what is read when, and how much memory it takes."""

import gzip
import json
import os
import pickle
import random
import subprocess
import sys
import threading
from itertools import count, islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz_scale import examples, thorough
from workbench.errors import DataError
from workbench.rows.detect import examine, mixture
from workbench.rows.files.load import open_source

ROOT = Path(__file__).resolve().parent.parent.parent
MEGABYTES = 200 if thorough() else 20
GROWTH = {20: 25_000_000, 200: 60_000_000}[MEGABYTES]  # the rows as Python values take 35 and 350 million bytes


def row(n: int) -> dict:
    return {"n": n, "text": random.Random(n).randbytes(20 * (1 + n % 16)).hex()}


def rows_for(megabytes: int):
    length = 0
    for n in count():
        made = row(n)
        length += len(made["text"]) + 24
        yield made
        if length > megabytes * 1_000_000:
            return


def write_json(path: Path, rows) -> None:
    with path.open("w") as file:
        file.write("[")
        file.writelines((",\n" if item["n"] else "") + json.dumps(item) for item in rows)
        file.write("]")


def write_wrapped(path: Path, rows) -> None:
    with path.open("w") as file:
        file.write('{"data": [')
        file.writelines(("," if item["n"] else "") + json.dumps(item) for item in rows)
        file.write("]}")


def write_lines(path: Path, rows) -> None:
    with gzip.open(path, "wt", compresslevel=1) if path.suffix == ".gz" else path.open("w") as file:
        file.writelines(json.dumps(item) + "\n" for item in rows)


def write_csv(path: Path, rows) -> None:
    import csv

    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["n", "text"])
        writer.writerows([item["n"], item["text"].replace("0", ',\n"')] for item in rows)


def write_arrow(path: Path, rows) -> None:
    import pyarrow
    import pyarrow.parquet

    schema = pyarrow.schema([("n", pyarrow.int64()), ("text", pyarrow.string())])
    options = pyarrow.ipc.IpcWriteOptions(compression="lz4" if path.suffix == ".feather" else None)
    if path.suffix == ".parquet":
        writer = pyarrow.parquet.ParquetWriter(path, schema)
    elif path.suffix == ".feather":
        writer = pyarrow.ipc.new_file(str(path), schema, options=options)
    else:
        writer = pyarrow.ipc.new_stream(str(path), schema, options=options)
    rows = iter(rows)
    with writer:
        while part := list(islice(rows, 10_000)):
            writer.write_table(pyarrow.Table.from_pylist(part, schema=schema))


WRITERS = {
    "rows.jsonl": write_lines,
    "rows.jsonl.gz": write_lines,
    "array.json": write_json,
    "wrapped.json": write_wrapped,
    "rows.csv": write_csv,
    "rows.parquet": write_arrow,
    "rows.arrow": write_arrow,
    "rows.feather": write_arrow,
}


@pytest.mark.parametrize("name", WRITERS)
def test_memory_stays_flat(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](path, rows_for(MEGABYTES))
    command = [sys.executable, "-m", "tests.rows.container_memory", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=250)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["rows"] == sum(1 for _ in rows_for(MEGABYTES))
    assert said["grown"] < GROWTH, f"{said['grown'] / 1e6:.0f} MB for a file of {path.stat().st_size / 1e6:.0f} MB"
    path.unlink()


@pytest.mark.parametrize("name", WRITERS)
def test_rows_are_read_in_any_order_by_any_thread_and_after_pickling(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](path, map(row, range(25_000)))
    rows = open_source(path).rows
    wrong: list[int] = []

    def look(start: int) -> None:
        for at in range(start, 25_000, 1999):
            if int(rows[at]["n"]) != at:
                wrong.append(at)

    threads = [threading.Thread(target=look, args=(start,)) for start in (0, 7, 500)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    again = pickle.loads(pickle.dumps(rows))
    assert [int(again[at]["n"]) for at in (24_999, 0, 12_345)] == [24_999, 0, 12_345]
    assert [int(r["n"]) for r in rows[10_005:9_995:-4]] == [10_005, 10_001, 9_997]


class Watched:
    """Counts the bytes that are read of a file."""

    def __init__(self, path: Path) -> None:
        self.path, self.read = path, 0

    def __enter__(self):
        self._before = Path("/proc/self/io").read_text()
        return self

    def __exit__(self, *error):
        self.read = self._rchar(Path("/proc/self/io").read_text()) - self._rchar(self._before)

    @staticmethod
    def _rchar(text: str) -> int:
        return int(text.split()[1])


@pytest.mark.skipif(not os.access("/proc/self/io", os.R_OK), reason="the system does not count bytes read")
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz", "array.json", "rows.csv", "rows.parquet"])
def test_first_rows_are_read_without_the_rest(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](path, map(row, range(60_000)))
    open_source(path, limit=1)
    with Watched(path) as watched:
        source = open_source(path, limit=3)
        assert [int(r["n"]) for r in source.rows] == [0, 1, 2]
    assert len(source.rows) == 3
    assert watched.read < 20_000_000 < 60_000 * 340


def test_damage_behind_the_limit_is_not_looked_for(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n{"a": 2}\nbad\n')
    assert open_source(path, limit=2).findings == ()
    assert [f.line for f in open_source(path).findings] == [3]
    (tmp_path / "rows.json").write_text('[{"a": 1}, {"a": 2}, bad')
    assert open_source(tmp_path / "rows.json", limit=2).findings == ()


@pytest.mark.parametrize("text", ['{"data": [{"a": 1}, {"a": 2}]}', '{"data": [{"a": 1},\n{"a": 2}\n]\n}\n'])
def test_object_around_the_rows_is_opened_without_being_read_whole(tmp_path, text):
    path = tmp_path / "rows.json"
    path.write_text(text)
    assert list(open_source(path).rows) == [{"a": 1}, {"a": 2}]
    path.write_text(text.replace("}]", '}, {"a": '))
    damaged = open_source(path)
    assert len(damaged.rows) + len(damaged.findings) > 0


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('{"data": [{"a": 1}], "version": 2}', [{"a": 1}]),
        ('{"data": [{"a": 1}]}\n{"data": [{"a": 2}]}', [{"data": [{"a": 1}]}, {"data": [{"a": 2}]}]),
        ('{"data": [1, 2]}', [{"data": [1, 2]}]),
        ('{"data": []}', [{"data": []}]),
    ],
)
def test_object_that_holds_more_than_rows_is_a_row(tmp_path, text, rows):
    path = tmp_path / "rows.json"
    path.write_text(text)
    assert (list(open_source(path).rows), open_source(path).findings) == (rows, ())


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.integers(0, 400_000), min_size=1, max_size=6), st.sampled_from(["a", "é", "😀", '"', "\\", "\n"]))
def test_values_longer_than_what_is_read_at_once_are_whole(tmp_path_factory, lengths, letter):
    path = tmp_path_factory.mktemp("long") / "rows.json"
    rows = [{"n": n, "text": letter * length} for n, length in enumerate(lengths)]
    path.write_text(json.dumps(rows, indent=1, ensure_ascii=False))
    source = open_source(path)
    assert source.findings == ()
    assert list(source.rows) == rows
    assert source.line_of(len(rows) - 1) == 2 + 4 * (len(rows) - 1)


def test_zstandard_is_read_or_refused_with_the_remedy(tmp_path, monkeypatch):
    path = tmp_path / "rows.jsonl.zst"
    if sys.version_info < (3, 14):
        path.write_bytes(b"\x28\xb5\x2f\xfd" + b"x" * 40)
        monkeypatch.setitem(sys.modules, "zstandard", None)
        with pytest.raises(DataError, match="pip install zstandard") as caught:
            open_source(path)
        assert caught.value.code == "WB561"
        monkeypatch.undo()
    zstandard = pytest.importorskip("zstandard")
    path.write_bytes(zstandard.compress(b'{"text": "a"}\n{"text": "b"}\n'))
    assert [r["text"] for r in open_source(path).rows] == ["a", "b"]
    path.write_bytes(b"\x28\xb5\x2f\xfd" + b"x" * 40)
    with pytest.raises(DataError, match="is damaged") as caught:
        open_source(path)
    assert caught.value.code == "WB554"


def test_full_disk_while_unpacking_is_said(tmp_path, monkeypatch):
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"text": "a"}\n'))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.pwrite", full)
    with pytest.raises(DataError, match="TMPDIR") as caught:
        open_source(path)
    assert caught.value.code == "WB562"


def test_text_file_is_one_row_and_says_how_to_split_it(tmp_path):
    path = tmp_path / "book.txt"
    path.write_text("\ufeffFirst.\n\nSecond é.\n")
    source = open_source(path)
    assert list(source.rows) == [{"text": "First.\n\nSecond é.\n"}]
    (finding,) = source.findings
    assert (finding.code, finding.severity) == ("WB509", "info")
    code = finding.remedy.split("rows: ")[1].split(", with")[0]
    parts = eval(code, {"wb": type("wb", (), {"data": staticmethod(list)})})
    assert [part["text"] for part in parts] == ["\ufeffFirst.", "Second é.\n"]
    path.write_bytes(b"ok\ncaf\xe9")
    assert [(f.code, f.line) for f in open_source(path).findings] == [("WB503", 2)]
    path.write_text("  \n")
    assert [f.code for f in open_source(path).findings] == ["WB506"]


def test_text_files_are_rows_of_a_folder_that_has_no_others(tmp_path):
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "b.txt").write_text("two")
    assert [r["text"] for r in open_source(tmp_path).rows] == ["one", "two"]
    (tmp_path / "c.jsonl").write_text('{"text": "three"}\n')
    assert [r["text"] for r in open_source(tmp_path).rows] == ["three"]


def endless():
    for n in count():
        yield {"text": f"row {n}", "n": n, "raw": b"\x00\xff"}


def test_stream_without_an_end_is_read_as_far_as_it_is_asked():
    import datasets

    taken = []

    def watched():
        for item in endless():
            taken.append(item["n"])
            yield item

    source = open_source(datasets.IterableDataset.from_generator(watched))
    assert len(taken) < 10
    assert source.rows[7]["text"] == "row 7"
    assert [r["n"] for r in source.rows[2:5]] == [2, 3, 4]
    assert source.rows[3]["raw"] == b"\x00\xff"
    assert [r["n"] for r in islice(source.rows, 20)] == list(range(20))
    detection = examine(source.rows, sample=100)
    assert (detection.matches[0].type, detection.looked) == ("text", 100)
    assert source.rows.known >= 100 and not source.rows.ended
    assert len(taken) < 2_000


def test_stream_with_an_end_has_a_length():
    import datasets

    data = datasets.Dataset.from_list([{"text": str(n)} for n in range(30)]).to_iterable_dataset()
    rows = open_source(data).rows
    assert (rows[-1]["text"], len(rows), len(list(rows))) == ("29", 30, 30)
    with pytest.raises(IndexError):
        rows[30]
    assert [r["text"] for r in open_source(data, limit=4).rows] == ["0", "1", "2", "3"]
    empty = datasets.IterableDataset.from_generator(lambda: iter(()))
    assert [f.code for f in open_source(empty).findings] == ["WB506"]


def test_values_of_a_stream_that_json_cannot_hold_come_back_as_they_were():
    import datetime

    from workbench.rows.files.streams import StreamRows

    day = datetime.date(2024, 6, 11)
    rows = StreamRows(iter([{"day": day, "in": [{"raw": b"\x01"}]}, {"half": "\ud83d"}]))
    assert rows.first(5) == [{"day": day, "in": [{"raw": b"\x01"}]}, {"half": "\ud83d"}]


def test_null_keys_of_schemas_are_left_to_the_converter_and_silence_is_kept(tmp_path):
    import datasets

    def tool(**properties):
        return {"type": "function", "function": {"name": "f", "parameters": {"properties": properties}}}

    call = {"id": "1", "function": {"name": "f", "arguments": "{}"}}
    rows = [
        {"messages": [{"role": "assistant", "content": None, "tool_calls": [call]}], "tools": [tool(a={"type": "x"})]},
        {"messages": [{"role": "tool", "content": "c", "tool_calls": None}], "tools": [tool(b={"type": "y"})]},
    ]
    read = list(open_source(datasets.Dataset.from_list(rows)).rows)
    assert [r["messages"] for r in read] == [
        [{"role": "assistant", "content": None, "tool_calls": [call]}],
        [{"role": "tool", "content": "c"}],
    ]
    assert read[0]["tools"][0]["function"]["parameters"]["properties"] == {"a": {"type": "x"}, "b": None}


def test_polars_frames_are_rows():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"text": ["a", None], "n": [1, 2]})
    assert list(open_source(frame).rows) == [{"text": "a", "n": 1}, {"text": None, "n": 2}]
    assert len(open_source(frame, limit=1).rows) == 1
    with pytest.raises(DataError, match=r"collect\(\)"):
        open_source(frame.lazy())


def test_damaged_parquet_is_a_data_error_when_its_rows_are_read(tmp_path):
    path = tmp_path / "rows.parquet"
    write_arrow(path, map(row, range(20_000)))
    raw = bytearray(path.read_bytes())
    raw[200:4_000] = b"\xff" * 3_800
    path.write_bytes(raw)
    with pytest.raises(DataError, match="not readable") as caught:
        list(open_source(path).rows)
    assert caught.value.code == "WB554"


def test_long_rows_are_looked_at_once():
    turns = [{"role": "user" if n % 2 == 0 else "assistant", "content": f"turn {n}"} for n in range(10_000)]
    long = [{"messages": turns}, {"messages": json.dumps(turns)}, {"messages": [{**turns[0], "content": "x" * 10**6}]}]
    assert mixture(long) == {"messages": 3}
    parsed = []

    class Counting(str):
        def lstrip(self, *chars):
            parsed.append(1)
            return super().lstrip(*chars)

    examine([{"messages": Counting(json.dumps(turns))}])
    assert len(parsed) == 1
