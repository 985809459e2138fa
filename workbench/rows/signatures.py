"""What of a row decides its type: column names with the shapes of their values, ranked against every type.

    look_at({"question": "2+2?", "answer": "4"}).signature  ->  (("answer", {"text", "short", …}), ("question", {…}))
    best_of(signature)                                      ->  "alpaca"

Rows of one signature are read alike, so everything expensive is done once a signature, not once a row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple, cast

from workbench.rows.columns import guess_columns, takes
from workbench.rows.formats import FORMATS, Format
from workbench.rows.shapes import look

UNKNOWN = "unknown"
"""Name under which rows that fit no type are counted."""

BY_SHAPE = 1.5
"""How much less a type says whose column was found by shape under a name it does not know."""

Signature = tuple[tuple[str, frozenset[str]], ...]
Rank = tuple[float, int]


class Looked(NamedTuple):
    """A row as detection sees it.

    Attributes:
        signature: Its columns, sorted, with the shapes of their values.
        values: Its columns with JSON text read.
    """

    signature: Signature
    values: Mapping[str, object]


def look_at(row: object) -> Looked:
    """Look at every value of a row once."""
    if not isinstance(row, Mapping):
        return Looked((), {})
    pairs = {str(name): look(value) for name, value in cast("Mapping[object, object]", row).items()}
    shapes = {name: pair[0] for name, pair in pairs.items()}
    if len(shapes) == 1:
        shapes = {name: has | {"alone"} for name, has in shapes.items()}
    return Looked(tuple(sorted(shapes.items(), key=_name)), {name: pair[1] for name, pair in pairs.items()})


def _name(pair: tuple[str, frozenset[str]]) -> str:
    return pair[0]


def seen_in(signature: Signature) -> dict[str, list[frozenset[str]]]:
    """A signature as the columns of a data set of one row."""
    return {name: [shapes] for name, shapes in signature}


def misfit(signature: Signature, entry: Format, columns: Mapping[str, str]) -> str | None:
    """Our name of the first required column that a row lacks or has in another shape."""
    row = dict(signature)
    for column in entry.required:
        name = columns.get(column.name)
        if name is None or name not in row or not takes(column, name, row[name]):
            return column.name
    return None


def proved(signature: Signature, entry: Format, columns: Mapping[str, str]) -> bool:
    """Whether a row shows what sets its type apart; always, where the required columns are enough."""
    row = dict(signature)
    return not entry.proofs or any(
        columns.get(ours) in row and shape in row[columns[ours]] for ours, shape in entry.proofs
    )


def rank(entry: Format, columns: Mapping[str, str]) -> Rank:
    """How much a type says of rows it reads; the highest reads them best."""
    named = all(columns[c.name].lower() in (c.name, *c.aliases) for c in entry.required)
    return entry.precedence - (0 if named else BY_SHAPE), len(entry.required)


def best_of(signature: Signature) -> str:
    """The type that reads a row of this signature best; `unknown` where none does."""
    seen = seen_in(signature)
    best, highest = UNKNOWN, (-9.0, 0)
    for entry in FORMATS.values():
        columns = guess_columns(seen, entry.name)
        if misfit(signature, entry, columns) is None and proved(signature, entry, columns):
            its = rank(entry, columns)
            if its > highest:
                best, highest = entry.name, its
    return best


class Claims:
    """Rows a type, each row counted for the one type that reads it best.

    Attributes:
        kinds: How often each signature was seen.
    """

    def __init__(self) -> None:
        self.kinds: Counter[Signature] = Counter()
        self._best: dict[Signature, str] = {}

    def add(self, signature: Signature) -> None:
        """Count one row."""
        self.kinds[signature] += 1

    def best(self, signature: Signature) -> str:
        """The type that reads the row best by itself."""
        if signature not in self._best:
            self._best[signature] = best_of(signature)
        return self._best[signature]

    def counts(self) -> Counter[str]:
        """Rows a type. Chats are prompts where no row at all has an answer."""
        counts: Counter[str] = Counter()
        for signature, count in self.kinds.items():
            counts[self.best(signature)] += count
        chats = counts["messages"] + counts["sharegpt"]
        if chats and chats == counts.total() and all(_asks(signature) for signature in self.kinds):
            return Counter({"prompt_only": chats})
        return self._without_halves(counts)

    def _without_halves(self, counts: Counter[str]) -> Counter[str]:
        """The counts without rows of the leading type that fit another one for want of a column."""
        leader = max(
            (name for name in counts if name not in ("prompt_only", UNKNOWN)), key=counts.__getitem__, default=""
        )
        if not leader or len(counts) == 1:
            return +counts
        columns = set(guess_columns(self._seen(), leader).values())
        for signature, count in self.kinds.items():
            best = self.best(signature)
            half = _half(signature, best) if best not in (leader, UNKNOWN) else None
            if half is not None and half <= columns:
                counts[best] -= count
                counts[UNKNOWN] += count
        return +counts

    def _seen(self) -> dict[str, list[frozenset[str]]]:
        """Columns with the shapes of their values, one entry a signature."""
        seen: dict[str, list[frozenset[str]]] = {}
        for signature in self.kinds:
            for name, shapes in signature:
                seen.setdefault(name, []).append(shapes)
        return seen


def _half(signature: Signature, type: str) -> set[str] | None:
    """Columns by which a row is of a type that says little: a bare prompt, or a column found by shape."""
    entry, columns = FORMATS[type], guess_columns(seen_in(signature), type)
    little = type == "prompt_only" or rank(entry, columns)[0] < entry.precedence
    return {columns[column.name] for column in entry.required} if little else None


def _asks(signature: Signature) -> str | None:
    """The column of a row that is a prompt without an answer; None where it has none."""
    columns = guess_columns(seen_in(signature), "prompt_only")
    return columns["prompt"] if misfit(signature, FORMATS["prompt_only"], columns) is None else None
