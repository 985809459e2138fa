"""Kinds of problems that one looks for one by one, and the findings of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from workbench.types import Finding

KINDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "untrained": frozenset({"WB120"}),
        "stop": frozenset({"WB127"}),
        "cut": frozenset({"WB126"}),
        "straddling": frozenset({"WB121"}),
        "filler": frozenset({"WB136"}),
    }
)
"""Kind -> codes: no trained token, stop token untrained, cut inside an answer, a token over an edge, padding or media
trained. Everything else is `other`."""

_KIND_OF = {code: kind for kind, codes in KINDS.items() for code in codes}


def kind_of(code: str) -> str:
    """The kind that a finding's code belongs to."""
    return _KIND_OF.get(code, "other")


def is_problem(finding: Finding) -> bool:
    """Whether a finding about a row asks for a look; a note does not."""
    return finding.row is not None and finding.severity != "info"


def rows_by_kind(findings: Iterable[Finding]) -> dict[str, set[int]]:
    """Rows with a problem of each kind that occurs, kinds in the order of KINDS."""
    found: dict[str, set[int]] = {}
    for item in findings:
        if is_problem(item) and item.row is not None:
            found.setdefault(kind_of(item.code), set()).add(item.row)
    return {kind: found[kind] for kind in (*KINDS, "other") if kind in found}
