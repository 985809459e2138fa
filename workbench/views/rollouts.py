"""Completions of a prompt with rewards and advantages: the rollouts card's payload, static HTML and text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any, Literal

from workbench.types import Finding
from workbench.views.reasons import SENTENCES
from workbench.views.tokens import STYLE, Heading
from workbench.views.window import cut

STATIC_GROUPS, STATIC_CHARACTERS = 3, 160
"""Groups of a static snapshot, and characters shown of each completion."""

Ended = Literal["stop", "cut", "unknown"]


@dataclass(frozen=True, slots=True)
class Completion:
    """One completion of a prompt.

    Attributes:
        index: Place among the completions of its prompt, in the order they were generated.
        view: Its tokens (`arrays.array_view`), with the measure `advantage`.
        reward: Weighted sum of its rewards; None where no function gave one.
        rewards: Of each reward function, in the payload's order; None where the function gave none.
        advantage: What the trainer multiplies its tokens' log-probabilities with; a mean where it differs by token.
        ended: Whether it ended with a stop token.
        steps: Optimizer steps, 1-based, whose forward got it.
    """

    index: int
    view: dict[str, Any]
    reward: float | None
    rewards: tuple[float | None, ...]
    advantage: float | None
    ended: Ended
    steps: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """The completions of one prompt.

    Attributes:
        mean, std: Of the rewards; std with the divisor n - 1, as TRL has it. None where there are no rewards.
        planned: Completions that are generated for the prompt.
    """

    title: str
    prompt: dict[str, Any]
    completions: tuple[Completion, ...]
    mean: float | None
    std: float | None
    planned: int
    findings: tuple[Finding, ...] = ()


def group_view(group: Group, position: int, most: int) -> dict[str, Any]:
    """The `Group` of docs/wire.md.

    Args:
        group: The prompt and its completions.
        position: Place among the groups that can be asked for.
        most: Tokens to show of all of them together.
    """
    share = max(1, most // (len(group.completions) + 1))
    notes: list[Finding] = []

    def part(view: dict[str, Any], what: str) -> dict[str, Any]:
        length = len(view["tokens"]["id"])
        if length > share:
            message = f"{length - share:,} of {length:,} tokens of {what} are not shown here."
            notes.append(Finding("WB140", "info", message, remedy="batch.to_dict() holds all of them."))
        return cut(view, range(min(share, length)))

    prompt = part(group.prompt, "the prompt")
    rows = [part(item.view, f"completion {item.index}") for item in group.completions]
    return {
        "position": position,
        "title": group.title,
        "prompt": prompt,
        "mean": group.mean,
        "std": group.std,
        "planned": group.planned,
        "completions": [
            {
                "index": item.index,
                "row": row,
                "reward": item.reward,
                "rewards": list(item.rewards),
                "advantage": item.advantage,
                "tokens": len(item.view["tokens"]["id"]),
                "trained": sum(item.view["tokens"]["trained"]),
                "ended": item.ended,
                "steps": list(item.steps),
            }
            for item, row in zip(group.completions, rows, strict=True)
        ],
        "findings": [asdict(item) for item in (*notes, *group.findings)],
    }


def rollouts_payload(
    groups: Sequence[dict[str, Any]], heading: Heading, rewards: Sequence[tuple[str, float]], totals: Mapping[str, int]
) -> dict[str, Any]:
    """Everything the rollouts card shows.

    Args:
        groups: Made by `group_view`.
        heading: Title, code and handle; `row_count` counts groups.
        rewards: Name and weight of each reward function.
        totals: groups, completions, tokens, flat (groups of equal rewards), cut (completions without a stop token).
    """
    used = {
        name
        for group in groups
        for row in (group["prompt"], *(item["row"] for item in group["completions"]))
        for name in row["tables"]["reason"]
    }
    return {
        "version": 1,
        "handle": heading.handle,
        "title": heading.title,
        "subtitle": heading.subtitle,
        "group_count": heading.row_count,
        "first": heading.first,
        "groups": list(groups),
        "reward_functions": [{"name": name, "weight": weight} for name, weight in rewards],
        "totals": dict(totals),
        "reasons": {str(reason): text for reason, text in SENTENCES.items() if heading.handle or str(reason) in used},
        "badge": dict(heading.badge) if heading.badge else None,
        "code": heading.code,
    }


def signed(value: float | None) -> str:
    """`+0.84`, `−1.20`, `0.00`; a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:+.2f}".replace("-", "−") if round(value, 2) else "0.00"


