"""Two answers to one prompt side by side: the pair card's payload, static HTML and text (docs/wire.md section 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

from workbench.tokens.pairs import Pair
from workbench.types import Finding
from workbench.views.reasons import SENTENCES
from workbench.views.tokens import Heading, marked, row_html, template_view
from workbench.views.window import cut, window

PROMPT_SHARE, SIDE_SHARE = 0.4, 0.3
"""Parts of the tokens a pair may show that go to the prompt and to each answer."""

NAMES = ("chosen", "rejected")


@dataclass(frozen=True, slots=True)
class PairFacts:
    """What there is to say about a pair beside its tokens.

    Attributes:
        position: Place among the pairs that can be asked for.
        title: `Row 3`.
        margin: How much better the chosen answer is, where the row says so.
        findings: Of both sides and of the pair as a pair.
        type: Dataset type or trainer.
    """

    position: int
    title: str
    margin: float | None = None
    findings: tuple[Finding, ...] = ()
    type: str = ""


def pair_view(
    chosen: dict[str, Any], rejected: dict[str, Any], pair: Pair, facts: PairFacts, most: int
) -> dict[str, Any]:
    """One pair: the shared prompt once, then what each side goes on with.

    Args:
        chosen: Whole row view (`columns.row_view`) of the preferred sequence.
        rejected: Of the other one.
        pair: Where the two part.
        facts: What stands around them.
        most: Tokens to show of prompt and answers together.
    """
    split = pair.prompt_tokens
    notes: list[Finding] = []

    def part(view: dict[str, Any], name: str, span: range, around: int | None, share: float) -> tuple[Any, int]:
        inner = window([False] * len(span), max(1, int(most * share)), around)
        shown = range(span.start + inner.start, span.start + inner.stop)
        if len(inner) < len(span):
            notes.append(_unshown(facts, name, len(span) - len(inner), len(span), pair.row))
        made = cut(view, shown) if len(shown) < len(view["tokens"]["id"]) else view
        return {**made, "title": name, "findings": [], "position": facts.position}, shown.start

    first = pair.first_token
    last = max(0, split - 1) if split else None
    prompt, _ = part(chosen, "prompt", range(split), last, PROMPT_SHARE)
    around = None if first is None else max(0, first - split)
    sides: dict[str, Any] = {}
    for name, view in zip(NAMES, (chosen, rejected), strict=True):
        length = len(view["tokens"]["id"])
        row, start = part(view, name, range(split, length), around, SIDE_SHARE)
        here = first - start if first is not None and start <= first < start + len(row["tokens"]["id"]) else None
        sides[name] = {
            "row": row,
            "first": here,
            "tokens": length,
            "trained": sum(view["tokens"]["trained"]),
            "truncated": view["truncated"],
        }
    return {
        "position": facts.position,
        "row": pair.row,
        "title": facts.title,
        "type": facts.type,
        "margin": facts.margin,
        "prompt_tokens": split,
        "first_token": first,
        "prompt": prompt,
        **sides,
        "findings": [asdict(item) for item in (*notes, *facts.findings)],
    }


def _unshown(facts: PairFacts, name: str, hidden: int, length: int, row: int | None) -> Finding:
    message = f"{hidden:,} of {length:,} tokens of the {name} of {facts.title} are not shown here."
    return Finding("WB140", "info", message, row=row, remedy="The arrays hold all of them.")


def pairs_payload(pairs: Sequence[dict[str, Any]], heading: Heading) -> dict[str, Any]:
    """Everything the pair card shows; pairs are made by `pair_view`."""
    parts = [row for pair in pairs for row in rows_of(pair)]
    used = {name for row in parts for name in row["tables"]["reason"]}
    wanted = {str(reason): text for reason, text in SENTENCES.items() if heading.handle or str(reason) in used}
    return {
        "version": 1,
        "kind": heading.kind,
        "handle": heading.handle,
        "title": heading.title,
        "subtitle": heading.subtitle,
        "pair_count": heading.row_count,
        "first": heading.first,
        "pairs": list(pairs),
        "template": template_view(heading.template),
        "reasons": wanted,
        "badge": dict(heading.badge) if heading.badge else None,
        "code": heading.code,
    }


def rows_of(pair: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The three row views of a pair: prompt, chosen, rejected."""
    return [pair["prompt"], pair["chosen"]["row"], pair["rejected"]["row"]]


def _shown(view: Mapping[str, Any]) -> Mapping[str, Any]:
    return next((pair for pair in view["pairs"] if pair["position"] == view["first"]), view["pairs"][0])


def side_words(side: Mapping[str, Any]) -> str:
    """`23 tokens, 9 trained, none truncated`."""
    cutoff = f"{side['truncated']:,} truncated" if side["truncated"] else "none truncated"
    return f"{side['tokens']:,} tokens, {side['trained']:,} trained, {cutoff}"


def pairs_html(view: Mapping[str, Any]) -> str:
    """A snapshot without script or style sheet: prompt, then both answers beside one another."""
    pair = _shown(view)
    margin = "" if pair["margin"] is None else f", margin {pair['margin']:g}"
    head = f"<b>{escape(pair['title'])}</b> <span>{escape(view['title'])}, {escape(view['subtitle'])}{margin}</span>"
    columns = "".join(
        f'<div style="flex:1 1 260px;min-width:0"><div style="font:12px sans-serif;margin:4px 0"><b>'
        f"{'✓' if name == 'chosen' else '✗'} {name}</b> {escape(side_words(pair[name]))}{_parting(pair, name)}</div>"
        f"{row_html(pair[name]['row'], titled=False)}</div>"
        for name in NAMES
    )
    findings = "".join(
        f'<div style="font:12px sans-serif;border-left:3px solid #f57c00;padding-left:8px;margin-top:4px">'
        f"<b>{escape(item['code'])}</b> {escape(item['message'])} {escape(item['remedy'])}</div>"
        for item in pair["findings"][:5]
    )
    prompt = (
        f'<div style="font:12px sans-serif;margin:4px 0"><b>shared prompt</b> {pair["prompt_tokens"]:,} tokens</div>'
    )
    return (
        f'<div class="wb-static"><div style="font:13px sans-serif">{head}</div>{prompt}'
        f"{row_html(pair['prompt'], titled=False)}"
        f'<div style="display:flex;flex-wrap:wrap;gap:12px">{columns}</div>{findings}</div>'
    )


def _parting(pair: Mapping[str, Any], name: str) -> str:
    """Words for the first differing token of a side."""
    if pair["first_token"] is None:
        return ", equal to the other side"
    tokens, at = pair[name]["row"]["tokens"], pair[name]["first"]
    if at is None:
        return f", ends before token {pair['first_token']:,}, where the sides part"
    text = tokens["bytes"][at] or tokens["text"][at]
    return f", ≠ first difference at token {pair['first_token']:,}: {escape(repr(text))}"


def pairs_text(view: Mapping[str, Any]) -> str:
    """The first pair as text, trained parts in ⟦…⟧, the first difference named."""
    pair = _shown(view)
    lines = [f"{view['title']} ({view['subtitle']})", f"{pair['title']}, prompt: {marked(pair['prompt'])}"]
    lines += [f"{name} ({side_words(pair[name])}): {marked(pair[name]['row'])}" for name in NAMES]
    if pair["first_token"] is not None:
        lines.append(f"first difference: token {pair['first_token']}")
    lines += [f"{item['code']}: {item['message']}" for item in pair["findings"] if item["code"] != "WB140"]
    return "\n".join(lines)
