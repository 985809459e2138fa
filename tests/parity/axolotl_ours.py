"""What the workbench makes of the rows of a case, in the shape of axolotl's answers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axolotl_cases import Case
from axolotl_tokenizers import tokenizer_folder

import workbench as wb


@dataclass(frozen=True)
class Made:
    """One of our rows.

    Attributes:
        ids, labels: Of each of its sequences.
        refused: Codes of the errors, for a row that has no tokens.
        errors: Codes of the errors of a row that has some.
    """

    ids: tuple[tuple[int, ...], ...] = ()
    labels: tuple[tuple[int, ...], ...] = ()
    refused: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


def encoded(case: Case, rows: list[dict], templates: dict[str, str], testdata: Path, root: Path, **changes: Any) -> Any:
    """The rows, encoded; `changes` replace keywords of `encode`."""
    template = case.template
    if template and template.startswith("bundled:"):
        template = templates[template.removeprefix("bundled:")]
    folder = tokenizer_folder(case.tokenizer, testdata, root)
    given = wb.data(rows, **{"type": case.type, **case.data})
    keywords = {name: value for name, value in {**case.encode, **changes}.items() if value is not None}
    return given.encode(template, tokenizer=str(folder), **keywords)


def made_of(enc: Any) -> list[Made]:
    """Every row of it."""
    errors: dict[int, list[str]] = {}
    for finding in enc.findings:
        if finding.severity == "error" and finding.row is not None:
            errors.setdefault(finding.row, []).append(finding.code)
    found: dict[int, list[int]] = {}
    for position, (row, _) in enumerate(enc.sequences):
        found.setdefault(row, []).append(position)
    out = []
    for row in range(len(enc)):
        codes = tuple(errors.get(row, ()))
        at = found.get(row)
        if not at:
            out.append(Made(refused=codes))
            continue
        parts = enc.tokenized(row)[0]
        out.append(Made(tuple(part.input_ids for part in parts), tuple(part.labels for part in parts), errors=codes))
    return out
