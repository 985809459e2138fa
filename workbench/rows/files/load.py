"""Open anything that holds rows: a file, a folder, rows in memory, a table object, a hub id.

    source = open_source("chats.jsonl")
    len(source.rows), source.rows[3], source.line_of(3), source.findings

What is wrong with single rows or bytes comes back in `findings`; a source that cannot be read at all is a `DataError`.
"""

from __future__ import annotations

import difflib
import re
import sys
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from workbench.errors import DataError
from workbench.rows.files.arrow_files import read_arrow
from workbench.rows.files.damage import Read, no_rows
from workbench.rows.files.delimited import read_delimited
from workbench.rows.files.json_files import read_json
from workbench.rows.files.lazy import Lazy
from workbench.rows.files.streams import Stored, StreamRows, Unpacked, packing_of
from workbench.rows.files.tables import ArrowRows, DatasetRows, FrameRows, without_null_keys
from workbench.rows.files.text_files import read_text
from workbench.rows.shapes import kind_of
from workbench.types import Finding

Row = Mapping[str, Any]

SUFFIXES = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".arrow", ".feather")
"""Files that hold rows; those of text may be followed by `.gz` or `.zst`."""

PACKED = (".gz", ".gzip", ".zst", ".zstd")
READABLE = f"Readable are {', '.join(SUFFIXES)}, .txt, and .gz and .zst of the text ones."

DESCRIPTIONS = ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "config.json")
"""JSON files beside data that describe it."""

_VALIDATION = ("validation", "valid", "val", "dev", "eval")
SPLITS = {"train": "train", "training": "train", "test": "test", **dict.fromkeys(_VALIDATION, "validation")}
"""Words in file names that say a split."""

HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


@dataclass(frozen=True, slots=True)
class RowSource:
    """Opened rows.

    Attributes:
        title: Short name to show.
        path: File, folder or hub id; None for rows that only exist in memory.
        bytes: Size on disk, as it lies there (compressed); None where there is no file.
        rows: A list, or a sequence that makes a row when it is asked for.
        findings: What could not be read.
        lines: Line (1-based) each row starts at in its file; None where rows have no lines.
    """

    title: str
    path: str | None
    bytes: int | None
    rows: Sequence[Row]
    findings: tuple[Finding, ...] = ()
    lines: Sequence[int] | None = None

    def line_of(self, row: int) -> int | None:
        """Line (1-based) of the source file a row starts at, None where rows have no lines."""
        return None if self.lines is None else int(self.lines[row])


class Joined(Lazy[Any]):
    """Several sequences one after the other."""

    def __init__(self, parts: Sequence[Sequence[Any]]) -> None:
        self._parts = parts
        self._ends = list[int]()
        for part in parts:
            self._ends.append((self._ends[-1] if self._ends else 0) + len(part))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def item(self, at: int) -> Any:
        """See `Lazy.item`."""
        part = bisect_right(self._ends, at)
        return self._parts[part][at - (self._ends[part - 1] if part else 0)]

    def __iter__(self) -> Iterator[Any]:
        for part in self._parts:
            yield from part


def open_source(source: object, *, split: str | None = None, limit: int | None = None) -> RowSource:
    """Open rows.

    Args:
        source: Path of a file (JSON, JSON Lines, CSV, TSV, Parquet, Arrow, plain text; those of text also as .gz and
            .zst) or of a folder of such files, a hub id, a list of mappings, a `datasets.Dataset` or `IterableDataset`,
            a `pandas.DataFrame`, a `polars.DataFrame`, a `pyarrow.Table`.
        split: Split to take of a folder, a `DatasetDict` or a hub data set; None takes `train`, or the only one.
        limit: Most rows to open; nothing is read behind them.

    Raises:
        DataError: When nothing can be read (WB550 to WB554, WB561 to WB563).
    """
    if limit is not None and limit < 1:
        raise DataError(f"limit={limit} gives no rows.", remedy="It must be at least 1, or None.", code="WB553")
    if isinstance(source, Path):
        return _open_path(source.expanduser(), split, limit)
    if isinstance(source, str):
        path = Path(source).expanduser()
        if source.strip() and path.exists():
            return _open_path(path, split, limit)
        return _open_hub(source, split, limit)
    if isinstance(source, list | tuple):
        return _open_list(cast("Sequence[Any]", source), limit)
    return _open_table(source, split, limit)


def _open_path(path: Path, split: str | None, limit: int | None) -> RowSource:
    if path.is_dir():
        return _open_folder(path, split, limit)
    if not path.is_file():
        raise _not_found(str(path))
    try:
        size = path.stat().st_size
        read = _read_file(path, limit)
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror or error}."
        raise DataError(message, remedy="Check the file and its permissions.", code="WB554") from error
    return RowSource(path.name, str(path), size, read.rows, read.findings, read.lines)


