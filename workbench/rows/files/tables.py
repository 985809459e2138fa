"""Table objects of other libraries as rows: pyarrow, pandas, polars, datasets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, cast

from workbench.rows.files.lazy import Lazy

Row = Mapping[str, Any]

CHUNK, CHUNK_BYTES = 256, 4 << 20
"""Rows of an Arrow table, and bytes of them, made into Python values at a time while iterating."""

SCHEMAS = frozenset({"tools", "functions", "function"})
"""Columns of JSON schemas, where null may be meant (`"default": null`): left as Arrow gives them, for the converter."""
SPEECH = ("content", "value")
"""Keys of a message whose null says something (an assistant that only calls tools)."""


class ArrowRows(Lazy[Row]):
    """Rows of a `pyarrow.Table`, made when asked for.

    Arrow gives every object of a column the keys of all of them; keys that are null inside a column are left out
    again, or every message would have every other message's keys.
    """

    def __init__(self, table: Any) -> None:
        self._table = table

    def __len__(self) -> int:
        return self._table.num_rows

    def item(self, at: int) -> Row:
        """See `Lazy.item`."""
        return without_null_keys(self._table.slice(at, 1).to_pylist()[0])

    def __iter__(self) -> Iterator[Row]:
        for batch in self._table.to_batches():
            step = chunk_of(batch)
            for start in range(0, batch.num_rows, step):
                for row in batch.slice(start, step).to_pylist():
                    yield without_null_keys(row)


def chunk_of(batch: Any) -> int:
    """How many rows of a record batch to make into Python values at a time."""
    return max(1, min(CHUNK, CHUNK_BYTES * batch.num_rows // max(1, batch.nbytes)))


class DatasetRows(Lazy[Row]):
    """Rows of a `datasets.Dataset`, made when asked for; null keys are left out as in `ArrowRows`."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)

    def item(self, at: int) -> Row:
        """See `Lazy.item`."""
        return without_null_keys(self._dataset[at])

    def __iter__(self) -> Iterator[Row]:
        for row in self._dataset:
            yield without_null_keys(row)


class FrameRows(Lazy[Row]):
    """Rows of a `pandas.DataFrame`, made when asked for; missing values become None, NumPy values Python ones."""

    def __init__(self, frame: Any) -> None:
        self._frame = frame
        self._names = [str(name) for name in frame.columns]

    def __len__(self) -> int:
        return len(self._frame)

    def item(self, at: int) -> Row:
        """See `Lazy.item`."""
        return without_null_keys({name: _plain(self._frame.iat[at, i]) for i, name in enumerate(self._names)})


def without_null_keys(row: Mapping[str, Any]) -> Row:
    """The row without null keys inside its columns.

    A column that is null stays, and so do the content of a message and everything in a column of tool schemas.
    """
    return {name: value if name.lower() in SCHEMAS else _pruned(value) for name, value in row.items()}


def _pruned(value: Any) -> Any:
    if isinstance(value, Mapping):
        mapping = cast("Mapping[str, Any]", value)
        silent = _silent(mapping)
        return {key: _pruned(item) for key, item in mapping.items() if item is not None or key == silent}
    if isinstance(value, list):
        return [_pruned(item) for item in cast("list[Any]", value)]
    return value


def _silent(item: Mapping[str, Any]) -> str | None:
    """The key of a message that has a role and says nothing; None for anything else."""
    if item.get("role") is None and item.get("from") is None:
        return None
    speech = [key for key in SPEECH if key in item]
    return speech[0] if speech and all(item[key] is None for key in speech) else None


def _plain(value: Any) -> Any:
    """A pandas cell as a Python value."""
    import numpy
    import pandas

    if isinstance(value, numpy.ndarray | numpy.generic):
        value = value.tolist()
    if isinstance(value, list):
        return [_plain(item) for item in cast("list[Any]", value)]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    missing = value is pandas.NA or value is pandas.NaT or (isinstance(value, float) and math.isnan(value))
    return None if missing else value
