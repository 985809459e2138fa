import gzip
import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz_scale import examples
from workbench.errors import DataError
from workbench.rows.files.damage import MOST_FINDINGS
from workbench.rows.files.load import open_source

ROWS = [{"text": f"row {i} é", "n": i} for i in range(5)]


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def lines_of(rows) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def codes(source):
    return [(f.code, f.line) for f in source.findings]


def made(folder: Path, kind: str) -> Path:
    """The five rows in a container."""
    import pandas
    import pyarrow
    import pyarrow.parquet

    path, table = folder / f"rows.{kind}", pyarrow.Table.from_pylist(ROWS)
    if kind in ("jsonl", "ndjson"):
        return write(path, lines_of(ROWS))
    if kind == "json":
        return write(path, json.dumps(ROWS, indent=1))
    if kind == "jsonl.gz":
        return write(path, gzip.compress(lines_of(ROWS).encode()))
    if kind in ("csv", "tsv"):
        pandas.DataFrame(ROWS).to_csv(path, index=False, sep="," if kind == "csv" else "\t")
    elif kind == "parquet":
        pyarrow.parquet.write_table(table, path, row_group_size=2)
    else:
        opened = pyarrow.ipc.new_stream if kind == "arrow" else pyarrow.ipc.new_file
        with opened(str(path), table.schema) as writer:
            writer.write_table(table)
    return path


@pytest.mark.parametrize("kind", ["jsonl", "ndjson", "json", "jsonl.gz", "csv", "tsv", "parquet", "arrow", "feather"])
def test_every_container_gives_the_same_rows(tmp_path, kind):
    path = made(tmp_path, kind)
    source = open_source(str(path))
    rows = [{**row, "n": int(row["n"])} for row in source.rows]
    assert rows == ROWS
    assert [int(source.rows[i]["n"]) for i in (0, 4, -1)] == [0, 4, 4]
    assert [int(row["n"]) for row in source.rows[1:4]] == [1, 2, 3]
    with pytest.raises(IndexError):
        source.rows[5]
    assert (source.title, source.path, source.bytes) == (path.name, str(path), path.stat().st_size)
    assert source.findings == ()
    assert len(open_source(path, limit=2).rows) == 2


def test_lines_are_known_where_rows_have_them(tmp_path):
    assert open_source(made(tmp_path, "jsonl")).line_of(3) == 4
    assert open_source(made(tmp_path, "json")).line_of(1) == 6
    assert open_source(made(tmp_path, "csv")).line_of(0) == 2
    assert open_source(made(tmp_path, "parquet")).line_of(0) is None


def test_rows_of_memory_and_of_table_objects():
    import datasets
    import pandas
    import pyarrow

    for made_of in (
        ROWS,
        datasets.Dataset.from_list(ROWS),
        datasets.DatasetDict({"train": datasets.Dataset.from_list(ROWS), "test": datasets.Dataset.from_list(ROWS[:1])}),
        pandas.DataFrame(ROWS),
        pyarrow.Table.from_pylist(ROWS),
    ):
        source = open_source(made_of)
        assert list(source.rows) == ROWS
        assert [source.rows[i] for i in range(5)] == ROWS
        assert (source.path, source.line_of(0)) == (None, None)
        assert list(open_source(made_of, limit=2).rows) == ROWS[:2]


def test_keys_that_arrow_filled_in_are_left_out_again(tmp_path):
    import datasets
    import pyarrow.parquet

    rows = [{"messages": [{"role": "user", "content": "a"}, {"role": "tool", "name": "f", "content": "b"}], "x": None}]
    data = datasets.Dataset.from_list(rows)
    assert open_source(data).rows[0] == rows[0]
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(data.data.table, path)
    assert open_source(path).rows[0] == rows[0]