def _read_file(path: Path, limit: int | None) -> Read:
    """Read one file by its suffix; compression, Parquet and Arrow are known by their first bytes."""
    with path.open("rb") as file:
        magic = file.read(48)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    kind = suffixes[-1] if suffixes else ""
    if magic.startswith(b"version https://git-lfs"):
        message = f"{path} is a Git LFS pointer, not the data."
        raise DataError(message, remedy="Fetch it: git lfs pull.", code="WB554")
    if magic.startswith((b"PAR1", b"ARROW1")) or (kind in (".parquet", ".arrow", ".feather") and magic):
        return read_arrow(path, magic.startswith(b"PAR1") or kind == ".parquet", limit)
    if kind not in (*SUFFIXES, ".txt"):
        raise _wrong_suffix(path, kind)
    packing = packing_of(magic)
    store = Stored(path) if packing is None else Unpacked(path, packing)
    with store.open() as file:
        if not file.read(1):
            return Read([], None, (no_rows(path.name),))
    if kind in (".csv", ".tsv"):
        return read_delimited(store, "\t" if kind == ".tsv" else ",", limit)
    return read_text(store) if kind == ".txt" else read_json(store, limit)


def _wrong_suffix(path: Path, kind: str) -> DataError:
    if kind in (".yaml", ".yml", ".toml"):
        return DataError(f"{path} is a config, not rows.", remedy="wb.open reads recipes.", code="WB551")
    return DataError(f"{path} has suffix {kind!r}, which is no known file of rows.", remedy=READABLE, code="WB551")


def _open_folder(folder: Path, split: str | None, limit: int | None) -> RowSource:
    if (folder / "state.json").exists() or (folder / "dataset_dict.json").exists():
        return replace(_open_saved(folder, split, limit), title=folder.name, path=str(folder))
    there = sorted(folder.rglob("*"))
    # Beside files of rows, plain text is a licence or a list of requirements.
    files = [path for path in there if _holds_rows(path, folder, SUFFIXES)] or [
        path for path in there if _holds_rows(path, folder, (".txt",))
    ]
    if not files:
        raise DataError(f"Folder {folder} holds no file of rows.", remedy=READABLE, code="WB551")
    files, note = _of_split(folder, files, split)
    parts: list[RowSource] = []
    for path in files:
        rest = None if limit is None else limit - sum(len(part.rows) for part in parts)
        if rest is None or rest > 0:
            parts.append(_open_path(path, None, rest))
    findings = [replace(f, message=f"{part.title}: {f.message}") for part in parts for f in _shifted(parts, part)]
    lines = [part.lines if part.lines is not None else [0] * len(part.rows) for part in parts]
    return RowSource(
        title=f"{folder.name} ({len(parts)} files)" if len(parts) > 1 else f"{folder.name}/{parts[0].title}",
        path=str(folder),
        bytes=sum(part.bytes or 0 for part in parts),
        rows=Joined([part.rows for part in parts]),
        findings=(*note, *findings),
        lines=Joined(lines) if all(part.lines is not None for part in parts) else None,
    )


def _shifted(parts: list[RowSource], part: RowSource) -> list[Finding]:
    """A file's findings with rows counted over the whole folder."""
    at = next(i for i, other in enumerate(parts) if other is part)
    before = sum(len(other.rows) for other in parts[:at])
    return [f if f.row is None else replace(f, row=f.row + before) for f in part.findings]


def _holds_rows(path: Path, folder: Path, suffixes: Sequence[str]) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.is_file() and not hidden and _kind(path.name) in suffixes and path.name not in DESCRIPTIONS


def _kind(name: str) -> str:
    """The suffix of a file, without that of its compression."""
    path = Path(name.lower())
    return Path(path.stem).suffix if path.suffix in PACKED else path.suffix


def _of_split(folder: Path, files: list[Path], split: str | None) -> tuple[list[Path], tuple[Finding, ...]]:
    """The files of one split, told by file or folder names; all of them where no name says a split."""
    splits = {path: _split_in(path.relative_to(folder)) for path in files}
    have = sorted({name for name in splits.values() if name is not None})
    wanted = SPLITS.get(split.lower(), split) if split else "train"
    if split and wanted not in have:
        remedy = f"It has {', '.join(have)}." if have else "Its file names say no splits; leave split out."
        raise DataError(f"Folder {folder} has no split {split!r}.", remedy=remedy, code="WB550")
    if wanted not in have or (len(have) == 1 and None not in splits.values()):
        return files, ()
    chosen = [path for path in files if splits[path] == wanted]
    others = ", ".join(str(path.relative_to(folder)) for path in files if path not in chosen)
    message = f"Only split {wanted} of the folder was read; left out: {others}."
    return chosen, (Finding("WB508", "info", message, remedy="Pass split=… for another."),)


def _split_in(path: Path) -> str | None:
    for word in re.split(r"[\W_]+", str(path).lower()):
        if word in SPLITS:
            return SPLITS[word]
    return None