def number(value: float | None) -> str:
    """A reward with at most four digits; a dash where there is none."""
    return "–" if value is None else f"{value:.4g}"


def text_of(row: Mapping[str, Any]) -> str:
    """The text of a row's tokens."""
    tokens = row["tokens"]
    pairs = zip(tokens["text"], tokens["bytes"], strict=True)
    return "".join(text if raw is None else f"[{raw}]" for text, raw in pairs)


def rollouts_html(view: Mapping[str, Any]) -> str:
    """A snapshot without script or style sheet: a table a group."""
    head = f"<b>{escape(view['title'])}</b> <span>{escape(view['subtitle'])}</span>"
    names = [item["name"] for item in view["reward_functions"]]
    groups = "".join(_group_html(group, names) for group in view["groups"][:STATIC_GROUPS])
    rest = view["group_count"] - min(len(view["groups"]), STATIC_GROUPS)
    more = f'<div style="font:12px sans-serif">… and {rest:,} more prompts</div>' if rest > 0 else ""
    return f'<div class="wb-static"><div style="font:13px sans-serif">{head}</div>{groups}{more}</div>'


def _group_html(group: Mapping[str, Any], names: Sequence[str]) -> str:
    cells = ["#", "advantage", "reward", *names, "tokens", "ended", "completion"]
    head = "".join(f'<th style="text-align:left;padding:2px 8px">{escape(cell)}</th>' for cell in cells)
    rows = "".join(_completion_html(item) for item in group["completions"])
    prompt = escape(text_of(group["prompt"])[: 2 * STATIC_CHARACTERS])
    spread = "" if group["mean"] is None else f", mean {number(group['mean'])}, std {number(group['std'])}"
    findings = "".join(
        f'<div style="font:12px sans-serif;border-left:3px solid #f57c00;padding-left:8px;margin-top:4px">'
        f"<b>{escape(item['code'])}</b> {escape(item['message'])} {escape(item['remedy'])}</div>"
        for item in group["findings"][:5]
    )
    return (
        f'<div style="font:12px sans-serif;margin:6px 0 2px">{escape(group["title"])}{spread}</div>'
        f'<div style="{STYLE}">{prompt}</div>'
        f'<table style="font:12px sans-serif;border-collapse:collapse"><tr>{head}</tr>{rows}</table>{findings}'
    )


def _completion_html(item: Mapping[str, Any]) -> str:
    text = text_of(item["row"])
    shown = text[:STATIC_CHARACTERS] + ("…" if len(text) > STATIC_CHARACTERS else "")
    cells = [
        str(item["index"]),
        signed(item["advantage"]),
        number(item["reward"]),
        *map(number, item["rewards"]),
        f"{item['tokens']:,}",
        item["ended"],
        shown.replace("\n", "↵"),
    ]
    return "<tr>" + "".join(f'<td style="padding:2px 8px">{escape(cell)}</td>' for cell in cells) + "</tr>"


def rollouts_text(view: Mapping[str, Any]) -> str:
    """Every shown group as text."""
    lines = [f"{view['title']} ({view['subtitle']})"]
    for group in view["groups"]:
        lines.append(f"{group['title']}: {text_of(group['prompt'])}")
        lines += [
            f"  {signed(item['advantage'])}  reward {number(item['reward'])}  {item['tokens']} tokens, "
            f"{item['ended']}: " + text_of(item["row"]).replace("\n", "↵")
            for item in group["completions"]
        ]
        lines += [f"  {item['code']}: {item['message']}" for item in group["findings"]]
    return "\n".join(lines)
