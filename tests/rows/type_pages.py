"""The parts of the documentation that are computed: one section a dataset type, and the table over real files.

WORKBENCH_WRITE_DOCS=1 python -m pytest tests/rows/test_type_table.py
"""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from workbench.rows.convert import convert_all
from workbench.rows.detect import choose, examine
from workbench.rows.files.load import open_source
from workbench.rows.formats import FORMATS, Column, Format
from workbench.rows.shapes import SHAPES
from workbench.rows.trees import joined_rows

BEGIN, END = "<!-- written by the test run: types -->", "<!-- end of types -->"

HEADINGS = {
    "sft": "Supervised training",
    "preference": "Preferences",
    "unpaired": "Wanted and unwanted answers",
    "steps": "Reasoning steps",
    "prompts": "Prompts",
}


def types_page() -> str:
    """Every type of the table, grouped by what its rows are for."""
    parts: list[str] = []
    for kind, heading in HEADINGS.items():
        parts.append(f"## {heading}\n")
        parts += [_section(entry) for entry in FORMATS.values() if entry.kind == kind]
    return "\n".join(parts)


def _section(entry: Format) -> str:
    lines = [f"### `{entry.name}`", "", f"{_capital(entry.label)}. Trained: {entry.trains}.", ""]
    lines += ["| column | other names | values |", "|---|---|---|"]
    lines += [f"| `{c.name}`{'' if c.required else ' ?'} | {_names(c)} | {_values(c)} |" for c in entry.columns]
    if entry.proofs:
        found = " or ".join(f"`{column}` is {SHAPES[shape]}" for column, shape in entry.proofs)
        lines += ["", f"At least one row must show it: {found}."]
    if entry.joined:
        lines += ["", "The messages are joined to conversations first; rows are then the paths through the trees."]
    elsewhere = [
        f"{tool}: {name}"
        for tool, name in (("axolotl", entry.axolotl), ("TRL", entry.trl), ("LLaMA-Factory", entry.llama_factory))
        if name
    ]
    if elsewhere:
        lines += ["", f"Elsewhere: {'; '.join(elsewhere)}."]
    if entry.template:
        lines += ["", f"Template with axolotl's wording: `{entry.template}`."]
    if entry.variants:
        lines += ["", "| axolotl name | columns there | what is different |", "|---|---|---|"]
        lines += [f"| `{v.axolotl}` | {v.columns} | {v.note} |" for v in entry.variants]
    lines += ["", "```json", json.dumps(entry.example, ensure_ascii=False), "```", ""]
    return "\n".join(lines)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _names(column: Column) -> str:
    names = [f"`{n}`" + (f" ({SHAPES[column.when[n]]})" if n in column.when else "") for n in column.aliases]
    return ", ".join([*names, *(["any other, when its values are these"] if column.by_shape else [])])


def _values(column: Column) -> str:
    return ", or ".join(SHAPES[shape] for shape in column.shapes)


@dataclass(frozen=True)
class Covered:
    """What became of one file."""

    file: str
    rows: int
    type: str
    fits: int
    second: str
    used: int
    listed: dict[str, int]
    said: tuple[str, ...]

    def line(self) -> str:
        """A row of the table."""
        listed = ", ".join(f"{code} in {count}" for code, count in sorted(self.listed.items()))
        said = ", ".join(self.said)
        return (
            f"| {self.file} | {self.rows} | `{self.type}` | {self.fits} | {self.second} | {self.used} "
            f"| {self.rows - self.used} {f'({listed})' if listed else ''} | {said} |"
        )


def covered(path: Path, name: str) -> Covered:
    """Detect, convert and count one file."""
    source = open_source(path)
    detection = examine(source.rows)
    best = choose(detection.matches)
    assert best is not None, name
    others = [match for match in detection.matches if match.type != best.type and match.rows]
    second = f"`{others[0].type}` ({others[0].rows})" if others else ""
    said = [finding.code for finding in (*source.findings, *detection.findings)]
    if FORMATS[best.type].joined:
        used, listed, more = _joined(source, best)
        said += more
    else:
        used, listed = _converted(source.rows, best.type, best.columns)
    codes = tuple(f"{code} ×{count}" if count > 1 else code for code, count in sorted(Counter(said).items()))
    return Covered(name, len(source.rows), best.type, best.rows, second, used, listed, codes)


def _converted(rows, type, columns) -> tuple[int, dict[str, int]]:
    used, listed = 0, Counter()
    for number, (example, findings) in enumerate(convert_all(rows, type, columns)):
        errors = {finding.code for finding in findings if finding.severity == "error"}
        assert (example is None) == bool(errors), f"row {number} is neither used nor listed"
        assert all(finding.row == number for finding in findings)
        used += example is not None
        listed.update(errors)
    return used, dict(listed)


def _joined(source, best) -> tuple[int, dict[str, int], list[str]]:
    """Rows with a message in a conversation, and the findings about messages that are in none."""
    joined = joined_rows(source, best.type, best.columns)
    usable, listed = _converted(joined.rows, "messages", {})
    used = {row for conversation in joined.rows for row in conversation["rows"]}
    assert {*range(len(source.rows))} - used <= set(joined.rows.unused), "a row is neither used nor listed"
    codes = sorted({finding.code for finding in joined.findings})
    return len(used), listed, [f"{usable} of {len(joined.rows)} conversations usable", *codes]


def coverage_page(folder: Path) -> str:
    """The table over every file of a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    found = [covered(path, path.relative_to(folder).as_posix()) for path in files]
    head = """# What becomes of real files

Written by the test run over the project's shared test data (`tests/rows/test_type_table.py`), which fails where this
page says something else than it computes. *Fits* are rows with the columns and values of the type; *next* is the type
that comes second, with the rows it would fit; rows that are not used are listed by row, with the codes of
[findings](findings.md) given here. *Said* is what there is to say about the file as a whole.

"""
    table = "| file | rows | type | fits | next | used | listed | said |\n|---|---|---|---|---|---|---|---|\n"
    total = f"\n{len(found)} files, {sum(c.rows for c in found):,} rows, {sum(c.used for c in found):,} used.\n"
    return head + table + "\n".join(c.line() for c in found) + "\n" + total