def _open_saved(folder: Path, split: str | None, limit: int | None) -> RowSource:
    """A folder written by `Dataset.save_to_disk`."""
    import datasets

    try:
        loaded = datasets.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError) as error:
        message = f"{folder} is not readable as a saved dataset: {error}."
        raise DataError(message, remedy="Save it anew with save_to_disk.", code="WB554") from error
    return _open_table(loaded, split, limit)


def _open_list(rows: Sequence[Any], limit: int | None) -> RowSource:
    for i, row in enumerate(rows):
        if not isinstance(row, Mapping):
            remedy = "Rows are mappings of column to value."
            if isinstance(row, str):
                remedy = 'Write [{"text": text} for text in …].'
            elif isinstance(row, list | tuple):
                remedy = 'Write [{"messages": messages} for messages in …].'
            raise DataError(f"Row {i} of the list is {kind_of(row)}, not a mapping.", remedy=remedy, code="WB553")
    taken = rows if limit is None else rows[:limit]
    return RowSource(f"{len(taken)} rows", None, None, taken, () if taken else (no_rows("The list"),))


def _open_table(source: object, split: str | None, limit: int | None) -> RowSource:
    """Table objects, told by their class without importing a library that is not in use."""
    if _is(source, "datasets", "DatasetDict") or _is(source, "datasets", "IterableDatasetDict"):
        return _open_table(_chosen_split(cast("Mapping[str, Any]", source), split), None, limit)
    if _is(source, "datasets", "IterableDataset"):
        coming = cast("Any", source) if limit is None else cast("Any", source).take(limit)
        streamed = StreamRows(without_null_keys(row) for row in coming)
        title = "streamed rows" if limit is None else f"the first {limit} streamed rows"
        return RowSource(title, None, None, streamed, () if streamed else (no_rows("The dataset"),))
    if _is(source, "datasets", "Dataset"):
        data = cast("Any", source).with_format(None)
        rows: Sequence[Row] = DatasetRows(data if limit is None else data.take(min(limit, len(data))))
    elif _is(source, "pandas", "DataFrame"):
        rows = FrameRows(source if limit is None else cast("Any", source).head(limit))
    elif _is(source, "polars", "DataFrame"):
        table = cast("Any", source).to_arrow()
        rows = ArrowRows(table if limit is None else table.slice(0, limit))
    elif _is(source, "pyarrow", "Table"):
        rows = ArrowRows(source if limit is None else cast("Any", source).slice(0, limit))
    elif _is(source, "polars", "LazyFrame"):
        raise DataError("A polars.LazyFrame has no rows yet.", remedy="Pass frame.collect().", code="WB553")
    else:
        remedy = "Pass a path, a hub id, a list of mappings, or a table of datasets, pandas, polars or pyarrow."
        raise DataError(f"Rows cannot be read from {kind_of(source)}.", remedy=remedy, code="WB553")
    return RowSource(f"{type(source).__name__} ({len(rows)} rows)", None, None, rows, _if_empty(rows, "The table"))


def _open_hub(name: str, split: str | None, limit: int | None) -> RowSource:
    """A data set of the hub; a limit streams, so that no more is fetched than needed."""
    if not HUB_ID.fullmatch(name) or _kind(name) in (*SUFFIXES, ".txt", ".yaml"):
        raise _not_found(name)
    import datasets
    import httpx
    import huggingface_hub.errors

    try:
        loaded = datasets.load_dataset(name, split=split, streaming=limit is not None)
        opened = _open_table(loaded, split, limit)
    except (OSError, ValueError, RuntimeError, httpx.HTTPError, huggingface_hub.errors.HfHubHTTPError) as error:
        if isinstance(error, DataError):
            raise
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        message = f"{name!r} is neither a file or folder here nor a data set the hub gave: {what.rstrip('.')}."
        remedy = (
            "Check the spelling; offline, pass a file. For a configuration, pass datasets.load_dataset(name, config)."
        )
        raise DataError(message, remedy=remedy, code="WB552") from error
    return replace(opened, title=name, path=name)


def _chosen_split(splits: Mapping[str, Any], split: str | None) -> object:
    wanted = split or ("train" if "train" in splits else None)
    if wanted is None and len(splits) == 1:
        return next(iter(splits.values()))
    if wanted is None or wanted not in splits:
        what = f"no split {split!r}" if split else "several splits and none is named train"
        raise DataError(f"The data has {what}.", remedy=f"Pass split=…; it has {', '.join(splits)}.", code="WB550")
    return splits[wanted]


def _is(source: object, module: str, name: str) -> bool:
    """Whether an object is of a class of a library that its caller has imported."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(source, cast("type", vars(loaded)[name]))


def _if_empty(rows: Sequence[Row], what: str) -> tuple[Finding, ...]:
    return () if len(rows) else (no_rows(what),)


def _not_found(name: str) -> DataError:
    folder = Path(name).expanduser().parent
    siblings = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    near = difflib.get_close_matches(Path(name).name, siblings, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"Looked in {folder.resolve()}."
    return DataError(f"There is no file or folder {name!r}.", remedy=hint, code="WB550")