def test_missing_cells_and_arrays_of_pandas_become_plain_values():
    import numpy
    import pandas

    frame = pandas.DataFrame(
        {"a": ["x", None], "b": [1.5, float("nan")], "c": [numpy.array([1, 2]), [{"k": numpy.int64(3)}]]}
    )
    rows = list(open_source(frame).rows)
    assert rows == [{"a": "x", "b": 1.5, "c": [1, 2]}, {"a": None, "b": None, "c": [{"k": 3}]}]
    assert type(rows[1]["c"][0]["k"]) is int


@pytest.mark.parametrize(
    ("content", "code", "line", "place"),
    [
        (b'{"a": 1}\n{"a": "caf\xe9"}\n{"a": 2}\n', "WB503", 2, "byte 0xe9 at byte offset 19"),
        ("\ufeff" + '{"a": 1}\n', None, None, None),
        ('{"a": 1}\n'.encode("utf-16"), "WB504", 1, "ff fe at byte 0"),
        ('{"a": 1}\n'.encode("utf-16-le"), "WB504", 1, "byte 1"),
        ('{"a": 1}\n'.encode("utf-32"), "WB504", 1, "UTF-32"),
        (b'{"a": 1}\n{"a": "x\x00y"}\n', "WB501", 2, "NUL"),
        (b'{"a": 1}\n[1, 2]\n', "WB502", 2, "a list of 2"),
        (b'{"a": 1}\n"text"\n', "WB502", 2, "the text"),
        (b'{"a": 1}\n{"a": 2\n', "WB501", 2, "character"),
        (b'{"a": 1, "a": 2}\n', "WB505", 1, "`a`"),
        (b'{"a": 1}\n{"a": ' + b"9" * 5000 + b"}\n", "WB501", 2, "digits"),
        (b'{"a": 1}\n' + b'{"a":' * 60000 + b"\n", "WB501", 2, ""),
        (b'{"a": 1\n{"a": 2}\n', "WB501", 1, ""),
        (b"\n\n  \n", "WB506", None, ""),
    ],
)
def test_what_cannot_be_read_is_named_by_line_and_byte(tmp_path, content, code, line, place):
    source = open_source(write(tmp_path / "rows.jsonl", content if isinstance(content, bytes) else content.encode()))
    if code is None:
        assert (source.findings, list(source.rows)) == ((), [{"a": 1}])
        return
    assert codes(source) == [(code, line)]
    assert place in source.findings[0].message
    assert source.findings[0].remedy
    for i, row in enumerate(source.rows):
        assert row == source.rows[i]


@pytest.mark.parametrize("suffix", ["json", "csv"])
def test_latin1_rows_of_other_files_are_left_out_and_named(tmp_path, suffix):
    content = {
        "json": b'[{"a": "ok"}, {"a": "caf\xe9"},\n {"a": "\xfcber \xe9"}, {"a": "good"}]',
        "csv": b'a,b\nok,1\ncaf\xe9,2\n"\xfcber\n\xe9",3\ngood,4\n',
    }[suffix]
    source = open_source(write(tmp_path / f"rows.{suffix}", content))
    assert [row["a"] for row in source.rows] == ["ok", "good"]
    offsets = [content.index(b"\xe9"), content.index(b"\xfc")]
    assert codes(source) == [("WB503", content[:offset].count(b"\n") + 1) for offset in offsets]
    assert [f"byte offset {offset} " in f.message for offset, f in zip(offsets, source.findings, strict=True)] == [
        True
    ] * 2


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ('[{"a": 1}, {"a": 2}]', [{"a": 1}, {"a": 2}]),
        ('{"a": 1}', [{"a": 1}]),
        (
            '{\n "messages": [\n  {"role": "user", "content": "x"}\n ]\n}',
            [{"messages": [{"role": "user", "content": "x"}]}],
        ),
        ('{"data": [{"a": 1}, {"a": 2}]}', [{"a": 1}, {"a": 2}]),
        ('{"messages": [{"a": 1}]}', [{"messages": [{"a": 1}]}]),
        ('{\n"a": 1\n}\n{\n"a": 2\n}\n', [{"a": 1}, {"a": 2}]),
        ('\ufeff[\n{"a": 1}\n]\n', [{"a": 1}]),
        ('[{"a": 1},\n{"a": 2}\n]', [{"a": 1}, {"a": 2}]),
    ],
)
@pytest.mark.parametrize("suffix", ["json", "jsonl"])
def test_json_in_every_layout(tmp_path, content, rows, suffix):
    source = open_source(write(tmp_path / f"rows.{suffix}", content))
    assert list(source.rows) == rows
    assert source.findings == ()


