"""`wb.data`: rows with their detected type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from workbench.errors import DataError, RecipeError
from workbench.options import MaskOptions, RowOptions
from workbench.rows.columns import guess_columns, parse_columns
from workbench.rows.convert import convert
from workbench.rows.detect import choose, examine
from workbench.rows.files.load import RowSource, open_source
from workbench.rows.files.streams import StreamRows
from workbench.rows.formats import FORMATS, Format, format_named
from workbench.rows.scan import Scan, scan
from workbench.rows.shapes import shapes_of
from workbench.rows.user_formats import check_formats
from workbench.types import (
    Conversation,
    Example,
    Finding,
    FormatMatch,
    Packing,
    Preference,
    PromptOnly,
    TrainOn,
    Unpaired,
)

if TYPE_CHECKING:
    from workbench.api.encoded import Encoded
    from workbench.api.template import ChatTemplate


ColumnsGiven = Mapping[str, str | None] | str | None


@dataclass(frozen=True)
class Data:
    """Rows, what type they are, and why.

    Attributes:
        source: The opened rows.
        matches: Candidate types with their evidence, best first.
        type: The type the rows are read as; None where none fits.
        columns: Our column name -> column of the data.
        chosen_by: `detected` or `you`.
        findings: What there is to say about the file as a whole.
        given: What was said in the call, for `code`.
        options: How rows are read.
        left_out: Rows left out by hand.
    """

    source: RowSource
    matches: tuple[FormatMatch, ...]
    type: str | None
    columns: Mapping[str, str]
    chosen_by: str
    findings: tuple[Finding, ...] = ()
    given: Mapping[str, Any] = field(default_factory=dict)
    options: RowOptions = field(default_factory=RowOptions)
    left_out: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.source.rows)

    def __getitem__(self, row: int) -> Mapping[str, Any]:
        return self.source.rows[row]

    @property
    def is_conversation(self) -> bool:
        """Whether the rows need a chat template."""
        first = next((example for example, _ in self.examples(limit=20) if example is not None), None)
        said = first
        if isinstance(first, Preference):
            said = first.chosen
        elif isinstance(first, Unpaired):
            said = first.answer
        elif isinstance(first, PromptOnly):
            said = first.prompt
        return isinstance(said, Conversation)

    @property
    def entry(self) -> Format | None:
        """The type's entry in the table; None where no type fits."""
        return FORMATS.get(self.type or "")

    def scan(self) -> Scan:
        """Look at every row, not only at a sample: how many fit the type, which do not, and what they look like.

        Raises:
            DataError: WB559 where no type fits.
        """
        if self.type is None:
            raise self._no_type()
        found = self._match()
        return scan(self.source.rows, found[0] if found else FormatMatch(self.type, self.columns, 0, 0))

    def without(self, *rows: int) -> Data:
        """The same data with some rows left out; the others keep their numbers.

        Raises:
            DataError: WB553 for a row that is not there.
        """
        for row in rows:
            if not 0 <= row < len(self):
                raise DataError(f"There is no row {row}.", remedy=f"Rows go from 0 to {len(self) - 1}.", code="WB553")
        return replace(self, left_out=tuple(sorted({*self.left_out, *rows})))

    def converted(self, row: int) -> tuple[Example | None, tuple[Finding, ...]]:
        """One row converted; see `examples`."""
        if row in self.left_out:
            return None, (Finding("WB529", "info", "The row was left out by hand.", row=row),)
        type, columns = self._reading
        return convert(self[row], row, type, columns, self.options)

    @property
    def _reading(self) -> tuple[str, Mapping[str, str]]:
        """Type and columns the rows are converted by; joined rows are messages already."""
        entry = self.entry
        if entry is None:
            raise self._no_type()
        return ("messages", {}) if entry.joined else (entry.name, self.columns)

    def _match(self) -> tuple[FormatMatch, ...]:
        """The candidate that is the type; the best one where none fits."""
        if self.type is None:
            return self.matches[:1]
        return tuple(match for match in self.matches if match.type == self.type)

    def _no_type(self) -> DataError:
        near = ", ".join(f"{match.type} (lacks {', '.join(match.missing) or 'nothing'})" for match in self.matches[:2])
        return DataError(
            f"{self.source.title} fits no dataset type.",
            remedy=f"Nearest: {near or 'none'}. Name one with wb.data(…, type=…, columns=…).",
            code="WB559",
        )

    def examples(self, limit: int | None = None) -> Iterator[tuple[Example | None, tuple[Finding, ...]]]:
        """Every row converted, or None, with what there is to say about it.

        Raises:
            DataError: WB559 where no type fits the rows.
        """
        if not len(self):
            return
        type, columns = self._reading
        left_out = set(self.left_out)
        rows = self.source.rows if limit is None else self.source.rows[:limit]
        for index, row in enumerate(rows):
            if index not in left_out:
                example, found = convert(row, index, type, columns, self.options)
                yield example, tuple(replace(item, line=self.source.line_of(index)) for item in found) if found else ()

    def encode(
        self,
        template: ChatTemplate | str | None = None,
        *,
        tokenizer: Any = None,
        train_on: TrainOn | None = None,
        max_length: int | None = None,
        packing: Packing = "none",
        **options: Any,
    ) -> Encoded:
        """Tokens and labels of every row.

        Args:
            template: Chat template; None takes the tokenizer's own. Rows that are no conversations need none.
            tokenizer: Path, hub id or object; None takes `tiny-llama`.
            train_on: `assistant`, `last_assistant`, `completion` or `all`; None is `completion` for rows with a prompt
                and a completion, else `assistant`.
            max_length: Tokens a row may have; longer rows are cut at the end. Needed for packing.
            packing: `none`, or `bfd` (best-fit decreasing, TRL's).
            options: `workers` (processes, 1), every field of `workbench.options.MaskOptions` (`train_on_eos`,
                `roles_to_train`, …), and further variables of the template, such as `enable_thinking=False`.

        Raises:
            WorkbenchError: For a template, tokenizer or setting that cannot be used. What is wrong with single rows is
                in `enc.findings`.
        """
        from workbench.api.encode import encode_data

        if packing == "bfd" and max_length is None:
            raise RecipeError(
                'packing="bfd" needs max_length.', remedy="Give the length of a pack in tokens.", code="WB403"
            )
        policy = train_on or ("completion" if self.type == "prompt_completion" else "assistant")
        workers = _workers(options.pop("workers", 1))
        mask = {name: options.pop(name) for name in MaskOptions.names() if name in options}
        choice = _Choice(policy, max_length, packing, options, MaskOptions.from_keywords(mask), workers)
        return encode_data(self, template, tokenizer, choice)

    def pick(self, tokenizer: str = "tiny-llama") -> Any:
        """The picker: change type, columns, template and length by hand, and see the code for it.

        Args:
            tokenizer: Path or hub id; lengths are counted with it, and its template is the first choice.
        """
        from workbench.api.picker import picker

        return picker(self, tokenizer)

    def code(self) -> str:
        """Python that gives this data again."""
        said = dict(self.given)
        if isinstance(said.get("columns"), Mapping):
            said["columns"] = {ours: theirs for ours, theirs in said["columns"].items() if ours != theirs}
        extra = "".join(f", {name}={value!r}" for name, value in said.items() if value)
        without = f".without({', '.join(map(str, self.left_out))})" if self.left_out else ""
        return f"data = wb.data({repr(self.source.path) if self.source.path else 'rows'}{extra}){without}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, without the rows."""
        return {
            "title": self.source.title,
            "path": self.source.path,
            "rows": len(self),
            "type": self.type,
            "columns": dict(self.columns),
            "chosen_by": self.chosen_by,
            "options": self.options.changed(),
            "left_out": list(self.left_out),
            "matches": [asdict(match) for match in self.matches],
            "findings": [asdict(finding) for finding in self.findings],
        }

    def __repr__(self) -> str:
        rows = self.source.rows
        more = isinstance(rows, StreamRows) and not rows.ended
        count = f"{rows.known:,} rows so far" if more else f"{len(rows):,} rows"
        lines = [f"{self.source.title}: {count}, type {self.type or 'unknown'} ({self.chosen_by})"]
        lines += [f"  {sentence}" for match in self._match() for sentence in match.evidence]
        return "\n".join([*lines, *_told(self.findings)])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        from workbench.api.picker import mimebundle

        return mimebundle(self)


