"""What the comparison with axolotl found, stored: counts by reason, a few answers, examples for the documentation.

tests/golden/axolotl_summary.json, axolotl_masks.json and axolotl_differences.json are written by the parity run with
WORKBENCH_WRITE_DOCS=1, and so are the marked parts of docs/axolotl-differences.md.
"""

import json
import os
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

from workbench.types import IGNORE

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
PAGE = ROOT / "docs" / "axolotl-differences.md"
MARK = re.compile(r"(<!-- made: (?P<name>[^>]+?) -->\n).*?(<!-- end -->)", re.DOTALL)
SHOWN = 9
"""Tokens shown before the first and behind the last difference."""


MOST = 40
"""Tokens shown of a row at most."""


ROW_CHARACTERS = 500
"""Characters of a row shown at most."""
KEPT = "error input_ids labels chosen_ids rejected_ids prompt chosen rejected completion label".split()
"""Keys of axolotl's answers that are compared."""


def writing() -> bool:
    """Whether this run writes what it finds."""
    return os.environ.get("WORKBENCH_WRITE_DOCS") == "1"


def stored(name: str) -> Any:
    """A stored file; empty where it was never written."""
    path = GOLDEN / f"axolotl_{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def store(name: str, values: dict[str, Any]) -> None:
    """Write a file, one entry a line."""
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(values[key], ensure_ascii=False)}" for key in sorted(values))
    (GOLDEN / f"axolotl_{name}.json").write_text("{\n" + lines + "\n}\n", encoding="utf-8")


def write_page(parts: dict[str, str]) -> None:
    """Put the parts between their marks."""
    PAGE.write_text(with_parts(PAGE.read_text(encoding="utf-8"), parts), encoding="utf-8")


def with_parts(page: str, parts: dict[str, str]) -> str:
    """The page with its marked parts replaced."""
    return MARK.sub(lambda found: found[1] + parts[found["name"]] + found[3], page)


def marked(page: str) -> list[str]:
    """Names of the marked parts."""
    return [found["name"] for found in MARK.finditer(page)]


def parts_of_page() -> dict[str, str]:
    """Every marked part, made of what is stored."""
    parts = {name: example(entry) for name, entry in stored("differences").items()}
    return {**parts, "summary": summary(stored("summary")), "refused": refused(stored("refused"))}


def slim(answer: dict[str, Any] | list[dict[str, Any]]) -> Any:
    """An answer without what nothing is compared with, and labels that repeat ids as spans of trained tokens."""
    if isinstance(answer, list):
        return [slim(item) for item in answer]
    kept = {name: value for name, value in answer.items() if name in KEPT}
    labels, ids = kept.get("labels"), kept.get("input_ids")
    if labels and len(labels) == len(ids) and all(label in (IGNORE, id) for label, id in zip(labels, ids, strict=True)):
        edges = [i for i, (one, other) in enumerate(pairwise([IGNORE, *labels, IGNORE])) if (one < 0) != (other < 0)]
        kept["labels"] = {"trained": [edges[i : i + 2] for i in range(0, len(edges), 2)]}
    return kept


def full(answer: dict[str, Any] | list[dict[str, Any]]) -> Any:
    """The answer that `slim` was given, as far as it is compared."""
    if isinstance(answer, list):
        return [full(item) for item in answer]
    labels = answer.get("labels")
    if not isinstance(labels, dict):
        return answer
    made = [IGNORE] * len(answer["input_ids"])
    for start, end in labels["trained"]:
        made[start:end] = answer["input_ids"][start:end]
    return {**answer, "labels": made}


def refused(entries: dict[str, str]) -> str:
    """Table of what axolotl refuses."""
    lines = ["| type or template | axolotl 0.19.0 |", "|---|---|"]
    return "\n".join([*lines, *(f"| `{name}` | `{_cell(said)}` |" for name, said in entries.items())]) + "\n"


def summary(entries: dict[str, dict[str, Any]]) -> str:
    """Table of types, templates and tokenizers: rows, equal ones, and the others by reason."""
    lines = [
        "| axolotl type | template, tokenizer | rows | equal | joined text equal | others |",
        "|---|---|---|---|---|---|",
    ]
    for entry in sorted(entries.values(), key=lambda entry: entry["order"]):
        counts = dict(entry["verdicts"])
        equal = counts.pop("equal", 0)
        others = "; ".join(f"{count} {_cell(reason)}" for reason, count in sorted(counts.items()))
        joined = "" if entry["joined"] is None else str(entry["joined"])
        about = " / ".join(entry["about"])
        lines.append(f"| `{_cell(entry['type'])}` | {_cell(about)} | {entry['rows']} | {equal} | {joined} | {others} |")
    return "\n".join(lines) + "\n"


def example(entry: dict[str, Any]) -> str:
    """A row, and its tokens made by both; trained ones bold."""
    raw = json.dumps(entry["row"], ensure_ascii=False)
    raw = raw if len(raw) <= ROW_CHARACTERS else f"{raw[: ROW_CHARACTERS // 2]} …"
    head = f"`{entry['case']}`\n\n```json\n{raw}\n```\n\n"
    lines = ["| | |", "|---|---|"]
    for name in ("ours", "axolotl"):
        for label, line in entry[name].items():
            lines.append(f"| {' '.join(part for part in (name, label) if part)} | {line} |")
    return head + "\n".join(lines) + "\n"


def token_line(tokens: list[str], trained: list[bool], first: int, last: int) -> str:
    """Tokens around a difference, trained ones bold.

    Args:
        tokens: As text.
        trained: One flag a token.
        first: Where the difference begins.
        last: One past where it ends.
    """
    low, high = max(0, first - SHOWN), min(len(tokens), last + SHOWN)
    shown = [
        f"**{_code(token)}**" if flag else _code(token)
        for token, flag in zip(tokens[low:high], trained[low:high], strict=True)
    ]
    if len(shown) > MOST:
        shown = [*shown[: MOST - SHOWN], "…", *shown[-SHOWN:]]
    return " ".join([*(["…"] if low else []), *shown, *(["…"] if high < len(tokens) else [])])


def token_lines(ours: tuple[list[str], list[bool]], theirs: tuple[list[str], list[bool]]) -> tuple[str, str]:
    """The two lines, cut around what differs."""
    mine, other = list(zip(*ours, strict=True)), list(zip(*theirs, strict=True))
    first = next((i for i, pair in enumerate(zip(mine, other, strict=False)) if pair[0] != pair[1]), 0)
    pairs = enumerate(zip(reversed(mine[first:]), reversed(other[first:]), strict=False))
    same = next((i for i, pair in pairs if pair[0] != pair[1]), min(len(mine), len(other)) - first)
    return token_line(*ours, first, len(mine) - same), token_line(*theirs, first, len(other) - same)


def _code(text: str) -> str:
    spelt = text.replace("\n", "⏎").replace("|", "\\|")
    mark = "``" if "`" in spelt else "`"
    return f"{mark} {spelt} {mark}" if mark == "``" else f"`{spelt}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