def test_rows_before_a_damaged_place_are_kept(tmp_path):
    source = open_source(write(tmp_path / "rows.json", '[{"a": 1},\n {"a": 2},\n {"a": '))
    assert list(source.rows) == [{"a": 1}, {"a": 2}]
    assert codes(source) == [("WB501", 3)]


def test_findings_of_one_file_are_counted_beyond_a_hundred(tmp_path):
    source = open_source(write(tmp_path / "rows.jsonl", '{"a": 1}\n' + "bad\n" * 250))
    assert len(source.findings) == MOST_FINDINGS + 1
    assert "150 more" in source.findings[-1].message


def test_csv_with_a_cell_too_many_an_open_quote_and_big_cells(tmp_path):
    big = "x" * 1_000_000
    source = open_source(write(tmp_path / "rows.csv", f'a,b\n1,2,3\n{big},4\n"open,5\n6,7\n'))
    assert [row["b"] for row in source.rows] == ["4"]
    assert len(source.rows[0]["a"]) == 1_000_000
    assert codes(source) == [("WB507", 2), ("WB501", 4)]
    import csv

    assert csv.field_size_limit() == 131072


def test_file_that_changed_is_not_read_on(tmp_path):
    path = made(tmp_path, "jsonl")
    source = open_source(path)
    write(path, "{}\n" * 3)
    with pytest.raises(DataError, match="has changed") as caught:
        source.rows[0]
    assert caught.value.code == "WB555"


def test_source_survives_pickling(tmp_path):
    source = open_source(made(tmp_path, "jsonl"))
    assert list(pickle.loads(pickle.dumps(source)).rows) == ROWS


def test_folder_is_read_file_after_file(tmp_path):
    (tmp_path / "part").mkdir()
    write(tmp_path / "a.jsonl", lines_of(ROWS[:2]) + "bad\n")
    write(tmp_path / "part" / "b.csv", "text,n\nx,7\n")
    write(tmp_path / "dataset_info.json", "{}")
    write(tmp_path / "README.md", "# no rows")
    source = open_source(tmp_path)
    assert [row["n"] for row in source.rows] == [0, 1, "7"]
    assert (source.rows[-1]["text"], source.line_of(2)) == ("x", 2)
    assert [f.message.split(":")[0] for f in source.findings] == ["a.jsonl"]
    assert source.bytes == (tmp_path / "a.jsonl").stat().st_size + (tmp_path / "part" / "b.csv").stat().st_size
    assert len(open_source(tmp_path, limit=1).rows) == 1


def test_rows_of_findings_in_a_folder_count_over_all_files(tmp_path):
    write(tmp_path / "a.jsonl", lines_of(ROWS[:2]))
    write(tmp_path / "b.jsonl", '{"a": 1, "a": 2}\n')
    (finding,) = open_source(tmp_path).findings
    assert (finding.code, finding.row, finding.line) == ("WB505", 2, 1)


def test_splits_of_a_folder(tmp_path):
    for name, rows in (("train-00000.jsonl", ROWS[:2]), ("train-00001.jsonl", ROWS[2:3]), ("test.jsonl", ROWS[3:])):
        write(tmp_path / name, lines_of(rows))
    source = open_source(tmp_path)
    assert list(source.rows) == ROWS[:3]
    assert [f.code for f in source.findings] == ["WB508"]
    assert "test.jsonl" in source.findings[0].message
    assert list(open_source(tmp_path, split="test").rows) == ROWS[3:]
    with pytest.raises(DataError, match="no split 'nope'"):
        open_source(tmp_path, split="nope")


