"""Hard inputs, encoded as a user would, and what is looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import workbench as wb

COPIES = Path(__file__).resolve().parent.parent / "data" / "hard"


def encoded(source: Any, template: Any = "chatml", tokenizer: Any = "tiny-llama", **options: Any) -> Any:
    return wb.data(str(source) if isinstance(source, Path) else source).encode(template, tokenizer=tokenizer, **options)


def findings(enc: Any, code: str) -> list[Any]:
    return [item for item in enc.findings if item.code == code]


def trained_text(row: Any) -> str:
    made = row.example
    text = row.text
    return "".join(text[start:end] for (start, end), label in zip(made.offsets, made.labels, strict=True) if label >= 0)
