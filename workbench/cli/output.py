"""Printing: JSON or text, on any terminal."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

FINE, FINDINGS, USAGE = 0, 1, 2
"""Exit status."""


def plain(item: Any) -> dict[str, Any]:
    """A frozen value as plain ones."""
    return asdict(item)


def emit(options: argparse.Namespace, value: Any, text: str, stream: Any = None) -> None:
    """Print a value as JSON, or its text."""
    print_line(json.dumps(value, ensure_ascii=False, default=str) if options.json else text, stream)


def print_line(text: str, stream: Any = None) -> None:
    """Print a line; what the terminal cannot show is written as escapes."""
    out = stream or sys.stdout
    try:
        print(text, file=out, flush=True)
    except UnicodeEncodeError:  # half an emoji in the data, or a terminal that is not UTF-8
        code = getattr(out, "encoding", None) or "utf-8"
        print(text.encode(code, "backslashreplace").decode(code), file=out, flush=True)