def test_folder_saved_by_datasets(tmp_path):
    import datasets

    datasets.Dataset.from_list(ROWS).save_to_disk(str(tmp_path / "one"))
    assert list(open_source(tmp_path / "one").rows) == ROWS
    splits = datasets.DatasetDict(
        {"train": datasets.Dataset.from_list(ROWS), "test": datasets.Dataset.from_list(ROWS[:1])}
    )
    splits.save_to_disk(str(tmp_path / "two"))
    assert list(open_source(tmp_path / "two", split="test").rows) == ROWS[:1]
    assert open_source(tmp_path / "two").title == "two"


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("rows.parquet", b"PAR1 this is not it PAR1", "WB554"),
        ("rows.arrow", b"nonsense", "WB554"),
        ("rows.jsonl.gz", gzip.compress(b"x" * 1000)[:-20], "WB554"),
        ("rows.jsonl", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "WB554"),
        ("rows.pkl", b"text", "WB551"),
        ("rows", b"text", "WB551"),
        ("recipe.yaml", b"a: 1", "WB551"),
    ],
)
def test_files_that_cannot_be_read_are_data_errors(tmp_path, name, content, code):
    with pytest.raises(DataError) as caught:
        open_source(write(tmp_path / name, content))
    assert caught.value.code == code
    assert name in caught.value.message
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("source", "code", "says"),
    [
        (3, "WB553", "the number 3"),
        (None, "WB553", "null"),
        ({"a": [1]}, "WB553", "an object"),
        (["text"], "WB553", '{"text": text}'),
        ([[{"role": "user"}]], "WB553", '{"messages": messages}'),
        ("", "WB550", "no file"),
        ("no/such/file.jsonl", "WB550", "no file"),
        ("./nowhere", "WB550", "no file"),
        ("chats\x00.jsonl", "WB550", "no file"),
        ("someone/surely-not-a-data-set", "WB552", "neither a file"),
    ],
)
def test_wrong_sources_are_data_errors(source, code, says):
    with pytest.raises(DataError) as caught:
        open_source(source)
    assert caught.value.code == code
    assert says in str(caught.value)


def test_misspelt_file_names_get_the_nearest(tmp_path):
    write(tmp_path / "chats.jsonl", "{}\n")
    with pytest.raises(DataError, match=r"Did you mean 'chats\.jsonl'"):
        open_source(str(tmp_path / "chat.jsonl"))


@settings(max_examples=examples(300), deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["jsonl", "json", "csv", "tsv", "jsonl.gz", "parquet", "arrow"]))
def test_no_bytes_make_a_traceback(tmp_path_factory, content, suffix):
    path = tmp_path_factory.mktemp("bytes") / f"rows.{suffix}"
    try:
        source = open_source(write(path, content))
    except DataError as error:
        assert error.remedy
        return
    assert len(list(source.rows)) == len(source.rows)
    assert len(source.rows) or source.findings


@settings(max_examples=examples(200), deadline=None)
@given(
    st.lists(
        st.one_of(
            st.dictionaries(st.text(max_size=4), st.text(max_size=6), max_size=3).map(lambda d: json.dumps(d).encode()),
            st.sampled_from([b"", b"  ", b"x", b"[1]", b"\xff", b'{"a": 1', b"\xef\xbb\xbf{}", b'{"a": 1, "a": 2}']),
        ),
        max_size=8,
    ),
    st.sampled_from([b"\n", b"\r\n"]),
)
def test_every_line_is_a_row_or_a_finding_with_its_number(tmp_path_factory, lines, end):
    path = write(tmp_path_factory.mktemp("lines") / "rows.jsonl", end.join([b'{"first": 1}', *lines]))
    source = open_source(path)
    accounted = {source.line_of(i) for i in range(len(source.rows))}
    accounted |= {f.line for f in source.findings if f.severity == "error"}
    assert accounted == {1} | {number for number, line in enumerate(lines, start=2) if line.strip()}
    assert len(accounted) == len(source.rows) + len({f.line for f in source.findings if f.severity == "error"})