TOLD = 3
"""Findings of one code that the text form tells; the others are counted."""


def _told(findings: Sequence[Finding]) -> list[str]:
    told = Counter[str]()
    lines: list[str] = []
    for item in findings:
        told[item.code] += 1
        if told[item.code] <= TOLD:
            lines.append(f"  {item.severity} {item.code}: {item.message} {item.remedy}".rstrip())
    return lines + [f"  … {count - TOLD:,} more of {code}" for code, count in told.items() if count > TOLD]


@dataclass(frozen=True, slots=True)
class _Choice:
    """How rows are encoded."""

    train_on: TrainOn
    max_length: int | None
    packing: Packing
    variables: Mapping[str, Any]
    mask: MaskOptions = field(default_factory=MaskOptions)
    workers: int = 1


def _workers(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise RecipeError(f"workers={value!r} is out of range.", remedy="It must be at least 1.", code="WB402")


def _columns_seen(rows: Any, sample: int = 200) -> dict[str, list[frozenset[str]]]:
    """Columns of the first rows with the shapes of their values."""
    seen: dict[str, list[frozenset[str]]] = {}
    for i in range(min(sample, len(rows))):
        row = rows[i]
        for name, value in row.items() if isinstance(row, Mapping) else ():
            seen.setdefault(str(name), []).append(shapes_of(value))
    return seen


def data(
    source: object,
    *,
    type: str | Mapping[str, str] | None = None,
    columns: ColumnsGiven = None,
    split: str | None = None,
    limit: int | None = None,
    **options: Any,
) -> Data:
    """Open rows and say what type they are.

    Args:
        source: File, folder, hub id, `datasets.Dataset`, data frame or list of mappings.
        type: Dataset type; None detects it. A mapping in axolotl's words (`field_instruction`, `format`, …) makes the
            type `user_defined`.
        columns: Our column name -> column of the data (None: none of them), or `"instruction=question,output=answer"`.
        split: Split of a folder or hub data set.
        limit: Most rows to read.
        options: Fields of `workbench.options.RowOptions`: `roles`, `split_thinking`, `drop_system_message`, …

    Raises:
        DataError: Where nothing can be read, or the type is unknown.
        RecipeError: For an unknown option (WB401) or a bad value (WB402).
    """
    opened = open_source(source, split=split, limit=limit)
    seen = examine(opened.rows)
    asked = {"type": type, "columns": columns, "split": split, "limit": limit, **options}
    if isinstance(type, Mapping):
        type, columns, options = _user_defined(type, columns, options)
    chosen = RowOptions.from_keywords(options)
    check_formats(chosen)
    if type is not None:
        kind, mapping = _as_asked(opened.rows, type, columns)
        found = opened.findings
    else:
        kind, mapping = _as_detected(seen.matches, columns)
        found = opened.findings + seen.findings
    if kind and FORMATS[kind].joined:
        from workbench.rows.trees import joined_rows

        opened = joined_rows(opened, kind, mapping)
        found = (*found, *opened.findings)
    given = {name: value for name, value in asked.items() if value is not None}
    return Data(opened, seen.matches, kind, mapping, "you" if type else "detected", found, given, chosen)


def _as_asked(rows: Any, type: str, columns: ColumnsGiven) -> tuple[str, dict[str, str]]:
    format_named(type)
    said = parse_columns(columns, type) if columns else {}
    return type, guess_columns(_columns_seen(rows), type, said)


def _as_detected(matches: Sequence[FormatMatch], columns: ColumnsGiven) -> tuple[str | None, dict[str, str]]:
    best = choose(matches)
    if best is None:
        return None, {}
    return best.type, {**best.columns, **(parse_columns(columns, best.type) if columns else {})}


USER_FIELDS = {f"field_{name}": name for name in ("instruction", "input", "output", "system")}
"""Keys of axolotl's user-defined type that name columns -> our column name."""


def _user_defined(
    type: Mapping[str, str], columns: ColumnsGiven, options: Mapping[str, Any]
) -> tuple[str, dict[str, str], dict[str, Any]]:
    """Type, columns and options of axolotl's mapping."""
    if columns:
        raise RecipeError("columns= and a mapping for type= say the same thing.", remedy="Give one.", code="WB402")
    said = {key: value for key, value in type.items() if key != "type"}
    fields = {ours: said.pop(key) for key, ours in USER_FIELDS.items() if said.get(key)}
    left = {key: value for key, value in said.items() if key not in USER_FIELDS}
    return "user_defined", fields, {**left, **options}
