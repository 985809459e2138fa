"""`wb.data`: rows with their detected type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from workbench.errors import DataError, RecipeError
from workbench.rows.columns import guess_columns, parse_columns
from workbench.rows.convert import convert_all
from workbench.rows.detect import choose, detect, detection_findings
from workbench.rows.formats import format_named
from workbench.rows.load import RowSource, open_source
from workbench.rows.shapes import shapes_of
from workbench.types import Conversation, Example, Finding, FormatMatch, Packing, TrainOn

if TYPE_CHECKING:
    from workbench.api.encoded import Encoded
    from workbench.api.template import ChatTemplate


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
    """

    source: RowSource
    matches: tuple[FormatMatch, ...]
    type: str | None
    columns: Mapping[str, str]
    chosen_by: str
    findings: tuple[Finding, ...] = ()
    given: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.source.rows)

    def __getitem__(self, row: int) -> Mapping[str, Any]:
        return self.source.rows[row]

    @property
    def is_conversation(self) -> bool:
        """Whether the rows need a chat template."""
        first = next((example for example, _ in self.examples(limit=20) if example is not None), None)
        return isinstance(first, Conversation)

    def examples(self, limit: int | None = None) -> Iterator[tuple[Example | None, tuple[Finding, ...]]]:
        """Every row converted, or None, with what there is to say about it.

        Raises:
            DataError: WB559 where no type fits the rows.
        """
        if not len(self):
            return
        if self.type is None:
            near = ", ".join(
                f"{match.type} (lacks {', '.join(match.missing) or 'nothing'})" for match in self.matches[:2]
            )
            raise DataError(
                f"{self.source.title} fits no dataset type.",
                remedy=f"Nearest: {near or 'none'}. Name one with wb.data(…, type=…, columns=…).",
                code="WB559",
            )
        rows = self.source.rows if limit is None else self.source.rows[:limit]
        for index, (example, found) in enumerate(convert_all(rows, self.type, self.columns)):
            yield example, tuple(replace(item, line=self.source.line_of(index)) for item in found)

    def encode(
        self,
        template: ChatTemplate | str | None = None,
        *,
        tokenizer: Any = None,
        train_on: TrainOn | None = None,
        max_length: int | None = None,
        packing: Packing = "none",
        **variables: Any,
    ) -> Encoded:
        """Tokens and labels of every row.

        Args:
            template: Chat template; None takes the tokenizer's own. Rows that are no conversations need none.
            tokenizer: Path, hub id or object; None takes `tiny-llama`.
            train_on: `assistant`, `last_assistant`, `completion` or `all`; None is `completion` for rows with a prompt
                and a completion, else `assistant`.
            max_length: Tokens a row may have; longer rows are cut at the end. Needed for packing.
            packing: `none`, or `bfd` (best-fit decreasing, TRL's).
            variables: Further variables of the template, such as `enable_thinking=False`.

        Raises:
            WorkbenchError: For a template, tokenizer or setting that cannot be used. What is wrong with single rows is
                in `enc.findings`.
        """
        from workbench.api.encoded import encode_data

        if packing == "bfd" and max_length is None:
            raise RecipeError(
                'packing="bfd" needs max_length.', remedy="Give the length of a pack in tokens.", code="WB403"
            )
        policy = train_on or ("completion" if self.type == "prompt_completion" else "assistant")
        return encode_data(self, template, tokenizer, _Choice(policy, max_length, packing, variables))

    def pick(self) -> Any:
        """The picker: change type, columns, template and length by hand, and see the code for it."""
        from workbench.api.picker import picker

        return picker(self)

    def code(self) -> str:
        """Python that gives this data again."""
        said = dict(self.given)
        if isinstance(said.get("columns"), Mapping):
            said["columns"] = {ours: theirs for ours, theirs in said["columns"].items() if ours != theirs}
        extra = "".join(f", {name}={value!r}" for name, value in said.items() if value)
        return f"data = wb.data({self.source.path!r}{extra})" if self.source.path else f"data = wb.data(rows{extra})"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, without the rows."""
        return {
            "title": self.source.title,
            "path": self.source.path,
            "rows": len(self),
            "type": self.type,
            "columns": dict(self.columns),
            "chosen_by": self.chosen_by,
            "matches": [asdict(match) for match in self.matches],
            "findings": [asdict(finding) for finding in self.findings],
        }

    def __repr__(self) -> str:
        lines = [f"{self.source.title}: {len(self):,} rows, type {self.type or 'unknown'} ({self.chosen_by})"]
        lines += [f"  {sentence}" for match in self.matches[:1] for sentence in match.evidence]
        lines += [f"  {item.severity} {item.code}: {item.message} {item.remedy}" for item in self.findings]
        return "\n".join(lines)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        from workbench.api.picker import mimebundle

        return mimebundle(self)


@dataclass(frozen=True, slots=True)
class _Choice:
    """How rows are encoded."""

    train_on: TrainOn
    max_length: int | None
    packing: Packing
    variables: Mapping[str, Any]


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
    type: str | None = None,
    columns: Mapping[str, str] | str | None = None,
    split: str | None = None,
    limit: int | None = None,
) -> Data:
    """Open rows and say what type they are.

    Args:
        source: File, folder, hub id, `datasets.Dataset`, data frame or list of mappings.
        type: Dataset type; None detects it.
        columns: Our column name -> column of the data, or `"instruction=question,output=answer"`.
        split: Split of a folder or hub data set.
        limit: Most rows to read.

    Raises:
        DataError: Where nothing can be read, or the type is unknown.
    """
    opened = open_source(source, split=split, limit=limit)
    matches = tuple(detect(opened.rows)) if len(opened.rows) else ()
    given = {"type": type, "columns": columns, "split": split, "limit": limit}
    known = {name: value for name, value in given.items() if value is not None}
    if type is not None:
        format_named(type)
        said = parse_columns(columns, type) if columns else {}
        mapping = guess_columns(_columns_seen(opened.rows), type, said)
        return Data(opened, matches, type, mapping, "you", opened.findings, known)
    best = choose(matches)
    chosen = best.type if best else None
    mapping = {**best.columns, **(parse_columns(columns, best.type) if columns else {})} if best and chosen else {}
    return Data(opened, matches, chosen, mapping, "detected", opened.findings + detection_findings(opened.rows), known)
